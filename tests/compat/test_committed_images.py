"""What is committed on Lamina runs on a real dockerd, once it was saved and loaded; and back."""

import pytest

from tests.compat.conftest import Clis
from tests.real.archives import docker_archive
from tests.real.images import busybox_image, tar_of
from tests.unit.layers.trees import needs_root

pytestmark = [needs_root, pytest.mark.usefixtures("servers")]

CHANGES = (
    "mkdir -p /made/deep; echo text >/made/deep/file; ln -s deep /made/link;"
    " ln /made/deep/file /made/hard; chmod 4755 /made/deep/file; chown 7:8 /made/deep;"
    " rm /etc/group; rm -r /tmp; mkdir /tmp; mkfifo /made/pipe; echo >>/etc/passwd more:x:9:9::/:"
)
LOOK = (
    "cat /made/link/file /made/hard; ls -ln /made | cut -c1-24; ls -lnd /made/deep | cut -c1-24;"
    " ls /etc/group /tmp; id -u more; echo $A; pwd"
)


@pytest.mark.parametrize("back", [False, True], ids=["to dockerd", "to lamina"])
def test_a_committed_image_runs_elsewhere(clis: Clis, back: bool) -> None:  # noqa: FBT001
    docker, lamina = clis
    here, there = (docker, lamina) if back else (lamina, docker)
    here("load", stdin=tar_of(docker_archive((busybox_image(), ["busybox:1"]))))
    here("run", "--name", "first", "--network", "none", "busybox:1", "sh", "-c", CHANGES)
    change = ("--change", "ENV A=1", "--change", "WORKDIR /made", "--change", "USER more")
    here("commit", *change, "--change", f'CMD ["sh", "-c", "{LOOK}"]', "first", "made:1")
    expected = here.run("run", "--rm", "--network", "none", "made:1")
    assert "text\ntext\n" in expected.text
    here("rm", "first")
    archive = here.run("save", "made:1").stdout
    there("load", stdin=archive)
    actual = there.run("run", "--rm", "--network", "none", "made:1")
    assert (actual.text, actual.stderr, actual.status) == (
        expected.text, expected.stderr, expected.status,
    )  # fmt: skip
