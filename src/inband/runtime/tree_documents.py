"""What commands print of a spanning tree: parts of the ``show`` document, and the answer to ``rstp/show``.

Source of the latter: ovs-vswitchd(8), and what Open vSwitch 3.1 was seen to print.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from inband.flow.ports import PortNo
from inband.pipeline.ports import SwitchPort
from inband.runtime.show import PortTreeDocument, TreeDocument
from inband.stp.status import PortTreeStatus, TreeStatus
from inband.stp.values import BridgeId
from inband.vocabulary.spanning_tree import StpRole


def tree_document(tree: TreeStatus, ports: Iterable[SwitchPort]) -> TreeDocument:
    """A bridge's part in the tree."""
    return {
        "bridge_id": str(tree.id),
        "root_id": str(tree.root),
        "root_cost": tree.root_cost,
        "root_port": next((port.name for port in ports if port.number == tree.root_port), None),
    }


def port_tree_document(port: SwitchPort, tree: TreeStatus | None) -> PortTreeDocument | None:
    """A port's part; None for one that has none."""
    found = None if tree is None else tree.port(port.number)
    if found is None:
        return None
    return {
        "role": str(found.role),
        "state": str(found.state),
        "cost": found.cost,
        "priority": found.priority,
        "edge": found.is_edge,
        "protocol": "RSTP" if found.speaks_rstp else "STP",
        "neighbour": str(found.designated.bridge) if _hears_better(found) else None,
    }


def _hears_better(port: PortTreeStatus) -> bool:
    return port.role in (StpRole.ROOT, StpRole.ALTERNATE, StpRole.BACKUP)


def rstp_text(name: str, tree: TreeStatus, ports: Iterable[SwitchPort]) -> str:
    """The answer to ``rstp/show`` for one bridge."""
    names = {port.number: port.name for port in ports}
    return "".join(f"{line}\n" for line in (*_bridge_lines(name, tree, names), *_port_lines(tree, names), ""))


def _bridge_lines(name: str, tree: TreeStatus, names: dict[PortNo, str]) -> Iterator[str]:
    yield f"---- {name} ----"
    yield "Root ID:"
    yield from _id_lines(tree.root, tree)
    if tree.root_port is None:
        yield "  This bridge is the root"
    else:
        yield f"  root-port       {names.get(tree.root_port, '')}"
        yield f"  root-path-cost  {tree.root_cost}"
    yield ""
    yield "Bridge ID:"
    yield from _id_lines(tree.id, tree)
    yield ""


def _id_lines(bridge: BridgeId, tree: TreeStatus) -> Iterator[str]:
    times = tree.times
    yield f"  stp-priority    {bridge.priority}"
    yield f"  stp-system-id   {bridge.mac}"
    yield f"  stp-hello-time  {times.hello_time:g}s"
    yield f"  stp-max-age     {times.max_age:g}s"
    yield f"  stp-fwd-delay   {times.forward_delay:g}s"


def _port_lines(tree: TreeStatus, names: dict[PortNo, str]) -> Iterator[str]:
    yield f"  {'Interface':<11}{'Role':<11}{'State':<11}{'Cost':<9}Pri.Nbr "
    yield f"  {'-' * 10} {'-' * 10} {'-' * 10} {'-' * 8} {'-' * 7}"
    for port in tree.ports:
        number = f"{port.priority}.{port.id & 0xFFF}"
        name = names.get(port.number, str(port.number))
        yield f"  {name:<10} {port.role!s:<10} {port.state!s:<10} {port.cost:<8} {number}"
