"""Bytes to messages and back: the entry points of the OpenFlow codec.

``split`` frames a stream, ``decode`` reads one message, ``encode`` and ``encode_segments`` write one. All are pure
and stateless; the one thing that a session must remember for them is whether its peer switched on Nicira's
flow-mod-table-id (``table_id_in_command``).

What a peer sends raises DecodeError and nothing else, and that error has all that its ERROR reply needs. Only a
header whose length cannot be true makes a stream unusable: FramingError.

The tables of messages are in ``bodies``, ``bodies10``, ``nicira`` and ``stats``; they are turned into dictionaries
here, when this module is imported.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from inband.errors import UsageError, WireError
from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow.bodies import BODIES_13, Row
from inband.openflow.bodies10 import BODIES_10
from inband.openflow.constants import NICIRA
from inband.openflow.errors import ERROR_DATA, DecodeError, MalformedError
from inband.openflow.nicira import NICIRA_ROWS, NICIRA_ROWS_10
from inband.openflow.stats import EXPERIMENTER, NICIRA_STATS, STATS_10, STATS_13, Stat
from inband.vocabulary.openflow import ALL_TABLES, OFP10, OFP13, VERSIONS, FlowModCommand
from inband.vocabulary.openflow_errors import BadRequest, FlowModFailed

HEADER = struct.Struct("!BBHI")
MAX_LENGTH = 0xFFFF
_HELLO = 0
_VENDOR = 4
_MORE = 1  # OFPMPF_REQ_MORE, OFPMPF_REPLY_MORE

_BODIES = {OFP10: BODIES_10, OFP13: BODIES_13}
_NICIRA = {OFP10: NICIRA_ROWS_10, OFP13: NICIRA_ROWS}
_STATS = {OFP10: STATS_10, OFP13: STATS_13}
_MULTIPART = {OFP10: 16, OFP13: 18}  # the request; the reply follows
_MULTIPART_HEAD = {OFP10: struct.Struct("!HH"), OFP13: struct.Struct("!HH4x")}

_BY_NUMBER: dict[tuple[int, int], Row] = {(v, row.number): row for v, rows in _BODIES.items() for row in rows}
_BY_CLASS: dict[tuple[int, type], Row] = {(v, row.cls): row for v, rows in _BODIES.items() for row in rows}
_NICIRA_BY_NUMBER = {(v, row.number): row for v, rows in _NICIRA.items() for row in rows}
_NICIRA_BY_CLASS = {(v, row.cls): row for v, rows in _NICIRA.items() for row in rows}
_STAT_BY_NUMBER = {(v, stat.number): stat for v, stats in _STATS.items() for stat in stats}
_STAT_BY_CLASS: dict[tuple[int, type], Stat] = {
    (v, cls): stat for v, stats in _STATS.items() for stat in stats for cls in (stat.request, stat.reply)
}
_NXST_BY_NUMBER = {stat.number: stat for stat in NICIRA_STATS}
_NXST_BY_CLASS: dict[type, Stat] = {cls: stat for stat in NICIRA_STATS for cls in (stat.request, stat.reply)}


class FramingError(WireError):
    """A stream's next header cannot be true, so nothing after it can be found: the connection is of no more use."""


def split(buffer: bytearray, limit: int | None = None, limit_bytes: int | None = None) -> list[bytes]:
    """Take whole messages from the front of ``buffer``, at most ``limit`` of them, and leave the rest in it.

    After ``limit_bytes`` bytes no further one is taken.

    Raises FramingError when the first message claims less than its header's 8 bytes; messages before such a one are
    returned first, and the next call raises.
    """
    ends = [0]
    pos, size = 0, len(buffer)
    most = size if limit_bytes is None else limit_bytes
    while size - pos >= HEADER.size and pos < most and (limit is None or len(ends) <= limit):
        length = buffer[pos + 2] << 8 | buffer[pos + 3]
        if length < HEADER.size:
            if pos:
                break
            raise FramingError(f"a message claims {length} bytes; its header alone has {HEADER.size}")
        if size - pos < length:
            break
        pos += length
        ends.append(pos)
    whole = bytes(buffer[:pos])
    del buffer[:pos]
    return [whole[start:end] for start, end in pairwise(ends)]


def decode(data: bytes, *, table_id_in_command: bool = False) -> m.Envelope:
    """Read exactly one message.

    ``table_id_in_command``: the peer has sent NxFlowModTableId(True), so 1.0's FLOW_MODs name a table. Raises
    DecodeError, which has the ERROR to send: for a HELLO of any version never, for other messages of an unknown
    version OFPBRC_BAD_VERSION.
    """
    if len(data) < HEADER.size:
        raise DecodeError(0, 0, BadRequest.BAD_LEN, data, f"{len(data)} bytes are less than a header")
    version, number, length, xid = HEADER.unpack_from(data)
    try:
        if length != len(data):
            raise MalformedError(BadRequest.BAD_LEN, f"the header says {length} bytes, {len(data)} are there")
        row = _BY_NUMBER.get((version, number))
        message = _decode_other(version, number, data[8:]) if row is None else row.decode(data[8:])
        if version == OFP10 and isinstance(message, m.FlowMod):
            message = _apply_table_id(message, table_id_in_command)
        return m.Envelope(version, xid, message, data[:ERROR_DATA])
    except MalformedError as error:
        raise DecodeError(version, xid, error.code, data, str(error)) from None


def _decode_other(version: int, number: int, body: bytes) -> m.Message:
    """What is in no table: HELLO of another version, vendors' messages, multipart, and what is not known."""
    if number == _HELLO:
        return _BY_NUMBER[OFP13, _HELLO].decode(body)
    if version not in VERSIONS:
        raise MalformedError(BadRequest.BAD_VERSION, f"OpenFlow version {version} is not spoken here")
    if number == _VENDOR:
        return _decode_vendor(version, body)
    if number - _MULTIPART[version] in (0, 1):
        return _decode_multipart(version, body, is_reply=number != _MULTIPART[version])
    raise MalformedError(BadRequest.BAD_TYPE, f"message type {number} is not known in version {version}")


def _apply_table_id(message: m.FlowMod, named: bool) -> m.FlowMod:
    """What 1.0's FLOW_MOD means by its table: nothing, unless the peer said that it means it."""
    if named:
        return message
    if message.table_id:
        raise MalformedError(FlowModFailed.BAD_COMMAND, f"a command with {message.table_id} in its upper byte")
    if message.command >= FlowModCommand.DELETE:
        return replace(message, table_id=ALL_TABLES)
    return message


def _vendor_words(body: bytes) -> tuple[int, int | None]:
    if len(body) < 4:
        raise MalformedError(BadRequest.BAD_LEN, f"a vendor message with {len(body)} bytes names no vendor")
    return int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big") if len(body) >= 8 else None


def _decode_vendor(version: int, body: bytes) -> m.Message:
    vendor, subtype = _vendor_words(body)
    row = _NICIRA_BY_NUMBER.get((version, subtype)) if vendor == NICIRA and subtype is not None else None
    if row is not None:
        return row.decode(body[8:])
    return m.Experimenter(vendor, subtype, body[4:] if subtype is None else body[8:])


def _decode_multipart(version: int, body: bytes, *, is_reply: bool) -> m.Message:
    head = _MULTIPART_HEAD[version]
    if len(body) < head.size:
        raise MalformedError(BadRequest.BAD_LEN, f"a multipart message of {len(body)} bytes")
    number, flags = head.unpack_from(body)
    rest, more = body[head.size :], bool(flags & _MORE)
    nicira: dict[str, Any] = {}
    stat = _STAT_BY_NUMBER.get((version, number))
    if number == EXPERIMENTER:
        vendor, subtype = _vendor_words(rest)
        stat = _NXST_BY_NUMBER.get(subtype) if version == OFP10 and vendor == NICIRA and subtype is not None else None
        if stat is None or len(rest) < 12:
            cls = mp.ExperimenterMultipartReply if is_reply else mp.ExperimenterMultipartRequest
            return cls(vendor, subtype, rest[4:] if subtype is None else rest[8:], more)
        rest, nicira = rest[12:], {"nicira": True}
    if stat is None:
        raise MalformedError(BadRequest.BAD_MULTIPART, f"multipart type {number} is not known in version {version}")
    if is_reply:
        reply: m.Message = stat.reply(**stat.read_reply(rest), more=more, **nicira)
        return reply
    request: m.Message = stat.read_request(rest)
    if isinstance(request, mp.TableFeaturesRequest):
        return replace(request, more=more)
    if more:
        raise MalformedError(BadRequest.MULTIPART_BUFFER_OVERFLOW, "a request of this type has one part")
    return request


def encode(envelope: m.Envelope, *, table_id_in_command: bool = False) -> bytes:
    """Write one message. Raises UsageError for one that its version has no form for, or that is too long."""
    segments = encode_segments(envelope, table_id_in_command=table_id_in_command)
    if len(segments) != 1:
        raise UsageError(f"{type(envelope.message).__name__} does not fit one message: use encode_segments")
    return segments[0]


def encode_segments(envelope: m.Envelope, *, table_id_in_command: bool = False) -> list[bytes]:
    """Write one message, a list in as many as it needs: OFPMPF_REPLY_MORE is set on all but the last.

    Raises UsageError as ``encode`` does. Every segment is at most 65535 bytes long.
    """
    version, message = envelope.version, envelope.message
    if version == OFP10 and isinstance(message, m.FlowMod) and not table_id_in_command:
        message = replace(message, table_id=0)
    row = _BY_CLASS.get((version, type(message)))
    if row is not None and not getattr(message, "nicira", False):
        return [_frame(envelope, row.number, row.encode(message))]
    if isinstance(message, m.Hello):
        return [_frame(envelope, _HELLO, _BY_CLASS[OFP13, m.Hello].encode(message))]
    if isinstance(message, m.Experimenter):
        return [_frame(envelope, _VENDOR, _vendor_head(message) + message.data)]
    vendor_row = _NICIRA_BY_CLASS.get((version, type(message)))
    if vendor_row is not None:
        head = struct.pack("!II", NICIRA, vendor_row.number)
        return [_frame(envelope, _VENDOR, head + vendor_row.encode(message))]
    return _encode_multipart(envelope)


def _frame(envelope: m.Envelope, number: int, body: bytes) -> bytes:
    length = HEADER.size + len(body)
    if length > MAX_LENGTH:
        raise UsageError(f"{type(envelope.message).__name__} of {length} bytes does not fit one message")
    return HEADER.pack(envelope.version, number, length, envelope.xid) + body


_Vendor = m.Experimenter | mp.ExperimenterMultipartRequest | mp.ExperimenterMultipartReply


def _vendor_head(message: _Vendor) -> bytes:
    kind = b"" if message.type is None else message.type.to_bytes(4, "big")
    return message.experimenter.to_bytes(4, "big") + kind


def _encode_multipart(envelope: m.Envelope) -> list[bytes]:
    version, message = envelope.version, envelope.message
    if version not in VERSIONS:
        raise UsageError(f"OpenFlow version {version} is not spoken here")
    more = getattr(message, "more", False)
    if isinstance(message, mp.ExperimenterMultipartRequest | mp.ExperimenterMultipartReply):
        is_reply = isinstance(message, mp.ExperimenterMultipartReply)
        pieces = [_vendor_head(message) + message.data]
        return _segments(envelope, EXPERIMENTER, is_reply, pieces, b"", more)
    prefix = b""
    if getattr(message, "nicira", False) and version == OFP10:
        stat, number = _NXST_BY_CLASS.get(type(message)), EXPERIMENTER
        prefix = struct.pack("!II4x", NICIRA, stat.number if stat else 0)
    else:
        stat = _STAT_BY_CLASS.get((version, type(message)))
        number = stat.number if stat else 0
    if stat is None:
        raise UsageError(f"{type(message).__name__} has no form in OpenFlow version {version}")
    if isinstance(message, stat.reply):
        return _segments(envelope, number, True, stat.write_reply(message), prefix, more)
    return _segments(envelope, number, False, [stat.write_request(message)], prefix, more)


def _segments(
    envelope: m.Envelope, number: int, is_reply: bool, pieces: Iterable[bytes], prefix: bytes, more: bool
) -> list[bytes]:
    """Pack pieces into messages, none of which is cut."""
    version = envelope.version
    head = _MULTIPART_HEAD[version]
    room = MAX_LENGTH - HEADER.size - head.size - len(prefix)
    bodies, body, size = list[bytes](), list[bytes](), 0
    for piece in pieces:
        if body and size + len(piece) > room:
            bodies.append(b"".join(body))
            body, size = [], 0
        body.append(piece)
        size += len(piece)
    bodies.append(b"".join(body))
    last = len(bodies) - 1
    return [
        _frame(
            envelope,
            _MULTIPART[version] + is_reply,
            head.pack(number, _MORE if more or index < last else 0) + prefix + part,
        )
        for index, part in enumerate(bodies)
    ]


__all__ = ["DecodeError", "FramingError", "decode", "encode", "encode_segments", "split"]
