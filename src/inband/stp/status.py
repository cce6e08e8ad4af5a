"""What a spanning tree tells people and the database: values that change no more."""

from __future__ import annotations

from dataclasses import dataclass

from inband.flow.ports import PortNo
from inband.stp.state import Tree, TreePort
from inband.stp.values import BridgeId, PriorityVector, Times
from inband.vocabulary.instant import Instant
from inband.vocabulary.spanning_tree import StpRole, StpState


@dataclass(frozen=True, slots=True)
class PortTreeStatus:
    """One port. ``designated`` is what is known of the way to the root behind it, or what it says itself."""

    number: PortNo
    id: int
    role: StpRole
    state: StpState
    cost: int
    priority: int
    designated: PriorityVector
    is_edge: bool
    is_point_to_point: bool
    speaks_rstp: bool
    rx_count: int
    tx_count: int
    error_count: int
    since: Instant


@dataclass(frozen=True, slots=True)
class TreeStatus:
    """One bridge. ``root_port`` is None where it is the root itself."""

    id: BridgeId
    root: BridgeId
    root_cost: int
    root_port: PortNo | None
    root_port_id: int
    designated: PriorityVector
    times: Times
    ports: tuple[PortTreeStatus, ...]

    def port(self, number: PortNo) -> PortTreeStatus | None:
        """One of its ports."""
        return next((port for port in self.ports if port.number == number), None)

    @property
    def is_root(self) -> bool:
        """Whether the bridge is the root."""
        return self.root_port is None


def status_of(tree: Tree) -> TreeStatus:
    """All of a bridge."""
    best = tree.root_priority
    root_port = None if tree.root_port is None else tree.ports.get(tree.root_port)
    return TreeStatus(
        id=tree.id,
        root=best.root,
        root_cost=best.cost,
        root_port=tree.root_port,
        root_port_id=0 if root_port is None else root_port.id,
        designated=best,
        times=tree.root_times,
        ports=tuple(map(_port_status, tree)),
    )


def _port_status(port: TreePort) -> PortTreeStatus:
    return PortTreeStatus(
        number=port.number,
        id=port.id,
        role=port.role,
        state=port.state,
        cost=port.cost,
        priority=port.settings.priority,
        designated=port.priority_vector,
        is_edge=port.edge,
        is_point_to_point=port.is_point_to_point,
        speaks_rstp=port.send_rstp,
        rx_count=port.rx_count,
        tx_count=port.tx_total,
        error_count=port.errors,
        since=port.since,
    )
