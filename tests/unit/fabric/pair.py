"""Fabrics joined by wires in virtual time: what one sends the other receives, unless the wire is dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random

from inband.fabric import events as ev
from inband.fabric.events import LinkState
from inband.fabric.fabric import Fabric
from inband.fabric.keys import NetworkKeys
from inband.fabric.link import Link
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac

P1, P2 = PortNo(1), PortNo(2)
DELAY_S = 0.0001


Wires = dict[tuple[int, PortNo], tuple[int, PortNo]]
"""Where each port leads, both ways."""


def wires_of(links: Iterable[tuple[int, int]]) -> Wires:
    """Wires for these links; ports are numbered in their order, from 1."""
    wires: Wires = {}
    count: Counter[int] = Counter()
    for one, two in links:
        count.update((one, two))
        ends = (one, PortNo(count[one])), (two, PortNo(count[two]))
        wires |= {ends[0]: ends[1], ends[1]: ends[0]}
    return wires


class Row:
    """Switches in a row: port 2 of each leads to port 1 of the next; or joined by ``wires``.

    ``dead`` are directions (from, to) that lose everything, ``loss`` is how much the others lose, ``delay_s`` how long
    each frame is on its way.
    """

    def __init__(
        self,
        count: int,
        *,
        ids: Sequence[int] = (),
        keys: Sequence[NetworkKeys | None] = (),
        wires: Wires | None = None,
    ) -> None:
        self.now = 100.0
        self.fabrics = [Fabric(switch, Random(at)) for at, switch in enumerate(ids or range(1, count + 1))]
        self.told: list[list[ev.Command]] = [[] for _ in self.fabrics]
        self.dead: set[tuple[int, int]] = set()
        self.loss = 0.0
        self.delay_s = DELAY_S
        self.after: Callable[[], None] = _nothing
        """Called after each event."""
        self._random = Random(count)
        row = {(at, P2): (at + 1, P1) for at in range(count - 1)}
        self._wires = (row | {two: one for one, two in row.items()}) if wires is None else wires
        self._ports: list[list[PortNo]] = [[P1, P2] for _ in range(count)]
        if wires is not None:
            self._ports = [sorted(port for each, port in wires if each == at) for at in range(count)]
        self.sent = 0
        self.frames: list[tuple[int, PortNo, bytes]] = []
        """All that arrived, where, in its order."""
        self._on_the_way: list[tuple[float, int, PortNo, bytes]] = []
        for at, each in enumerate(keys):
            self.tell(at, ev.KeysChanged(each))
        for at in range(count):
            for port in self._ports[at]:
                self.tell(at, ev.PortChanged(port, True, Mac(0x020000000000 + at * 16 + port)))

    def link(self, at: int, port: PortNo = P1) -> Link:
        """What a switch knows of a port."""
        return self.fabrics[at].links[port]

    def state(self, at: int, port: PortNo = P1) -> LinkState:
        """The state of its neighbour there."""
        return self.link(at, port).state

    def tell(self, at: int, event: ev.Event) -> None:
        """Have an event happen, and carry out what is to be sent."""
        for command in self.fabrics[at].handle(event, self.now):
            if isinstance(command, ev.Send):
                self._send(at, command)
            else:
                self.told[at].append(command)
        self.after()

    def restart(self, at: int, keys: NetworkKeys | None = None) -> None:
        """A switch has forgotten everything, and has another boot number."""
        self.fabrics[at] = Fabric(self.fabrics[at].switch, Random(self.now))
        self.tell(at, ev.KeysChanged(keys))
        for port in self._ports[at]:
            self.tell(at, ev.PortChanged(port, True, Mac(0x020000000000 + at * 16 + port)))

    def carry_control(self, *ports: tuple[int, PortNo]) -> None:
        """Control traffic leaves by these ports."""
        for at in range(len(self.fabrics)):
            self.tell(at, ev.ControlPortsChanged(frozenset(port for other, port in ports if other == at)))

    def run(self, seconds: float, *, stalled: frozenset[int] = frozenset()) -> None:
        """Let time pass; those that are ``stalled`` do nothing, and take what has come at the end of it."""
        end = self.now + seconds
        while True:
            due = [fabric.next_deadline() for at, fabric in enumerate(self.fabrics) if at not in stalled]
            moments = [each[0] for each in self._on_the_way if each[1] not in stalled]
            soonest = min([each for each in due if each is not None] + moments, default=end)
            if soonest > end:
                break
            self.now = max(self.now, soonest)
            self._deliver(stalled)
            for at, fabric in enumerate(self.fabrics):
                deadline = fabric.next_deadline()
                if at not in stalled and deadline is not None and deadline <= self.now:
                    self.tell(at, ev.TimePassed())
        self.now = end

    def commands(self, at: int, kind: type[ev.Command]) -> int:
        """How many commands of a kind a switch has given."""
        return sum(isinstance(command, kind) for command in self.told[at])

    def _deliver(self, stalled: frozenset[int]) -> None:
        here = [each for each in self._on_the_way if each[0] <= self.now and each[1] not in stalled]
        self._on_the_way = [each for each in self._on_the_way if each not in here]
        for _, at, port, data in here:
            self.frames.append((at, port, data))
            self.tell(at, ev.FrameReceived(port, data))

    def _send(self, at: int, command: ev.Send) -> None:
        self.sent += 1
        to, port = self._wires.get((at, command.port), (at, command.port))
        if to != at and (at, to) not in self.dead and self._random.random() >= self.loss:
            self._on_the_way.append((self.now + self.delay_s, to, port, command.data))


def _nothing() -> None:
    """No one looks."""
