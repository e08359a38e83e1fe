import ssl
from pathlib import Path

import pytest

from lamina.client.tls import TLSFiles
from lamina.errors import InvalidParameter
from tests.real.certificates import Authority


def test_a_directory_as_docker_lays_it_out(authority: Authority) -> None:
    files = TLSFiles.in_directory(authority.directory)
    assert files == TLSFiles(
        ca=authority.ca, cert=authority.client_certificate, key=authority.client_key
    )
    context = files.context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert "Lamina test authority" in str(context.get_ca_certs())


def test_without_verification() -> None:
    context = TLSFiles(verify=False).context()
    assert context.verify_mode == ssl.CERT_NONE
    assert not context.check_hostname


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (TLSFiles(ca=Path("/no/such/ca.pem")), "could not read CA certificate"),
        (TLSFiles(cert=Path("/no/c.pem"), key=Path("/no/k.pem")), "could not load X509 key pair"),
        (TLSFiles(cert=Path("/no/c.pem")), "needs its key"),
    ],
)
def test_files_that_are_not_there(files: TLSFiles, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        files.context()


def test_files_that_are_no_pem(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("hello")
    with pytest.raises(InvalidParameter, match="could not read CA certificate"):
        TLSFiles(ca=file).context()
    with pytest.raises(InvalidParameter, match="could not load X509 key pair"):
        TLSFiles(cert=file, key=file, verify=False).context()
