"""The fields of a packet that a flow can match, and the one integer that holds them all.

A flow key, a match's value and a match's mask are each ONE Python integer in which every field has its own bits. That
makes the operations that run per packet single machine-level operations of the interpreter: a flow matches when
``key & mask == value``, "which bits did this decision depend on" is an ``|``, and a table of equal masks is a ``dict``.
A tuple or an object per key was tried on paper and costs 30 to 50 attribute reads where this costs one ``&``.

Every OXM field of OpenFlow 1.3.5 (table 11) has bits of its own: ``tcp_src`` and ``udp_src`` do not share a slot, so
a match never needs to be told apart by its prerequisites. Fields below ``REGISTERS`` are ours or Nicira's.

The table FIELDS is the only place that names a field's width, its OXM number, its prerequisites and how a person
writes it; codec, text syntax, parser and datapaths all read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NewType

from inband.vocabulary.numbers import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_MPLS,
    ETH_MPLS_MC,
    ETH_PBB,
    IP_ICMP,
    IP_ICMPV6,
    IP_SCTP,
    IP_TCP,
    IP_UDP,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
)

FlowKey = NewType("FlowKey", int)
"""All fields of one packet, each in its bits; fields that the packet does not have are 0."""

TextKind = Literal["port", "decimal", "hex", "mac", "ipv4", "ipv6"]

# vlan_vid carries OFPVID_PRESENT (OpenFlow 1.3.5, 7.2.3.8) so that "untagged" is 0 and "VLAN 0" is not.
VLAN_PRESENT = 0x1000

# ip_frag holds Nicira's two bits (NXM_NX_IP_FRAG): any fragment, and not the first one.
FRAG_ANY = 1
FRAG_LATER = 2


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ``bits`` wide, standing ``shift`` bits from the right end of a key.

    ``oxm`` is the field's number in class OFPXMC_OPENFLOW_BASIC, or None. ``needs`` lists prerequisites as
    (field name, allowed values): all must hold. ``text`` is how people write it. ``all_ones`` is the largest value,
    unshifted, and ``mask`` the bits of this field within a key: both follow from the rest and are needed per packet.
    """

    name: str
    bits: int
    shift: int
    oxm: int | None
    maskable: bool
    needs: tuple[tuple[str, tuple[int, ...]], ...]
    text: TextKind
    all_ones: int = field(init=False, repr=False, compare=False)
    mask: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "all_ones", (1 << self.bits) - 1)
        object.__setattr__(self, "mask", self.all_ones << self.shift)

    @property
    def size(self) -> int:
        """Bytes of the value on the wire (OXM); 20-bit labels travel as 32 bits (OpenFlow 1.3.5, table 12)."""
        return 4 if self.bits == 20 else (self.bits + 7) // 8

    def get(self, key: int) -> int:
        """This field's value in a key, a match value or a mask."""
        return key >> self.shift & self.all_ones

    def put(self, key: int, value: int) -> int:
        """A key like ``key`` with this field set to ``value`` (which must fit)."""
        return key & ~self.mask | value << self.shift


_Needs = tuple[tuple[str, tuple[int, ...]], ...]
_IP: _Needs = (("eth_type", (ETH_IPV4, ETH_IPV6)),)
_V4: _Needs = (("eth_type", (ETH_IPV4,)),)
_V6: _Needs = (("eth_type", (ETH_IPV6,)),)
_ARP: _Needs = (("eth_type", (ETH_ARP,)),)
_MPLS: _Needs = (("eth_type", (ETH_MPLS, ETH_MPLS_MC)),)
_PBB: _Needs = (("eth_type", (ETH_PBB,)),)
_TCP: _Needs = (*_IP, ("ip_proto", (IP_TCP,)))
_UDP: _Needs = (*_IP, ("ip_proto", (IP_UDP,)))
_SCTP: _Needs = (*_IP, ("ip_proto", (IP_SCTP,)))
_ICMP4: _Needs = (*_V4, ("ip_proto", (IP_ICMP,)))
_ICMP6: _Needs = (*_V6, ("ip_proto", (IP_ICMPV6,)))
_ND: _Needs = (*_ICMP6, ("icmpv6_type", (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT)))

_Row = tuple[str, int, int | None, bool, _Needs, TextKind]
# name, bits, OXM number, maskable, prerequisites, text
_ROWS: tuple[_Row, ...] = (
    ("in_port", 32, 0, False, (), "port"),
    ("in_phy_port", 32, 1, False, (("in_port", ()),), "port"),
    ("metadata", 64, 2, True, (), "hex"),
    ("eth_dst", 48, 3, True, (), "mac"),
    ("eth_src", 48, 4, True, (), "mac"),
    ("eth_type", 16, 5, False, (), "hex"),
    ("vlan_vid", 13, 6, True, (), "hex"),
    ("vlan_pcp", 3, 7, False, (("vlan_vid", ()),), "decimal"),
    ("ip_dscp", 6, 8, False, _IP, "decimal"),
    ("ip_ecn", 2, 9, False, _IP, "decimal"),
    ("ip_proto", 8, 10, False, _IP, "decimal"),
    ("ipv4_src", 32, 11, True, _V4, "ipv4"),
    ("ipv4_dst", 32, 12, True, _V4, "ipv4"),
    ("tcp_src", 16, 13, False, _TCP, "decimal"),
    ("tcp_dst", 16, 14, False, _TCP, "decimal"),
    ("udp_src", 16, 15, False, _UDP, "decimal"),
    ("udp_dst", 16, 16, False, _UDP, "decimal"),
    ("sctp_src", 16, 17, False, _SCTP, "decimal"),
    ("sctp_dst", 16, 18, False, _SCTP, "decimal"),
    ("icmpv4_type", 8, 19, False, _ICMP4, "decimal"),
    ("icmpv4_code", 8, 20, False, _ICMP4, "decimal"),
    ("arp_op", 16, 21, False, _ARP, "decimal"),
    ("arp_spa", 32, 22, True, _ARP, "ipv4"),
    ("arp_tpa", 32, 23, True, _ARP, "ipv4"),
    ("arp_sha", 48, 24, True, _ARP, "mac"),
    ("arp_tha", 48, 25, True, _ARP, "mac"),
    ("ipv6_src", 128, 26, True, _V6, "ipv6"),
    ("ipv6_dst", 128, 27, True, _V6, "ipv6"),
    ("ipv6_flabel", 20, 28, True, _V6, "hex"),
    ("icmpv6_type", 8, 29, False, _ICMP6, "decimal"),
    ("icmpv6_code", 8, 30, False, _ICMP6, "decimal"),
    ("ipv6_nd_target", 128, 31, False, _ND, "ipv6"),
    ("ipv6_nd_sll", 48, 32, False, (*_ICMP6, ("icmpv6_type", (NEIGHBOUR_SOLICITATION,))), "mac"),
    ("ipv6_nd_tll", 48, 33, False, (*_ICMP6, ("icmpv6_type", (NEIGHBOUR_ADVERTISEMENT,))), "mac"),
    ("mpls_label", 20, 34, False, _MPLS, "decimal"),
    ("mpls_tc", 3, 35, False, _MPLS, "decimal"),
    ("mpls_bos", 1, 36, False, _MPLS, "decimal"),
    ("pbb_isid", 24, 37, True, _PBB, "decimal"),
    ("tunnel_id", 64, 38, True, (), "hex"),
    ("ipv6_exthdr", 9, 39, True, _V6, "hex"),
    ("ip_frag", 2, None, True, _IP, "decimal"),
    ("ip_ttl", 8, None, False, _IP, "decimal"),
    ("mpls_ttl", 8, None, False, _MPLS, "decimal"),
    ("tcp_flags", 12, None, True, _TCP, "hex"),
    *((f"reg{i}", 32, None, True, (), "hex") for i in range(8)),
)


def _lay_out() -> Mapping[str, Field]:
    fields: dict[str, Field] = {}
    shift = 0
    for name, bits, oxm, maskable, needs, text in _ROWS:
        fields[name] = Field(name, bits, shift, oxm, maskable, needs, text)
        shift += bits
    return MappingProxyType(fields)


FIELDS: Mapping[str, Field] = _lay_out()
"""Every field by name, in the order of the table above."""


def _prerequisites(field: Field) -> tuple[tuple[int, frozenset[int]], ...]:
    if field.name == "vlan_pcp":  # any VLAN, but there must be one
        present = VLAN_PRESENT << FIELDS["vlan_vid"].shift
        return ((present, frozenset({present})),)
    return tuple((FIELDS[n].mask, frozenset(value << FIELDS[n].shift for value in vs)) for n, vs in field.needs)


PREREQUISITES: Mapping[str, tuple[tuple[int, frozenset[int]], ...]] = MappingProxyType(
    {name: _prerequisites(field) for name, field in FIELDS.items()}
)
"""The same as ``Field.needs`` in bits of a key: (bits that must be known, what they may be; empty: anything)."""

FIELD_BITS = sum(field.bits for field in FIELDS.values())

INNER_VLAN = Field("inner_vlan", 16, FIELD_BITS, None, False, (), "hex")
"""The second VLAN tag, as ``vlan_pcp`` and ``vlan_vid`` beside each other; 0 if there is none.

No flow matches it. It is what a packet's tag will be once the outermost is popped, and decisions depend on that.
"""

KEY_BITS = FIELD_BITS + INNER_VLAN.bits
ALL_BITS = (1 << KEY_BITS) - 1

TRANSPORT_FIELDS = tuple(
    name for name, field in FIELDS.items() if any(needed == "ip_proto" for needed, _ in field.needs)
)
"""What is behind the IP header, which the later fragments of a packet do not have."""

# Set by tables and actions on the way, never by the packet: a parsed frame has 0 here.
PIPELINE_FIELDS = ("metadata", "tunnel_id", "in_phy_port", *(f"reg{i}" for i in range(8)))


def make_key(**values: int) -> FlowKey:
    """A key from field values, the rest 0. Raises KeyError for an unknown field (a defect of the caller)."""
    key = 0
    for name, value in values.items():
        key = FIELDS[name].put(key, value)
    return FlowKey(key)


def key_fields(key: int, mask: int = ALL_BITS) -> dict[str, int]:
    """The fields of ``key`` that are not 0 or, given a mask, that the mask covers at least partly."""
    if mask == ALL_BITS:
        return {name: value for name, field in FIELDS.items() if (value := field.get(key))}
    return {name: field.get(key) for name, field in FIELDS.items() if field.get(mask)}
