"""OpenFlow 1.0's message bodies where they differ from 1.3's, and the table of them all.

What 1.0 numbers differently becomes 1.3's numbers here: errors, ports, speeds. Sections are OpenFlow 1.0's.
"""

from __future__ import annotations

import struct

from inband.flow.flow import FlowFlags
from inband.flow.match import Match
from inband.flow.priority import OpenFlowPriority, openflow_priority
from inband.openflow import messages as m
from inband.openflow.actions import decode_actions, encode_actions
from inband.openflow.bodies import (
    Row,
    fixed,
    flow_mod_command,
    need,
    packet_in_reason,
    port_status,
    refuse_rest,
    shared_rows,
)
from inband.openflow.constants import NICIRA
from inband.openflow.errors import MalformedError
from inband.openflow.instructions import decode_action_list, encode_action_list
from inband.openflow.layout import Layout, narrow_port, widen_port
from inband.openflow.lists import QueueForm, queue_config
from inband.openflow.match10 import SIZE as MATCH_SIZE
from inband.openflow.match10 import decode_flow_match10, encode_match10
from inband.openflow.parts import PortDescription, QueueDescription
from inband.vocabulary import openflow as c
from inband.vocabulary.openflow_errors import (
    BadAction,
    BadInstruction,
    BadMatch,
    BadRequest,
    ErrorType,
    FlowModFailed,
    RoleRequestFailed,
)

PORT10: Layout[PortDescription] = Layout(
    PortDescription,
    "port:port16 mac:mac name:s16 config:port_config10 state:port_state10 current:features10 advertised:features10 "
    "supported:features10 peer:features10",
)

# Errors (5.4.4) -----------------------------------------------------------------------------------------------------

_Code = tuple[int, int]
_T = ErrorType
# 1.3's (type, code) -> 1.0's, for what both have.
_ERRORS: dict[_Code, _Code] = {
    **{(_T.HELLO_FAILED, code): (0, code) for code in range(2)},
    **{(_T.BAD_REQUEST, code): (1, code) for code in range(9)},
    **{(_T.BAD_ACTION, code): (2, code) for code in range(9)},
    (_T.FLOW_MOD_FAILED, FlowModFailed.TABLE_FULL): (3, 0),
    (_T.FLOW_MOD_FAILED, FlowModFailed.OVERLAP): (3, 1),
    (_T.FLOW_MOD_FAILED, FlowModFailed.EPERM): (3, 2),
    (_T.FLOW_MOD_FAILED, FlowModFailed.BAD_TIMEOUT): (3, 3),
    (_T.FLOW_MOD_FAILED, FlowModFailed.BAD_COMMAND): (3, 4),
    (_T.FLOW_MOD_FAILED, FlowModFailed.UNKNOWN): (3, 5),
    **{(_T.PORT_MOD_FAILED, code): (4, code) for code in range(2)},
    **{(_T.QUEUE_OP_FAILED, code): (5, code) for code in range(3)},
}
_ERRORS_BACK = {old: new for new, old in _ERRORS.items()}
_IS_SLAVE = (_T.BAD_REQUEST, BadRequest.IS_SLAVE)
_EPERM = (1, 5)

# What 1.0 has no number for travels in an error of Nicira's (NXET_VENDOR), with the numbers that Open vSwitch gives it.
_NXET_VENDOR = 0xB0C2
_NX_ERRORS: dict[_Code, _Code] = {
    (_T.BAD_REQUEST, BadRequest.BAD_TABLE_ID): (1, 512),
    (_T.BAD_REQUEST, BadRequest.BAD_PORT): (1, 514),
    (_T.BAD_ACTION, BadAction.MATCH_INCONSISTENT): (1, 522),
    (_T.BAD_ACTION, BadAction.BAD_SET_TYPE): (1, 523),
    (_T.BAD_ACTION, BadAction.BAD_SET_LEN): (1, 524),
    (_T.BAD_ACTION, BadAction.BAD_SET_ARGUMENT): (1, 525),
    (_T.BAD_INSTRUCTION, BadInstruction.UNSUP_INST): (2, 257),
    (_T.BAD_MATCH, BadMatch.BAD_WILDCARDS): (1, 262),
    (_T.BAD_MATCH, BadMatch.BAD_FIELD): (0, 263),
    (_T.BAD_MATCH, BadMatch.BAD_VALUE): (1, 258),
    (_T.BAD_MATCH, BadMatch.BAD_MASK): (1, 259),
    (_T.BAD_MATCH, BadMatch.BAD_PREREQ): (1, 260),
    (_T.BAD_MATCH, BadMatch.DUP_FIELD): (1, 261),
    (_T.FLOW_MOD_FAILED, FlowModFailed.BAD_FLAGS): (3, 258),
    (_T.ROLE_REQUEST_FAILED, RoleRequestFailed.BAD_ROLE): (1, 513),
}
_NX_ERRORS_BACK = {old: new for new, old in _NX_ERRORS.items()}
_UNENCODABLE = (1, 521)  # NXBRC_UNENCODABLE_ERROR: something that 1.0 cannot say
_NX_ERROR = struct.Struct("!HHIHH")


def _decode_error(body: bytes) -> m.Error:
    need(body, 4, "ERROR")
    old = struct.unpack_from("!HH", body)
    if old[0] == _NXET_VENDOR and len(body) >= _NX_ERROR.size:
        _, _, vendor, nx_kind, nx_code = _NX_ERROR.unpack_from(body)
        new = _NX_ERRORS_BACK.get((nx_kind, nx_code)) if vendor == NICIRA else None
        if new is not None:
            return m.Error(int(new[0]), int(new[1]), body[_NX_ERROR.size :])
    kind, code = _ERRORS_BACK.get(old, old)
    return m.Error(int(kind), int(code), body[4:])


def _encode_error(message: m.Error) -> bytes:
    new = (message.type, message.code)
    if new in _ERRORS or new == _IS_SLAVE:
        return struct.pack("!HH", *_ERRORS.get(new, _EPERM)) + message.data
    return _NX_ERROR.pack(_NXET_VENDOR, 0, NICIRA, *_NX_ERRORS.get(new, _UNENCODABLE)) + message.data


# FEATURES_REPLY (5.3.1) ---------------------------------------------------------------------------------------------

_FEATURES: Layout[m.FeaturesReply] = Layout(
    m.FeaturesReply, "datapath_id:Q n_buffers:I n_tables:B 3x capabilities:capabilities actions:I"
)


def _decode_features(body: bytes) -> m.FeaturesReply:
    fields = _FEATURES.fields(body)
    return m.FeaturesReply(ports=PORT10.read_all(body[_FEATURES.size :]), **fields)


def _encode_features(message: m.FeaturesReply) -> bytes:
    return _FEATURES.write(message) + b"".join(map(PORT10.write, message.ports))


# FLOW_MOD (5.3.3) ---------------------------------------------------------------------------------------------------

_FLOW_MOD = struct.Struct("!QHHHHIHH")
_EMERGENCY = 4
# A flow that wildcards nothing is above all others, whatever its priority says (3.4). Open vSwitch shows this one.
_HIGHEST = OpenFlowPriority(0xFFFF)
_FLAGS = 3  # SEND_FLOW_REM, CHECK_OVERLAP; a plain number, because ~ of flags leaves unknown bits out


def flow_mod_flags(flags: int, command: c.FlowModCommand, timeouts_s: int) -> FlowFlags:
    """1.0's flags; an ADD clears counters there. Raises MalformedError for the emergency table, which is not here.

    ``timeouts_s`` is 0 where the flow has no timeout: an emergency flow must have none (5.3.3).
    """
    if flags & _EMERGENCY:
        if timeouts_s:  # 1.0's OFPFMFC_BAD_EMERG_TIMEOUT
            raise MalformedError(FlowModFailed.BAD_TIMEOUT, "an emergency flow with a timeout")
        raise MalformedError(FlowModFailed.TABLE_FULL, "there is no emergency flow table")
    if flags & ~_FLAGS:
        raise MalformedError(FlowModFailed.BAD_FLAGS, f"{flags:#x} has flags that are not known")
    reset = FlowFlags.RESET_COUNTS if command == c.FlowModCommand.ADD else FlowFlags.NONE
    return FlowFlags(flags) | reset


def _decode_flow_mod(body: bytes) -> m.FlowMod:
    pos = MATCH_SIZE + _FLOW_MOD.size
    need(body, pos, "FLOW_MOD")
    cookie, word, idle, hard, priority, buffer_id, out_port, flags = _FLOW_MOD.unpack_from(body, MATCH_SIZE)
    command = flow_mod_command(word & 0xFF)
    match, surplus, is_exact = decode_flow_match10(body, 0)
    return m.FlowMod(
        command,
        match,
        _HIGHEST if is_exact else openflow_priority(priority),
        decode_action_list(body, pos, len(body)),
        table_id=word >> 8,
        cookie=cookie,
        idle_timeout_s=idle,
        hard_timeout_s=hard,
        flags=flow_mod_flags(flags, command, idle | hard),
        buffer_id=buffer_id,
        out_port=widen_port(out_port),
        surplus=surplus,
    )


def _encode_flow_mod(message: m.FlowMod) -> bytes:
    fixed_part = _FLOW_MOD.pack(
        message.cookie,
        message.table_id << 8 | message.command,
        message.idle_timeout_s,
        message.hard_timeout_s,
        message.priority,
        message.buffer_id,
        narrow_port(message.out_port),
        message.flags & _FLAGS,
    )
    return encode_match10(message.match, message.surplus) + fixed_part + encode_action_list(message.instructions)


# PACKET_IN (5.4.1), PACKET_OUT (5.3.6), FLOW_REMOVED (5.4.3) --------------------------------------------------------

_PACKET_IN = struct.Struct("!IHHBx")
_PACKET_OUT = struct.Struct("!IHH")
_FLOW_REMOVED: Layout[m.FlowRemoved] = Layout(
    m.FlowRemoved,
    "cookie:Q priority:priority reason:removed_reason x duration_sec:I duration_nsec:I idle_timeout_s:H 2x "
    "packets:Q bytes:Q",
)


def _decode_packet_in(body: bytes) -> m.PacketIn:
    need(body, _PACKET_IN.size, "PACKET_IN")
    buffer_id, total_len, in_port, reason = _PACKET_IN.unpack_from(body)
    match = Match.of(in_port=widen_port(in_port))
    data = body[_PACKET_IN.size :]
    return m.PacketIn(packet_in_reason(reason), match, data, total_len, 0, c.NO_COOKIE, buffer_id)


def _encode_packet_in(message: m.PacketIn) -> bytes:
    in_port = narrow_port(message.match.get("in_port") or 0)
    # INVALID_TTL is not among 1.0's reasons (5.4.1); Open vSwitch sends it there as well.
    return _PACKET_IN.pack(message.buffer_id, message.total_len, in_port, message.reason) + message.data


def _decode_packet_out(body: bytes) -> m.PacketOut:
    need(body, _PACKET_OUT.size, "PACKET_OUT")
    buffer_id, in_port, length = _PACKET_OUT.unpack_from(body)
    end = _PACKET_OUT.size + length
    need(body, end, "PACKET_OUT")
    actions = decode_actions(body, _PACKET_OUT.size, end, c.OFP10)
    return m.PacketOut(widen_port(in_port), actions, body[end:], buffer_id)


def _encode_packet_out(message: m.PacketOut) -> bytes:
    actions = encode_actions(message.actions, c.OFP10)
    return _PACKET_OUT.pack(message.buffer_id, narrow_port(message.in_port), len(actions)) + actions + message.data


def _decode_flow_removed(body: bytes) -> m.FlowRemoved:
    fields = _FLOW_REMOVED.fields(body, MATCH_SIZE)
    refuse_rest(body, MATCH_SIZE + _FLOW_REMOVED.size, "FLOW_REMOVED")
    match, surplus, _ = decode_flow_match10(body, 0)
    return m.FlowRemoved(match=match, surplus=surplus, **fields)


def _encode_flow_removed(message: m.FlowRemoved) -> bytes:
    return encode_match10(message.match, message.surplus) + _FLOW_REMOVED.write(message)


_QUEUES = QueueForm(Layout(m.QueueGetConfigReply, "port:port16 6x"), Layout(QueueDescription, "queue_id:I length:H 2x"))

BODIES_10: tuple[Row, ...] = (
    *shared_rows(18),
    Row(1, m.Error, _decode_error, _encode_error),
    Row(6, m.FeaturesReply, _decode_features, _encode_features),
    Row(10, m.PacketIn, _decode_packet_in, _encode_packet_in),
    Row(11, m.FlowRemoved, _decode_flow_removed, _encode_flow_removed),
    port_status(12, PORT10),
    Row(13, m.PacketOut, _decode_packet_out, _encode_packet_out),
    Row(14, m.FlowMod, _decode_flow_mod, _encode_flow_mod),
    fixed(15, m.PortMod, "port:port16 mac:mac config:wanted_config10 mask:wanted_config10 advertise:features10 4x"),
    fixed(20, m.QueueGetConfigRequest, "port:port16 2x"),
    Row(21, m.QueueGetConfigReply, *queue_config(_QUEUES)),
)
