"""Stations that come and go: `python -m lab.stations INTERFACE SIDE PER_SECOND`, on two hosts with SIDE 0 and 1.

So many times a second a new station speaks, once, to the one of the other side that came before it. The number of a
station follows from the clock, so that both sides know each other's.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time

_BEFORE = 5
_ETH_TYPE = b"\x88\xb5"  # for local experiments (IEEE 802)


def mac(side: int, number: int) -> bytes:
    """A station's address: locally administered, of one host."""
    return bytes((0x02, 0xB0 + side)) + (number & 0xFFFFFFFF).to_bytes(4, "big")


def frame(side: int, number: int) -> bytes:
    """What a station says."""
    return mac(1 - side, number - _BEFORE) + mac(side, number) + _ETH_TYPE + bytes(46)


def main(interface: str, side: int, per_second: float) -> None:
    """Speak until the process is ended."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((interface, 0))
    while True:
        with contextlib.suppress(OSError):  # the link is down
            wire.send(frame(side, int(time.monotonic() * per_second)))
        time.sleep(1 / per_second)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
