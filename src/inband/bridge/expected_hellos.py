"""Hellos that say nothing new are taken by the datapath, where it can: a switch wakes up for its own hellos alone.

A usual hello that counted shows what the next ones look like. They are read before anything is judged or said: when a
message of the neighbour comes up, and whenever the fabric's time has come, which it has for each hello of this switch.

Invariants: only without a key, for a datapath checks no hashes, and of a neighbour that is two-way; a link that is not
is no longer watched before anything else is done.
"""

from __future__ import annotations

from collections.abc import Iterator

from inband.datapath.base import HelloWatch
from inband.fabric import events as ev
from inband.fabric.events import LinkState
from inband.fabric.fabric import Fabric
from inband.fabric.hello import usual_sequence
from inband.fabric.link import Link
from inband.flow.ports import PortNo


class ExpectedHellos:
    """Those of one bridge; ``watch`` is None where the datapath takes none."""

    def __init__(self, watch: HelloWatch | None) -> None:
        self._watch = watch
        self._taken: dict[PortNo, int] = {}

    def heard(self, link: Link, data: bytes) -> None:
        """A frame came up and was looked at: such a hello need not come up again."""
        sequence = usual_sequence(data)
        if self._watch is None or sequence is None or not _may_watch(link):
            return
        if link.peer is not None and link.peer.sequence == sequence:
            self._watch.expect(link.port, data, sequence, link.sequence)
            self._taken[link.port] = self._watch.last(link.port).taken

    def said(self, link: Link) -> None:
        """A hello is about to leave; the neighbour's next ones may name it."""
        if self._watch is not None and link.port in self._taken:
            self._watch.said(link.port, link.sequence)

    def news(self, *ports: PortNo) -> Iterator[ev.HelloTaken]:
        """What was taken on these ports, or on any, since the last time."""
        if self._watch is None:
            return
        for port in ports or tuple(self._taken):
            before = self._taken.get(port)
            if before is None:
                continue
            last = self._watch.last(port)
            if last.taken != before:
                self._taken[port] = last.taken
                count = (last.taken - before) % (1 << 32)
                yield ev.HelloTaken(port, last.sequence, last.heard_sequence, last.hold, count, last.at)

    def follow(self, fabric: Fabric | None) -> None:
        """Links may not be what they were: of those that are not two-way all hellos come up again."""
        for port in list(self._taken) if self._watch is not None else ():
            link = None if fabric is None else fabric.links.get(port)
            if self._watch is not None and (link is None or not _may_watch(link)):
                self._watch.ignore(port)
                del self._taken[port]


def _may_watch(link: Link) -> bool:
    return link.state is LinkState.TWO_WAY and not link.keyed
