"""What a bridge says to those at the other end of its links: the spanning tree, neighbours, probes for loops.

Invariant: what they say to each other is taken before the pipeline sees it, and so is never forwarded.
"""

from __future__ import annotations

from collections.abc import Callable

from inband.bridge.loops import BridgeLoops
from inband.bridge.neighbours import Neighbours
from inband.bridge.repeating import asks_for_configuration
from inband.bridge.tree import BridgeTree, TreeConfig
from inband.flow.fields import FIELDS, FlowKey
from inband.flow.ports import LOCAL, PortNo
from inband.packet.frame import Frame
from inband.pipeline.neighbours_hook import is_from_neighbour
from inband.pipeline.ports import SwitchPort
from inband.pipeline.translate import Pipeline
from inband.vocabulary.addresses import BRIDGE_GROUP
from inband.vocabulary.instant import Instant, earliest
from inband.vocabulary.openflow import PortReason

# The destination but for its last 4 bits, in which the groups that stay on a link differ.
_TO, _TO_BITS, _LINK_LOCAL = FIELDS["eth_dst"].shift + 4, (1 << 44) - 1, BRIDGE_GROUP >> 4


class LinkProtocols:
    """One bridge's."""

    def __init__(
        self,
        pipeline: Pipeline,
        tree: BridgeTree,
        loops: BridgeLoops,
        neighbours: Neighbours,
        wake: Callable[[], None],
    ) -> None:
        """``wake``: ``next_deadline`` may have become earlier."""
        self.tree, self.loops, self.neighbours = tree, loops, neighbours
        self._pipeline, self._wake = pipeline, wake

    def take(self, in_port: PortNo, frame: Frame, key: FlowKey, now: Instant) -> bool:
        """Take a frame if it is one of theirs; whether it was. Each frame that no cache knows passes here."""
        if in_port == LOCAL and self._pipeline.neighbours and asks_for_configuration(key):
            self.neighbours.local_asks(frame, key, now)
        if key >> _TO & _TO_BITS == _LINK_LOCAL:
            if self._pipeline.neighbours and is_from_neighbour(key):
                self.neighbours.receive(in_port, frame, now)  # which wakes by itself, and seldom
                return True
            is_taken = self.tree.receive(in_port, frame.data)
        elif self.loops.watch.probes:
            is_taken = self.loops.receive(in_port, frame.data, now)
        else:
            return False
        if is_taken:
            self._wake()
        return is_taken

    def configure_tree(self, config: TreeConfig | None) -> None:
        """Run a spanning tree with these settings, or none."""
        self.tree.configure(config)
        if config is not None:
            self.loops.stop()

    def port_changed(self, reason: PortReason, port: SwitchPort, now: Instant) -> None:
        """A port came, went, or is not what it was."""
        self.tree.follow_ports()
        if reason == PortReason.DELETE:
            self.neighbours.port_removed(port.number, now)
        else:
            self.neighbours.port_changed(port, now)

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        neighbours = None if self.neighbours.has_own_driver else self.neighbours.next_deadline()
        return earliest(self.tree.next_deadline(), neighbours, self.loops.next_deadline())

    def run(self, now: Instant) -> None:
        """Do what is due."""
        self.tree.run(now)
        if not self.neighbours.has_own_driver:
            self.neighbours.run(now)
        self.loops.run(now)
