import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import uvloop

from lamina.errors import InvalidParameter
from lamina.registry.credential_helper import CredentialHelper, CredentialHelperError
from lamina.registry.credentials import HUB_KEY, AuthConfig, pack
from lamina.registry.docker_config import DockerConfig
from tests.unit.layers.trees import needs_root

# A helper like those of the desktops: one file a server, errors on standard output.
_HELPER = """#!/bin/sh
store=$(dirname "$0")/kept
read -r input
case $1 in
get) name=$(printf %s "$input" | tr -c 'a-z0-9.\\n' _)
     cat "$store/$name" 2>/dev/null || {
         echo "credentials not found in native keychain"; exit 1; } ;;
store) name=$(printf %s "$input" | sed 's/.*"ServerURL":"//;s/".*//' | tr -c 'a-z0-9.\\n' _)
       mkdir -p "$store"; printf %s "$input" > "$store/$name" ;;
erase) rm -f "$store/$(printf %s "$input" | tr -c 'a-z0-9.\\n' _)" ;;
list) echo '{"https://a.example":"user"}' ;;
esac
"""


def _install(directory: Path, name: str, script: str) -> dict[str, str]:
    program = directory / f"docker-credential-{name}"
    program.write_text(script)
    program.chmod(0o755)
    return {"PATH": f"{directory}:/usr/bin:/bin"}


def _children(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def _write(path: Path, document: object) -> DockerConfig:
    path.write_text(json.dumps(document))
    return DockerConfig(path)


async def test_finds_entries_by_any_spelling_of_the_registry(tmp_path: Path) -> None:
    config = _write(
        tmp_path / "config.json",
        {
            "auths": {
                HUB_KEY: {"auth": pack("hub", "1")},
                "https://r.example/v1/": {"auth": pack("r", "2")},
                "t.example:5000": {"identitytoken": "token"},
                "empty.example": {},
            }
        },
    )
    hub, other = await config.find("docker.io"), await config.find("r.example")
    assert hub is not None
    assert other is not None
    assert (hub.username, hub.password) == ("hub", "1")
    assert (other.username, other.password) == ("r", "2")
    assert await config.find("t.example:5000") == AuthConfig(identitytoken="token")
    assert await config.find("t.example") is None
    assert await config.find("empty.example") is None


async def test_a_file_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert await DockerConfig(tmp_path / "none.json").find("docker.io") is None


async def test_storing_keeps_the_rest_of_the_file_and_hides_it_from_others(tmp_path: Path) -> None:
    real, path = tmp_path / "real.json", tmp_path / "config.json"
    config = _write(real, {"psFormat": "table", "auths": {"old.example": {"auth": pack("o", "p")}}})
    path.symlink_to(real)
    config = DockerConfig(path)
    await config.store("docker.io", AuthConfig(username="u", password="p"))
    await config.store("t.example", AuthConfig(username="u", password="p", identitytoken="t"))
    document = json.loads(path.read_text())
    assert document["psFormat"] == "table"
    assert document["auths"]["old.example"] == {"auth": pack("o", "p")}
    assert document["auths"][HUB_KEY] == {"auth": pack("u", "p")}
    assert document["auths"]["t.example"] == {"auth": pack("u", ""), "identitytoken": "t"}
    assert path.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert sorted(path.name for path in _children(tmp_path)) == ["config.json", "real.json"]
    assert await config.erase("docker.io")
    assert not await config.erase("docker.io")
    assert await config.find("docker.io") is None
    assert await config.find("old.example") is not None


@needs_root
async def test_the_file_keeps_its_owner(tmp_path: Path) -> None:
    config = _write(tmp_path / "config.json", {})
    os.chown(tmp_path / "config.json", 1234, 2345)
    await config.store("a.example", AuthConfig(username="u", password="p"))
    found = (tmp_path / "config.json").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 2345, 0o600)


async def test_storing_makes_the_file_and_its_directory(tmp_path: Path) -> None:
    config = DockerConfig(tmp_path / "home" / ".docker" / "config.json")
    await config.store("r.example", AuthConfig(username="u", password="p"))
    assert await config.find("r.example") == AuthConfig(username="u", password="p")


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[]",
        '{"auths": 5}',
        '{"auths": {"r.example": 5}}',
        "[" * 100_000,
        '{"auths": {"r.example": {"auth": "!"}}}',
        '{"credsStore": 5}',
        '{"credsStore": "../evil"}',
    ],
)
async def test_a_broken_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InvalidParameter):
        await DockerConfig(path).find("r.example")


async def test_a_helper_keeps_the_secrets(tmp_path: Path) -> None:
    environment = _install(tmp_path, "kept", _HELPER)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"credsStore": "kept"}))
    config = DockerConfig(path, environment=environment)
    assert await config.find("a.example") is None
    await config.store("a.example", AuthConfig(username="user", password="secret"))
    await config.store("docker.io", AuthConfig(username="user", identitytoken="refresh"))
    assert "secret" not in path.read_text()
    assert json.loads(path.read_text())["auths"] == {"a.example": {}, HUB_KEY: {}}
    found = await config.find("a.example")
    assert found is not None
    assert (found.username, found.password) == ("user", "secret")
    hub = await config.find("docker.io")
    assert hub is not None
    assert (hub.username, hub.identitytoken) == ("", "refresh")
    assert await config.erase("a.example")
    assert await config.find("a.example") is None


async def test_a_registry_may_have_its_own_helper(tmp_path: Path) -> None:
    environment = _install(tmp_path, "own", '#!/bin/sh\necho \'{"Username":"x","Secret":"y"}\'\n')
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"credsStore": "missing", "credHelpers": {"own.example": "own"}}))
    config = DockerConfig(path, environment=environment)
    found = await config.find("own.example")
    assert found is not None
    assert found.password == "y"
    with pytest.raises(CredentialHelperError, match="docker-credential-missing"):
        await config.find("other.example")


@pytest.mark.parametrize(
    ("script", "patience", "message"),
    [
        ("echo broken keychain; exit 1", 240, "broken keychain"),
        ("exit 3", 240, "exit status 3"),
        ("echo nonsense", 240, "invalid answer"),
        ("yes", 240, "answer too long"),
        ("exec sleep 1000", 0.5, "no answer in time"),
    ],
)
async def test_a_failing_helper_is_told(
    tmp_path: Path, script: str, patience: float, message: str
) -> None:
    environment = _install(tmp_path, "bad", f"#!/bin/sh\n{script}\n")
    helper = CredentialHelper("bad", environment=environment, timeout=patience)
    with pytest.raises(CredentialHelperError, match=message):
        await helper.get("r.example")


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_helper_runs_in_either_event_loop(
    tmp_path: Path, run: Callable[[Coroutine[None, None, AuthConfig | None]], AuthConfig | None]
) -> None:
    environment = _install(tmp_path, "own", '#!/bin/sh\necho \'{"Username":"x","Secret":"y"}\'\n')
    found = run(CredentialHelper("own", environment=environment).get("r.example"))
    assert found is not None
    assert found.password == "y"
    _install(tmp_path, "own", "#!/bin/sh\nexec sleep 1000\n")
    hanging = CredentialHelper("own", environment=environment, timeout=0.2)
    with pytest.raises(CredentialHelperError, match="no answer in time"):
        run(hanging.get("r.example"))


async def test_a_helper_lists_what_it_keeps(tmp_path: Path) -> None:
    helper = CredentialHelper("kept", environment=_install(tmp_path, "kept", _HELPER))
    assert await helper.list() == {"https://a.example": "user"}


def test_the_file_is_utf8_in_every_locale(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    _write(path, {"auths": {}, "HttpHeaders": {"X-Name": "Zoë"}})
    script = (
        "import asyncio, pathlib, sys\n"
        "from lamina.registry.docker_config import AuthConfig, DockerConfig\n"
        "config = DockerConfig(pathlib.Path(sys.argv[1]))\n"
        "asyncio.run(config.store('r.example', AuthConfig(username='u', password='p')))\n"
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", script, str(path)], env=locale, check=True)
    document = json.loads(path.read_bytes())
    assert document["HttpHeaders"] == {"X-Name": "Zoë"}
    assert document["auths"] == {"r.example": {"auth": pack("u", "p")}}
