"""Random networks that fail at random: no chain of next hops ever comes back, and at the end all are the shortest.

The dumb twin knows the whole network: it follows each chain after each step, and counts hops from each station.
"""

from __future__ import annotations

from collections import deque
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.fabric.distances import Distances, Station
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac

STATION = Station((4, 1), Mac(1))
# How many steps a switch that has started listens at least, and until each end of its links has noticed.
LISTEN_STEPS = 5


class World:
    """Switches 0 to n-1. Port p of a switch leads to switch p - 1. Links are pairs of directed ends.

    ``up`` are the ends that take their neighbour for there, ``works`` the links over which messages pass, ``waiting``
    what an end has still to tell the other one: the stations alone, for the distance is that of the moment it leaves.
    """

    def __init__(self, random: Random, count: int) -> None:
        self.random = random
        self.prefers_latest = random.random() < 0.5
        self.nodes: list[Distances[Station]] = [self.new() for _ in range(count)]
        chosen = {(a, random.randrange(a)) for a in range(1, count)}
        chosen |= {(a, b) for a in range(count) for b in range(a) if random.random() < 0.25}
        self.links = sorted(chosen)
        self.works = set(self.links)
        self.up: set[tuple[int, int]] = set()
        self.waiting: dict[tuple[int, int], dict[Station, None]] = {}
        self.owners: set[int] = set()
        self.listening: dict[int, int] = {}
        for a, b in self.links:
            self.see(a, b)
            self.see(b, a)

    def new(self) -> Distances[Station]:
        """Those of a switch that has just started. Whatever neighbour is taken, nothing loops."""
        return Distances(prefers_latest=self.prefers_latest)

    def see(self, at: int, other: int) -> None:
        """One end finds its neighbour, and asks for all that it knows."""
        self.up.add((at, other))
        self.waiting[other, at] = dict.fromkeys(self.nodes[other].stations())

    def miss(self, at: int, other: int) -> None:
        """One end takes its neighbour for lost."""
        self.up.discard((at, other))
        self.waiting.pop((other, at), None)
        self.nodes[at].lose(PortNo(other + 1))
        self.publish(at)

    def publish(self, at: int) -> None:
        changed = self.nodes[at].take_changed()
        for (teller, _), waiting in self.waiting.items():
            if teller == at:
                waiting.update(dict.fromkeys(changed))

    def own(self, at: int, *, owns: bool) -> None:
        """Every switch has itself as well."""
        (self.owners.add if owns else self.owners.discard)(at)
        self.nodes[at].set_own({Station((4, 100 + at), Mac(100 + at)): 0, **({STATION: 0} if owns else {})})
        self.publish(at)

    def raise_numbers(self) -> None:
        for at in range(len(self.nodes)):
            self.nodes[at].raise_numbers()
            self.publish(at)

    def deliver(self, teller: int, hearer: int, *, is_lost: bool) -> None:
        """Tell; what is lost is told again, in the words of later."""
        works = (teller, hearer) in self.works or (hearer, teller) in self.works
        waiting = self.waiting.get((teller, hearer))
        if not waiting or not works or is_lost or (hearer, teller) not in self.up:
            return
        told = [(station, self.nodes[teller].distance(station)) for station in waiting]
        waiting.clear()
        self.nodes[hearer].hear(PortNo(teller + 1), told)
        self.publish(hearer)

    def restart(self, at: int) -> None:
        """Everything is forgotten; the neighbours notice one after the other."""
        self.nodes[at] = self.new()
        self.nodes[at].listen(listens=True)
        self.listening[at] = LISTEN_STEPS
        self.own(at, owns=at in self.owners)
        for a, b in self.links:
            if at in (a, b):
                other = a + b - at
                self.up.discard((at, other))
                self.waiting.pop((at, other), None)
                self.waiting.pop((other, at), None)

    def notice(self, at: int, other: int) -> None:
        """What one end does about the state of a link, some time: find, lose, or meet anew who has restarted."""
        works = (at, other) in self.works or (other, at) in self.works
        is_up, was_reset = (at, other) in self.up, (other, at) not in self.waiting
        if is_up and (not works or was_reset):
            self.miss(at, other)
        elif not is_up and works:
            self.see(at, other)

    def listen_on(self) -> None:
        for at in list(self.listening):
            self.listening[at] -= 1
            stale = [each for each in self.up if each[1] == at and (at, each[0]) not in self.waiting]
            if self.listening[at] <= 0 and not stale:
                del self.listening[at]
                self.nodes[at].listen(listens=False)
                self.publish(at)

    def check(self) -> None:
        for start in range(len(self.nodes)):
            at, seen = start, {start}
            while (route := self.nodes[at].routes.get(STATION)) is not None and route.port is not None:
                at = int(route.port) - 1
                assert at not in seen, f"a loop by {seen} from {start}"
                seen.add(at)

    def settle(self) -> None:
        """Everything that is to be noticed and told is, in any order."""
        ends = [end for a, b in self.links for end in ((a, b), (b, a))]
        for at, other in ends:
            self.notice(at, other)
            self.notice(at, other)
        self.listening = dict.fromkeys(self.listening, 0)
        self.listen_on()
        while any(self.waiting.values()):
            end = self.random.choice(ends)
            self.deliver(*end, is_lost=False)
            self.check()

    def hops(self) -> dict[int, int]:
        """From each switch that has a way to the nearest one that has the station."""
        found, queue = dict.fromkeys(self.owners, 0), deque(self.owners)
        while queue:
            at = queue.popleft()
            for a, b in self.works:
                if at in (a, b) and (other := a + b - at) not in found:
                    found[other] = found[at] + 1
                    queue.append(other)
        return found


def step(world: World) -> None:
    random, count = world.random, len(world.nodes)
    link = random.choice(world.links)
    end = link if random.random() < 0.5 else link[::-1]
    match random.choices(range(7), (60, 12, 4, 4, 2, 1, 1))[0]:
        case 0:
            world.deliver(*end, is_lost=random.random() < 0.3)
        case 1:
            world.notice(*end)
        case 2:
            world.works.discard(link)
        case 3:
            world.works.add(link)
        case 4:
            at = random.randrange(count)
            world.nodes[at].raise_numbers()
            world.publish(at)
        case 5:
            at = random.randrange(count)
            world.own(at, owns=at not in world.owners)
        case _:
            world.restart(random.randrange(count))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(2, 9))
def test_no_chain_ever_comes_back_and_all_become_the_shortest(seed: int, count: int) -> None:
    random = Random(seed)
    world = World(random, count)
    for at in range(count):
        world.own(at, owns=not at)

    for _ in range(400):
        step(world)
        world.listen_on()
        world.check()
    for _ in range(3):
        world.settle()
        world.raise_numbers()
    world.settle()

    metrics = {
        at: node.routes[STATION].distance.metric for at, node in enumerate(world.nodes) if STATION in node.routes
    }
    assert metrics.keys() == world.hops().keys()
    if len(world.owners) == 1:  # else the higher number is preferred to the nearer one
        assert metrics == world.hops()
    assert not any(node.starving for node in world.nodes)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(3, 9))
def test_each_alternative_can_be_taken_at_once(seed: int, count: int) -> None:
    random = Random(seed)
    world = World(random, count)
    world.own(0, owns=True)
    world.settle()

    for at, node in enumerate(world.nodes):
        route = node.routes[STATION]
        if route.port is not None and route.alternatives:
            world.miss(at, int(route.port) - 1)
            assert node.routes[STATION].port == route.alternatives[0]
            world.check()
