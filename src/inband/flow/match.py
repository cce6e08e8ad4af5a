"""What a flow matches: a value and a mask over the flow key."""

from __future__ import annotations

from typing import NamedTuple

from inband.flow.fields import FIELDS, VLAN_PRESENT, key_fields
from inband.vocabulary.values import value

VID_BITS = 0xFFF
"""The bits of vlan_vid that say which VLAN; 0 without a tag, and in one that only says a priority (802.1Q, 9.6)."""


@value(frozen=True, slots=True)
class Match:
    """A packet matches when ``key & mask == value``. Bits of ``value`` outside ``mask`` are always 0."""

    value: int = 0
    mask: int = 0

    def __post_init__(self) -> None:
        if self.value & ~self.mask:
            raise ValueError("a match's value has bits outside its mask")

    @classmethod
    def of(cls, **fields: int | tuple[int, int]) -> Match:
        """Build from exact values or (value, mask) pairs: ``Match.of(in_port=1, ipv4_dst=(net, mask))``.

        Addresses are given as numbers. Value bits outside the field's mask are dropped.
        """
        value = mask = 0
        for name, given in fields.items():
            field = FIELDS[name]
            if isinstance(given, tuple):
                number, bits = given
                value |= (number & bits) << field.shift
                mask |= bits << field.shift
            else:
                value |= (given & field.all_ones) << field.shift
                mask |= field.mask
        return cls(value, mask)

    def matches(self, key: int) -> bool:
        """Whether a packet with this key matches."""
        return key & self.mask == self.value

    def covers(self, other: Match) -> bool:
        """Whether every packet that ``other`` matches is matched by this too ("non-strict" in OpenFlow 1.3.5, 6.4)."""
        return other.mask & self.mask == self.mask and other.value & self.mask == self.value

    def overlaps(self, other: Match) -> bool:
        """Whether one packet could match both (OpenFlow 1.3.5, 6.4: CHECK_OVERLAP)."""
        common = self.mask & other.mask
        return self.value & common == other.value & common

    def with_field(self, name: str, value: int, mask: int | None = None) -> Match:
        """This match with one more field (replacing what it said of it)."""
        field = FIELDS[name]
        bits = field.all_ones if mask is None else mask
        return Match(field.put(self.value, value & bits), field.put(self.mask, bits))

    def in_vlan(self, vlan: int | None) -> Match:
        """This match for packets of a VLAN; None: untagged ones, and those whose tag has a priority and no VLAN."""
        return (
            self.with_field("vlan_vid", 0, VID_BITS)
            if vlan is None
            else self.with_field("vlan_vid", VLAN_PRESENT | vlan)
        )

    def fields(self) -> dict[str, tuple[int, int]]:
        """(value, mask) of every field that the mask covers at least partly, in the order of FIELDS."""
        return {name: (value, FIELDS[name].get(self.mask)) for name, value in key_fields(self.value, self.mask).items()}

    def get(self, name: str) -> int | None:
        """The value of a field that is matched exactly, else None."""
        field = FIELDS[name]
        return field.get(self.value) if field.get(self.mask) == field.all_ones else None


ANY = Match()


class Surplus(NamedTuple):
    """What a match of OpenFlow 1.0 said that decides nothing (1.0, 5.2.3); flows are shown as they were made.

    ``pcp``: a VLAN priority asked of untagged packets. ``tp_src``, ``tp_dst``: an ICMP type and code with the upper
    eight bits, which do not count. None where nothing more was said than the match does.
    """

    pcp: int | None = None
    tp_src: int | None = None
    tp_dst: int | None = None


NO_SURPLUS = Surplus()
