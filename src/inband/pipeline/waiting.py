"""Segments that wait for a way: in a network with a key the next number of a distance brings it in a moment.

When no neighbour may be taken for a station although some tell of a way, a higher number of it is on its way already
(``fabric.distances``). To flood what is for the station meanwhile costs every switch of the network a decision about
each copy, just while all of them have to find new ways: in a ring of eight a third of all work after a failure. So
segments of TCP wait where the way ended, as packets wait in the kernel for the answer of ARP, and leave when there is a
way. It may lead back to where they came from: who sent them has another way by then.

Who gets no way within HOLD_S is searched for, as without a key.

Invariants: MAX_FRAMES and MAX_BYTES bound what waits. A frame waits once, for HOLD_S at most. No clock, no I/O.
"""

from __future__ import annotations

from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.pipeline.stations import Held
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant

# As long as a switch waits before it tells of a change once more, because it has no way (``fabric.ways.STARVED_S``).
HOLD_S = 0.05
MAX_FRAMES, MAX_BYTES = 256, 1 << 18


class Waiting:
    """One bridge's frames, by the MAC address of the station that they are for."""

    def __init__(self) -> None:
        self._until: dict[Mac, Instant] = {}
        self._held: list[tuple[Mac, Held]] = []
        self._bytes = 0
        self._released: list[Held] = []

    def begin(self, mac: Mac, now: Instant) -> None:
        """There is no way to a station for the moment."""
        self._until.setdefault(mac, now + HOLD_S)

    def end(self, mac: Mac) -> None:
        """There is one, or none is to be expected any more: what waits for it is to be decided about."""
        if self._until.pop(mac, None) is None or not self._held:
            return
        released = [held for station, held in self._held if station == mac]
        self._held = [each for each in self._held if each[0] != mac]
        self._bytes -= sum(len(frame.data) for _, frame in released)
        self._released += released

    def expects(self, mac: int, now: Instant) -> bool:
        """Whether a way to a station is to come soon."""
        return now < self._until.get(Mac(mac), now) if self._until else False

    def hold(self, mac: Mac, in_port: PortNo, frame: Frame) -> bool:
        """Keep a frame for a station that is expected; False: there is no room for it."""
        if len(self._held) >= MAX_FRAMES or self._bytes + len(frame.data) > MAX_BYTES:
            return False
        self._held.append((mac, (in_port, frame)))
        self._bytes += len(frame.data)
        return True

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return min(self._until.values(), default=None)

    def run(self, now: Instant) -> None:
        """Have what has waited for too long decided about."""
        for mac in [mac for mac, until in self._until.items() if until <= now]:
            self.end(mac)

    def take_released(self) -> list[Held]:
        """What is to be decided about now, in the order in which it came."""
        released, self._released = self._released, []
        return released
