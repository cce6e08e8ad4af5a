"""Messages that come together do what they would do one by one."""

from __future__ import annotations

from inband.flow.actions import ApplyActions, Output
from inband.flow.ports import TABLE
from inband.openflow.messages import FlowMod, PacketOut
from inband.vocabulary.openflow import FlowModCommand
from tests.unit.bridge.test_groups import P1, P2, P3, WEB, Stage


def test_the_packet_of_a_packet_out_is_decided_by_the_messages_before_it_and_not_by_those_behind_it() -> None:
    stage = Stage()
    to_2, to_3 = ((ApplyActions((Output(port),)),) for port in (P2, P3))

    stage.say(
        FlowMod(FlowModCommand.ADD, instructions=to_2),
        PacketOut(P1, (Output(TABLE),), WEB.data),
        FlowMod(FlowModCommand.ADD, instructions=to_3),
        PacketOut(P1, (Output(TABLE),), WEB.data),
        FlowMod(FlowModCommand.DELETE),
        PacketOut(P1, (Output(TABLE),), WEB.data),
    )

    assert [port for port, _, _ in stage.datapath.take_sent()] == [P2, P3]


def test_cached_decisions_follow_flows_that_come_together() -> None:
    stage = Stage()
    to_2, to_3 = ((ApplyActions((Output(port),)),) for port in (P2, P3))
    stage.say(FlowMod(FlowModCommand.ADD, instructions=to_2))
    assert stage.sent() == [P2]

    stage.say(FlowMod(FlowModCommand.DELETE), FlowMod(FlowModCommand.ADD, instructions=to_3))

    assert stage.sent() == [P3]
