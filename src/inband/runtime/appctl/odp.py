"""Cached decisions in the syntax of ``ovs-dpctl dump-flows``, which scripts and ovs-dpctl-top(8) read.

A match is one word per header (``eth(...)``, ``ipv4(...)``), an inner one of a tagged packet within ``encap(...)``.
Ports are those of the datapath: numbers of ours are OpenFlow's, but LOCAL is 0, as the kernel's module of Open vSwitch
has it. ``dpif/show`` says which is which.

Source: ovs-dpctl(8), ovs-actions(7); facts observed of Open vSwitch 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import assert_never

from inband.flow.actions import (
    Clone,
    DatapathAction,
    HeaderAction,
    Meter,
    Output,
    PopMpls,
    PopQueue,
    PopVlan,
    PushMpls,
    PushVlan,
    SetField,
    SetNwTtl,
    SetQueue,
    ToController,
)
from inband.flow.fields import FIELDS, INNER_VLAN, VLAN_PRESENT
from inband.flow.match import Match
from inband.flow.ports import LOCAL, PortNo, port_number
from inband.flow.text_actions import format_action
from inband.flow.text_fields import format_value
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

LOCAL_PORT = 0
"""LOCAL's number in the datapath."""

PortText = Callable[[PortNo], str]
"""How a port is written: its number in the datapath, or its name."""

_FRAGMENTS = {0: "no", 1: "first", 3: "later"}
_TRANSPORT = {IP_TCP: "tcp", IP_UDP: "udp", IP_SCTP: "sctp"}
_MPLS_NAMES = (("label", "mpls_label"), ("tc", "mpls_tc"), ("ttl", "mpls_ttl"), ("bos", "mpls_bos"))
_ARP_NAMES = (("sip", "arp_spa"), ("tip", "arp_tpa"), ("op", "arp_op"), ("sha", "arp_sha"), ("tha", "arp_tha"))
_ND_NAMES = (("target", "ipv6_nd_target"), ("sll", "ipv6_nd_sll"), ("tll", "ipv6_nd_tll"))


def datapath_port(port: PortNo) -> int:
    """A port's number in the datapath."""
    return LOCAL_PORT if port == LOCAL else int(port)


def format_odp_match(match: Match, port_text: PortText) -> str:
    """A match, without blanks: ``recirc_id(0),in_port(1),eth(...),eth_type(0x0800),ipv4(...)``."""
    words = ["recirc_id(0)"]
    if FIELDS["in_port"].get(match.mask):
        words.append(f"in_port({port_text(port_number(FIELDS['in_port'].get(match.value)))})")
    words += _word(match, "eth", (("src", "eth_src"), ("dst", "eth_dst")))
    rest = [f"eth_type({match.get('eth_type'):#06x})"] if match.get("eth_type") is not None else []
    rest += _network(match)
    for shift in (INNER_VLAN.shift, FIELDS["vlan_vid"].shift):
        rest = _behind_tag(match.value >> shift & 0xFFFF, match.mask >> shift & 0xFFFF, rest)
    return ",".join([*words, *rest])


def _behind_tag(value: int, mask: int, rest: list[str]) -> list[str]:
    """The words for a tag (PCP, OFPVID_PRESENT, VID) and what is behind it; without one, what would be."""
    if not value & mask & VLAN_PRESENT:
        return rest
    vid, vid_mask, pcp_bits = value & 0xFFF, mask & 0xFFF, FIELDS["vlan_vid"].bits
    parts = [f"vid={vid}" if vid_mask == 0xFFF else f"vid={vid:#x}/{vid_mask:#x}"] if vid_mask else []
    if mask >> pcp_bits:
        parts.append(f"pcp={value >> pcp_bits}")
    return ["eth_type(0x8100)", f"vlan({','.join(parts)})", f"encap({','.join(rest)})"]


def _network(match: Match) -> Iterator[str]:
    eth_type = match.get("eth_type")
    if eth_type in (ETH_IPV4, ETH_IPV6):
        version = "ipv4" if eth_type == ETH_IPV4 else "ipv6"
        if parts := ",".join(_ip_parts(match, version)):
            yield f"{version}({parts})"
        yield from _transport(match)
    elif eth_type == ETH_ARP:
        yield from _word(match, "arp", _ARP_NAMES)
    elif eth_type in (ETH_MPLS, ETH_MPLS_MC):
        yield from _word(match, "mpls", _MPLS_NAMES)


def _ip_parts(match: Match, version: str) -> Iterator[str]:
    yield from _parts(match, (("src", f"{version}_src"), ("dst", f"{version}_dst")))
    if version == "ipv6":
        yield from _parts(match, (("label", "ipv6_flabel"),))
    yield from _parts(match, (("proto", "ip_proto"),))
    dscp, ecn = FIELDS["ip_dscp"], FIELDS["ip_ecn"]
    tos, mask = dscp.get(match.value) << 2 | ecn.get(match.value), dscp.get(match.mask) << 2 | ecn.get(match.mask)
    if mask:
        yield f"{'tos' if version == 'ipv4' else 'tclass'}={tos:#x}" + ("" if mask == 0xFF else f"/{mask:#x}")
    yield from _parts(match, (("ttl" if version == "ipv4" else "hlimit", "ip_ttl"),))
    if FIELDS["ip_frag"].get(match.mask):
        yield f"frag={_FRAGMENTS.get(FIELDS['ip_frag'].get(match.value), 'no')}"


def _transport(match: Match) -> Iterator[str]:
    proto = match.get("ip_proto")
    if proto in _TRANSPORT:
        name = _TRANSPORT[proto]
        yield from _word(match, name, (("src", f"{name}_src"), ("dst", f"{name}_dst")))
        if proto == IP_TCP and FIELDS["tcp_flags"].get(match.mask):
            flags = FIELDS["tcp_flags"]
            yield f"tcp_flags({format_value(flags, flags.get(match.value), flags.get(match.mask))})"
    elif proto == IP_ICMP:
        yield from _word(match, "icmp", (("type", "icmpv4_type"), ("code", "icmpv4_code")))
    elif proto == IP_ICMPV6:
        yield from _word(match, "icmpv6", (("type", "icmpv6_type"), ("code", "icmpv6_code")))
        yield from _word(match, "nd", _ND_NAMES)


def _word(match: Match, word: str, names: Iterable[tuple[str, str]]) -> list[str]:
    parts = ",".join(_parts(match, names))
    return [f"{word}({parts})"] if parts else []


def _parts(match: Match, names: Iterable[tuple[str, str]]) -> Iterator[str]:
    for written, name in names:
        field = FIELDS[name]
        mask = field.get(match.mask)
        if mask:
            yield f"{written}={format_value(field, field.get(match.value), mask)}"


def format_odp_actions(actions: Iterable[DatapathAction], port_text: PortText) -> str:
    """Actions, separated by commas; ``drop`` for none."""
    return ",".join(_action(action, port_text) for action in actions) or "drop"


def _action(action: DatapathAction, port_text: PortText) -> str:
    match action:
        case Output():
            return port_text(action.port)
        case ToController():
            return f"userspace(pid=0,controller(reason={int(action.reason)},max_len={action.max_len}))"
        case SetQueue():
            return f"set(skb_priority({1 << 16 | action.queue_id + 1:#x}))"
        case PopQueue():
            return "set(skb_priority(0))"
        case Clone():
            return f"clone({format_odp_actions(action.actions, port_text)})"
        case Meter():
            return f"meter({action.meter_id})"
        case _ if isinstance(action, HeaderAction):
            return _edit(action)
        case _:
            assert_never(action)


_SET_WORDS = {
    **{name: ("eth", part) for part, name in (("src", "eth_src"), ("dst", "eth_dst"))},
    **{name: ("ipv4", part) for part, name in (("src", "ipv4_src"), ("dst", "ipv4_dst"), ("ttl", "ip_ttl"))},
    **{name: ("ipv6", part) for part, name in (("src", "ipv6_src"), ("dst", "ipv6_dst"), ("label", "ipv6_flabel"))},
    **{f"{word}_{part}": (word, part) for word in _TRANSPORT.values() for part in ("src", "dst")},
    **{name: ("arp", part) for part, name in _ARP_NAMES},
    **{name: ("mpls", part) for part, name in _MPLS_NAMES},
    **{name: ("nd", part) for part, name in _ND_NAMES},
}
"""Fields that an action can set, each with its header and its name there; others are written as ovs-ofctl does."""


def _edit(action: HeaderAction) -> str:
    match action:
        case PushVlan(eth_type):
            return f"push_vlan(tpid={eth_type:#06x},vid=0,pcp=0)"
        case PushMpls(eth_type):
            return f"push_mpls(eth_type={eth_type:#06x})"
        case PopMpls(eth_type):
            return f"pop_mpls(eth_type={eth_type:#06x})"
        case PopVlan():
            return "pop_vlan"
        case SetNwTtl(ttl):
            return f"set(ipv4(ttl={ttl}))"
        case SetField("vlan_vid", value):
            return f"set(vlan(vid={value & 0xFFF}))"
        case SetField(name, value, mask) if name in _SET_WORDS:
            word, part = _SET_WORDS[name]
            return f"set({word}({part}={format_value(FIELDS[name], value, mask or FIELDS[name].all_ones)}))"
        case _:
            return format_action(action)
