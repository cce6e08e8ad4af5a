"""Matches as ovs-ofctl writes them, both ways: ``tcp,in_port=LOCAL,nw_dst=192.0.2.0/24,tp_dst=6653``.

Read: keywords (``ip``, ``tcp6``, ``arp`` ...), Open vSwitch's names, OpenFlow's names, masks, and names whose field
depends on the rest (``nw_src`` is ``arp_spa`` for ARP). Written: what ``ovs-ofctl dump-flows`` prints for the same
match, in its order; fields that Open vSwitch does not have come last under OpenFlow's names.

Invariant: ``parse_match(format_match(m)) == m`` for every match whose fields' prerequisites are met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from inband.errors import UsageError
from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.match import Match
from inband.flow.text_fields import (
    NO_PORTS,
    Ports,
    find_field,
    format_value,
    parse_number,
    parse_value,
    suggest,
    written_name,
)
from inband.vocabulary.numbers import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_MPLS,
    ETH_MPLS_MC,
    IP_ICMP,
    IP_ICMPV6,
    IP_SCTP,
    IP_TCP,
    IP_UDP,
)

ETH_RARP = 0x8035

# keyword -> (eth_type, ip_proto); the order decides which is written: the narrower ones first.
_KEYWORDS: Mapping[str, tuple[int, int | None]] = {
    "icmp": (ETH_IPV4, IP_ICMP),
    "tcp": (ETH_IPV4, IP_TCP),
    "udp": (ETH_IPV4, IP_UDP),
    "sctp": (ETH_IPV4, IP_SCTP),
    "icmp6": (ETH_IPV6, IP_ICMPV6),
    "tcp6": (ETH_IPV6, IP_TCP),
    "udp6": (ETH_IPV6, IP_UDP),
    "sctp6": (ETH_IPV6, IP_SCTP),
    "ip": (ETH_IPV4, None),
    "ipv6": (ETH_IPV6, None),
    "arp": (ETH_ARP, None),
    "rarp": (ETH_RARP, None),
    "mpls": (ETH_MPLS, None),
    "mplsm": (ETH_MPLS_MC, None),
}

_PORTS_BY_PROTO = {IP_TCP: "tcp", IP_UDP: "udp", IP_SCTP: "sctp"}


def parse_match(text: str, ports: Ports = NO_PORTS) -> Match:
    """Read a match; an empty text matches everything. Raises UsageError naming the part that is wrong."""
    terms = [term.strip() for term in text.replace(" ", ",").split(",") if term.strip()]
    return read_terms(terms, ports)


def read_terms(terms: list[str], ports: Ports = NO_PORTS) -> Match:
    """Read KEYWORD and NAME=VALUE terms in any order."""
    reader = _Reader(ports)
    for term in terms:
        reader.take(term)
    return reader.finish()


class _Reader:
    """Takes terms one by one; those that depend on others wait until :meth:`finish`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._match = Match()
        self._waiting: list[tuple[str, str]] = []

    def take(self, term: str) -> None:
        name, equals, value = term.partition("=")
        name = name.strip().lower()
        if not equals:
            self._take_keyword(name)
        elif name in _SPECIAL:
            self._match = _SPECIAL[name](self._match, value)
        elif name in _DEPENDENT:
            self._waiting.append((name, value))
        else:
            field = find_field(name)
            if field is None:
                words = sorted({*FIELDS, *_SPECIAL, *_DEPENDENT, *_KEYWORDS})
                raise UsageError(f"unknown field {name!r}{suggest(name, words)}")
            self._put(field.name, value)

    def _take_keyword(self, word: str) -> None:
        if word not in _KEYWORDS:
            raise UsageError(f"{word!r} is neither a keyword nor FIELD=VALUE{suggest(word, list(_KEYWORDS))}")
        eth_type, ip_proto = _KEYWORDS[word]
        self._match = self._match.with_field("eth_type", eth_type)
        if ip_proto is not None:
            self._match = self._match.with_field("ip_proto", ip_proto)

    def _put(self, name: str, value: str) -> None:
        number, mask = parse_value(FIELDS[name], value, self._ports)
        self._match = self._match.with_field(name, number, mask)

    def finish(self) -> Match:
        for name, value in sorted(self._waiting, key=lambda pair: pair[0] != "nw_proto"):
            self._put(_DEPENDENT[name](self._match, name), value)
        _check_prerequisites(self._match)
        return self._match


def _check_prerequisites(match: Match) -> None:
    """Refuse fields that no packet of this match has (OpenFlow 1.3.5, 7.2.3.8)."""
    for name in match.fields():
        for needed, allowed in FIELDS[name].needs:
            given = match.get(needed)
            if needed == "vlan_vid":
                if not FIELDS["vlan_vid"].get(match.value) & VLAN_PRESENT:
                    raise UsageError(f"{written_name(name)} needs a VLAN: write dl_vlan=VID as well")
            elif given is None or (allowed and given not in allowed):
                hint = " or ".join(_hint(needed, value) for value in allowed) or f"{needed}=..."
                raise UsageError(f"{_WRITTEN.get(name) or written_name(name)} needs {hint} beside it")


def _hint(field: str, value: int) -> str:
    """How to write a prerequisite: its keyword where it has one."""
    for word, (eth_type, ip_proto) in _KEYWORDS.items():
        if ip_proto == value if field == "ip_proto" else eth_type == value and ip_proto is None:
            return word
    return f"{_WRITTEN.get(field) or written_name(field)}={value}"


def _address_field(match: Match, name: str) -> str:
    source = name.endswith("src")
    eth_type = match.get("eth_type")
    if eth_type == ETH_IPV6:
        raise UsageError(f"{name} is for IPv4 and ARP: write ipv6_{'src' if source else 'dst'}")
    if eth_type == ETH_ARP:
        return "arp_spa" if source else "arp_tpa"
    return "ipv4_src" if source else "ipv4_dst"


def _protocol_field(match: Match, _name: str) -> str:
    return "arp_op" if match.get("eth_type") == ETH_ARP else "ip_proto"


def _port_field(match: Match, name: str) -> str:
    protocol = match.get("ip_proto")
    if protocol not in _PORTS_BY_PROTO:
        raise UsageError(f"{name} needs tcp, udp or sctp (or tcp6, udp6, sctp6) beside it")
    return f"{_PORTS_BY_PROTO[protocol]}_{name.removeprefix('tp_')}"


def _icmp_field(match: Match, name: str) -> str:
    version = "icmpv6" if match.get("eth_type") == ETH_IPV6 else "icmpv4"
    return f"{version}_{name.removeprefix('icmp_')}"


_DEPENDENT: Mapping[str, Callable[[Match, str], str]] = {
    "nw_src": _address_field,
    "nw_dst": _address_field,
    "nw_proto": _protocol_field,
    "tp_src": _port_field,
    "tp_dst": _port_field,
    "icmp_type": _icmp_field,
    "icmp_code": _icmp_field,
}
"""Names whose field depends on the packet's kind."""


def _dl_vlan(match: Match, text: str) -> Match:
    vid = parse_number(text, 16, "dl_vlan")
    if vid == 0xFFFF:  # OFP_VLAN_NONE (OpenFlow 1.0, 5.2.3)
        return match.with_field("vlan_vid", 0)
    if vid > 0xFFF:
        raise UsageError(f"dl_vlan: {text!r} is not a VLAN: 0 to 4095, or 0xffff for untagged")
    return match.with_field("vlan_vid", VLAN_PRESENT | vid)


def _dl_vlan_pcp(match: Match, text: str) -> Match:
    pcp = parse_number(text, 3, "dl_vlan_pcp")
    if not FIELDS["vlan_vid"].get(match.mask) & VLAN_PRESENT:
        match = match.with_field("vlan_vid", VLAN_PRESENT, VLAN_PRESENT)
    return match.with_field("vlan_pcp", pcp)


def _vlan_tci(match: Match, text: str) -> Match:
    value_text, slash, mask_text = text.partition("/")
    value = parse_number(value_text, 16, "vlan_tci")
    mask = parse_number(mask_text, 16, "vlan_tci") if slash else 0xFFFF
    if value == 0 and mask == 0xFFFF:
        mask = 0x1FFF  # untagged: there is no priority to compare
    match = match.with_field("vlan_vid", value & 0x1FFF, mask & 0x1FFF)
    return match.with_field("vlan_pcp", value >> 13, mask >> 13)


def _nw_tos(match: Match, text: str) -> Match:
    tos = parse_number(text, 8, "nw_tos")
    if tos & 3:
        raise UsageError(f"nw_tos: {text!r} has ECN bits: write a multiple of 4, and nw_ecn for them")
    return match.with_field("ip_dscp", tos >> 2)


_SPECIAL: Mapping[str, Callable[[Match, str], Match]] = {
    "dl_vlan": _dl_vlan,
    "dl_vlan_pcp": _dl_vlan_pcp,
    "vlan_tci": _vlan_tci,
    "nw_tos": _nw_tos,
}
"""Names that are not one field."""

# Open vSwitch's order. vlan_vid and vlan_pcp are written together; what is not listed comes behind.
_ORDER = (
    *(f"reg{i}" for i in range(8)),
    "tunnel_id",
    "metadata",
    "in_port",
    "vlan_vid",
    "eth_src",
    "eth_dst",
    "eth_type",
    "ipv6_src",
    "ipv6_dst",
    "ipv6_flabel",
    "arp_spa",
    "arp_tpa",
    "ipv4_src",
    "ipv4_dst",
    "ip_proto",
    "arp_op",
    "arp_sha",
    "arp_tha",
    "ip_dscp",
    "ip_ecn",
    "ip_ttl",
    "mpls_label",
    "mpls_tc",
    "mpls_ttl",
    "mpls_bos",
    "ip_frag",
    "icmpv4_type",
    "icmpv4_code",
    "icmpv6_type",
    "icmpv6_code",
    "ipv6_nd_target",
    "ipv6_nd_sll",
    "ipv6_nd_tll",
    *(f"{protocol}_{side}" for protocol in _PORTS_BY_PROTO.values() for side in ("src", "dst")),
    "tcp_flags",
)
_RANK = {name: rank for rank, name in enumerate((*_ORDER, *(name for name in FIELDS if name not in _ORDER)))}

_WRITTEN = {
    "eth_src": "dl_src",
    "eth_dst": "dl_dst",
    "eth_type": "dl_type",
    "ipv4_src": "nw_src",
    "ipv4_dst": "nw_dst",
    "icmpv6_type": "icmp_type",
    "icmpv6_code": "icmp_code",
}


def format_match(match: Match) -> str:
    """The match as ovs-ofctl prints it; empty for one that matches everything."""
    fields = match.fields()
    terms = []
    if word := _keyword_of(match):
        terms.append(word)
        fields.pop("eth_type")
        if _KEYWORDS[word][1] is not None:
            fields.pop("ip_proto")
    for name in sorted(fields, key=_RANK.__getitem__):
        value, mask = fields[name]
        if name in ("vlan_vid", "vlan_pcp"):
            if name == "vlan_vid" or "vlan_vid" not in fields:
                terms += _format_vlan(match)
        else:
            terms.append(_format_term(match, name, value, mask))
    return ",".join(terms)


def _keyword_of(match: Match) -> str | None:
    eth_type, ip_proto = match.get("eth_type"), match.get("ip_proto")
    for word, (its_type, its_proto) in _KEYWORDS.items():
        if its_type == eth_type and its_proto in (None, ip_proto):
            return word
    return None


def _format_term(match: Match, name: str, value: int, mask: int) -> str:
    if name == "ip_dscp":
        return f"nw_tos={value << 2}"
    written = _WRITTEN.get(name) or written_name(name)
    protocol, _, side = name.partition("_")
    if side in ("src", "dst") and _PORTS_BY_PROTO.get(match.get("ip_proto") or 0) == protocol:
        written = f"tp_{side}"
    return f"{written}={format_value(FIELDS[name], value, mask)}"


def _format_vlan(match: Match) -> list[str]:
    """OpenFlow's two VLAN fields as Open vSwitch's words: dl_vlan, dl_vlan_pcp, or vlan_tci for anything else."""
    vid, vid_mask = FIELDS["vlan_vid"].get(match.value), FIELDS["vlan_vid"].get(match.mask)
    pcp, pcp_mask = FIELDS["vlan_pcp"].get(match.value), FIELDS["vlan_pcp"].get(match.mask)
    pcp_terms = [f"dl_vlan_pcp={pcp}"] if pcp_mask == 7 else []
    if vid & VLAN_PRESENT and pcp_mask in (0, 7):
        if vid_mask == 0x1FFF:
            return [f"dl_vlan={vid & 0xFFF}", *pcp_terms]
        if vid_mask == VLAN_PRESENT and pcp_terms:
            return pcp_terms
    tci, mask = vid | pcp << 13, vid_mask | pcp_mask << 13
    return [f"vlan_tci={tci:#06x}" if mask == 0xFFFF else f"vlan_tci={tci:#06x}/{mask:#06x}"]
