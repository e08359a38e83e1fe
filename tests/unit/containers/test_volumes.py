from pathlib import Path

from lamina.containers.volumes import Volumes


def test_volumes_that_nobody_uses_are_swept(tmp_path: Path) -> None:
    volumes = Volumes(tmp_path / "volumes", "process")
    for name in ("used", "new"):
        volumes.make(name)
    Volumes(tmp_path / "volumes", "dead").make("left")
    volumes.sweep(used={"used"}, living={"process"})
    assert {path.name for path in volumes.root.iterdir()} == {"used", "new"}
    assert not volumes.data("left").exists()
    volumes.sweep(used={"used"}, living=())
    assert {path.name for path in volumes.root.iterdir()} == {"used"}
    Volumes(tmp_path / "none", "process").sweep(used=(), living=())
