"""Frames past every stack: a sender of numbered frames and a catcher that notes which arrived.

    python -m lab.probe send IF HEX RATE SECONDS     the frame, with a number in its last four bytes
    python -m lab.probe catch IF HEX SECONDS         prints the numbers of the frames whose other bytes
    equal HEX: those of so many seconds, or, once a line came on the standard input, those until none comes any more

As the numbers are in the padding after the packet, no checksum depends on them. A process of its own because it has
to live in a namespace; AF_PACKET because a kernel's stack must neither see nor answer what is sent.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
NUMBER = 4
QUIET_S = 0.5
"""Once all was sent: what does not arrive within this time of the frame before it is lost."""


def send(interface: str, frame: bytes, rate: float, seconds: float) -> int:
    """Send numbered copies at this rate per second; return how many. Late ones are caught up, none is left out."""
    out = _open(interface)
    start = time.monotonic()
    total = int(rate * seconds)
    for number in range(total):
        wait = start + number / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        out.send(frame + struct.pack("!I", number))
    return total


def catch(interface: str, frame: bytes, seconds: float) -> list[int]:
    """Return the numbers of the copies that arrived within this time, or until all was sent and it is quiet."""
    tap = _open(interface)
    tap.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE: a burst must not be lost here
    print("ready", flush=True)
    deadline = time.monotonic() + seconds
    found = []
    told = [sys.stdin]
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([tap, *told], [], [], left if told else min(left, QUIET_S))
        if tap in ready:
            got = tap.recv(65535)
            if got[: len(frame)] == frame and len(got) >= len(frame) + NUMBER:
                found.append(struct.unpack_from("!I", got, len(frame))[0])
        elif ready:
            told = []
        else:
            break
    return found


def _open(interface: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    made.bind((interface, ETH_P_ALL))
    return made


if __name__ == "__main__":
    role, name, text, *numbers = sys.argv[1:]
    if role == "send":
        print(send(name, bytes.fromhex(text), float(numbers[0]), float(numbers[1])))
    else:
        print(*catch(name, bytes.fromhex(text), float(numbers[0])))
