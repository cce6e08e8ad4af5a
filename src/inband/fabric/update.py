"""The message by which neighbours tell each other distances: values, bytes, and nothing else (docs/neighbours.md).

It has the head of a hello up to the sequence number, with a kind of its own, which switches that do not know it skip.
It is only ever sent with a hash. ``answers`` is what the other side asked with, so no table is taken for another one:
``request`` changes whenever a side has forgotten what it was told.

Invariants: ``decode(encode(update)) == update`` when records of IPv4 come before those of IPv6. Work and memory are
bounded by the frame. Nothing but WireError is raised for any bytes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Generic, TypeVar

from inband.errors import WireError
from inband.fabric.distances import Distance, Key, Station
from inband.fabric.hello import HEAD, MAGIC, RECORD_BYTES, UPDATE, UPDATE_HEAD, VERSION
from inband.vocabulary.addresses import Mac

MAX_RECORD_BYTES = 1120
"""With everything else around it a frame is shorter than 1,280 bytes: 70 records of IPv4, 40 of IPv6."""

_FOUR, _SIX = Struct(">6s4sIH"), Struct(">6s16sIH")
_BY_VERSION = {4: _FOUR, 6: _SIX}
assert (_FOUR.size, _SIX.size) == RECORD_BYTES

Record = tuple[Station, Distance]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Update(Generic[Key, Value]):
    """Distances, or what else there is to tell of something, and which ones have come. Numbers have 32 bits.

    ``switch``, ``boot``, ``port``: the sender's; ``to_boot``: that of whom it is for. ``sequence``: 0 when there are no
    records. ``acked``: the highest one of the other side's that has come, ``acked_bits``: which of the 32 before it.
    """

    switch: int
    boot: int
    port: int
    sequence: int
    to_boot: int
    request: int
    answers: int
    acked: int = 0
    acked_bits: int = 0
    records: tuple[tuple[Key, Value], ...] = ()


def size_of(key: Hashable) -> int:
    """How many bytes a record about a station, or about what else is told (``need``), takes."""
    return RECORD_BYTES[0] if isinstance(key, Station) and key.address[0] == 4 else RECORD_BYTES[1]


def encode(update: Update[Station, Distance]) -> bytes:
    """The message without Ethernet header and hash."""
    four, six = ([_pack(each) for each in update.records if each[0].address[0] == version] for version in (4, 6))
    return pack(UPDATE, update, four, six)


def decode(body: bytes) -> Update[Station, Distance]:
    """Read a message of this kind. Raises WireError."""
    head, four, six = unpack(body)
    return Update(*head, (*_records(4, four), *_records(6, six)))


def pack(kind: int, update: Update[Key, Value], short: Sequence[bytes], long: Sequence[bytes]) -> bytes:
    """A message of some kind with these records, which have the lengths of RECORD_BYTES."""
    return b"".join((pack_head(kind, update, len(short), len(long)), *short, *long))


def pack_head(kind: int, update: Update[Key, Value], first: int, second: int) -> bytes:
    """What is before the records; ``first`` and ``second`` say how much of them there is."""
    head = HEAD.pack(MAGIC, VERSION, kind, update.switch, update.boot, update.port, update.sequence)
    numbers = (update.to_boot, update.request, update.answers, update.acked, update.acked_bits)
    return head + UPDATE_HEAD.pack(*numbers, first, second)


Head = tuple[int, int, int, int, int, int, int, int, int]
"""What is before the records, in the order of ``Update``."""


def unpack(body: bytes) -> tuple[Head, bytes, bytes]:
    """What is before the records, and the records of either length. Raises WireError."""
    head, four, six, at = unpack_head(body)
    between, end = at + four * RECORD_BYTES[0], at + four * RECORD_BYTES[0] + six * RECORD_BYTES[1]
    if end > len(body):
        raise WireError(f"update: {four} and {six} records are cut off after {len(body)} bytes")
    return head, body[at:between], body[between:end]


def unpack_head(body: bytes) -> tuple[Head, int, int, int]:
    """What is before the records, the two numbers that say how much of them there is, and where. Raises WireError."""
    at = HEAD.size + UPDATE_HEAD.size
    if len(body) < at:
        raise WireError(f"update: it ends after {len(body)} bytes: the head has {at}")
    _, _, _, switch, boot, port, sequence = HEAD.unpack_from(body)
    to_boot, request, answers, acked, bits, first, second = UPDATE_HEAD.unpack_from(body, HEAD.size)
    return (switch, boot, port, sequence, to_boot, request, answers, acked, bits), first, second, at


def _pack(record: Record) -> bytes:
    (address, mac), distance = record
    version, number = address
    packed = number.to_bytes(4 if version == 4 else 16, "big")
    return _BY_VERSION[version].pack(mac.packed, packed, distance.number, distance.metric)


def _records(version: int, data: bytes) -> tuple[Record, ...]:
    return tuple(
        (Station((version, int.from_bytes(address, "big")), Mac.from_bytes6(mac)), Distance(number, metric))
        for mac, address, number, metric in _BY_VERSION[version].iter_unpack(data)
    )
