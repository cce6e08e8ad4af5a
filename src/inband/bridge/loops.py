"""Loops outside a bridge that runs no spanning tree: probes leave and come back, and broadcasts are limited meanwhile.

Not here: loops of flows that output by port numbers. Those are the controller's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

from inband.bridge.megaflows import MegaflowCache
from inband.datapath.base import Datapath
from inband.flow.actions import Output
from inband.flow.ports import LOCAL, PortNo
from inband.packet.frame import Frame
from inband.pipeline.ports import SwitchPort
from inband.pipeline.translate import Pipeline
from inband.stp.loop_watch import Loop, LoopWatch, probe_frame, probe_number
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import PortState


class BridgeLoops:
    """Watches one bridge."""

    def __init__(
        self,
        pipeline: Pipeline,
        megaflows: MegaflowCache,
        datapath: Datapath,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.changed: Callable[[], None] = _no_one_asks
        self._pipeline = pipeline
        self._megaflows = megaflows
        self._datapath = datapath
        self.watch = LoopWatch(random_bytes)
        self.moved = 0

    @property
    def loops(self) -> frozenset[Loop]:
        """The loops that are there."""
        return self.watch.loops

    def look(self, now: Instant) -> bool:
        """A frame was decided: it may have moved a host. Whether ``next_deadline`` may be earlier now."""
        moved, before = self._pipeline.loops.moves, self.moved
        self.moved = moved
        if moved == before or self._pipeline.takes_bpdus:
            return False
        self.watch.host_moved(now)
        return True

    def receive(self, port: PortNo, data: bytes, now: Instant) -> bool:
        """Take a frame if it is a probe of ours that came back; whether it was."""
        number = probe_number(data)
        if number is None:
            return False
        before = self.watch.loops
        is_ours = self.watch.receive(port, number, now)
        self._follow(before)
        return is_ours

    def stop(self) -> None:
        """A spanning tree takes over."""
        before = self.watch.loops
        self.watch.forget()
        self._follow(before)

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return self.watch.next_deadline()

    def run(self, now: Instant) -> None:
        """Do what is due."""
        due = self.watch.next_deadline()
        if due is None or due > now:
            return
        before = self.watch.loops
        self.watch.expire(now)
        for port, number in self.watch.send(map(_number, filter(_is_probed, self._pipeline.ports)), now):
            self._send(port, number)
        if before:
            self._follow(before, is_new_second=True)

    def _send(self, number: PortNo, probe: bytes) -> None:
        port = self._pipeline.ports.get(number)
        if port is not None:
            self._datapath.execute(LOCAL, Frame(probe_frame(probe, port.mac)), (Output(number),))

    def _follow(self, before: frozenset[Loop], *, is_new_second: bool = False) -> None:
        """Have the limits, the caches and whoever wants to know follow."""
        after = self.watch.loops
        if after == before and not is_new_second:
            return
        self._pipeline.loops.refill(_inlets(after))
        self._megaflows.everything_changed()
        self._megaflows.settle()
        if after != before:
            self.changed()


def _no_one_asks() -> None:
    """Until someone wants to know which loops there are."""


def _inlets(loops: Iterable[Loop]) -> frozenset[PortNo]:
    """Where packets come back: no other port pays for a host that pretends a loop."""
    return frozenset(loop.received for loop in loops)


def _is_probed(port: SwitchPort) -> bool:
    return port.number != LOCAL and port.floods_data and not port.state & PortState.LINK_DOWN


def _number(port: SwitchPort) -> PortNo:
    return port.number
