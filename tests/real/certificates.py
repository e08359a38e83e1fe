"""A certificate authority of our own, with server and client certificates for loopback."""

from dataclasses import dataclass
from pathlib import Path

from tests.real.programs import run


@dataclass(frozen=True)
class Authority:
    """A directory as DOCKER_CERT_PATH wants it (ca.pem, cert.pem, key.pem: the client's), and the
    server's server-cert.pem and server-key.pem beside them."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def client_certificate(self) -> Path:
        return self.directory / "cert.pem"

    @property
    def client_key(self) -> Path:
        return self.directory / "key.pem"

    @property
    def server_certificate(self) -> Path:
        return self.directory / "server-cert.pem"

    @property
    def server_key(self) -> Path:
        return self.directory / "server-key.pem"


def make_authority(directory: Path) -> Authority:
    """Make an authority and both certificates, valid for a day.

    They are for localhost, 127.0.0.1 and registry.test, which only a proxy can find.
    Raises MissingProgramError, ProgramFailedError.
    """
    authority = Authority(directory)
    ca_key = directory / "ca-key.pem"
    _make(
        *("-subj", "/CN=Lamina test authority"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", str(ca_key), "-out", str(authority.ca)),
    )
    for usage, key, certificate in (
        ("serverAuth", authority.server_key, authority.server_certificate),
        ("clientAuth", authority.client_key, authority.client_certificate),
    ):
        _make(
            *("-subj", f"/CN={usage} of the tests"),
            *("-CA", str(authority.ca), "-CAkey", str(ca_key)),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-addext", "subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1"),
            *("-addext", f"extendedKeyUsage={usage}"),
            *("-keyout", str(key), "-out", str(certificate)),
        )
    return authority


def _make(*options: str) -> None:
    run(
        [
            *("openssl", "req", "-x509", "-days", "1", "-nodes"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *options,
        ]
    )
