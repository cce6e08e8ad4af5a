"""Multipart requests about what the switch has counted and who it is (OpenFlow 1.3.5, 7.3.5).

Numbers are current: the datapath's counts are credited to flows and tables before an answer is made. Hidden flows are
in no answer, for the tables do not count or select them. A reply holds all entries; the codec cuts it into messages.

What groups, meters and queues have counted is in ``groups``, ``meters`` and ``queues``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from inband.agent.connection import Connection
from inband.agent.flow_mods import duration
from inband.agent.long_reply import LongReply, long_reply
from inband.agent.refusal import RefusalError
from inband.agent.switch import Switch
from inband.errors import UsageError
from inband.flow import ports
from inband.flow.flow import Flow
from inband.flow.ports import PortNo
from inband.openflow.messages import Message
from inband.openflow.multipart import (
    AggregateReply,
    AggregateRequest,
    DescReply,
    DescRequest,
    FlowStatsReply,
    FlowStatsRequest,
    PortStats,
    PortStatsReply,
    PortStatsRequest,
    TableStats,
    TableStatsReply,
    TableStatsRequest,
)
from inband.openflow.stats import WriteFlow, flow_writer
from inband.table.changes import BadTable
from inband.table.flow_order import CHUNK
from inband.table.steps import Step, Steps
from inband.table.table_set import Filter
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow_errors import BadRequest

UNLIMITED_ENTRIES = 1_000_000
"""max_entries of a table without a limit: the number that Open vSwitch gives, which controllers take for "many"."""

FLOWS_PER_REPLY = 2 * CHUNK
"""20 to 30 kB a message; made of parts that take half a millisecond each."""

BYTES_PER_REPLY = 32 << 10
"""Where flows are long: one may have 64 kB of actions, and each kilobyte takes 0.2 ms to write."""


def describe(switch: Switch, _: Connection, __: DescRequest, ___: Instant) -> DescReply:
    """DESC: who made the switch."""
    who = switch.identity
    return DescReply(who.manufacturer, who.hardware, who.software, who.serial_number, who.datapath)


def flow_stats(switch: Switch, connection: Connection, request: FlowStatsRequest, now: Instant) -> LongReply:
    """FLOW: visible flows that the request's match covers, in several replies.

    Those that were there when it was asked, and still are when their part is made, with what they have counted then.
    """
    write = flow_writer(connection.version, nicira=request.nicira)
    return LongReply(_flow_replies(switch, _walk(switch, request), write, request.nicira, now))


def _flow_replies(
    switch: Switch, walk: Iterator[list[Flow]], write: WriteFlow, nicira: bool, now: Instant
) -> Iterator[FlowStatsReply | None]:
    """The last part, perhaps an empty one, is that without ``more``: only then it is known to be the last."""
    for _ in switch.statistics.counting():
        yield None
    entries: list[bytes] = []
    size = parts = 0

    def present(flows: list[Flow]) -> Iterator[Flow]:
        """Without those that went while the peer read a part in which the others are."""
        begun = parts
        return (flow for flow in flows if parts == begun or _is_there(switch, flow))

    for flows in walk:
        if len(entries) + len(flows) > FLOWS_PER_REPLY:
            yield FlowStatsReply((), nicira, True, tuple(entries))
            entries, size = [], 0
        for entry in _written(present(flows), write, now):
            if entries and size + len(entry) > BYTES_PER_REPLY:
                yield FlowStatsReply((), nicira, True, tuple(entries))
                entries, size, parts = [], 0, parts + 1
            entries.append(entry)
            size += len(entry)
        yield None
    yield FlowStatsReply((), nicira, False, tuple(entries))


def _is_there(switch: Switch, flow: Flow) -> bool:
    return switch.tables[flow.table_id].find(flow.match, flow.priority) is flow


def _written(flows: Iterable[Flow], write: WriteFlow, now: Instant) -> Iterator[bytes]:
    """Flows as this peer reads them, without those that no message of its version can hold."""
    age, created = (0, 0), now
    for flow in flows:
        if flow.created != created:  # those that came together are as old
            age, created = duration(flow.created, now), flow.created
        try:
            yield write(flow, *age)
        except UsageError:
            continue


def aggregate(switch: Switch, _: Connection, request: AggregateRequest, __: Instant) -> Steps[Message | None]:
    """AGGREGATE: sums over the same flows."""
    return _sum(switch, _walk(switch, request), nicira=request.nicira)


def _sum(switch: Switch, walk: Iterator[list[Flow]], *, nicira: bool) -> Steps[Message | None]:
    yield from switch.statistics.counting()
    packets = bytes_ = count = 0
    for flows in walk:
        for flow in flows:
            packets += flow.packets
            bytes_ += flow.bytes
        count += len(flows)
        yield Step.WORKED
    return AggregateReply(packets, bytes_, count, nicira=nicira)


def table_stats(switch: Switch, _: Connection, __: TableStatsRequest, ___: Instant) -> LongReply:
    """TABLE: every table."""
    entries = (_table_entry(switch, table_id) for table_id in range(len(switch.tables)))
    return long_reply(TableStatsReply, entries, first=switch.statistics.counting())


def port_stats(switch: Switch, _: Connection, request: PortStatsRequest, now: Instant) -> LongReply:
    """PORT: one port or all; an unknown one is BAD_PORT."""
    if request.port == ports.ANY:
        wanted = [port.number for port in switch.ports]
    elif switch.ports.get(request.port) is None:
        raise RefusalError(BadRequest.BAD_PORT, f"there is no port {request.port}")
    else:
        wanted = [request.port]
    return long_reply(PortStatsReply, (_port_entry(switch, port, now) for port in wanted))


def _walk(switch: Switch, request: FlowStatsRequest | AggregateRequest) -> Iterator[list[Flow]]:
    only = Filter(request.cookie, request.cookie_mask, request.out_port, request.out_group)
    try:
        return switch.tables.walk(request.table_id, request.match, only=only)
    except BadTable as error:
        raise RefusalError(BadRequest.BAD_TABLE_ID, str(error)) from None


def _table_entry(switch: Switch, table_id: int) -> TableStats:
    table = switch.tables[table_id]
    limit = switch.tables.limit
    return TableStats(
        table_id=table_id,
        active_count=table.active,
        lookup_count=table.lookups,
        matched_count=table.matched,
        name=table_name(table_id),
        max_entries=UNLIMITED_ENTRIES if limit is None else limit,
    )


def table_name(table_id: int) -> str:
    """A table's name for people; 0 has the name that OpenFlow 1.0 peers know from elsewhere."""
    return "classifier" if table_id == 0 else f"table{table_id}"


def _port_entry(switch: Switch, port: PortNo, now: Instant) -> PortStats:
    seconds, nanoseconds = duration(switch.port_since.get(port, now), now)
    counters = switch.statistics.port_counters(port)
    return PortStats(
        port=port,
        rx_packets=counters.rx_packets,
        tx_packets=counters.tx_packets,
        rx_bytes=counters.rx_bytes,
        tx_bytes=counters.tx_bytes,
        rx_dropped=counters.rx_dropped,
        tx_dropped=counters.tx_dropped,
        rx_errors=counters.rx_errors,
        tx_errors=counters.tx_errors,
        duration_sec=seconds,
        duration_nsec=nanoseconds,
    )
