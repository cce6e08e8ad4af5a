"""The topologies T1 to T7 of in-band.md, as wires and plans.

A function here lays the wires, gives the controller and the gateways their addresses, and returns what each switch is
to be: which interfaces are its ports, which address its local port carries, where its gateway and its controller are.
It starts no switch: that is for the scenario, with whichever switch it tests.

Sites are ordered by distance from the controller, nearest first; that is the order in which a chain comes up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.system.lab.net import Lab, Namespace

PORT = 6653
DHCP = "dhcp"
"""In place of an address: the local port gets one by DHCP."""


@dataclass(frozen=True, slots=True)
class BridgePlan:
    """What one bridge is to be: its ports, the address of its local port (empty: none), its gateway, its controller."""

    name: str
    ports: tuple[str, ...]
    address: str = ""
    gateway: str = ""
    controller: str = ""


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
        return f"tcp:{self.remote}:{PORT}"


def same_subnet(lab: Lab) -> Topology:
    """T1: controller and switch on one subnet."""
    return _row(lab, "T1", 1)


def behind_gateway(lab: Lab) -> Topology:
    """T2: the controller is behind a gateway."""
    return _row_behind_gateway(lab, "T2", 1)


def row(lab: Lab, length: int) -> Topology:
    """T3: switches one behind the other, the controller at one end."""
    return _row(lab, f"T3 row of {length}", length)


def between_switch_and_gateway(lab: Lab) -> Topology:
    """T4: a switch between another switch and the gateway, the controller behind the gateway."""
    return _row_behind_gateway(lab, "T4", 2)


def guest_controller(lab: Lab) -> Topology:
    """T5: the controller is a guest on a port of the first switch; another switch behind that one uses it too.

    The guest's own switch has an uplink and a guest port, as a hypervisor's has; the other hangs on the uplink.
    """
    guest = lab.namespace("guest")
    host, other = lab.namespace("host"), lab.namespace("other")
    lab.link(guest, "eth0", host, "vnet0")
    lab.link(host, "eth0", other, "eth0")
    guest.address("eth0", "10.0.0.100/24")
    plans = [
        Site(host, (BridgePlan("br0", ("vnet0", "eth0"), "10.0.0.1/24", controller="10.0.0.100"),)),
        Site(other, (BridgePlan("br0", ("eth0",), "10.0.0.2/24", controller="10.0.0.100"),)),
    ]
    return Topology("T5", lab, guest, "10.0.0.100", tuple(plans))


def guest_over_segment(lab: Lab) -> Topology:
    """T6 over one layer 2 segment: the guest's bridge has no address; its host reaches it through another bridge."""
    guest, host, lan = lab.namespace("guest"), lab.namespace("host"), lab.namespace("lan")
    lan.ip("link add lan type bridge", "link set dev lan up")
    for interface in ("eth0", "eth1"):
        lab.link(host, interface, lan, interface)
        lan.ip(f"link set dev {interface} master lan")
    lab.link(guest, "eth0", host, "vnet0")
    guest.address("eth0", "10.0.0.100/24")
    plans = (
        BridgePlan("br0", ("eth0",), "10.0.0.1/24", controller="10.0.0.100"),
        BridgePlan("br1", ("eth1", "vnet0"), controller="10.0.0.100"),
    )
    return Topology("T6 segment", lab, guest, "10.0.0.100", (Site(host, plans),))


def guest_over_router(lab: Lab) -> Topology:
    """T6 over a router: the guest's bridge has no address and is on another subnet than the bridge that has one."""
    guest, host, router = lab.namespace("guest"), lab.namespace("host"), lab.namespace("router")
    lab.link(host, "eth0", router, "eth0")
    lab.link(host, "eth1", router, "eth1")
    lab.link(guest, "eth0", host, "vnet0")
    router.address("eth0", "10.0.0.254/24")
    router.address("eth1", "10.9.0.254/24")
    router.sysctl(net__ipv4__ip_forward=1)
    guest.address("eth0", "10.9.0.100/24")
    guest.route("default", "10.9.0.254")
    plans = (
        BridgePlan("br0", ("eth0",), "10.0.0.1/24", "10.0.0.254", "10.9.0.100"),
        BridgePlan("br1", ("eth1", "vnet0"), controller="10.9.0.100"),
    )
    return Topology("T6 router", lab, guest, "10.9.0.100", (Site(host, plans),), gateways=(router,))


def address_by_dhcp(lab: Lab) -> Topology:
    """T7: the local port gets its address by DHCP from the controller's machine, then connects."""
    made = _row(lab, "T7", 1)
    site = made.sites[0]
    plan = site.bridges[0]
    dhcp = BridgePlan(plan.name, plan.ports, DHCP, controller=plan.controller)
    dhcp_server(made.controller, "eth0", "10.0.0.10,10.0.0.90")
    return Topology("T7", lab, made.controller, made.remote, (Site(site.namespace, (dhcp,)),))


def with_hosts(made: Topology, count: int) -> Topology:
    """Hang this many hosts on the first bridge of the first site: h1 is 10.0.0.201 and so on."""
    site, *others = made.sites
    plan, *more = site.bridges
    hosts: dict[str, tuple[Namespace, str]] = {}
    ports = list(plan.ports)
    for number in range(1, count + 1):
        host = made.lab.namespace(f"h{number}")
        made.lab.link(host, "eth0", site.namespace, f"host{number}")
        host.address("eth0", f"10.0.0.{200 + number}/24")
        hosts[f"h{number}"] = (host, f"10.0.0.{200 + number}")
        ports.append(f"host{number}")
    grown = BridgePlan(plan.name, tuple(ports), plan.address, plan.gateway, plan.controller)
    sites = (Site(site.namespace, (grown, *more)), *others)
    return Topology(made.name, made.lab, made.controller, made.remote, sites, made.gateways, hosts)


def dhcp_server(namespace: Namespace, interface: str, pool: str) -> None:
    """Run a DHCP server (no DNS, no router option, leases in the laboratory's own folder)."""
    leases = namespace.lab.folder / "leases"
    namespace.start(
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", f"--interface={interface}",
        f"--dhcp-range={pool},255.255.255.0,2m", f"--dhcp-leasefile={leases}", "--dhcp-option=3",
        "--dhcp-authoritative", "--no-ping", "--pid-file=", "--user=root", "--log-dhcp", "--log-facility=-",
    )  # fmt: skip


def _row(lab: Lab, name: str, length: int) -> Topology:
    controller = lab.namespace("c")
    sites = _chain(lab, controller, "eth0", length, "", "10.0.0.100")
    controller.address("eth0", "10.0.0.100/24")
    return Topology(name, lab, controller, "10.0.0.100", sites)


def _row_behind_gateway(lab: Lab, name: str, length: int) -> Topology:
    controller, gateway = lab.namespace("c"), lab.namespace("gw")
    lab.link(controller, "eth0", gateway, "eth0")
    controller.address("eth0", "10.9.0.100/24")
    controller.route("default", "10.9.0.254")
    gateway.address("eth0", "10.9.0.254/24")
    gateway.sysctl(net__ipv4__ip_forward=1)
    sites = _chain(lab, gateway, "eth1", length, "10.0.0.254", "10.9.0.100")
    gateway.address("eth1", "10.0.0.254/24")
    return Topology(name, lab, controller, "10.9.0.100", sites, gateways=(gateway,))


def _chain(lab: Lab, head: Namespace, head_if: str, length: int, gateway: str, remote: str) -> tuple[Site, ...]:
    """Hang a row of switches on an interface: s1 nearest, each with ports `north` and (but the last) `south`."""
    sites = []
    above, above_if = head, head_if
    for number in range(1, length + 1):
        here = lab.namespace(f"s{number}")
        lab.link(above, above_if, here, "north")
        ports = ("north", "south") if number < length else ("north",)
        plan = BridgePlan("br0", ports, f"10.0.0.{number}/24", gateway, remote)
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
