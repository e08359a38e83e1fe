"""Where an engine keeps everything if nobody says where: the one place that decides it."""

from collections.abc import Mapping
from pathlib import Path


def default_root(environ: Mapping[str, str], *, uid: int) -> Path:
    """``/var/lib/lamina``; for others than root ``lamina`` where the user's data is.

    That is ``$XDG_DATA_HOME``, which counts only if it is absolute (XDG Base Directory
    Specification), or else ``~/.local/share``.
    """
    if not uid:
        return Path("/var/lib/lamina")
    data = Path(environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():
        data = Path(environ.get("HOME") or "/", ".local/share")
    return data / "lamina"
