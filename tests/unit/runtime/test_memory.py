"""Memory that was taken for something large goes back to the kernel."""

from __future__ import annotations

import subprocess
import sys

# A large block that is freed raises glibc's limit; then blocks of 1 MiB among small ones that stay.
_CHURN = """
import resource
from inband.runtime.memory import spare_memory

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

spare_memory()
bytearray(30 << 20)
before = resident()
large, small = [], []
for _ in range(64):
    large.append(bytearray(1 << 20))
    small.append(bytearray(2000))
del large
print(resident() - before)
"""


def test_large_blocks_go_back_to_the_kernel() -> None:
    left = subprocess.run([sys.executable, "-c", _CHURN], check=True, capture_output=True, text=True).stdout
    assert int(left) < 8 << 20
