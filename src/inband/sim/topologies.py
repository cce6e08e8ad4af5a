"""The topologies T1 to T7 of in-band control, ready to run: ``topologies.row(10)``.

Each is a network with one controller, all switches in fail mode secure with an empty table, none started yet.
``switches`` are ordered by distance from the controller, nearest first.

| name | what is special |
| --- | --- |
| T1 `row(1)` | controller and switch on one subnet |
| T2 `row_behind_gateway(1)` | the controller is behind a gateway |
| T3 `row(n)` | switches one behind the other |
| T4 `row_behind_gateway(2)` | a switch between another switch and the gateway |
| T5 `guest_controller()` | the controller is a guest on a port of a switch that has another one behind it |
| T6 `guest_over_segment()`, `guest_over_router()` | the controller is a guest on a bridge without an address |
| T7 `address_by_dhcp()` | the controller's machine has a DHCP server, from which the switch gets its address |
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from inband.sim.dhcp import DhcpServer
from inband.sim.host import ControllerHost, Host
from inband.sim.network import Network
from inband.sim.switch import SwitchHost, read_target
from inband.switch.config import BridgeConfig, FailMode

CONTROLLER = "10.0.0.100"


@dataclass(slots=True)
class Topology:
    """A network and the nodes that a test or an experiment talks to."""

    net: Network
    controller: ControllerHost
    switches: list[SwitchHost]
    routers: list[Host]


def row(length: int, seed: int = 0, *, latency_s: float = 50e-6) -> Topology:
    """T1 and T3: controller, s1, s2, ..."""
    net = Network(seed)
    controller = net.controller("c", f"{CONTROLLER}/16")
    switches = [net.switch(f"s{n}", f"10.0.1.{n}/16", controllers=[CONTROLLER]) for n in range(1, length + 1)]
    net.link(controller, switches[0], latency_s=latency_s)
    for near, far in itertools.pairwise(switches):
        net.link(near, far, latency_s=latency_s)
    return Topology(net, controller, switches, [])


def ring(length: int, seed: int = 0) -> Topology:
    """A row whose last switch is linked to the first one, too. With a length of 2: two links between two switches."""
    made = row(length, seed)
    made.net.link(made.switches[-1], made.switches[0])
    return made


def row_behind_gateway(length: int, seed: int = 0) -> Topology:
    """T2 and T4: controller, gateway, s1, s2, ..."""
    net = Network(seed)
    controller = net.controller("c", "10.9.0.100/24", "10.9.0.254")
    gateway = net.router("gw")
    switches = [
        net.switch(f"s{n}", f"10.0.0.{n}/24", "10.0.0.254", controllers=["10.9.0.100"]) for n in range(1, length + 1)
    ]
    net.link(controller, gateway.interface("10.9.0.254/24").nic)
    net.link(gateway.interface("10.0.0.254/24").nic, switches[0])
    for near, far in itertools.pairwise(switches):
        net.link(near, far)
    return Topology(net, controller, switches, [gateway])


def guest_controller(seed: int = 0) -> Topology:
    """T5: the controller is a guest on a port of "host", as on a hypervisor; "other" hangs on that one's uplink."""
    net = Network(seed)
    guest = net.controller("guest", f"{CONTROLLER}/24")
    host = net.switch("host", "10.0.0.1/24", controllers=[CONTROLLER])
    other = net.switch("other", "10.0.0.2/24", controllers=[CONTROLLER])
    net.link(host, other)
    net.link(guest, host)
    return Topology(net, guest, [host, other], [])


def guest_over_segment(seed: int = 0) -> Topology:
    """T6 over one layer 2 segment: br1 has the guest and no address; br0, with the address, is on the same segment."""
    net = Network(seed)
    guest = net.controller("guest", f"{CONTROLLER}/24")
    host, lan = _two_bridges(net, "10.0.0.1/24", CONTROLLER), net.switch("lan", is_secure=False)
    net.link(host.bridges["br0"], lan)
    net.link(host.bridges["br1"], lan)
    net.link(guest, host.bridges["br1"])
    lan.start()
    return Topology(net, guest, [host], [])


def guest_over_router(seed: int = 0) -> Topology:
    """T6 over a router: br1 has the guest and no address; br0, with the address, is in another subnet."""
    net = Network(seed)
    guest = net.controller("guest", "10.9.0.100/24", "10.9.0.254")
    host, router = _two_bridges(net, "10.0.0.1/24", "10.9.0.100"), net.router("router")
    net.link(host.bridges["br0"], router.interface("10.0.0.254/24").nic)
    net.link(host.bridges["br1"], router.interface("10.9.0.254/24").nic)
    net.link(guest, host.bridges["br1"])
    host.host.route("10.0.0.254")
    return Topology(net, guest, [host], [router])


def address_by_dhcp(seed: int = 0) -> tuple[Topology, DhcpServer]:
    """T7: the switch has no address; ``switches[0].get_address()`` after its start asks the server for one."""
    net = Network(seed)
    controller = net.controller("c", f"{CONTROLLER}/24")
    switch = net.switch("s1", controllers=[CONTROLLER])
    net.link(controller, switch)
    return Topology(net, controller, [switch], []), DhcpServer(controller.host, "10.0.0.10")


def _two_bridges(net: Network, address: str, controller: str) -> SwitchHost:
    host = net.machine("host")
    target = read_target(controller)
    host.add_bridge(BridgeConfig("br0", controllers=(target,), fail_mode=FailMode.SECURE), address)
    host.add_bridge(BridgeConfig("br1", controllers=(target,), fail_mode=FailMode.SECURE))
    return host
