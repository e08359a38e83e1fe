"""The C library's heaps, of which a daemon needs few."""

import ctypes
import sys

_M_ARENA_MAX = -8
_HEAPS = 2


def share_heaps() -> None:
    """Let all threads allocate from two heaps; to be called before there are threads.

    glibc gives threads up to eight heaps a processor. Layers go from thread to thread in large
    pieces, and what one heap has got back no other one can use: with several layers on their way
    that is tens of megabytes. Other C libraries know no such setting.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, _HEAPS)
