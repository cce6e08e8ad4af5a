"""Packet sockets are closed in threads: the kernel waits with each until no processor looks at it any more.

That is 11 ms and more (packet_release of net/packet/af_packet.c, which waits for a grace period of RCU). Several wait
side by side, and the event loop waits for none.

Invariants: whoever hands a socket over has taken it out of what watches it, and does nothing with it afterwards. A
process that ends waits for them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Protocol

# One that waits takes no processor: this is how many sockets go within one grace period.
THREADS = 8


class Closable(Protocol):
    """A socket."""

    def close(self) -> None:
        """Give the descriptor back."""


def close_soon(closable: Closable) -> None:
    """Have it closed, soon. Does not block."""
    try:
        _threads().submit(closable.close)
    except RuntimeError:  # the process ends, and has no threads any more
        closable.close()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "inband-closing")
