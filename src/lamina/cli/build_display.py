"""The live display of a build: its steps side by side, how long they take, what they write."""

import shutil
import time
from collections import deque

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lamina.cli.build_board import Board, Step, summary
from lamina.cli.build_progress import warning_text
from lamina.cli.plain_text import one_line, written
from lamina.progress import BuildWarning, Event, StreamText
from lamina.units import human_size

_MARKS = {
    "running": ("=>", "cyan"),
    "cached": ("✓", "blue"),
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("–", "yellow"),
}
_OUTPUT_LINES = 4
_LOG_LINES = 200
_KEPT_TEXTS = 1000
_RESULT = "Successfully "
_WARNINGS = ("[Warning]", " ---> [Warning]")
"""How the text of a build begins that no step's line says."""


class LiveDisplay:
    """Draws on stderr. What is worth keeping stays there when the build has ended."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._to_stderr = to_stderr
        self._board = Board()
        self._begun = time.time_ns()
        self._warnings: deque[str] = deque(maxlen=_KEPT_TEXTS)
        self._results: deque[str] = deque(maxlen=_KEPT_TEXTS)
        console = Console(stderr=True, highlight=False)
        self._live = Live(
            console=console,
            refresh_per_second=10,
            get_renderable=self._draw,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def show(self, event: Event) -> None:
        """Take an event; drawing happens by itself."""
        if isinstance(event, BuildWarning):
            self._warnings.append(warning_text(event))
        elif isinstance(event, StreamText):
            self._hear(event.text)
        self._board.take(event)

    def _hear(self, text: str) -> None:
        if text.startswith(_RESULT):
            self._results.append(text)
            return
        # A command may say so, too: of a result nothing comes after it.
        self._results.clear()
        if text.startswith(_WARNINGS):
            self._warnings.append(text)

    def close(self) -> None:
        """End the drawing with how everything stands, and say what there is to say."""
        now = time.time_ns()
        self._board.end(now)
        self._live.stop()
        if (failed := self._board.failed()) is not None:
            for line in failed.last_lines(_LOG_LINES):
                click.echo(f"  {line}", err=True)
        for line in summary(self._board, (now - self._begun) / 1e9):
            click.echo(line, err=True)
        for text in self._warnings:
            click.echo(written(text.rstrip("\n")), err=True)
        if self._board.failed() is None:
            for text in self._results:
                click.echo(written(text.rstrip("\n")), err=self._to_stderr)

    def _draw(self) -> Text:
        now = time.time_ns()
        steps = self._board.steps
        done = sum(step.state != "running" for step in steps)
        size = shutil.get_terminal_size()
        seconds = (now - self._begun) / 1e9
        lines = [Text(f"Building {seconds:.1f}s ({done}/{self._board.total})", "bold")]
        body: list[Text] = []
        for step in steps:
            body.append(_line(step, now, size.columns))
            if step.state == "running":
                body += [
                    Text(f"   {line}"[: size.columns - 1], "dim")
                    for line in step.last_lines(_OUTPUT_LINES)
                ]
        body += self._pulling(size.columns)
        if not self._board.is_over:
            # What is drawn again and again has to fit; all steps are shown when it has ended.
            body = body[-max(size.lines - 2, 1) :]
        return Text("\n").join(lines + body)

    def _pulling(self, columns: int) -> list[Text]:
        if self._board.is_over:
            return []
        texts = []
        for layer in self._board.pulling:
            amount = ""
            if layer.current is not None:
                amount = f" {human_size(layer.current)}"
                amount += f"/{human_size(layer.total)}" if layer.total else ""
            line = one_line(f"   {layer.id}: {layer.action}{amount}")
            texts.append(Text(line[: columns - 1], "dim"))
        return texts


def _line(step: Step, now: int, columns: int) -> Text:
    """One step on one line, its time at the right."""
    mark, style = _MARKS[step.state]
    note = "CACHED" if step.state == "cached" else f"{step.seconds(now):.1f}s"
    if step.state == "cancelled":
        note = "CANCELLED"
    room = max(columns - len(note) - len(mark) - 4, 10)
    title = step.title if len(step.title) <= room else f"{step.title[: room - 1]}…"
    return Text.assemble((f"{mark} ", style), title.ljust(room + 1), (note, "dim"))
