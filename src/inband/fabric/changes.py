"""Changes of the topology that switches tell each other, hop by hop: which are new, and how many are believed.

A change starts questions and nothing else. So what a liar can do is to have questions asked: PER_PORT a second for each
port that he is on, IN_ALL together.

Invariants: a change that was seen is not passed on again, so none circles; memory is MAX_ORIGINS entries.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from inband.fabric.hello import Change, is_newer
from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant
from inband.vocabulary.rate_limit import RateLimit

MAX_HOPS = 64
MAX_ORIGINS = 1024
PER_PORT, IN_ALL = 5.0, 20.0
"""Changes a second; as many may come at once."""


@dataclass(slots=True)
class Changes:
    """Those of one switch and those that it has heard of; ``refused`` counts those that were too many."""

    switch: int
    boot: int
    refused: int = 0
    own: int = 0
    taken: int = 0
    _last: dict[tuple[int, int], int] = field(default_factory=dict)
    _by_port: dict[PortNo, RateLimit] = field(default_factory=dict)
    _all: RateLimit = field(default_factory=lambda: RateLimit(IN_ALL, IN_ALL))

    @property
    def origins(self) -> int:
        """How many switches' changes are remembered."""
        return len(self._last)

    def originate(self, now: Instant) -> Change | None:
        """Something changed at this switch; None if it did so often of late that no one hears of it."""
        if not self._all.take(now):
            self.refused += 1
            return None
        self.own += 1
        return Change(self.switch, self.boot, self.own, MAX_HOPS)

    def accept(self, change: Change, port: PortNo, now: Instant) -> Change | None:
        """A neighbour tells of a change: what to pass on and to act upon, or None if it is not new or one too many."""
        origin = (change.switch, change.boot)
        last = self._last.get(origin)
        if origin == (self.switch, self.boot) or (last is not None and not is_newer(change.number, last)):
            return None
        if not (self._by_port.setdefault(port, RateLimit(PER_PORT, PER_PORT)).take(now) and self._all.take(now)):
            self.refused += 1
            return None
        self._last.pop(origin, None)
        while len(self._last) >= MAX_ORIGINS:
            del self._last[next(iter(self._last))]
        self._last[origin] = change.number
        self.taken += 1
        hops = min(change.hops, MAX_HOPS)
        return Change(change.switch, change.boot, change.number, max(0, hops - 1))

    def forget_port(self, port: PortNo) -> None:
        """A port is gone."""
        self._by_port.pop(port, None)
