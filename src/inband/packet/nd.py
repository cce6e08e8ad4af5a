"""Neighbour discovery messages, IPv6's ARP and more (RFC 4861). They leave with hop limit 255 or are not believed."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from struct import Struct

from inband.packet.encode import ethernet, icmpv6, ip
from inband.packet.parse import SOURCE_LINK_ADDRESS, TARGET_LINK_ADDRESS
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import (
    ETH_IPV6,
    IP_ICMPV6,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    ROUTER_ADVERTISEMENT,
    ROUTER_SOLICITATION,
)

ALL_NODES = IPv6Address("ff02::1")
ALL_ROUTERS = IPv6Address("ff02::2")
UNSPECIFIED = IPv6Address("::")

_HOP_LIMIT = 255
_SOLICITED_NODE = int(IPv6Address("ff02::1:ff00:0"))

# A router's advertisement: hop limit, flags, lifetime, times; and its prefix: type, length, flags, lifetimes.
_ADVERTISEMENT, _PREFIX = Struct("!BBHII"), Struct("!BBBBII4x")
_HOPS_FOR_HOSTS = 64
_ON_LINK, _AUTONOMOUS = 0x80, 0x40

# Flags of a neighbour's advertisement (RFC 4861, 4.4).
_ROUTER, _SOLICITED, _OVERRIDE = 1 << 31, 1 << 30, 1 << 29


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The group in which the owner of an address listens for solicitations of it (RFC 4291, 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE | int(address) & 0xFFFFFF)


def multicast_mac(group: IPv6Address) -> Mac:
    """The Ethernet address of a multicast group (RFC 2464, 7)."""
    return Mac(0x333300000000 | int(group) & 0xFFFFFFFF)


def build_neighbour_solicitation(
    target: IPv6Address,
    source: IPv6Address,
    src: Mac,
    *,
    dst: Mac | None = None,
    vlan: int | None = None,
) -> bytes:
    """Ask who has ``target``: its solicited-node group, or, when its MAC ``dst`` is given, it alone (a probe).

    From ``::`` it is duplicate address detection, which must not carry a link-layer address (RFC 4862, 5.4.2).
    """
    destination = solicited_node(target) if dst is None else target
    option = b"" if source == UNSPECIFIED else _link_address(SOURCE_LINK_ADDRESS, src)
    body = bytes(4) + target.packed + option
    return _frame(NEIGHBOUR_SOLICITATION, body, source, destination, src, dst, vlan)


def build_neighbour_advertisement(
    target: IPv6Address,
    source: IPv6Address,
    src: Mac,
    destination: IPv6Address = ALL_NODES,
    *,
    dst: Mac | None = None,
    target_mac: Mac | None = None,
    router: bool = False,
    solicited: bool | None = None,
    override: bool = True,
    vlan: int | None = None,
) -> bytes:
    """Say that ``target`` is at ``target_mac`` (``src`` unless given).

    ``dst`` may be left out for a multicast destination. ``solicited`` is so for unicast destinations unless said.
    """
    is_solicited = not destination.is_multicast if solicited is None else solicited
    flags = _ROUTER * router | _SOLICITED * is_solicited | _OVERRIDE * override
    address = _link_address(TARGET_LINK_ADDRESS, src if target_mac is None else target_mac)
    body = flags.to_bytes(4, "big") + target.packed + address
    return _frame(NEIGHBOUR_ADVERTISEMENT, body, source, destination, src, dst, vlan)


def build_router_solicitation(source: IPv6Address, src: Mac, *, vlan: int | None = None) -> bytes:
    """Ask all routers to advertise now; without a link-layer address when from ``::``."""
    option = b"" if source == UNSPECIFIED else _link_address(SOURCE_LINK_ADDRESS, src)
    return _frame(ROUTER_SOLICITATION, bytes(4) + option, source, ALL_ROUTERS, src, None, vlan)


def build_router_advertisement(source: IPv6Address, src: Mac, prefix: IPv6Network, lifetime_s: int) -> bytes:
    """Say to all nodes that there is a router, and that addresses may be made of ``prefix`` (RFC 4861, 4.2 and 4.6.2).

    ``lifetime_s`` (up to 65,535) is for the router and the prefix; 0: it is none any more.
    """
    body = _ADVERTISEMENT.pack(_HOPS_FOR_HOSTS, 0, lifetime_s, 0, 0) + _link_address(SOURCE_LINK_ADDRESS, src)
    body += _PREFIX.pack(3, 4, prefix.prefixlen, _ON_LINK | _AUTONOMOUS, lifetime_s, lifetime_s)
    return _frame(ROUTER_ADVERTISEMENT, body + prefix.network_address.packed, source, ALL_NODES, src, None, None)


def _link_address(kind: int, mac: Mac) -> bytes:
    return bytes((kind, 1)) + mac.packed


def _frame(
    kind: int, body: bytes, source: IPv6Address, destination: IPv6Address, src: Mac, dst: Mac | None, vlan: int | None
) -> bytes:
    message = icmpv6(source, destination, kind, 0, body)
    packet = ip(source, destination, IP_ICMPV6, message, ttl=_HOP_LIMIT)
    return ethernet(multicast_mac(destination) if dst is None else dst, src, ETH_IPV6, packet, vlan=vlan)
