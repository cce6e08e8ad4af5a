"""Port receive and port information machines: what a port knows, and of whom (IEEE 802.1D-2004, 17.23 and 17.27)."""

from __future__ import annotations

from inband.stp.bpdu import AnyBpdu, Bpdu, Flag, Kind, TcnBpdu
from inband.stp.state import MIGRATE_S, InfoIs, Tree, TreePort
from inband.vocabulary.spanning_tree import StpRole


def receive(tree: Tree, port: TreePort, bpdu: AnyBpdu) -> None:
    """Take a message on an enabled port."""
    port.is_touched = True
    _note_version(tree, port, bpdu)
    if isinstance(bpdu, TcnBpdu):
        port.rcvd_tcn = True
        return
    port.message = bpdu
    if bpdu.role is StpRole.DESIGNATED:
        _take_designated(tree, port, bpdu)
    elif bpdu.vector >= port.priority_vector:  # from a root, alternate or backup port that knows nothing better
        _record_agreement(port, bpdu)
        _set_tc_flags(port, bpdu)


def _note_version(tree: Tree, port: TreePort, bpdu: AnyBpdu) -> None:
    """updtBPDUVersion, and what the receive machine does: there is a bridge behind the port."""
    if isinstance(bpdu, Bpdu) and bpdu.kind is Kind.RST:
        port.rcvd_rstp = True
    else:
        port.rcvd_stp = True
    port.edge = False
    port.edge_delay_until = tree.now + MIGRATE_S


def _take_designated(tree: Tree, port: TreePort, bpdu: Bpdu) -> None:
    held = port.priority_vector
    is_same = bpdu.vector == held and bpdu.times == port.times
    if is_same and port.info_is is InfoIs.RECEIVED:
        _record_proposal(port, bpdu)
        _set_tc_flags(port, bpdu)
        _set_rcvd_info(tree, port)
    elif bpdu.vector < held or (bpdu.vector.comes_from_where(held) and not is_same):
        _take_superior(tree, port, bpdu)
    elif bpdu.kind is Kind.RST and bpdu.flags & Flag.LEARNING:
        # Worse, and it learns or forwards all the same: it does not hear this port, so this one has to give way.
        port.disputed = True
        port.agreed = False


def _take_superior(tree: Tree, port: TreePort, bpdu: Bpdu) -> None:
    port.agreed = port.proposing = False
    _record_proposal(port, bpdu)
    _set_tc_flags(port, bpdu)
    port.agree = port.agree and port.has_better_or_same(InfoIs.RECEIVED)
    port.priority_vector, port.times = bpdu.vector, bpdu.times
    _set_rcvd_info(tree, port)
    port.info_is = InfoIs.RECEIVED
    tree.ask_for_roles(port)


def _record_proposal(port: TreePort, bpdu: Bpdu) -> None:
    if bpdu.flags & Flag.PROPOSAL:
        port.proposed = True


def _record_agreement(port: TreePort, bpdu: Bpdu) -> None:
    """recordAgreement (17.21.9), but of nothing that waits for TxHoldCount: the neighbour has not heard that."""
    is_possible = port.is_point_to_point and port.has_said_what_holds
    port.agreed = is_possible and bool(bpdu.flags & Flag.AGREEMENT)
    if port.agreed:
        port.proposing = False


def _set_tc_flags(port: TreePort, bpdu: Bpdu) -> None:
    port.rcvd_tc = port.rcvd_tc or bool(bpdu.flags & Flag.TOPOLOGY_CHANGE)
    if bpdu.kind is Kind.CONFIG:
        port.rcvd_tc_ack = port.rcvd_tc_ack or bool(bpdu.flags & Flag.TOPOLOGY_CHANGE_ACK)


def _set_rcvd_info(tree: Tree, port: TreePort) -> None:
    """updtRcvdInfoWhile: three greetings, unless it has come too far (17.21.23)."""
    is_near = port.times.one_hop_on.message_age <= port.times.max_age
    port.rcvd_info_until = tree.now + (3 * port.times.hello_time if is_near else 0)


def run_information(tree: Tree, port: TreePort) -> bool:
    """One step of the port information machine; whether there was one."""
    if not port.is_enabled:
        return port.info_is is not InfoIs.DISABLED and _disable(tree, port)
    is_too_old = port.info_is is InfoIs.RECEIVED and tree.now >= port.rcvd_info_until and not port.updt_info
    if port.info_is is InfoIs.DISABLED or is_too_old:
        port.info_is = InfoIs.AGED
        tree.ask_for_roles(port)
        return True
    if port.selected and port.updt_info:
        _update(port)
        return True
    return False


def _disable(tree: Tree, port: TreePort) -> bool:
    port.proposing = port.proposed = port.agree = port.agreed = port.disputed = False
    port.rcvd_tc = port.rcvd_tcn = port.rcvd_tc_ack = False
    port.info_is = InfoIs.DISABLED
    tree.ask_for_roles(port)
    return True


def _update(port: TreePort) -> None:
    """Have what the bridge itself says of the root.

    A neighbour that agreed to something better has not agreed to this: it is asked anew, and the port closed meanwhile.
    The standard leaves it open, and then old news of a root that is gone can chase its own tail through open ports.
    """
    port.proposing = port.proposed = False
    had_agreed, port.agreed = port.agreed, port.agreed and port.has_better_or_same(InfoIs.MINE)
    port.synced = port.synced and port.agreed
    port.sync = port.sync or (had_agreed and not port.agreed)
    port.priority_vector, port.times = port.designated_priority, port.designated_times
    port.updt_info, port.info_is, port.new_info = False, InfoIs.MINE, True
