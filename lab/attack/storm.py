"""A storm of frames that no flow was made for: `python -m lab.attack.storm INTERFACE RATE`.

UDP frames of 512 bytes by AF_PACKET, so many a second, from and to addresses that change with every frame: each is one
more decision for a switch, and one more packet for its controller where the flows say so.
"""

from __future__ import annotations

import itertools
import socket
import time

from lab import frames
from lab.attack import peers

VARIETY = 1 << 12
PAYLOAD = bytes(470)
PAUSE_S = 0.005
MOST_AT_ONCE = 500
"""What is late is caught up, but not so that a sender that was held up floods its switch for it."""


class Storm:
    """Sends what is due, pauses, and so on: no process can send one frame each 50 us."""

    def __init__(self, interface: str, rate: int) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind((interface, 0))
        self._frames = itertools.cycle([_frame(number) for number in range(VARIETY)])
        self._rate = rate
        self._last = time.monotonic()
        self._sent = self._no_room = 0

    def turn(self) -> None:
        """Send what is due; what finds no room is lost, as on a wire."""
        now = time.monotonic()
        due, self._last = int((now - self._last) * self._rate), now
        for frame in itertools.islice(self._frames, min(due, MOST_AT_ONCE)):
            try:
                self._socket.send(frame)
                self._sent += 1
            except OSError:
                self._no_room += 1
        time.sleep(PAUSE_S)

    def totals(self) -> dict[str, int]:
        """Return how many frames were sent, and how many were not."""
        return {"frames": self._sent, "no_room": self._no_room}


def _frame(number: int) -> bytes:
    high, low = divmod(number, 256)
    mac = f"02:00:00:01:{high:02x}:{low:02x}"
    return frames.udp(mac, "02:00:00:02:00:01", f"10.1.{high}.{low}", f"10.2.{high}.{low}", PAYLOAD)


if __name__ == "__main__":
    _interface, _rate = peers.arguments()
    _storm = Storm(_interface, int(_rate))
    peers.attack(_storm.turn, _storm.totals)
