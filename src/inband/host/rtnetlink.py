"""rtnetlink messages as bytes, both ways, for the few kinds that come or go by the thousand.

What: cut a datagram into messages, pick the attributes we need, make events of them; and build the four requests that
the watcher sends (dump, route lookup, resolve a neighbour, forget a neighbour's MAC).

Why by hand: a route answer takes 75 us through pyroute2's message classes and 5 us here, a request 65 us and 3 us,
and a neighbour table that overflows or 1,000 remotes bring them by the thousand. Importing the classes costs each
start of a switch 40 ms more. What changes the host (``inband.host.requests``) is rare and has many forms: that is
built with pyroute2. The tests compare both.

What must stay true: any bytes at all give events or WireError, nothing else. A message we do not know is skipped.
Not here: sockets, time, state.

Sources: linux/rtnetlink.h, linux/neighbour.h, linux/if_addr.h, linux/if_link.h, RFC 3549, rtnetlink(7).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from socket import AF_INET, AF_INET6, IPPROTO_TCP
from typing import NamedTuple

from inband.errors import WireError
from inband.host.events import AddressChanged, LinkChanged, LinkRemoved, NeighbourChanged, RoutesChanged
from inband.vocabulary.addresses import IpAddress, IpNetwork, Mac

NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWRULE, RTM_DELRULE = 32, 33
RTM_NEWNEXTHOP, RTM_DELNEXTHOP = 104, 105

NLM_F_REQUEST, NLM_F_DUMP_INTR, NLM_F_REPLACE, NLM_F_DUMP, NLM_F_CREATE = 0x1, 0x10, 0x100, 0x300, 0x400

NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_FAILED, NUD_NOARP, NUD_PERMANENT = 2, 4, 8, 0x10, 0x20, 0x40, 0x80
NUD_VALID = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_NOARP | NUD_PERMANENT
NUD_PROVEN = NUD_REACHABLE | NUD_NOARP | NUD_PERMANENT
NTF_USE, NTF_PROXY = 0x01, 0x08

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_EXT_MASK = 1, 3, 4, 29
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_VIA, RTA_IP_PROTO = 1, 4, 5, 7, 18, 27
NDA_DST, NDA_LLADDR = 1, 2

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, sender
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, change mask
_ADDRESS = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
_U16 = struct.Struct("=H")
_U32 = struct.Struct("=I")
_I32 = struct.Struct("=i")

_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_IFA_F_DADFAILED, _IFA_F_TENTATIVE, _IFA_F_PERMANENT = 0x08, 0x40, 0x80
_RTN_UNICAST, _RTN_BROADCAST, _RTN_MULTICAST = 1, 3, 5
_RTM_F_CLONED = 0x200
_NLA_TYPE_MASK = 0x3FFF  # the two upper bits say "nested" and "network byte order"
_RTEXT_FILTER_SKIP_STATS = 8

Neighbour = tuple[NeighbourChanged, int]
"""A neighbour's event and the kernel's state of it (NUD_*, 0 when it was removed)."""
Decoded = LinkChanged | LinkRemoved | AddressChanged | RoutesChanged | Neighbour


class Message(NamedTuple):
    """One netlink message: nlmsghdr's fields and the bytes after it."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def split(datagram: bytes) -> Iterator[Message]:
    """Cut a datagram into messages; raises WireError where a length is impossible."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(datagram, offset)
        if length < _HEADER.size or offset + length > len(datagram):
            raise WireError(f"netlink message at byte {offset} says it has {length} bytes of {len(datagram)}")
        yield Message(kind, flags, sequence, datagram[offset + _HEADER.size : offset + length])
        offset += (length + 3) & ~3
    if offset < len(datagram):
        raise WireError(f"netlink datagram has {len(datagram) - offset} bytes after its last message")


def message_bytes(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """Put nlmsghdr in front of a body."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """One rtattr, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(body: bytes, offset: int) -> dict[int, bytes]:
    """Type -> value of the attributes from ``offset`` on (the last of a type counts); raises ValueError when cut."""
    found: dict[int, bytes] = {}
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < _ATTRIBUTE.size or offset + length > len(body):
            raise ValueError(f"attribute at byte {offset} says it has {length} bytes")
        found[kind & _NLA_TYPE_MASK] = body[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def error_number(body: bytes) -> int:
    """The errno (0: acknowledged) in the body of an NLMSG_ERROR; raises WireError when it is cut."""
    if len(body) < _I32.size:
        raise WireError("netlink error message is cut")
    return -int(_I32.unpack_from(body)[0])


def decode(message: Message) -> Decoded | None:
    """The event in a notification or a dump's part, None for kinds we do not follow; raises WireError."""
    decoder = _DECODERS.get(message.kind)
    if decoder is None:
        return None
    try:
        return decoder(message)
    except (struct.error, ValueError) as error:
        raise WireError(f"netlink message of type {message.kind}: {error}") from error


class RouteAnswer(NamedTuple):
    """The kernel's answer to a route lookup: the interface's index, the gateway if there is one, the source."""

    interface_index: int
    gateway: IpAddress | None
    source: IpAddress | None


def decode_route_answer(body: bytes) -> RouteAnswer | None:
    """Read RTM_NEWROUTE as the answer to ``route_request``; None when packets would not leave (local, broadcast, ...).

    Raises WireError.
    """
    try:
        family, *_, kind, _flags = _ROUTE.unpack_from(body)
        found = attributes(body, _ROUTE.size)
        if kind != _RTN_UNICAST or RTA_OIF not in found:
            return None
        return RouteAnswer(_U32.unpack(found[RTA_OIF])[0], _gateway(family, found), _ip(family, found.get(RTA_PREFSRC)))
    except (struct.error, ValueError) as error:
        raise WireError(f"route answer: {error}") from error


def dump_request(kind: int, sequence: int) -> bytes:
    """Ask for everything of one kind (RTM_GETLINK, RTM_GETADDR or RTM_GETNEIGH)."""
    if kind == RTM_GETLINK:
        body = _LINK.pack(0, 0, 0, 0, 0) + attribute(IFLA_EXT_MASK, _U32.pack(_RTEXT_FILTER_SKIP_STATS))
    elif kind == RTM_GETADDR:
        body = _ADDRESS.pack(0, 0, 0, 0, 0)
    else:
        body = _NEIGHBOUR.pack(0, 0, 0, 0, 0)
    return message_bytes(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, body)


def route_request(destination: IpAddress, index: int, sequence: int) -> bytes:
    """Ask where TCP to ``destination`` would go (policy rules may tell protocols apart); ``index`` 0: any interface."""
    packed = destination.packed
    family = AF_INET if destination.version == 4 else AF_INET6
    body = _ROUTE.pack(family, len(packed) * 8, 0, 0, 0, 0, 0, 0, 0) + attribute(RTA_DST, packed)
    body += attribute(RTA_IP_PROTO, bytes([IPPROTO_TCP]))
    if index:
        body += attribute(RTA_OIF, _U32.pack(index))
    return message_bytes(RTM_GETROUTE, NLM_F_REQUEST, sequence, body)


def neighbour_request(index: int, address: IpAddress, sequence: int, *, state: int, use: bool) -> bytes:
    """Set the state of a neighbour entry; with ``use``: make it if need be and resolve it as if a packet waited."""
    family = AF_INET if address.version == 4 else AF_INET6
    body = _NEIGHBOUR.pack(family, index, state, NTF_USE if use else 0, 0) + attribute(NDA_DST, address.packed)
    return message_bytes(RTM_NEWNEIGH, NLM_F_REQUEST | (NLM_F_CREATE if use else NLM_F_REPLACE), sequence, body)


def _ip(family: int, packed: bytes | None) -> IpAddress | None:
    if packed is None:
        return None
    if family == AF_INET and len(packed) == 4:
        return IPv4Address(packed)
    if family == AF_INET6 and len(packed) == 16:
        return IPv6Address(packed)
    raise ValueError(f"{len(packed)} bytes are no address of family {family}")


def _gateway(family: int, found: dict[int, bytes]) -> IpAddress | None:
    via = found.get(RTA_VIA)  # a gateway of the other family: u16 family, then the address
    if via is not None:
        return _ip(_U16.unpack(via[:2])[0], via[2:])
    return _ip(family, found.get(RTA_GATEWAY))


def _decode_link(message: Message) -> LinkChanged | LinkRemoved | None:
    family, _type, index, flags, _change = _LINK.unpack_from(message.body)
    if family:  # AF_BRIDGE: something about the interface as a bridge port, the link itself stays
        return None
    found = attributes(message.body, _LINK.size)
    name = found.get(IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
    if message.kind == RTM_DELLINK:
        return LinkRemoved(index, name)
    hardware = found.get(IFLA_ADDRESS, b"")
    mac = Mac.from_bytes6(hardware) if len(hardware) == 6 else Mac(0)
    mtu = _U32.unpack(found[IFLA_MTU])[0] if IFLA_MTU in found else 0
    return LinkChanged(index, name, mac, bool(flags & _IFF_UP), bool(flags & _IFF_RUNNING), mtu)


def _decode_address(message: Message) -> AddressChanged | None:
    family, prefix_length, flags, _scope, index = _ADDRESS.unpack_from(message.body)
    if family not in (AF_INET, AF_INET6):
        return None
    found = attributes(message.body, _ADDRESS.size)
    address = _ip(family, found.get(IFA_LOCAL, found.get(IFA_ADDRESS)))
    if address is None:
        return None
    if IFA_FLAGS in found:
        flags = _U32.unpack(found[IFA_FLAGS])[0]
    present = message.kind == RTM_NEWADDR
    # An address with a lifetime is taken away at once, with this flag; one without keeps the flag until somebody does.
    duplicate = bool(flags & _IFA_F_DADFAILED) and (present or not flags & _IFA_F_PERMANENT)
    tentative = present and bool(flags & (_IFA_F_TENTATIVE | _IFA_F_DADFAILED))
    return AddressChanged(index, address, prefix_length, present, tentative, duplicate)


def _decode_route(message: Message) -> RoutesChanged | None:
    family, dst_len, _src, _tos, _table, _protocol, _scope, kind, flags = _ROUTE.unpack_from(message.body)
    if family not in (AF_INET, AF_INET6) or flags & _RTM_F_CLONED or kind in (_RTN_BROADCAST, _RTN_MULTICAST):
        return None
    packed = attributes(message.body, _ROUTE.size).get(RTA_DST, bytes(4 if family == AF_INET else 16))
    network: IpNetwork
    if family == AF_INET:
        network = IPv4Network((packed, dst_len), strict=False)
    else:
        network = IPv6Network((packed, dst_len), strict=False)
    return RoutesChanged(network)


def _decode_neighbour(message: Message) -> Neighbour | None:
    family, index, state, flags, _type = _NEIGHBOUR.unpack_from(message.body)
    if family not in (AF_INET, AF_INET6) or flags & NTF_PROXY:
        return None
    found = attributes(message.body, _NEIGHBOUR.size)
    address = _ip(family, found.get(NDA_DST))
    if address is None:
        return None
    if message.kind == RTM_DELNEIGH:
        state = 0
    mac = _neighbour_mac(state, found.get(NDA_LLADDR, b""))
    return NeighbourChanged(index, address, mac, mac is not None and bool(state & NUD_PROVEN)), state


def _neighbour_mac(state: int, hardware: bytes) -> Mac | None:
    if not state & NUD_VALID or len(hardware) != 6:
        return None
    return Mac.from_bytes6(hardware) or None  # loopback's neighbours have the MAC 0: none at all


def _decode_other(message: Message) -> RoutesChanged:
    return RoutesChanged(None)  # a policy rule or a next-hop object: any route may lead elsewhere now


_DECODERS = {
    RTM_NEWLINK: _decode_link,
    RTM_DELLINK: _decode_link,
    RTM_NEWADDR: _decode_address,
    RTM_DELADDR: _decode_address,
    RTM_NEWROUTE: _decode_route,
    RTM_DELROUTE: _decode_route,
    RTM_NEWNEIGH: _decode_neighbour,
    RTM_DELNEIGH: _decode_neighbour,
    RTM_NEWRULE: _decode_other,
    RTM_DELRULE: _decode_other,
    RTM_NEWNEXTHOP: _decode_other,
    RTM_DELNEXTHOP: _decode_other,
}
