"""NORMAL among access, trunk and native ports, and what that means for in-band control."""

from __future__ import annotations

import pytest

from inband.datapath.ebpf.ops import SEND_UP, compile_ops
from inband.flow.actions import Clone, Output, PopVlan, PushVlan, SetField, SetQueue
from inband.flow.fields import VLAN_PRESENT
from inband.flow.match import Match
from inband.flow.membership import parse_membership
from inband.flow.ports import FLOOD, LOCAL, NORMAL, PortNo
from inband.pipeline.fdb import FdbKey
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_ARP
from inband.vocabulary.openflow import PortConfig
from tests.unit.flow.test_membership import words_of
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, C, Scene, out

P4 = PortNo(4)
ARP = Match.of(eth_type=ETH_ARP)
BROADCAST = packets.arp_request(src=A)


def into(vlan: int) -> tuple[PushVlan, SetField]:
    return PushVlan(), SetField("vlan_vid", VLAN_PRESENT | vlan)


def _slot(port: PortNo) -> int:
    return port & 0xFF


def member(scene: Scene, **words: str) -> Scene:
    """Have ports be members: ``p1="tag=10"``."""
    known = {PortNo(int(name[1:])): parse_membership(words_of(text)) for name, text in words.items()}
    scene.ports.memberships = {number: vlans for number, vlans in known.items() if vlans is not None}
    return scene


@pytest.fixture
def scene() -> Scene:
    """A learning switch."""
    scene = Scene()
    scene.flow(Output(NORMAL))
    return scene


def test_a_flood_reaches_members_alone_those_that_get_it_as_it_is_first_and_the_others_by_one_edit(
    scene: Scene,
) -> None:
    member(scene, p1="tag=10", p2="trunks=10+20", p3="tag=10")

    assert scene.actions(BROADCAST, P1) == (*out(P3), *into(10), *out(P2, LOCAL))
    assert scene.actions(packets.vlan(BROADCAST, 10), P2) == (*out(LOCAL), PopVlan(), *out(P1, P3))
    assert scene.actions(packets.vlan(BROADCAST, 20), P2) == out(LOCAL)


def test_a_native_vlan_leaves_as_the_port_says(scene: Scene) -> None:
    member(scene, p1="tag=1", p2="tag=1,trunks=10,vlan-mode=native-untagged", p3="tag=1,vlan-mode=native-tagged")

    assert scene.actions(BROADCAST, P1) == (*out(P2), *into(1), *out(P3, LOCAL))
    assert scene.actions(BROADCAST, P3) == (*out(P1, P2), *into(1), *out(LOCAL))
    assert scene.actions(packets.vlan(BROADCAST, 10), P3) == out(P2, LOCAL)


@pytest.mark.parametrize(
    ("port", "frame", "why"),
    [
        ("tag=10", packets.vlan(BROADCAST, 20), "port 1 is an access port of VLAN 10"),
        ("tag=10", packets.vlan(BROADCAST, 10), "takes no frame that is tagged (with 10)"),
        ("trunks=10", BROADCAST, "port 1 carries VLANs 10, and untagged is not among them"),
        ("trunks=10", packets.vlan(BROADCAST, 20), "and 20 is not among them"),
    ],
)
def test_what_has_no_business_on_a_port_is_dropped_and_teaches_nothing(
    scene: Scene, port: str, frame: bytes, why: str
) -> None:
    answer = member(scene, p1=port).receive(frame, P1)

    assert answer.actions == ()
    assert answer.cacheable
    assert why in (answer.drop_reason or "")
    assert len(scene.fdb) == 0


def test_addresses_are_learned_in_the_ports_vlan(scene: Scene) -> None:
    member(scene, p1="tag=10", p2="trunks=10", p3="tag=20")

    scene.receive(packets.tcp(src=A, dst=B), P1)
    scene.receive(packets.tcp(src=A, dst=B), P3)

    assert scene.fdb.lookup(FdbKey(10, Mac.parse(A)), 1.0) == P1
    assert scene.fdb.lookup(FdbKey(20, Mac.parse(A)), 1.0) == P3
    back = scene.receive(packets.vlan(packets.tcp(src=B, dst=A), 10), P2)
    assert back.actions == (PopVlan(), *out(P1))
    assert back.cacheable


def test_a_priority_alone_is_no_vlan_and_is_kept_in_one(scene: Scene) -> None:
    member(scene, p1="tag=10", p2="trunks=10", p3="tag=10")
    urgent = packets.vlan(BROADCAST, 0, 5)

    assert scene.actions(urgent, P1) == (SetField("vlan_vid", VLAN_PRESENT | 10), *out(P2, LOCAL), PopVlan(), *out(P3))
    member(scene, p2="vlan-mode=trunk", p3="tag=0")
    assert scene.actions(urgent, P1) == (*out(P2, LOCAL), PopVlan(), *out(P3))


def test_a_member_is_a_member_for_normal_alone(scene: Scene) -> None:
    member(scene, p1="tag=10", p2="tag=20", p3="tag=30")
    scene.flow(Output(P2), priority=2, match=Match.of(eth_src=Mac.parse(B)))
    scene.flow(Output(FLOOD), priority=2, match=Match.of(eth_src=Mac.parse(C)))

    assert scene.actions(packets.tcp(src=B), P1) == out(P2)
    assert scene.actions(packets.tcp(src=C), P1) == out(P2, P3, LOCAL)


def test_normal_sees_the_tag_that_actions_have_made(scene: Scene) -> None:
    member(scene, p1="trunks=10+20", p2="tag=20", p3="tag=10")
    scene.flow(SetField("vlan_vid", VLAN_PRESENT | 20), Output(NORMAL), priority=2)

    assert scene.actions(packets.vlan(BROADCAST, 10), P1) == (
        SetField("vlan_vid", VLAN_PRESENT | 20),
        *out(LOCAL),
        PopVlan(),
        *out(P2),
    )


def test_ports_that_controllers_closed_stay_closed(scene: Scene) -> None:
    member(scene, p1="tag=10", p2="tag=10", p3="tag=10")
    scene.configure(P2, PortConfig.NO_FLOOD)
    assert scene.actions(BROADCAST, P1) == (*out(P3), *into(10), *out(LOCAL))

    scene.configure(P2, PortConfig.NO_FWD)
    scene.knows(B, P2, 10)
    assert scene.actions(packets.tcp(src=A, dst=B), P1) == ()


def test_a_place_that_is_not_in_the_vlan_any_more_gets_nothing(scene: Scene) -> None:
    member(scene, p1="tag=10", p2="tag=20")
    scene.knows(B, P2, 10)

    answer = scene.receive(packets.tcp(src=A, dst=B), P1)

    assert answer.actions == ()
    assert answer.drop_reason == "port 2 is not in VLAN 10"


def test_the_edited_copy_is_last_so_the_kernel_can_do_it_unless_something_follows(scene: Scene) -> None:
    member(scene, p1="tag=10", p2="trunks=10", p3="tag=10")
    alone = scene.actions(BROADCAST, P1)
    scene.flow(SetQueue(1), Output(NORMAL), Output(P2), priority=2)
    followed = scene.actions(BROADCAST, P1)

    assert compile_ops(alone, _slot) != SEND_UP
    assert followed == (SetQueue(1), *out(P3), Clone((*into(10), *out(P2, LOCAL))), *out(P2))
    assert compile_ops(followed, _slot) == SEND_UP


# --- in-band control --------------------------------------------------------------------------------------------------


@pytest.fixture
def control() -> Scene:
    """Control is in VLAN 10, port 1 an access port of it, 2 a trunk that carries it, 3 in another one; ARP is it."""
    scene = member(Scene(), p1="tag=10", p2="trunks=10+20", p3="tag=20")
    scene.pipeline.control_vlan = 10
    scene.in_band(ARP.in_vlan(10), letter="e")
    return scene


def test_what_arrives_untagged_on_an_access_port_of_controls_vlan_is_control(control: Scene) -> None:
    answer = control.receive(BROADCAST, P1)

    assert answer.hidden is not None
    assert answer.actions == (*out(LOCAL), *into(10), *out(P2, P3))


def test_control_leaves_an_access_port_of_its_vlan_untagged(control: Scene) -> None:
    from_local = control.actions(packets.arp_request(src=US), LOCAL)

    assert from_local == (*into(10), *out(P2, P3), PopVlan(), *out(P1))
    assert control.actions(packets.vlan(BROADCAST, 10), P2) == (*out(P3), PopVlan(), *out(P1, LOCAL))


def test_a_known_way_through_an_access_port_is_cached(control: Scene) -> None:
    control.in_band(Match.of().in_vlan(10), letter="i")
    control.receive(packets.arp_reply(src=A, dst=US), P1)

    there = control.receive(packets.tcp(src=US, dst=A), LOCAL)
    back = control.receive(packets.tcp(src=A, dst=US), P1)

    assert (there.actions, there.cacheable) == ((*into(10), PopVlan(), *out(P1)), True)
    assert (back.actions, back.cacheable, back.is_known_unicast) == (out(LOCAL), True, True)


def test_a_tag_on_an_access_port_is_no_way_into_control(control: Scene) -> None:
    assert control.receive(packets.vlan(BROADCAST, 10), P1).hidden is None


def test_on_a_port_of_another_vlan_what_is_for_local_passes_and_nobody_else_gets_it(control: Scene) -> None:
    control.flow(Output(P2))
    ours, others = packets.arp_reply(src=A, dst=US), packets.arp_reply(src=A, dst=B)

    # As without a membership: control's VLAN with its tag.
    assert control.actions(packets.vlan(ours, 10), P3) == (PopVlan(), *out(LOCAL))
    assert control.actions(packets.vlan(BROADCAST, 10), P3) == (Clone((PopVlan(), *out(LOCAL))), *out(P2))
    assert control.actions(packets.vlan(others, 10), P3) == out(P2)
    assert control.actions(ours, P3) == out(P2)


def test_the_way_back_through_a_port_of_another_vlan_is_known(control: Scene) -> None:
    control.receive(packets.vlan(packets.arp_reply(src=A, dst=US), 10), P3)

    assert control.actions(packets.arp_reply(src=US, dst=A), LOCAL) == (*into(10), *out(P3))


def test_without_a_vlan_for_control_an_access_port_closes_nothing_to_the_switch_itself() -> None:
    scene = member(Scene(), p1="tag=10", p2="tag=10")
    scene.in_band(ARP.in_vlan(None), letter="e")
    scene.flow(Output(NORMAL))

    assert scene.actions(packets.arp_reply(src=A, dst=US), P1) == out(LOCAL)
    assert scene.actions(packets.arp_reply(src=US, dst=A), LOCAL) == out(P1)
    # A host's question to its router is data of its VLAN, whatever MAC address the router has.
    assert scene.actions(packets.arp_reply(src=A, dst=B), P1) == (*out(P2), *into(10), *out(P3, LOCAL))


def test_a_rule_beside_the_flow_table_holds_in_controls_vlan(control: Scene) -> None:
    control.in_band(ARP.in_vlan(10), letter="j")

    assert control.receive(packets.arp_request(src=A), P1).hidden is not None
    assert control.receive(packets.arp_request(src=A, dst=B), P3).hidden is None


@pytest.mark.parametrize(("port", "frame"), [(P1, packets.dhcp_reply(chaddr=US)), (P3, None)])
def test_what_configures_local_gets_there(control: Scene, port: PortNo, frame: bytes | None) -> None:
    control.flow(Output(P2))
    reply = packets.vlan(packets.dhcp_reply(chaddr=US), 10) if frame is None else frame

    to_local = out(LOCAL) if frame is not None else (Clone((PopVlan(), *out(LOCAL))),)
    assert control.actions(reply, port) == (*to_local, *out(P2))


def test_a_frame_that_comes_round_with_another_tag_is_known_again(control: Scene) -> None:
    control.receive(packets.arp_request(src=US), LOCAL)

    assert control.receive(packets.arp_request(src=US), P1, 1.1).actions == ()
    assert control.receive(packets.vlan(packets.arp_request(src=US), 10, 3), P2, 1.1).actions == ()


def test_a_trace_says_what_a_membership_did_and_changes_nothing(control: Scene) -> None:
    trace = Trace()

    control.receive(packets.vlan(packets.arp_reply(src=A, dst=US), 10), P3, trace=trace)

    assert "port 3 is not in control's VLAN: for LOCAL alone" in str(trace.steps)
    assert len(control.fdb) == 0
