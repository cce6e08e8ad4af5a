"""What only IPv6 has: routers that announce themselves, link-local remotes and gateways, addresses by DHCPv6, and
addresses that two hosts claim.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from lab import frames, special, topology
from lab.addressing import BOTH, IPV6, Addressing
from lab.net import Lab, Namespace
from lab.topology import BridgePlan, Site, Topology

REMOTE, GATEWAY, OTHER_GATEWAY = "fe80::100", "fe80::254", "fe80::253"
DHCPV6, LEASES = "dhcpv6", ("fd00:a::1000", "fd00:a::1001")
DUPLICATE = "fd00:a::1"
"""The first switch's address."""

ROUTER_LIFETIME_S = 60
ADVERTISE_S = 4
"""How often routers say that they are there: the least that dnsmasq and RFC 4861 (6.2.1) allow."""


def link_local_remote(lab: Lab, length: int) -> Topology:
    """A row of switches without global addresses: the controller is a link-local address on each one's own link."""
    made = topology.row(lab, length, IPV6)
    made.controller.address("eth0", f"{REMOTE}/64")
    return replace(_planned(made, address="", controller=f"{REMOTE}%br0"), remote=REMOTE)


def link_local_gateway(lab: Lab, length: int) -> Topology:
    """T2 and T4 where each switch is told the gateway's link-local address."""
    made = topology.behind_gateway(lab, IPV6) if length == 1 else topology.between_switch_and_gateway(lab, IPV6)
    made.gateways[0].address("eth1", f"{GATEWAY}/64")
    return _planned(made, gateway=GATEWAY)


def by_advertisement(lab: Lab, on: Addressing = IPV6) -> Topology:
    """T2 where a router gives IPv6 address and default route, as most do; IPv4's, if any, are the switch's own."""
    made = topology.behind_gateway(lab, on)
    advertise(made.gateways[0], "eth1", "fd00:a::,ra-only,64,120")
    plan = made.sites[0].bridges[0]
    own = [each for each in plan.addresses if ":" not in each]
    return _planned(made, address=",".join(own), gateway=plan.gateway if on is BOTH else "")


def address_by_dhcpv6(lab: Lab) -> Topology:
    """T7 with T2: the address comes by DHCPv6, the way to the controller by advertisement, from one router."""
    made = topology.behind_gateway(lab, IPV6)
    advertise(made.gateways[0], "eth1", "fd00:a::1000,fd00:a::1fff,64,2m")
    return _planned(made, address=DHCPV6, gateway="")


def leased_address_elsewhere(lab: Lab) -> Topology:
    """The same where a host on a port of the switch has one of the two addresses that there are to lease."""
    made = topology.with_hosts(topology.behind_gateway(lab, IPV6), 1, IPV6)
    host, _ = made.hosts["h1"]
    host.address("eth0", f"{LEASES[0]}/64")
    advertise(made.gateways[0], "eth1", f"{LEASES[0]},{LEASES[1]},64,2m")
    return _planned(made, address=DHCPV6, gateway="")


def snooping_segment(lab: Lab) -> Topology:
    """T1 with a bridge between that sends multicast only where a host listens, asks each second, and forgets soon."""
    controller, site = lab.namespace("c"), lab.namespace("s1")
    IPV6.prepare(controller)
    lan = special.segment(lab, "lan")
    lab.link(controller, "eth0", lan, "c")
    lab.link(site, "north", lan, "s1")
    special.plug_all(lan)
    lan.ip(
        "link set lan type bridge mcast_snooping 1 mcast_querier 1 mcast_startup_query_interval 50"
        " mcast_query_interval 100 mcast_query_response_interval 50 mcast_membership_interval 300"
    )
    controller.address("eth0", *IPV6.interfaces(IPV6.near, 100))
    (own,), (remote,) = IPV6.interfaces(IPV6.near, 1), IPV6.addresses(IPV6.near, 100)
    plan = BridgePlan("br0", ("north",), own, controller=remote)
    return Topology("snooping segment", lab, controller, remote, (Site(site, (plan,)),), gateways=(lan,))


def listens(lan: Namespace, port: str, group: str) -> bool:
    """Tell whether a bridge knows of a listener to a multicast group behind a port."""
    return f"port {port} grp {group} " in lan.run("bridge", "mdb", "show", "dev", "lan")


def two_routers(lab: Lab) -> Topology:
    """One switch on a segment with two routers, GATEWAY and OTHER_GATEWAY, that advertise when they are told to."""
    made = special.two_gateways(lab, IPV6)
    for router, address in zip(made.gateways, (GATEWAY, OTHER_GATEWAY), strict=True):
        router.address("eth1", f"{address}/64")
    return _planned(made, gateway="")


def advertise_once(router: Namespace, address: str, preference: str = "medium", lifetime_s: int = 600) -> None:
    """Have a router of :func:`two_routers` say that it is one, or (0) that it is none any more."""
    frame = frames.router_advertisement(router.mac("eth1"), address, lifetime_s, preference)
    router.run(sys.executable, "-m", "lab.probe", "send", "eth1", frame.hex(), "1000", "0.001")


def advertise(router: Namespace, interface: str, pool: str) -> None:
    """Have a router announce itself, with prefixes or a DHCPv6 pool as dnsmasq's --dhcp-range has them."""
    leases = router.lab.folder / f"{router.short}-leases6"
    router.start(
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", f"--interface={interface}",
        "--enable-ra", f"--ra-param={interface},{ADVERTISE_S},{ROUTER_LIFETIME_S}", f"--dhcp-range={pool}",
        f"--dhcp-leasefile={leases}", "--pid-file=", "--user=root", "--log-dhcp", "--log-facility=-",
        label="router",
    )  # fmt: skip


def same_address_elsewhere(lab: Lab) -> Topology:
    """T1 with a host on a port of the switch that has the switch's IPv6 address already."""
    made = topology.with_hosts(topology.same_subnet(lab, BOTH), 1, BOTH)
    host, _ = made.hosts["h1"]
    host.address("eth0", f"{DUPLICATE}/64")
    return made


def state_of(host: Namespace, interface: str, address: str) -> str:
    """Return what the kernel thinks of an address: `missing`, `duplicate`, `tentative` or `usable`."""
    line = host.run("ip", "-6", "-o", "address", "show", "dev", interface, "to", address)
    for sign, state in (("dadfailed", "duplicate"), ("tentative", "tentative"), ("inet6", "usable")):
        if sign in line:
            return state
    return "missing"


def _planned(made: Topology, **fields: Any) -> Topology:
    """Change every bridge's plan."""
    sites = tuple(replace(site, bridges=tuple(replace(each, **fields) for each in site.bridges)) for site in made.sites)
    return replace(made, sites=sites)
