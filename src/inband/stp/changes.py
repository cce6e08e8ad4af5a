"""Topology change machine: whose addresses are forgotten, and who is told (IEEE 802.1D-2004, 17.31)."""

from __future__ import annotations

from typing import assert_never

from inband.stp.state import Topology, Tree, TreePort
from inband.vocabulary.spanning_tree import StpRole


def run_topology(tree: Tree, port: TreePort) -> bool:
    """One step of the topology change machine; whether there was one."""
    match port.topology:
        case Topology.INACTIVE:
            return port.learn and _begin_learning(port)
        case Topology.LEARNING:
            return _run_learning(tree, port)
        case Topology.ACTIVE:
            return _run_active(tree, port)
        case _:
            assert_never(port.topology)


def detect_change(tree: Tree, port: TreePort) -> None:
    """The port carries data from now on, or a person says that the topology has changed."""
    new_tc(tree, port)
    tree.propagate_change(port)
    port.new_info = True


def new_tc(tree: Tree, port: TreePort) -> None:
    """newTcWhile (17.21.7): tell neighbours for a greeting and a second, or those of STP for as long as they age."""
    if tree.now < port.tc_until:
        return
    if port.send_rstp:
        port.tc_until, port.new_info = tree.now + port.designated_times.hello_time + 1, True
    else:
        port.tc_until = tree.now + tree.root_times.max_age + tree.root_times.forward_delay


def _begin_learning(port: TreePort) -> bool:
    port.rcvd_tc = port.rcvd_tcn = port.rcvd_tc_ack = port.tc_prop = False
    port.topology = Topology.LEARNING
    return True


def _run_learning(tree: Tree, port: TreePort) -> bool:
    if port.rcvd_tc or port.rcvd_tcn or port.rcvd_tc_ack or port.tc_prop:
        return _begin_learning(port)
    if port.is_in_tree and port.forward and not port.edge:
        detect_change(tree, port)
        port.topology = Topology.ACTIVE
        return True
    if not port.is_in_tree and not port.learn and not port.learning:
        port.flush, port.tc_until, port.tc_ack = True, tree.now, False
        port.topology = Topology.INACTIVE
        return True
    return False


def _run_active(tree: Tree, port: TreePort) -> bool:
    if not port.is_in_tree or port.edge:
        return _begin_learning(port)
    if port.rcvd_tcn or port.rcvd_tc:
        if port.rcvd_tcn:
            new_tc(tree, port)
        port.tc_ack = port.tc_ack or port.role is StpRole.DESIGNATED
        port.rcvd_tcn = port.rcvd_tc = False
        tree.propagate_change(port)
    elif port.tc_prop:
        new_tc(tree, port)
        port.flush, port.tc_prop = True, False
    elif port.rcvd_tc_ack:
        port.tc_until, port.rcvd_tc_ack = tree.now, False
    else:
        return False
    return True
