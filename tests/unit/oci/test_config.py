import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, strategies as st

from lamina.errors import CorruptData, InvalidManifest
from lamina.oci.config import ContainerConfig, Healthcheck, HistoryEntry, ImageConfig
from lamina.oci.digest import Digest
from lamina.oci.jsontext import SIZE_LIMIT
from lamina.oci.platform import Platform
from lamina.oci.rootfs import RootFS, chain_ids
from tests.unit.oci.hostile import NOT_JSON, cut, mangled

BLOBS = sorted((Path(__file__).parent / "dockerd").glob("*.json"))
"""Configurations as a dockerd 20.10 wrote them on import and on build."""

BUILT = next(path for path in BLOBS if path.stem == "built").read_bytes()
CHANGED = next(path for path in BLOBS if path.stem == "imported-with-changes").read_bytes()
A, B, C = (Digest.of(letter) for letter in (b"a", b"b", b"c"))
LINUX = Platform("linux", "amd64")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def config(**members: object) -> bytes:
    return json.dumps({"rootfs": {"type": "layers", "diff_ids": [str(A)]}, **members}).encode()


@pytest.mark.parametrize("path", BLOBS, ids=lambda path: path.stem)
def test_written_again_a_configuration_of_dockerd_has_the_same_bytes(path: Path) -> None:
    raw = path.read_bytes()
    parsed = ImageConfig.parse(raw)
    assert (parsed.raw, parsed.digest) == (raw, Digest.of(raw))
    copy = msgspec.structs.replace(parsed)
    assert copy.raw == raw
    assert copy.raw is not raw


def test_what_dockerd_built() -> None:
    parsed = ImageConfig.parse(BUILT)
    assert parsed.platform == LINUX
    assert parsed.created_text == "2026-11-23T23:09:02.293747512Z"
    assert parsed.created == datetime(2026, 11, 23, 23, 9, 2, 293747, tzinfo=UTC)
    assert (parsed.author, parsed.comment, parsed.parent) == ("me", "", "")
    assert parsed.docker_version.startswith("20.10")
    assert parsed.config.shell == ("/bin/x", "-c")
    assert parsed.config.stop_signal == "SIGINT"
    assert parsed.config.env is not None
    assert parsed.config.env[1:] == ("B=2", "C=x\u2028")
    assert parsed.container_config.hostname == parsed.container[:12]
    assert len(parsed.diff_ids) == 2
    assert [entry.empty_layer for entry in parsed.history] == [False, True, True, False, True, True]
    assert parsed.history[0].comment == "Imported from -"
    assert parsed.history[0].created == datetime(2026, 11, 23, 23, 9, 0, 932325, tzinfo=UTC)


def test_what_dockerd_imported_with_changes() -> None:
    parsed = ImageConfig.parse(CHANGED)
    assert parsed.comment == "msg & more"
    assert parsed.config == ContainerConfig(
        exposed_ports={"80/tcp": {}},
        env=("A=1",),
        cmd=("a", "<b>"),
        healthcheck=Healthcheck(test=("CMD-SHELL", "true"), interval=5_000_000_000),
        volumes={"/data": {}},
        on_build=("RUN x",),
        labels={"x": "y"},
    )


def test_a_minimal_configuration_of_oci() -> None:
    parsed = ImageConfig.parse(config(architecture="arm", os="linux", variant="v6"))
    assert parsed.platform == Platform("linux", "arm", "v6")
    assert (parsed.created, parsed.created_text) == (None, "")
    assert parsed.config == parsed.container_config == ContainerConfig()
    assert parsed.history == ()
    assert parsed.diff_ids == (A,)
    assert b'"config"' not in msgspec.structs.replace(parsed).raw


@pytest.mark.parametrize("text", ["yesterday", "2020-01-01", "2020-13-01T00:00:00Z"])
def test_times_that_are_none_are_refused_as_dockerd_does(text: str) -> None:
    for raw in (config(created=text), config(history=[{"created": text}])):
        with pytest.raises(InvalidManifest, match=f'^parsing time "{text}"'):
            ImageConfig.parse(raw)


def test_platform_of_windows() -> None:
    raw = config(os="windows", **{"os.version": "10.0", "os.features": ["win32k"]})
    assert ImageConfig.parse(raw).platform == Platform("windows", "", "", "10.0", ("win32k",))


def test_nulls_are_absent_members_as_in_go() -> None:
    raw = config(
        author=None,
        created=None,
        history=None,
        config={"Env": None, "Labels": None, "Hostname": None, "Tty": None, "Healthcheck": None},
        container_config=None,
    )
    parsed = ImageConfig.parse(raw)
    assert parsed.config == ContainerConfig()
    assert parsed.history == ()
    assert parsed.raw == raw


def test_unknown_members_stay_in_the_bytes() -> None:
    raw = config(moby={"buildkit": [1, 2]}, config={"X": 1})
    assert ImageConfig.parse(raw).digest == Digest.of(raw)


@pytest.mark.parametrize("raw", NOT_JSON + cut(BUILT), ids=lambda raw: raw[:30])
def test_hostile_text_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidManifest):
        ImageConfig.parse(raw)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{}", r"^invalid image JSON, no RootFS key$"),
        (config(rootfs=None), r"^invalid image JSON, no RootFS key$"),
        (config(rootfs=[]), "Expected `object`, got `array`"),
        (config(rootfs={"diff_ids": ["x"]}), "invalid checksum digest format"),
        (config(rootfs={"diff_ids": [1]}), "expected a digest, got 1"),
        (config(rootfs={"diff_ids": str(A)}), "Expected `array`, got `str`"),
        (config(history={}), "Expected `array`, got `object`"),
        (config(history=[{"empty_layer": "yes"}]), "Expected `bool`, got `str`"),
        (config(config={"Env": ["A=1", 2]}), "Expected `str`, got `int`"),
        (config(config={"Labels": {"a": {}}}), "Expected `str`, got `object`"),
        (config(config={"StopTimeout": 2**63}), "Expected `int` <= 9223372036854775807"),
        (config(config={"StopTimeout": -(2**64)}), "Expected `int` >= -9223372036854775808"),
        (config(config={"Healthcheck": {"Retries": 1.5}}), "Expected `int`, got `float`"),
        (config(author=["me"]), "Expected `str`, got `array`"),
        (config(author="m" * SIZE_LIMIT), "bytes are more than"),
        (config(author=1, comment="m" * (SIZE_LIMIT // 2)), "Expected `str`, got `int`"),
    ],
)
def test_refused(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidManifest, match=message):
        ImageConfig.parse(raw)


@given(st.integers())
def test_damaged_text_is_read_or_refused(seed: int) -> None:
    raw = mangled(BUILT, seed=seed)
    try:
        parsed = ImageConfig.parse(raw)
    except CorruptData:
        return
    assert parsed.raw == raw
    assert ImageConfig.parse(msgspec.structs.replace(parsed).raw).history == parsed.history


def test_build_writes_what_dockerd_writes() -> None:
    parsed = ImageConfig.parse(CHANGED)
    built = ImageConfig.build(
        platform=LINUX,
        created=NOON,
        diff_ids=parsed.diff_ids,
        history=parsed.history,
        config=parsed.config,
        comment=parsed.comment,
        docker_version=parsed.docker_version,
    )
    later = f'"created":"{parsed.created_text}","docker'.encode()
    expected = CHANGED.replace(later, b'"created":"2026-11-23T12:00:00Z","docker')
    assert built.raw == expected
    assert built.digest == Digest.of(expected)


def test_derive_adds_a_step_with_a_layer() -> None:
    parent = ImageConfig.parse(BUILT)
    settings = ContainerConfig(cmd=("sh",))
    child = parent.derive(
        created=NOON, created_by="RUN x", layer=C, config=settings, author="you", comment="why"
    )
    assert child.diff_ids == (*parent.diff_ids, C)
    assert child.history == (
        *parent.history,
        HistoryEntry(
            created_text="2026-11-23T12:00:00Z", created_by="RUN x", author="you", comment="why"
        ),
    )
    assert (child.config, child.author, child.created) == (settings, "you", NOON)
    assert child.comment == ""
    assert child.platform == parent.platform
    assert ImageConfig.parse(child.raw).history == child.history


def test_derive_adds_a_step_without_a_layer() -> None:
    parent = ImageConfig.parse(BUILT)
    child = parent.derive(created=NOON, created_by="CMD", layer=None, config=parent.config)
    assert child.diff_ids == parent.diff_ids
    assert child.history[-1].empty_layer
    assert child.digest != parent.digest


def test_chain_ids() -> None:
    image = ImageConfig.build(platform=LINUX, created=NOON, diff_ids=[A, B])
    assert image.rootfs == RootFS(diff_ids=(A, B))
    assert image.chain_ids == chain_ids([A, B])


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(texts, st.lists(texts), st.dictionaries(texts, texts))
def test_what_is_written_reads_the_same(
    author: str, env: list[str], labels: dict[str, str]
) -> None:
    settings = ContainerConfig(env=tuple(env), labels=labels)
    built = ImageConfig.build(platform=LINUX, created=NOON, author=author, config=settings)
    again = ImageConfig.parse(built.raw)
    assert (again.author, again.config) == (author, settings)
    assert json.loads(built.raw)["config"]["Env"] == env
    assert not set("<>&\u2028\u2029") & set(built.raw.decode())
