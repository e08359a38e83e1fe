"""Results as a table to read, a table to keep and JSON to compare."""

import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Result, Samples


@dataclass(frozen=True)
class Conditions:
    """What the numbers hold for."""

    dockerd: str
    lamina: str
    base: str
    runs: int
    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    disk: str
    load: float
    """What else the machine did: the load average when the run began."""

    @property
    def sentence(self) -> str:
        return (
            f"dockerd {self.dockerd}, Lamina {self.lamina}; {self.runs} runs each, in turns, after "
            f"one to warm up; {self.cores} × {self.cpu}, {self.memory_bytes / 1e9:.0f} GB, "
            f"Linux {self.kernel}, Python {self.python}; data on {self.disk}; load "
            f"average before: {self.load:.1f}; image: {self.base}."
        )


def conditions(*, dockerd: str, lamina: str, base: str, runs: int, disk: str) -> Conditions:
    """Describe this machine, without naming it."""
    cpu_info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", cpu_info, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return Conditions(
        dockerd=dockerd,
        lamina=lamina,
        base=base,
        runs=runs,
        cpu=model[1].strip() if model else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=int(memory[1]) * 1024 if memory else 0,
        kernel=platform.release(),
        python=platform.python_version(),
        disk=disk,
        load=round(os.getloadavg()[0], 1),
    )


def amount(value: float, unit: str) -> str:
    """A value in the unit a reader wants: seconds or milliseconds, megabytes."""
    if unit == "B":
        return f"{value / 1e6:,.0f} MB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def spread(samples: Samples, unit: str) -> str:
    """How far the runs lay apart."""
    return f"{amount(samples.least, unit)} – {amount(samples.most, unit)}"


def goal(result: Result) -> str:
    row = result.row
    if row.goal_ratio is not None:
        text = f"≤ {row.goal_ratio:.2g}"
        if row.beat_all and (name := result.best[0]) != "dockerd":
            text += f" of {name}'s"
    elif row.goal_bytes is not None:
        text = f"≤ {amount(row.goal_bytes, 'B')}"
    else:
        return ""
    return f"{text} {'✓' if result.meets_goal else '✗'}"


HEADINGS = ("", "dockerd", "Lamina", "ratio", "goal", "dockerd, min – max", "Lamina, min – max")


def cells(result: Result) -> tuple[str, ...]:
    unit = result.row.unit
    return (
        result.title,
        amount(result.dockerd.median, unit),
        amount(result.lamina.median, unit),
        f"{result.ratio:.2f}",
        goal(result),
        spread(result.dockerd, unit),
        spread(result.lamina, unit),
    )


def markdown(results: Sequence[Result], about: Conditions) -> str:
    """The table, and under it what it holds for."""
    lines = [
        "| " + " | ".join(HEADINGS) + " |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *("| " + " | ".join(cells(result)) + " |" for result in results),
        "",
        *_beside_tools(results),
        about.sentence,
    ]
    return "\n".join(lines) + "\n"


def _beside_tools(results: Sequence[Result]) -> list[str]:
    """A second table: the rows that podman and skopeo were measured in."""
    names = list(dict.fromkeys(name for result in results for name in result.others))
    if not names:
        return []
    lines = [f"| | Lamina | dockerd | {' | '.join(names)} |", "|---|" + "--:|" * (len(names) + 2)]
    for result in results:
        if result.others:
            unit = result.row.unit
            columns = [result.lamina, result.dockerd, *map(result.others.get, names)]
            texts = ["" if one is None else amount(one.median, unit) for one in columns]
            lines.append(f"| {result.title} | " + " | ".join(texts) + " |")
    return [*lines, ""]


def as_json(results: Sequence[Result], about: Conditions) -> str:
    """Everything that was measured, one object a row."""
    rows = [
        {
            "key": result.row.key,
            "title": result.title,
            "unit": result.row.unit,
            "dockerd": list(result.dockerd.values),
            "lamina": list(result.lamina.values),
            "others": {name: list(samples.values) for name, samples in result.others.items()},
            "ratio": round(result.ratio, 4),
            "meets_goal": result.meets_goal,
        }
        for result in results
    ]
    return json.dumps({"conditions": vars(about), "rows": rows}, indent=1, ensure_ascii=False)


def insert_table(document: Path, section: str, table: str) -> None:
    """Replace what stands between the two marks of a section. Raises ValueError without them."""
    first, last = f"<!-- {section}: written by `make bench` -->", f"<!-- end of {section} -->"
    before, start, rest = document.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not start or not end:
        raise ValueError(f"{document} has no place for the table of {section}")
    document.write_text(f"{before}{start}\n{table}{end}{after}")
