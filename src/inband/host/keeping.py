"""Puts back what another program has changed of a bridge's own interface: name, state, MTU, routes.

Addresses and MAC are ``inband.host.interfaces``'. Every function says with one request of its own whether there was
anything to do, so that it may be called whenever that is in doubt. All raise HostError when the kernel refuses.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from inband.errors import HostError
from inband.host import codec, rtnetlink
from inband.host.interfaces import LocalPair, change_mtu, default_routes, route, without_scope
from inband.host.ports import set_up
from inband.host.requests import Requests
from inband.host.rtnetlink import Link
from inband.vocabulary.addresses import IpAddress

IpInterface = IPv4Interface | IPv6Interface
IpNetwork = IPv4Network | IPv6Network


def put_back_ends(pair: LocalPair) -> list[str]:
    """Give both ends of a pair their names again, make them members of nothing, and have the inner one up.

    Returns what had to be done, in words. The outer end may be down: that is how people say that they want it so; but
    while it is up, it asks for neighbours.
    """
    done = []
    with Requests() as requests:
        for name, index in ((pair.outer, pair.index), (pair.inner, pair.inner_index)):
            link = requests.link_at(index)
            if link is None:
                continue
            if link.name != name:
                _rename(requests, link, name)
                done.append(f"the name of {name}")
            if link.master:
                free = rtnetlink.link_body(index, codec.number(rtnetlink.IFLA_MASTER, 0, 4))
                requests.change(f"take {name} out of another interface", rtnetlink.RTM_SETLINK, 0, free)
                done.append(f"{name}, which was made a member of another interface")
            if index == pair.index and not link.arps:
                asking = rtnetlink.link_body(index, flags=0, change=rtnetlink.IFF_NOARP)
                requests.change(f"have {name} ask for neighbours", rtnetlink.RTM_SETLINK, 0, asking)
                done.append(f"{name}'s questions for neighbours (ARP)")
            if index == pair.inner_index and not link.up:
                set_up(requests, link, up=True)
                done.append(f"{name}, which was down")
    return done


def _rename(requests: Requests, link: Link, name: str) -> None:
    """Kernels before 6.2 rename only what is down."""
    body = rtnetlink.link_body(link.index, codec.text(rtnetlink.IFLA_IFNAME, name))
    try:
        requests.change(f"rename {link.name} to {name}", rtnetlink.RTM_SETLINK, 0, body)
    except HostError as error:
        if error.errno != errno.EBUSY:
            raise
        set_up(requests, link, up=False)
        requests.change(f"rename {link.name} to {name}", rtnetlink.RTM_SETLINK, 0, body)
        if link.up:
            set_up(requests, link, up=True)


def set_mtu(pair: LocalPair, mtu: int) -> None:
    """Give both ends this MTU, in bytes; the inner one first, so that it takes what the outer one sends."""
    with Requests() as requests:
        for name, index in ((pair.inner, pair.inner_index), (pair.outer, pair.index)):
            change_mtu(requests, name, index, mtu)


def restore_networks(pair: LocalPair, addresses: Iterable[IpInterface]) -> list[IpNetwork]:
    """Have routes to the networks of addresses that the interface has, of any metric; returns those that were missing.

    All routes are looked at, for there may be one of another metric: to be called when one of these has changed.
    """
    missing: list[IpNetwork] = []
    with Requests() as requests:
        link = requests.link_at(pair.index)
        if link is None or not link.up:
            return []
        for address in addresses:
            network = address.network
            if network.prefixlen == network.max_prefixlen or _has_route(requests, link, network):
                continue
            body = rtnetlink.network_route_body(pair.index, address)
            flags = codec.NLM_F_CREATE | codec.NLM_F_EXCL
            try:
                requests.change(f"route to {network} on {pair.outer}", rtnetlink.RTM_NEWROUTE, flags, body)
                missing.append(network)
            except HostError as error:
                if error.errno != errno.EEXIST:
                    raise
    return missing


def _has_route(requests: Requests, link: Link, network: IpNetwork) -> bool:
    """Whether a route of the main table leads to a network by an interface."""
    wanted = rtnetlink.all_routes(rtnetlink.family_of(network.network_address))
    bodies = requests.ask("list routes", rtnetlink.RTM_GETROUTE, wanted, bytes, dump=True)
    return any(_is_to(body, link, network) for body in bodies)


def _is_to(body: bytes, link: Link, network: IpNetwork) -> bool:
    route, found = rtnetlink.read_route(body), codec.attributes(body, rtnetlink.ROUTE.size)
    is_ours = (route.table, route.interface_index) == (rtnetlink.RT_TABLE_MAIN, link.index)
    to = (route.prefix_length, found.get(rtnetlink.RTA_DST))
    return is_ours and to == (network.prefixlen, network.network_address.packed)


def restore_gateway(pair: LocalPair, gateway: IpAddress, *, was_touched: bool) -> bool:
    """Have the default route again; whether it was missing.

    ``was_touched``: a default route changed just now, so that another one may be in its place, which it then takes
    back. Only then all routes are looked at, for there may be a million.
    """
    with Requests() as requests:
        link = requests.link_at(pair.index)
        if link is None:
            return False
        flags = codec.NLM_F_CREATE | codec.NLM_F_EXCL
        try:
            route(requests, link, gateway, rtnetlink.RTM_NEWROUTE, flags)
            return True
        except HostError as error:
            if error.errno != errno.EEXIST:
                raise
        if not was_touched or (without_scope(gateway), link.index) in default_routes(requests, gateway):
            return False
        route(requests, link, gateway, rtnetlink.RTM_NEWROUTE, codec.NLM_F_CREATE | codec.NLM_F_REPLACE)
        return True


def is_elsewhere(pair: LocalPair) -> bool:
    """Whether the outer end has been moved to another network namespace: the inner one knows."""
    with Requests() as requests:
        link = requests.link_at(pair.inner_index)
        return link is not None and link.peer_elsewhere
