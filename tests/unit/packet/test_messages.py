"""ARP, neighbour discovery and DHCP messages, and captures."""

from __future__ import annotations

import io
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path

import pytest
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.utils import RawPcapNgReader, RawPcapReader

from inband.flow.fields import key_fields
from inband.packet import arp, dhcp, nd
from inband.packet.dhcp import DHCP_REPLY, DHCPV6_REPLY
from inband.packet.parse import parse
from inband.packet.pcap import PcapWriter
from inband.testing import packets
from inband.vocabulary.addresses import BROADCAST, Mac
from tests.unit.packet.scapy_oracle import recomputed

MAC, PEER = Mac.parse(packets.MAC_A), Mac.parse(packets.MAC_B)
SOURCE, TARGET = IPv6Address("fe80::1"), IPv6Address("fe80::1234:5678")


def test_an_arp_request_is_what_scapy_reads_in_it() -> None:
    frame = arp.build_arp(
        arp.REQUEST, MAC, IPv4Address("10.0.0.1"), Mac(0), IPv4Address("10.0.0.2"), BROADCAST, MAC, vlan=0x6005
    )

    packet = Ether(frame)
    message = packet[ARP]

    assert (packet.dst, packet[Dot1Q].vlan, packet[Dot1Q].prio) == ("ff:ff:ff:ff:ff:ff", 5, 3)
    assert (message.op, message.hwsrc, message.psrc) == (1, packets.MAC_A, "10.0.0.1")
    assert (message.hwdst, message.pdst) == ("00:00:00:00:00:00", "10.0.0.2")


def test_a_solicitation_goes_to_the_group_of_its_target() -> None:
    frame = nd.build_neighbour_solicitation(TARGET, SOURCE, MAC)

    packet = Ether(frame)

    assert packet.dst == "33:33:ff:34:56:78"
    assert (packet[IPv6].dst, packet[IPv6].hlim) == ("ff02::1:ff34:5678", 255)
    assert packet[ICMPv6ND_NS].tgt == str(TARGET)
    assert packet[ICMPv6NDOptSrcLLAddr].lladdr == packets.MAC_A
    assert frame == recomputed(frame)


def test_a_probe_goes_to_its_target_alone() -> None:
    packet = Ether(nd.build_neighbour_solicitation(TARGET, SOURCE, MAC, dst=PEER, vlan=7))

    assert (packet.dst, packet[IPv6].dst, packet[Dot1Q].vlan) == (packets.MAC_B, str(TARGET), 7)


def test_duplicate_address_detection_carries_no_link_address() -> None:
    packet = Ether(nd.build_neighbour_solicitation(TARGET, nd.UNSPECIFIED, MAC))

    assert ICMPv6NDOptSrcLLAddr not in packet
    assert packet[ICMPv6ND_NS].tgt == str(TARGET)


@pytest.mark.parametrize(("destination", "solicited"), [(SOURCE, 1), (nd.ALL_NODES, 0)])
def test_an_advertisement_is_solicited_when_it_goes_to_one(destination: IPv6Address, solicited: int) -> None:
    frame = nd.build_neighbour_advertisement(
        TARGET, TARGET, MAC, destination, dst=None if destination.is_multicast else PEER, router=True
    )

    message = Ether(frame)[ICMPv6ND_NA]

    assert (1, solicited, 1) == (message.R, message.S, message.O)
    assert message[ICMPv6NDOptDstLLAddr].lladdr == packets.MAC_A
    assert Ether(frame).dst == ("33:33:00:00:00:01" if destination.is_multicast else packets.MAC_B)
    assert frame == recomputed(frame)


def test_an_advertisement_can_speak_for_another() -> None:
    packet = Ether(nd.build_neighbour_advertisement(TARGET, TARGET, MAC, target_mac=PEER, solicited=True))

    assert packet[ICMPv6NDOptDstLLAddr].lladdr == packets.MAC_B
    assert packet[ICMPv6ND_NA].S == 1


@pytest.mark.parametrize(("source", "has_address"), [(SOURCE, True), (nd.UNSPECIFIED, False)])
def test_a_router_solicitation_goes_to_all_routers(source: IPv6Address, has_address: bool) -> None:
    frame = nd.build_router_solicitation(source, MAC)

    packet = Ether(frame)

    assert (packet.dst, packet[IPv6].dst) == ("33:33:00:00:00:02", "ff02::2")
    assert ICMPv6ND_RS in packet
    assert (ICMPv6NDOptSrcLLAddr in packet) == has_address
    assert frame == recomputed(frame)


def test_a_router_advertisement_is_what_scapy_reads_in_it() -> None:
    frame = nd.build_router_advertisement(SOURCE, MAC, IPv6Network("fd00:a::/64"), 1800)

    packet = Ether(frame)

    assert (packet.dst, packet[IPv6].src, packet[IPv6].dst) == ("33:33:00:00:00:01", str(SOURCE), "ff02::1")
    assert packet[IPv6].hlim == 255
    prefix = packet[ICMPv6NDOptPrefixInfo]
    assert packet[ICMPv6ND_RA].routerlifetime == prefix.validlifetime == prefix.preferredlifetime == 1800
    assert (prefix.prefix, prefix.prefixlen, prefix.L, prefix.A) == ("fd00:a::", 64, 1, 1)
    assert packet[ICMPv6NDOptSrcLLAddr].lladdr == str(MAC)
    assert frame == recomputed(frame)


def test_a_dhcp_reply_names_its_client() -> None:
    frame = packets.dhcp_reply(chaddr="02:00:00:00:00:77")

    assert DHCP_REPLY.matches(parse(frame, 1))
    assert dhcp.reply_chaddr(frame) == Mac.parse("02:00:00:00:00:77")
    assert dhcp.reply_chaddr(packets.vlan(frame, 4)) == Mac.parse("02:00:00:00:00:77")


def test_a_dhcp_request_is_no_reply() -> None:
    frame = packets.dhcp_request()

    assert not DHCP_REPLY.matches(parse(frame, 1))
    assert dhcp.reply_chaddr(frame) is None


def test_a_dhcp_reply_cut_anywhere_is_for_nobody() -> None:
    frame = packets.dhcp_reply()

    for size in range(len(frame)):
        assert dhcp.reply_chaddr(frame[:size]) is None


@pytest.mark.parametrize(("at", "value"), [(0, 1), (0, 3), (1, 6), (2, 16), (2, 5)])
def test_a_bootp_message_of_another_kind_is_for_nobody(at: int, value: int) -> None:
    frame = bytearray(packets.dhcp_reply())
    frame[42 + at] = value

    assert dhcp.reply_chaddr(bytes(frame)) is None


@pytest.mark.parametrize("size", [0, 34, 235])
def test_a_bootp_message_too_short_is_for_nobody(size: int) -> None:
    message = packets.dhcp_reply()[42:][:size]

    assert dhcp.reply_chaddr(packets.udp(src_port=67, dst_port=68, payload=message)) is None


def test_other_packets_are_no_dhcp_replies() -> None:
    for frame in (packets.tcp(src_port=67, dst_port=68), packets.arp_request(), packets.udp(*V6, 67, 68)):
        assert not DHCP_REPLY.matches(parse(frame, 1))
        assert dhcp.reply_chaddr(frame) is None


def test_dhcpv6_replies_are_known_by_their_ports() -> None:
    assert DHCPV6_REPLY.matches(parse(packets.udp(*V6, 547, 546), 1))
    assert not DHCPV6_REPLY.matches(parse(packets.udp(*V6, 546, 547), 1))
    assert not DHCPV6_REPLY.matches(parse(packets.udp(src_port=547, dst_port=546), 1))


V6 = (packets.IP6_A, packets.IP6_B)


def test_a_capture_has_every_frame_and_its_nanosecond(tmp_path: Path) -> None:
    path = tmp_path / "frames.pcap"

    with PcapWriter(path) as writer:
        writer.write(packets.tcp(), 1_700_000_000_123_456_789)
        writer.write(b"", 0)

    with RawPcapReader(str(path)) as reader:
        assert not isinstance(reader, RawPcapNgReader)
        assert reader.nano
        assert reader.linktype == 1
        (first, meta), (second, _) = list(reader)
    assert (first, second) == (packets.tcp(), b"")
    assert (meta.sec, meta.usec) == (1_700_000_000, 123_456_789)


def test_a_frame_longer_than_a_capture_holds_keeps_its_length() -> None:
    file = io.BytesIO()

    PcapWriter(file).write(bytes(0x50000), 0)

    record = file.getvalue()[24:40]
    assert int.from_bytes(record[8:12], "little") == 0x40000
    assert int.from_bytes(record[12:16], "little") == 0x50000


def test_a_file_given_open_stays_open() -> None:
    file = io.BytesIO()

    PcapWriter(file).close()

    assert not file.closed


def test_the_builders_of_tests_make_sound_packets() -> None:
    for frame in (
        packets.tcp(), packets.udp(), packets.sctp(), packets.icmp_echo(reply=True), packets.tcp(*V6),
        packets.udp(*V6), packets.icmp_echo(*V6, reply=True), packets.neighbour_solicitation(dst=packets.MAC_B),
        packets.neighbour_advertisement(), packets.router_solicitation(), packets.dhcp_reply(), packets.dhcp_request(),
    ):  # fmt: skip
        assert frame == recomputed(frame)
        assert "eth_type" in key_fields(parse(frame, 1))
