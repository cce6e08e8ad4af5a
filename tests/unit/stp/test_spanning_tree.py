"""The spanning tree of one bridge and of several, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inband.flow.ports import PortNo
from inband.stp import events as ev
from inband.stp.bpdu import Bpdu, Flag, Kind, TcnBpdu
from inband.stp.settings import PortTreeSettings, TreeSettings
from inband.stp.spanning_tree import SpanningTree
from inband.stp.state import TX_HOLD_COUNT
from inband.stp.values import BridgeId, PriorityVector, Times
from inband.vocabulary.addresses import Mac
from inband.vocabulary.spanning_tree import StpRole, StpState
from tests.unit.stp.network import COST, DELAY_S, End, Network, joined, ring

ONE, TWO = PortNo(1), PortNo(2)
BETTER = BridgeId(4096, Mac(9))
PROPOSAL = Bpdu(Kind.RST, PriorityVector(BETTER, 0, BETTER, 0x8001), Times(), Flag.PROPOSAL)


def bridge(*ports: PortNo, settings: PortTreeSettings | None = None) -> SpanningTree:
    """A bridge with ports whose links came up at instant 0."""
    tree = SpanningTree(Mac(1), TreeSettings())
    for port in ports:
        tree.handle(ev.PortChanged(port, True, COST, settings=settings or PortTreeSettings()), 0)
    return tree


def said(commands: list[ev.Command]) -> list[Bpdu]:
    """The messages among commands that are not TCNs."""
    return [each.bpdu for each in commands if isinstance(each, ev.SendBpdu) and isinstance(each.bpdu, Bpdu)]


def run_to(tree: SpanningTree, end: float) -> list[ev.Command]:
    """Let time pass; all that was done meanwhile."""
    done: list[ev.Command] = []
    while (due := tree.next_deadline()) is not None and due <= end:
        done += tree.handle(ev.TimePassed(), due)
    return done


# One bridge


def test_a_port_where_nobody_answers_forwards_after_three_seconds() -> None:
    tree = bridge(ONE)

    assert ev.SetState(ONE, StpState.FORWARDING) not in run_to(tree, 2.9)
    assert ev.SetState(ONE, StpState.FORWARDING) in run_to(tree, 3.0)


def test_an_edge_port_forwards_at_once_until_a_bridge_speaks() -> None:
    tree = SpanningTree(Mac(1), TreeSettings())

    first = tree.handle(ev.PortChanged(ONE, True, COST, settings=PortTreeSettings(is_edge=True)), 0)
    tree.handle(ev.BpduReceived(ONE, PROPOSAL), 1)

    assert ev.SetState(ONE, StpState.FORWARDING) in first
    assert not tree.status().ports[0].is_edge


def test_other_ports_close_before_a_proposal_is_agreed_to() -> None:
    tree = bridge(ONE, TWO)
    run_to(tree, 4)
    tree.handle(ev.BpduReceived(TWO, replace(PROPOSAL, vector=PROPOSAL.vector._replace(cost=5, port=0x8002))), 5)
    run_to(tree, 40)

    done = tree.handle(ev.BpduReceived(ONE, PROPOSAL), 41)

    closed = done.index(ev.SetState(TWO, StpState.DISCARDING))
    agreed = next(i for i, c in enumerate(done) if isinstance(c, ev.SendBpdu) and c.number == ONE)
    assert closed < agreed
    (answer,) = [c.bpdu for c in done if isinstance(c, ev.SendBpdu) and c.number == ONE]
    assert isinstance(answer, Bpdu)
    assert answer.flags & Flag.AGREEMENT
    assert answer.role is StpRole.ROOT


def test_a_root_that_is_silent_is_given_up_after_three_greetings() -> None:
    tree = bridge(ONE)
    tree.handle(ev.BpduReceived(ONE, PROPOSAL), 1)

    run_to(tree, 6.9)
    before = tree.status()
    run_to(tree, 7.0)
    after = tree.status()

    assert (before.root, before.root_port, before.root_cost) == (BETTER, ONE, COST)
    assert after.is_root


def test_a_port_sends_no_more_than_its_share() -> None:
    tree = bridge(ONE)
    run_to(tree, 10)

    done: list[ev.Command] = []
    for step in range(200):
        root = BridgeId(4096 + step % 2, Mac(9))
        vector = PriorityVector(root, 0, root, 0x8001)
        done += tree.handle(ev.BpduReceived(ONE, replace(PROPOSAL, vector=vector)), 10 + step / 1000)

    assert 0 < len(said(done)) <= TX_HOLD_COUNT


def test_a_neighbour_that_speaks_stp_is_spoken_stp_to_until_it_speaks_rstp() -> None:
    tree = bridge(ONE)
    config = replace(PROPOSAL, kind=Kind.CONFIG, vector=PROPOSAL.vector._replace(root=BridgeId(61440, Mac(9))))
    run_to(tree, 4)

    tree.handle(ev.BpduReceived(ONE, config), 4)
    as_stp = said(run_to(tree, 12))
    tree.handle(ev.BpduReceived(ONE, replace(config, kind=Kind.RST, role=StpRole.ROOT)), 12)
    as_rstp = said(run_to(tree, 16))

    assert {each.kind for each in as_stp} == {Kind.CONFIG}
    assert {each.kind for each in as_rstp} == {Kind.RST}


def test_a_bridge_of_stp_is_told_of_a_topology_change_by_tcn() -> None:
    tree = bridge(ONE, TWO)
    run_to(tree, 4)
    tree.handle(ev.BpduReceived(ONE, replace(PROPOSAL, kind=Kind.CONFIG, flags=Flag.NONE)), 5)
    run_to(tree, 9)
    for second in range(9, 60, 2):
        tree.handle(ev.BpduReceived(ONE, replace(PROPOSAL, kind=Kind.CONFIG, flags=Flag.NONE)), second)
        run_to(tree, second + 1.9)

    done = tree.handle(ev.BpduReceived(TWO, TcnBpdu()), 61)

    assert ev.SendBpdu(ONE, TcnBpdu()) in done
    assert ev.ForgetAddresses(ONE) in done


def test_a_worse_neighbour_that_forwards_all_the_same_makes_the_port_give_way() -> None:
    tree = bridge(ONE)
    run_to(tree, 4)
    worse = BridgeId(61440, Mac(9))
    vector = PriorityVector(worse, 0, worse, 0x8001)

    done = tree.handle(ev.BpduReceived(ONE, Bpdu(Kind.RST, vector, Times(), Flag.LEARNING | Flag.FORWARDING)), 5)
    done += run_to(tree, 5)

    assert ev.SetState(ONE, StpState.DISCARDING) in done


def test_a_better_priority_moves_the_root_here() -> None:
    tree = bridge(ONE)
    tree.handle(ev.BpduReceived(ONE, PROPOSAL), 1)

    tree.handle(ev.BridgeChanged(Mac(1), TreeSettings(priority=0)), 2)

    assert tree.status().is_root
    assert tree.status().ports[0].role is StpRole.DESIGNATED


def test_a_root_gives_the_tree_its_own_times() -> None:
    tree = SpanningTree(Mac(1), TreeSettings(max_age_s=10, forward_delay_s=6))
    tree.handle(ev.PortChanged(ONE, True, COST), 0)

    (message,) = said(run_to(tree, 2.5))[-1:]
    behind = run_to(tree, 2.6)
    tree.handle(ev.BpduReceived(ONE, PROPOSAL), 3)

    assert behind == []
    assert (message.times.max_age, message.times.forward_delay) == (10, 6)
    assert tree.status().times.max_age == Times().max_age, "behind another root its times hold"


def test_a_port_that_goes_takes_its_root_with_it() -> None:
    tree = bridge(ONE)
    tree.handle(ev.BpduReceived(ONE, PROPOSAL), 1)

    tree.handle(ev.PortRemoved(ONE), 2)

    assert tree.status().is_root
    assert tree.next_deadline() is None or run_to(tree, 10) == []


def test_ports_whose_numbers_do_not_fit_have_identifiers_of_their_own() -> None:
    tree = bridge(*(PortNo(number) for number in (1, 0x1001, 0x2001, 0xFEFF, 0xFFF)))

    ids = [port.id for port in tree.status().ports]

    assert len(set(ids)) == len(ids)


# Several


def test_a_ring_heals_in_milliseconds() -> None:
    net = ring(8)
    net.run(5)

    net.set_cable(0, up=False)
    net.run(20 * DELAY_S)

    assert len(net.open_cables()) == 7
    assert net.loops == []


def test_a_ring_whose_cable_comes_back_has_no_circle() -> None:
    net = ring(8)
    net.run(5)
    net.set_cable(3, up=False)
    net.run(5)

    net.set_cable(3, up=True)
    net.run(5)

    assert net.roles() == net.expected_roles()
    assert net.loops == []


def test_a_cable_that_carries_nothing_any_more_is_found_by_silence() -> None:
    net = ring(4)
    net.run(5)
    cut = net.cables[0]

    cut.carries = False
    net.run(10)

    assert net.roles()[End(1, PortNo(1))] is not StpRole.ROOT
    assert net.is_forwarding(End(2, PortNo(2)))


def test_hosts_are_forgotten_where_the_tree_changed() -> None:
    net = ring(4)
    net.run(5)
    net.flushed.clear()

    net.set_cable(0, up=False)
    net.run(0.1)

    assert {end.bridge for _, end in net.flushed} == {0, 1, 2, 3}


def test_a_topology_change_that_a_person_asks_for_is_told_to_all() -> None:
    net = ring(4)
    net.run(60)
    net.flushed.clear()

    net.tell(2, ev.TopologyChangeAsked())
    net.run(0.1)

    assert {end.bridge for _, end in net.flushed} == {0, 1, 2, 3}


@pytest.mark.parametrize("root", range(4))
def test_every_bridge_can_be_the_root(root: int) -> None:
    net = joined([0 if i == root else 32768 for i in range(4)], [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)])

    net.run(30)

    assert net.trees[root].status().is_root
    assert net.roles() == net.expected_roles()


def test_old_news_of_a_lost_root_makes_no_circle() -> None:
    """Two bridges with two cables between them, each of which believes in the other's way to a root that is gone."""
    net: Network = joined([4096, 32768, 32768, 8192], [(0, 1), (1, 2), (1, 2), (2, 3), (3, 1)])
    net.run(30)

    net.set_cable(0, up=False)
    net.run(60)

    assert net.loops == []
    assert net.roles() == net.expected_roles()


def test_an_agreement_does_not_open_a_port_that_has_not_said_yet_what_holds() -> None:
    """Old news goes round among four bridges, until all have sent what they may in a second (TxHoldCount)."""
    cables = [(4, 5), (0, 1), (2, 4), (3, 4), (0, 1), (0, 4), (2, 4), (1, 2), (1, 4), (2, 5)]
    net = joined([32768, 32768, 32768, 0, 0, 0], cables)
    net.run(3.0)

    net.set_cable(1, up=False)
    net.run(0.0005)
    net.set_cable(3, up=False)
    net.run(60.0)

    assert net.loops == []
    assert net.roles() == net.expected_roles()
