"""FLOW_MOD and FLOW_REMOVED."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inband.agent.effects import FlowsChanged
from inband.flow import ports
from inband.flow.actions import (
    ApplyActions,
    GotoTable,
    Group,
    Instruction,
    Meter,
    Output,
    PopMpls,
    PopVlan,
    PushMpls,
    PushVlan,
    SetField,
    SetNwTtl,
    WriteActions,
)
from inband.flow.flow import FlowFlags
from inband.flow.match import ANY, Match, Surplus
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import Error, FlowMod, FlowRemoved
from inband.openflow.multipart import FlowStatsReply, FlowStatsRequest
from inband.vocabulary.openflow import ALL_TABLES, OFP10, FlowModCommand, FlowRemovedReason
from inband.vocabulary.openflow_errors import (
    BadAction,
    BadInstruction,
    BadMatch,
    BadRequest,
    ErrorType,
    FlowModFailed,
    MeterModFailed,
)
from tests.unit.agent.bench_switch import Bench

OUT_1 = (ApplyActions((Output(PortNo(1)),)),)
OUT_2 = (ApplyActions((Output(PortNo(2)),)),)
ARP = Match.of(eth_type=0x0806)


def add(match: Match = ARP, **more: object) -> FlowMod:
    return replace(FlowMod(FlowModCommand.ADD, match, instructions=OUT_1), **more)  # type: ignore[arg-type]


def test_an_added_flow_is_in_the_table_and_the_datapath_hears_of_it() -> None:
    bench = Bench()

    replies = bench.send(add(table_id=2, cookie=7, priority=OpenFlowPriority(9)), now=5.0)

    (flow,) = bench.tables.select()
    assert replies == []
    assert (flow.table_id, flow.cookie, flow.priority, flow.instructions, flow.created) == (2, 7, 9, OUT_1, 5.0)
    (effect,) = bench.agent.take_effects()
    assert isinstance(effect, FlowsChanged)
    assert effect.changes.added == (flow,)
    assert bench.agent.take_effects() == []


def test_modify_changes_the_instructions_of_every_flow_it_covers() -> None:
    bench = Bench()
    bench.send(add(ARP))
    bench.send(add(ARP.with_field("arp_op", 1)))
    bench.send(add(Match.of(eth_type=0x0800)))

    bench.send(FlowMod(FlowModCommand.MODIFY, ARP, instructions=OUT_2))

    assert [flow.instructions for flow in bench.tables.select()] == [OUT_2, OUT_2, OUT_1]


def test_modify_strict_changes_the_one_flow_it_names() -> None:
    bench = Bench()
    bench.send(add(ARP))
    bench.send(add(ARP.with_field("arp_op", 1)))

    bench.send(FlowMod(FlowModCommand.MODIFY_STRICT, ARP, instructions=OUT_2))

    assert [flow.instructions for flow in bench.tables.select()] == [OUT_2, OUT_1]


def test_what_a_match_of_1_0_said_besides_is_shown_in_statistics_and_at_the_end() -> None:
    bench = Bench(version=OFP10)
    surplus = Surplus(pcp=3)
    bench.send(add(Match.of(vlan_vid=0), surplus=surplus, flags=FlowFlags.SEND_FLOW_REM))

    (stats,) = bench.send(FlowStatsRequest())
    (removed,) = bench.send(FlowMod(FlowModCommand.DELETE, table_id=ALL_TABLES))

    assert isinstance(stats, FlowStatsReply)
    assert stats.entries[0].surplus == surplus
    assert isinstance(removed, FlowRemoved)
    assert removed.surplus == surplus


def test_a_modify_that_finds_nothing_adds_in_1_0_only() -> None:
    old, new = Bench(version=OFP10), Bench()

    for bench in (old, new):
        bench.send(FlowMod(FlowModCommand.MODIFY, ARP, instructions=OUT_2))

    assert len(old.tables.select()) == 1
    assert new.tables.select() == []
    assert new.agent.take_effects() == []


def test_modify_with_reset_counts_brings_the_counters_up_to_date_before_it_resets_them() -> None:
    bench = Bench()
    bench.send(add(ARP))
    bench.tables.select()[0].credit(3, 300, 1.0)

    bench.send(FlowMod(FlowModCommand.MODIFY, ARP, instructions=OUT_2, flags=FlowFlags.RESET_COUNTS), now=2.0)

    assert bench.statistics.rounds == 1
    assert bench.tables.select()[0].packets == 0


def test_a_flow_that_takes_anothers_place_keeps_its_counters_unless_told_otherwise() -> None:
    bench = Bench()
    bench.send(add(ARP))
    bench.tables.select()[0].credit(3, 300, 1.0)

    bench.send(add(ARP, instructions=OUT_2), now=2.0)
    kept = bench.tables.select()[0].packets
    bench.send(add(ARP, flags=FlowFlags.RESET_COUNTS), now=3.0)

    assert kept == 3
    assert bench.tables.select()[0].packets == 0


def test_delete_takes_the_flows_it_covers_and_tells_of_those_that_asked_for_it() -> None:
    bench = Bench()
    bench.send(add(ARP, flags=FlowFlags.SEND_FLOW_REM, cookie=5, idle_timeout_s=60), now=1.0)
    bench.send(add(ARP.with_field("arp_op", 1)), now=1.0)

    messages = bench.send(FlowMod(FlowModCommand.DELETE, table_id=ALL_TABLES), now=3.5)

    assert bench.tables.select() == []
    assert messages == [
        FlowRemoved(
            match=ARP,
            priority=OpenFlowPriority(0x8000),
            reason=FlowRemovedReason.DELETE,
            cookie=5,
            duration_sec=2,
            duration_nsec=500_000_000,
            idle_timeout_s=60,
        )
    ]


def test_what_caches_still_owe_a_flow_is_counted_before_it_is_said_to_be_gone() -> None:
    bench = Bench()
    bench.send(add(ARP, flags=FlowFlags.SEND_FLOW_REM))
    bench.statistics.owes_counts = True

    (message,) = bench.send(FlowMod(FlowModCommand.DELETE, table_id=ALL_TABLES))

    assert isinstance(message, FlowRemoved)
    assert bench.statistics.rounds == 1


def test_packets_of_a_flow_that_are_counted_late_belong_to_the_one_that_took_its_place() -> None:
    bench = Bench()
    bench.send(add(ARP))
    (first,) = bench.tables.select()
    bench.send(add(ARP))
    (second,) = bench.tables.select()
    bench.send(add(ARP))

    first.credit(2, 200, 1.0)
    second.credit(1, 100, 1.0)

    (last,) = bench.tables.select()
    assert (last.packets, last.bytes) == (3, 300)


def test_packets_that_are_counted_late_do_not_count_after_a_reset() -> None:
    bench = Bench()
    bench.send(add(ARP))
    (first,) = bench.tables.select()
    bench.send(add(ARP, flags=FlowFlags.RESET_COUNTS))

    first.credit(2, 200, 1.0)

    assert bench.tables.select()[0].packets == 0


def test_delete_strict_and_its_filters_leave_the_others() -> None:
    bench = Bench()
    bench.send(add(ARP, cookie=1))
    bench.send(add(ARP.with_field("arp_op", 1), cookie=2, instructions=OUT_2))

    bench.send(FlowMod(FlowModCommand.DELETE_STRICT, ARP, cookie=2, cookie_mask=3))
    bench.send(FlowMod(FlowModCommand.DELETE, ANY, out_port=PortNo(9)))
    assert len(bench.tables.select()) == 2

    bench.send(FlowMod(FlowModCommand.DELETE, ANY, out_port=PortNo(2)))
    bench.send(FlowMod(FlowModCommand.DELETE_STRICT, ARP, cookie=1, cookie_mask=3))
    assert bench.tables.select() == []


def test_no_command_reaches_a_hidden_flow() -> None:
    bench = Bench()
    hidden = bench.add_hidden(eth_type=0x0806)

    bench.send(FlowMod(FlowModCommand.MODIFY, ANY, instructions=OUT_2))
    bench.send(FlowMod(FlowModCommand.DELETE, ANY, table_id=ALL_TABLES))
    bench.send(add(ARP, priority=OpenFlowPriority(0xFFFF), flags=FlowFlags.CHECK_OVERLAP))

    assert bench.tables.hidden() == [hidden]
    assert hidden.instructions == ()


def test_a_full_table_still_takes_hidden_flows_and_refuses_visible_ones() -> None:
    bench = Bench(limit=1)
    bench.send(add(ARP))

    refused = bench.error(add(ANY))
    hidden = bench.add_hidden(eth_type=0x0800)

    assert refused == (ErrorType.FLOW_MOD_FAILED, FlowModFailed.TABLE_FULL)
    assert hidden in bench.tables.hidden()


def test_flow_removed_carries_the_reason_of_an_expiry() -> None:
    bench = Bench()
    bench.send(add(ARP, flags=FlowFlags.SEND_FLOW_REM, hard_timeout_s=10), now=0.0)

    bench.agent.flows_removed(bench.tables.expire(10.0), 10.0)

    (message,) = bench.take()
    assert isinstance(message, FlowRemoved)
    assert (message.reason, message.duration_sec, message.duration_nsec) == (FlowRemovedReason.HARD_TIMEOUT, 10, 0)


def test_an_error_shows_how_the_refused_request_began_and_has_its_transaction_id() -> None:
    bench = Bench()

    bench.send(add(table_id=9))
    (reply,) = bench.send(add(table_id=9))

    assert reply == Error(ErrorType.FLOW_MOD_FAILED, FlowModFailed.BAD_TABLE_ID, b"\x04raw request")


def apply(*actions: object) -> tuple[Instruction, ...]:
    return (ApplyActions(actions),)  # type: ignore[arg-type]


IPV4 = Match.of(eth_type=0x0800)
TAGGED = Match.of(vlan_vid=(0x1000, 0x1000))


@pytest.mark.parametrize(
    ("request_", "type_", "code"),
    [
        (add(table_id=4), ErrorType.FLOW_MOD_FAILED, FlowModFailed.BAD_TABLE_ID),
        (add(table_id=ALL_TABLES), ErrorType.FLOW_MOD_FAILED, FlowModFailed.BAD_TABLE_ID),
        (add(buffer_id=1), ErrorType.BAD_REQUEST, BadRequest.BUFFER_UNKNOWN),
        (FlowMod(FlowModCommand.DELETE, table_id=4), ErrorType.FLOW_MOD_FAILED, FlowModFailed.BAD_TABLE_ID),
        (
            FlowMod(FlowModCommand.MODIFY, table_id=ALL_TABLES),
            ErrorType.FLOW_MOD_FAILED,
            FlowModFailed.BAD_TABLE_ID,
        ),
        (add(instructions=(GotoTable(0),)), ErrorType.BAD_INSTRUCTION, BadInstruction.BAD_TABLE_ID),
        (add(instructions=(GotoTable(4),)), ErrorType.BAD_INSTRUCTION, BadInstruction.BAD_TABLE_ID),
        (add(instructions=(Meter(1),)), ErrorType.METER_MOD_FAILED, MeterModFailed.INVALID_METER),
        (add(Match.of(in_port=0xFF00)), ErrorType.BAD_MATCH, BadMatch.BAD_VALUE),
        (add(instructions=apply(Output(PortNo(0xFF00)))), ErrorType.BAD_ACTION, BadAction.BAD_OUT_PORT),
        (add(instructions=apply(Output(PortNo(0)))), ErrorType.BAD_ACTION, BadAction.BAD_OUT_PORT),
        (add(instructions=apply(Output(PortNo(0xFFFFFF01)))), ErrorType.BAD_ACTION, BadAction.BAD_OUT_PORT),
        (add(instructions=apply(Output(ports.ANY))), ErrorType.BAD_ACTION, BadAction.BAD_OUT_PORT),
        (add(instructions=apply(Group(1))), ErrorType.BAD_ACTION, BadAction.BAD_OUT_GROUP),
        (add(instructions=apply(PopVlan())), ErrorType.BAD_ACTION, BadAction.MATCH_INCONSISTENT),
        (add(instructions=apply(PopMpls(0x0800))), ErrorType.BAD_ACTION, BadAction.MATCH_INCONSISTENT),
        (add(instructions=apply(SetNwTtl(3))), ErrorType.BAD_ACTION, BadAction.MATCH_INCONSISTENT),
        (add(instructions=apply(SetField("vlan_vid", 0x1005))), ErrorType.BAD_ACTION, BadAction.MATCH_INCONSISTENT),
        (add(IPV4, instructions=apply(SetField("tcp_dst", 1))), ErrorType.BAD_ACTION, BadAction.MATCH_INCONSISTENT),
        (
            add(IPV4, instructions=apply(PushMpls(0x8847), SetField("ipv4_dst", 1))),
            ErrorType.BAD_ACTION,
            BadAction.MATCH_INCONSISTENT,
        ),
        (
            add(instructions=(WriteActions((SetField("ipv4_dst", 1),)),)),
            ErrorType.BAD_ACTION,
            BadAction.MATCH_INCONSISTENT,
        ),
    ],
)
def test_a_flow_that_makes_no_sense_is_refused_and_changes_nothing(request_: FlowMod, type_: int, code: int) -> None:
    bench = Bench()

    assert bench.error(request_) == (type_, code)
    assert bench.tables.select() == []
    assert bench.agent.take_effects() == []


@pytest.mark.parametrize(
    ("match", "actions"),
    [
        (ANY, (PushVlan(0x8100), SetField("vlan_vid", 0x1005), SetField("vlan_pcp", 3), Output(ports.NORMAL))),
        (TAGGED, (PopVlan(), Output(ports.IN_PORT))),
        (Match.of(vlan_vid=0x1005), (SetField("vlan_vid", 0x1006), Output(ports.ALL))),
        (ANY, (PushMpls(0x8847), SetField("mpls_label", 5), PopMpls(0x0800), SetField("ipv4_dst", 1))),
        (Match.of(eth_type=0x86DD, ip_proto=6), (SetField("tcp_dst", 1), SetNwTtl(3))),
        (ANY, (SetField("eth_dst", 1), SetField("metadata", 1), Output(ports.CONTROLLER))),
        (ANY, (Output(ports.LOCAL), Output(ports.FLOOD), Output(PortNo(1000)))),
    ],
)
def test_actions_that_fit_the_match_are_taken(match: Match, actions: tuple[object, ...]) -> None:
    bench = Bench()

    assert bench.send(add(match, instructions=apply(*actions))) == []
    assert len(bench.tables.select()) == 1


def test_1_0_takes_header_changes_without_prerequisites() -> None:
    bench = Bench(version=OFP10)

    assert bench.send(add(ANY, instructions=apply(SetField("ipv4_dst", 1), PopVlan()))) == []


def test_overlap_is_refused_when_asked_for() -> None:
    bench = Bench()
    bench.send(add(ARP))

    refused = bench.error(add(ARP.with_field("arp_op", 1), flags=FlowFlags.CHECK_OVERLAP))

    assert refused == (ErrorType.FLOW_MOD_FAILED, FlowModFailed.OVERLAP)
