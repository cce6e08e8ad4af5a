"""How far each station of control is by each neighbour, and which neighbours may be taken without ever making a loop.

What is said here of stations holds for whatever else several switches have and all are told of (``needs``).

A distance is (number, metric): a higher number is better, and of the same number a lower metric. The switches at a
station (``set_own``) raise its number. A switch keeps the best distance that it ever told of, the *feasibility
distance* (RFC 8966, 3.5.1), and a neighbour may be taken while what it told last is strictly better than that. What a
switch tells is never better than its feasibility distance, so that becomes strictly better along each chain of next
hops, at each moment, whatever is late: no chain comes back. It ends at a switch that has the station, so several of
them may tell of one station (docs/decisions/20-distances-and-alternatives.md).

When there are neighbours with a way and none may be taken, the station is in ``starving`` until its number is raised.

Invariants: what is used is feasible. MAX_OF_NEIGHBOUR records for each neighbour, MAX_IN_ALL together; what is more is
counted in ``refused``. Work per record is one look at each neighbour. No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

from inband.flow.ports import PortNo
from inband.vocabulary.addresses import AddressKey, Mac

MAX_OF_NEIGHBOUR, MAX_IN_ALL = 2048, 16_384
MAX_GONE = 1024
INFINITY = 0xFFFF
"""As a metric: there is no way."""
MAX_NUMBER = (1 << 32) - 1
FIRST_NUMBER = 1


class Station(NamedTuple):
    """Whom control traffic is for: an IP address and the MAC address that has it."""

    address: AddressKey
    mac: Mac


class Distance(NamedTuple):
    """How far a station is, as told. ``metric`` counts hops."""

    number: int
    metric: int

    def is_better_than(self, other: Distance) -> bool:
        """Whether it is nearer to the station than the other one, so that a way from there to here cannot loop."""
        return self.number > other.number or (self.number == other.number and self.metric < other.metric)

    @property
    def is_way(self) -> bool:
        """Whether there is one."""
        return self.metric < INFINITY


class Route(NamedTuple):
    """By which port a station is reached; ``port`` is None at the switch that has it.

    ``alternatives`` are the other ports that may be taken, the nearest first.
    """

    port: PortNo | None
    distance: Distance
    alternatives: tuple[PortNo, ...] = ()

    def others_than(self, used: PortNo | None) -> tuple[PortNo, ...]:
        """The ports that may be taken beside the one that is used: of two equal ones a station of the same MAC address
        may have chosen the other one.
        """
        return tuple(each for each in (self.port, *self.alternatives) if each is not None and each != used)


Key = TypeVar("Key", bound=Hashable)
"""Of what distances are told: stations, or needs."""


class Distances(Generic[Key]):
    """Those of one switch. ``listens``: it has just started, and takes no neighbour.

    ``prefers_latest``: a neighbour that is two raises of the number behind is taken if there is no other one. A number
    that was raised after a failure has just passed each link of its way; one that was not may be the word of a
    neighbour that is dead, behind a quiet link. One raise behind each is for a moment.
    """

    def __init__(
        self,
        max_of_neighbour: int = MAX_OF_NEIGHBOUR,
        max_in_all: int = MAX_IN_ALL,
        *,
        prefers_latest: bool = False,
    ) -> None:
        self.prefers_latest = prefers_latest
        self.listens = False
        self.refused = 0
        self.routes: dict[Key, Route] = {}
        self.starving: dict[Key, None] = {}
        self.has_begun_to_starve = False
        """A way has ended, and no neighbour may be taken, since someone looked."""
        self._max_of_neighbour, self._max_in_all = max_of_neighbour, max_in_all
        self.outbid = False
        """Another switch tells of a station of ours with a higher number: ``raise_numbers`` is due."""
        self._latest = FIRST_NUMBER
        self._own: dict[Key, Distance] = {}
        self._told: dict[PortNo, dict[Key, Distance]] = {}
        self._feasibility: dict[Key, Distance] = {}
        self._gone: dict[Key, None] = {}
        self.numbers: dict[Key, tuple[int, int]] = {}
        """The highest number that neighbours have told, and the one before it."""
        self._changed: dict[Key, None] = {}

    @property
    def own(self) -> Collection[Key]:
        """What this switch has itself."""
        return self._own.keys()

    # --- what happens -----------------------------------------------------------------------------------------------

    def set_own(self, stations: Mapping[Key, int]) -> None:
        """This switch has these stations, each so many hops away, and no others."""
        for station in [each for each in self._own if each not in stations]:
            del self._own[station]
            self._decide(station)
        for station, metric in stations.items():
            known = self._own.get(station)
            if known is None or known.metric != metric:
                self._own[station] = Distance(self._next_number(), metric)
                self._decide(station)

    def raise_numbers(self, only: Iterable[Key] | None = None) -> None:
        """Give whoever needs it a way to what this switch has, or to ``only`` these: the topology has changed."""
        if only is None:
            self.outbid = False
        number = self._next_number()
        for station in tuple(self._own if only is None else only):
            self._own[station] = Distance(number, self._own[station].metric)
            self._decide(station)

    def hear(self, port: PortNo, records: Iterable[tuple[Key, Distance]]) -> None:
        """A neighbour has told these distances."""
        told = self._told.setdefault(port, {})
        for station, distance in records:
            if station not in told and not self._has_room(told):
                self.refused += 1
                continue
            told[station] = distance
            highest, _ = self.numbers.get(station, (FIRST_NUMBER, FIRST_NUMBER))
            if distance.number > highest:
                self.numbers[station] = distance.number, highest
            self._latest = max(self._latest, distance.number)
            own = self._own.get(station)
            self.outbid |= own is not None and distance.number > own.number
            self._decide(station)

    def lose(self, port: PortNo) -> None:
        """The neighbour is gone, or has started anew: what it told counts no more."""
        told = self._told.pop(port, {})
        for station in told:
            self._decide(station)
            if station not in self._feasibility and not any(station in each for each in self._told.values()):
                self.numbers.pop(station, None)

    def listen(self, *, listens: bool) -> None:
        """Begin to take no neighbour, or end it."""
        self.listens = listens
        for station in list(self._feasibility) + [each for told in self._told.values() for each in told]:
            self._decide(station)

    # --- what follows -----------------------------------------------------------------------------------------------

    @property
    def has_changed(self) -> bool:
        """Whether ``take_changed`` has something to say."""
        return bool(self._changed)

    def take_changed(self) -> tuple[Key, ...]:
        """The stations of which neighbours, or the datapath, do not know yet how far they are and where."""
        changed, self._changed = tuple(self._changed), {}
        return changed

    def stations(self) -> tuple[Key, ...]:
        """All that neighbours are told of, those to which there is no way any more, too."""
        return tuple(self._feasibility)

    def distance(self, station: Key) -> Distance:
        """What neighbours are told: without a way the best number that was known, for who has it must pass that."""
        route = self.routes.get(station)
        if route is not None:
            return route.distance
        known = self._feasibility.get(station)
        return Distance(FIRST_NUMBER if known is None else known.number, INFINITY)

    @property
    def records(self) -> int:
        """How many distances neighbours have told that are kept."""
        return sum(map(len, self._told.values()))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _decide(self, station: Key) -> None:
        """Choose anew. To stay where one is costs nothing, so an equal one is no reason to go."""
        old = self.routes.get(station)
        route = self._choose(station, None if old is None else old.port)
        if route is None:
            self.routes.pop(station, None)
        else:
            self.routes[station] = route
            self._note_told(station, route.distance)
        if route is None and not self.listens and any(self.ways(station)):
            self.has_begun_to_starve |= station not in self.starving
            self.starving[station] = None
        else:
            self.starving.pop(station, None)
        if (None if route is None else route[:2]) != (None if old is None else old[:2]):
            self._changed[station] = None
        self._remember(station, is_gone=route is None)

    def _choose(self, station: Key, present: PortNo | None) -> Route | None:
        own = self._own.get(station)
        if own is not None:
            return Route(None, own)
        if self.listens:
            return None
        known = self._feasibility.get(station)
        _, least = self.numbers.get(station, (FIRST_NUMBER, FIRST_NUMBER))
        ways = [
            (self.prefers_latest and told.number < least, told.metric, port != present, port, told)
            for port, told in self.ways(station)
            if known is None or told.is_better_than(known)
        ]
        if not ways:
            return None
        _, _, _, port, told = min(ways)
        distance = Distance(told.number, told.metric + 1)
        bound = distance if known is None or distance.is_better_than(known) else known
        others = (other for _, _, _, other, each in sorted(ways) if other != port and each.is_better_than(bound))
        return Route(port, distance, tuple(others))

    def ways(self, station: Key) -> list[tuple[PortNo, Distance]]:
        """The neighbours that have a way, those that may not be taken, too."""
        found = ((port, told.get(station)) for port, told in self._told.items())
        return [(port, each) for port, each in found if each is not None and each.metric + 1 < INFINITY]

    def _note_told(self, station: Key, distance: Distance) -> None:
        known = self._feasibility.get(station)
        if known is None or distance.is_better_than(known):
            self._feasibility[station] = distance

    def _next_number(self) -> int:
        """Higher than any that was heard of, of whatever station: so two raises reach everyone (Lamport's clock)."""
        self._latest = min(self._latest + 1, MAX_NUMBER)
        return self._latest

    def _remember(self, station: Key, *, is_gone: bool) -> None:
        """Of stations without a way the feasibility distances of so many are kept; the oldest one goes."""
        if not is_gone:
            self._gone.pop(station, None)
        elif station in self._feasibility:
            self._gone[station] = None
            if len(self._gone) > MAX_GONE:
                oldest = next(iter(self._gone))
                del self._gone[oldest], self._feasibility[oldest]
                self.numbers.pop(oldest, None)

    def _has_room(self, told: dict[Key, Distance]) -> bool:
        """Whether a neighbour may tell of one station more: those to which it has no way make room."""
        if len(told) < self._max_of_neighbour and self.records < self._max_in_all:
            return True
        useless = next((station for station, distance in told.items() if not distance.is_way), None)
        if useless is None:
            return False
        del told[useless]
        return True
