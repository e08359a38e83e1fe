"""What README.md shows is what happens."""

from tests.docs.pages import Session, blocks


def test_the_tour(session: Session) -> None:
    (dockerfile,) = blocks("README.md", "dockerfile")
    session.write("Dockerfile", dockerfile)
    session.run("README.md")
