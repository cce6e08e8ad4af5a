"""IP packets as a simulated host reads them: no fragments, no options, no extension headers, as none are sent here."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from inband.packet import sums
from inband.packet.encode import pseudo_header_sum
from inband.packet.headers import ipv4_header_size, locate
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.numbers import IP_ICMP


class Packet(NamedTuple):
    """An IP packet that arrived; ``proto`` is the protocol of its payload."""

    source: IpAddress
    destination: IpAddress
    proto: int
    payload: bytes

    @property
    def is_whole(self) -> bool:
        """Whether the checksum is right of TCP, UDP or ICMP: a link may have spoilt it."""
        has_pseudo_header = self.proto != IP_ICMP
        covered = pseudo_header_sum(self.source, self.destination, self.proto, len(self.payload)) * has_pseudo_header
        return (sums.word_sum(self.payload) + covered) % 0xFFFF == 0


def read_packet(data: bytes, interface: str = "") -> Packet | None:
    """The IP packet in a frame, None when there is none or its header is spoilt.

    A link-local source gets ``interface`` as its scope (RFC 4007, 6).
    """
    layout = locate(data)
    at = layout.places.get("ipv4")
    if at is not None:
        payload_at = at + ipv4_header_size(data, at)
        if sums.word_sum(data[at:payload_at]):
            return None
        ends = IPv4Address(data[at + 12 : at + 16]), IPv4Address(data[at + 16 : at + 20])
        return Packet(*ends, data[at + 9], data[payload_at : layout.end])
    at = layout.places.get("ipv6")
    if at is None:
        return None
    source, destination = IPv6Address(data[at + 8 : at + 24]), IPv6Address(data[at + 24 : at + 40])
    if source.is_link_local and interface:
        source = IPv6Address(f"{source}%{interface}")
    return Packet(source, destination, data[at + 6], data[at + 40 : layout.end])
