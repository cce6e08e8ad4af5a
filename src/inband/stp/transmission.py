"""Port transmit, protocol migration and bridge detection machines (IEEE 802.1D-2004, 17.24 to 17.26)."""

from __future__ import annotations

from typing import assert_never

from inband.stp.bpdu import AnyBpdu, Bpdu, Flag, Kind, TcnBpdu
from inband.stp.state import MIGRATE_S, TX_HOLD_COUNT, Migration, Tree, TreePort
from inband.vocabulary.instant import Instant
from inband.vocabulary.spanning_tree import StpRole

# After so long a port may send one more message than it had left (17.19.44).
TICK_S = 1.0
# Greetings of all ports are due at the same few instants, not each at its own: to look after a thousand ports takes
# milliseconds each time. Up to half a second early is what the standard's own timers, of whole seconds, are.
HELLO_GRID_S = 0.5


def run_migration(tree: Tree, port: TreePort) -> bool:
    """One step of the protocol migration machine; whether there was one: STP is spoken with who speaks only that."""
    match port.migration:
        case Migration.CHECKING_RSTP | Migration.SELECTING_STP:
            if tree.now < port.mdelay_until:
                return False
            port.rcvd_rstp = port.rcvd_stp = False
            port.migration = Migration.SENSING
        case Migration.SENSING:
            if not port.send_rstp and port.rcvd_rstp:
                check_rstp(tree, port)
            elif port.send_rstp and port.rcvd_stp:
                port.send_rstp, port.mdelay_until = False, tree.now + MIGRATE_S
                port.migration = Migration.SELECTING_STP
            else:
                return False
        case _:
            assert_never(port.migration)
    return True


def check_rstp(tree: Tree, port: TreePort) -> None:
    """Speak RSTP for a while, whoever is there."""
    port.send_rstp, port.mdelay_until = True, tree.now + MIGRATE_S
    port.migration = Migration.CHECKING_RSTP


def run_detection(tree: Tree, port: TreePort) -> bool:
    """One step of the bridge detection machine; whether there was one: a port where no bridge answers is an edge."""
    if not port.is_enabled:
        is_edge = port.settings.is_edge
    else:
        is_silent = tree.now >= port.edge_delay_until and port.send_rstp and port.proposing
        is_edge = port.edge or (is_silent and port.role is StpRole.DESIGNATED)
    if is_edge == port.edge:
        return False
    port.edge = is_edge
    return True


def transmit(tree: Tree, port: TreePort) -> AnyBpdu | None:
    """What is due to be sent by a port, if anything. When a port has sent its share it waits for the next tick."""
    if not port.is_enabled or not port.selected or port.updt_info:
        return None
    is_root, is_designated = port.role is StpRole.ROOT, port.role is StpRole.DESIGNATED
    if tree.now >= port.hello_at:
        port.new_info = port.new_info or is_designated or (is_root and tree.now < port.tc_until)
        _restart_hello(tree, port)
    if not port.new_info or port.tx_count >= TX_HOLD_COUNT:
        return None
    if not port.send_rstp and not (is_root or is_designated):
        return None
    port.new_info = False
    port.tx_count += 1
    port.tx_total += 1
    tree.tick_at = tree.now + TICK_S if tree.tick_at is None else tree.tick_at
    _restart_hello(tree, port)
    if not port.send_rstp and is_root:
        return TcnBpdu()
    bpdu = _rst(tree, port) if port.send_rstp else _config(tree, port)
    port.said, port.tc_ack = bpdu.vector, False
    return bpdu


def _restart_hello(tree: Tree, port: TreePort) -> None:
    at = tree.now + port.designated_times.hello_time
    port.hello_at = at - at % HELLO_GRID_S


def tick(tree: Tree) -> None:
    """A second has passed for the counts of what was sent."""
    if tree.tick_at is None or tree.now < tree.tick_at:
        return
    for port in tree:
        port.tx_count = max(0, port.tx_count - 1)
    tree.tick_at = tree.now + TICK_S if any(port.tx_count for port in tree) else None


def _config(tree: Tree, port: TreePort) -> Bpdu:
    flags = _tc(tree, port) | (Flag.TOPOLOGY_CHANGE_ACK if port.tc_ack else Flag.NONE)
    return Bpdu(Kind.CONFIG, port.designated_priority, port.designated_times, flags)


def _rst(tree: Tree, port: TreePort) -> Bpdu:
    flags = _tc(tree, port)
    for is_set, flag in (
        (port.agree, Flag.AGREEMENT),
        (port.proposing, Flag.PROPOSAL),
        (port.learning, Flag.LEARNING),
        (port.forwarding, Flag.FORWARDING),
    ):
        flags |= flag if is_set else Flag.NONE
    return Bpdu(Kind.RST, port.designated_priority, port.designated_times, flags, port.role)


def _tc(tree: Tree, port: TreePort) -> Flag:
    return Flag.TOPOLOGY_CHANGE if tree.now < port.tc_until else Flag.NONE


def next_deadline(tree: Tree, port: TreePort) -> Instant:
    """When a timer of an enabled port runs out next."""
    timers = (
        port.hello_at,
        *(port.edge_delay_until, port.fd_until, port.mdelay_until),
        *(port.rb_until, port.rcvd_info_until, port.rr_until),
    )
    return min((until for until in timers if until > tree.now), default=port.hello_at)
