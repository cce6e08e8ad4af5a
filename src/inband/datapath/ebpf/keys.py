"""A match over the flow key becomes a mask and a key as the program in the kernel has them.

A kernel key (``struct flow_key``) is 96 bytes in network order, so it is one big-endian integer, as a flow key is one
integer; a field moves from its bits in the one to its bits in the other. Fields that no packet has together share
their place there. That is right only where the mask settles which of them is meant: a mask that looks at a shared place
must cover eth_type, for ports ip_proto too. Masks from flows do, by their prerequisites; where one does not, it is
narrowed by the packet that the decision was made for, which is always right and only serves fewer packets.

What tables set beside the packet (metadata, tunnel_id, registers) is one integer of its own, ``struct pipeline_fields``
in little-endian order, which rules of later tables have beside their key.

Invariants: a packet matches the kernel's key exactly if it matches the (narrowed) match. Fields that are
0 for every packet of that kind, in the value as well, need no place.

The kernel finds an entry by a hash of its key and believes it only if the whole key is the packet's. Under a mask that
looks at nothing behind the first SHORT_KEY words, as most do, the hash is of these alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from inband.datapath.ebpf.layout import FIELD_WORDS, FIELDS_SIZE, KEY_SIZE, KEY_WORDS, SHORT_KEY
from inband.flow.fields import FIELDS, INNER_VLAN, PIPELINE_FIELDS, Field
from inband.flow.match import Match

# Field: its first byte, how many bytes hold it, how many bits it is from their right end.
PLACES: dict[str, tuple[int, int, int]] = {
    "in_port": (0, 4, 0),
    "eth_type": (6, 2, 0),
    "eth_dst": (8, 6, 0),
    "eth_src": (14, 6, 0),
    "vlan_vid": (20, 2, 0),
    "vlan_pcp": (20, 2, 13),
    "ip_dscp": (22, 1, 2),
    "ip_ecn": (22, 1, 0),
    "ip_proto": (23, 1, 0),
    "ip_ttl": (24, 1, 0),
    "ip_frag": (25, 1, 0),
    "tcp_flags": (26, 2, 0),
    **dict.fromkeys(("tcp_src", "udp_src", "sctp_src"), (28, 2, 0)),
    **dict.fromkeys(("tcp_dst", "udp_dst", "sctp_dst"), (30, 2, 0)),
    **dict.fromkeys(("icmpv4_type", "icmpv6_type"), (28, 1, 0)),
    **dict.fromkeys(("icmpv4_code", "icmpv6_code"), (29, 1, 0)),
    "ipv4_src": (32, 4, 0),
    "ipv4_dst": (36, 4, 0),
    "ipv6_src": (32, 16, 0),
    "ipv6_dst": (48, 16, 0),
    "ipv6_flabel": (64, 4, 0),
    "ipv6_exthdr": (68, 2, 0),
    "arp_spa": (32, 4, 0),
    "arp_tpa": (36, 4, 0),
    "arp_sha": (40, 6, 0),
    "arp_tha": (46, 6, 0),
    "arp_op": (52, 2, 0),
    "mpls_label": (32, 4, 12),
    "mpls_tc": (32, 4, 9),
    "mpls_bos": (32, 4, 8),
    "mpls_ttl": (32, 4, 0),
    "pbb_isid": (32, 4, 0),
    "ipv6_nd_target": (72, 16, 0),
    **dict.fromkeys(("ipv6_nd_sll", "ipv6_nd_tll"), (88, 6, 0)),
    "inner_vlan": (94, 2, 0),
}

PIPELINE_PLACES: dict[str, int] = {"metadata": 0, "tunnel_id": 64, **{f"reg{i}": 128 + 32 * i for i in range(8)}}
"""Pipeline field: how many bits it is from the right end of them all. What actions cannot set has no place."""

# The mask's own number is in an entry's key, so that entries of two masks are never taken for each other.
_MASK_ID_SHIFT = (KEY_SIZE - 6) * 8

_HALVES = Struct(f"={2 * KEY_WORDS}I")
_FIELD_HALVES = Struct(f"={2 * FIELD_WORDS}I")
_HASH = Struct("=Q")
HASH_SIZE = _HASH.size
_NO_LONG_BITS = bytes(KEY_SIZE - 8 * SHORT_KEY)

_UNSHARED = (
    *("in_port", "eth_type", "eth_dst", "eth_src", "vlan_vid", "vlan_pcp"),
    *("ip_dscp", "ip_ecn", "ip_proto", "ip_ttl", "ip_frag", "tcp_flags", "inner_vlan"),
)
_ONLY_METADATA = (1 << 64) - 1
_PLACED_FIELDS = tuple((FIELDS[name].mask, FIELDS[name].shift, at) for name, at in PIPELINE_PLACES.items())
_BESIDE = sum(mask for mask, _, _ in _PLACED_FIELDS)
_FIELDS = {**FIELDS, INNER_VLAN.name: INNER_VLAN}
_ALWAYS_ZERO = sum(FIELDS[name].mask for name in PIPELINE_FIELDS)
# All that has a place, or none because it is 0; and what has a place of its own.
_SAID = sum(_FIELDS[name].mask for name in PLACES) | _ALWAYS_ZERO
_CERTAIN = sum(_FIELDS[name].mask for name in _UNSHARED) | _ALWAYS_ZERO
# What tells of which kind a packet is, and so which of the fields that share a place it has.
_PINS = sum(FIELDS[name].mask for name in ("eth_type", "ip_proto", "icmpv6_type"))


class KernelMatch(NamedTuple):
    """A mask and a masked key, without the mask's number; of rules of later tables also those of pipeline fields."""

    mask: bytes
    key: int
    fields_mask: int = 0
    fields: int = 0


@dataclass(frozen=True, slots=True)
class _Plan:
    """How values under one mask, of one kind of packet, are moved: (shift, bits, shift in the kernel's key)."""

    mask: bytes
    moves: tuple[tuple[int, int, int], ...]
    zeros: int


class KeyCompiler:
    """Turns matches into kernel keys; remembers how for each mask, of which there are few."""

    def __init__(self) -> None:
        self._plans: dict[tuple[int, int], _Plan | None] = {}

    def compile(self, match: Match, packet: int) -> KernelMatch | None:
        """The match for the kernel, narrowed by a ``packet`` that it matches where that is needed.

        None if it cannot be said to the kernel: no frame can match.
        """
        value, mask = match.value, match.mask
        plan = self._plan(value, mask)
        if plan is None:
            value, mask = packet & (mask | _PINS), mask | _PINS
            plan = self._plan(value, mask)
        return self._moved(plan, value)

    def widen(self, match: Match, *, has_fields: bool = False) -> tuple[KernelMatch | None, bool]:
        """As much of a match as can be said to the kernel, and whether that is all of it.

        None: no frame can match. With ``has_fields`` it is for a table where packets may have metadata and the like.
        """
        if not has_fields or not match.mask & _BESIDE:
            return self._widen(match.value, match.mask)
        found, is_all = self._widen(match.value & ~_BESIDE, match.mask & ~_BESIDE)
        bits, value = _pipeline_fields(match.mask), _pipeline_fields(match.value)
        return found and found._replace(fields_mask=bits, fields=value), is_all

    def _widen(self, value: int, mask: int) -> tuple[KernelMatch | None, bool]:
        plan = self._plan(value, mask) if not mask & ~_SAID else None
        if plan is None:
            value, mask = value & _CERTAIN, mask & _CERTAIN
            return self._moved(self._plan(value, mask), value), False
        return self._moved(plan, value), True

    def _moved(self, plan: _Plan | None, value: int) -> KernelMatch | None:
        if plan is None or value & plan.zeros:
            return None
        key = 0
        for shift, bits, to in plan.moves:
            key |= (value >> shift & bits) << to
        return KernelMatch(plan.mask, key)

    def _plan(self, value: int, mask: int) -> _Plan | None:
        which = (mask, value & _PINS)
        try:
            return self._plans[which]
        except KeyError:
            if len(self._plans) > 4096:
                self._plans.clear()
            plan = self._plans[which] = _make_plan(value, mask)
            return plan


def with_mask_id(key: int, mask_id: int) -> bytes:
    """An entry's key."""
    return (key | mask_id << _MASK_ID_SHIFT).to_bytes(KEY_SIZE, "big")


def words_of(mask: bytes) -> int:
    """How many words of a key the kernel looks at under this mask."""
    return SHORT_KEY if mask[8 * SHORT_KEY :] == _NO_LONG_BITS else KEY_WORDS


def is_there(field: Field, match: Match) -> bool:
    """Whether all packets of a match have this field in its place of the key, or have 0 there."""
    return field.name in _UNSHARED or _is_there(field, match.value, match.mask) is True


def field_words_of(fields_mask: int) -> int:
    """How many words of pipeline fields the kernel looks at under this mask."""
    return 0 if not fields_mask else FIELD_WORDS if fields_mask & ~_ONLY_METADATA else 1


def hash_of(key: bytes, words: int, secret: Sequence[int], fields: int = 0, field_words: int = 0) -> bytes:
    """By what the kernel finds an entry: ``hash_of`` in ``bpf/lookup.h``, of so many words of its key.

    ``fields``: of a rule whose mask looks at so many words of them (``hash_of_rule`` in ``bpf/rules.h``).
    """
    halves = _HALVES.unpack(key)
    total = 0
    for i in range(0, 2 * words, 2):
        total += (halves[i] + secret[i] & 0xFFFFFFFF) * (halves[i + 1] + secret[i + 1] & 0xFFFFFFFF)
    if field_words:
        halves = _FIELD_HALVES.unpack(fields.to_bytes(FIELDS_SIZE, "little"))
        secret = secret[2 * KEY_WORDS :]
        for i in range(0, 2 * field_words, 2):
            total += (halves[i] + secret[i] & 0xFFFFFFFF) * (halves[i + 1] + secret[i + 1] & 0xFFFFFFFF)
    return _HASH.pack(total & 0xFFFFFFFFFFFFFFFF)


def _pipeline_fields(bits: int) -> int:
    found = 0
    for mask, shift, at in _PLACED_FIELDS:
        if bits & mask:
            found |= (bits & mask) >> shift << at
    return found


def _make_plan(value: int, mask: int) -> _Plan | None:
    """None if the mask looks at a shared place and leaves open whose."""
    moves = []
    zeros = mask & _ALWAYS_ZERO
    kernel_mask = 0
    for name, (at, size, shift) in PLACES.items():
        field = _FIELDS[name]
        bits = field.get(mask)
        if not bits:
            continue
        if name not in _UNSHARED:
            is_there = _is_there(field, value, mask)
            if is_there is None:
                return None
            if not is_there:
                zeros |= bits << field.shift
                continue
        to = (KEY_SIZE - at - size) * 8 + shift
        moves.append((field.shift, bits, to))
        kernel_mask |= bits << to
    return _Plan(kernel_mask.to_bytes(KEY_SIZE, "big"), tuple(moves), zeros)


def _is_there(field: Field, value: int, mask: int) -> bool | None:
    """Whether packets of this match have the field; None if the mask leaves it open."""
    is_open = False
    for name, allowed in field.needs:
        needed = FIELDS[name]
        if needed.get(mask) != needed.all_ones:
            is_open = True
        elif needed.get(value) not in allowed:
            return False
    return None if is_open else True
