"""Frames to flow keys: every field, every cut, trailing bytes, one row per way to be broken."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from inband.flow.fields import FRAG_ANY, FRAG_LATER, INNER_VLAN, VLAN_PRESENT, key_fields
from inband.packet.encode import ipv4
from inband.packet.parse import NO_ETH_TYPE, SNAP, parse, parse_checked
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_IPV4, ETH_IPV6

A, B = int(Mac.parse(packets.MAC_A)), int(Mac.parse(packets.MAC_B))
IP_A, IP_B = int(IPv4Address(packets.IP_A)), int(IPv4Address(packets.IP_B))
IP6_A, IP6_B = int(IPv6Address(packets.IP6_A)), int(IPv6Address(packets.IP6_B))

ETHERNET = {"in_port": 7, "eth_src": A, "eth_dst": B}
V4 = ETHERNET | {"eth_type": 0x0800, "ipv4_src": IP_A, "ipv4_dst": IP_B, "ip_ttl": 64}
V6 = ETHERNET | {"eth_type": 0x86DD, "ipv6_src": IP6_A, "ipv6_dst": IP6_B, "ip_ttl": 64}
SOLICITED_GROUP = {"eth_dst": 0x3333FF000002, "ipv6_dst": int(IPv6Address("ff02::1:ff00:2"))}

WHOLE = {
    "tcp": (packets.tcp(), V4 | {"ip_proto": 6, "tcp_src": 40000, "tcp_dst": 80, "tcp_flags": 2}),
    "tcp with all flags": (
        packets.tcp(flags=0xFFF),
        V4 | {"ip_proto": 6, "tcp_src": 40000, "tcp_dst": 80, "tcp_flags": 0xFFF},
    ),
    "udp": (packets.udp(), V4 | {"ip_proto": 17, "udp_src": 40000, "udp_dst": 53}),
    "dscp and ecn": (
        packets.udp(tos=0xB9),
        V4 | {"ip_dscp": 46, "ip_ecn": 1, "ip_proto": 17, "udp_src": 40000, "udp_dst": 53},
    ),
    "sctp": (packets.sctp(), V4 | {"ip_proto": 132, "sctp_src": 40000, "sctp_dst": 5000}),
    "icmp": (packets.icmp_echo(), V4 | {"ip_proto": 1, "icmpv4_type": 8}),
    "tcp over ipv6": (
        packets.tcp(packets.IP6_A, packets.IP6_B),
        V6 | {"ip_proto": 6, "tcp_src": 40000, "tcp_dst": 80, "tcp_flags": 2},
    ),
    "udp over ipv6 with traffic class": (
        packets.udp(packets.IP6_A, packets.IP6_B, tos=0xB9),
        V6 | {"ip_dscp": 46, "ip_ecn": 1, "ip_proto": 17, "udp_src": 40000, "udp_dst": 53},
    ),
    "sctp over ipv6": (
        packets.sctp(packets.IP6_A, packets.IP6_B),
        V6 | {"ip_proto": 132, "sctp_src": 40000, "sctp_dst": 5000},
    ),
    "icmpv6": (packets.icmp_echo(packets.IP6_A, packets.IP6_B), V6 | {"ip_proto": 58, "icmpv6_type": 128}),
    "neighbour solicitation": (
        packets.neighbour_solicitation(),
        V6 | SOLICITED_GROUP | {"ip_ttl": 255, "ip_proto": 58, "icmpv6_type": 135}
        | {"ipv6_nd_target": IP6_B, "ipv6_nd_sll": A},
    ),
    "neighbour advertisement": (
        packets.neighbour_advertisement(src=packets.MAC_A, dst=packets.MAC_B),
        V6 | {"ipv6_src": IP6_B, "ipv6_dst": IP6_A, "ip_ttl": 255, "ip_proto": 58, "icmpv6_type": 136}
        | {"ipv6_nd_target": IP6_B, "ipv6_nd_tll": A},
    ),
    "arp": (
        packets.arp_reply(src=packets.MAC_A, dst=packets.MAC_B),
        ETHERNET | {"eth_type": 0x0806, "arp_op": 2, "arp_spa": IP_B, "arp_tpa": IP_A, "arp_sha": A, "arp_tha": B},
    ),
    "mpls": (
        packets.ethernet(0x8847, bytes.fromhex("00064b40 12345140".replace(" ", ""))),
        ETHERNET | {"eth_type": 0x8847, "mpls_label": 100, "mpls_tc": 5, "mpls_bos": 1, "mpls_ttl": 64},
    ),
    "pbb": (
        packets.ethernet(0x88E7, bytes.fromhex("ff123456") + packets.tcp()),
        ETHERNET | {"eth_type": 0x88E7, "pbb_isid": 0x123456},
    ),
    "unknown type": (packets.ethernet(0x88CC, b"lldp"), ETHERNET | {"eth_type": 0x88CC}),
    "802.3 with snap": (
        packets.ethernet(36, SNAP + b"\x08\x06" + packets.arp_reply()[14:]),
        ETHERNET | {"eth_type": 0x0806, "arp_op": 2, "arp_spa": IP_B, "arp_tpa": IP_A, "arp_sha": B, "arp_tha": A},
    ),
    "802.3 without snap": (packets.ethernet(3, b"\x42\x42\x03"), ETHERNET | {"eth_type": NO_ETH_TYPE}),
    "snap of another organisation": (
        packets.ethernet(8, b"\xaa\xaa\x03\x00\x00\x0c\x20\x00"),
        ETHERNET | {"eth_type": NO_ETH_TYPE},
    ),
    "snap with a length as type": (
        packets.ethernet(8, SNAP + b"\x01\x00"),
        ETHERNET | {"eth_type": NO_ETH_TYPE},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_frame_gives_every_field(name: str) -> None:
    frame, expected = WHOLE[name]

    key, fault = parse_checked(frame, 7)

    assert key_fields(key) == expected
    assert fault is None


@pytest.mark.parametrize("name", WHOLE)
def test_trailing_bytes_change_nothing(name: str) -> None:
    frame, _ = WHOLE[name]

    assert parse(frame + bytes(18), 7) == parse(frame, 7)


@pytest.mark.parametrize("name", WHOLE)
def test_a_tagged_frame_has_the_fields_of_its_outermost_tag_and_the_type_behind_all_tags(name: str) -> None:
    frame, expected = WHOLE[name]
    tagged = packets.vlan(packets.vlan(frame, 5, 1), 100, 3, eth_type=0x88A8)

    key = parse(tagged, 7)

    assert key_fields(key) == expected | {"vlan_vid": 100 | VLAN_PRESENT, "vlan_pcp": 3}
    assert INNER_VLAN.get(key) == 1 << 13 | VLAN_PRESENT | 5
    assert INNER_VLAN.get(parse(packets.vlan(frame, 5), 1)) == 0
    assert INNER_VLAN.get(parse(packets.vlan(tagged, 7), 1)) == 3 << 13 | VLAN_PRESENT | 100


@pytest.mark.parametrize("name", WHOLE)
def test_a_frame_cut_anywhere_never_raises_and_claims_nothing_that_is_not_there(name: str) -> None:
    frame, expected = WHOLE[name]

    for size in range(len(frame)):
        fields = key_fields(parse(frame[:size], 7))
        for field, value in fields.items():
            assert value == expected.get(field) or (field == "eth_type" and value == NO_ETH_TYPE), (size, field)


def test_the_cfi_bit_is_not_part_of_the_vid() -> None:
    frame = packets.tcp()

    key = parse(frame[:12] + b"\x81\x00\xf0\x64" + frame[12:], 1)

    assert key_fields(key)["vlan_vid"] == 100 | VLAN_PRESENT


def test_priority_tags_are_tags() -> None:
    key = parse(packets.vlan(packets.tcp(), 0), 1)

    assert key_fields(key)["vlan_vid"] == VLAN_PRESENT


def _with(frame: bytes, at: int, value: int) -> bytes:
    return frame[:at] + bytes((value,)) + frame[at + 1 :]


TCP4 = packets.tcp()
TCP6 = packets.tcp(packets.IP6_A, packets.IP6_B)
NS = packets.neighbour_solicitation()

BROKEN = [
    (b"", "short ethernet"),
    (TCP4[:13], "short ethernet"),
    (packets.vlan(TCP4, 1)[:17], "short vlan"),
    (TCP4[:33], "short ipv4"),
    (_with(TCP4, 14, 0x65), "bad ipv4 version"),
    (_with(TCP4, 14, 0x44), "bad ipv4 header length"),
    (_with(TCP4, 14, 0x4F), "bad ipv4 total length"),
    (_with(TCP4, 17, 19), "bad ipv4 total length"),
    (TCP4[:-1], "bad ipv4 total length"),
    (TCP6[:53], "short ipv6"),
    (_with(TCP6, 14, 0x40), "bad ipv6 version"),
    (TCP6[:-1], "bad ipv6 payload length"),
    (_with(TCP4, 17, 39), "short tcp"),
    (_with(packets.udp(), 17, 27), "short udp"),
    (_with(packets.sctp(), 17, 31), "short sctp"),
    (_with(packets.icmp_echo(), 17, 27), "short icmp"),
    (_with(packets.icmp_echo(packets.IP6_A, packets.IP6_B), 19, 7), "short icmpv6"),
    (_with(NS, 19, 23), "short neighbour discovery"),
    (_with(NS, 79, 0), "bad neighbour discovery option"),
    (_with(NS, 79, 2), "bad neighbour discovery option"),
    (_with(NS, 19, 25), "bad neighbour discovery option"),
    (packets.arp_request()[:41], "short arp"),
    (_with(packets.arp_request(), 15, 2), "arp not for ipv4 over ethernet"),
    (_with(packets.arp_request(), 19, 16), "arp not for ipv4 over ethernet"),
    (packets.ethernet(0x8847, b"\0\0\0"), "short mpls"),
    (packets.ethernet(0x88E7, b"\0\0\0"), "short pbb"),
    (_with(TCP6, 20, 43)[:54] + b"\x06", "bad ipv6 payload length"),
    (packets.ethernet(0x86DD, bytes.fromhex("60000000 0004 3c40") + bytes(32) + b"\x06\x00\x00\x00"),
     "short ipv6 extension header"),
    (packets.ethernet(0x86DD, bytes.fromhex("60000000 0008 3c40") + bytes(32) + b"\x06\x01" + bytes(6)),
     "short ipv6 extension header"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "fault"), BROKEN)
def test_a_broken_frame_is_named_and_keeps_its_addresses(frame: bytes, fault: str) -> None:
    key, found = parse_checked(frame, 7)

    assert found == fault
    assert key_fields(key)["in_port"] == 7
    assert len(frame) < 14 or key_fields(key)["eth_type"] in (0x0800, 0x0806, 0x86DD, 0x8847, 0x88E7, 0x8100)


def test_a_broken_option_hides_the_link_address_but_not_the_target() -> None:
    fields = key_fields(parse(NS + b"", 1))

    broken = key_fields(parse(_with(NS, 79, 0), 1))

    assert broken == {name: value for name, value in fields.items() if name != "ipv6_nd_sll"}


def test_of_two_link_address_options_the_first_counts() -> None:
    second = bytes((1, 1)) + bytes.fromhex("0200000000ff")
    frame = _with(NS, 19, 40) + second

    assert key_fields(parse(frame, 1))["ipv6_nd_sll"] == A


def test_a_neighbour_solicitation_with_a_code_is_no_neighbour_discovery() -> None:
    fields = key_fields(parse(_with(NS, 55, 1), 1))

    assert "ipv6_nd_target" not in fields
    assert fields["icmpv6_code"] == 1


def test_padding_behind_an_ipv4_packet_is_not_a_transport_header() -> None:
    source, destination = IPv4Address(packets.IP_A), IPv4Address(packets.IP_B)
    frame = packets.ethernet(ETH_IPV4, ipv4(source, destination, 6, b"") + bytes(40))

    key, fault = parse_checked(frame, 1)

    assert "tcp_src" not in key_fields(key)
    assert fault == "short tcp"


@pytest.mark.parametrize(("word", "frag"), [(0x2000, FRAG_ANY), (0x2001, FRAG_ANY | FRAG_LATER), (0x0001, 3)])
def test_only_the_first_ipv4_fragment_has_ports(word: int, frag: int) -> None:
    source, destination = IPv4Address(packets.IP_A), IPv4Address(packets.IP_B)
    datagram = packets.udp()[34:]
    frame = packets.ethernet(ETH_IPV4, ipv4(source, destination, 17, datagram, fragment=word))

    fields = key_fields(parse(frame, 1))

    assert fields["ip_frag"] == frag
    assert fields["ip_proto"] == 17
    assert ("udp_dst" in fields) == (frag == FRAG_ANY)


def test_the_dont_fragment_bit_makes_no_fragment() -> None:
    source, destination = IPv4Address(packets.IP_A), IPv4Address(packets.IP_B)
    frame = packets.ethernet(ETH_IPV4, ipv4(source, destination, 17, packets.udp()[34:], fragment=0x4000))

    assert "ip_frag" not in key_fields(parse(frame, 1))


def test_ipv4_options_are_skipped() -> None:
    frame = packets.udp()
    with_options = frame[:14] + b"\x46" + frame[15:17] + bytes((frame[17] + 4,)) + frame[18:34] + bytes(4) + frame[34:]

    assert key_fields(parse(with_options, 1))["udp_dst"] == 53


def test_a_frame_of_nothing_but_tags_ends_at_the_bound() -> None:
    frame = packets.tcp()[:12] + b"\x81\x00\x00\x01" * 10000

    key, fault = parse_checked(frame, 1)

    assert key_fields(key)["eth_type"] == 0x8100
    assert fault is None


def test_an_ipv6_header_of_another_type_is_not_read() -> None:
    frame = packets.ethernet(ETH_IPV6, packets.tcp()[14:] + bytes(40))

    assert parse_checked(frame, 1)[1] == "bad ipv6 version"
