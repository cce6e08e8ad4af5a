"""Frames for :mod:`lab.probe`, as bytes, built by hand and not by the switch's own code."""

from __future__ import annotations

import ipaddress
import struct

BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES_MAC = "33:33:00:00:00:01"
_TCP_RST = 0x04

CALLER = 40_000
"""The port that TCP segments come from."""


def tcp_reset(eth_src: str, eth_dst: str, ip_src: str, ip_dst: str, port: int) -> bytes:
    """Return a TCP segment to a port: RST, because no kernel answers it."""
    tcp = struct.pack("!HHIIBBHHH", CALLER, port, 1, 0, 5 << 4, _TCP_RST, 0, 0, 0)
    return _ethernet(eth_src, eth_dst, 0x0800) + _ipv4(ip_src, ip_dst, 6, _with_sum(ip_src, ip_dst, 6, tcp, 16))


def udp(eth_src: str, eth_dst: str, ip_src: str, ip_dst: str, payload: bytes) -> bytes:
    """Return a UDP datagram, without a checksum."""
    datagram = struct.pack("!HHHH", 4000, 5000, 8 + len(payload), 0) + payload
    return _ethernet(eth_src, eth_dst, 0x0800) + _ipv4(ip_src, ip_dst, 17, datagram)


def dhcp_reply(eth_src: str, eth_dst: str, ip_src: str, ip_dst: str, chaddr: str) -> bytes:
    """Return a DHCP OFFER (UDP 67 to 68) for the host with this hardware address."""
    bootp = struct.pack("!BBBBIHHIIII", 2, 1, 6, 0, 7, 0, 0x8000, 0, 0, 0, 0) + _mac(chaddr) + bytes(10 + 64 + 128)
    options = bytes.fromhex("63825363 350102 ff")
    udp = struct.pack("!HHHH", 67, 68, 8 + len(bootp) + len(options), 0) + bootp + options
    return _ethernet(eth_src, eth_dst, 0x0800) + _ipv4(ip_src, ip_dst, 17, udp)


def arp_request(eth_src: str, ip_src: str, ip_dst: str) -> bytes:
    """Return a broadcast ARP request."""
    fixed = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    body = fixed + _mac(eth_src) + _ip(ip_src) + bytes(6) + _ip(ip_dst)
    return _ethernet(eth_src, BROADCAST, 0x0806) + body + bytes(18)  # padded as a wire pads it


def arp_reply(eth_src: str, ip_src: str, to: str = BROADCAST) -> bytes:
    """Return an ARP reply that no one asked for, which says that an address is at ``eth_src``."""
    fixed = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2)
    body = fixed + _mac(eth_src) + _ip(ip_src) + _mac(to) + _ip(ip_src)
    return _ethernet(eth_src, to, 0x0806) + body + bytes(18)  # padded as a wire pads it


def neighbour_solicitation(eth_src: str, ip_src: str, target: str) -> bytes:
    """Return a question for a neighbour, to the group that its address is in (RFC 4861, 4.3)."""
    group = ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13] + ipaddress.IPv6Address(target).packed[13:]
    body = bytes(4) + _ip(target) + struct.pack("!BB", 1, 1) + _mac(eth_src)
    to = f"33:33:ff:{group[13]:02x}:{group[14]:02x}:{group[15]:02x}"
    return _ethernet(eth_src, to, 0x86DD) + _icmpv6(ip_src, str(ipaddress.IPv6Address(group)), 135, body)


def router_advertisement(
    eth_src: str, ip_src: str, lifetime_s: int, preference: str = "medium", hop_limit: int = 64
) -> bytes:
    """Return a router's word that it is one (RFC 4861, 4.2; preferences: RFC 4191, 2.2); a lifetime of 0 ends that."""
    flags = {"low": 0b11, "medium": 0b00, "high": 0b01}[preference] << 3
    body = struct.pack("!BBHII", hop_limit, flags, lifetime_s, 0, 0) + struct.pack("!BB", 1, 1) + _mac(eth_src)
    return _ethernet(eth_src, ALL_NODES_MAC, 0x86DD) + _icmpv6(ip_src, "ff02::1", 134, body)


def _icmpv6(src: str, dst: str, kind: int, body: bytes) -> bytes:
    message = _with_sum(src, dst, 58, struct.pack("!BBH", kind, 0, 0) + body, 2)
    return struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + _ip(src) + _ip(dst) + message


def _ethernet(src: str, dst: str, eth_type: int) -> bytes:
    return _mac(dst) + _mac(src) + struct.pack("!H", eth_type)


def _ipv4(src: str, dst: str, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + _ip(src) + _ip(dst)
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + payload


def _with_sum(src: str, dst: str, protocol: int, segment: bytes, at: int) -> bytes:
    pseudo = _ip(src) + _ip(dst) + struct.pack("!II", protocol, len(segment))  # IPv6's words; IPv4's sum is the same
    return segment[:at] + struct.pack("!H", _sum(pseudo + segment)) + segment[at + 2 :]


def _sum(data: bytes) -> int:
    total = sum(int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _ip(text: str) -> bytes:
    return ipaddress.ip_address(text).packed
