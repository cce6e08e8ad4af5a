"""Closing does not keep its caller waiting, and waits side by side."""

from __future__ import annotations

import subprocess
import sys
import threading

from inband.datapath.closing import THREADS, close_soon

PATIENCE_S = 10.0


class Slow:
    """Is closed when all others are about to be, as within one grace period."""

    def __init__(self, together: threading.Barrier) -> None:
        self._together = together
        self.done = threading.Event()

    def close(self) -> None:
        self._together.wait(PATIENCE_S)
        self.done.set()


def test_the_caller_goes_on_and_several_are_closed_at_once() -> None:
    together = threading.Barrier(THREADS + 1)
    closing = [Slow(together) for _ in range(THREADS)]

    for each in closing:
        close_soon(each)

    assert not any(each.done.is_set() for each in closing)
    together.wait(PATIENCE_S)
    assert all(each.done.wait(PATIENCE_S) for each in closing)


AT_THE_END = """
import atexit
from inband.datapath.closing import close_soon

class Said:
    def close(self):
        print("closed", flush=True)

close_soon(Said())
atexit.register(close_soon, Said())  # when threads have ended already
"""


def test_a_process_that_ends_has_closed_all() -> None:
    done = subprocess.run([sys.executable, "-c", AT_THE_END], capture_output=True, text=True, timeout=20, check=False)

    assert (done.stdout, done.stderr) == ("closed\nclosed\n", "")
