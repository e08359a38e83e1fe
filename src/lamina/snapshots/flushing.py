"""Having the disk take what was unpacked, when nobody waits for that disk any more."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from lamina.oci.digest import Digest

__all__ = ["Flusher"]

PATIENCE: Final = 10.0
"""Seconds: an image is unpacked to be used at once, and its user would wait for the same disk."""


class Flusher:
    """Calls `flush` with trees that were made, some seconds after the first of them."""

    def __init__(self, flush: Callable[[list[Digest]], None], *, patience: float) -> None:
        self._flush = flush
        self._patience = patience
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="snapshots-flush")
        self._lock = threading.Lock()
        self._waiting: list[Digest] = []
        self._closing = threading.Event()

    def add(self, chain_id: Digest) -> None:
        """Say that a tree was made."""
        with self._lock:
            self._waiting.append(chain_id)
            if len(self._waiting) == 1:
                self._thread.submit(self._flush_later)

    def close(self) -> None:
        """End. Trees that still wait are for this boot only, which costs no more than time."""
        with self._lock:
            self._waiting = []
        self._closing.set()
        self._thread.shutdown()

    def _flush_later(self) -> None:
        self._closing.wait(self._patience)
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if waiting:
            self._flush(waiting)
