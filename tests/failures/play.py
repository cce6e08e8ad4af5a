"""Random failures and repairs in a random network, and what must hold for every frame meanwhile, and at the end.

- No frame is sent on twice by one switch on the same way: that is a loop. Frames are told apart by where they began,
  and copies by the way that they came, so an answer that is sent twice is no loop, and two copies that meet are none.
- No broadcast of control comes to a link and direction again, wherever it began, while storm guards remember it.
- At the end every switch that still has a path to the controller is connected, and its echoes come back.

A network, its failures and their times follow from the seed alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from inband.packet.frame import Frame
from inband.pipeline.storm import WINDOW_S
from inband.sim.graphs import GraphNetwork, build, random_graph, reachable
from inband.sim.link import Nic
from inband.vocabulary.addresses import NEAREST_BRIDGE

START_S, PAUSE_S, END_S, STEP_S, SILENCE_S = 3.0, 0.4, 10.0, 0.5, 0.5
# At most so many links or switches are out of order at the same time, or nothing would be left of the network.
MAX_BROKEN = 5
_HELLO = NEAREST_BRIDGE.packed
# The same question may begin again once guards have forgotten it, and then takes another way, which may be faster.
_REMEMBERED_S = 0.9 * WINDOW_S


@dataclass(slots=True)
class _Copy:
    """A copy of a frame on its way to a switch: when it is there, and which switches have sent it on."""

    there_at: float
    by: frozenset[str]


@dataclass(slots=True)
class Outcome:
    """What was wrong: frames that circled, broadcasts that came again, and switches that have a path and no channel."""

    loops: list[str] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class Watch:
    """Sees every frame on every link of a network, and notes what circles.

    A switch decides in no time, so a frame that leaves it is the copy that came at this instant.
    """

    def __init__(self, made: GraphNetwork) -> None:
        self.outcome = Outcome()
        self._clock = made.net.clock
        self._ends: dict[int, tuple[str, str, float]] = {}
        self._copies: dict[tuple[int, str], list[_Copy]] = {}
        self._broadcasts: dict[tuple[bytes, int], float] = {}
        self._order: deque[tuple[float, bytes, str, int]] = deque()
        for (one, two), link in zip(made.graph.edges, made.links, strict=True):
            self._ends[id(link.one)] = one, two, link.faults.delay_s
            self._ends[id(link.two)] = two, one, link.faults.delay_s
            link.taps.append(self._see)

    def _see(self, sender: Nic, frame: Frame) -> None:
        data, now = frame.data, self._clock.now
        if data.startswith(_HELLO):
            return
        self._forget(now - _REMEMBERED_S)
        name, to, latency_s = self._ends[id(sender)]
        by = _sent_on_by([copy for copy in self._copies.get((id(data), name), ()) if copy.there_at <= now])
        if name in by:
            self.outcome.loops.append(f"{now:.6f}: {name} sends a frame on again: {data[:42].hex()}")
        self._copies.setdefault((id(data), to), []).append(_Copy(now + latency_s, by | {name}))
        if data[0] & 1:
            self._see_broadcast(sender, data, now)
        # The bytes stay until they are forgotten, so that no other frame gets their identity.
        self._order.append((now, data, to, id(sender)))

    def _see_broadcast(self, sender: Nic, data: bytes, now: float) -> None:
        before = self._broadcasts.get((data, id(sender)))
        if before is None:
            self._broadcasts[data, id(sender)] = now
        else:
            ago = now - before
            self.outcome.repeats.append(f"{now:.6f}: {sender.name} sends one of {ago:.6f} s ago: {data[:42].hex()}")

    def _forget(self, before: float) -> None:
        while self._order and self._order[0][0] < before:
            _, data, to, sender = self._order.popleft()
            self._copies.pop((id(data), to), None)
            self._broadcasts.pop((data, sender), None)

    def restarted(self, name: str) -> None:
        """A switch has started anew: it remembers nothing of what it has sent."""
        for key in [each for each in self._broadcasts if self._ends[each[1]][0] == name]:
            del self._broadcasts[key]


def _sent_on_by(came: list[_Copy]) -> frozenset[str]:
    """Who has sent on the copy that came last, for certain: of several at that instant, all."""
    last = max((copy.there_at for copy in came), default=0.0)
    by = [copy.by for copy in came if copy.there_at == last]
    return frozenset.intersection(*by) if by else frozenset()


@dataclass(slots=True)
class Play:
    """One run. ``said`` is what happened, for whoever looks for the reason of a fault."""

    made: GraphNetwork
    random: Random
    watch: Watch
    broken: dict[str, Callable[[], None]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    last_at: float = 0.0

    def fail_or_repair(self) -> None:
        """Break a random link or switch, or repair one."""
        if self.broken and (len(self.broken) >= MAX_BROKEN or self.random.random() < 0.5):
            what = self.random.choice(sorted(self.broken))
            self._note(f"{what} is repaired")
            self.broken.pop(what)()
        elif self.random.random() < 0.7:
            number = self.random.randrange(len(self.made.links))
            link, edge = self.made.links[number], self.made.graph.edges[number]
            self._break(" ".join(edge), link.cut, link.mend)
        else:
            name = self.random.choice(self.made.graph.switches)
            self._break(name, self.made.switches[name].kill, lambda: self._start(name))

    def connected(self) -> set[str]:
        """The switches that have a path to the controller."""
        edges = [edge for edge in self.made.graph.edges if " ".join(edge) not in self.broken]
        return reachable(edges, "h1", without=self.broken.keys()) - {"h1"}

    def lost(self) -> list[str]:
        """Those of them that are not connected, or do not answer."""
        now, channels = self.made.net.now, self.made.net.channels(self.made.controllers["h1"])
        fit = {name for name, each in channels.items() if each.is_up and now - each.last_heard < SILENCE_S}
        return sorted(self.connected() - fit)

    def _break(self, what: str, fail: Callable[[], None], repair: Callable[[], None]) -> None:
        if what not in self.broken:
            self._note(f"{what} fails")
            self.broken[what] = repair
            fail()

    def _start(self, name: str) -> None:
        self.watch.restarted(name)
        self.made.switches[name].start()

    def _note(self, what: str) -> None:
        self.last_at = self.made.net.now
        self.said.append(f"{self.last_at:.3f} {what}")


def play(seed: int, switches: int, failures: int, progress: Callable[[int], None] = lambda _: None) -> Outcome:
    """Play one seed. ``progress`` is told how many failures and repairs there have been, after each."""
    random = Random(seed)
    made = build(random_graph(switches, seed, hosts=1), seed, latency_s=random.uniform(1e-5, 1e-3))
    watch = Watch(made)
    run = Play(made, random, watch)
    made.net.start()
    made.net.run(START_S)
    for number in range(failures):
        run.fail_or_repair()
        made.net.run(random.uniform(0.0, PAUSE_S))
        progress(number + 1)
    while run.lost() and made.net.now < run.last_at + END_S:
        made.net.run(STEP_S)
    watch.outcome.lost = run.lost()
    return watch.outcome
