"""Ports that a spanning tree keeps from forwarding: data stops there, and in-band control does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inband.flow.actions import Output
from inband.flow.fields import FIELDS
from inband.flow.match import Match
from inband.flow.ports import ALL, FLOOD, LOCAL, NORMAL, PortNo
from inband.pipeline.fdb import FdbKey
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.spanning_tree import StpState
from tests.unit.pipeline.scene import P1, P2, P3, A, B, C, Scene, out

TO_BRIDGES = "01:80:c2:00:00:00"
NOT_FORWARDING = (StpState.DISCARDING, StpState.LEARNING)
EVERYONE = "ff:ff:ff:ff:ff:ff"


def tree(scene: Scene, number: PortNo, state: StpState) -> None:
    """What the spanning tree says of a port."""
    port = scene.ports.get(number)
    assert port is not None
    scene.ports.put(replace(port, tree=state))


@pytest.fixture
def scene() -> Scene:
    """A learning switch."""
    scene = Scene()
    scene.flow(Output(NORMAL))
    return scene


@pytest.mark.parametrize("state", NOT_FORWARDING)
def test_data_is_not_taken_from_a_port_that_does_not_forward(scene: Scene, state: StpState) -> None:
    tree(scene, P1, state)

    decided = scene.receive(packets.tcp(src=A, dst=EVERYONE))

    assert decided.actions == ()
    assert decided.drop_reason == "the spanning tree keeps the port from forwarding"


@pytest.mark.parametrize("state", NOT_FORWARDING)
def test_data_is_not_sent_to_a_port_that_does_not_forward(scene: Scene, state: StpState) -> None:
    tree(scene, P2, state)

    assert scene.actions(packets.tcp(src=A, dst=EVERYONE)) == out(P3, LOCAL)


@pytest.mark.parametrize("port", [P2, FLOOD, ALL])
def test_no_flow_and_no_packet_out_sends_data_there(port: PortNo) -> None:
    scene = Scene()
    scene.flow(Output(port))
    tree(scene, P2, StpState.DISCARDING)

    assert Output(P2) not in scene.actions(packets.tcp())
    assert Output(P2) not in scene.packet_out(packets.tcp(), Output(port))


@pytest.mark.parametrize(("state", "is_learned"), [(StpState.DISCARDING, False), (StpState.LEARNING, True)])
def test_hosts_are_learned_while_learning_and_not_before(scene: Scene, state: StpState, is_learned: bool) -> None:
    tree(scene, P1, state)

    decided = scene.receive(packets.tcp(src=A, dst=EVERYONE))

    assert (scene.fdb.lookup(FdbKey(0, Mac.parse(A)), 1.0) == P1) is is_learned
    assert not (is_learned and decided.cacheable)


def test_what_flows_drop_teaches_nothing_while_learning() -> None:
    scene = Scene()
    scene.flow()
    tree(scene, P1, StpState.LEARNING)

    scene.receive(packets.tcp(src=A, dst=EVERYONE))

    assert len(scene.fdb) == 0


def test_control_passes_a_closed_port_both_ways(scene: Scene) -> None:
    scene.in_band(Match.of(eth_type=0x0806))
    tree(scene, P1, StpState.DISCARDING)
    tree(scene, P2, StpState.DISCARDING)

    assert scene.actions(packets.arp_request()) == out(P2, P3, LOCAL)


def test_a_host_that_control_heard_outside_the_tree_gets_data_by_the_tree(scene: Scene) -> None:
    scene.knows(B, P2)
    tree(scene, P2, StpState.DISCARDING)

    assert scene.actions(packets.tcp(src=A, dst=B)) == out(P3, LOCAL)


def test_control_outside_the_tree_does_not_move_a_host_that_the_tree_leads_to(scene: Scene) -> None:
    scene.in_band(Match.of(eth_type=0x0806))
    tree(scene, P2, StpState.DISCARDING)
    scene.knows(A, P1, now=1.0)

    scene.receive(packets.arp_request(src=A), P2, 20.0)
    held = scene.fdb.lookup(FdbKey(0, Mac.parse(A)), 20.0)
    scene.receive(packets.arp_request(src=A), P2, 40.0)
    moved = scene.fdb.lookup(FdbKey(0, Mac.parse(A)), 40.0)

    assert (held, moved) == (P1, P2)


def test_a_group_does_not_use_a_bucket_whose_port_is_closed(scene: Scene) -> None:
    assert scene.ports.is_live(P2)

    tree(scene, P2, StpState.DISCARDING)

    assert not scene.ports.is_live(P2)


# What is sent to bridges


def test_a_bpdu_reaches_no_flow_while_a_tree_runs() -> None:
    scene = Scene()
    scene.flow(Output(P2))
    bpdu = packets.tcp(dst=TO_BRIDGES)
    before = scene.actions(bpdu)

    scene.pipeline.takes_bpdus = True
    decided = scene.receive(bpdu)

    assert before == out(P2)
    assert (decided.actions, decided.cacheable) == ((), False)


@pytest.mark.parametrize("destination", [C, EVERYONE, "01:80:c2:00:00:01"])
def test_no_cached_decision_hides_a_bpdu(destination: str) -> None:
    scene = Scene()
    scene.flow(Output(P2))
    scene.pipeline.takes_bpdus = True

    decided = scene.receive(packets.tcp(dst=destination))

    seen = FIELDS["eth_dst"].get(decided.mask)
    assert decided.actions == out(P2)
    assert int(Mac.parse(destination)) & seen != int(Mac.parse(TO_BRIDGES)) & seen


def test_to_show_that_a_packet_for_one_host_is_no_bpdu_takes_one_bit() -> None:
    scene = Scene()
    scene.pipeline.in_band = False
    scene.flow(Output(P2))
    scene.pipeline.takes_bpdus = True

    assert FIELDS["eth_dst"].get(scene.receive(packets.tcp(dst=C)).mask).bit_count() == 1
