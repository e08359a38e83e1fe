from lamina.containers.describing import status_text
from lamina.containers.settings import State
from lamina.containers.stored import encoded
from lamina.records.containers import Container

MINUTE = 60 * 10**9


def container(status: str, **state: int) -> Container:
    return Container(
        id="a" * 64,
        name="one",
        image_id=None,
        created=0,
        status=status,
        process="",
        snapshot="",
        diff_ids=(),
        labels={},
        settings="{}",
        state=encoded(State(**state)),  # type: ignore[arg-type]  # only of numbers
    )


def test_status() -> None:
    up = container("running", started=5 * MINUTE)
    assert status_text(up, 5 * MINUTE) == "Up Less than a second"
    # Hours are rounded, as in dockerd.
    assert status_text(up, (5 + 89) * MINUTE) == "Up About an hour"
    assert status_text(up, (5 + 90) * MINUTE) == "Up 2 hours"
    # The clock may have been put back.
    assert status_text(up, 0) == "Up Less than a second"
    ended = container("exited", started=1, finished=2 * MINUTE, exit_code=3)
    assert status_text(ended, (2 + 60 * 47 + 30) * MINUTE) == "Exited (3) 2 days ago"
    assert status_text(container("created"), MINUTE) == "Created"
