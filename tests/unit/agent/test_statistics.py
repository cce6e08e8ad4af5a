"""Multipart replies: numbers are current, and hidden flows are in none."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from inband.agent.connection import Kind
from inband.datapath.base import PortCounters
from inband.flow.actions import ApplyActions, Output
from inband.flow.fields import FIELDS
from inband.flow.match import ANY, Match
from inband.flow.ports import LOCAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.codec import encode
from inband.openflow.constants import TablePropertyType
from inband.openflow.messages import (
    BarrierRequest,
    Envelope,
    FlowMod,
    Message,
    QueueGetConfigReply,
    QueueGetConfigRequest,
)
from inband.openflow.multipart import (
    AggregateReply,
    AggregateRequest,
    DescReply,
    DescRequest,
    FlowStats,
    FlowStatsReply,
    FlowStatsRequest,
    GroupDescReply,
    GroupDescRequest,
    GroupStatsReply,
    GroupStatsRequest,
    MeterConfigReply,
    MeterConfigRequest,
    MeterStatsReply,
    MeterStatsRequest,
    PortDescReply,
    PortDescRequest,
    PortStats,
    PortStatsReply,
    PortStatsRequest,
    QueueStatsReply,
    QueueStatsRequest,
    TableFeatures,
    TableFeaturesReply,
    TableFeaturesRequest,
    TableStats,
    TableStatsReply,
    TableStatsRequest,
)
from inband.openflow.wire_fields import field_header
from inband.table.flow_order import CHUNK
from inband.vocabulary.openflow import OFP10, OFP13, FlowModCommand, PortReason
from inband.vocabulary.openflow_errors import BadRequest, ErrorType, MeterModFailed, QueueOpFailed, TableFeaturesFailed
from tests.unit.agent.bench_switch import PORT_1, Bench

ARP = Match.of(eth_type=0x0806)
OUT_1 = (ApplyActions((Output(PortNo(1)),)),)


def with_flows() -> Bench:
    """Two visible flows, one of which counted, and a hidden one that counted more."""
    bench = Bench()
    bench.send(FlowMod(FlowModCommand.ADD, ARP, OpenFlowPriority(5), OUT_1, table_id=1, cookie=3), now=10.0)
    bench.send(FlowMod(FlowModCommand.ADD, ANY), now=10.0)
    bench.tables.select(1)[0].credit(2, 120, 11.0)
    bench.add_hidden(eth_type=0x0806).credit(1000, 1000, 11.0)
    bench.agent.take_effects()
    return bench


def test_flow_statistics_show_visible_flows_with_current_counters() -> None:
    bench = with_flows()

    (reply,) = bench.send(FlowStatsRequest(match=ARP), now=12.25)

    assert reply == FlowStatsReply(
        (
            FlowStats(
                table_id=1,
                match=ARP,
                priority=OpenFlowPriority(5),
                instructions=OUT_1,
                cookie=3,
                duration_sec=2,
                duration_nsec=250_000_000,
                packets=2,
                bytes=120,
            ),
        )
    )
    assert bench.statistics.rounds == 1


def test_flow_statistics_can_be_asked_for_by_table_port_and_cookie() -> None:
    bench = with_flows()

    def count(request: FlowStatsRequest) -> int:
        (reply,) = bench.send(request)
        assert isinstance(reply, FlowStatsReply)
        return len(reply.entries)

    assert count(FlowStatsRequest()) == 2
    assert count(FlowStatsRequest(table_id=0)) == 1
    assert count(FlowStatsRequest(out_port=PortNo(1))) == 1
    assert count(FlowStatsRequest(cookie=3, cookie_mask=3)) == 1
    assert count(FlowStatsRequest(cookie=2, cookie_mask=3)) == 0


def test_a_long_dump_is_made_in_parts_and_what_follows_waits_for_the_last() -> None:
    bench = Bench()
    for port in range(1, 451):
        bench.send(FlowMod(FlowModCommand.ADD, Match.of(in_port=port)))
    barrier = Envelope(OFP13, 2, BarrierRequest())
    bench.agent.handle(1, Envelope(OFP13, 1, FlowStatsRequest()), 0.0)
    steps = 0
    while bench.agent.is_replying(1):
        assert bench.agent.must_wait(1, barrier)
        bench.agent.go_on_with_reply(1)
        steps += 1
    replies = bench.take()

    assert steps >= 450 / CHUNK
    assert [len(reply.entries) for reply in replies if isinstance(reply, FlowStatsReply)] == [256, 194]
    assert [reply.more for reply in replies if isinstance(reply, FlowStatsReply)] == [True, False]
    assert not bench.agent.must_wait(1, barrier)


@pytest.mark.parametrize("version", [OFP10, OFP13])
@pytest.mark.parametrize("nicira", [False, True])
def test_a_flow_that_fits_no_reply_is_left_out_of_it(version: int, nicira: bool) -> None:
    bench = Bench(version=version)
    longest = (ApplyActions((Output(PortNo(1)),) * (4091 if version == OFP13 else 8182)),)
    flow_mod = FlowMod(FlowModCommand.ADD, Match.of(in_port=1), instructions=longest)
    assert len(encode(Envelope(version, 1, flow_mod))) > 65500
    bench.send(flow_mod)
    bench.send(FlowMod(FlowModCommand.ADD, Match.of(in_port=2)))

    (reply,) = bench.send(FlowStatsRequest(nicira=nicira and version == OFP10))

    assert isinstance(reply, FlowStatsReply)
    assert [entry.match for entry in reply.entries] == [Match.of(in_port=2)]


def test_flows_are_told_with_the_age_of_each() -> None:
    bench = Bench()
    for port, at in enumerate((1.0, 1.0, 2.5, 1.0), start=1):
        bench.send(FlowMod(FlowModCommand.ADD, Match.of(in_port=port)), now=at)

    (reply,) = bench.send(FlowStatsRequest(), now=3.0)

    assert isinstance(reply, FlowStatsReply)
    ages = [(entry.duration_sec, entry.duration_nsec) for entry in reply.entries]
    assert ages == [(2, 0), (2, 0), (0, 500_000_000), (2, 0)]


def test_requests_for_all_flows_cost_nothing_until_their_answers_are_read() -> None:
    bench = Bench()
    for port in range(1, 1001):
        bench.send(FlowMod(FlowModCommand.ADD, Match.of(in_port=port)))
    bench.agent.connect(2, Kind.CONTROLLER, OFP13, 0.0)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for connection in (1, 2):
        bench.agent.handle(connection, Envelope(OFP13, 1, FlowStatsRequest()), 0.0)
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()

    assert sum(row.size_diff for row in after.compare_to(before, "filename")) < 1000 * 100


def test_a_long_dump_shows_no_flow_that_went_or_came_meanwhile() -> None:
    bench = Bench()
    for port in range(1, 451):
        bench.send(FlowMod(FlowModCommand.ADD, Match.of(in_port=port)))
    bench.agent.connect(2, Kind.CONTROLLER, OFP13, 0.0)
    bench.agent.handle(2, Envelope(OFP13, 1, FlowStatsRequest()), 0.0)
    for port in (5, 300, 449):
        bench.send(FlowMod(FlowModCommand.DELETE, Match.of(in_port=port)))
    bench.send(FlowMod(FlowModCommand.ADD, Match.of(in_port=1000)))

    seen = [entry.match for reply in bench.take(2) if isinstance(reply, FlowStatsReply) for entry in reply.entries]

    assert seen == [Match.of(in_port=port) for port in range(1, 451) if port not in (5, 300, 449)]


def test_long_flows_are_told_in_parts_of_bounded_size_without_those_that_went_meanwhile() -> None:
    bench = Bench()
    long = (ApplyActions((Output(PortNo(1)),) * 1000),)
    for port in range(1, 21):
        bench.send(FlowMod(FlowModCommand.ADD, Match.of(in_port=port), instructions=long))
    bench.agent.connect(2, Kind.CONTROLLER, OFP13, 0.0)
    bench.agent.handle(2, Envelope(OFP13, 1, FlowStatsRequest()), 0.0)
    while not bench.agent.waiting():
        bench.agent.go_on_with_reply(2)
    bench.send(FlowMod(FlowModCommand.DELETE, Match.of(in_port=20)))
    replies = bench.take(2)

    entries = [entry for reply in replies if isinstance(reply, FlowStatsReply) for entry in reply.entries]
    assert [entry.match for entry in entries] == [Match.of(in_port=port) for port in range(1, 20)]
    assert all(len(encode(Envelope(OFP13, 1, reply))) < 50_000 for reply in replies)


def test_a_connection_that_ends_during_a_long_dump_takes_it_along() -> None:
    bench = Bench()
    bench.send(FlowMod(FlowModCommand.ADD, ANY))
    bench.agent.handle(1, Envelope(OFP13, 1, FlowStatsRequest()), 0.0)

    bench.agent.disconnect(1)

    assert bench.agent.take(1) == []
    assert bench.agent.waiting() == []


def test_a_reply_takes_the_form_of_its_request() -> None:
    bench = with_flows()

    assert bench.send(AggregateRequest(nicira=True)) == [AggregateReply(2, 120, 2, nicira=True)]


def test_aggregates_leave_hidden_flows_out() -> None:
    assert with_flows().send(AggregateRequest()) == [AggregateReply(2, 120, 2)]


def test_table_statistics_leave_hidden_flows_out() -> None:
    bench = with_flows()
    (flow,) = bench.tables.select(1)
    bench.tables.credit([(0, bench.tables.hidden()[0])], 7, 700, 12.0)
    bench.tables.credit([(1, flow), (2, None)], 4, 400, 12.0)

    (reply,) = bench.send(TableStatsRequest())

    assert reply == TableStatsReply(
        (
            TableStats(0, 1, 0, 0, "classifier"),
            TableStats(1, 1, 4, 4, "table1"),
            TableStats(2, 0, 4, 0, "table2"),
            TableStats(3, 0, 0, 0, "table3"),
        )
    )


def test_an_unknown_table_is_refused() -> None:
    assert Bench().error(FlowStatsRequest(table_id=4)) == (ErrorType.BAD_REQUEST, BadRequest.BAD_TABLE_ID)


def test_port_statistics_come_from_the_datapath() -> None:
    bench = Bench()
    bench.statistics.ports[PORT_1.number] = PortCounters(1, 2, 3, 4, 5, 6, 7, 8)
    bench.agent.port_changed(PortReason.ADD, PORT_1, 10.0)
    bench.take()

    (reply,) = bench.send(PortStatsRequest(PORT_1.number), now=11.5)
    (everything,) = bench.send(PortStatsRequest(), now=11.5)

    expected = PortStats(PORT_1.number, 1, 2, 3, 4, 5, 6, 7, 8, duration_sec=1, duration_nsec=500_000_000)
    assert reply == PortStatsReply((expected,))
    assert isinstance(everything, PortStatsReply)
    assert [entry.port for entry in everything.entries] == [1, 2, LOCAL]


def test_ports_and_the_switch_describe_themselves() -> None:
    bench = Bench()

    (ports,) = bench.send(PortDescRequest())

    assert isinstance(ports, PortDescReply)
    assert [(entry.port, entry.name) for entry in ports.entries] == [(1, "eth1"), (2, "eth2"), (LOCAL, "br0")]
    assert bench.send(DescRequest()) == [DescReply("inband", "Linux", "0.1.0", "None", "br0")]


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (QueueStatsRequest(), QueueStatsReply(())),
        (QueueStatsRequest(PortNo(1)), QueueStatsReply(())),
        (QueueGetConfigRequest(PortNo(1)), QueueGetConfigReply(PortNo(1))),
        (GroupStatsRequest(), GroupStatsReply(())),
        (GroupDescRequest(), GroupDescReply(())),
        (MeterStatsRequest(), MeterStatsReply(())),
        (MeterConfigRequest(), MeterConfigReply(())),
    ],
)
def test_what_the_switch_has_none_of_is_an_empty_list(request_: Message, reply: Message) -> None:
    assert Bench().send(request_) == [reply]


@pytest.mark.parametrize(
    ("request_", "type_", "code"),
    [
        (PortStatsRequest(PortNo(9)), ErrorType.BAD_REQUEST, BadRequest.BAD_PORT),
        (QueueStatsRequest(PortNo(9)), ErrorType.QUEUE_OP_FAILED, QueueOpFailed.BAD_PORT),
        (QueueStatsRequest(PortNo(1), 3), ErrorType.QUEUE_OP_FAILED, QueueOpFailed.BAD_QUEUE),
        (QueueGetConfigRequest(PortNo(9)), ErrorType.QUEUE_OP_FAILED, QueueOpFailed.BAD_PORT),
        (MeterStatsRequest(1), ErrorType.METER_MOD_FAILED, MeterModFailed.UNKNOWN_METER),
        (MeterConfigRequest(1), ErrorType.METER_MOD_FAILED, MeterModFailed.UNKNOWN_METER),
        (
            TableFeaturesRequest((TableFeatures(0, "", 0, 0, 0, 0),)),
            ErrorType.TABLE_FEATURES_FAILED,
            TableFeaturesFailed.EPERM,
        ),
    ],
)
def test_naming_what_is_not_there_is_refused(request_: Message, type_: int, code: int) -> None:
    assert Bench().error(request_) == (type_, code)


def test_table_features_have_the_properties_that_ovs_ofctl_needs() -> None:
    bench = Bench(n_tables=3, limit=100)

    (reply,) = bench.send(TableFeaturesRequest())

    assert isinstance(reply, TableFeaturesReply)
    assert [(entry.table_id, entry.max_entries) for entry in reply.entries] == [(0, 100), (1, 100), (2, 100)]
    required = {
        TablePropertyType.INSTRUCTIONS,
        TablePropertyType.NEXT_TABLES,
        TablePropertyType.WRITE_ACTIONS,
        TablePropertyType.APPLY_ACTIONS,
        TablePropertyType.MATCH,
        TablePropertyType.WILDCARDS,
        TablePropertyType.WRITE_SETFIELD,
        TablePropertyType.APPLY_SETFIELD,
    }
    assert all(required == {property_.type for property_ in entry.properties} for entry in reply.entries)


def test_table_features_tell_the_truth_about_gotos_and_matches() -> None:
    bench = Bench(n_tables=3)
    (reply,) = bench.send(TableFeaturesRequest())
    assert isinstance(reply, TableFeaturesReply)

    def ids(table: int, kind: TablePropertyType) -> tuple[int, ...]:
        (found,) = [p.ids for p in reply.entries[table].properties if p.type == kind]
        return found

    assert [ids(table, TablePropertyType.NEXT_TABLES) for table in range(3)] == [(1, 2), (2,), ()]
    assert ids(0, TablePropertyType.INSTRUCTIONS) == (1, 2, 3, 4, 5, 6)
    assert ids(2, TablePropertyType.INSTRUCTIONS) == (2, 3, 4, 5, 6)
    assert len(ids(0, TablePropertyType.MATCH)) == sum(field.oxm is not None for field in FIELDS.values())
    assert field_header("ipv4_dst", masked=True) in ids(0, TablePropertyType.MATCH)
    assert field_header("in_port") not in ids(0, TablePropertyType.APPLY_SETFIELD)
