import itertools

from lamina.client.build_steps import StepReader
from lamina.progress import Aux, BuildOutput, BuildStep, Event, StreamText

ID = "0123456789ab"


def read(*texts: str) -> list[Event]:
    """What the messages of a build tell of steps, and that it has failed then."""
    times = itertools.count(1)
    reader = StepReader(lambda: next(times))
    told = [event for text in texts for event in reader.read(StreamText(text))]
    return [*told, *reader.read(Aux({"ID": ID})), *reader.fail()]


def states(told: list[Event]) -> list[tuple[str, str, int, str]]:
    return [
        (one.id, one.stage, one.number, one.state) for one in told if isinstance(one, BuildStep)
    ]


def test_stages() -> None:
    told = read(
        *("Step 1/5 : ARG V=1", "\n"),
        *("Step 2/5 : FROM --platform=linux/amd64 busybox As Builder", "\n", f" ---> {ID}\n"),
        *("Step 3/5 : RUN <<EOF\necho\nEOF", "\n", " ---> Using cache\n", f" ---> {ID}\n"),
        *("Step 4/5 : from scratch", "\n", " ---> \n"),
        *("Step 5/5 : LABEL a=b", "\n", f" ---> Running in {ID}\n"),
        *(f"Removing intermediate container {ID}\n", f" ---> {ID}\n"),
        f"Successfully built {ID}\n",
    )
    assert states(told) == [
        ("builder 1", "builder", 2, "started"),
        ("builder 1", "builder", 2, "completed"),
        ("builder 2", "builder", 3, "started"),
        ("builder 2", "builder", 3, "cached"),
        ("stage-1 1", "stage-1", 4, "started"),
        ("stage-1 1", "stage-1", 4, "completed"),
        ("stage-1 2", "stage-1", 5, "started"),
        ("stage-1 2", "stage-1", 5, "completed"),
    ]
    steps = [one for one in told if isinstance(one, BuildStep)]
    assert steps[2].text == "RUN <<EOF\necho\nEOF"
    assert {one.total for one in steps} == {5}
    assert [one.time for one in steps] == list(range(1, 9))


def test_what_commands_write() -> None:
    told = read(
        *("Step 1/2 : FROM busybox", "\n", f" ---> {ID}\n", "Step 2/2 : RUN x", "\n"),
        *(" ---> [Warning] no swap\n", f" ---> Running in {ID}\n"),
        *("one\n", "\x1b[91mtwo\n\x1b[0m", "Step 3/2 : RUN no step", " ---> no image\n"),
    )
    assert [one for one in told if isinstance(one, BuildOutput)] == [
        BuildOutput("stage-0 2", "one\n"),
        BuildOutput("stage-0 2", "two\n", is_stderr=True),
        BuildOutput("stage-0 2", "Step 3/2 : RUN no step"),
        BuildOutput("stage-0 2", " ---> no image\n"),
    ]
    assert states(told)[-1] == ("stage-0 2", "stage-0", 2, "failed")


def test_triggers_are_a_part_of_their_from() -> None:
    told = read(
        *("Step 1/1 : FROM base", "\n", "# Executing 2 build triggers", "\n"),
        *(" ---> Using cache\n", f" ---> Running in {ID}\n", "out\n"),
        *(f"Removing intermediate container {ID}\n", f" ---> {ID}\n"),
    )
    assert states(told) == [
        ("stage-0 1", "stage-0", 1, "started"),
        ("stage-0 1", "stage-0", 1, "completed"),
    ]
    assert told[1] == BuildOutput("stage-0 1", "out\n")


def test_a_build_that_says_nothing() -> None:
    assert read() == []
    assert read("sha256:" + "0" * 64 + "\n", "what any engine may say") == []
