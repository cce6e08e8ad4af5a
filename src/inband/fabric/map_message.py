"""The message by which neighbours pass on what switches say of themselves: values, bytes, and nothing else.

It has the head of an update (``update``) with a kind of its own, which switches that do not know it skip. It is only
ever sent with a hash. docs/neighbours.md, "The map", has the format.

Invariants: ``decode(encode(message)) == message``. Work and memory are bounded by the frame. Each record of a message
that is read has a body that can be read (``description``). Nothing but WireError is raised for any bytes.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from inband.errors import WireError
from inband.fabric import description
from inband.fabric.hello import MAP
from inband.fabric.update import MAX_RECORD_BYTES, Update, pack_head, unpack_head

_RECORD = Struct(">QIH")
assert description.MAX_BODY_BYTES + _RECORD.size <= MAX_RECORD_BYTES


class NodeRecord(NamedTuple):
    """What a switch says of itself: a number that it raises with each change, and a description."""

    number: int
    body: bytes


MapMessage = Update[int, NodeRecord]
"""Records by the datapath id of the switch that describes itself."""


def size_of(record: NodeRecord) -> int:
    """How many bytes it takes in a message."""
    return _RECORD.size + len(record.body)


def encode(message: MapMessage) -> bytes:
    """The message without Ethernet header and hash."""
    records = b"".join(map(_pack, message.records))
    return pack_head(MAP, message, len(records), 0) + records


def decode(body: bytes) -> MapMessage:
    """Read a message of this kind. Raises WireError."""
    head, length, _, at = unpack_head(body)
    end = at + length
    if end > len(body):
        raise WireError(f"map: {length} bytes of records are cut off after {len(body)} bytes")
    records: list[tuple[int, NodeRecord]] = []
    while at < end:
        record, at = _read(body, at, end)
        records.append(record)
    return Update(*head, tuple(records))


def _pack(record: tuple[int, NodeRecord]) -> bytes:
    switch, (number, body) = record
    return _RECORD.pack(switch, number, len(body)) + body


def _read(body: bytes, at: int, end: int) -> tuple[tuple[int, NodeRecord], int]:
    start = at + _RECORD.size
    if start > end:
        raise WireError(f"map: a record at byte {at} is cut off")
    switch, number, length = _RECORD.unpack_from(body, at)
    after = start + length
    if after > end or length > description.MAX_BODY_BYTES:
        raise WireError(f"map: a description of {length} bytes at byte {start}: it is cut off, or too long")
    record = NodeRecord(number, body[start:after])
    description.decode(record.body)
    return (switch, record), after
