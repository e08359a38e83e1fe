"""Programs of this checkout, run as if they were installed."""

import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"


def environment(*modules: Path) -> dict[str, str]:
    """The environment in which Python finds Lamina, and what is in other directories.

    Where this process writes no bytecode, those programs do: what is installed has it, and without
    it a start takes half as long again.
    """
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    paths = [str(SOURCE), *map(str, modules), kept.get("PYTHONPATH", "")]
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
