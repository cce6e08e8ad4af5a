"""Match fields of a shape that was met before, read and written in one go.

A controller sends thousands of matches of a few shapes. A *shape* is a sequence of OXM or NXM headers. All fields of a
match are read as ONE number; ``_Shape.select`` are its bits that decide how the rest is to be read: the headers, masks,
and the values on which another field or the form of a value depends. What the number has there is looked up, and finds
a ``Variant``: the key bits that such a match asks for. What is left are values to be moved to their bits of the key.

Writing is the same the other way round: what matches of one mask have in common, and where their values go.

What is before the fields of a FLOW_MOD, its *head*, is part of its shape, but for bits that are ``free``: what all
FLOW_MODs of a variant have in common is their ``template``.

Every variant is learned from a match that ``oxm.decode_fields`` has read, and what is not like one that was learned is
left to it, all that is wrong in particular: an ERROR never comes from here.

Invariants: where ``Shapes.read`` gives an answer it is that of ``decode_fields`` (a property test compares them).
There are at most MAX_SHAPES of one length and MAX_VARIANTS over all; when there are more, all are forgotten. Nothing is
learned from the first match of a mask: to learn costs as much as to read field by field, and some come only once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from inband.flow.fields import FIELDS, PREREQUISITES, VLAN_PRESENT
from inband.openflow.wire_fields import HEADERS, MASKED_HEADERS, WireField, masked_header

# Source or destination of TCP, UDP or SCTP, with source or destination of IP, are a dozen of one length already. Each
# that is not the right one costs an eighth of a microsecond.
MAX_SHAPES = 32
MAX_VARIANTS = 2048
# A match that asks for every field with a mask has about 700.
MAX_BYTES = 128

_VID, _PCP = FIELDS["vlan_vid"], FIELDS["vlan_pcp"]
_TCI = _VID.mask | _PCP.mask
_TAG = VLAN_PRESENT << _VID.shift


def _bits_that_others_ask_for() -> int:
    """Of eth_type, ip_proto and the like, and whether there is a tag."""
    found = _TAG
    for needs in PREREQUISITES.values():
        for bits, allowed in needs:
            found |= bits if allowed else 0
    return found


_ASKED_FOR = _bits_that_others_ask_for()


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Variant(Generic[T]):
    """What matches of a shape have in common: key bits and values, and bits of the number that are 0 in all of them."""

    value: int
    mask: int
    zero: int
    template: T


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a field is in the number: its value from bit ``at``, its mask from bit ``mask_at`` (None: an exact one)."""

    row: WireField
    at: int
    mask_at: int | None


@dataclass(slots=True, eq=False)
class _Shape(Generic[T]):
    """One sequence of headers. ``moves``: (right, bits, left) each, from the number to the key."""

    places: Sequence[_Place]
    select: int
    moves: Sequence[tuple[int, int, int]]
    variants: dict[int, Variant[T]] = field(default_factory=dict)


class Shapes(Generic[T]):
    """The shapes that were met, of matches of at most MAX_BYTES."""

    def __init__(self, head: int = 0, free: int = 0) -> None:
        """``head`` are the bytes before the fields, ``free`` their bits that are not part of a shape."""
        self._head = head
        self._free = free
        self._by_length: dict[int, list[_Shape[T]]] = {}
        self._variants = 0
        self._masks: set[int] = set()  # that were met

    def __len__(self) -> int:
        """How many variants there are."""
        return self._variants

    def read(self, data: bytes) -> tuple[int, Variant[T]] | None:
        """The match's value, and the variant of what is all of ``data``; None for what is not like any before."""
        number = int.from_bytes(data, "big")
        for shape in self._by_length.get(len(data), ()):
            variant = shape.variants.get(number & shape.select)
            if variant is not None and not number & variant.zero:
                value = variant.value
                for right, bits, left in shape.moves:
                    value |= (number >> right & bits) << left
                return value, variant
        return None

    def learn(self, data: bytes, value: int, mask: int, make_template: Callable[[], T]) -> None:
        """Remember how ``data`` was read, if its mask was met before."""
        if len(data) > self._head + MAX_BYTES:
            return
        if len(self._masks) >= MAX_VARIANTS or self._variants >= MAX_VARIANTS:
            self._by_length, self._variants, self._masks = {}, 0, set()
        if mask not in self._masks:
            self._masks.add(mask)
            return
        number = int.from_bytes(data, "big")
        shape = self._shape(data)
        variant = _variant(shape, number, value, mask, make_template())
        if number & variant.zero:
            return  # of a kind that is not read here
        chosen = number & shape.select
        self._variants += chosen not in shape.variants
        shape.variants[chosen] = variant

    def _shape(self, data: bytes) -> _Shape[T]:
        places = _places(data, self._head)
        shapes = self._by_length.setdefault(len(data), [])
        for shape in shapes:
            if shape.places == places:
                return shape
        select, moves = _plan(places, len(data))
        made = _Shape[T](places, select & ~(self._free << (len(data) - self._head) * 8), moves)
        shapes.insert(0, made)
        for gone in shapes[MAX_SHAPES:]:
            self._variants -= len(gone.variants)
        del shapes[MAX_SHAPES:]
        return made


def _places(data: bytes, pos: int) -> list[_Place]:
    """Where the fields are in ``data`` from ``pos`` on, which is known to be good."""
    places = list[_Place]()
    while pos < len(data):
        header = int.from_bytes(data[pos : pos + 4], "big")
        end = pos + 4 + (header & 0xFF)
        after = (len(data) - end) * 8
        row, masked = HEADERS.get(header), MASKED_HEADERS.get(header)
        if row is not None:
            places.append(_Place(row, after, None))
        elif masked is not None:
            places.append(_Place(masked, after + masked.size * 8, after))
        # What else is good says nothing, and is of the shape with its value.
        pos = end
    return places


def _plan(places: Sequence[_Place], size: int) -> tuple[int, list[tuple[int, int, int]]]:
    """Which bits of the number decide, and where to move the rest."""
    select, moves = (1 << size * 8) - 1, []
    for place in places:
        row = place.row
        if row.wide:
            continue  # a 16-bit port becomes a 32-bit one, which is no matter of moving bits
        movable = row.allowed & ~(_ASKED_FOR >> row.shift)
        select &= ~(row.allowed << place.at) | (row.allowed & ~movable) << place.at
        if movable:
            moves.append((place.at, movable, row.shift))
    return select, moves


def _variant(shape: _Shape[T], number: int, value: int, mask: int, template: T) -> Variant[T]:
    zero = moved = 0
    for _, bits, left in shape.moves:
        moved |= bits << left
    for place in shape.places:
        row = place.row
        if place.mask_at is not None:
            bits = number >> place.mask_at & (1 << row.size * 8) - 1
            zero |= (row.allowed & ~bits) << place.at
        if row.mask & _TCI and not value & _TAG:
            # Without a tag the form of the answer depends on all of VID and priority: only 0 is read here.
            zero |= row.allowed << place.at
    return Variant(value & ~moved, mask, zero, template)


@dataclass(frozen=True, slots=True)
class WritingPlan:
    """How matches of one mask are written: ``fixed`` bits, and ``moves`` (right, bits, left) from the key to them."""

    fixed: int
    moves: tuple[tuple[int, int, int], ...]
    size: int

    def write(self, value: int) -> bytes:
        """The bytes for a match's value."""
        number = self.fixed
        for right, bits, left in self.moves:
            number |= (value >> right & bits) << left
        return number.to_bytes(self.size, "big")

    def between(self, head: bytes, padding: int) -> WritingPlan:
        """The same behind these bytes and before so many zeros."""
        fixed = (int.from_bytes(head, "big") << self.size * 8 | self.fixed) << padding * 8
        moves = tuple((right, bits, left + padding * 8) for right, bits, left in self.moves)
        return WritingPlan(fixed, moves, len(head) + self.size + padding)


def writing_plan(rows: Sequence[tuple[WireField, int]]) -> WritingPlan | None:
    """The plan for these rows, each with the key bits that are asked for; None if a row's form depends on its value."""
    fixed = size = 0
    moves: list[tuple[int, int, int]] = []
    for row, bits in reversed(rows):
        if row.wide:
            return None
        header, at = row.header, size * 8
        wanted = bits >> row.shift
        if bits != row.mask:
            header = masked_header(row)
            fixed |= wanted << at
            at += row.size * 8
        fixed |= header << at + row.size * 8
        moves.append((row.shift, wanted, at))
        size = at // 8 + row.size + 4
    return WritingPlan(fixed, tuple(moves), size)
