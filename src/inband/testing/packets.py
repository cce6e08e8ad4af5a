"""Frames for tests, readable: ``tcp("10.0.0.1", "10.0.0.2", 4000, 6653)``.

Everything has a default, addresses are text, checksums are right. Both IP versions go through the same builders: give
IPv6 addresses and get IPv6. Wrap a frame with ``vlan``; take what a veth interface would deliver with ``offloaded``.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from inband.packet import arp, encode, nd, sums
from inband.packet.frame import Frame, GsoType, Offload
from inband.packet.headers import locate
from inband.packet.tags import insert_vlan
from inband.vocabulary.addresses import BROADCAST, Mac, parse_ip
from inband.vocabulary.numbers import DHCP_CLIENT, DHCP_SERVER, ETH_VLAN, IP_ICMP, IP_ICMPV6, IP_SCTP, IP_TCP, IP_UDP

MAC_A, MAC_B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
IP_A, IP_B = "10.0.0.1", "10.0.0.2"
IP6_A, IP6_B = "2001:db8::1", "2001:db8::2"


def ethernet(eth_type: int, payload: bytes = b"", *, src: str = MAC_A, dst: str = MAC_B) -> bytes:
    """A frame with any payload."""
    return encode.ethernet(Mac.parse(dst), Mac.parse(src), eth_type, payload)


def tcp(
    src_ip: str = IP_A,
    dst_ip: str = IP_B,
    src_port: int = 40000,
    dst_port: int = 80,
    payload: bytes = b"",
    *,
    src: str = MAC_A,
    dst: str = MAC_B,
    flags: int = 0x02,
    sequence: int = 1,
    ttl: int = 64,
    tos: int = 0,
) -> bytes:
    """A TCP segment, a SYN unless said."""
    a, b = parse_ip(src_ip), parse_ip(dst_ip)
    segment = encode.tcp(a, b, src_port, dst_port, payload, flags=flags, sequence=sequence)
    packet = encode.ip(a, b, IP_TCP, segment, ttl=ttl, tos=tos)
    return ethernet(encode.eth_type_of(a), packet, src=src, dst=dst)


def udp(
    src_ip: str = IP_A,
    dst_ip: str = IP_B,
    src_port: int = 40000,
    dst_port: int = 53,
    payload: bytes = b"",
    *,
    src: str = MAC_A,
    dst: str = MAC_B,
    ttl: int = 64,
    tos: int = 0,
) -> bytes:
    """A UDP datagram."""
    a, b = parse_ip(src_ip), parse_ip(dst_ip)
    datagram = encode.udp(a, b, src_port, dst_port, payload)
    packet = encode.ip(a, b, IP_UDP, datagram, ttl=ttl, tos=tos)
    return ethernet(encode.eth_type_of(a), packet, src=src, dst=dst)


def sctp(
    src_ip: str = IP_A,
    dst_ip: str = IP_B,
    src_port: int = 40000,
    dst_port: int = 5000,
    chunks: bytes = b"",
    *,
    src: str = MAC_A,
    dst: str = MAC_B,
) -> bytes:
    """An SCTP packet."""
    a, b = parse_ip(src_ip), parse_ip(dst_ip)
    packet = encode.ip(a, b, IP_SCTP, encode.sctp(src_port, dst_port, chunks))
    return ethernet(encode.eth_type_of(a), packet, src=src, dst=dst)


def icmp_echo(
    src_ip: str = IP_A,
    dst_ip: str = IP_B,
    *,
    reply: bool = False,
    sequence: int = 1,
    payload: bytes = b"",
    src: str = MAC_A,
    dst: str = MAC_B,
    ttl: int = 64,
) -> bytes:
    """A ping or its answer (RFC 792; RFC 4443, 4.1)."""
    a, b = parse_ip(src_ip), parse_ip(dst_ip)
    body = (1).to_bytes(2, "big") + sequence.to_bytes(2, "big") + payload
    if a.version == 4:
        packet = encode.ip(a, b, IP_ICMP, encode.icmpv4(0 if reply else 8, 0, body), ttl=ttl)
    else:
        packet = encode.ip(a, b, IP_ICMPV6, encode.icmpv6(a, b, 129 if reply else 128, 0, body), ttl=ttl)
    return ethernet(encode.eth_type_of(a), packet, src=src, dst=dst)


def arp_request(
    sender_ip: str = IP_A, target_ip: str = IP_B, *, src: str = MAC_A, dst: str = "ff:ff:ff:ff:ff:ff"
) -> bytes:
    """An ARP request, broadcast unless said."""
    mac = Mac.parse(src)
    spa, tpa = IPv4Address(sender_ip), IPv4Address(target_ip)
    return arp.build_arp(arp.REQUEST, mac, spa, Mac(0), tpa, Mac.parse(dst), mac)


def arp_reply(sender_ip: str = IP_B, target_ip: str = IP_A, *, src: str = MAC_B, dst: str = MAC_A) -> bytes:
    """An ARP reply: ``sender_ip`` is at ``src``."""
    mac, to = Mac.parse(src), Mac.parse(dst)
    return arp.build_arp(arp.REPLY, mac, IPv4Address(sender_ip), to, IPv4Address(target_ip), to, mac)


def neighbour_solicitation(
    source_ip: str = IP6_A, target_ip: str = IP6_B, *, src: str = MAC_A, dst: str | None = None
) -> bytes:
    """A neighbour solicitation, to the solicited-node group unless ``dst`` is given."""
    return nd.build_neighbour_solicitation(
        IPv6Address(target_ip), IPv6Address(source_ip), Mac.parse(src), dst=Mac.parse(dst) if dst else None
    )


def neighbour_advertisement(
    target_ip: str = IP6_B, destination_ip: str = IP6_A, *, src: str = MAC_B, dst: str = MAC_A
) -> bytes:
    """A solicited neighbour advertisement: ``target_ip`` is at ``src``."""
    target = IPv6Address(target_ip)
    return nd.build_neighbour_advertisement(
        target, target, Mac.parse(src), IPv6Address(destination_ip), dst=Mac.parse(dst)
    )


def router_solicitation(source_ip: str = "fe80::1", *, src: str = MAC_A) -> bytes:
    """A router solicitation."""
    return nd.build_router_solicitation(IPv6Address(source_ip), Mac.parse(src))


def router_advertisement(
    router_ip: str = "fe80::1", *, src: str = MAC_B, dst: str = "33:33:00:00:00:01", target: str = "ff02::1"
) -> bytes:
    """A router advertisement without options, to all nodes unless said."""
    a, b = IPv6Address(router_ip), IPv6Address(target)
    # hop limit 64, no flags, a lifetime of 1800 s, no times (RFC 4861, 4.2)
    body = encode.icmpv6(a, b, 134, 0, bytes((64, 0)) + (1800).to_bytes(2, "big") + bytes(8))
    return ethernet(encode.eth_type_of(a), encode.ip(a, b, IP_ICMPV6, body, ttl=255), src=src, dst=dst)


def listener_query(*, src: str = MAC_B) -> bytes:
    """A general query of multicast listener discovery, version 2 (RFC 3810, 5.1), from fe80::1."""
    a, b = IPv6Address("fe80::1"), IPv6Address("ff02::1")
    query = encode.icmpv6(a, b, 130, 0, bytes(4 + 16 + 4))
    router_alert = bytes((IP_ICMPV6, 0, 5, 2, 0, 0, 1, 0))  # RFC 2711, 2.1, in a hop-by-hop header
    return ethernet(
        encode.eth_type_of(a), encode.ip(a, b, 0, router_alert + query, ttl=1), src=src, dst="33:33:00:00:00:01"
    )


def dhcp_request(*, chaddr: str = MAC_A, src: str = MAC_A) -> bytes:
    """A DHCP discover, broadcast from 0.0.0.0."""
    message = _bootp(1, chaddr, "0.0.0.0", kind=1)
    ports = (DHCP_CLIENT, DHCP_SERVER)
    return udp("0.0.0.0", "255.255.255.255", *ports, message, src=src, dst=str(BROADCAST))


def dhcp_reply(
    *, chaddr: str = MAC_A, your_ip: str = IP_A, server_ip: str = IP_B, src: str = MAC_B, dst: str = str(BROADCAST)
) -> bytes:
    """A DHCP acknowledgement for ``chaddr``."""
    message = _bootp(2, chaddr, your_ip, kind=5)
    ports = (DHCP_SERVER, DHCP_CLIENT)
    return udp(server_ip, "255.255.255.255", *ports, message, src=src, dst=dst)


def _bootp(op: int, chaddr: str, your_ip: str, *, kind: int) -> bytes:
    """A DHCP message with nothing but its type as option (RFC 2131, 2; RFC 2132, 9.6)."""
    addresses = bytes(4) + IPv4Address(your_ip).packed + bytes(8)
    hardware = Mac.parse(chaddr).packed.ljust(16, b"\0")
    fixed = bytes((op, 1, 6, 0)) + b"\x12\x34\x56\x78" + bytes(4) + addresses + hardware + bytes(64 + 128)
    return fixed + b"\x63\x82\x53\x63" + bytes((53, 1, kind, 255))


def vlan(frame: bytes, vid: int, pcp: int = 0, *, eth_type: int = ETH_VLAN) -> bytes:
    """The frame with one more tag outside."""
    return insert_vlan(frame, pcp << 13 | vid, eth_type)


def offloaded(frame: bytes, gso_size: int = 0) -> Frame:
    """What a veth interface delivers for a TCP or UDP frame: half a checksum and, with ``gso_size``, work to cut."""
    layout = locate(frame)
    name, offset, proto = ("tcp", 16, IP_TCP) if "tcp" in layout.places else ("udp", 6, IP_UDP)
    start = layout.places[name]
    ip_at = layout.places.get("ipv4") or layout.places["ipv6"]
    first, size = (ip_at + 12, 4) if "ipv4" in layout.places else (ip_at + 8, 16)
    src, dst = (_address(frame[at : at + size]) for at in (first, first + size))
    partial = sums.fold(encode.pseudo_header_sum(src, dst, proto, layout.end - start))
    data = frame[: start + offset] + partial.to_bytes(2, "big") + frame[start + offset + 2 :]
    if not gso_size:
        return Frame(data, Offload(start, offset))
    gso_type = GsoType.UDP_L4 if name == "udp" else GsoType.TCPV4 if size == 4 else GsoType.TCPV6
    header = 8 if name == "udp" else (frame[start + 12] >> 4) * 4
    return Frame(data, Offload(start, offset, gso_type, gso_size, start + header))


def big_tcp(
    src_ip: str = IP_A, dst_ip: str = IP_B, payload: bytes = b"", *, gso_size: int, has_jumbo_header: bool = False
) -> Frame:
    """A TCP segment of more than 64 kB that waits to be cut (Linux's BIG TCP), perhaps with the header of RFC 2675."""
    small = tcp(src_ip, dst_ip, payload=b"", flags=0x18)
    layout = locate(small)
    start, a, b = layout.places["tcp"], parse_ip(src_ip), parse_ip(dst_ip)
    if a.version == 4:
        header = bytearray(small[14:start])
        header[2:4] = header[10:12] = bytes(2)
        header[10:12] = sums.checksum(header).to_bytes(2, "big")
    else:
        header = bytearray(small[14:18] + bytes(2) + small[20:start])
        if has_jumbo_header:
            size = 8 + len(small) - start + len(payload)
            header[6] = 0
            header += bytes((IP_TCP, 0, 0xC2, 4)) + size.to_bytes(4, "big")
    partial = sums.fold(encode.pseudo_header_sum(a, b, IP_TCP, len(small) - start + len(payload)))
    segment = small[start : start + 16] + partial.to_bytes(2, "big") + small[start + 18 :] + payload
    at = 14 + len(header)
    kind = GsoType.TCPV4 if a.version == 4 else GsoType.TCPV6
    return Frame(small[:14] + bytes(header) + segment, Offload(at, 16, kind, gso_size, at + 20))


def _address(packed: bytes) -> IPv4Address | IPv6Address:
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)
