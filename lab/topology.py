"""The topologies T1 to T7 of docs/in-band.md, as wires and plans.

A function here lays the wires, gives the controller and the gateways their addresses, and returns what each switch is
to be: which interfaces are its ports, which address its local port carries, where its gateway and its controller are.
It starts no switch: that is for the scenario, with whichever switch it tests.

Sites are ordered by distance from the controller, nearest first; that is the order in which a chain comes up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lab.addressing import IPV4, Addressing
from lab.certificates import TlsFiles
from lab.journal import until
from lab.net import Lab, Namespace
from lab.process import Process

PORT = 6653
START_S = 10.0
"""Until a server has its sockets open."""
DHCP = "dhcp"
"""In place of an address: the local port gets one by DHCP."""


@dataclass(frozen=True, slots=True)
class BridgePlan:
    """What one bridge is to be: its ports, the address of its local port (empty: none), its gateway, its controller.

    Of addresses and controllers there may be several, with commas between. ``vlan`` is that of control traffic (None:
    untagged). ``more_targets`` are places for clients that call (``ptcp:6700:127.0.0.1``) and other controllers, as
    they are written; ``tls`` is what it needs for those with TLS.
    """

    name: str
    ports: tuple[str, ...]
    address: str = ""
    gateway: str = ""
    controller: str = ""
    vlan: int | None = None
    more_targets: tuple[str, ...] = ()
    tls: TlsFiles | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The local port's addresses with their prefix lengths."""
        return tuple(self.address.split(",")) if self.address else ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The controllers as the switch is told about them."""
        dialled = tuple(target_of(each) for each in self.controller.split(",")) if self.controller else ()
        return (*dialled, *self.more_targets)


@dataclass(frozen=True, slots=True)
class Site:
    """One machine with one switch process and its bridges."""

    namespace: Namespace
    bridges: tuple[BridgePlan, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """A network without its switches: the controller's address is ``remote``, data hosts are by name."""

    name: str
    lab: Lab
    controller: Namespace
    remote: str
    sites: tuple[Site, ...]
    gateways: tuple[Namespace, ...] = ()
    hosts: dict[str, tuple[Namespace, str]] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The controller as the switches are told about it."""
        return target_of(self.remote)


def target_of(address: str) -> str:
    """Return a controller as a switch is told about it."""
    return f"tcp:[{address}]:{PORT}" if ":" in address else f"tcp:{address}:{PORT}"


def same_subnet(lab: Lab, on: Addressing = IPV4) -> Topology:
    """T1: controller and switch on one subnet."""
    return _row(lab, "T1", 1, on)


def behind_gateway(lab: Lab, on: Addressing = IPV4) -> Topology:
    """T2: the controller is behind a gateway."""
    return _row_behind_gateway(lab, "T2", 1, on)


def row(lab: Lab, length: int, on: Addressing = IPV4) -> Topology:
    """T3: switches one behind the other, the controller at one end."""
    return _row(lab, f"T3 row of {length}", length, on)


def between_switch_and_gateway(lab: Lab, on: Addressing = IPV4) -> Topology:
    """T4: a switch between another switch and the gateway, the controller behind the gateway."""
    return _row_behind_gateway(lab, "T4", 2, on)


def guest_controller(lab: Lab, on: Addressing = IPV4) -> Topology:
    """T5: the controller is a guest on a port of the first switch; another switch behind that one uses it too.

    The guest's own switch has an uplink and a guest port, as a hypervisor's has; the other hangs on the uplink.
    """
    guest, host, other = lab.namespace("guest"), lab.namespace("host"), lab.namespace("other")
    on.prepare(guest)
    lab.link(guest, "eth0", host, "vnet0")
    lab.link(host, "eth0", other, "eth0")
    guest.address("eth0", *on.interfaces(on.near, 100))
    remotes = on.addresses(on.near, 100)
    first, second = (",".join(on.interfaces(on.near, number)) for number in (1, 2))
    plans = [
        Site(host, (BridgePlan("br0", ("vnet0", "eth0"), first, controller=",".join(remotes)),)),
        Site(other, (BridgePlan("br0", ("eth0",), second, controller=",".join(remotes)),)),
    ]
    return Topology("T5", lab, guest, remotes[0], tuple(plans))


def guest_over_segment(lab: Lab, on: Addressing = IPV4) -> Topology:
    """T6 over one layer 2 segment: the guest's bridge has no address; its host reaches it through another bridge."""
    guest, host, lan = lab.namespace("guest"), lab.namespace("host"), lab.namespace("lan")
    on.prepare(guest, lan)
    lan.ip("link add lan type bridge", "link set dev lan up")
    for interface in ("eth0", "eth1"):
        lab.link(host, interface, lan, interface)
        lan.ip(f"link set dev {interface} master lan")
    lab.link(guest, "eth0", host, "vnet0")
    guest.address("eth0", *on.interfaces(on.near, 100))
    remote = ",".join(on.addresses(on.near, 100))
    plans = (
        BridgePlan("br0", ("eth0",), ",".join(on.interfaces(on.near, 1)), controller=remote),
        BridgePlan("br1", ("eth1", "vnet0"), controller=remote),
    )
    return Topology("T6 segment", lab, guest, on.addresses(on.near, 100)[0], (Site(host, plans),))


def guest_over_router(lab: Lab, on: Addressing = IPV4) -> Topology:
    """T6 over a router: the guest's bridge has no address and is on another subnet than the bridge that has one."""
    guest, host, router = lab.namespace("guest"), lab.namespace("host"), lab.namespace("router")
    on.prepare(guest, router)
    lab.link(host, "eth0", router, "eth0")
    lab.link(host, "eth1", router, "eth1")
    lab.link(guest, "eth0", host, "vnet0")
    router.address("eth0", *on.interfaces(on.near, 254))
    router.address("eth1", *on.interfaces(on.far, 254))
    on.forward(router)
    guest.address("eth0", *on.interfaces(on.far, 100))
    on.route(guest, on.far, 254)
    remote = ",".join(on.addresses(on.far, 100))
    plans = (
        BridgePlan("br0", ("eth0",), ",".join(on.interfaces(on.near, 1)), on.addresses(on.near, 254)[0], remote),
        BridgePlan("br1", ("eth1", "vnet0"), controller=remote),
    )
    return Topology("T6 router", lab, guest, on.addresses(on.far, 100)[0], (Site(host, plans),), gateways=(router,))


def address_by_dhcp(lab: Lab) -> Topology:
    """T7: the local port gets its address by DHCP from the controller's machine, then connects."""
    made = _row(lab, "T7", 1)
    site = made.sites[0]
    plan = site.bridges[0]
    dhcp = BridgePlan(plan.name, plan.ports, DHCP, controller=plan.controller)
    dhcp_server(made.controller, "eth0", "10.0.0.10,10.0.0.90")
    return Topology("T7", lab, made.controller, made.remote, (Site(site.namespace, (dhcp,)),))


def with_hosts(made: Topology, count: int, on: Addressing = IPV4) -> Topology:
    """Hang this many hosts on the first bridge of the first site: h1 is 10.0.0.201 and so on."""
    site, *others = made.sites
    plan, *more = site.bridges
    hosts: dict[str, tuple[Namespace, str]] = {}
    ports = list(plan.ports)
    for number in range(1, count + 1):
        host = made.lab.namespace(f"h{number}")
        on.prepare(host)
        made.lab.link(host, "eth0", site.namespace, f"host{number}")
        host.address("eth0", *on.interfaces(on.near, 200 + number))
        hosts[f"h{number}"] = (host, on.addresses(on.near, 200 + number)[0])
        ports.append(f"host{number}")
    grown = replace(plan, ports=tuple(ports))
    sites = (Site(site.namespace, (grown, *more)), *others)
    return Topology(made.name, made.lab, made.controller, made.remote, sites, made.gateways, hosts)


def dhcp_server(namespace: Namespace, interface: str, pool: str, router: str = "", delay_s: int = 0) -> Process:
    """Run a DHCP server (no DNS, leases in the laboratory's own folder), which names a router or none.

    It is ready on return, and takes ``delay_s`` for each answer.
    """
    routers = f"--dhcp-option=3,{router}" if router else "--dhcp-option=3"
    leases = namespace.lab.folder / f"leases-{namespace.short}"
    process = namespace.start(
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", f"--interface={interface}",
        f"--dhcp-range={pool},255.255.255.0,2m", f"--dhcp-leasefile={leases}", routers,
        "--dhcp-authoritative", "--no-ping", "--pid-file=", "--user=root", "--log-dhcp", "--log-facility=-",
        *([f"--dhcp-reply-delay={delay_s}"] if delay_s else []),
    )  # fmt: skip
    if not until(lambda: "DHCP, IP range" in process.tail(), START_S):  # said with its sockets open
        raise AssertionError(f"dnsmasq did not start:\n{process.tail()}")
    return process


def _row(lab: Lab, name: str, length: int, on: Addressing = IPV4) -> Topology:
    controller = lab.namespace("c")
    on.prepare(controller)
    sites = chain(lab, controller, "eth0", length, "", on.addresses(on.near, 100), on)
    controller.address("eth0", *on.interfaces(on.near, 100))
    return Topology(name, lab, controller, on.addresses(on.near, 100)[0], sites)


def _row_behind_gateway(lab: Lab, name: str, length: int, on: Addressing) -> Topology:
    controller, gateway = lab.namespace("c"), lab.namespace("gw")
    on.prepare(controller, gateway)
    lab.link(controller, "eth0", gateway, "eth0")
    controller.address("eth0", *on.interfaces(on.far, 100))
    on.route(controller, on.far, 254)
    gateway.address("eth0", *on.interfaces(on.far, 254))
    on.forward(gateway)
    remotes = on.addresses(on.far, 100)
    sites = chain(lab, gateway, "eth1", length, on.addresses(on.near, 254)[0], remotes, on)
    gateway.address("eth1", *on.interfaces(on.near, 254))
    return Topology(name, lab, controller, remotes[0], sites, gateways=(gateway,))


def chain(
    lab: Lab, head: Namespace, head_if: str, length: int, gateway: str, remotes: tuple[str, ...], on: Addressing
) -> tuple[Site, ...]:
    """Hang a row of switches on an interface: s1 nearest, each with ports `north` and (but the last) `south`."""
    sites = []
    above, above_if = head, head_if
    for number in range(1, length + 1):
        here = lab.namespace(f"s{number}")
        lab.link(above, above_if, here, "north")
        ports = ("north", "south") if number < length else ("north",)
        address = ",".join(on.interfaces(on.near, number))
        plan = BridgePlan("br0", ports, address, gateway, ",".join(remotes))
        sites.append(Site(here, (plan,)))
        above, above_if = here, "south"
    return tuple(sites)


MANY: dict[str, Callable[[Lab], Topology]] = {
    "T1": same_subnet,
    "T2": behind_gateway,
    "T3 row of 2": lambda lab: row(lab, 2),
    "T3 row of 4": lambda lab: row(lab, 4),
    "T3 row of 10": lambda lab: row(lab, 10),
    "T4": between_switch_and_gateway,
    "T5": guest_controller,
    "T6 segment": guest_over_segment,
    "T6 router": guest_over_router,
    "T7": address_by_dhcp,
}
"""All topologies by name."""
