"""The benchmark runs, on small images: numbers nobody can reproduce are none."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.fixtures import FULL, Fixtures
from bench.measure import Result, Samples
from bench.plot import svg
from bench.report import as_json, conditions, insert_table, markdown
from bench.rows import SECTIONS, titles
from bench.scenario import Row
from tests.real.checkout import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(900)
def test_every_row_is_measured_on_both_engines(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--runs=1", f"--work={tmp_path}"],
        cwd=tmp_path,
        env=environment(ROOT),
        capture_output=True,
        text=True,
        check=False,
        timeout=850,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = sum(len(scenario.rows) for section in SECTIONS.values() for scenario in section)
    assert len(done.stdout.splitlines()) == 1 + rows


def test_nothing_is_left_of_one_that_is_ended(tmp_path: Path, engines: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "--quick", f"--work={tmp_path}", f"--engines={engines}"],
        cwd=tmp_path,
        env=environment(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert "dockerd" in process.stdout.readline()
        assert list(engines.iterdir()) != []
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
    assert list(engines.iterdir()) == []


@pytest.fixture
def engines() -> Iterator[Path]:
    """A directory for the engines, short as a socket's path must be."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        yield Path(directory)


def result(row: Row, dockerd: float, *lamina: float) -> Result:
    return Result(row, "tag × 2", Samples((dockerd,)), Samples(lamina))


def test_a_goal_is_met_by_the_median_and_a_limit_by_the_worst() -> None:
    ratio = Row("tag", "", goal_ratio=0.5)
    assert result(ratio, 2.0, 0.1, 1.0, 9.0).meets_goal is True
    assert result(ratio, 2.0, 1.1).meets_goal is False
    limit = Row("peak", "", "B", goal_bytes=200)
    assert result(limit, 1.0, 100, 100, 201).meets_goal is False
    assert result(limit, 1.0, 100, 100, 200).meets_goal is True
    assert result(Row("start", ""), 1.0, 2.0).meets_goal is None


def test_a_goal_may_be_to_beat_the_best_of_those_who_do_the_same() -> None:
    row = Row("pull", "", goal_ratio=0.5, beat_all=True)
    others = {"podman": Samples((4.0,)), "skopeo": Samples((3.0,)), "skopeo dir": Samples((1.0,))}
    fast = Result(row, "pull", Samples((6.0,)), Samples((1.5,)), others)
    assert fast.best == ("skopeo", Samples((3.0,)))
    assert fast.meets_goal is True
    assert Result(row, "pull", Samples((6.0,)), Samples((2.0,)), others).meets_goal is False
    about = conditions(dockerd="20", lamina="0", base="x", runs=1, disk="a disk")
    table = markdown([fast], about)
    assert "| ≤ 0.5 of skopeo's ✓ |" in table
    assert "| pull | 1.50 s | 6.00 s | 4.00 s | 3.00 s | 1.00 s |" in table
    assert json.loads(as_json([fast], about))["rows"][0]["others"]["podman"] == [4.0]


def test_reports_say_the_same() -> None:
    results = [result(Row("tag", "", goal_ratio=0.5), 2.0, 0.5, 0.25, 0.75)]
    about = conditions(dockerd="20", lamina="0", base="x", runs=3, disk="a disk")
    table = markdown(results, about).splitlines()[2]
    assert (
        table
        == "| tag × 2 | 2.00 s | 500 ms | 0.25 | ≤ 0.5 ✓ | 2.00 s – 2.00 s | 250 ms – 750 ms |"
    )
    (row,) = json.loads(as_json(results, about))["rows"]
    assert (row["ratio"], row["lamina"]) == (0.25, [0.5, 0.25, 0.75])
    texts = [element.text for element in ET.fromstring(svg(results)).iter() if element.text]
    assert "tag × 2" in texts
    assert "500 ms : 2.00 s" in texts


def test_the_table_replaces_the_last_one(tmp_path: Path) -> None:
    document = tmp_path / "doc.md"
    text = (ROOT / "docs" / "performance.md").read_text()
    document.write_text(text)
    for section in SECTIONS:
        insert_table(document, section, "first\n")
        insert_table(document, section, f"second {section}\n")
    assert all(f"second {section}\n" in document.read_text() for section in SECTIONS)
    assert "first\n" not in document.read_text()
    assert document.read_text().startswith(text.split("<!--")[0])
    document.write_text("no marks")
    with pytest.raises(ValueError, match="no place"):
        insert_table(document, "images", "x")


def test_titles_name_the_sizes() -> None:
    made = Fixtures(
        big=ROOT,
        rootfs=ROOT,
        parallel=(),
        many=ROOT,
        dangling=ROOT,
        large=ROOT,
        small=ROOT,
        bases=(),
        contexts={},
        base="",
        sizes=FULL,
    )
    assert titles(made)["load"] == "load a 500 MB image of 25,000 entries"
