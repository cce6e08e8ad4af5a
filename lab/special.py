"""Topologies beyond T1 to T7: those whose routes change, and those that must not be wired like that."""

from __future__ import annotations

import sys

from lab.addressing import IPV4, Addressing
from lab.journal import until
from lab.net import Lab, Namespace
from lab.topology import START_S, BridgePlan, Site, Topology, behind_gateway, with_hosts

REMOTE = "10.9.0.100"
VIRTUAL_MAC = "00:00:5e:00:01:0a"
GATEWAYS = (254, 253)
"""The host numbers of two gateways, in every network."""


def two_gateways(lab: Lab, on: Addressing = IPV4) -> Topology:
    """Lay one switch on a segment with two gateways, both leading to the controller; the first is the default route."""
    controller, site = lab.namespace("c"), lab.namespace("s1")
    on.prepare(controller)
    near, far = segment(lab, "near"), segment(lab, "far")
    lab.link(site, "north", near, "s1")
    lab.link(controller, "eth0", far, "c")
    routers = tuple(_router(lab, near, far, number, on) for number in GATEWAYS)
    for each in (near, far):
        plug_all(each)
    controller.address("eth0", *on.interfaces(on.far, 100))
    on.route(controller, on.far, GATEWAYS[0])
    remotes = on.addresses(on.far, 100)
    gateway = on.addresses(on.near, GATEWAYS[0])[0]
    plan = BridgePlan("br0", ("north",), ",".join(on.interfaces(on.near, 1)), gateway, ",".join(remotes))
    return Topology("two gateways", lab, controller, remotes[0], (Site(site, (plan,)),), gateways=routers)


def virtual_gateway(lab: Lab) -> Topology:
    """Lay T2 with two hosts and a gateway of a pair (VRRP): its address is at a virtual MAC that never sends."""
    made = with_hosts(behind_gateway(lab), 2)
    gateway = made.gateways[0]
    gateway.ip(
        "addr del 10.0.0.254/24 dev eth1",
        "addr add 10.0.0.252/24 dev eth1",
        f"link add vrrp0 link eth1 address {VIRTUAL_MAC} type macvlan mode bridge",
        "link set dev vrrp0 arp off up",
        "addr add 10.0.0.254/32 dev vrrp0",
    )
    for where in ("all", "eth1", "vrrp0"):
        gateway.sysctl(**{f"net__ipv4__conf__{where}__rp_filter": 0, f"net__ipv4__conf__{where}__arp_ignore": 1})
    router = gateway.start(sys.executable, "-m", "lab.virtual_router", "eth1", "10.0.0.254", VIRTUAL_MAC)
    if not until(lambda: "ready" in router.tail(), START_S):
        raise AssertionError(f"the virtual router did not start:\n{router.tail()}")
    return made


def other_default_route(lab: Lab) -> Topology:
    """Lay T2 where the host's default route leaves by another interface: only a narrower route leads to the controller.

    The switch must be given the narrower route with :func:`narrow_route` once its bridge exists.
    """
    controller, gateway, site = lab.namespace("c"), lab.namespace("gw"), lab.namespace("s1")
    lab.link(controller, "eth0", gateway, "eth0")
    lab.link(gateway, "eth1", site, "north")
    lab.link(gateway, "eth2", site, "other")
    controller.address("eth0", f"{REMOTE}/24")
    controller.route("default", "10.9.0.254")
    for interface, address in (("eth0", "10.9.0.254/24"), ("eth1", "10.0.0.254/24"), ("eth2", "10.77.0.254/24")):
        gateway.address(interface, address)
    gateway.sysctl(net__ipv4__ip_forward=1)
    site.address("other", "10.77.0.1/24")
    site.route("default", "10.77.0.254")
    plan = BridgePlan("br0", ("north",), "10.0.0.1/24", controller=REMOTE)
    return Topology("other default route", lab, controller, REMOTE, (Site(site, (plan,)),), gateways=(gateway,))


def narrow_route(topology: Topology) -> None:
    """Give the switch of :func:`other_default_route` its way to the controller."""
    topology.sites[0].namespace.route("10.9.0.0/24", "10.0.0.254")


def narrow_path(lab: Lab, on: Addressing = IPV4) -> Topology:
    """Lay T2 with a second router and between the two a link that carries no packet of more than 1280 bytes.

    Whoever sends a larger one is told so by ICMP, which a drop-all policy drops.
    """
    controller, outer, gateway = lab.namespace("c"), lab.namespace("outer"), lab.namespace("gw")
    on.prepare(controller, outer, gateway)
    lab.link(controller, "eth0", outer, "eth0")
    lab.link(outer, "eth1", gateway, "eth0")
    for host in (outer, gateway):
        on.forward(host)
    outer.ip("link set dev eth1 mtu 1280")
    gateway.ip("link set dev eth0 mtu 1280")
    site = lab.namespace("s1")
    lab.link(gateway, "eth1", site, "north")
    controller.address("eth0", *on.interfaces(on.far, 100))
    on.route(controller, on.far, 254)
    outer.address("eth0", *on.interfaces(on.far, 254))
    middle = tuple(each.replace(".9.", ".5.").replace(":9:", ":5:") for each in on.far)
    outer.address("eth1", *on.interfaces(middle, 1))
    gateway.address("eth0", *on.interfaces(middle, 2))
    on.route(outer, middle, 2)
    on.route(gateway, middle, 1)
    gateway.address("eth1", *on.interfaces(on.near, 254))
    remotes = on.addresses(on.far, 100)
    own, via = ",".join(on.interfaces(on.near, 1)), on.addresses(on.near, 254)[0]
    plan = BridgePlan("br0", ("north",), own, via, ",".join(remotes))
    return Topology("narrow path", lab, controller, remotes[0], (Site(site, (plan,)),), gateways=(gateway,))


def ring(lab: Lab) -> Topology:
    """Lay two switches joined by two links, without any protocol that would break the ring."""
    controller, first, second = lab.namespace("c"), lab.namespace("s1"), lab.namespace("s2")
    lab.link(controller, "eth0", first, "north")
    lab.link(first, "left", second, "left")
    lab.link(first, "right", second, "right")
    controller.address("eth0", "10.0.0.100/24")
    plans = (
        Site(first, (BridgePlan("br0", ("north", "left", "right"), "10.0.0.1/24", controller="10.0.0.100"),)),
        Site(second, (BridgePlan("br0", ("left", "right"), "10.0.0.2/24", controller="10.0.0.100"),)),
    )
    return Topology("ring of two links", lab, controller, "10.0.0.100", plans)


def segment(lab: Lab, name: str) -> Namespace:
    """Make a namespace that is one layer 2 segment once its interfaces are plugged."""
    made = lab.namespace(name)
    made.ip("link add lan type bridge", "link set dev lan up")
    return made


def plug_all(made: Namespace) -> None:
    """Plug every interface of a segment's namespace into its bridge."""
    names = [line.split(":")[1].split("@")[0].strip() for line in made.run("ip", "-o", "link").splitlines()]
    made.ip(*(f"link set dev {name} master lan" for name in names if name not in ("lo", "lan")))


def _router(lab: Lab, near: Namespace, far: Namespace, number: int, on: Addressing) -> Namespace:
    made = lab.namespace(f"gw{number}")
    on.prepare(made)
    lab.link(made, "eth0", far, f"gw{number}")
    lab.link(made, "eth1", near, f"gw{number}")
    made.address("eth0", *on.interfaces(on.far, number))
    made.address("eth1", *on.interfaces(on.near, number))
    on.forward(made)
    return made
