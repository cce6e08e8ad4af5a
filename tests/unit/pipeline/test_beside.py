"""Rules beside the flow table: control gets its copy, and the controller's policy decides as if there were no rule."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from inband.flow.actions import (
    ApplyActions,
    GotoTable,
    Output,
    PacketInReason,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
    SetQueue,
    ToController,
    WriteActions,
)
from inband.flow.fields import VLAN_PRESENT
from inband.flow.match import Match
from inband.flow.origin import Origin, Owner
from inband.flow.ports import CONTROLLER, FLOOD, LOCAL, NORMAL, TABLE, PortNo
from inband.flow.priority import HiddenPriority
from inband.pipeline.fdb import FdbKey
from inband.pipeline.trace import Trace
from inband.table.flow_table import TableMiss
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ARP_REPLY, ARP_REQUEST, ETH_ARP
from inband.vocabulary.openflow import PortConfig
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, Scene, out

GATEWAY, HOST = "10.0.0.254", "10.0.0.7"
QUESTION, ANSWER = packets.arp_request(HOST, GATEWAY, src=A), packets.arp_reply(GATEWAY, HOST, src=B, dst=A)
_GATEWAY = int(IPv4Address(GATEWAY))
REQUESTS, REPLIES = (Match.of(eth_type=ETH_ARP, arp_op=each) for each in (ARP_REQUEST, ARP_REPLY))


@pytest.fixture
def scene() -> Scene:
    """With rules (j) and (k), which are beside, and no policy yet."""
    scene = Scene()
    scene.in_band(REQUESTS, letter="j")
    scene.in_band(REPLIES, letter="k")
    return scene


def controllers(actions: object) -> list[ToController]:
    assert isinstance(actions, tuple)
    return [action for action in actions if isinstance(action, ToController)]


def test_without_a_policy_control_gets_its_copy(scene: Scene) -> None:
    answer = scene.receive(QUESTION)

    assert answer.actions == out(P2, P3, LOCAL)
    assert answer.hidden is not None
    assert answer.drop_reason is None


def test_a_controller_that_wants_arp_sees_hosts_ask_for_their_gateway(scene: Scene) -> None:
    flow = scene.flow(Output(CONTROLLER, 65535), cookie=7)

    answer = scene.receive(QUESTION)

    assert answer.actions[:3] == out(P2, P3, LOCAL)
    (packet_in,) = controllers(answer.actions)
    assert (packet_in.reason, packet_in.cookie) == (PacketInReason.ACTION, 7)
    assert [each for _, each in answer.credits][-1] is flow


def test_a_table_miss_that_asks_the_controller_does_so() -> None:
    scene = Scene(miss=TableMiss.CONTROLLER)
    scene.in_band(REQUESTS, letter="j")

    assert len(controllers(scene.actions(QUESTION))) == 1


@pytest.mark.parametrize("port", [NORMAL, FLOOD])
def test_no_port_gets_it_twice(scene: Scene, port: PortNo) -> None:
    scene.flow(Output(port))

    assert scene.actions(QUESTION) == out(P2, P3, LOCAL)


def test_a_port_that_control_does_not_send_to_gets_what_the_policy_says(scene: Scene) -> None:
    scene.knows(A, P1)
    scene.flow(SetField("eth_dst", int(Mac.parse(B))), Output(P2), Output(P1), Output(P3))

    answer = scene.actions(ANSWER, P2)

    assert answer == (*out(P1), SetField("eth_dst", int(Mac.parse(B))), *out(P3))


def test_faucets_native_vlan_and_its_proxy_work_beside_it(scene: Scene) -> None:
    """In table 0 the tag of the port, in the next one a flood without it and a copy for the controller."""
    scene.flow_of(ApplyActions((PushVlan(0x8100), SetField("vlan_vid", VLAN_PRESENT | 10))), GotoTable(1))
    scene.flow(Output(CONTROLLER, 96), PopVlan(), Output(P2), Output(P3), table=1)

    answer = scene.actions(QUESTION)

    assert answer[:3] == out(P2, P3, LOCAL)
    assert len(controllers(answer)) == 1
    assert PushVlan(0x8100) in answer
    assert [action for action in answer if isinstance(action, Output)] == list(out(P2, P3, LOCAL))


def test_groups_and_action_sets_of_the_policy_send_to_no_port_again(scene: Scene) -> None:
    scene.flow_of(WriteActions((Output(P2),)))

    assert scene.actions(QUESTION) == out(P2, P3, LOCAL)


def test_a_policy_that_drops_costs_control_nothing(scene: Scene) -> None:
    scene.flow(priority=65535)

    assert scene.actions(QUESTION) == out(P2, P3, LOCAL)


def test_the_queue_of_control_is_not_that_of_data() -> None:
    scene = Scene()
    scene.knows(A, P1)
    flow = scene.in_band(REPLIES, letter="k")
    scene.tables.replace_hidden(flow, (ApplyActions((SetQueue(5), Output(NORMAL))),))
    scene.flow(Output(P3))

    answer = scene.actions(ANSWER, P2)

    assert answer[:2] == (SetQueue(5), Output(P1))
    assert answer[-1] == Output(P3)
    assert len(answer) == 4  # the queue is taken back between them


def test_a_port_closed_to_data_lets_only_controls_copy_in(scene: Scene) -> None:
    scene.flow(Output(CONTROLLER))
    scene.configure(P1, PortConfig.NO_RECV)

    assert scene.actions(QUESTION) == out(P2, P3, LOCAL)


def test_another_rule_that_takes_it_too_decides_alone(scene: Scene) -> None:
    scene.in_band(Match.of(eth_type=ETH_ARP, eth_src=Mac.parse(US)), letter="c")
    scene.flow(Output(CONTROLLER))

    answer = scene.receive(packets.arp_request(HOST, GATEWAY, src=US), LOCAL)

    assert answer.actions == out(P1, P2, P3)
    assert answer.hidden is not None
    assert answer.hidden.origin is not None
    assert answer.hidden.origin.letter == "c"


def test_what_shows_a_place_does_so_whichever_rule_decides(scene: Scene) -> None:
    scene.in_band(Match.of(eth_type=ETH_ARP, eth_dst=Mac.parse(US)), letter="b")
    virtual = Mac(0x00005E00010A)
    frame = packets.arp_reply(GATEWAY, "10.0.0.1", src=B, dst=US)
    named = frame[:22] + virtual.packed + frame[28:]

    scene.receive(named, P2)

    assert scene.fdb.lookup(FdbKey(0, virtual), 1.0) == P2


def test_a_copy_that_came_round_goes_through_no_table_again(scene: Scene) -> None:
    scene.hidden(
        Match.of(), HiddenPriority(100_000), Origin(Owner.FAIL_MODE, "standalone", "fail mode", overrides_ports=False)
    )

    first, copy = scene.actions(QUESTION, P1, 1.0), scene.actions(QUESTION, P2, 1.05)

    assert first == out(P2, P3, LOCAL)
    assert copy == ()


def test_only_the_first_look_into_table_0_has_the_rule_beside_it(scene: Scene) -> None:
    scene.flow(Output(CONTROLLER), Resubmit(None, 1))
    scene.flow(SetField("arp_tpa", 1), Resubmit(None, 0), table=1, match=Match.of(eth_type=ETH_ARP, arp_tpa=_GATEWAY))

    answer = scene.receive(QUESTION)

    assert answer.actions[:3] == out(P2, P3, LOCAL)
    assert len(controllers(answer.actions)) == 2
    assert sum(each is not None and each.is_hidden for _, each in answer.credits) == 1


def test_a_packet_out_to_the_tables_goes_the_same_way(scene: Scene) -> None:
    scene.flow(Output(CONTROLLER))

    answer = scene.packet_out(QUESTION, Output(TABLE), port=CONTROLLER)

    assert answer[:4] == out(P1, P2, P3, LOCAL)
    assert len(controllers(answer)) == 1


def test_a_trace_tells_both_ways(scene: Scene) -> None:
    policy, trace = scene.flow(Output(CONTROLLER)), Trace()

    scene.receive(QUESTION, trace=trace)

    assert trace.flows()[-1] is policy
    assert len(trace.flows()) == 2
    assert "the flow table decides as well" in str(trace.steps)
