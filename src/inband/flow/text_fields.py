"""Names and values of fields as people write them: those of ovs-ofctl, and OpenFlow's own.

ovs-fields(7) is the reference. A field has the name of ``FIELDS`` and, where Open vSwitch calls it otherwise, names
here; both are read, Open vSwitch's is written. Names that mean different fields in different packets (``nw_src``,
``tp_dst``, ``icmp_type``) belong to ``text_match``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address
from typing import assert_never

from inband.errors import UsageError
from inband.flow.fields import FIELDS, FRAG_ANY, FRAG_LATER, Field
from inband.flow.ports import MAX, NAMES, PortNo
from inband.vocabulary.addresses import Mac

Ports = Mapping[str, PortNo]
"""Port numbers by interface name, for those who know them."""

NO_PORTS: Ports = {}

# What Open vSwitch writes where it differs from OpenFlow's name.
OVS_NAMES: Mapping[str, str] = {
    "ipv4_src": "ip_src",
    "ipv4_dst": "ip_dst",
    "ip_proto": "nw_proto",
    "ip_ecn": "nw_ecn",
    "ip_ttl": "nw_ttl",
    "ip_frag": "nw_frag",
    "icmpv4_type": "icmp_type",
    "icmpv4_code": "icmp_code",
    "ipv6_flabel": "ipv6_label",
    "ipv6_nd_target": "nd_target",
    "ipv6_nd_sll": "nd_sll",
    "ipv6_nd_tll": "nd_tll",
    "tunnel_id": "tun_id",
}

_ALIASES: Mapping[str, str] = {
    **{ovs: name for name, ovs in OVS_NAMES.items()},
    "dl_src": "eth_src",
    "dl_dst": "eth_dst",
    "dl_type": "eth_type",
    "tunnel": "tunnel_id",
    "ipv4_label": "ipv6_flabel",
}

# The names that subfields are written with (`move`, `load`): NXM's, where there is one.
WIRE_NAMES: Mapping[str, str] = {
    "in_port": "NXM_OF_IN_PORT",
    "metadata": "OXM_OF_METADATA",
    "eth_dst": "NXM_OF_ETH_DST",
    "eth_src": "NXM_OF_ETH_SRC",
    "eth_type": "NXM_OF_ETH_TYPE",
    "vlan_vid": "OXM_OF_VLAN_VID",
    "vlan_pcp": "OXM_OF_VLAN_PCP",
    "ip_dscp": "OXM_OF_IP_DSCP",
    "ip_ecn": "NXM_NX_IP_ECN",
    "ip_proto": "NXM_OF_IP_PROTO",
    "ipv4_src": "NXM_OF_IP_SRC",
    "ipv4_dst": "NXM_OF_IP_DST",
    "tcp_src": "NXM_OF_TCP_SRC",
    "tcp_dst": "NXM_OF_TCP_DST",
    "udp_src": "NXM_OF_UDP_SRC",
    "udp_dst": "NXM_OF_UDP_DST",
    "sctp_src": "OXM_OF_SCTP_SRC",
    "sctp_dst": "OXM_OF_SCTP_DST",
    "icmpv4_type": "NXM_OF_ICMP_TYPE",
    "icmpv4_code": "NXM_OF_ICMP_CODE",
    "arp_op": "NXM_OF_ARP_OP",
    "arp_spa": "NXM_OF_ARP_SPA",
    "arp_tpa": "NXM_OF_ARP_TPA",
    "arp_sha": "NXM_NX_ARP_SHA",
    "arp_tha": "NXM_NX_ARP_THA",
    "ipv6_src": "NXM_NX_IPV6_SRC",
    "ipv6_dst": "NXM_NX_IPV6_DST",
    "ipv6_flabel": "NXM_NX_IPV6_LABEL",
    "icmpv6_type": "NXM_NX_ICMPV6_TYPE",
    "icmpv6_code": "NXM_NX_ICMPV6_CODE",
    "ipv6_nd_target": "NXM_NX_ND_TARGET",
    "ipv6_nd_sll": "NXM_NX_ND_SLL",
    "ipv6_nd_tll": "NXM_NX_ND_TLL",
    "mpls_label": "OXM_OF_MPLS_LABEL",
    "mpls_tc": "OXM_OF_MPLS_TC",
    "mpls_bos": "OXM_OF_MPLS_BOS",
    "mpls_ttl": "NXM_NX_MPLS_TTL",
    "tunnel_id": "NXM_NX_TUN_ID",
    "ip_frag": "NXM_NX_IP_FRAG",
    "ip_ttl": "NXM_NX_IP_TTL",
    "tcp_flags": "NXM_NX_TCP_FLAGS",
    **{f"reg{i}": f"NXM_NX_REG{i}" for i in range(8)},
}

_BY_WIRE_NAME = {wire: name for name, wire in WIRE_NAMES.items()}

# RFC 9293, 3.1, with ECN's (RFC 3168, 6.1), lowest bit first; ovs-fields(7) spells them so.
TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]")

_BOTH = FRAG_ANY | FRAG_LATER
# word -> (value, mask); ovs-fields(7), nw_frag.
FRAGMENTS: Mapping[str, tuple[int, int]] = {
    "no": (0, _BOTH),
    "first": (FRAG_ANY, _BOTH),
    "later": (_BOTH, _BOTH),
    "yes": (FRAG_ANY, FRAG_ANY),
    "not_later": (0, FRAG_LATER),
}
_FRAGMENT_WORDS = {pair: word for word, pair in FRAGMENTS.items()}

# Reserved ports as OpenFlow 1.0 numbers them in 16 bits; people still write 65534 for LOCAL.
_SHORT_RESERVED = range(0xFFF8, 0x10000)


def find_field(name: str) -> Field | None:
    """The field of this name, Open vSwitch's, OpenFlow's or NXM's; None for others."""
    lowered = name.lower()
    return FIELDS.get(_BY_WIRE_NAME.get(name.upper()) or _ALIASES.get(lowered) or lowered)


def written_name(field: str) -> str:
    """The name that Open vSwitch writes."""
    return OVS_NAMES.get(field, field)


def suggest(word: str, words: list[str]) -> str:
    """Words to put behind a complaint: a question with the nearest word, or nothing when none is near."""
    close = get_close_matches(word.lower(), words, 1)
    return f": did you mean {close[0]}?" if close else ""


def parse_number(text: str, bits: int, what: str) -> int:
    """A number, decimal or 0x hexadecimal, of at most ``bits`` bits; raises UsageError naming ``what``."""
    try:
        number = int(text, 0) if text.isascii() else -1
    except ValueError:
        number = -1
    if not 0 <= number < 1 << bits:
        raise UsageError(f"{what}: {text!r} is not a number from 0 to {(1 << bits) - 1}")
    return number


# Of more ports a complaint does not list the names.
_NAMED = 20


def parse_port(text: str, ports: Ports = NO_PORTS) -> PortNo:
    """A port: a number, a reserved name in any case, or an interface's name when ``ports`` knows it."""
    if text in ports:
        return ports[text]
    for number, name in NAMES.items():
        if text.upper() == name:
            return PortNo(number)
    try:
        number = parse_number(text, 32, "port")
    except UsageError:
        known = f", or one of {', '.join(ports)}" if 0 < len(ports) <= _NAMED else ", or an interface" if ports else ""
        raise UsageError(f"{text!r} is not a port: write a number or LOCAL{known}") from None
    return PortNo(number + (0xFFFF0000 if number in _SHORT_RESERVED else 0))


def parse_value(field: Field, text: str, ports: Ports = NO_PORTS) -> tuple[int, int]:
    """Read VALUE or VALUE/MASK into (value, mask), value cut to the mask; raises UsageError."""
    if field.name == "ip_frag" and text.lower() in FRAGMENTS:
        return FRAGMENTS[text.lower()]
    if field.name == "tcp_flags" and not text[:1].isdigit():
        return _parse_flags(text)
    value_text, slash, mask_text = text.partition("/")
    value = _parse_one(field, value_text, ports)
    mask = _parse_mask(field, mask_text, ports) if slash else field.all_ones
    if mask != field.all_ones and not field.maskable and mask:
        raise UsageError(f"{field.name} cannot be matched under a mask: write {field.name}={value_text}")
    return value & mask, mask


def _parse_one(field: Field, text: str, ports: Ports) -> int:
    match field.text:
        case "port":
            return parse_port(text, ports)
        case "mac":
            return Mac.parse(text)
        case "ipv4" | "ipv6":
            return _parse_ip(field, text)
        case "hex" | "decimal":
            return parse_number(text, field.bits, field.name)
        case _:
            assert_never(field.text)


def _parse_ip(field: Field, text: str) -> int:
    kind = IPv4Address if field.text == "ipv4" else IPv6Address
    try:
        return int(kind(text))
    except ValueError:
        raise UsageError(f"{field.name}: {text!r} is not an IPv{field.text[-1]} address") from None


def _parse_mask(field: Field, text: str, ports: Ports) -> int:
    if field.text in ("ipv4", "ipv6") and text.isascii() and text.isdigit():
        length = int(text) if len(text) < 4 else field.bits + 1
        if length > field.bits:
            raise UsageError(f"{field.name}: a prefix has at most {field.bits} bits, not {text}")
        return field.all_ones & ~((1 << field.bits - length) - 1)
    return _parse_one(field, text, ports)


def _parse_flags(text: str) -> tuple[int, int]:
    """``+syn-ack`` (these bits matter) or ``syn|ack`` (all bits matter)."""
    value = mask = 0
    signed = text[:1] in ("+", "-")
    words = re.findall(r"[+-][^+-]*", text) if signed else [f"+{word}" for word in text.split("|")]
    for sign, word in ((term[0], term[1:].strip().lower()) for term in words):
        if word not in TCP_FLAGS:
            raise UsageError(f"tcp_flags: {word!r} is no flag: write +syn-ack; flags are {', '.join(TCP_FLAGS)}")
        bit = 1 << TCP_FLAGS.index(word)
        mask |= bit
        value |= bit if sign == "+" else 0
    return value, mask if signed else (1 << len(TCP_FLAGS)) - 1


def format_value(field: Field, value: int, mask: int) -> str:
    """VALUE or VALUE/MASK as ovs-ofctl prints them."""
    if field.name == "ip_frag" and (value, mask) in _FRAGMENT_WORDS:
        return _FRAGMENT_WORDS[value, mask]
    if field.name == "tcp_flags":
        return _format_flags(value, mask)
    text = _format_one(field, value)
    if mask == field.all_ones:
        return text
    if field.text in ("ipv4", "ipv6") and _is_prefix(mask, field.bits):
        return f"{text}/{mask.bit_count()}"
    if field.text == "decimal":  # a mask in decimal digits would be unreadable
        return f"{value:#x}/{mask:#x}"
    return f"{text}/{_format_one(field, mask)}"


def _format_one(field: Field, value: int) -> str:
    match field.text:
        case "port":
            return str(PortNo(value)) if value > MAX else str(value)
        case "mac":
            return str(Mac(value))
        case "ipv4":
            return str(IPv4Address(value))
        case "ipv6":
            return str(IPv6Address(value))
        case "hex":
            return f"{value:#0{_HEX_WIDTHS.get(field.name, 0)}x}"
        case "decimal":
            return str(value)
        case _:
            assert_never(field.text)


# Open vSwitch pads these with zeros; the widths count the 0x.
_HEX_WIDTHS = {"eth_type": 6, "ipv6_flabel": 7}


def _is_prefix(mask: int, bits: int) -> bool:
    """Whether the mask's ones are all on the left."""
    inverted = mask ^ ((1 << bits) - 1)
    return inverted & inverted + 1 == 0


def _format_flags(value: int, mask: int) -> str:
    every = (1 << len(TCP_FLAGS)) - 1
    if mask == every:
        return "|".join(name for bit, name in enumerate(TCP_FLAGS) if value >> bit & 1) or "0"
    return "".join(("+" if value >> bit & 1 else "-") + name for bit, name in enumerate(TCP_FLAGS) if mask >> bit & 1)
