import json
from pathlib import Path

from lamina.cli.registries import all_credentials


async def test_credentials_of_all_registries(tmp_path: Path) -> None:
    auths = {
        "https://index.docker.io/v1/": {"auth": "dTpw"},
        "registry.example:5000": {"identitytoken": "t"},
        "empty.example": {},
    }
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    found = await all_credentials({"DOCKER_CONFIG": str(tmp_path)})
    assert {name: one.get("username", "") for name, one in found.items()} == {
        "https://index.docker.io/v1/": "u",
        "registry.example:5000": "",
    }
    assert found["registry.example:5000"]["identitytoken"] == "t"


async def test_no_credentials(tmp_path: Path) -> None:
    assert await all_credentials({"DOCKER_CONFIG": str(tmp_path)}) == {}
