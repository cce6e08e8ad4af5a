"""Moves what makes an interface this machine's own (addresses, routes, neighbours) to another one, in one go.

No TCP session ends by it: TCP knows addresses, not interfaces, and at every moment one of the two has the address.
``give`` copies addresses and neighbours, ``take`` then redirects the routes and removes the addresses from the first;
what must happen between them (the first becomes a port, and loses all that it has of IPv6) is the caller's. Both take
a millisecond or two.

Moved are routes of every table that name the interface, except what the kernel makes itself with an address, and
neighbours whose MAC address is known. Of a route with several next hops those by the interface are. Routes through
nexthop objects cannot be: ``give`` raises UsageError, and nothing has changed.

All raise HostError when the kernel refuses; ``give`` then has taken back what it gave.
Source: linux/rtnetlink.h, linux/if_addr.h, linux/neighbour.h.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from struct import Struct

from inband.errors import HostError, UsageError
from inband.host import codec, rtnetlink
from inband.host.interfaces import IpInterface, interface_of, without_scope
from inband.host.ports import set_up
from inband.host.requests import Requests
from inband.host.rtnetlink import Link
from inband.vocabulary.addresses import IpAddress, Mac

_IFA_CACHEINFO, _IFA_F_NODAD = 6, 0x02
_IFA_F_GIVEN = 0x712  # as in inband.host.ports
_RTPROT_KERNEL = 2
_RTA_PRIORITY = 6
_RT_TABLE_LOCAL = 255
_RTNH_F_ONLINK = 4
_RTA_MULTIPATH, _RTA_NH_ID = 9, 30
# struct rtnexthop: length, flags, weight - 1, interface's index; then attributes.
_NEXT_HOP = Struct("=HBBi")
# DST, SRC, GATEWAY, PRIORITY, PREFSRC, METRICS, TABLE, VIA, PREF: what says of a route where it leads.
_ROUTE_ATTRIBUTES = (1, 2, 5, 6, 7, 8, 15, 18, 20)


@dataclass(frozen=True, slots=True)
class Belongings:
    """What an interface has: ``leased`` are addresses that come with a lease or from a router's advertisement."""

    mac: Mac
    addresses: tuple[IpInterface, ...]
    leased: tuple[IpInterface, ...]
    gateway: IpAddress | None

    def with_lease(self) -> Belongings:
        """The same, known that a DHCP client runs: if no IPv4 address says that it is leased, the first is.

        Some clients' scripts give the kernel no lifetime (udhcpc's of Debian).
        """
        if any(each.version == 4 for each in self.leased):
            return self
        lease = next((each for each in self.addresses if each.version == 4), None)
        if lease is None:
            return self
        others = tuple(each for each in self.addresses if each != lease)
        return replace(self, addresses=others, leased=(lease, *self.leased))


def belongings_of(interface: str) -> Belongings:
    """What there is to move; raises UsageError when there is no such interface."""
    with Requests() as requests:
        link = _existing(requests, interface)
        given: list[IpInterface] = []
        leased: list[IpInterface] = []
        for body in _addresses(requests, link):
            address = rtnetlink.read_address(body)
            if address is not None:
                is_permanent = address.flags & rtnetlink.IFA_F_PERMANENT
                (given if is_permanent else leased).append(interface_of(address.address, address.prefix_length))
        routes = map(rtnetlink.read_route, _routes(requests, link))
        defaults = [r for r in routes if r.prefix_length == 0 and r.table == rtnetlink.RT_TABLE_MAIN]
        gateways = sorted((r.gateway for r in defaults if r.gateway is not None), key=lambda each: each.version)
        return Belongings(link.mac, tuple(given), tuple(leased), next(iter(gateways), None))


def has_default_route(index: int) -> bool:
    """Whether a default route leads by the interface with this index."""
    with Requests() as requests:
        link = requests.link_at(index)
        return link is not None and any(body[1] == 0 for body in _routes(requests, link))


def give(source: str, target: str) -> list[bytes]:
    """Give the addresses and the neighbours of ``source`` to ``target`` as well; returns the routes for ``take``."""
    with Requests() as requests:
        old, new = _existing(requests, source), _existing(requests, target)
        given: list[bytes] = []
        routes = _routes(requests, old)
        if any(_RTA_NH_ID in _route_attributes(body) for body in routes):
            raise UsageError(
                f"{source} has routes through nexthop objects (`ip nexthop`), which cannot lead by {target}: write "
                f"these routes with `via` first"
            )
        set_up(requests, new, up=True)  # routes need that, and whoever has addresses is in use
        try:
            for body in _addresses(requests, old):
                copied = _address_for(new, body)
                requests.change(f"give {target} an address of {source}", rtnetlink.RTM_NEWADDR, _REPLACE, copied)
                given.append(copied)
        except HostError:
            for body in given:
                _remove_address(requests, target, body)
            raise
        for body in _neighbours(requests, old, new):
            requests.change(f"give {target} a neighbour of {source}", rtnetlink.RTM_NEWNEIGH, _REPLACE, body)
        return sorted(routes, key=lambda body: rtnetlink.RTA_GATEWAY in _route_attributes(body))


def take(source: str, target: str, routes: Iterable[bytes], *, gateway: IpAddress | None = None) -> None:
    """Have the routes of ``source`` (those on its own networks first) lead by ``target``, and remove its addresses.

    The default route through ``gateway``, which is configured, loses its metric, or there would soon be a second one.
    """
    with Requests() as requests:
        old, new = _existing(requests, source), _existing(requests, target)
        for body in routes:
            words = f"redirect a route of {source} to {target}"
            is_configured = gateway is not None and _is_default_by(body, gateway)
            moved = _route_for(old, new, body, keep_metric=not is_configured)
            requests.change(words, rtnetlink.RTM_NEWROUTE, _REPLACE, moved)
            if is_configured:
                _remove_route(requests, source, body)
        for body in reversed(_addresses(requests, old)):
            _remove_address(requests, source, body)


def _remove_route(requests: Requests, name: str, body: bytes) -> None:
    """Remove a route that the new one has not replaced, because their metrics differ."""
    try:
        requests.change(f"remove a route of {name}", rtnetlink.RTM_DELROUTE, 0, body)
    except HostError as error:
        if error.errno != errno.ESRCH:
            raise


_REPLACE = codec.NLM_F_CREATE | codec.NLM_F_REPLACE


def _existing(requests: Requests, name: str) -> Link:
    link = requests.link(name)
    if link is None:
        raise UsageError(f"there is no interface {name}: `ip link` shows those there are")
    return link


def _addresses(requests: Requests, link: Link) -> list[bytes]:
    """RTM_NEWADDR's bodies for every address of an interface but link-local ones of IPv6."""
    bodies = requests.ask(
        f"list addresses of {link.name}", rtnetlink.RTM_GETADDR, rtnetlink.all_addresses(), bytes, dump=True
    )
    return [body for body in bodies if _is_moved(body, link)]


def _is_moved(body: bytes, link: Link) -> bool:
    address = rtnetlink.read_address(body)
    if address is None or address.interface_index != link.index:
        return False
    return not (address.address.version == 6 and address.address.is_link_local)


def _address_for(link: Link, body: bytes) -> bytes:
    """The same address for another interface, without duplicate address detection: it is ours already."""
    family, length, _, scope, _ = codec.fields(rtnetlink.ADDRESS, body)
    found = codec.attributes(body, rtnetlink.ADDRESS.size)
    flags = codec.as_number(found[rtnetlink.IFA_FLAGS], 4) & _IFA_F_GIVEN if rtnetlink.IFA_FLAGS in found else 0
    kept = (rtnetlink.IFA_ADDRESS, rtnetlink.IFA_LOCAL, _IFA_CACHEINFO, 4)  # 4: IFA_BROADCAST
    copied = b"".join(codec.attribute(kind, found[kind]) for kind in kept if kind in found)
    nodad = _IFA_F_NODAD if family == socket.AF_INET6 else 0
    head = rtnetlink.ADDRESS.pack(family, length, 0, scope, link.index)
    return head + copied + codec.number(rtnetlink.IFA_FLAGS, flags | nodad, 4)


def _remove_address(requests: Requests, name: str, body: bytes) -> None:
    try:
        requests.change(f"remove an address of {name}", rtnetlink.RTM_DELADDR, 0, body)
    except HostError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise


def _routes(requests: Requests, link: Link) -> list[bytes]:
    """RTM_NEWROUTE's bodies for every route by an interface that the kernel does not make with an address."""
    found: list[bytes] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        words, wanted = f"list routes of {link.name}", rtnetlink.all_routes(family)
        found += requests.ask(words, rtnetlink.RTM_GETROUTE, wanted, bytes, dump=True)
    return [body for body in found if _is_by(body, link)]


def _is_by(body: bytes, link: Link) -> bool:
    _, _, _, _, table, protocol, _, kind, flags = codec.fields(rtnetlink.ROUTE, body)
    is_own = protocol == _RTPROT_KERNEL or table == _RT_TABLE_LOCAL or flags & rtnetlink.RTM_F_CLONED
    if is_own or kind != rtnetlink.RTN_UNICAST:
        return False
    found = _route_attributes(body)
    if _RTA_MULTIPATH in found:
        return any(index == link.index for _, _, _, index, _ in _next_hops(found[_RTA_MULTIPATH]))
    return rtnetlink.RTA_OIF in found and codec.as_number(found[rtnetlink.RTA_OIF], 4) == link.index


def _next_hops(data: bytes) -> Iterator[tuple[int, int, int, int, bytes]]:
    """Length, flags, weight - 1, interface's index and attributes of each next hop of a route."""
    while len(data) >= _NEXT_HOP.size:
        length, flags, weight, index = _NEXT_HOP.unpack_from(data)
        if not _NEXT_HOP.size <= length <= len(data):
            return
        yield length, flags, weight, index, data[_NEXT_HOP.size : length]
        data = data[length + 3 & ~3 :]


def _route_attributes(body: bytes) -> codec.Attributes:
    return codec.attributes(body, rtnetlink.ROUTE.size)


def _is_default_by(body: bytes, gateway: IpAddress) -> bool:
    found = rtnetlink.read_route(body)
    is_default = found.prefix_length == 0 and found.table == rtnetlink.RT_TABLE_MAIN
    return is_default and found.gateway == without_scope(gateway)


def _route_for(old: Link, link: Link, body: bytes, *, keep_metric: bool) -> bytes:
    *head, flags = codec.fields(rtnetlink.ROUTE, body)
    found = _route_attributes(body)
    if not keep_metric:
        found = {each: value for each, value in found.items() if each != _RTA_PRIORITY}
    copied = b"".join(codec.attribute(kind, found[kind]) for kind in _ROUTE_ATTRIBUTES if kind in found)
    packed = rtnetlink.ROUTE.pack(*head, flags & _RTNH_F_ONLINK)
    if _RTA_MULTIPATH not in found:
        return packed + copied + codec.number(rtnetlink.RTA_OIF, link.index, 4)
    hops = b"".join(
        _NEXT_HOP.pack(length, flags & _RTNH_F_ONLINK, weight, link.index if index == old.index else index) + rest
        for length, flags, weight, index, rest in _next_hops(found[_RTA_MULTIPATH])
    )
    return packed + copied + codec.attribute(_RTA_MULTIPATH, hops)


def _neighbours(requests: Requests, old: Link, new: Link) -> Iterator[bytes]:
    """Neighbours of one interface as entries of another, old enough to be asked for again soon."""
    words = f"list neighbours of {old.name}"
    for body in requests.ask(words, rtnetlink.RTM_GETNEIGH, rtnetlink.all_neighbours(), bytes, dump=True):
        family, index, state, _, _ = codec.fields(rtnetlink.NEIGHBOUR, body)
        found = codec.attributes(body, rtnetlink.NEIGHBOUR.size)
        is_known = {rtnetlink.NDA_DST, rtnetlink.NDA_LLADDR} <= found.keys() and state & rtnetlink.NUD_VALID
        if index != old.index or not is_known or state & rtnetlink.NUD_NOARP:
            continue
        kept = rtnetlink.NUD_PERMANENT if state & rtnetlink.NUD_PERMANENT else rtnetlink.NUD_STALE
        head = rtnetlink.NEIGHBOUR.pack(family, new.index, kept, 0, 0)
        attributes = (codec.attribute(kind, found[kind]) for kind in (rtnetlink.NDA_DST, rtnetlink.NDA_LLADDR))
        yield head + b"".join(attributes)
