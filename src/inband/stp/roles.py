"""Port role selection: where the root is, and what each port is for (IEEE 802.1D-2004, 17.28 and 17.21.25)."""

from __future__ import annotations

from typing import assert_never

from inband.stp.state import InfoIs, Tree, TreePort
from inband.stp.values import DEFAULT_TIMES
from inband.vocabulary.spanning_tree import StpRole


def run_roles(tree: Tree) -> bool:
    """Select roles anew if that is asked for; whether it was."""
    if not tree.reselect:
        return False
    tree.reselect = False
    _find_root(tree)
    for port in tree:
        before = (port.selected, port.selected_role, port.updt_info)
        port.designated_priority = tree.root_priority._replace(bridge=tree.id, port=port.id)
        port.designated_times = tree.root_times._replace(hello_time=DEFAULT_TIMES.hello_time)
        port.selected_role, port.updt_info = _role_of(tree, port)
        port.selected = True
        port.is_touched = port.is_touched or before != (True, port.selected_role, port.updt_info)
    return True


def _find_root(tree: Tree) -> None:
    """The best way to a root: this bridge itself, or behind the port whose neighbour knows the best."""
    best, tree.root_port, tree.root_times = (tree.own_priority, 0), None, tree.own_times
    tree.root_priority = tree.own_priority
    for port in tree:
        held = port.priority_vector
        if port.info_is is InfoIs.RECEIVED and held.bridge.mac != tree.mac:
            path = held._replace(cost=held.cost + port.cost)
            if (path, port.id) < best:
                best, tree.root_port = (path, port.id), port.number
                tree.root_priority, tree.root_times = path, port.times.one_hop_on


def _role_of(tree: Tree, port: TreePort) -> tuple[StpRole, bool]:
    """A port's role, and whether its information has to become the bridge's."""
    match port.info_is:
        case InfoIs.DISABLED:
            return StpRole.DISABLED, False
        case InfoIs.AGED:
            return StpRole.DESIGNATED, True
        case InfoIs.MINE:
            is_right = (port.priority_vector, port.times) == (port.designated_priority, port.designated_times)
            return StpRole.DESIGNATED, not is_right
        case InfoIs.RECEIVED:
            return _role_where_heard(tree, port)
        case _:
            assert_never(port.info_is)


def _role_where_heard(tree: Tree, port: TreePort) -> tuple[StpRole, bool]:
    if port.number == tree.root_port:
        return StpRole.ROOT, False
    if port.designated_priority < port.priority_vector:
        return StpRole.DESIGNATED, True
    return StpRole.BACKUP if port.priority_vector.bridge.mac == tree.mac else StpRole.ALTERNATE, False
