"""How many heaps glibc keeps for the threads of a process."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"), reason="there is no glibc here"
)
THREAD = """
import ctypes, threading
from kuartui.tui import heap
{first}
libc = ctypes.CDLL(None)
libc.fopen.restype = libc.malloc.restype = ctypes.c_void_p
thread = threading.Thread(target=lambda: libc.malloc(100))
thread.start()
thread.join()
libc.malloc_info(0, ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w")))
libc.fflush(None)
"""


@pytest.mark.parametrize(("first", "heaps"), [("heap.keep_whole()", 1), ("", 2)])
def test_threads_share_one_heap(first: str, heaps: int) -> None:
    code = THREAD.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("<heap nr=") == heaps


HOLES = """
import ctypes, re
from pathlib import Path
from kuartui.tui import heap
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
blocks = [libc.malloc(60_000) for _ in range(200)]
for block in blocks:
    ctypes.memset(ctypes.c_void_p(block), 1, 60_000)
for block in blocks[:-1]:
    libc.free(block)  # below the last one, so that the heap cannot simply end sooner
def used(): return int(re.search(r"^Rss:\\s+(\\d+)", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)[1])
before = used()
heap.trim()
print(before - used())
"""


def test_what_is_free_within_the_heap_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 10_000  # KiB, of 12 MB
