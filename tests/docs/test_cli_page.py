"""What docs/cli.md shows is what happens."""

from tests.docs.pages import Session


def test_the_session(session: Session) -> None:
    assert session.run("docs/cli.md") == ""
