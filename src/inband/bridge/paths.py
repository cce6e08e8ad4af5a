"""Neighbours' words of where stations are, at work: each station that they have a way to is placed at the best port.

When a neighbour is lost its stations are placed at the alternatives before another frame is looked at; no question is
needed. A station that has proven itself here, behind a port without a neighbour, is where it is: the others hear of it
from here (``proven``).

Invariant: MAX_WORDS stations are placed at most; the others are searched for.
"""

from __future__ import annotations

from collections.abc import Iterable

from inband.fabric.distances import Station
from inband.fabric.ways import Ways
from inband.flow.ports import PortNo
from inband.pipeline.places import Places
from inband.pipeline.waiting import Waiting
from inband.vocabulary.instant import Instant

# Half of what the forwarding database holds.
MAX_WORDS = 4096
# Places that are not heard at their port are kept by this: what comes from there may take another way.
REFRESH_S = 100.0
_GROUP_BIT = 1 << 40


class Paths:
    """One bridge's."""

    def __init__(self, places: Places, waiting: Waiting) -> None:
        self._places, self._waiting = places, waiting
        self._placed: dict[Station, None] = {}
        self.refresh_at: Instant | None = None

    def follow(self, stations: Iterable[Station], ways: Ways | None, now: Instant) -> None:
        """These stations are reached by other ports than before, or not at all; None: there is no word of any."""
        for station in stations if ways is not None else tuple(self._placed):
            route = None if ways is None else ways.distances.routes.get(station)
            self._place(station, None if route is None else route.port, now)
            if route is None and ways is not None and station in ways.distances.starving:
                self._waiting.begin(station.mac, now)
        self.refresh_at = now + REFRESH_S if self._placed else None

    def refresh(self, ways: Ways, now: Instant) -> None:
        """Place all of them, also those that were given up, or forgotten by age."""
        self.follow(tuple(ways.distances.routes), ways, now)

    def _place(self, station: Station, port: PortNo | None, now: Instant) -> None:
        if port is None:
            if station in self._placed:
                del self._placed[station]
                self._places.withdraw_word(station.address, station.mac)
            return
        if station.mac & _GROUP_BIT or (station not in self._placed and len(self._placed) >= MAX_WORDS):
            return
        self._placed[station] = None
        self._places.follow_word(station.address, station.mac, port, now)
        self._waiting.end(station.mac)

    def proven(self) -> frozenset[Station]:
        """The next hops that are here, by an exchange of this switch."""
        return frozenset(Station(address, mac) for address, mac in self._places.proven_here())
