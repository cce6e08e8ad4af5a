"""A bridge's distances and what its neighbours are told of them: ``distances`` and ``exchanges``.

With each change of the topology the numbers of what this switch has are raised, at most RAISES_PER_S times a second.
Where a link went down its ends know at once for which stations they have no way left that may be taken, and say so with
the change: only these are raised then, and the others a little later, when all is well again. For each raise passes the
whole network. Who has no way left raises what it has itself at once: what ended one way has ended the other way too, so
others are about to ask for that, and need not.

A station that neighbours have a way to, and none that may be taken, is a reason to tell of a change: after STARVED_S,
and then more and more seldom.

Invariants: for LISTEN_S after its start a switch takes no neighbour, for it does not know whether it is on a way that
goes by itself: so long each neighbour needs at most to notice that it has started anew. No clock, no I/O.
"""

from __future__ import annotations

from zlib import crc32

from inband.fabric.distances import Distance, Distances, Station
from inband.fabric.hello import Wanted
from inband.fabric.starving import Starving
from inband.fabric.telling import Telling
from inband.fabric.update import Update
from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant, earliest
from inband.vocabulary.rate_limit import RateLimit

# Three hellos of a link that is idle, and as much again as a timer is late.
LISTEN_S = 3.5
RAISES_PER_S, RAISES_AT_ONCE = 4.0, 5.0
# What was raised so shortly ago is not raised again: whoever asks has not heard of it yet.
RAISED_S = 0.03
# So much later what no one is in need of is raised. Several links of one failure have been noticed by then.
OTHERS_AFTER_S = 0.2
STARVED_S, MAX_STARVED_S = 0.05, 5.0
# A station behind a port is one hop away; LOCAL is here.
_AT_PORT, _HERE = 1, 0


class Ways(Telling[Station]):
    """Of one switch, which began at ``now`` to believe its neighbours."""

    def __init__(self, now: Instant) -> None:
        super().__init__(
            Distances(prefers_latest=True), RateLimit(RAISES_PER_S, RAISES_AT_ONCE), Starving(STARVED_S, MAX_STARVED_S)
        )
        self.distances.listen(listens=True)
        self._listens_until: Instant | None = now + LISTEN_S
        self._local: frozenset[Station] = frozenset()
        self._proven: frozenset[Station] = frozenset()
        self._own_raised_at: Instant = float("-inf")

    # --- what happens -----------------------------------------------------------------------------------------------

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

    def hear(self, port: PortNo, update: Update[Station, Distance], now: Instant) -> None:
        """A neighbour that is there tells."""
        records = self._exchanges.hear(port, update, self.distances.stations, now)
        if records:
            self.distances.hear(port, records)
            if self.distances.outbid:
                self._raise_all(now)

    def topology_changed(self, now: Instant, wanted: Wanted = None) -> None:
        """Somewhere a link died, or someone has no way: whoever needs higher numbers gets them.

        ``wanted``: the stations of which that is known to be so; None: it is not known.
        """
        if wanted is None:
            self._raise_all(now)
            return
        if self._raise_at is None:
            self._raise_at = now + OTHERS_AFTER_S
        needed = [station for station in self.distances.own if hash_of(station) in wanted]
        if needed and now - self._own_raised_at >= RAISED_S and self._raises.take(now):
            self.distances.raise_numbers(needed)

    def _raise_own(self, now: Instant) -> None:
        """Some way has ended here."""
        if self._raises.take(now):
            self._own_raised_at = now
            self.distances.raise_numbers()

    def _raise_all(self, now: Instant) -> None:
        if self._raises.take(now):
            self._raise_at = None
            self.distances.raise_numbers()
        elif self._raise_at is None:
            self._raise_at = now + 1 / RAISES_PER_S

    def wanted(self) -> tuple[int, ...]:
        """The hashes of stations to which neighbours have a way, and none that may be taken."""
        return tuple(map(hash_of, self.distances.starving))

    # --- time -------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return earliest(self._listens_until, self._raise_at, self._starving.due, self._exchanges.next_deadline())

    def run(self, now: Instant) -> bool:
        """Do what is due; whether a change is to be told because some station is out of reach."""
        if self._listens_until is not None and self._listens_until <= now:
            self._listens_until = None
            self.distances.listen(listens=False)
        if self._raise_at is not None and self._raise_at <= now:
            self._raise_at = None
            self._raise_all(now)
        if self.distances.has_begun_to_starve:
            self.distances.has_begun_to_starve = False
            self._raise_own(now)
        return self._look_for_starving(now)

    def take_changed(self) -> tuple[Station, ...]:
        """The stations whose ways are others now; neighbours hear of them by ``take_updates``."""
        changed = self.distances.take_changed()
        self._exchanges.tell(changed)
        return changed


def hash_of(station: Station) -> int:
    """32 bits that tell a station from nearly all others (docs/neighbours.md); of two alike both are raised."""
    version, address = station.address
    return crc32(address.to_bytes(4 if version == 4 else 16, "big") + station.mac.packed)
