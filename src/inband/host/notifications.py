"""What the kernel tells about links, addresses, routes, rules and neighbours, as events.

A notification and a part of a dump look the same. What is not followed (other families, broadcast routes, proxies)
gives no event.

Invariants: any bytes at all give events or WireError, nothing else. Takes some 3 us for a neighbour: a table that
overflows brings them by the thousand.
Not here: sockets, time, state.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, AF_INET6

from inband.errors import WireError
from inband.host import codec, rtnetlink
from inband.host.codec import Message
from inband.host.events import AddressChanged, LinkChanged, LinkRemoved, NeighbourChanged, RoutesChanged
from inband.vocabulary.addresses import Mac

Neighbour = tuple[NeighbourChanged, int]
"""A neighbour's event and the kernel's state of it (NUD_*, 0 when it was removed)."""
Decoded = LinkChanged | LinkRemoved | AddressChanged | RoutesChanged | Neighbour


def decode(message: Message) -> Decoded | None:
    """The event in a notification or a dump's part, None for kinds we do not follow; raises WireError."""
    decoder = _DECODERS.get(message.kind)
    return None if decoder is None else decoder(message)


def _link(message: Message) -> LinkChanged | LinkRemoved | None:
    family, _, index, flags, _ = codec.fields(rtnetlink.LINK, message.body)
    if family:  # AF_BRIDGE: something about the interface as a bridge port, the link itself stays
        return None
    found = codec.attributes(message.body, rtnetlink.LINK.size)
    name = codec.as_text(found.get(rtnetlink.IFLA_IFNAME, b""))
    if message.kind == rtnetlink.RTM_DELLINK:
        return LinkRemoved(index, name)
    hardware = found.get(rtnetlink.IFLA_ADDRESS, b"")
    mac = Mac.from_bytes6(hardware) if len(hardware) == 6 else Mac(0)
    mtu = codec.as_number(found[rtnetlink.IFLA_MTU], 4) if rtnetlink.IFLA_MTU in found else 0
    up, running = bool(flags & rtnetlink.IFF_UP), bool(flags & rtnetlink.IFF_RUNNING)
    master = codec.as_number(found[rtnetlink.IFLA_MASTER], 4) if rtnetlink.IFLA_MASTER in found else 0
    return LinkChanged(index, name, mac, up, running, mtu, master, arps=not flags & rtnetlink.IFF_NOARP)


def _address(message: Message) -> AddressChanged | None:
    said = rtnetlink.read_address(message.body)
    if said is None:
        return None
    present = message.kind == rtnetlink.RTM_NEWADDR
    is_failed = bool(said.flags & rtnetlink.IFA_F_DADFAILED)
    # An address with a lifetime is taken away at once, with this flag; one without keeps the flag until it is removed.
    duplicate = is_failed and (present or not said.flags & rtnetlink.IFA_F_PERMANENT)
    tentative = present and (is_failed or bool(said.flags & rtnetlink.IFA_F_TENTATIVE))
    return AddressChanged(said.interface_index, said.address, said.prefix_length, present, tentative, duplicate)


def _route(message: Message) -> RoutesChanged | None:
    family, prefix_length, _, _, _, _, _, kind, flags = codec.fields(rtnetlink.ROUTE, message.body)
    is_followed = family in (AF_INET, AF_INET6) and kind not in (rtnetlink.RTN_BROADCAST, rtnetlink.RTN_MULTICAST)
    if not is_followed or flags & rtnetlink.RTM_F_CLONED:
        return None
    found = codec.attributes(message.body, rtnetlink.ROUTE.size)
    packed = found.get(rtnetlink.RTA_DST, bytes(4 if family == AF_INET else 16))
    try:
        if family == AF_INET:
            return RoutesChanged(IPv4Network((packed, prefix_length), strict=False))
        return RoutesChanged(IPv6Network((packed, prefix_length), strict=False))
    except ValueError as error:
        raise WireError(f"no network of family {family}: {error}") from error


def _neighbour(message: Message) -> Neighbour | None:
    family, index, state, flags, _ = codec.fields(rtnetlink.NEIGHBOUR, message.body)
    if family not in (AF_INET, AF_INET6) or flags & rtnetlink.NTF_PROXY:
        return None
    found = codec.attributes(message.body, rtnetlink.NEIGHBOUR.size)
    address = rtnetlink.ip(family, found.get(rtnetlink.NDA_DST))
    if address is None:
        return None
    if message.kind == rtnetlink.RTM_DELNEIGH:
        state = 0
    mac = _neighbour_mac(state, found.get(rtnetlink.NDA_LLADDR, b""))
    return NeighbourChanged(index, address, mac, mac is not None and bool(state & rtnetlink.NUD_PROVEN)), state


def _neighbour_mac(state: int, hardware: bytes) -> Mac | None:
    if not state & rtnetlink.NUD_VALID or len(hardware) != 6:
        return None
    return Mac.from_bytes6(hardware) or None  # loopback's neighbours have the MAC 0: none at all


def _other(_: Message) -> RoutesChanged:
    return RoutesChanged(None)  # a policy rule or a next-hop object: any route may lead elsewhere now


_DECODERS: dict[int, Callable[[Message], Decoded | None]] = {
    rtnetlink.RTM_NEWLINK: _link,
    rtnetlink.RTM_DELLINK: _link,
    rtnetlink.RTM_NEWADDR: _address,
    rtnetlink.RTM_DELADDR: _address,
    rtnetlink.RTM_NEWROUTE: _route,
    rtnetlink.RTM_DELROUTE: _route,
    rtnetlink.RTM_NEWNEIGH: _neighbour,
    rtnetlink.RTM_DELNEIGH: _neighbour,
    rtnetlink.RTM_NEWRULE: _other,
    rtnetlink.RTM_DELRULE: _other,
    rtnetlink.RTM_NEWNEXTHOP: _other,
    rtnetlink.RTM_DELNEXTHOP: _other,
}
