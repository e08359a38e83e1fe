import asyncio

from lamina.build.transcript import MAX_KEPT, Transcript
from lamina.progress import Aux, Event, LayerProgress, StreamText


class Heard:
    """What is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def report(self, event: Event) -> None:
        self.events.append(event)

    @property
    def text(self) -> str:
        return "".join(one.text for one in self.events if isinstance(one, StreamText))


async def test_sections_speak_in_their_order() -> None:
    heard = Heard()
    transcript = Transcript(heard.report, 3)
    first, second, third = transcript.sections
    await transcript.go_on()
    for section, name in ((third, "3"), (first, "1"), (second, "2"), (first, "1"), (third, "3")):
        await section.text(name)
    await third.close()
    assert heard.text == "11"
    await first.close()
    await second.text("2")
    await second.close()
    assert heard.text == "112233"


async def test_a_failure_is_the_last_that_is_heard() -> None:
    heard = Heard()
    transcript = Transcript(heard.report, 3)
    await transcript.go_on()
    for section, name in zip(transcript.sections, "123", strict=True):
        await section.text(name)
    await transcript.end_at(1)
    assert heard.text == "12"


async def test_who_has_no_turn_does_not_wait_and_fills_no_memory() -> None:
    heard = Heard()
    transcript = Transcript(heard.report, 2)
    first, second = transcript.sections
    await transcript.go_on()
    piece = "x" * 65536
    async with asyncio.timeout(60):
        await second.text("Step 1/2\n")
        for _ in range(2 * MAX_KEPT // len(piece)):
            await second.output(piece)
        # Of many small ones each takes more than its text.
        for _ in range(100_000):
            await second.output("y")
        await second.text("Step 2/2\n")
        await second.tell(Aux({"ID": "x"}))
        await first.close()
    assert heard.text.startswith("Step 1/2\nxxx")
    assert heard.text.endswith(
        "\n[output clipped: there is more than can be kept for later]\nStep 2/2\n"
    )
    assert MAX_KEPT // 2 < len(heard.text) < MAX_KEPT
    assert heard.events[-1] == Aux({"ID": "x"})
    await second.output("in its turn")
    assert heard.text.endswith("in its turn")


async def test_of_progress_only_the_latest_is_kept() -> None:
    heard = Heard()
    transcript = Transcript(heard.report, 2)
    await transcript.go_on()
    for current in range(3):
        for name in "ab":
            event = LayerProgress(name, "Downloading", current=current, total=3)
            await transcript.sections[1].tell(event)
    await transcript.sections[0].close()
    assert heard.events == [LayerProgress(name, "Downloading", current=2, total=3) for name in "ab"]
