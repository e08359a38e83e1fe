"""TLS towards an engine: whom to trust, and what to show."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lamina.errors import InvalidParameter


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSFiles:
    """PEM files: `ca` is trusted instead of the system's authorities, `cert` and `key` are shown.

    `verify` False accepts whatever certificate the engine has.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify: bool = True

    @classmethod
    def in_directory(cls, directory: Path, *, verify: bool = True) -> Self:
        """The files that Docker's tools expect in a DOCKER_CERT_PATH: ca.pem, cert.pem, key.pem."""
        return cls(
            ca=directory / "ca.pem",
            cert=directory / "cert.pem",
            key=directory / "key.pem",
            verify=verify,
        )

    def context(self) -> ssl.SSLContext:
        """Read the files, blocking. Raises InvalidParameter for missing files and bad PEM."""
        # Not create_default_context: it demands extensions that authorities made after Docker's own
        # instructions lack.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.verify:
            self._trust(context)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if (self.cert is None) != (self.key is None):
            raise InvalidParameter("a TLS certificate needs its key, and a key its certificate")
        if self.cert is not None:
            try:
                # A key with a passphrase is refused instead of asked for on the terminal.
                context.load_cert_chain(self.cert, self.key, password=lambda: b"")
            except (OSError, ValueError) as error:
                raise InvalidParameter(f"could not load X509 key pair: {error}") from error
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        if self.ca is None:
            context.load_default_certs()
            return
        try:
            context.load_verify_locations(cafile=self.ca)
        except OSError as error:
            raise InvalidParameter(f'could not read CA certificate "{self.ca}": {error}') from error
