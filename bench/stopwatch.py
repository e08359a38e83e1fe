"""How time is taken."""

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds between entering and leaving."""

    seconds = 0.0


@contextmanager
def timed() -> Iterator[Stopwatch]:
    """Time a block, after everything earlier has reached the disk: nobody pays another's writes."""
    os.sync()
    gc.collect()
    watch = Stopwatch()
    start = time.perf_counter()
    yield watch
    watch.seconds = time.perf_counter() - start
