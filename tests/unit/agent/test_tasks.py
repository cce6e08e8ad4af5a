"""Messages that mean very many flows: done in steps, each seen whole or not at all, and nothing else kept waiting."""

from __future__ import annotations

import pytest

from inband.agent.connection import Kind
from inband.agent.effects import SettingsChanged
from inband.flow.actions import ApplyActions, Group, Output
from inband.flow.flow import FlowFlags
from inband.flow.groups import Bucket
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import (
    BarrierReply,
    BarrierRequest,
    Envelope,
    Error,
    FeaturesReply,
    FeaturesRequest,
    FlowMod,
    FlowRemoved,
    GroupMod,
    Message,
)
from inband.openflow.multipart import AggregateReply, AggregateRequest, FlowStatsRequest, TableStatsRequest
from inband.table.bulk import AT_ONCE
from inband.vocabulary.openflow import OFP13, FlowModCommand, GroupModCommand, GroupType
from tests.unit.agent.bench_switch import Bench

MANY = 8 * AT_ONCE
TO_1 = (ApplyActions((Output(PortNo(1)),)),)
TO_2 = (ApplyActions((Output(PortNo(2)),)),)
IP = Match.of(eth_type=0x0800)
DELETE_ALL = FlowMod(FlowModCommand.DELETE, ANY, table_id=0xFF)


def filled(flags: FlowFlags = FlowFlags.NONE) -> Bench:
    bench = Bench()
    for number in range(MANY):
        match = Match.of(eth_type=0x0800, ipv4_dst=number)
        bench.send(FlowMod(FlowModCommand.ADD, match, OpenFlowPriority(9), TO_1, flags=flags))
    bench.agent.connect(2, Kind.CONTROLLER, OFP13, 0.0)
    bench.agent.take_effects()
    bench.take(2)
    return bench


def envelope(message: Message) -> Envelope:
    return Envelope(OFP13, 7, message)


def begin(bench: Bench, message: Message, connection: int = 1) -> None:
    """Begin something long."""
    bench.agent.handle(connection, envelope(message), 5.0)
    assert bench.agent.is_busy


@pytest.mark.parametrize(
    "message",
    [
        DELETE_ALL,
        FlowMod(FlowModCommand.MODIFY, IP, instructions=TO_2),
        FlowMod(FlowModCommand.ADD, ANY, OpenFlowPriority(1), TO_2, flags=FlowFlags.CHECK_OVERLAP),
        AggregateRequest(),
    ],
)
def test_while_it_is_under_way_what_needs_tables_waits_and_everything_else_goes_on(message: Message) -> None:
    bench = filled()
    begin(bench, message)

    assert bench.agent.must_wait(2, envelope(FlowMod(FlowModCommand.ADD, IP)))
    assert bench.agent.must_wait(2, envelope(FlowStatsRequest()))
    assert bench.agent.must_wait(2, envelope(TableStatsRequest()))
    assert bench.agent.must_wait(1, envelope(BarrierRequest()))
    assert not bench.agent.must_wait(2, envelope(BarrierRequest()))
    bench.agent.handle(2, envelope(FeaturesRequest()), 5.0)
    assert isinstance(bench.agent.take(2)[0].message, FeaturesReply)
    bench.take()
    assert not bench.agent.must_wait(1, envelope(BarrierRequest()))


def test_caches_are_told_once_and_in_the_step_that_puts_it_in_force() -> None:
    bench = filled()
    begin(bench, DELETE_ALL)
    effects = list(bench.agent.take_effects())

    while bench.agent.is_busy:
        before = bench.tables[0].active
        bench.agent.go_on()
        told = bench.agent.take_effects()
        assert bool(told) == (bench.tables[0].active != before)
        effects += told

    assert effects == [SettingsChanged()]


def test_a_barrier_behind_it_is_answered_when_it_is_done() -> None:
    bench = filled()
    begin(bench, DELETE_ALL)
    bench.take()

    assert bench.tables.select() == []
    assert bench.send(BarrierRequest()) == [BarrierReply()]


def test_every_flow_that_asked_for_it_is_said_to_be_gone_to_every_controller_before_the_barrier() -> None:
    bench = filled(FlowFlags.SEND_FLOW_REM)
    begin(bench, DELETE_ALL)

    mine, others = bench.take(1), bench.take(2)

    assert len(mine) == len(others) == MANY
    assert all(isinstance(message, FlowRemoved) for message in mine)
    assert bench.statistics.rounds <= 1


def test_its_connection_may_end_meanwhile_and_it_is_carried_out_all_the_same() -> None:
    bench = filled()
    begin(bench, DELETE_ALL)

    bench.agent.disconnect(1)
    while bench.agent.is_busy:
        bench.agent.go_on()

    assert bench.tables.select() == []
    assert bench.agent.take(1) == []


def test_a_refusal_at_the_end_of_a_long_search_changes_nothing_and_is_an_error() -> None:
    bench = filled()
    flags = FlowFlags.CHECK_OVERLAP
    match = Match.of(eth_type=0x0800, ipv4_dst=MANY - 1, ip_proto=6)
    begin(bench, FlowMod(FlowModCommand.ADD, match, OpenFlowPriority(9), TO_2, flags=flags))

    (error,) = bench.take()

    assert isinstance(error, Error)
    assert bench.tables[0].active == MANY


def test_a_sum_is_over_all_flows() -> None:
    bench = filled()
    begin(bench, AggregateRequest())

    (reply,) = bench.take()

    assert isinstance(reply, AggregateReply)
    assert reply.flows == MANY


def test_a_group_goes_with_its_users_and_never_before_them() -> None:
    bench = filled()
    bench.send(GroupMod(GroupModCommand.ADD, GroupType.ALL, 5, (Bucket((Output(PortNo(1)),)),)))
    bench.send(FlowMod(FlowModCommand.MODIFY, IP, instructions=(ApplyActions((Group(5),)),)))
    begin(bench, GroupMod(GroupModCommand.DELETE, GroupType.ALL, 5))

    while bench.agent.is_busy:
        assert bench.tables.groups.get(5) is not None or bench.tables[0].active == 0
        bench.agent.go_on()

    assert bench.tables.groups.get(5) is None
    assert bench.tables.select() == []


def test_what_means_few_flows_is_done_at_once() -> None:
    bench = Bench()
    bench.send(FlowMod(FlowModCommand.ADD, IP, OpenFlowPriority(9), TO_1))

    bench.agent.handle(1, envelope(DELETE_ALL), 5.0)

    assert not bench.agent.is_busy
    assert bench.tables.select() == []
