"""A network in virtual time: make nodes, link them, let time pass, look.

::

    net = Network()
    controller = net.controller("c", "10.0.0.100/24")
    s1 = net.switch("s1", "10.0.0.1/24", controllers=["10.0.0.100"])
    net.link(controller, s1)
    net.start()
    net.run(1.0)

Everything is decided by the program and ``seed``: the same run gives the same result to the bit. Nothing here needs a
privilege, a thread or a socket. docs/simulator.md tells how to use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

from inband.controller.controller import Channel, Controller
from inband.datapath.wrappers import Faults
from inband.sim.clock import VirtualClock
from inband.sim.host import ControllerHost, Host
from inband.sim.link import LATENCY_S, Link, Nic
from inband.sim.processor import Costs, Processors
from inband.sim.switch import SwitchBridge, SwitchHost, read_target
from inband.switch.config import DEFAULT_BRIDGE, FLOW_LIMIT, BridgeConfig, FailMode
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import OPENFLOW_PORT
from inband.vocabulary.openflow import OFP13

_FIRST_MAC = 0x020000000001  # locally administered


class Attachable(Protocol):
    """A node that can be linked: a host, a switch, a bridge of a switch, a controller."""

    def attach(self) -> Nic:
        """The interface to link, a new port where the node is a bridge."""


class Network:
    """Nodes by name, links, and a clock.

    ``costs``: what switches' processes do takes time (``sim.processor``), on so many ``cores`` of one machine for all;
    None: each switch has a processor of its own.
    """

    def __init__(self, seed: int = 0, *, costs: Costs | None = None, cores: int | None = None) -> None:
        self.clock = VirtualClock()
        self._costs = costs
        self._shared = None if costs is None or cores is None else Processors(self.clock, costs, cores)
        self.random = Random(seed)
        self.switches: dict[str, SwitchHost] = {}
        self.links: list[Link] = []
        self._macs = 0

    # --- building -----------------------------------------------------------------------------------------------

    def host(self, name: str, address: str, gateway: str = "") -> Host:
        """A host with one interface. Of addresses and gateways there may be several, with commas between."""
        host = Host(self.clock, name, self._new_mac)
        host.interface(address)
        host.route(gateway)
        return host

    def router(self, name: str) -> Host:
        """A router without interfaces yet: link what ``router.interface("10.0.0.254/24").nic`` gives."""
        return Host(self.clock, name, self._new_mac, forwards=True)

    def controller(
        self, name: str, address: str, gateway: str = "", *, port: int = OPENFLOW_PORT, version: int = OFP13
    ) -> ControllerHost:
        """A host with a mute controller; ``behave`` changes that."""
        return ControllerHost(self.host(name, address, gateway), Controller(self.clock, version), port)

    def switch(
        self,
        name: str,
        address: str = "",
        gateway: str = "",
        *,
        controllers: Iterable[str] = (),
        managers: Iterable[str] = (),
        dns_servers: Iterable[str] = (),
        is_secure: bool = True,
        flow_limit: int = FLOW_LIMIT,
    ) -> SwitchHost:
        """A switch with one bridge, br0. Without controllers and not secure it is a learning switch.

        ``dns_servers`` are asked for the names of controllers and managers.
        """
        machine = self.machine(name)
        machine.set_managers(*managers)
        machine.set_dns_servers(*dns_servers)
        config = BridgeConfig(
            DEFAULT_BRIDGE,
            controllers=tuple(map(read_target, controllers)),
            fail_mode=FailMode.SECURE if is_secure else FailMode.STANDALONE,
            flow_limit=flow_limit,
        )
        machine.add_bridge(config, address)
        machine.host.route(gateway)
        return machine

    def machine(self, name: str) -> SwitchHost:
        """A switch without bridges yet, for those that shall have several."""
        processors = self._shared
        if processors is None and self._costs is not None:
            processors = Processors(self.clock, self._costs)
        machine = self.switches[name] = SwitchHost(Host(self.clock, name, self._new_mac), self.random, processors)
        self.clock.nodes += 1
        return machine

    def link(
        self, one: Attachable | Nic, two: Attachable | Nic, *, latency_s: float = LATENCY_S, loss: float = 0.0
    ) -> Link:
        """Link two nodes; ``loss`` is the part of frames that get lost, from 0 to 1."""
        ends = [node if isinstance(node, Nic) else node.attach() for node in (one, two)]
        link = Link(self.clock, self.random, ends[0], ends[1], Faults(loss=loss, delay_s=latency_s))
        self.links.append(link)
        return link

    def start(self) -> None:
        """Start every switch that does not run."""
        for switch in self.switches.values():
            switch.start()

    # --- running ------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the simulation began."""
        return self.clock.now

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.run_until(self.clock.now + seconds)

    def run_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Let time pass until something is so; False if it is not within ``timeout_s``."""
        return condition() or self.clock.run_until(self.clock.now + timeout_s, condition)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Plan something for an instant."""
        self.clock.call_at(when, action)

    @property
    def frames(self) -> int:
        """How many frames were put on all links together."""
        return sum(link.frames for link in self.links)

    def bridges(self) -> list[SwitchBridge]:
        """Every bridge of every switch."""
        return [bridge for switch in self.switches.values() for bridge in switch.bridges.values()]

    def channels(self, controller: ControllerHost) -> dict[str, Channel]:
        """The channels of a controller by the switch's name; of several bridges on one, by "SWITCH/BRIDGE"."""
        found: dict[str, Channel] = {}
        for name, switch in self.switches.items():
            for bridge_name, bridge in switch.bridges.items():
                channel = controller.channel(bridge.datapath_id)
                if channel is not None:
                    found[name if len(switch.bridges) == 1 else f"{name}/{bridge_name}"] = channel
        return found

    def are_up(self, controller: ControllerHost) -> bool:
        """Whether every bridge that has controllers has a channel to this one."""
        channels = (controller.channel(bridge.datapath_id) for bridge in self.bridges() if bridge.config.controllers)
        return all(channel is not None and channel.is_up for channel in channels)

    def _new_mac(self) -> Mac:
        self._macs += 1
        return Mac(_FIRST_MAC + self._macs - 1)
