"""rtnetlink's messages about links, addresses, routes and neighbours: what one says, and those that we send.

Readers give what a message says as a value; ``notifications`` makes events of them. Builders give bodies: a struct,
then attributes.

Invariants: any bytes at all give values or WireError, nothing else.
Not here: the form of messages and attributes (``codec``), sockets, time, state.

Sources: linux/rtnetlink.h, linux/neighbour.h, linux/if_addr.h, linux/if_link.h, RFC 3549, rtnetlink(7).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from socket import AF_INET, AF_INET6, IPPROTO_TCP
from typing import NamedTuple

from inband.errors import WireError
from inband.host import codec
from inband.host.codec import Attributes
from inband.vocabulary.addresses import IpAddress, Mac

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWRULE, RTM_DELRULE = 32, 33
RTM_SETNEIGHTBL = 67
RTM_NEWNEXTHOP, RTM_DELNEXTHOP = 104, 105
_VERBS = ("NEW", "DEL", "GET", "SET")  # a type's two lower bits
_OBJECTS = {16: "LINK", 20: "ADDR", 24: "ROUTE", 28: "NEIGH", 32: "RULE", 36: "QDISC", 40: "TCLASS", 44: "TFILTER"}
_OBJECTS |= {100: "CHAIN", 104: "NEXTHOP"}
_CONTROL = {codec.NLMSG_ERROR: "NLMSG_ERROR", codec.NLMSG_DONE: "NLMSG_DONE"}

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_QDISC, IFLA_MASTER = 1, 3, 4, 5, 6, 10
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_AF_SPEC, IFLA_EXT_MASK, IFLA_LINK_NETNSID = 18, 20, 26, 29, 37
_IFLA_TARGET_NETNSID = 46
IFLA_INFO_KIND, IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFLA_INET6_ADDR_GEN_MODE, _ADDR_GEN_MODE_NONE = 8, 1
IFF_UP, IFF_RUNNING, IFF_NOARP, IFF_PROMISC = 0x1, 0x40, 0x80, 0x100
_IFF_LOOPBACK, _IFF_LOWER_UP = 0x8, 0x10000
_ARPHRD_ETHER = 1
_RTEXT_FILTER_SKIP_STATS = 8

IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_DADFAILED, IFA_F_TENTATIVE, IFA_F_PERMANENT = 0x08, 0x40, 0x80

RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_VIA, RTA_IP_PROTO = 1, 4, 5, 6, 7, 18, 27
RTN_UNICAST, RTN_BROADCAST, RTN_MULTICAST = 1, 3, 5
RT_TABLE_MAIN = 254
RTM_F_CLONED = 0x200
RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_LINK = 253
_RTPROT_KERNEL, _RTPROT_STATIC = 2, 4
_IP6_PRIORITY = 256  # of IPv6 routes that the kernel makes for addresses

NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_FAILED, NUD_NOARP, NUD_PERMANENT = 2, 4, 8, 0x10, 0x20, 0x40, 0x80
NUD_VALID = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_NOARP | NUD_PERMANENT
NUD_PROVEN = NUD_REACHABLE | NUD_NOARP | NUD_PERMANENT
NTF_USE, NTF_PROXY = 0x01, 0x08
NDA_DST, NDA_LLADDR = 1, 2

LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, change mask
ADDRESS = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, index
ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type


@dataclass(frozen=True, slots=True)
class Link:
    """An interface. ``master`` and ``peer`` are indexes, 0 for none; ``peer_namespace`` is the number by which this
    network namespace knows that of the peer, None where it is the same one.

    ``up`` = administratively up, ``lower_up`` = its driver has a carrier; ``arps``: it asks for neighbours;
    ``queueing`` is the name of its root qdisc; ``mtu`` is in bytes.
    """

    index: int
    name: str
    kind: str
    mac: Mac
    up: bool
    lower_up: bool
    arps: bool
    promiscuous: bool
    alias: str
    master: int
    peer: int
    peer_namespace: int | None
    queueing: str
    mtu: int
    loopback: bool
    ethernet: bool

    @property
    def peer_elsewhere(self) -> bool:
        """Whether the peer is in another network namespace."""
        return self.peer_namespace is not None


class Address(NamedTuple):
    """An address of an interface; ``flags`` are IFA_F_*."""

    interface_index: int
    address: IpAddress
    prefix_length: int
    scope: int
    flags: int


class Route(NamedTuple):
    """A route, or the answer to a route lookup; ``kind`` is RTN_*, ``interface_index`` 0 for none."""

    prefix_length: int
    table: int
    kind: int
    interface_index: int
    gateway: IpAddress | None
    source: IpAddress | None


def kind_name(kind: int) -> str:
    """A message type as the kernel's headers spell it."""
    thing = _OBJECTS.get(kind & ~3)
    return f"RTM_{_VERBS[kind & 3]}{thing}" if thing else _CONTROL.get(kind, f"netlink type {kind}")


def family_of(address: IpAddress) -> int:
    """AF_INET or AF_INET6, also for an address with its network."""
    return AF_INET if address.version == 4 else AF_INET6


# --- what a message says


def ip(family: int, packed: bytes | None) -> IpAddress | None:
    """An address of an attribute, None where there is none; raises WireError for one that the family does not have."""
    if packed is None:
        return None
    if family == AF_INET and len(packed) == 4:
        return IPv4Address(packed)
    if family == AF_INET6 and len(packed) == 16:
        return IPv6Address(packed)
    raise WireError(f"{len(packed)} bytes are no address of family {family}")


def read_link(body: bytes) -> Link:
    """What RTM_NEWLINK says; raises WireError."""
    _, device_type, index, flags, _ = codec.fields(LINK, body)
    found = codec.attributes(body, LINK.size)
    info = codec.attributes(found.get(IFLA_LINKINFO, b""))
    hardware = found.get(IFLA_ADDRESS, b"")
    return Link(
        index=index,
        name=codec.as_text(found.get(IFLA_IFNAME, b"")),
        kind=codec.as_text(info.get(IFLA_INFO_KIND, b"")),
        mac=Mac.from_bytes6(hardware) if len(hardware) == 6 else Mac(0),
        up=bool(flags & IFF_UP),
        lower_up=bool(flags & _IFF_LOWER_UP),
        arps=not flags & IFF_NOARP,
        promiscuous=bool(flags & IFF_PROMISC),
        alias=codec.as_text(found.get(IFLA_IFALIAS, b"")),
        master=_u32(found, IFLA_MASTER),
        peer=_u32(found, IFLA_LINK),
        peer_namespace=_u32(found, IFLA_LINK_NETNSID) if IFLA_LINK_NETNSID in found else None,
        queueing=codec.as_text(found.get(IFLA_QDISC, b"")),
        mtu=_u32(found, IFLA_MTU),
        loopback=bool(flags & _IFF_LOOPBACK),
        ethernet=device_type == _ARPHRD_ETHER,
    )


def read_address(body: bytes) -> Address | None:
    """What RTM_NEWADDR and RTM_DELADDR say, None for another family than IPv4 and IPv6; raises WireError."""
    family, prefix_length, flags, scope, index = codec.fields(ADDRESS, body)
    if family not in (AF_INET, AF_INET6):
        return None
    found = codec.attributes(body, ADDRESS.size)
    address = ip(family, found.get(IFA_LOCAL, found.get(IFA_ADDRESS)))  # of a point-to-point link the near one
    if address is None:
        return None
    return Address(index, address, prefix_length, scope, _u32(found, IFA_FLAGS) if IFA_FLAGS in found else flags)


def read_route(body: bytes) -> Route:
    """What RTM_NEWROUTE says; raises WireError."""
    family, prefix_length, _, _, table, _, _, kind, _ = codec.fields(ROUTE, body)
    found = codec.attributes(body, ROUTE.size)
    source = ip(family, found.get(RTA_PREFSRC))
    return Route(prefix_length, table, kind, _u32(found, RTA_OIF), _gateway(family, found), source)


def _gateway(family: int, found: Attributes) -> IpAddress | None:
    via = found.get(RTA_VIA)  # a gateway of the other family: u16 family, then the address
    if via is not None:
        return ip(codec.as_number(via[:2], 2), via[2:])
    return ip(family, found.get(RTA_GATEWAY))


def _u32(found: Attributes, kind: int) -> int:
    return codec.as_number(found[kind], 4) if kind in found else 0


# --- bodies of requests


def link_body(index: int = 0, *attributes: bytes, flags: int = 0, change: int = 0) -> bytes:
    """About the interface with this index (0: that of IFLA_IFNAME, a new one, or all)."""
    return LINK.pack(0, 0, index, flags, change) + b"".join(attributes)


def link_question(index: int = 0, *attributes: bytes) -> bytes:
    """The same for RTM_GETLINK: without counters, which are most of an answer."""
    return link_body(index, *attributes, codec.number(IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS, 4))


def elsewhere(namespace: int) -> bytes:
    """The attribute of a question about an interface of another namespace, by the number of ``Link.peer_namespace``."""
    return codec.number(_IFLA_TARGET_NETNSID, namespace, 4)


def veth_body(name: str, peer: str, mac: Mac, peer_mac: Mac, mtu: int) -> bytes:
    """A new veth pair in this namespace; both ends have their MAC addresses and MTU from their first moment on.

    An address that was given when the interface was made is one that udev leaves alone (NET_ADDR_SET; systemd.link(5),
    MACAddressPolicy=).
    """
    head, other = (_end(*end, mtu) for end in ((name, mac), (peer, peer_mac)))
    data = codec.attribute(IFLA_INFO_DATA, codec.attribute(_VETH_INFO_PEER, other))
    return head + codec.attribute(IFLA_LINKINFO, codec.text(IFLA_INFO_KIND, "veth"), data)


def _end(name: str, mac: Mac, mtu: int) -> bytes:
    address = codec.attribute(IFLA_ADDRESS, mac.packed)
    return link_body(0, codec.text(IFLA_IFNAME, name), address, codec.number(IFLA_MTU, mtu, 4))


def without_link_local(index: int) -> bytes:
    """The interface shall have no IPv6 address of its own making."""
    mode = codec.number(_IFLA_INET6_ADDR_GEN_MODE, _ADDR_GEN_MODE_NONE, 1)
    return link_body(index, codec.attribute(IFLA_AF_SPEC, codec.attribute(AF_INET6, mode)))


def address_body(index: int, address: IPv4Interface | IPv6Interface, flags: int = 0) -> bytes:
    """An address of an interface, to give it with IFA_F_* flags or to take it away."""
    body = ADDRESS.pack(family_of(address), address.network.prefixlen, 0, 0, index)
    body += codec.attribute(IFA_ADDRESS, address.packed) + codec.number(IFA_FLAGS, flags, 4)
    return body + (codec.attribute(IFA_LOCAL, address.packed) if address.version == 4 else b"")


def default_route_body(index: int, gateway: IpAddress) -> bytes:
    """The main table's default route of a family."""
    family = family_of(gateway)
    head = (family, 0, 0, 0, RT_TABLE_MAIN, _RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0)
    return ROUTE.pack(*head) + codec.attribute(RTA_GATEWAY, gateway.packed) + codec.number(RTA_OIF, index, 4)


def network_route_body(index: int, address: IPv4Interface | IPv6Interface) -> bytes:
    """The main table's route to the network that an address is in, as the kernel makes it when the address is added."""
    family, network = family_of(address.ip), address.network
    scope = _RT_SCOPE_LINK if family == AF_INET else RT_SCOPE_UNIVERSE
    head = (family, network.prefixlen, 0, 0, RT_TABLE_MAIN, _RTPROT_KERNEL, scope, RTN_UNICAST, 0)
    body = ROUTE.pack(*head) + codec.attribute(RTA_DST, network.network_address.packed)
    body += codec.number(RTA_OIF, index, 4)
    if family == AF_INET:
        return body + codec.attribute(RTA_PREFSRC, address.packed)
    return body + codec.number(RTA_PRIORITY, _IP6_PRIORITY, 4)


def all_routes(family: int) -> bytes:
    """For RTM_GETROUTE: every route of a family."""
    return ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)


def all_addresses(family: int = 0) -> bytes:
    """For RTM_GETADDR: every address of a family, or of all."""
    return ADDRESS.pack(family, 0, 0, 0, 0)


def all_neighbours() -> bytes:
    """For RTM_GETNEIGH: every neighbour entry."""
    return NEIGHBOUR.pack(0, 0, 0, 0, 0)


def route_request(destination: IpAddress, index: int, sequence: int) -> bytes:
    """Ask where TCP to ``destination`` would go (policy rules may tell protocols apart); ``index`` 0: any interface."""
    packed = destination.packed
    body = ROUTE.pack(family_of(destination), len(packed) * 8, 0, 0, 0, 0, 0, 0, 0) + codec.attribute(RTA_DST, packed)
    body += codec.number(RTA_IP_PROTO, IPPROTO_TCP, 1)
    if index:
        body += codec.number(RTA_OIF, index, 4)
    return codec.message(RTM_GETROUTE, codec.NLM_F_REQUEST, sequence, body)


def neighbour_request(index: int, address: IpAddress, sequence: int, *, state: int, use: bool) -> bytes:
    """Set the state of a neighbour entry; with ``use``: make it if need be and resolve it as if a packet waited."""
    body = NEIGHBOUR.pack(family_of(address), index, state, NTF_USE if use else 0, 0)
    body += codec.attribute(NDA_DST, address.packed)
    flags = codec.NLM_F_REQUEST | (codec.NLM_F_CREATE if use else codec.NLM_F_REPLACE)
    return codec.message(RTM_NEWNEIGH, flags, sequence, body)
