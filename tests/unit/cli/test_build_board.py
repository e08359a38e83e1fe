from lamina.cli.build_board import Board, summary
from lamina.progress import BuildOutput, BuildStep, LayerProgress

SECOND = 1_000_000_000


def step(stage: str, number: int, state: str, time: float, *, text: str = "RUN x") -> BuildStep:
    return BuildStep(
        id=f"{stage} {number}",
        stage=stage,
        number=number,
        total=2,
        text=text,
        state=state,  # type: ignore[arg-type]  # one of the states, by whoever calls
        time=int(time * SECOND),
    )


def test_stages_side_by_side() -> None:
    board = Board()
    for event in (
        step("a", 1, "started", 0),
        step("b", 1, "started", 0),
        step("b", 1, "cached", 1),
        step("b", 2, "started", 1, text="RUN  <<EOF\n one\nEOF"),
    ):
        board.take(event)
    first, second, third = board.steps
    assert [one.state for one in board.steps] == ["running", "cached", "running"]
    assert third.title == "[b 2/2] RUN <<EOF one EOF"
    assert (first.seconds(3 * SECOND), second.seconds(3 * SECOND)) == (3.0, 1.0)
    assert list(board.stages()) == ["a", "b"]
    assert board.is_over is False
    board.take(step("a", 1, "failed", 4))
    board.end(5 * SECOND)
    assert [one.state for one in board.steps] == ["failed", "cached", "cancelled"]
    assert board.failed() is first
    assert summary(board, 5.0) == ["5.0s: 3 steps, 1 from the cache", "  a: 4.0s", "  b: 5.0s"]


def test_output_is_kept_by_lines_and_made_printable() -> None:
    board = Board()
    board.take(step("a", 1, "started", 0))
    for text in ("one\r\ntw", "o\n\x1b[31mred\n", "10%\r20%\r", "30%"):
        board.take(BuildOutput("a 1", text))
    board.take(BuildOutput("nobody 1", "lost"))
    (only,) = board.steps
    assert only.last_lines(9) == ["one", "two", "red", "30%"]
    assert only.last_lines(1) == ["30%"]
    assert only.last_lines(0) == []


def test_output_is_bounded() -> None:
    board = Board()
    board.take(step("a", 1, "started", 0))
    board.take(BuildOutput("a 1", "x" * 100_000))
    board.take(BuildOutput("a 1", "\n" * 100_000))
    (only,) = board.steps
    assert sum(len(line) for line in only.last_lines(100_000)) <= 4096
    assert len(only.last_lines(100_000)) <= 1001


def test_layers_are_pulled_until_the_next_step() -> None:
    board = Board()
    board.take(LayerProgress("id", "Downloading", 1, 2))
    board.take(LayerProgress("id", "Downloading", 2, 2))
    assert [layer.current for layer in board.pulling] == [2]
    board.take(step("a", 1, "started", 0))
    assert board.pulling == []


def test_a_summary_of_one_stage() -> None:
    board = Board()
    board.take(step("a", 1, "started", 0))
    board.take(step("a", 1, "completed", 1))
    assert summary(board, 1.25) == ["1.2s: 1 step, 0 from the cache"]


def test_a_build_does_not_steer_the_terminal() -> None:
    board = Board()
    board.take(step("a", 1, "started", 0, text="RUN echo \x1b[2J\u202ecod.exe"))
    board.take(BuildOutput("a 1", "\x1b[1;31mred\x1b[0m\x1b]0;title\x07\u2066x\x9b\n"))
    (only,) = board.steps
    assert only.title == "[a 1/2] RUN echo \\x1b[2J\\u202ecod.exe"
    assert only.last_lines(9) == ["red\\x1b]0;title\\x07\\u2066x\\x9b"]
