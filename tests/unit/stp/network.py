"""Bridges in virtual time, whose spanning trees talk over cables that take a millisecond, and what they should find."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from inband.flow.ports import PortNo
from inband.stp import events as ev
from inband.stp.bpdu import AnyBpdu, decode, encode
from inband.stp.settings import TreeSettings
from inband.stp.spanning_tree import SpanningTree
from inband.stp.values import BridgeId, PriorityVector, port_id
from inband.vocabulary.addresses import BRIDGE_GROUP, Mac
from inband.vocabulary.spanning_tree import StpRole, StpState

COST = 20_000
DELAY_S = 0.001


class End(NamedTuple):
    """A port of a bridge."""

    bridge: int
    port: PortNo


@dataclass
class Cable:
    """Joins two ports, or a port with nothing. ``carries`` False: its far end hears nothing and no link is lost."""

    near: End
    far: End
    is_up: bool = True
    carries: bool = True


@dataclass
class Network:
    """Any number of bridges. ``loops``: when data could go round in a circle began, and for how long it could.

    What begins and ends at one instant is none: two bridges act at that instant, and one of them has its turn first.
    """

    settings: list[TreeSettings]
    cables: list[Cable]
    now: float = 0.0
    loops: list[tuple[float, float]] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self.trees = [SpanningTree(self.mac(i), each) for i, each in enumerate(self.settings)]
        self.states: dict[End, StpState] = {}
        self.flushed: list[tuple[float, End]] = []
        self._peers = {end: cable for cable in self.cables for end in (cable.near, cable.far)}
        self._queue: list[tuple[float, int, End, bytes]] = []
        self._order = count()
        self._loop_since: float | None = None
        for cable in self.cables:
            for end in (cable.near, cable.far):
                self.set_port(end, up=cable.is_up)

    @staticmethod
    def mac(bridge: int) -> Mac:
        """A bridge's address."""
        return Mac(0x020000000000 + bridge + 1)

    # --- what is done to it ------------------------------------------------------------------------------------

    def set_cable(self, index: int, *, up: bool) -> None:
        """Cut or mend a cable; both ends see it."""
        cable = self.cables[index]
        cable.is_up = up
        for end in (cable.near, cable.far):
            self.set_port(end, up=up)

    def set_port(self, end: End, *, up: bool) -> None:
        """A port's link."""
        self.tell(end.bridge, ev.PortChanged(end.port, up, COST))

    def tell(self, bridge: int, event: ev.Event) -> None:
        """Give an event to a bridge."""
        for command in self.trees[bridge].handle(event, self.now):
            match command:
                case ev.SetState(number, state):
                    self.states[End(bridge, number)] = state
                case ev.ForgetAddresses(number):
                    self.flushed.append((self.now, End(bridge, number)))
                case ev.SendBpdu(number, bpdu):
                    self._send(End(bridge, number), bpdu)
        if self.circle():
            self._loop_since = self.now if self._loop_since is None else self._loop_since
        elif self._loop_since is not None:
            if self.now > self._loop_since:
                self.loops.append((self._loop_since, self.now - self._loop_since))
            self._loop_since = None

    def _send(self, end: End, bpdu: AnyBpdu) -> None:
        self.sent += 1
        cable = self._peers[end]
        if cable.is_up and cable.carries:
            frame = encode(bpdu, self.mac(end.bridge)).data
            far = cable.far if end == cable.near else cable.near
            heapq.heappush(self._queue, (self.now + DELAY_S, next(self._order), far, frame))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            due = [(at, index) for index, tree in enumerate(self.trees) if (at := tree.next_deadline()) is not None]
            timer = min(due, default=(end + 1, -1))
            frame_at = self._queue[0][0] if self._queue else end + 1
            if min(timer[0], frame_at) > end:
                break
            if frame_at <= timer[0]:
                self.now, _, far, frame = heapq.heappop(self._queue)
                if self._peers[far].is_up:
                    assert Mac.from_bytes6(frame) == BRIDGE_GROUP
                    self.tell(far.bridge, ev.BpduReceived(far.port, decode(frame)))
            else:
                self.now = max(self.now, timer[0])
                self.tell(timer[1], ev.TimePassed())
        self.now = end

    # --- what it is like ---------------------------------------------------------------------------------------

    def is_forwarding(self, end: End) -> bool:
        """Whether a port passes data."""
        return self.states.get(end) is StpState.FORWARDING

    def open_cables(self) -> list[Cable]:
        """Cables that data passes: both ends forward."""
        return [c for c in self.cables if c.is_up and self.is_forwarding(c.near) and self.is_forwarding(c.far)]

    def circle(self) -> list[End]:
        """The ends of cables that close a circle for data; empty where there is none."""
        group = list(range(len(self.trees)))

        def find(bridge: int) -> int:
            while group[bridge] != bridge:
                bridge = group[bridge]
            return bridge

        closing = []
        for cable in self.open_cables():
            near, far = find(cable.near.bridge), find(cable.far.bridge)
            if near == far:
                closing.append(cable.near)
            group[near] = far
        return closing

    def roles(self) -> dict[End, StpRole]:
        """What each port is for."""
        return {End(i, port.number): port.role for i, tree in enumerate(self.trees) for port in tree.status().ports}

    def expected_roles(self) -> dict[End, StpRole]:
        """The same by the definition of the tree alone: vectors go from bridge to bridge until none gets better."""
        best = [PriorityVector(self._id(i), 0, self._id(i), 0) for i in range(len(self.trees))]
        root_end: list[End | None] = [None] * len(self.trees)
        for _ in range(len(self.trees) + 1):
            heard = [self._heard(best, bridge) for bridge in range(len(self.trees))]
            for bridge, ways in enumerate(heard):
                own = PriorityVector(self._id(bridge), 0, self._id(bridge), 0)
                best[bridge], _, root_end[bridge] = min([*ways, (own, 0, None)])
        return {end: self._expected_role(best, root_end, end) for end in self._peers}

    def _id(self, bridge: int) -> BridgeId:
        return BridgeId(self.settings[bridge].priority, self.mac(bridge))

    def _neighbours(self, bridge: int) -> Iterator[tuple[End, End]]:
        for cable in self.cables:
            for end, other in ((cable.near, cable.far), (cable.far, cable.near)):
                if cable.is_up and end.bridge == bridge:
                    yield end, other

    def _says(self, best: list[PriorityVector], end: End) -> PriorityVector:
        return best[end.bridge]._replace(bridge=self._id(end.bridge), port=port_id(128, end.port))

    def _heard(self, best: list[PriorityVector], bridge: int) -> list[tuple[PriorityVector, int, End | None]]:
        ways: list[tuple[PriorityVector, int, End | None]] = []
        for end, other in self._neighbours(bridge):
            said = self._says(best, other)
            if other.bridge != bridge and said.root < self._id(bridge):
                ways.append((said._replace(cost=said.cost + COST), port_id(128, end.port), end))
        return ways

    def _expected_role(self, best: list[PriorityVector], root_end: list[End | None], end: End) -> StpRole:
        other = next((far for near, far in self._neighbours(end.bridge) if near == end), None)
        if other is None:
            return StpRole.DISABLED
        if root_end[end.bridge] == end:
            return StpRole.ROOT
        if self._says(best, end) < self._says(best, other):
            return StpRole.DESIGNATED
        return StpRole.BACKUP if other.bridge == end.bridge else StpRole.ALTERNATE


def joined(priorities: list[int], pairs: list[tuple[int, int]]) -> Network:
    """Bridges of these priorities; each pair is a cable, whose ports get the next numbers of both."""
    used = [0] * len(priorities)
    cables = []
    for near, far in pairs:
        used[near] += 1
        first = End(near, PortNo(used[near]))
        used[far] += 1
        cables.append(Cable(first, End(far, PortNo(used[far]))))
    return Network([TreeSettings(priority) for priority in priorities], cables)


def ring(size: int) -> Network:
    """A ring, whose first bridge is the root: port 1 leads on, port 2 back, but for the first."""
    return joined([4096, *[32768] * (size - 1)], [(i, (i + 1) % size) for i in range(size)])
