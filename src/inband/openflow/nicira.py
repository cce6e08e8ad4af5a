"""Nicira's messages (NXT_*) and statistics (NXST_*): what ovs-ofctl prefers in OpenFlow 1.0.

They are vendor messages: a vendor number, a subtype, then what is here. In 1.3 they have the same form as
experimenter messages. Roles and asynchronous configuration are the version-neutral messages, and only in 1.0,
because 1.3 has its own.
"""

from __future__ import annotations

import struct

from inband.flow.flow import Flow
from inband.flow.priority import OpenFlowPriority, openflow_priority
from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow.bodies import (
    Row,
    asynchronous,
    entry_size,
    fixed,
    flow_mod_command,
    need,
    packet_in_reason,
    refuse_rest,
)
from inband.openflow.bodies10 import flow_mod_flags
from inband.openflow.errors import MalformedError
from inband.openflow.instructions import decode_action_list, encode_action_list, encode_lenient_action_list
from inband.openflow.layout import narrow_port, widen_port
from inband.openflow.oxm import decode_nxm, encode_nxm
from inband.vocabulary import openflow as c
from inband.vocabulary.openflow_errors import BadMatch, BadRequest

_FLOW_MOD = struct.Struct("!QHHHHIHHH6x")
_PACKET_IN = struct.Struct("!IHBBQH6x")
_FLOW_REMOVED = struct.Struct("!QHBBIIHHQQ")
_SENT_FLAGS = 3  # SEND_FLOW_REM, CHECK_OVERLAP: what 1.0 has


def _decode_flow_mod(body: bytes) -> m.FlowMod:
    need(body, _FLOW_MOD.size, "NXT_FLOW_MOD")
    cookie, word, idle, hard, priority, buffer_id, out_port, flags, length = _FLOW_MOD.unpack_from(body)
    command = flow_mod_command(word & 0xFF)
    match, wanted, cookie_mask, pos = decode_nxm(body, _FLOW_MOD.size, length)
    if cookie_mask and command == c.FlowModCommand.ADD:
        raise MalformedError(BadMatch.BAD_FIELD, "an add cannot look for a cookie")
    return m.FlowMod(
        command,
        match,
        openflow_priority(priority),
        decode_action_list(body, pos, len(body)),
        table_id=word >> 8,
        cookie=wanted if cookie_mask else cookie,
        cookie_mask=cookie_mask,
        idle_timeout_s=idle,
        hard_timeout_s=hard,
        flags=flow_mod_flags(flags, command, idle | hard),
        buffer_id=buffer_id,
        out_port=widen_port(out_port),
        nicira=True,
    )


def _encode_flow_mod(message: m.FlowMod) -> bytes:
    match, length = encode_nxm(message.match, message.cookie, message.cookie_mask)
    head = _FLOW_MOD.pack(
        message.cookie,
        message.table_id << 8 | message.command,
        message.idle_timeout_s,
        message.hard_timeout_s,
        message.priority,
        message.buffer_id,
        narrow_port(message.out_port),
        message.flags & _SENT_FLAGS,
        length,
    )
    return head + match + encode_action_list(message.instructions)


def _decode_packet_in(body: bytes) -> m.PacketIn:
    need(body, _PACKET_IN.size, "NXT_PACKET_IN")
    buffer_id, total_len, reason, table_id, cookie, length = _PACKET_IN.unpack_from(body)
    match, _, _, pos = decode_nxm(body, _PACKET_IN.size, length)
    need(body, pos + 2, "NXT_PACKET_IN")
    data = body[pos + 2 :]
    return m.PacketIn(packet_in_reason(reason), match, data, total_len, table_id, cookie, buffer_id, nicira=True)


def _encode_packet_in(message: m.PacketIn) -> bytes:
    match, length = encode_nxm(message.match)
    head = _PACKET_IN.pack(
        message.buffer_id, message.total_len, message.reason, message.table_id, message.cookie, length
    )
    return head + match + b"\0\0" + message.data


def _decode_flow_removed(body: bytes) -> m.FlowRemoved:
    need(body, _FLOW_REMOVED.size, "NXT_FLOW_REMOVED")
    cookie, priority, reason, table, sec, nsec, idle, length, packets, count = _FLOW_REMOVED.unpack_from(body)
    match, _, _, pos = decode_nxm(body, _FLOW_REMOVED.size, length)
    refuse_rest(body, pos, "NXT_FLOW_REMOVED")
    try:
        why = c.FlowRemovedReason(reason)
    except ValueError:
        raise MalformedError(BadRequest.BAD_TYPE, f"{reason} is no reason for NXT_FLOW_REMOVED") from None
    # The table is written plus one; 0 is what a switch writes that does not say it.
    return m.FlowRemoved(
        match,
        OpenFlowPriority(priority),
        why,
        cookie,
        max(0, table - 1),
        sec,
        nsec,
        idle,
        packets=packets,
        bytes=count,
        nicira=True,
    )


def _encode_flow_removed(message: m.FlowRemoved) -> bytes:
    match, length = encode_nxm(message.match)
    head = _FLOW_REMOVED.pack(
        message.cookie,
        message.priority,
        message.reason,
        message.table_id + 1,
        message.duration_sec,
        message.duration_nsec,
        message.idle_timeout_s,
        length,
        message.packets,
        message.bytes,
    )
    return head + match


def _role(number: int, cls: type[m.RoleRequest] | type[m.RoleReply]) -> Row:
    return fixed(number, cls, "role:nx_role")


NICIRA_ROWS: tuple[Row, ...] = (
    fixed(12, m.NxSetFlowFormat, "format:I"),
    Row(13, m.FlowMod, _decode_flow_mod, _encode_flow_mod),
    Row(14, m.FlowRemoved, _decode_flow_removed, _encode_flow_removed),
    fixed(15, m.NxFlowModTableId, "enabled:bool 7x"),
    fixed(16, m.NxSetPacketInFormat, "format:I"),
    Row(17, m.PacketIn, _decode_packet_in, _encode_packet_in),
    fixed(20, m.NxSetControllerId, "6x controller_id:H"),
)
"""Messages that travel in Nicira's form in both versions, by subtype."""

NICIRA_ROWS_10: tuple[Row, ...] = (
    *NICIRA_ROWS,
    _role(10, m.RoleRequest),
    _role(11, m.RoleReply),
    asynchronous(19, m.SetAsync),
)
"""The same with what only 1.0 lacks messages of its own for."""


# Statistics ---------------------------------------------------------------------------------------------------------

_REQUEST = struct.Struct("!HHB3x")
_FLOW = struct.Struct("!HBxIIHHHHHHQQQ")

_Request = type[mp.FlowStatsRequest] | type[mp.AggregateRequest]


def decode_request(cls: _Request, body: bytes) -> mp.FlowStatsRequest | mp.AggregateRequest:
    """Read NXST_FLOW's or NXST_AGGREGATE's request, after vendor, subtype and padding."""
    need(body, _REQUEST.size, "NXST request")
    out_port, length, table_id = _REQUEST.unpack_from(body)
    match, cookie, cookie_mask, pos = decode_nxm(body, _REQUEST.size, length)
    refuse_rest(body, pos, "NXST request")
    return cls(table_id, widen_port(out_port), c.ANY_GROUP, cookie, cookie_mask, match, nicira=True)


def encode_request(message: mp.FlowStatsRequest | mp.AggregateRequest) -> bytes:
    """Write the same."""
    match, length = encode_nxm(message.match, message.cookie, message.cookie_mask)
    return _REQUEST.pack(narrow_port(message.out_port), length, message.table_id) + match


def decode_flow(data: bytes, pos: int) -> tuple[mp.FlowStats, int]:
    """Read one entry of NXST_FLOW's reply: the flow and where the next starts."""
    need(data[pos:], _FLOW.size, "NXST_FLOW entry")
    head = _FLOW.unpack_from(data, pos)
    length, table, sec, nsec, priority, idle, hard, match_len, _, _, cookie, packets, count = head
    end = pos + length
    if length < _FLOW.size or end > len(data):
        raise MalformedError(BadRequest.BAD_LEN, f"an NXST_FLOW entry of {length} bytes")
    match, _, _, start = decode_nxm(data[:end], pos + _FLOW.size, match_len)
    flow = mp.FlowStats(
        table,
        match,
        OpenFlowPriority(priority),
        decode_action_list(data, start, end),
        cookie,
        sec,
        nsec,
        idle,
        hard,
        packets=packets,
        bytes=count,
    )
    return flow, end


def write_flow(flow: mp.FlowStats | Flow, seconds: int, nanoseconds: int) -> bytes:
    """Write one entry of NXST_FLOW's reply; with the flow's age. Raises UsageError for one that fits no message."""
    match, match_len = encode_nxm(flow.match)
    rest = match + encode_lenient_action_list(flow.instructions)
    size = entry_size(_FLOW.size + len(rest))
    timeouts = flow.idle_timeout_s, flow.hard_timeout_s
    # idle_age and hard_age are only given to those who asked for them (NXT_FLOW_AGE, which is not here).
    head = _FLOW.pack(
        size,
        flow.table_id,
        seconds,
        nanoseconds,
        flow.priority,
        *timeouts,
        match_len,
        0,
        0,
        flow.cookie,
        flow.packets,
        flow.bytes,
    )
    return head + rest
