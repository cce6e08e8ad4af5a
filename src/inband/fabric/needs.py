"""What the switches of a network with a key need for their control traffic, and tell each other hop by hop.

Each switch tells what it is configured with and goes by itself; all others pass that on, as distances do
(``distances``, docs/decisions/20-distances-and-alternatives.md): a word is taken from a neighbour that has told a
strictly better distance than this switch ever did. So a need that no switch has any more dies out, and no two switches
keep it alive for each other.

What neighbours have told is *in force* here. When the word is gone it stays so for HOLD_S: the switch that needs it may
only have started anew, or be on another way.

Unlike with ways nothing is forwarded by a distance, so a switch that has just started believes its neighbours at once,
and several switches with the same need do not outbid each other. A number is raised soon after a change of the
topology, and at once when a neighbour says that it has lost the way to what this switch needs.

Invariants: MAX_OF_NEIGHBOUR needs of a neighbour and MAX_IN_ALL of all are kept, MAX_IN_FORCE of each kind are in
force, none from farther away than MAX_HOPS. ``refused`` counts the others. No clock, no I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from inband.fabric.distances import INFINITY, Distance, Distances
from inband.fabric.need import Need, NeedKind
from inband.fabric.starving import Starving
from inband.fabric.telling import Telling
from inband.fabric.update import Update
from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant, earliest
from inband.vocabulary.rate_limit import RateLimit

MAX_OF_NEIGHBOUR, MAX_IN_ALL = 2048, 16_384
MAX_IN_FORCE = 512
"""Of each kind: a thousand LOCALs that ask for addresses leave no controller without room."""
MAX_OWN = 128
MAX_HOPS = 64
# As next hops that the kernel has forgotten (``control.next_hop``): a path may outlive what is known of it.
HOLD_S = 60.0
# What is in force is held, so numbers need not be raised at once, and not for each link of several that die.
RAISE_AFTER_S = 0.5
RAISES_PER_S, RAISES_AT_ONCE = 2.0, 5.0
STARVED_S, MAX_STARVED_S = 1.0, 60.0


@dataclass(slots=True)
class Word:
    """Who told of a need: the neighbour on ``port``; ``hops`` away is the switch that has it.

    ``until``: the word is gone, and holds so long; None: it is there.
    """

    port: PortNo
    hops: int
    until: Instant | None = None


class Needs(Telling[Need]):
    """Those of one switch and of those that its neighbours tell of. ``has_news``: ``in_force`` has changed."""

    def __init__(self) -> None:
        super().__init__(
            Distances(MAX_OF_NEIGHBOUR, MAX_IN_ALL),
            RateLimit(RAISES_PER_S, RAISES_AT_ONCE),
            Starving(STARVED_S, MAX_STARVED_S),
        )
        self.in_force: dict[Need, Word] = {}
        self.has_news = False
        self.told = self.untold = 0
        """How many needs of this switch neighbours are told, and how many are too many for that."""
        self._over: dict[Need, None] = {}
        self._held: dict[Need, None] = {}  # those in force whose word is gone
        self._counts: Counter[NeedKind] = Counter()

    @property
    def refused(self) -> int:
        """How many needs of others are not in force, for there are too many."""
        return self.distances.refused + len(self._over)

    # --- what happens -----------------------------------------------------------------------------------------------

    def set_own(self, needs: Mapping[Need, None]) -> None:
        """What this switch needs by itself, the most important first."""
        told = dict.fromkeys(list(needs)[:MAX_OWN], 0)
        self.told, self.untold = len(told), len(needs) - len(told)
        self.distances.set_own(told)

    def hear(self, port: PortNo, update: Update[Need, Distance], now: Instant) -> None:
        """A neighbour that is there tells."""
        records = self._exchanges.hear(port, update, self.distances.stations, now)
        self.distances.hear(port, ((need, _within(distance)) for need, distance in records))
        if any(self._is_lost(need, distance) for need, distance in records):
            if self._raises.take(now):
                self._raise_numbers()
            else:
                self.topology_changed(now)

    def _is_lost(self, need: Need, distance: Distance) -> bool:
        """Whether a neighbour has lost its way to what is needed here, and takes none but with a higher number."""
        route = self.distances.routes.get(need)
        if route is None or route.port is not None or distance.is_way:
            return False
        return distance.number > route.distance.number

    def topology_changed(self, now: Instant) -> None:
        """Somewhere a link died, or someone starves."""
        if self._raise_at is None:
            self._raise_at = now + RAISE_AFTER_S

    def _raise_numbers(self) -> None:
        self._raise_at = None
        self.distances.raise_numbers()

    # --- time -------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        holds = (self.in_force[need].until for need in self._held)
        return earliest(self._raise_at, self._starving.due, self._exchanges.next_deadline(), *holds)

    def run(self, now: Instant) -> bool:
        """Do what is due; whether a change is to be told because some need is out of reach."""
        if self._raise_at is not None and self._raise_at <= now:
            self._raise_numbers()
        changed = self.distances.take_changed()
        self._exchanges.tell(changed)
        for need in changed:
            self._follow(need, now)
        for need in list(self._held):
            until = self.in_force[need].until
            if until is not None and until <= now:
                self._drop(need)
        return self._look_for_starving(now)

    # --- what is in force -------------------------------------------------------------------------------------------

    def _follow(self, need: Need, now: Instant) -> None:
        route, word = self.distances.routes.get(need), self.in_force.get(need)
        self._over.pop(need, None)
        if route is not None and route.port is not None:
            self._take(need, route.port, route.distance.metric)
        elif route is not None:  # it is this switch's own
            if word is not None:
                self._drop(need)
        elif word is not None and word.until is None:
            word.until = now + HOLD_S
            self._held[need] = None
        elif word is None and (ways := self.distances.ways(need)):
            # It was this switch's own, and is others' too: what they tell counts when the number is raised.
            self._take(need, ways[0][0], ways[0][1].metric + 1, now + HOLD_S)

    def _take(self, need: Need, port: PortNo, hops: int, until: Instant | None = None) -> None:
        if need not in self.in_force:
            if self._counts[need.kind] >= MAX_IN_FORCE:
                self._over[need] = None
                return
            self._counts[need.kind] += 1
        self.in_force[need] = Word(port, hops, until)
        self._held.pop(need, None)
        if until is not None:
            self._held[need] = None
        self.has_news = True

    def _drop(self, need: Need) -> None:
        """It is in force no more; one that had no room has it now."""
        del self.in_force[need]
        self._held.pop(need, None)
        self._counts[need.kind] -= 1
        self.has_news = True
        other = next((each for each in self._over if each.kind is need.kind), None)
        if other is not None:
            del self._over[other]
            route = self.distances.routes.get(other)
            if route is not None and route.port is not None:
                self._take(other, route.port, route.distance.metric)


def _within(distance: Distance) -> Distance:
    """What was told, without what is too far away."""
    return distance if distance.metric < MAX_HOPS else Distance(distance.number, INFINITY)
