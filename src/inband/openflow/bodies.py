"""Message bodies that both versions have in the same or nearly the same form, and 1.3's; one table per version.

A table row says a message's number, its class, and the two functions between its body (what follows the header) and
the value. FLOW_MOD, PACKET_IN and PACKET_OUT, which come per flow and per packet, are written out by hand with
precompiled structs; the rest are Layouts. Sections are OpenFlow 1.3.5's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from inband.errors import UsageError
from inband.flow.actions import PacketInReason
from inband.flow.flow import FlowFlags
from inband.flow.match import Match
from inband.flow.ports import PortNo, port_number
from inband.flow.priority import openflow_priority
from inband.openflow import messages as m
from inband.openflow.actions import decode_actions, encode_actions
from inband.openflow.constants import ONF
from inband.openflow.errors import MalformedError
from inband.openflow.instructions import decode_instructions, encode_instructions
from inband.openflow.layout import Layout
from inband.openflow.lists import QueueForm, decode_bands, decode_buckets, encode_bands, encode_buckets, queue_config
from inband.openflow.oxm import decode_match, encode_match
from inband.openflow.parts import AsyncMasks, PortDescription, QueueDescription
from inband.openflow.shapes import Shapes
from inband.vocabulary import openflow as c
from inband.vocabulary.openflow_errors import BadRequest, ErrorType, FlowModFailed, OnfError

Decode = Callable[[bytes], m.Message]
Encode = Callable[[Any], bytes]


class Row(NamedTuple):
    """One message of one version."""

    number: int
    cls: type
    decode: Decode
    encode: Encode


def fixed(number: int, cls: type, spec: str = "") -> Row:
    """A message that is one Layout, of exactly its size."""
    layout: Layout[Any] = Layout(cls, spec)
    return Row(number, cls, layout.read_whole, layout.write)


def need(data: bytes, size: int, what: str) -> None:
    """Refuse a body that ends before its fixed part does. Raises MalformedError: OFPBRC_BAD_LEN."""
    if len(data) < size:
        raise MalformedError(BadRequest.BAD_LEN, f"{what} has {len(data)} bytes, at least {size} are needed")


# What a message has room for behind the longest head of a reply, which is that of Nicira's statistics.
_LONGEST_ENTRY = 0xFFFF - 24


def entry_size(size: int) -> int:
    """The length of an entry of a list. Raises UsageError for one that fits no message."""
    if size > _LONGEST_ENTRY:
        raise UsageError(f"an entry of {size} bytes fits no message")
    return size


def _echo(number: int, cls: type[m.EchoRequest] | type[m.EchoReply]) -> Row:
    return Row(number, cls, cls, lambda message: message.data)


# HELLO (7.5.1) ------------------------------------------------------------------------------------------------------

_VERSION_BITMAP = 1


def decode_hello(body: bytes) -> m.Hello:
    """Read a HELLO's elements; what is not understood is ignored, as the specification demands."""
    versions: frozenset[int] | None = None
    pos = 0
    while len(body) - pos >= 4:
        kind, length = struct.unpack_from("!HH", body, pos)
        if length < 4 or pos + length > len(body):
            break
        if kind == _VERSION_BITMAP and versions is None:
            words = body[pos + 4 : pos + length - length % 4]
            bits = int.from_bytes(b"".join(words[i : i + 4] for i in reversed(range(0, len(words), 4))), "big")
            versions = frozenset(version for version in range(bits.bit_length()) if bits >> version & 1)
        pos += (length + 7) // 8 * 8
    return m.Hello(versions)


def encode_hello(message: m.Hello) -> bytes:
    """Write a HELLO, with a bitmap if versions are given."""
    if message.versions is None:
        return b""
    bits = sum(1 << version for version in message.versions)
    words = [bits >> shift & 0xFFFFFFFF for shift in range(0, max(1, bits.bit_length()), 32)]
    body = struct.pack(f"!HH{len(words)}I", _VERSION_BITMAP, 4 + 4 * len(words), *words)
    return body + bytes(-len(body) % 8)


# ERROR (7.4.4) and experimenters (7.5.4) ----------------------------------------------------------------------------

_ONF = ONF.to_bytes(4, "big")
_ONF_CODES = frozenset(map(int, OnfError))


def _decode_error(body: bytes) -> m.Error:
    need(body, 4, "ERROR")
    kind, code = struct.unpack_from("!HH", body)
    is_onf = kind == ErrorType.EXPERIMENTER and code in _ONF_CODES and body[4:8] == _ONF
    return m.Error(kind, code, body[8:] if is_onf else body[4:])


def _encode_error(message: m.Error) -> bytes:
    vendor = _ONF if message.type == ErrorType.EXPERIMENTER and message.code in _ONF_CODES else b""
    return struct.pack("!HH", message.type, message.code) + vendor + message.data


# FLOW_MOD (7.3.4.1) -------------------------------------------------------------------------------------------------

_FLOW_MOD = struct.Struct("!QQBBHHHIIIHH")
# Making a flag costs a third of a microsecond, and there are few.
_FLAGS = tuple(FlowFlags(bits) for bits in range(0x20))
COMMANDS = {int(command): command for command in c.FlowModCommand}


def flow_mod_command(number: int) -> c.FlowModCommand:
    """The command of this number. Raises MalformedError: OFPFMFC_BAD_COMMAND."""
    command = COMMANDS.get(number)
    if command is None:
        raise MalformedError(FlowModFailed.BAD_COMMAND, f"{number} is no flow mod command")
    return command


# A FLOW_MOD's head with the type and length of its match, and the numbers in it that may differ within a shape: cookie,
# table, timeouts, priority. Nothing is wrong with any of these.
_HEAD = _FLOW_MOD.size + 4
_NUMBERS = struct.Struct("!Q8xBxHHH")
_FREE = int.from_bytes(_NUMBERS.pack((1 << 64) - 1, 0xFF, 0xFFFF, 0xFFFF, 0xFFFF).ljust(_HEAD, b"\0"), "big")
_shapes = Shapes[m.FlowMod](_HEAD, _FREE)


def _decode_flow_mod(body: bytes) -> m.FlowMod:
    """Read a FLOW_MOD like one that came before by its shape, any other one by ``decode_flow_mod_field_by_field``."""
    match_end = _FLOW_MOD.size + (body[_HEAD - 2] << 8 | body[_HEAD - 1]) if len(body) >= _HEAD else 0
    end = match_end + 7 & ~7
    found = _shapes.read(body[:match_end])
    if found is None or end > len(body):
        message = decode_flow_mod_field_by_field(body)
        match = message.match
        _shapes.learn(body[:match_end], match.value, match.mask, lambda: replace(message, instructions=()))
        return message
    value, variant = found
    like = variant.template
    cookie, table_id, idle_timeout_s, hard_timeout_s, priority = _NUMBERS.unpack_from(body)
    return m.FlowMod(
        like.command,
        Match(value, variant.mask),
        openflow_priority(priority),
        decode_instructions(body, end, len(body)),
        table_id,
        cookie,
        like.cookie_mask,
        idle_timeout_s,
        hard_timeout_s,
        like.flags,
        like.buffer_id,
        like.out_port,
        like.out_group,
        like.importance,
    )


def decode_flow_mod_field_by_field(body: bytes) -> m.FlowMod:
    """Read any FLOW_MOD. Raises MalformedError."""
    need(body, _FLOW_MOD.size, "FLOW_MOD")
    (cookie, cookie_mask, table, command, idle, hard, priority, buffer_id, out_port, out_group, flags, importance) = (
        _FLOW_MOD.unpack_from(body)
    )
    if flags >= len(_FLAGS):
        raise MalformedError(FlowModFailed.BAD_FLAGS, f"{flags:#x} has flags that are not known")
    match, pos = decode_match(body, _FLOW_MOD.size)
    instructions = decode_instructions(body, pos, len(body))
    return m.FlowMod(
        flow_mod_command(command),
        match,
        openflow_priority(priority),
        instructions,
        table,
        cookie,
        cookie_mask,
        idle,
        hard,
        _FLAGS[flags],
        buffer_id,
        port_number(out_port),
        out_group,
        importance,
    )


def _encode_flow_mod(message: m.FlowMod) -> bytes:
    head = _FLOW_MOD.pack(
        message.cookie,
        message.cookie_mask,
        message.table_id,
        message.command,
        message.idle_timeout_s,
        message.hard_timeout_s,
        message.priority,
        message.buffer_id,
        message.out_port,
        message.out_group,
        message.flags,
        message.importance,
    )
    return head + encode_match(message.match) + encode_instructions(message.instructions)


# PACKET_IN (7.4.1), PACKET_OUT (7.3.7), FLOW_REMOVED (7.4.2) --------------------------------------------------------

_PACKET_IN = struct.Struct("!IHBBQ")
_PACKET_OUT = struct.Struct("!IIH6x")


def packet_in_reason(number: int) -> PacketInReason:
    """The reason of this number. Raises MalformedError: there is no error for a reply, so OFPBRC_BAD_TYPE."""
    try:
        return PacketInReason(number)
    except ValueError:
        raise MalformedError(BadRequest.BAD_TYPE, f"{number} is no reason for a PACKET_IN") from None


def _decode_packet_in(body: bytes) -> m.PacketIn:
    need(body, _PACKET_IN.size, "PACKET_IN")
    buffer_id, total_len, reason, table_id, cookie = _PACKET_IN.unpack_from(body)
    match, pos = decode_match(body, _PACKET_IN.size)
    need(body, pos + 2, "PACKET_IN")
    return m.PacketIn(packet_in_reason(reason), match, body[pos + 2 :], total_len, table_id, cookie, buffer_id)


def _encode_packet_in(message: m.PacketIn) -> bytes:
    head = _PACKET_IN.pack(message.buffer_id, message.total_len, message.reason, message.table_id, message.cookie)
    return head + encode_match(message.match) + b"\0\0" + message.data


def _decode_packet_out(body: bytes) -> m.PacketOut:
    need(body, _PACKET_OUT.size, "PACKET_OUT")
    buffer_id, in_port, length = _PACKET_OUT.unpack_from(body)
    end = _PACKET_OUT.size + length
    need(body, end, "PACKET_OUT")
    return m.PacketOut(PortNo(in_port), decode_actions(body, _PACKET_OUT.size, end, c.OFP13), body[end:], buffer_id)


def _encode_packet_out(message: m.PacketOut) -> bytes:
    actions = encode_actions(message.actions, c.OFP13)
    return _PACKET_OUT.pack(message.buffer_id, message.in_port, len(actions)) + actions + message.data


_FLOW_REMOVED: Layout[m.FlowRemoved] = Layout(
    m.FlowRemoved,
    "cookie:Q priority:priority reason:removed_reason table_id:B duration_sec:I duration_nsec:I "
    "idle_timeout_s:H hard_timeout_s:H packets:Q bytes:Q",
)


def _decode_flow_removed(body: bytes) -> m.FlowRemoved:
    fields = _FLOW_REMOVED.fields(body)
    match, pos = decode_match(body, _FLOW_REMOVED.size)
    refuse_rest(body, pos, "FLOW_REMOVED")
    return m.FlowRemoved(match=match, **fields)


def refuse_rest(body: bytes, pos: int, what: str) -> None:
    """Refuse bytes after the end. Raises MalformedError: OFPBRC_BAD_LEN."""
    if pos != len(body):
        raise MalformedError(BadRequest.BAD_LEN, f"{what} has {len(body) - pos} bytes too many")


def _encode_flow_removed(message: m.FlowRemoved) -> bytes:
    return _FLOW_REMOVED.write(message) + encode_match(message.match)


# Ports (7.4.3), groups (7.3.4.2), meters (7.3.4.4), masks (7.3.10) --------------------------------------------------

PORT: Layout[PortDescription] = Layout(
    PortDescription,
    "port:port 4x mac:mac 2x name:s16 config:port_config state:port_state current:features advertised:features "
    "supported:features peer:features current_speed_kbps:I max_speed_kbps:I",
)
PORT_REASON = Layout(m.PortStatus, "reason:port_reason 7x")


def port_status(number: int, port: Layout[PortDescription]) -> Row:
    """PORT_STATUS with this version's port."""

    def decode(body: bytes) -> m.PortStatus:
        fields = PORT_REASON.fields(body)
        return m.PortStatus(port=port.read_whole(body[PORT_REASON.size :]), **fields)

    def encode(message: m.PortStatus) -> bytes:
        return PORT_REASON.write(message) + port.write(message.port)

    return Row(number, m.PortStatus, decode, encode)


_GROUP_MOD = Layout(m.GroupMod, "command:group_command type:group_type x group_id:I")


def _decode_group_mod(body: bytes) -> m.GroupMod:
    return m.GroupMod(**_GROUP_MOD.fields(body), buckets=decode_buckets(body, _GROUP_MOD.size, len(body)))


def _encode_group_mod(message: m.GroupMod) -> bytes:
    return _GROUP_MOD.write(message) + encode_buckets(message.buckets)


_METER_MOD = Layout(m.MeterMod, "command:meter_command flags:meter_flags meter_id:I")


def _decode_meter_mod(body: bytes) -> m.MeterMod:
    return m.MeterMod(**_METER_MOD.fields(body), bands=decode_bands(body, _METER_MOD.size, len(body)))


def _encode_meter_mod(message: m.MeterMod) -> bytes:
    return _METER_MOD.write(message) + encode_bands(message.bands)


_ASYNC: Layout[AsyncMasks] = Layout(
    AsyncMasks,
    "packet_in:I packet_in_slave:I port_status:I port_status_slave:I flow_removed:I flow_removed_slave:I",
)


def asynchronous(number: int, cls: type[m.GetAsyncReply] | type[m.SetAsync]) -> Row:
    """A message that is the six masks of 7.3.10."""
    return Row(number, cls, lambda body: cls(_ASYNC.read_whole(body)), lambda message: _ASYNC.write(message.masks))


def shared_rows(barrier: int) -> tuple[Row, ...]:
    """What 1.0 and 1.3 have in the same form; ``barrier`` is the number of BARRIER_REQUEST."""
    return (
        Row(0, m.Hello, decode_hello, encode_hello),
        _echo(2, m.EchoRequest),
        _echo(3, m.EchoReply),
        fixed(5, m.FeaturesRequest),
        fixed(7, m.GetConfigRequest),
        fixed(8, m.GetConfigReply, "flags:config_flags miss_send_len:H"),
        fixed(9, m.SetConfig, "flags:config_flags miss_send_len:H"),
        fixed(barrier, m.BarrierRequest),
        fixed(barrier + 1, m.BarrierReply),
    )


_QUEUES = QueueForm(
    Layout(m.QueueGetConfigReply, "port:port 4x"), Layout(QueueDescription, "queue_id:I port:port length:H 6x")
)

BODIES_13: tuple[Row, ...] = (
    *shared_rows(20),
    Row(1, m.Error, _decode_error, _encode_error),
    fixed(6, m.FeaturesReply, "datapath_id:Q n_buffers:I n_tables:B auxiliary_id:B 2x capabilities:capabilities 4x"),
    Row(10, m.PacketIn, _decode_packet_in, _encode_packet_in),
    Row(11, m.FlowRemoved, _decode_flow_removed, _encode_flow_removed),
    port_status(12, PORT),
    Row(13, m.PacketOut, _decode_packet_out, _encode_packet_out),
    Row(14, m.FlowMod, _decode_flow_mod, _encode_flow_mod),
    Row(15, m.GroupMod, _decode_group_mod, _encode_group_mod),
    fixed(16, m.PortMod, "port:port 4x mac:mac 2x config:wanted_config mask:wanted_config advertise:features 4x"),
    fixed(17, m.TableMod, "table_id:B 3x config:I"),
    fixed(22, m.QueueGetConfigRequest, "port:port 4x"),
    Row(23, m.QueueGetConfigReply, *queue_config(_QUEUES)),
    fixed(24, m.RoleRequest, "role:role 4x generation_id:Q"),
    fixed(25, m.RoleReply, "role:role 4x generation_id:Q"),
    fixed(26, m.GetAsyncRequest),
    asynchronous(27, m.GetAsyncReply),
    asynchronous(28, m.SetAsync),
    Row(29, m.MeterMod, _decode_meter_mod, _encode_meter_mod),
)
