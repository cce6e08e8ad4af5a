"""The topologies T1 to T7 of in-band control, ready to run: ``topologies.row(10)``, ``topologies.row(10, on=IPV6)``.

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

from dataclasses import dataclass, field
from typing import NamedTuple

from inband.sim.dhcp import DhcpServer
from inband.sim.host import ControllerHost, Host
from inband.sim.link import Nic
from inband.sim.network import Attachable, Network
from inband.sim.switch import SwitchHost, read_target
from inband.switch.config import BridgeConfig, FailMode

CONTROLLER, GATEWAY = 100, 254
"""Host numbers; switches count from 1."""


class Addressing(NamedTuple):
    """Formats of addresses, with commas between several: in the network of the switches, and behind a router.

    A host has the same number in all of them.
    """

    near: str
    far: str


IPV4 = Addressing("10.0.0.{0}/24", "10.9.0.{0}/24")
IPV6 = Addressing("fd00:a::{0}/64", "fd00:9::{0}/64")
BOTH = Addressing(f"{IPV4.near},{IPV6.near}", f"{IPV4.far},{IPV6.far}")


@dataclass(slots=True)
class Topology:
    """A network and the nodes that a test or an experiment talks to."""

    net: Network
    controller: ControllerHost
    switches: list[SwitchHost] = field(default_factory=list)
    routers: list[Host] = field(default_factory=list)


def row(length: int, seed: int = 0, *, on: Addressing = IPV4) -> Topology:
    """T1 and T3: controller, s1, s2, ..."""
    plan = _Plan(seed, on)
    return plan.hang(plan.made.controller, length)


def ring(length: int, seed: int = 0, *, on: Addressing = IPV4) -> Topology:
    """A row whose last switch is linked to the first one, too. With a length of 2: two links between two switches."""
    made = row(length, seed, on=on)
    made.net.link(made.switches[-1], made.switches[0])
    return made


def row_behind_gateway(length: int, seed: int = 0, *, on: Addressing = IPV4) -> Topology:
    """T2 and T4: controller, gateway, s1, s2, ..."""
    plan = _Plan(seed, on, is_routed=True)
    plan.net.link(plan.made.controller, plan.far)
    return plan.hang(plan.near, length)


def guest_controller(seed: int = 0, *, on: Addressing = IPV4) -> Topology:
    """T5: the controller is a guest on a port of "host", as on a hypervisor; "other" hangs on that one's uplink."""
    plan = _Plan(seed, on)
    host, other = plan.switch("host"), plan.switch("other")
    plan.net.link(host, other)
    plan.net.link(plan.made.controller, host)
    return plan.made


def guest_over_segment(seed: int = 0, *, on: Addressing = IPV4) -> Topology:
    """T6 over one layer 2 segment: br1 has the guest and no address; br0, with the address, is on the same segment."""
    plan = _Plan(seed, on)
    host, lan = plan.switch("host", "br0", "br1"), plan.net.switch("lan", is_secure=False)
    for bridge in host.bridges.values():
        plan.net.link(bridge, lan)
    plan.net.link(plan.made.controller, host.bridges["br1"])
    lan.start()
    return plan.made


def guest_over_router(seed: int = 0, *, on: Addressing = IPV4) -> Topology:
    """T6 over a router: br1 has the guest and no address; br0, with the address, is in another subnet."""
    plan = _Plan(seed, on, is_routed=True)
    host = plan.switch("host", "br0", "br1")
    plan.net.link(host.bridges["br0"], plan.near)
    plan.net.link(host.bridges["br1"], plan.far)
    plan.net.link(plan.made.controller, host.bridges["br1"])
    return plan.made


def address_by_dhcp(seed: int = 0) -> tuple[Topology, DhcpServer]:
    """T7: the switch has no address; ``switches[0].get_address()`` after its start asks the server for one."""
    plan = _Plan(seed, IPV4)
    plan.net.link(plan.made.controller, plan.switch("s1", address=""))
    return plan.made, DhcpServer(plan.made.controller.host, "10.0.0.10")


class _Plan:
    """What they have in common: a controller, a router before it or none, and switches that know the way."""

    def __init__(self, seed: int, on: Addressing, *, is_routed: bool = False) -> None:
        self.net = net = Network(seed)
        self._on = on
        self._remotes = _bare(on.far if is_routed else on.near, CONTROLLER)
        self._gateways = _bare(on.near, GATEWAY) if is_routed else ""
        address, gateways = (on.far, _bare(on.far, GATEWAY)) if is_routed else (on.near, "")
        self.made = Topology(net, net.controller("c", address.format(CONTROLLER), gateways))
        if is_routed:
            router = net.router("gw")
            self.far, self.near = (router.interface(each.format(GATEWAY)).nic for each in (on.far, on.near))
            self.made.routers.append(router)

    def switch(self, name: str, *bridges: str, address: str | None = None) -> SwitchHost:
        """The next switch, with its number's address on the first bridge."""
        machine, switches = self.net.machine(name), self.made.switches
        switches.append(machine)
        address = self._on.near.format(len(switches)) if address is None else address
        controllers = tuple(map(read_target, self._remotes.split(",")))
        for bridge in bridges or ("br0",):
            machine.add_bridge(BridgeConfig(bridge, controllers=controllers, fail_mode=FailMode.SECURE), address)
            address = ""
        machine.host.route(self._gateways)
        return machine

    def hang(self, node: Attachable | Nic, length: int) -> Topology:
        """Hang a row of switches on a node."""
        for number in range(1, length + 1):
            switch = self.switch(f"s{number}")
            self.net.link(node, switch)
            node = switch
        return self.made


def _bare(network: str, number: int) -> str:
    """A host's addresses without their prefix lengths."""
    return ",".join(each.partition("/")[0] for each in network.format(number).split(","))
