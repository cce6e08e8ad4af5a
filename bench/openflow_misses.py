"""Frames whose decision is not cached: `python -m bench.openflow_misses OUT IN COUNT WINDOW [sources]`.

Sends COUNT frames, each to another host ("sources": each from another one), out of interface OUT; they are to come back
by interface IN. At most WINDOW are under way, so that nothing is lost in a queue. Prints frames a second and, in
microseconds, the median of how long one was under way. A frame that does not come back within a second ends it.
"""

from __future__ import annotations

import socket
import statistics
import sys
import time
from collections.abc import Sequence

from bench.openflow_load import frame

_TO, _FROM = bytes.fromhex("02000000000b"), bytes.fromhex("02000000000a")
_ETH_P_ALL = 3


def from_new_host(number: int) -> bytes:
    """A frame to a host that is not known, from one that is new."""
    return _TO + (0x025A00000000 + number).to_bytes(6, "big") + frame(number)[12:]


def misses(out: str, back: str, frames: Sequence[bytes], window: int) -> tuple[float, float]:
    """Frames a second, and the median way in microseconds."""
    count = len(frames)
    sender, receiver = _open(out, 0), _open(back, _ETH_P_ALL)
    receiver.settimeout(1.0)
    senders = {each[6:12] for each in frames}
    sent_at: list[float] = []
    ways: list[float] = []
    start = time.perf_counter()
    while len(ways) < count:
        while len(sent_at) < min(count, len(ways) + window):
            sent_at.append(time.perf_counter())
            sender.send(frames[len(sent_at) - 1])
        received = receiver.recv(2048)
        if received[:6] == _TO and received[6:12] in senders:
            ways.append(time.perf_counter() - sent_at[len(ways)])
    return count / (time.perf_counter() - start), statistics.median(ways) * 1e6


def _open(interface: str, protocol: int) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
    opened.bind((interface, protocol))
    return opened


if __name__ == "__main__":
    _out, _back, _count, _window, *_sources = sys.argv[1:]
    _frames = [*map(from_new_host if _sources else frame, range(int(_count)))]
    print(*misses(_out, _back, _frames, int(_window)))
