import asyncio
from collections.abc import Callable

import pytest

from lamina.progress import Event, LayerProgress
from lamina.transfer.shared import Meter, SharedWork, Tell, counted_down


class Heard:
    """A report that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.news = asyncio.Event()

    async def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.news.set()

    @property
    def actions(self) -> list[str]:
        return [event.action for event in self.events if isinstance(event, LayerProgress)]


def told(action: str, current: int | None = None) -> LayerProgress:
    return LayerProgress("layer", action, current, None if current is None else 10)


async def test_work_is_done_once_and_watched_by_all() -> None:
    shared = SharedWork[str, int](3)
    begun = asyncio.Event()
    go_on = asyncio.Event()
    times = 0

    async def work(tell: Tell) -> int:
        nonlocal times
        times += 1
        tell(told("Downloading", 1))
        begun.set()
        await go_on.wait()
        tell(told("Download complete"))
        return 7

    heard = Heard(), Heard()
    first = asyncio.create_task(shared.run("a", "layer", work, heard[0]))
    await begun.wait()
    second = asyncio.create_task(shared.run("a", "layer", work, heard[1]))
    # Who comes later is told how far it is.
    await heard[1].news.wait()
    go_on.set()
    assert (await first, await second) == (7, 7)
    assert times == 1
    assert heard[0].actions == heard[1].actions == ["Downloading", "Download complete"]
    assert await shared.run("a", "layer", work, Heard()) == 7
    assert times == 2


async def test_errors_reach_all_who_watch() -> None:
    shared = SharedWork[str, int](3)
    begun = asyncio.Event()

    async def work(_: Tell) -> int:
        await begun.wait()
        raise ValueError("broken")

    watching = [asyncio.create_task(shared.run("a", "layer", work, Heard())) for _ in range(3)]
    await asyncio.sleep(0)
    begun.set()
    ends = await asyncio.gather(*watching, return_exceptions=True)
    assert [str(end) for end in ends] == ["broken"] * 3


async def test_the_last_to_leave_stops_the_work() -> None:
    shared = SharedWork[str, int](3)
    begun, ended = asyncio.Event(), asyncio.Event()
    order = []

    async def work(_: Tell) -> int:
        order.append("begun")
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            order.append("ended")
            ended.set()
        raise AssertionError("unreachable")

    async def quick(_: Tell) -> int:
        order.append("quick")
        return 1

    watching = [asyncio.create_task(shared.run("a", "layer", work, Heard())) for _ in range(2)]
    await begun.wait()
    watching[0].cancel()
    await asyncio.wait({watching[0]})
    assert not ended.is_set()
    watching[1].cancel()
    await asyncio.sleep(0)
    # Left by now, not ended: the next one begins when this one has let go.
    assert order == ["begun"]
    assert await shared.run("a", "layer", quick, Heard()) == 1
    assert order == ["begun", "ended", "quick"]


async def test_only_so_many_at_a_time() -> None:
    shared = SharedWork[int, int](2)
    running = most = 0
    go_on = asyncio.Event()

    def numbered(number: int) -> Callable[[Tell], object]:
        async def work(_: Tell) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await go_on.wait()
            running -= 1
            return number

        return work

    heard = [Heard() for _ in range(5)]
    tasks = [
        asyncio.create_task(shared.run(n, "layer", numbered(n), heard[n]))  # type: ignore[arg-type]
        for n in range(5)
    ]
    await asyncio.gather(*(heard[n].news.wait() for n in range(2, 5)))
    go_on.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4]
    assert most == 2
    assert [one.actions for one in heard] == [[], [], *[["Waiting"]] * 3]


async def test_amounts_that_nobody_has_seen_are_dropped_states_are_not() -> None:
    shared = SharedWork[str, int](1)
    heard = Heard()

    async def work(tell: Tell) -> int:
        for current in range(11):
            tell(told("Downloading", current))
        tell(told("Verifying Checksum"))
        tell(told("Download complete"))
        return 1

    await shared.run("a", "layer", work, heard)
    assert heard.events == [
        told("Downloading", 10),
        told("Verifying Checksum"),
        told("Download complete"),
    ]


async def test_a_meter_tells_the_end_and_little_else() -> None:
    events: list[LayerProgress] = []
    meter = Meter(events.append, "layer", "Pushing", 100_000)
    for current in range(0, 100_001, 100):
        meter(current)
    assert events[-1] == LayerProgress("layer", "Pushing", 100_000, 100_000)
    assert len(events) < 50


@pytest.mark.parametrize("total", [0, 5, 1 << 40])
async def test_a_meter_may_go_back(total: int) -> None:
    events: list[LayerProgress] = []
    meter = Meter(events.append, "layer", "Pushing", total)
    meter(total)
    meter(0)
    assert [event.current for event in events][:1] == [total]


async def test_a_wait_is_counted_down() -> None:
    events: list[LayerProgress] = []
    begun = asyncio.get_running_loop().time()
    await counted_down(events.append, "layer")(1.2)
    assert asyncio.get_running_loop().time() - begun >= 1.2
    assert {event.action for event in events} == {"Retrying in 1 second"}
