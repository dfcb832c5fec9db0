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
