import subprocess
import sys
from pathlib import Path

_COUNT_HEAPS = """
import ctypes, sys, threading
from lamina.daemon.heaps import share_heaps

if sys.argv[2] == "shared":
    share_heaps()
together = threading.Barrier(8)

def allocate():
    together.wait()
    kept = [bytearray(5000) for _ in range(200)]
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def _heaps(told: Path, how: str) -> int:
    subprocess.run([sys.executable, "-c", _COUNT_HEAPS, str(told), how], check=True)
    return told.read_text().count("<heap nr=")


def test_threads_share_two_heaps(tmp_path: Path) -> None:
    assert _heaps(tmp_path / "own", "own") > 2
    assert _heaps(tmp_path / "shared", "shared") == 2
