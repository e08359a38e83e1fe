"""Whether the records have changed, told by sixteen bytes of memory that all processes share.

SQLite could be asked before every read: for two locks and a query, which is nothing, and a third of
what a small request takes. So a writer says in a mapped file what it is about: the generation that
it is going to commit, and that it has committed it. Where both are the generation that a reader
has, the reader has the latest. In every other case it asks the database.

A writer writes the first under the database's write lock and before it commits, so that nothing
can be committed of which the mark does not tell. It writes the second after it let go of the lock,
and may be killed before it does: then the mark tells of a change that is not there, until another
is made or a process opens the records.
"""

import mmap
import os
from pathlib import Path

_BEGUN, _ENDED = 0, 1
_SIZE = 16


class Mark:
    """The mark at `path`, made if there is none. Raises OSError (the disk is full)."""

    def __init__(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Neither cuts off nor overwrites what others have in it; room that is not there now
            # would be missed as a signal that kills.
            os.posix_fallocate(file, 0, _SIZE)
            self._memory = mmap.mmap(file, _SIZE)
        finally:
            os.close(file)
        self._numbers = memoryview(self._memory).cast("Q")

    def begin(self, generation: int) -> None:
        """This generation is going to be committed; for who holds the write lock."""
        self._numbers[_BEGUN] = generation

    def end(self, generation: int) -> None:
        """It is committed."""
        # The next writer may have been quicker.
        self._numbers[_ENDED] = max(self._numbers[_ENDED], generation)

    def reset(self, generation: int) -> None:
        """This one is committed, and no other under way; for who holds the write lock."""
        self._numbers[_BEGUN] = self._numbers[_ENDED] = generation

    def is_at(self, generation: int) -> bool:
        """Whether this generation is surely the latest."""
        numbers = self._numbers
        return numbers[_ENDED] == generation == numbers[_BEGUN]

    def close(self) -> None:
        """Let go of the memory."""
        self._numbers.release()
        self._memory.close()
