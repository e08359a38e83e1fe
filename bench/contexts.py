"""What is built: Dockerfiles with their contexts, as directories and as the tars of them."""

import io
import random
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

BASE = "bench/base:1"
PYTHON = "bench/python:1"
EPOCH = 1_700_000_000
MIB = 1 << 20

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Context:
    """One build context: `directory` for tools that read one, `tar` for engines that get it."""

    directory: Path
    tar: Path


@dataclass(frozen=True)
class ContextSizes:
    """How much is built."""

    metadata: int = 30
    files: int = 10_000
    large: int = 200 * MIB
    runs: int = 20
    stages: int = 4
    sleep: float = 1.0


def make_contexts(work: Path, sizes: ContextSizes, *, has_python: bool) -> dict[str, Context]:
    """Every context by its name, made below `work` where it is missing."""
    makers: dict[str, Callable[[], Files]] = {
        "metadata": lambda: _metadata(sizes.metadata),
        "files": lambda: _many_files(sizes.files),
        "large": lambda: _large_files(sizes.large),
        "runs": lambda: _runs(sizes.runs),
        "stages": lambda: _stages(sizes.stages, sizes.sleep),
        "project": lambda: _project(has_python=has_python),
    }
    return {name: _made(work / name, make) for name, make in makers.items()}


def _made(directory: Path, make: Callable[[], Files]) -> Context:
    tar = directory.with_suffix(".tar")
    if not tar.exists():
        files = make()
        for name, data in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        partial = tar.with_suffix(".partial")
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mtime, info.mode = len(data), EPOCH, 0o644
                archive.addfile(info, io.BytesIO(data))
        partial.rename(tar)
    return Context(directory, tar)


def _dockerfile(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _metadata(count: int) -> Files:
    kinds = ("ENV NAME_{n}=value", "LABEL label.{n}=value", "EXPOSE {n}")
    lines = [kinds[n % len(kinds)].format(n=n + 1) for n in range(count)]
    return {"Dockerfile": _dockerfile(f"FROM {BASE}", *lines)}


def _many_files(count: int) -> Files:
    chance = random.Random(1)
    files = {
        f"src/{n // 100:03d}/{n:05d}.txt": chance.randbytes(chance.randint(100, 2000))
        for n in range(count)
    }
    return {"Dockerfile": _dockerfile(f"FROM {BASE}", "COPY src /srv/src/"), **files}


def _large_files(total: int) -> Files:
    chance = random.Random(2)
    files = {f"data/{n:03d}.bin": chance.randbytes(MIB) for n in range(total // MIB)}
    return {"Dockerfile": _dockerfile(f"FROM {BASE}", "COPY data /srv/data/"), **files}


def _runs(count: int) -> Files:
    lines = [f"RUN echo {n} > /step-{n}" for n in range(count)]
    return {"Dockerfile": _dockerfile(f"FROM {BASE}", *lines)}


def _stages(count: int, seconds: float) -> Files:
    lines = []
    for n in range(count):
        lines += [f"FROM {BASE} AS stage{n}", f"RUN sleep {seconds:g} && echo {n} > /made-{n}"]
    lines.append(f"FROM {BASE}")
    lines += [f"COPY --from=stage{n} /made-{n} /" for n in range(count)]
    return {"Dockerfile": _dockerfile(*lines)}


def _project(*, has_python: bool) -> Files:
    """An application with its packages in an index of its own, built in one stage, kept in another.

    Without a Debian that has Python, the packages are copied instead of installed.
    """
    packages = [f"part{n}" for n in range(12)]
    files: dict[str, bytes] = {
        f"wheels/{name}-1.0-py3-none-any.whl": _wheel(name, modules=60) for name in packages
    }
    application = "".join(f"import {name}.module0\n" for name in packages) + "print('built')\n"
    files |= {
        "src/application/__main__.py": application.encode(),
        "src/application/__init__.py": b"",
    }
    files |= {
        f"src/application/page{n}.py": b"TEXT = '''" + b"word " * 500 + b"'''\n" for n in range(80)
    }
    if has_python:
        lines = [
            f"FROM {PYTHON} AS build",
            "RUN python3 -m venv /opt/venv",
            "COPY wheels /wheels/",
            f"RUN /opt/venv/bin/pip install --no-index --find-links=/wheels {' '.join(packages)}",
            f"FROM {PYTHON}",
            "ENV PATH=/opt/venv/bin:/usr/bin:/bin PYTHONPATH=/app",
            "WORKDIR /app",
            "COPY --from=build /opt/venv /opt/venv",
            "COPY src .",
            "RUN python3 -m application",
            'CMD ["python3", "-m", "application"]',
        ]
    else:
        lines = [
            f"FROM {BASE} AS build",
            "COPY wheels /wheels/",
            "RUN mkdir /opt && cp -r /wheels /opt/venv",
            f"FROM {BASE}",
            "WORKDIR /app",
            "COPY --from=build /opt/venv /opt/venv",
            "COPY src .",
            "RUN test -e application/__main__.py",
            'CMD ["true"]',
        ]
    return {"Dockerfile": _dockerfile(*lines), **files}


def _wheel(name: str, *, modules: int) -> bytes:
    """A wheel of some size: a zip with the metadata that pip asks for."""
    record = f"{name}-1.0.dist-info"
    members = {f"{name}/__init__.py": ""}
    for n in range(modules):
        body = "\n".join(f"def function{k}(value):\n    return value + {k}" for k in range(40))
        members[f"{name}/module{n}.py"] = body + "\n"
    members |= {
        f"{record}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{record}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    names = [*members, f"{record}/RECORD"]
    members[f"{record}/RECORD"] = "".join(f"{member},,\n" for member in names)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member, (2024, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()
