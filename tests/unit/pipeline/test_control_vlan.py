"""Control traffic in a VLAN of its own: LOCAL is a port of that VLAN, and rules hold there alone."""

from __future__ import annotations

import pytest

from inband.control.letters import LETTERS
from inband.flow.actions import Clone, Output, PopVlan, PushVlan, SetField
from inband.flow.fields import VLAN_PRESENT
from inband.flow.match import Match
from inband.flow.ports import CONTROLLER, FLOOD, LOCAL, NORMAL
from inband.pipeline.fdb import FdbKey
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_ARP
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, Scene, out

VLAN = 10
ARP = Match.of(eth_type=ETH_ARP)
TAG = (PushVlan(), SetField("vlan_vid", VLAN_PRESENT | VLAN))
TO_LOCAL = (PopVlan(), Output(LOCAL))


@pytest.fixture
def scene() -> Scene:
    """Control is in VLAN 10; ARP there is control, and nothing else is anybody's."""
    scene = Scene()
    scene.pipeline.control_vlan = VLAN
    scene.in_band(ARP.in_vlan(VLAN), letter="e")
    return scene


def test_what_local_sends_gets_the_tag_on_all_ports(scene: Scene) -> None:
    assert scene.actions(packets.arp_request(src=US), LOCAL) == (*TAG, *out(P1, P2, P3))


def test_what_comes_in_the_vlan_reaches_local_without_its_tag_and_other_ports_with_it(scene: Scene) -> None:
    flooded = packets.vlan(packets.arp_request(src=A), VLAN)
    direct = packets.vlan(packets.arp_reply(src=A, dst=US), VLAN)

    assert scene.actions(flooded, P1) == (*out(P2, P3), *TO_LOCAL)
    assert scene.actions(direct, P1) == TO_LOCAL


def test_decisions_about_it_can_be_kept(scene: Scene) -> None:
    scene.in_band(Match.of().in_vlan(VLAN), letter="i")
    scene.knows(A, P1, VLAN)

    there = scene.receive(packets.tcp(src=US, dst=A), LOCAL)
    back = scene.receive(packets.vlan(packets.tcp(src=A, dst=US), VLAN), P1)

    assert (there.actions, there.cacheable) == ((*TAG, *out(P1)), True)
    assert (back.actions, back.cacheable) == (TO_LOCAL, True)


@pytest.mark.parametrize("frame", [packets.arp_request(src=A), packets.vlan(packets.arp_request(src=A), 11)])
def test_outside_the_vlan_no_rule_holds(scene: Scene, frame: bytes) -> None:
    answer = scene.receive(frame, P1)

    assert answer.actions == ()
    assert answer.hidden is None


@pytest.mark.parametrize("vid", [None, 11])
@pytest.mark.parametrize("port", [NORMAL, FLOOD])
def test_floods_of_other_vlans_do_not_reach_local(scene: Scene, vid: int | None, port: int) -> None:
    scene.flow(Output(NORMAL if port == NORMAL else FLOOD))
    frame = packets.tcp(src=A, dst=US)

    assert scene.actions(frame if vid is None else packets.vlan(frame, vid), P1) == out(P2, P3)


def test_a_flow_that_names_local_sends_there_what_it_likes(scene: Scene) -> None:
    scene.flow(Output(LOCAL))

    assert scene.actions(packets.tcp(src=A), P1) == out(LOCAL)
    assert scene.actions(packets.vlan(packets.tcp(src=A), 11), P1) == out(LOCAL)


def test_a_flow_of_the_controller_sees_the_tag_of_what_local_sends(scene: Scene) -> None:
    scene.flow(Output(P2), match=Match.of(in_port=LOCAL).in_vlan(VLAN))

    assert scene.actions(packets.tcp(src=US, dst=B), LOCAL) == (*TAG, *out(P2))


def test_what_local_sends_with_a_tag_of_its_own_keeps_it(scene: Scene) -> None:
    scene.flow(Output(P2))

    assert scene.actions(packets.vlan(packets.tcp(src=US), 11), LOCAL) == out(P2)


def test_addresses_are_learned_in_the_vlan_and_what_comes_round_is_a_copy(scene: Scene) -> None:
    question = packets.arp_request(src=US)
    scene.actions(question, LOCAL, 1.0)

    copy = scene.receive(packets.vlan(question, VLAN), P3, 1.05)
    scene.actions(packets.vlan(packets.arp_reply(src=A, dst=US), VLAN), P1)

    assert copy.actions == ()
    assert scene.fdb.lookup(FdbKey(VLAN, Mac.parse(A)), 1.1) == P1


def test_a_lease_in_the_vlan_reaches_local_and_one_elsewhere_does_not(scene: Scene) -> None:
    reply = packets.dhcp_reply(chaddr=US)

    answer = scene.receive(packets.vlan(reply, VLAN), P1)

    assert answer.actions == TO_LOCAL
    assert not answer.cacheable
    assert scene.actions(reply, P1) == ()
    assert scene.actions(packets.vlan(reply, 11), P1) == ()


def test_a_lease_that_the_table_brings_to_local_is_not_brought_twice(scene: Scene) -> None:
    scene.flow(Output(P2), PopVlan(), Output(LOCAL))

    assert scene.actions(packets.vlan(packets.dhcp_reply(chaddr=US), VLAN), P1) == (*out(P2), *TO_LOCAL)


def test_a_lease_that_the_table_brings_with_its_tag_is_brought_as_it_must_be(scene: Scene) -> None:
    scene.pipeline.ipv6 = True
    advertisement = packets.vlan(packets.router_advertisement(), VLAN)
    scene.flow(Output(P2))

    assert scene.actions(advertisement, P1) == (Clone(TO_LOCAL), *out(P2))


def test_beside_the_flow_table_local_gets_it_once_too(scene: Scene) -> None:
    scene.hidden(ARP.in_vlan(VLAN), LETTERS["j"].priority, LETTERS["j"].origin("10.0.0.254"))
    scene.tables.remove_hidden(next(flow for flow in scene.tables.hidden() if flow.priority == LETTERS["e"].priority))
    scene.flow(Output(CONTROLLER), Output(NORMAL))

    answer = scene.actions(packets.vlan(packets.arp_request(src=A), VLAN), P1)

    assert answer[:3] == (*out(P2, P3), Clone(TO_LOCAL))
    assert len(answer) == 4


def test_untagged_control_leaves_the_vlans_to_the_controller() -> None:
    scene = Scene()
    scene.in_band(ARP.in_vlan(None), letter="e")

    assert scene.actions(packets.arp_request(src=A), P1) == out(P2, P3, LOCAL)
    assert scene.actions(packets.vlan(packets.arp_request(src=B), 0), P1) == out(P2, P3, LOCAL), "a priority alone"
    assert scene.actions(packets.vlan(packets.arp_request(src=A), 100), P1) == ()


def test_a_trace_says_that_local_is_in_a_vlan(scene: Scene) -> None:
    trace = Trace()

    scene.receive(packets.arp_request(src=US), LOCAL, trace=trace)

    assert "from LOCAL: in VLAN 10" in str(trace.steps)
