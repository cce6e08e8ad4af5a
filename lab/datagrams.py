"""A stream of numbered datagrams between two namespaces, and which of them arrived when.

python -m lab.datagrams send ADDRESS PORT PER_SECOND    until it is ended
python -m lab.datagrams receive ADDRESS PORT            says `listening`; on SIGTERM one JSON line, see ``Arrived``
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass

from lab.journal import until
from lab.net import Namespace
from lab.process import Process

PORT = 5000
START_S = 20.0
_NUMBER = struct.Struct("!Q")


@dataclass(slots=True)
class Arrived:
    """What a receiver saw: how many of how many (first to last number), and the longest time without any."""

    received: int = 0
    expected: int = 0
    longest_gap_s: float = 0.0

    @property
    def lost(self) -> int:
        """Datagrams that did not come, between the first and the last that did."""
        return self.expected - self.received


class Stream:
    """A sender and a receiver in namespaces, from now on."""

    def __init__(self, sender: Namespace, receiver: Namespace, address: str, per_second: int) -> None:
        command = (sys.executable, "-m", "lab.datagrams")
        self._receiver = receiver.start(*command, "receive", address, str(PORT), label="receive")
        if not until(lambda: "listening" in self._receiver.tail(), START_S):
            raise AssertionError(f"the receiver did not start:\n{self._receiver.tail()}")
        self._sender: Process = sender.start(*command, "send", address, str(PORT), str(per_second), label="send")

    def end(self) -> Arrived:
        """Stop, the sender first; what arrived."""
        self._sender.stop()
        time.sleep(0.2)  # what is on its way
        self._receiver.stop()
        return Arrived(**json.loads(self._receiver.tail(1)))


def send(address: str, port: int, per_second: int) -> None:
    """Send at this rate, and catch up after a pause that others' work caused."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((address, port))
    start, number = time.monotonic(), 0
    while True:
        while number < (time.monotonic() - start) * per_second:
            with contextlib.suppress(OSError):  # the receiver's host is not there yet
                sender.send(_NUMBER.pack(number))
            number += 1
        time.sleep(1 / per_second)


def receive(address: str, port: int) -> None:
    """Count until SIGTERM."""
    arrived, first, last_at = Arrived(), -1, 0.0
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    receiver.bind((address, port))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("listening", flush=True)
    try:
        while True:
            (number,) = _NUMBER.unpack(receiver.recv(100))
            now = time.monotonic()
            if first < 0:
                first, last_at = number, now
            arrived.received += 1
            arrived.expected = max(arrived.expected, number - first + 1)
            arrived.longest_gap_s, last_at = max(arrived.longest_gap_s, now - last_at), now
    finally:
        print(json.dumps(asdict(arrived)), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["send", to, port, rate]:
            send(to, int(port), int(rate))
        case ["receive", at, port]:
            receive(at, int(port))
