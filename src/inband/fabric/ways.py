"""A bridge's distances and what its neighbours are told of them: ``distances``, and an ``exchange`` for each neighbour.

With each change of the topology the numbers of what this switch has are raised, at most RAISES_PER_S times a second. A
station that neighbours have a way to, and none that may be taken, is a reason to tell of a change: after STARVED_S, and
then more and more seldom.

Invariants: for LISTEN_S after its start a switch takes no neighbour, for it does not know whether it is on a way that
goes by itself: so long each neighbour needs at most to notice that it has started anew. No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator

from inband.fabric.distances import Distances, Station
from inband.fabric.exchange import Exchange
from inband.fabric.update import Update
from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant, earliest
from inband.vocabulary.rate_limit import RateLimit

# Three hellos of a link that is idle, and as much again as a timer is late.
LISTEN_S = 3.5
RAISES_PER_S, RAISES_AT_ONCE = 4.0, 5.0
STARVED_S, MAX_STARVED_S = 0.05, 5.0
# A station behind a port is one hop away; LOCAL is here.
_AT_PORT, _HERE = 1, 0


class Ways:
    """Of one switch, which began at ``now`` to believe its neighbours."""

    def __init__(self, now: Instant) -> None:
        self.distances = Distances()
        self.distances.listen(listens=True)
        self._listens_until: Instant | None = now + LISTEN_S
        self._exchanges: dict[PortNo, tuple[int, Exchange]] = {}
        self._requests = 0
        self._local: frozenset[Station] = frozenset()
        self._proven: frozenset[Station] = frozenset()
        self._raises = RateLimit(RAISES_PER_S, RAISES_AT_ONCE)
        self._raise_at: Instant | None = None
        self._starved_at: Instant | None = None
        self._patience_s = STARVED_S

    # --- what happens -----------------------------------------------------------------------------------------------

    def meet(self, port: PortNo, boot: int) -> None:
        """A neighbour with this boot number is there both ways."""
        self.part(port)
        self._requests += 1
        self._exchanges[port] = (boot, Exchange(self._requests))

    def part(self, port: PortNo) -> None:
        """It is not any more."""
        if self._exchanges.pop(port, None) is not None:
            self.distances.lose(port)

    def has_met(self, port: PortNo, boot: int) -> bool:
        """Whether this neighbour, in this life, is there."""
        found = self._exchanges.get(port)
        return found is not None and found[0] == boot

    def set_local(self, stations: frozenset[Station]) -> None:
        """LOCAL's addresses."""
        self._local = stations
        self._set_own()

    def set_proven(self, stations: frozenset[Station]) -> None:
        """The stations that are behind ports of this switch."""
        self._proven = stations
        self._set_own()

    def _set_own(self) -> None:
        own = dict.fromkeys(self._proven, _AT_PORT) | dict.fromkeys(self._local, _HERE)
        self.distances.set_own(own)

    def hear(self, port: PortNo, update: Update, now: Instant) -> None:
        """A neighbour that is there tells."""
        _, exchange = self._exchanges[port]
        records = exchange.hear(update, self.distances.stations, now)
        if records:
            self.distances.hear(port, records)
            if self.distances.outbid:
                self.topology_changed(now)

    def topology_changed(self, now: Instant) -> None:
        """Somewhere a link died, or someone has no way: whoever needs higher numbers gets them."""
        if self._raises.take(now):
            self._raise_at = None
            self.distances.raise_numbers()
        elif self._raise_at is None:
            self._raise_at = now + 1 / RAISES_PER_S

    # --- time -------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        exchanges = (exchange.next_deadline() for _, exchange in self._exchanges.values())
        return earliest(self._listens_until, self._raise_at, self._starved_at, *exchanges)

    def run(self, now: Instant) -> bool:
        """Do what is due; whether a change is to be told because some station is out of reach."""
        if self._listens_until is not None and self._listens_until <= now:
            self._listens_until = None
            self.distances.listen(listens=False)
        if self._raise_at is not None and self._raise_at <= now:
            self.topology_changed(now)
        return self._starves(now)

    def _starves(self, now: Instant) -> bool:
        if not self.distances.starving:
            self._starved_at, self._patience_s = None, STARVED_S
            return False
        if self._starved_at is None or self._starved_at > now:
            self._starved_at = self._starved_at or now + self._patience_s
            return False
        self._patience_s = min(2 * self._patience_s, MAX_STARVED_S)
        self._starved_at = now + self._patience_s
        return True

    @property
    def is_quiet(self) -> bool:
        """Whether no way has changed, so that nothing is to be done before ``next_deadline``."""
        is_new = self._starved_at is None and bool(self.distances.starving)
        return not (self.distances.has_changed or is_new)

    def take_changed(self) -> tuple[Station, ...]:
        """The stations whose ways are others now; neighbours hear of them by ``take_updates``."""
        changed = self.distances.take_changed()
        for _, exchange in self._exchanges.values():
            exchange.tell(changed)
        return changed

    def take_updates(self, switch: int, boot: int, now: Instant) -> Iterator[tuple[PortNo, Update]]:
        """What to send now, and where."""
        for port, (to_boot, exchange) in self._exchanges.items():
            head = (switch, boot, int(port))
            while (update := exchange.take(head, to_boot, self.distances.distance, now)) is not None:
                yield port, update
