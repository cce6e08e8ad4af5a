"""Registers, metadata and tunnel_id set by a flow, and bits moved between fields, as ops of its rule (``bpf/walk.h``).

The program has a packet's key, its pipeline fields and some scratch as one row of words of 32 bits. A move is ops, each
for bits of one word that go to one other. What is moved to a field of the packet goes to scratch first, all of it,
since the two may overlap; then an op of the usual kind takes its value from there. Where such an op sets the field
whole, what is not moved is what the field has.

Fields that share a place in the key are moved only where a flow matches what tells them apart, as OpenFlow wants it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from inband.datapath.ebpf.keys import PIPELINE_PLACES, PLACES, is_there
from inband.datapath.ebpf.layout import (
    FIRST_FIELD_WORD,
    FIRST_SCRATCH_WORD,
    KEY_SIZE,
    MOVED_SHIFT,
    OP,
    OpKind,
)
from inband.datapath.ebpf.ops import UnfitError, edit_ops
from inband.flow.actions import MoveField, SetField
from inband.flow.fields import FIELDS, Field
from inband.flow.match import Match

_WORD_BITS = 32
_WORD = 0xFFFFFFFF


class _Place(NamedTuple):
    """A bit of the row: so many from the right end of ``word``, and then of the word that is ``step`` further."""

    word: int
    step: int
    bit: int

    def after(self, bits: int) -> _Place:
        return self._replace(bit=self.bit + bits)

    @property
    def left(self) -> int:
        """How many bits are in this word from here."""
        return _WORD_BITS - self.bit % _WORD_BITS

    def packed(self) -> int:
        """As the program has it."""
        steps, bit = divmod(self.bit, _WORD_BITS)
        return self.word + self.step * steps << MOVED_SHIFT | bit


class _Part(NamedTuple):
    """Bits of a field of packets that one op sets: from ``low``, so many; ``up``: how far from the right in its value.

    ``takes_some``: the op may set some of them.
    """

    low: int
    bits: int
    up: int = 0
    takes_some: bool = False


_ADDRESS = (_Part(32, 16, 0, True), _Part(16, 16, 0, True), _Part(0, 16, 0, True))
_PARTS: dict[str, tuple[_Part, ...]] = {
    **dict.fromkeys(("eth_dst", "eth_src"), _ADDRESS),
    "vlan_vid": (_Part(0, 12, 0, True),),
    "vlan_pcp": (_Part(0, 3, 13, True),),
    "ip_dscp": (_Part(0, 6, 2, True),),
    "ip_ecn": (_Part(0, 2, 0, True),),
    "ip_ttl": (_Part(0, 8),),
    **dict.fromkeys(("ipv4_src", "ipv4_dst"), (_Part(0, 32),)),
    **dict.fromkeys(("tcp_src", "tcp_dst", "udp_src", "udp_dst"), (_Part(0, 16),)),
    **dict.fromkeys(("ipv6_src", "ipv6_dst"), tuple(_Part(low, 32) for low in (96, 64, 32, 0))),
    "ipv6_flabel": (_Part(0, 20),),
}


def set_ops(name: str, value: int, mask: int | None) -> list[bytes]:
    """Set a pipeline field, or bits of it. Raises UnfitError."""
    if name not in PIPELINE_PLACES:
        raise UnfitError
    field = FIELDS[name]
    bits = field.all_ones if mask is None else mask & field.all_ones
    ops: list[bytes] = []
    for shift in range(0, field.bits, _WORD_BITS):
        word = (PIPELINE_PLACES[name] + shift) // _WORD_BITS
        some = bits >> shift & _WORD
        ops += _set_word(word, value >> shift & some, some)
    return ops


def _set_word(word: int, value: int, bits: int) -> Iterator[bytes]:
    if bits == _WORD:
        yield OP.pack(OpKind.LOAD_FIELD, word, 0, value)
        return
    if bits & ~value:
        yield OP.pack(OpKind.CLEAR_BITS, word, 0, bits & ~value)
    if value:
        yield OP.pack(OpKind.SET_BITS, word, 0, value)


def move_ops(action: MoveField, match: Match) -> list[bytes]:
    """Move bits of a field of a packet that ``match`` matches to another. Raises UnfitError."""
    source, destination = FIELDS[action.source], FIELDS[action.destination]
    is_within = action.source_offset + action.bits <= source.bits
    if not is_within or action.destination_offset + action.bits > destination.bits:
        raise UnfitError
    start = _place_of(source, match).after(action.source_offset)
    if destination.name in PIPELINE_PLACES:
        ops = list(_moves(start, _beside(destination).after(action.destination_offset), action.bits))
        if source is destination and len(ops) > 1:
            raise UnfitError  # the one might move what the other has written
        return ops
    return _into_packet(destination, start, action)


def _into_packet(field: Field, start: _Place, action: MoveField) -> list[bytes]:
    if field.name not in _PARTS:
        raise UnfitError
    moves: list[bytes] = []
    edits: list[bytes] = []
    end = action.destination_offset + action.bits
    for part in _PARTS[field.name]:
        low, high = max(part.low, action.destination_offset), min(part.low + part.bits, end)
        if low >= high:
            continue
        scratch = len(edits) // 2
        to = _Place(FIRST_SCRATCH_WORD + scratch, 1, part.up)
        if high - low < part.bits and not part.takes_some:
            moves += _moves(_in_key(field).after(part.low), to, part.bits)
        moves += _moves(start.after(low - action.destination_offset), to.after(low - part.low), high - low)
        mask = (1 << high - low) - 1 << low if part.takes_some else (1 << part.bits) - 1 << part.low
        edits += [OP.pack(OpKind.VALUE, scratch, 0, 0), *edit_ops(SetField(field.name, 0, mask))]
    return moves + edits


def _moves(start: _Place, to: _Place, bits: int) -> Iterator[bytes]:
    """Ops that move bits, each within a word."""
    while bits:
        some = min(bits, start.left, to.left)
        yield OP.pack(OpKind.MOVE, some, start.packed(), to.packed())
        start, to, bits = start.after(some), to.after(some), bits - some


def _place_of(field: Field, match: Match) -> _Place:
    if field.name in PIPELINE_PLACES:
        return _beside(field)
    if field.name not in PLACES or not is_there(field, match):
        raise UnfitError
    return _in_key(field)


def _beside(field: Field) -> _Place:
    return _Place(FIRST_FIELD_WORD, 1, PIPELINE_PLACES[field.name])


def _in_key(field: Field) -> _Place:
    at, size, shift = PLACES[field.name]
    return _Place(FIRST_FIELD_WORD - 1, -1, (KEY_SIZE - at - size) * 8 + shift)
