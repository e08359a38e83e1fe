"""What the pages show is what happens: every command on them is run, or it is said why not."""

import pytest

from tests.docs.pages import PAGES, Session, blocks

NOT_RUN = {
    "README.md": "its own demo and tests: of one there is a test, of the other this is a part",
    "CONTRIBUTING.md": "the same",
    "docs/daemon.md": "it makes a service of the machine's",
    "docs/performance.md": "it takes hours",
}
"""Pages with commands for a shell that no test runs, in blocks of `sh`."""

PROGRAMS = ("$", "lamina", "docker", "python", "pip", "make", "scripts/", "systemctl", "export")


# Dozens of processes, one after the other, on a machine that may be busy.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")])
def test_a_session(session: Session, page: str) -> None:
    session.run(page)


@pytest.mark.parametrize("page", PAGES)
def test_no_command_is_left_out(page: str) -> None:
    """The usage of commands stands on the command line's page, in the form of a command."""
    assert (page in NOT_RUN) == bool(blocks(page, "sh"))
    plain = [line for block in blocks(page, "") for line in block.splitlines()]
    assert not [
        line
        for line in plain
        if line.startswith(PROGRAMS) and not (page == "docs/cli.md" and "[OPTIONS]" in line)
    ]
