"""The bridge's own interface and the checks on its ports: what a switch changes in the host.

What: the local pair (a veth pair: the outer end is named like the bridge and carries its address, the inner end is
the switch's port LOCAL), its MAC and addresses, and whether an interface can be a port.

Why a veth pair: it outlives the process, so the kernel's TCP sessions, addresses and routes survive a restart. After
kill -9 the pair is found by its alias (``inband:BRIDGE:outer``, ``inband:BRIDGE:inner``) and adopted as it is.

Invariants: an interface that is not ours is never changed, except that a port is guarded
(``inband.host.ports``). Every function may be called again with the same arguments and then changes nothing.
All work in the calling thread's network namespace and block for less than a few milliseconds.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import secrets
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from typing import Literal

from inband.errors import HostError, UsageError
from inband.host import codec, rtnetlink
from inband.host.ports import Guard, PortOwnership, add_address, guard_inner, is_guarded, set_up
from inband.host.requests import Change, Requests, check_interface_name, take_all
from inband.host.rtnetlink import Address, Link, Route
from inband.vocabulary.addresses import IpAddress, Mac

__all__ = [
    "Guard",
    "LocalPair",
    "PortOwnership",
    "check_port",
    "enable_ipv6",
    "ensure_local",
    "inner_name",
    "made_of",
    "remove_local",
    "set_addresses",
    "set_gateway",
    "set_mac",
]

_LOG = logging.getLogger(__name__)

IpInterface = IPv4Interface | IPv6Interface

_ALIAS_PREFIX = "inband:"
DEFAULT_MTU = 1500
"""Of Ethernet (IEEE 802.3, 3.2.7): for an interface that has no port yet whose MTU it could have."""

MIN_HOP_LIMIT = 32
"""Any host can advertise a limit of 1, and no channel gets past a router any more. No path has so many routers."""

_NDTMSG = struct.Struct("=Bxxx")  # family
_NDTA_NAME, _NDTA_PARMS, _NDTPA_IFINDEX = 1, 6, 1
# How the kernel looks for neighbours on the bridge's own interface. Unresolved: a request each 250 ms instead of each
# second (the switches between may only just be starting), for the same 3 s. Resolved but silent: two by unicast, then
# by broadcast, which finds a gateway whose MAC changed within a second instead of never asking others.
_NEIGHBOUR_PARAMETERS = (  # NDTPA_*, value, its bytes (times are 64-bit milliseconds)
    (5, 250, 8),  # RETRANS_TIME
    (11, 12, 4),  # MCAST_PROBES
    (10, 2, 4),  # UCAST_PROBES
    (17, 8, 4),  # MCAST_REPROBES
    (7, 1000, 8),  # DELAY_PROBE_TIME
)


@dataclass(frozen=True, slots=True)
class LocalPair:
    """The bridge's own interface: ``index`` and ``mac`` are the outer end's, ``inner`` is the switch's port LOCAL."""

    outer: str
    inner: str
    index: int
    mac: Mac
    inner_index: int


def inner_name(bridge: str) -> str:
    """The name of the switch's end of a bridge's local pair, at most 15 characters."""
    name = f"{bridge}-in"
    return name if len(name.encode()) < 16 else f"ib{hashlib.sha256(bridge.encode()).hexdigest()[:10]}-in"


def ensure_local(bridge: str, mac: Mac | None = None, mtu: int = DEFAULT_MTU) -> LocalPair:
    """Make the bridge's local pair, or adopt or replace what a process that died has left; both ends are up.

    An adopted pair keeps its addresses, its routes, its MTU and, unless ``mac`` says otherwise, its MAC. Raises
    UsageError when an interface of that name is not ours, or one end is in another network namespace; HostError when
    the kernel refuses.
    """
    check_interface_name(bridge)
    if mac is not None:
        _check_mac(bridge, mac)
    with Requests() as requests:
        pair = stale_pair(requests, bridge)
        outer, inner = pair if pair is not None else create_pair(requests, bridge, mac, mtu)
        if mac is not None and outer.mac != mac:
            _set_mac(requests, outer, mac)
        leave_without_link_local(requests, inner)
        guard_inner(requests, inner)
        set_up(requests, inner, up=True)
        set_up(requests, outer, up=True)
        _tune_neighbours(requests, outer)
        _announce_changes(outer)
        return LocalPair(outer.name, inner.name, outer.index, mac if mac is not None else outer.mac, inner.index)


def remove_local(bridge: str) -> None:
    """Remove the bridge's local pair with its addresses; an interface that is not ours stays. Raises HostError."""
    with Requests() as requests:
        for name, end in ((inner_name(bridge), "inner"), (bridge, "outer")):
            link = requests.link(name)
            if link is not None and link.alias == alias_of(bridge, end):
                delete(requests, link)


def set_mac(interface: str, mac: Mac) -> None:
    """Change an interface's MAC address; raises UsageError for one that cannot be, HostError when refused."""
    _check_mac(interface, mac)
    with Requests() as requests:
        _set_mac(requests, _existing(requests, interface), mac)


def set_mtu(interface: str, mtu: int) -> None:
    """Change an interface's MTU. Raises UsageError when there is none, HostError when refused."""
    with Requests() as requests:
        change_mtu(requests, interface, _existing(requests, interface).index, mtu)


def change_mtu(requests: Requests, name: str, index: int, mtu: int) -> None:
    """The same of an interface that was found. Raises HostError."""
    body = rtnetlink.link_body(index, codec.number(rtnetlink.IFLA_MTU, mtu, 4))
    requests.change(f"set the MTU of {name} to {mtu}", rtnetlink.RTM_SETLINK, 0, body)


def check_port(interface: str) -> None:
    """Raise UsageError unless the interface can be a port: there, Ethernet, free, and not a bridge's own."""
    check_interface_name(interface)
    with Requests() as requests:
        link = _existing(requests, interface)
        if link.loopback:
            raise UsageError(f"{interface} is a loopback interface: it leads nowhere, so it cannot be a port")
        if link.alias.startswith(_ALIAS_PREFIX):
            raise UsageError(f"{interface} is a bridge's own interface: it is a member of its bridge already, as LOCAL")
        if not link.ethernet:
            raise UsageError(f"{interface} is not an Ethernet interface: a switch cannot forward its frames")
        if link.master:
            master = requests.link_at(link.master)
            name = master.name if master is not None else f"interface {link.master}"
            raise UsageError(f"{interface} belongs to {name} already: free it with `ip link set {interface} nomaster`")


def made_of(interface: str) -> Literal["bridge", "port"] | None:
    """What a switch has made of an interface, be that switch alive or dead: its own, a port, or nothing (None).

    Raises HostError.
    """
    with Requests() as requests:
        link = requests.link(interface)
        if link is None:
            return None
        if link.alias.startswith(_ALIAS_PREFIX):
            return "bridge" if link.alias == alias_of(interface, "outer") else None
        return "port" if is_guarded(requests, link) else None


def enable_ipv6(interface: str) -> None:
    """Let the kernel speak IPv6 on an interface of ours, and keep its addresses while it is down.

    No router's word makes it send packets that end after fewer than MIN_HOP_LIMIT routers. Many systems and containers
    forbid IPv6 on new interfaces (net.ipv6.conf.default.disable_ipv6). Nothing is raised: where sysctls cannot be
    written, giving an address says what is wrong.
    """
    settings = {"disable_ipv6": "0", "keep_addr_on_down": "1", "accept_ra_min_hop_limit": f"{MIN_HOP_LIMIT}"}
    for name, value in settings.items():
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{interface}/{name}").write_text(value)


def set_addresses(interface: str, addresses: Iterable[IpInterface], *, previous: Iterable[IpInterface] = ()) -> None:
    """Give an interface these addresses.

    What is there stays untouched. Of what is not wanted only ``previous``, set by an earlier call, goes away. IPv6
    addresses get the usual duplicate address detection. Raises HostError for the first that the kernel refuses, when
    all others are done.
    """
    wanted = list(addresses)
    unwanted = [address for address in previous if address not in wanted]
    with Requests() as requests:
        link = _existing(requests, interface)
        _promote_secondaries(link)
        take_all(
            *(partial(_give, requests, link, address) for address in wanted),
            *(partial(_remove_address, requests, link, address) for address in unwanted),
            # IPv4 addresses of a network go away with its first one, where not promoted
            *(partial(add_address, requests, link, address) for address in wanted),
        )


def set_gateway(interface: str, gateway: IpAddress | None, *, previous: IpAddress | None = None) -> None:
    """Give an interface a default route through ``gateway`` instead of ``previous``, set by an earlier call.

    Raises UsageError when another default route is in the way or the gateway is not on the interface's link, HostError
    when the kernel refuses.
    """
    with Requests() as requests:
        link = _existing(requests, interface)
        if gateway is not None:
            _set_gateway(requests, link, gateway, previous)
        if previous is not None and previous != gateway:
            _remove_route(requests, link, previous)


# The local pair


def alias_of(bridge: str, end: str) -> str:
    """What says that an end of a pair is ours: ``end`` is outer or inner."""
    return f"{_ALIAS_PREFIX}{bridge}:{end}"


def stale_pair(requests: Requests, bridge: str) -> tuple[Link, Link] | None:
    """The pair of an earlier process if it is whole; what is broken and ours is removed. Raises UsageError."""
    outer, inner = requests.link(bridge), requests.link(inner_name(bridge))
    outer_is_ours = outer is None or outer.alias == alias_of(bridge, "outer")
    inner_is_ours = inner is None or inner.alias == alias_of(bridge, "inner")
    if outer is not None and inner is not None and inner_is_ours and _are_a_pair(outer, inner):
        if not outer_is_ours:  # its text has been changed since: the inner end says enough
            requests.change(f"name interface {bridge}", *alias_change(bridge, alias_of(bridge, "outer")))
        return outer, inner
    for link, is_ours in ((outer, outer_is_ours), (inner, inner_is_ours)):
        if link is not None and not is_ours:
            raise UsageError(
                f"interface {link.name} exists and is not the switch's: choose another name, "
                f"or remove it with `ip link del {link.name}`"
            )
    if outer is None and inner is not None and inner.peer_elsewhere:
        raise UsageError(
            f"interface {bridge} is in another network namespace: bring it back with "
            f"`ip netns exec NAME ip link set {bridge} netns 1`, or remove it with `ip link del {inner.name}`"
        )
    for link in (inner, outer):
        if link is not None:
            _LOG.warning("interface %s is a broken left-over of bridge %s: it is made anew", link.name, bridge)
            delete(requests, link)
    return None


def _are_a_pair(outer: Link, inner: Link) -> bool:
    elsewhere = outer.peer_elsewhere or inner.peer_elsewhere
    return outer.kind == "veth" and outer.peer == inner.index and inner.peer == outer.index and not elsewhere


def create_pair(requests: Requests, bridge: str, mac: Mac | None, mtu: int) -> tuple[Link, Link]:
    """Make a pair and name it ours in one step: one without our names would be another's for ever.

    MAC and MTU are in the message that makes it, so that nothing (udev) has a reason to change them.
    """
    inner = inner_name(bridge)
    flags = codec.NLM_F_CREATE | codec.NLM_F_EXCL
    macs = (random_mac() if mac is None else mac), random_mac()
    pair = rtnetlink.RTM_NEWLINK, flags, rtnetlink.veth_body(bridge, inner, *macs, mtu)
    names = (alias_change(inner, alias_of(bridge, "inner")), alias_change(bridge, alias_of(bridge, "outer")))
    requests.change_together(f"make interface {bridge}", pair, *names)
    return _existing(requests, bridge), _existing(requests, inner)


def random_mac() -> Mac:
    """A locally administered address of one host (IEEE 802c)."""
    first, *rest = secrets.token_bytes(6)
    return Mac.from_bytes6(bytes([first & 0xFC | 0x02, *rest]))


def alias_change(interface: str, alias: str) -> Change:
    """The change that gives an interface a text of ours."""
    named = codec.text(rtnetlink.IFLA_IFNAME, interface), codec.text(rtnetlink.IFLA_IFALIAS, alias)
    return rtnetlink.RTM_SETLINK, 0, rtnetlink.link_body(0, *named)


def leave_without_link_local(requests: Requests, link: Link) -> None:
    """No IPv6 address of its own on an interface, also where its sysctls cannot be written."""
    body = rtnetlink.without_link_local(link.index)
    try:
        requests.change(f"quieten {link.name}", rtnetlink.RTM_SETLINK, 0, body)
    except HostError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):  # a kernel without IPv6 has nothing to quieten
            raise


def delete(requests: Requests, link: Link) -> None:
    """Remove an interface; one that is gone is no error. Raises HostError."""
    try:
        requests.change(f"remove {link.name}", rtnetlink.RTM_DELLINK, 0, rtnetlink.link_body(link.index))
    except HostError as error:
        if error.errno != errno.ENODEV:  # it went together with its other end
            raise


def _tune_neighbours(requests: Requests, link: Link) -> None:
    """Set ``_NEIGHBOUR_PARAMETERS``: it works without them, only slower, so a refusal is no failure."""
    parameters = [codec.number(_NDTPA_IFINDEX, link.index, 4)]
    parameters += [codec.number(kind, value, size) for kind, value, size in _NEIGHBOUR_PARAMETERS]
    for table, family in (("arp_cache", socket.AF_INET), ("ndisc_cache", socket.AF_INET6)):
        body = _NDTMSG.pack(family) + codec.text(_NDTA_NAME, table) + codec.attribute(_NDTA_PARMS, *parameters)
        try:
            requests.change(f"tune the neighbours of {link.name}", rtnetlink.RTM_SETNEIGHTBL, 0, body)
        except HostError as error:
            _LOG.debug("%s keeps the system's neighbour timers: %s", link.name, error)


def _announce_changes(link: Link) -> None:
    """Have the kernel tell the neighbours of another MAC address: with the old one they cannot answer for a minute."""
    for name in ("ipv4/conf/{}/arp_notify", "ipv6/conf/{}/ndisc_notify"):
        with contextlib.suppress(OSError):  # sysctls may be read-only in a container
            Path("/proc/sys/net", name.format(link.name)).write_text("1")


# One interface


def list_addresses(requests: Requests) -> list[Address]:
    """Every address of every interface. Raises HostError."""
    wanted = rtnetlink.all_addresses()
    return requests.ask("list addresses", rtnetlink.RTM_GETADDR, wanted, rtnetlink.read_address, dump=True)


def interface_of(address: IpAddress, prefix_length: int) -> IpInterface:
    """An address with the length of its network's prefix."""
    return (IPv4Interface if address.version == 4 else IPv6Interface)((int(address), prefix_length))


def _existing(requests: Requests, interface: str) -> Link:
    link = requests.link(interface)
    if link is None:
        raise UsageError(f"there is no interface {interface}: `ip link` shows those there are")
    return link


def _check_mac(interface: str, mac: Mac) -> None:
    if not mac or mac.is_multicast:
        raise UsageError(f"{mac} cannot be the address of {interface}: it is zero or a group address")


def _set_mac(requests: Requests, link: Link, mac: Mac) -> None:
    body = rtnetlink.link_body(link.index, codec.attribute(rtnetlink.IFLA_ADDRESS, mac.packed))
    requests.change(f"set the MAC address of {link.name} to {mac}", rtnetlink.RTM_SETLINK, 0, body)


def _give(requests: Requests, link: Link, address: IpInterface) -> None:
    """Add an address; raises HostError with what to do where the system does not allow IPv6."""
    try:
        add_address(requests, link, address)
    except HostError as error:
        if address.version == 4 or error.errno not in (errno.EACCES, errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
            raise
        hint = f"IPv6 is disabled here: allow it with `sysctl net.ipv6.conf.{link.name}.disable_ipv6=0`"
        raise HostError(error.operation, hint, errno=error.errno) from None


def _promote_secondaries(link: Link) -> None:
    """Have the kernel keep a network's other addresses when its first one goes: no moment without an address."""
    with contextlib.suppress(OSError):  # sysctls may be read-only in a container
        Path(f"/proc/sys/net/ipv4/conf/{link.name}/promote_secondaries").write_text("1")


def _remove_address(requests: Requests, link: Link, address: IpInterface) -> None:
    body = rtnetlink.address_body(link.index, address)
    try:
        requests.change(f"remove {address} from {link.name}", rtnetlink.RTM_DELADDR, 0, body)
    except HostError as error:
        if error.errno not in (errno.EADDRNOTAVAIL, errno.ENXIO):  # ENXIO: IPv6 is disabled, which took them away
            raise


# The default route


def _set_gateway(requests: Requests, link: Link, gateway: IpAddress, previous: IpAddress | None) -> None:
    try:
        route(requests, link, gateway, rtnetlink.RTM_NEWROUTE, codec.NLM_F_CREATE | codec.NLM_F_EXCL)
        return
    except HostError as error:
        if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL):
            raise UsageError(f"gateway {gateway} is on no network of {link.name}: give it an address there") from error
        if error.errno != errno.EEXIST:
            raise
    present = default_routes(requests, gateway)
    if (without_scope(gateway), link.index) in present:
        return
    if previous is not None and (without_scope(previous), link.index) in present:
        route(requests, link, gateway, rtnetlink.RTM_NEWROUTE, codec.NLM_F_CREATE | codec.NLM_F_REPLACE)
        return
    others = ", ".join(f"via {via or 'nothing'}" for via, _ in present)
    raise UsageError(
        f"cannot set {gateway} as gateway: there is another default route ({others}); "
        "remove it with `ip route del default`, or leave the gateway to the system"
    )


def route(requests: Requests, link: Link, gateway: IpAddress, kind: int, flags: int) -> None:
    """Change the default route through a gateway: ``kind`` is RTM_NEWROUTE or RTM_DELROUTE. Raises HostError."""
    body = rtnetlink.default_route_body(link.index, gateway)
    requests.change(f"route through {gateway} on {link.name}", kind, flags, body)


def _remove_route(requests: Requests, link: Link, gateway: IpAddress) -> None:
    try:
        route(requests, link, gateway, rtnetlink.RTM_DELROUTE, 0)
    except HostError as error:
        if error.errno != errno.ESRCH:
            raise


def default_routes(requests: Requests, gateway: IpAddress) -> set[tuple[IpAddress | None, int]]:
    """(gateway or None, interface's index) of the main table's default routes of an address's family."""
    wanted = rtnetlink.all_routes(rtnetlink.family_of(gateway))
    routes = requests.ask("list routes", rtnetlink.RTM_GETROUTE, wanted, rtnetlink.read_route, dump=True)
    return {(route.gateway, route.interface_index) for route in routes if _is_default(route)}


def _is_default(route: Route) -> bool:
    is_everything = route.prefix_length == 0 and route.kind == rtnetlink.RTN_UNICAST
    return is_everything and route.table == rtnetlink.RT_TABLE_MAIN


def without_scope(gateway: IpAddress) -> IpAddress:
    """An address as routes have it: their interface is another attribute."""
    return gateway if gateway.version == 4 else IPv6Address(int(gateway))
