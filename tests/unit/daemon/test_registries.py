from pathlib import Path

import pytest

from lamina.daemon.config import DaemonConfig, InvalidConfig, read_config
from lamina.daemon.registries import open_engine, registry_config
from lamina.errors import InvalidParameter
from lamina.registry.hosts import HostRules
from lamina.registry.proxies import Proxies

FILE = """
insecure-registries = ["registry.example:5000", "10.0.0.0/8"]
registry-mirrors = ["https://mirror.example"]
registry-certificates = ["/etc/certs"]
max-concurrent-downloads = 7
max-concurrent-uploads = 2
max-download-attempts = 9
layer-compression = "zstd"
search-index = "https://index.example"

[mirrors]
"ghcr.io" = ["http://localhost:5000"]

[proxies]
https-proxy = "http://proxy.example:3128"
"""


def config_of(directory: Path, text: str) -> DaemonConfig:
    path = directory / "lamina.toml"
    path.write_text(text)
    return read_config(path)


def test_the_keys_about_registries(tmp_path: Path) -> None:
    config = config_of(tmp_path, FILE)
    assert config.ignored == ()
    assert (config.max_concurrent_downloads, config.max_concurrent_uploads) == (7, 2)
    assert config.layer_compression == "zstd"
    environ = {"HTTPS_PROXY": "http://other", "no_proxy": "localhost"}
    found = registry_config(config, environ)
    assert found.hosts == HostRules(
        mirrors={
            "docker.io": ("https://mirror.example",),
            "ghcr.io": ("http://localhost:5000",),
        },
        insecure=("registry.example:5000", "10.0.0.0/8"),
        certificates=(Path("/etc/certs"),),
    )
    assert found.proxies == Proxies(https="http://proxy.example:3128", exceptions="localhost")
    assert found.retries.attempts == 9
    assert found.index == "https://index.example"


@pytest.mark.parametrize(
    "text",
    [
        "insecure-registries = 'x'",
        "registry-mirrors = [1]",
        "max-concurrent-downloads = 0",
        "max-concurrent-uploads = true",
        "layer-compression = 'lz4'",
        "mirrors = ['x']",
        "[proxies]\nftp-proxy = 'x'",
    ],
)
def test_values_that_cannot_be(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidConfig):
        config_of(tmp_path, text)


def test_a_mirror_that_is_no_address(tmp_path: Path) -> None:
    config = config_of(tmp_path, "registry-mirrors = ['mirror.example']")
    with pytest.raises(InvalidParameter, match="invalid mirror"):
        registry_config(config, {})


async def test_what_an_engine_tells_of_it(tmp_path: Path) -> None:
    config = config_of(tmp_path, FILE)
    async with open_engine(config, tmp_path / "root", environ={}) as engine:
        told = (await engine.system_info()).registry_config
    assert told is not None
    assert told["InsecureRegistryCIDRs"] == ["127.0.0.0/8", "10.0.0.0/8"]
    assert told["Mirrors"] == ["https://mirror.example/"]
    assert list(told["IndexConfigs"]) == ["docker.io", "registry.example:5000"]
