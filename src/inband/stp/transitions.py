"""Port role transitions and port state transitions: when a port may forward (IEEE 802.1D-2004, 17.29 and 17.30).

A root port forwards at once when no other port was the root's of late. A designated port does when its neighbour agrees
(after that has closed what could make a loop), when no bridge is behind it, or when time has passed.
"""

from __future__ import annotations

from typing import assert_never

from inband.stp.state import Tree, TreePort
from inband.vocabulary.spanning_tree import StpRole


def hold_timers(tree: Tree, port: TreePort) -> None:
    """Timers that the standard sets again for as long as a role lasts begin when it ends."""
    match port.role:
        case StpRole.DISABLED:
            port.fd_until = tree.now + port.designated_times.max_age
        case StpRole.ALTERNATE | StpRole.BACKUP:
            port.fd_until = tree.now + port.forward_delay
            if port.role is StpRole.BACKUP:
                port.rb_until = tree.now + 2 * port.designated_times.hello_time
        case StpRole.ROOT:
            port.rr_until = tree.now + port.designated_times.forward_delay
        case StpRole.DESIGNATED:
            pass
        case _:
            assert_never(port.role)


def run_transitions(tree: Tree, port: TreePort) -> bool:
    """One step of the port role transition machine; whether there was one."""
    if not port.selected or port.updt_info:
        return False
    if port.role is not port.selected_role:
        _begin_role(tree, port)
        return True
    match port.role:
        case StpRole.ROOT:
            return _agree(tree, port, is_root=True) or _run_root(tree, port)
        case StpRole.DESIGNATED:
            return _propose(tree, port) or _sync_designated(tree, port) or _run_designated(tree, port)
        case StpRole.ALTERNATE | StpRole.BACKUP:
            return _close(tree, port) or _agree(tree, port, is_root=False)
        case StpRole.DISABLED:
            return _close(tree, port)
        case _:
            assert_never(port.role)


def _begin_role(tree: Tree, port: TreePort) -> None:
    port.role = port.selected_role
    if not port.is_in_tree:
        port.learn = port.forward = False
    hold_timers(tree, port)


def _close(tree: Tree, port: TreePort) -> bool:
    """A port outside the tree is in step with whatever the others do, once it is closed."""
    is_done = port.synced and not port.sync and not port.re_root and tree.now >= port.rr_until
    if is_done or port.learning or port.forwarding:
        return False
    port.synced, port.sync, port.re_root, port.rr_until = True, False, False, tree.now
    return True


def _agree(tree: Tree, port: TreePort, *, is_root: bool) -> bool:
    """Answer a proposal: first all other ports are closed or agreed with, then the neighbour hears of it."""
    if (tree.all_synced and not port.agree) or (port.proposed and port.agree):
        port.proposed, port.agree, port.new_info = False, True, True
        if is_root:
            port.sync = False
        return True
    if port.proposed and not port.agree:
        tree.set_sync()
        port.proposed = False
        return True
    return False


def _run_root(tree: Tree, port: TreePort) -> bool:
    if not port.forward and not port.re_root:
        tree.set_re_root()
        return True
    if port.re_root and port.forward:
        port.re_root = False
        return True
    is_ready = tree.now >= port.fd_until or (tree.is_re_rooted(port) and tree.now >= port.rb_until)
    return is_ready and _open(tree, port)


def _open(tree: Tree, port: TreePort) -> bool:
    """Learn, then forward."""
    if not port.learn:
        port.learn, port.fd_until = True, tree.now + port.forward_delay
        return True
    if not port.forward:
        port.forward, port.fd_until = True, tree.now
        if port.role is StpRole.DESIGNATED:
            port.agreed = port.send_rstp
        return True
    return False


def _propose(tree: Tree, port: TreePort) -> bool:
    if port.forward or port.agreed or port.proposing or port.edge:
        return False
    port.proposing, port.new_info = True, True
    port.edge_delay_until = tree.now + port.edge_delay
    return True


def _sync_designated(tree: Tree, port: TreePort) -> bool:
    is_closed = not port.learning and not port.forwarding
    if ((is_closed or port.agreed or port.edge) and not port.synced) or (port.sync and port.synced):
        port.rr_until, port.synced, port.sync = tree.now, True, False
        return True
    if port.re_root and tree.now >= port.rr_until:
        port.re_root = False
        return True
    return False


def _run_designated(tree: Tree, port: TreePort) -> bool:
    is_retiring = port.re_root and tree.now < port.rr_until
    is_unsafe = (port.sync and not port.synced) or is_retiring or port.disputed
    if is_unsafe and not port.edge and (port.learn or port.forward):
        port.learn = port.forward = port.disputed = False
        port.fd_until = tree.now + port.forward_delay
        return True
    if port.sync or is_retiring or not (tree.now >= port.fd_until or port.agreed or port.edge):
        return False
    return _open(tree, port)


def run_state(port: TreePort) -> bool:
    """One step of the port state transition machine; whether there was one."""
    if port.learning and not (port.learn and (port.forward or not port.forwarding)):
        port.learning = port.forwarding = False
    elif port.learn and not port.learning:
        port.learning = True
    elif port.learning and port.forward and not port.forwarding:
        port.forwarding = True
    else:
        return False
    return True
