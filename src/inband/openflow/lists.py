"""Lists inside messages: a group's buckets, a meter's bands, a port's queues. Sections are OpenFlow 1.3.5's."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from inband.flow.groups import Bucket
from inband.flow.meters import MeterBand
from inband.flow.ports import PortNo
from inband.openflow.actions import decode_actions, encode_actions
from inband.openflow.constants import QueuePropertyType
from inband.openflow.errors import MalformedError
from inband.openflow.layout import Layout
from inband.openflow.messages import QueueGetConfigReply
from inband.openflow.parts import QueueDescription, QueueProperty
from inband.vocabulary import openflow as c
from inband.vocabulary.openflow_errors import BadRequest, GroupModFailed, MeterModFailed

# Groups (7.3.4.2) ---------------------------------------------------------------------------------------------------

_BUCKET = Layout(Bucket, "weight:H watch_port:port watch_group:I 4x")


def decode_buckets(data: bytes, pos: int, end: int) -> tuple[Bucket, ...]:
    """Read the buckets that fill ``data`` from ``pos`` to ``end``.

    Raises MalformedError: OFPGMFC_BAD_BUCKET or OFPBAC_*.
    """
    out = []
    while pos < end:
        length = int.from_bytes(data[pos : pos + 2], "big")
        stop = pos + length
        if length < 16 or length % 8 or stop > end:
            raise MalformedError(GroupModFailed.BAD_BUCKET, f"a bucket of {length} bytes, {end - pos} are left")
        actions = decode_actions(data, pos + 16, stop, c.OFP13)
        out.append(_BUCKET.read(data, pos + 2, actions=actions))
        pos = stop
    return tuple(out)


def encode_buckets(buckets: tuple[Bucket, ...]) -> bytes:
    """Write buckets."""
    out = []
    for bucket in buckets:
        actions = encode_actions(bucket.actions, c.OFP13)
        out.append(struct.pack("!H", 16 + len(actions)) + _BUCKET.write(bucket) + actions)
    return b"".join(out)


# Meters (7.3.4.4) ----------------------------------------------------------------------------------------------------

_BANDS: dict[int, Layout[MeterBand]] = {
    c.MeterBandType.DROP: Layout(MeterBand, "type:band_type 2x rate:I burst_size:I 4x"),
    c.MeterBandType.DSCP_REMARK: Layout(MeterBand, "type:band_type 2x rate:I burst_size:I prec_level:B 3x"),
    c.MeterBandType.EXPERIMENTER: Layout(MeterBand, "type:band_type 2x rate:I burst_size:I experimenter:I"),
}
_BAND_SIZE = 16


def decode_bands(data: bytes, pos: int, end: int) -> tuple[MeterBand, ...]:
    """Read the bands that fill ``data`` from ``pos`` to ``end``.

    Raises MalformedError: OFPBRC_BAD_LEN, OFPMMFC_BAD_BAND.
    """
    out = []
    while pos < end:
        kind, length = int.from_bytes(data[pos : pos + 2], "big"), int.from_bytes(data[pos + 2 : pos + 4], "big")
        if length < _BAND_SIZE or length % 8 or pos + length > end:
            raise MalformedError(BadRequest.BAD_LEN, f"a meter band of {length} bytes where {end - pos} are left")
        if kind not in _BANDS:
            raise MalformedError(MeterModFailed.BAD_BAND, f"meter band type {kind} is not known")
        out.append(_BANDS[kind].read(data, pos))
        pos += length
    return tuple(out)


def encode_bands(bands: tuple[MeterBand, ...]) -> bytes:
    """Write bands."""
    out = []
    for band in bands:
        data = _BANDS[band.type].write(band)
        out.append(data[:2] + _BAND_SIZE.to_bytes(2, "big") + data[4:])
    return b"".join(out)


# Queues (7.2.2) ------------------------------------------------------------------------------------------------------


class QueueForm(NamedTuple):
    """How a version writes queues: the message's head and a queue's head (1.0's has no port)."""

    reply: Layout[QueueGetConfigReply]
    queue: Layout[QueueDescription]


def queue_config(form: QueueForm) -> tuple[Callable[[bytes], QueueGetConfigReply], Callable[[Any], bytes]]:
    """How a version reads and writes QUEUE_GET_CONFIG_REPLY."""

    def decode(body: bytes) -> QueueGetConfigReply:
        head = form.reply.fields(body)
        queues, pos = [], form.reply.size
        while pos < len(body):
            fields = form.queue.fields(body, pos)
            length = fields.pop("length")
            if length < form.queue.size or pos + length > len(body):
                raise MalformedError(BadRequest.BAD_LEN, f"a queue of {length} bytes")
            properties = _decode_properties(body[pos + form.queue.size : pos + length])
            fields.setdefault("port", head["port"])
            queues.append(QueueDescription(properties=properties, **fields))
            pos += length
        return QueueGetConfigReply(queues=tuple(queues), **head)

    def encode(message: QueueGetConfigReply) -> bytes:
        out = [form.reply.write(message)]
        for queue in message.queues:
            properties = b"".join(map(_encode_property, queue.properties))
            out.append(form.queue.write(_QueueHead(queue.queue_id, queue.port, form.queue.size + len(properties))))
            out.append(properties)
        return b"".join(out)

    return decode, encode


class _QueueHead(NamedTuple):
    queue_id: int
    port: PortNo
    length: int


_PROPERTY_NONE = struct.Struct("!HH4x")
_PROPERTY_RATE = struct.Struct("!HH4xH6x")
_RATES = (QueuePropertyType.MIN_RATE, QueuePropertyType.MAX_RATE)


def _decode_properties(data: bytes) -> tuple[QueueProperty, ...]:
    out, pos = [], 0
    while pos < len(data):
        kind, length = int.from_bytes(data[pos : pos + 2], "big"), int.from_bytes(data[pos + 2 : pos + 4], "big")
        if length < 8 or pos + length > len(data):
            raise MalformedError(BadRequest.BAD_LEN, f"a queue property of {length} bytes")
        if kind in _RATES and length >= _PROPERTY_RATE.size:
            rate = int.from_bytes(data[pos + 8 : pos + 10], "big")
            out.append(QueueProperty(QueuePropertyType(kind), rate))
        elif kind == QueuePropertyType.NONE:
            out.append(QueueProperty(QueuePropertyType.NONE))
        pos += length
    return tuple(out)


def _encode_property(value: QueueProperty) -> bytes:
    if value.type == QueuePropertyType.NONE:
        return _PROPERTY_NONE.pack(value.type, _PROPERTY_NONE.size)
    return _PROPERTY_RATE.pack(value.type, _PROPERTY_RATE.size, value.rate)
