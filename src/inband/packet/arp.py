"""ARP messages for IPv4 over Ethernet (RFC 826)."""

from __future__ import annotations

from ipaddress import IPv4Address

from inband.packet.encode import ethernet
from inband.packet.parse import ARP_ETHERNET_IPV4
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_ARP

REQUEST, REPLY = 1, 2


def build_arp(
    op: int,
    sha: Mac,
    spa: IPv4Address,
    tha: Mac,
    tpa: IPv4Address,
    dst: Mac,
    src: Mac,
    vlan: int | None = None,
) -> bytes:
    """An ARP frame from ``src`` to ``dst``, in an 802.1Q tag with this TCI if one is given; not padded."""
    message = ARP_ETHERNET_IPV4 + op.to_bytes(2, "big") + sha.packed + spa.packed + tha.packed + tpa.packed
    return ethernet(dst, src, ETH_ARP, message, vlan=vlan)
