"""Multipart (1.0: statistics) bodies on the wire, one table per version.

A row says a type's number and how its request and its reply are read and written. Most replies are lists; a list is
written entry by entry, so that ``codec.encode_segments`` can cut it between entries. Sections are 1.3.5's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from inband.flow.flow import Flow
from inband.openflow import multipart as mp
from inband.openflow import nicira as nicira_form
from inband.openflow.bodies import (
    PORT,
    entry_size,
    refuse_rest,
)
from inband.openflow.bodies10 import PORT10
from inband.openflow.errors import MalformedError
from inband.openflow.instructions import (
    decode_action_list,
    decode_instructions,
    encode_instructions,
    encode_lenient_action_list,
)
from inband.openflow.layout import Layout
from inband.openflow.lists import decode_bands, decode_buckets, encode_bands, encode_buckets
from inband.openflow.match10 import SIZE as MATCH_SIZE
from inband.openflow.match10 import decode_flow_match10, decode_match10, encode_match10
from inband.openflow.oxm import decode_match, encode_match
from inband.openflow.table_features import decode_table, encode_table
from inband.vocabulary import openflow as c
from inband.vocabulary.openflow_errors import BadRequest

EXPERIMENTER = 0xFFFF

ReadEntry = Callable[[bytes, int], tuple[Any, int]]
WriteEntry = Callable[[Any], bytes]


class Stat(NamedTuple):
    """One type of one version.

    ``read_reply`` gives the reply's attributes but ``more``; ``write_reply`` the pieces between which it may be cut.
    """

    number: int
    request: type
    read_request: Callable[[bytes], Any]
    write_request: Callable[[Any], bytes]
    reply: type
    read_reply: Callable[[bytes], dict[str, Any]]
    write_reply: Callable[[Any], list[bytes]]


def _stat(number: int, request: type, spec: str, reply: type, read: ReadEntry, write: WriteEntry) -> Stat:
    """A type whose request is one Layout and whose reply is a list."""
    layout: Layout[Any] = Layout(request, spec)
    return Stat(number, request, layout.read_whole, layout.write, reply, *_listed(read, write))


def _listed(
    read: ReadEntry, write: WriteEntry
) -> tuple[Callable[[bytes], dict[str, Any]], Callable[[Any], list[bytes]]]:
    def read_reply(body: bytes) -> dict[str, Any]:
        entries, pos = [], 0
        while pos < len(body):
            entry, pos = read(body, pos)
            entries.append(entry)
        return {"entries": tuple(entries)}

    return read_reply, lambda message: [write(entry) for entry in message.entries]


def _fixed_list(number: int, request: type, spec: str, reply: type, layout: Layout[Any]) -> Stat:
    """A type whose reply is a list of one Layout."""
    return _stat(
        number, request, spec, reply, lambda data, pos: (layout.read(data, pos), pos + layout.size), layout.write
    )


def _single(number: int, request: type, reply: Layout[Any]) -> Stat:
    """A type with an empty request whose reply is one Layout."""

    def read_reply(body: bytes) -> dict[str, Any]:
        fields = reply.fields(body)
        refuse_rest(body, reply.size, reply.cls.__name__)
        return fields

    layout: Layout[Any] = Layout(request, "")
    return Stat(
        number, request, layout.read_whole, layout.write, reply.cls, read_reply, lambda message: [reply.write(message)]
    )


def _entry_end(data: bytes, pos: int, least: int, what: str) -> int:
    """Where an entry ends that starts with its length. Raises MalformedError: OFPBRC_BAD_LEN."""
    length = int.from_bytes(data[pos : pos + 2], "big")
    if length < least or pos + length > len(data):
        raise MalformedError(BadRequest.BAD_LEN, f"{what} of {length} bytes where {len(data) - pos} are left")
    return pos + length


def sized(body: bytes) -> bytes:
    """An entry with its length, which counts itself, in front. Raises UsageError for one that fits no message."""
    return entry_size(len(body) + 2).to_bytes(2, "big") + body


# Flows (7.3.5.2, 7.3.5.3) -------------------------------------------------------------------------------------------

_FlowRequest = type[mp.FlowStatsRequest] | type[mp.AggregateRequest]
_FLOW_REQUEST = "table_id:B 3x out_port:port out_group:I 4x cookie:Q cookie_mask:Q"
_FLOW_REQUEST_10 = "table_id:B x out_port:port16"
_FLOW: Layout[mp.FlowStats] = Layout(
    mp.FlowStats,
    "table_id:B x duration_sec:I duration_nsec:I priority:priority idle_timeout_s:H hard_timeout_s:H flags:flow_flags "
    "importance:H 2x cookie:Q packets:Q bytes:Q",
)
_FLOW_10: Layout[mp.FlowStats] = Layout(
    mp.FlowStats,
    "duration_sec:I duration_nsec:I priority:priority idle_timeout_s:H hard_timeout_s:H 6x cookie:Q packets:Q bytes:Q",
)
_AGGREGATE = Layout(mp.AggregateReply, "packets:Q bytes:Q flows:I 4x")


def _flow_request(cls: _FlowRequest) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    layout: Layout[Any] = Layout(cls, _FLOW_REQUEST)

    def read(body: bytes) -> Any:
        fields = layout.fields(body)
        match, pos = decode_match(body, layout.size)
        refuse_rest(body, pos, cls.__name__)
        return cls(match=match, **fields)

    return read, lambda message: layout.write(message) + encode_match(message.match)


def _flow_request_10(cls: _FlowRequest) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    layout: Layout[Any] = Layout(cls, _FLOW_REQUEST_10)

    def read(body: bytes) -> Any:
        match = decode_match10(body, 0)
        return cls(match=match, **vars_of(layout, body[MATCH_SIZE:]))

    return read, lambda message: encode_match10(message.match) + layout.write(message)


def vars_of(layout: Layout[Any], body: bytes) -> dict[str, Any]:
    """The attributes of a layout that is all of ``body``."""
    fields = layout.fields(body)
    refuse_rest(body, layout.size, layout.cls.__name__)
    return fields


def _read_flow(data: bytes, pos: int) -> tuple[mp.FlowStats, int]:
    end = _entry_end(data, pos, 2 + _FLOW.size, "a flow")
    match, start = decode_match(data[:end], pos + 2 + _FLOW.size)
    return _FLOW.read(data, pos + 2, match=match, instructions=decode_instructions(data, start, end)), end


# As _FLOW, with the length: what is sent for each flow of a dump is packed at once.
_FLOW_HEAD = struct.Struct("!HBxIIHHHHH2xQQQ")


def _write_flow(flow: mp.FlowStats | Flow, seconds: int, nanoseconds: int) -> bytes:
    rest = encode_match(flow.match) + encode_instructions(flow.instructions)
    head = _FLOW_HEAD.pack(
        entry_size(_FLOW_HEAD.size + len(rest)),
        flow.table_id,
        seconds,
        nanoseconds,
        flow.priority,
        flow.idle_timeout_s,
        flow.hard_timeout_s,
        flow.flags,
        flow.importance,
        flow.cookie,
        flow.packets,
        flow.bytes,
    )
    return head + rest


def _read_flow_10(data: bytes, pos: int) -> tuple[mp.FlowStats, int]:
    after_match = 4 + MATCH_SIZE
    end = _entry_end(data, pos, after_match + _FLOW_10.size, "a flow")
    instructions = decode_action_list(data, pos + after_match + _FLOW_10.size, end)
    match, surplus, _ = decode_flow_match10(data, pos + 4)
    more = {"table_id": data[pos + 2], "match": match, "surplus": surplus, "instructions": instructions}
    return _FLOW_10.read(data, pos + after_match, **more), end


_FLOW_10_HEAD = struct.Struct("!HBx")
_FLOW_10_REST = struct.Struct("!IIHHH6xQQQ")


def _write_flow_10(flow: mp.FlowStats | Flow, seconds: int, nanoseconds: int) -> bytes:
    actions = encode_lenient_action_list(flow.instructions)
    size = entry_size(_FLOW_10_HEAD.size + MATCH_SIZE + _FLOW_10_REST.size + len(actions))
    rest = _FLOW_10_REST.pack(
        seconds,
        nanoseconds,
        flow.priority,
        flow.idle_timeout_s,
        flow.hard_timeout_s,
        flow.cookie,
        flow.packets,
        flow.bytes,
    )
    return _FLOW_10_HEAD.pack(size, flow.table_id) + encode_match10(flow.match, flow.surplus) + rest + actions


WriteFlow = Callable[[mp.FlowStats | Flow, int, int], bytes]
"""Writes an entry of a reply about flows; with the flow's age in seconds and nanoseconds."""


def flow_writer(version: int, *, nicira: bool) -> WriteFlow:
    """How flows are written for a peer: UsageError is raised for one that is too long for a message."""
    if version == c.OFP13:
        return _write_flow
    return nicira_form.write_flow if nicira else _write_flow_10


def _flows(number: int, request: tuple[Any, Any], read: ReadEntry, write: WriteFlow) -> Stat:
    read_reply, write_entries = _listed(read, lambda flow: write(flow, flow.duration_sec, flow.duration_nsec))

    def write_reply(message: mp.FlowStatsReply) -> list[bytes]:
        return [*write_entries(message), *message.written]

    return Stat(number, mp.FlowStatsRequest, *request, mp.FlowStatsReply, read_reply, write_reply)


def _aggregate(request: tuple[Any, Any]) -> Stat:
    def write(message: mp.AggregateReply) -> list[bytes]:
        return [_AGGREGATE.write(message)]

    return Stat(2, mp.AggregateRequest, *request, mp.AggregateReply, lambda body: vars_of(_AGGREGATE, body), write)


# Ports and queues (7.3.5.6, 7.3.5.8) --------------------------------------------------------------------------------

_PORT_COUNTERS = (
    "rx_packets:Q tx_packets:Q rx_bytes:Q tx_bytes:Q rx_dropped:Q tx_dropped:Q rx_errors:Q tx_errors:Q "
    "rx_frame_err:Q rx_over_err:Q rx_crc_err:Q collisions:Q"
)
_QUEUE_COUNTERS = "tx_bytes:Q tx_packets:Q tx_errors:Q"
_DURATION = "duration_sec:I duration_nsec:I"

# Groups (7.3.5.9 to 11) ---------------------------------------------------------------------------------------------

_GROUP: Layout[mp.GroupStats] = Layout(
    mp.GroupStats, "2x group_id:I ref_count:I 4x packets:Q bytes:Q duration_sec:I duration_nsec:I"
)
_BUCKET_COUNTER = Layout(mp.BucketCounter, "packets:Q bytes:Q")
_GROUP_DESC: Layout[mp.GroupDesc] = Layout(mp.GroupDesc, "type:group_type x group_id:I")
_GROUP_FEATURES = struct.Struct("!II4I4I")


def _read_group(data: bytes, pos: int) -> tuple[mp.GroupStats, int]:
    end = _entry_end(data, pos, 2 + _GROUP.size, "a group")
    return _GROUP.read(data, pos + 2, buckets=_BUCKET_COUNTER.read_all(data[pos + 2 + _GROUP.size : end])), end


def _write_group(group: mp.GroupStats) -> bytes:
    return sized(_GROUP.write(group) + b"".join(map(_BUCKET_COUNTER.write, group.buckets)))


def _read_group_desc(data: bytes, pos: int) -> tuple[mp.GroupDesc, int]:
    end = _entry_end(data, pos, 2 + _GROUP_DESC.size, "a group")
    return _GROUP_DESC.read(data, pos + 2, buckets=decode_buckets(data, pos + 2 + _GROUP_DESC.size, end)), end


def _write_group_desc(group: mp.GroupDesc) -> bytes:
    return sized(_GROUP_DESC.write(group) + encode_buckets(group.buckets))


def _read_group_features(body: bytes) -> dict[str, Any]:
    if len(body) != _GROUP_FEATURES.size:
        raise MalformedError(BadRequest.BAD_LEN, f"group features of {len(body)} bytes")
    types, capabilities, *numbers = _GROUP_FEATURES.unpack(body)
    return {
        "types": types,
        "capabilities": c.GroupCapabilities(capabilities),
        "max_groups": tuple(numbers[:4]),
        "actions": tuple(numbers[4:]),
    }


def _write_group_features(message: mp.GroupFeaturesReply) -> list[bytes]:
    return [_GROUP_FEATURES.pack(message.types, message.capabilities, *message.max_groups, *message.actions)]


# Meters (7.3.5.12 to 14) --------------------------------------------------------------------------------------------

# The length is after the id here.
_METER_HEAD = struct.Struct("!IH6x")
_METER: Layout[mp.MeterStats] = Layout(
    mp.MeterStats, "flow_count:I packets_in:Q bytes_in:Q duration_sec:I duration_nsec:I"
)
_BAND_COUNTER = Layout(mp.BandCounter, "packets:Q bytes:Q")
_METER_CONFIG: Layout[mp.MeterConfig] = Layout(mp.MeterConfig, "flags:meter_flags meter_id:I")


def _read_meter(data: bytes, pos: int) -> tuple[mp.MeterStats, int]:
    least = _METER_HEAD.size + _METER.size
    if len(data) - pos < least:
        raise MalformedError(BadRequest.BAD_LEN, f"a meter in {len(data) - pos} bytes")
    meter_id, length = _METER_HEAD.unpack_from(data, pos)
    end = pos + length
    if length < least or end > len(data):
        raise MalformedError(BadRequest.BAD_LEN, f"a meter of {length} bytes where {len(data) - pos} are left")
    bands = _BAND_COUNTER.read_all(data[pos + least : end])
    return _METER.read(data, pos + _METER_HEAD.size, meter_id=meter_id, bands=bands), end


def _write_meter(meter: mp.MeterStats) -> bytes:
    body = _METER.write(meter) + b"".join(map(_BAND_COUNTER.write, meter.bands))
    return _METER_HEAD.pack(meter.meter_id, _METER_HEAD.size + len(body)) + body


def _read_meter_config(data: bytes, pos: int) -> tuple[mp.MeterConfig, int]:
    end = _entry_end(data, pos, 2 + _METER_CONFIG.size, "a meter")
    return _METER_CONFIG.read(data, pos + 2, bands=decode_bands(data, pos + 2 + _METER_CONFIG.size, end)), end


def _write_meter_config(meter: mp.MeterConfig) -> bytes:
    return sized(_METER_CONFIG.write(meter) + encode_bands(meter.bands))


# Table features (7.3.5.5) -------------------------------------------------------------------------------------------


def _table_features() -> Stat:
    read_reply, write_reply = _listed(decode_table, encode_table)
    return Stat(
        12,
        mp.TableFeaturesRequest,
        lambda body: mp.TableFeaturesRequest(**read_reply(body)),
        lambda message: b"".join(write_reply(message)),
        mp.TableFeaturesReply,
        read_reply,
        write_reply,
    )


# The tables ---------------------------------------------------------------------------------------------------------

_DESC = _single(
    0,
    mp.DescRequest,
    Layout(mp.DescReply, "manufacturer:s256 hardware:s256 software:s256 serial_number:s32 datapath:s256"),
)

STATS_13: tuple[Stat, ...] = (
    _DESC,
    _flows(1, _flow_request(mp.FlowStatsRequest), _read_flow, _write_flow),
    _aggregate(_flow_request(mp.AggregateRequest)),
    _fixed_list(
        3,
        mp.TableStatsRequest,
        "",
        mp.TableStatsReply,
        Layout(mp.TableStats, "table_id:B 3x active_count:I lookup_count:Q matched_count:Q"),
    ),
    _fixed_list(
        4,
        mp.PortStatsRequest,
        "port:port 4x",
        mp.PortStatsReply,
        Layout(mp.PortStats, f"port:port 4x {_PORT_COUNTERS} {_DURATION}"),
    ),
    _fixed_list(
        5,
        mp.QueueStatsRequest,
        "port:port queue_id:I",
        mp.QueueStatsReply,
        Layout(mp.QueueStats, f"port:port queue_id:I {_QUEUE_COUNTERS} {_DURATION}"),
    ),
    _stat(6, mp.GroupStatsRequest, "group_id:I 4x", mp.GroupStatsReply, _read_group, _write_group),
    _stat(7, mp.GroupDescRequest, "", mp.GroupDescReply, _read_group_desc, _write_group_desc),
    Stat(
        8,
        mp.GroupFeaturesRequest,
        Layout(mp.GroupFeaturesRequest, "").read_whole,
        Layout(mp.GroupFeaturesRequest, "").write,
        mp.GroupFeaturesReply,
        _read_group_features,
        _write_group_features,
    ),
    _stat(9, mp.MeterStatsRequest, "meter_id:I 4x", mp.MeterStatsReply, _read_meter, _write_meter),
    _stat(10, mp.MeterConfigRequest, "meter_id:I 4x", mp.MeterConfigReply, _read_meter_config, _write_meter_config),
    _single(
        11,
        mp.MeterFeaturesRequest,
        Layout(
            mp.MeterFeaturesReply,
            "max_meter:I band_types:I capabilities:meter_flags32 max_bands:B max_color:B 2x",
        ),
    ),
    _table_features(),
    _fixed_list(13, mp.PortDescRequest, "", mp.PortDescReply, PORT),
)

STATS_10: tuple[Stat, ...] = (
    _DESC,
    _flows(1, _flow_request_10(mp.FlowStatsRequest), _read_flow_10, _write_flow_10),
    _aggregate(_flow_request_10(mp.AggregateRequest)),
    _fixed_list(
        3,
        mp.TableStatsRequest,
        "",
        mp.TableStatsReply,
        Layout(
            mp.TableStats,
            "table_id:B 3x name:s32 wildcards:I max_entries:I active_count:I lookup_count:Q matched_count:Q",
        ),
    ),
    _fixed_list(
        4,
        mp.PortStatsRequest,
        "port:port16 6x",
        mp.PortStatsReply,
        Layout(mp.PortStats, f"port:port16 6x {_PORT_COUNTERS}"),
    ),
    _fixed_list(
        5,
        mp.QueueStatsRequest,
        "port:port16 2x queue_id:I",
        mp.QueueStatsReply,
        Layout(mp.QueueStats, f"port:port16 2x queue_id:I {_QUEUE_COUNTERS}"),
    ),
    # Not in the specification of 1.0, but Open vSwitch and its tools have it there as well.
    _fixed_list(13, mp.PortDescRequest, "", mp.PortDescReply, PORT10),
)

NICIRA_STATS: tuple[Stat, ...] = (
    _flows(
        0,
        (lambda body: nicira_form.decode_request(mp.FlowStatsRequest, body), nicira_form.encode_request),
        nicira_form.decode_flow,
        nicira_form.write_flow,
    ),
    Stat(
        1,
        mp.AggregateRequest,
        lambda body: nicira_form.decode_request(mp.AggregateRequest, body),
        nicira_form.encode_request,
        mp.AggregateReply,
        lambda body: vars_of(_AGGREGATE, body),
        lambda message: [_AGGREGATE.write(message)],
    ),
)
"""NXST_*, by subtype; OpenFlow 1.0 only."""
