"""A simulated switch: a machine with a kernel, and a switch process with one or more bridges on it.

The LOCAL port of each bridge is a wire between its simulated datapath and an interface of the machine's kernel, as it
is a veth pair in a real one. The process can be killed and started again; the kernel, its addresses, its routes and its
neighbour table outlive it. As in the switch process, each bridge protects the remotes of all: one bridge's channel may
cross another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random

from inband.agent.fail_mode import Forwarding
from inband.bridge.bridge import Bridge
from inband.control import events as ev
from inband.datapath.wrappers import Faults
from inband.errors import UsageError
from inband.flow.flow import Flow
from inband.flow.ports import PortNo
from inband.host.events import HostEvent, NeighbourChanged, NextHopFound
from inband.sim.dhcp import DhcpClient
from inband.sim.dialler import Dialler
from inband.sim.host import Host, read_interface
from inband.sim.kernel import Interface, address_event, link_event
from inband.sim.link import Link, Nic
from inband.sim.runner import BridgeConfig, BridgeRunner
from inband.vocabulary.addresses import Mac


class SwitchBridge:
    """One bridge of a switch: its ports and, while the process runs, what runs it.

    ``datapath_id`` is the first MAC address of LOCAL, and stays when that changes.
    """

    def __init__(self, host: Host, local: Interface, config: BridgeConfig, random: Random) -> None:
        self.config = config
        self.datapath_id = int(local.mac)
        self.local = local
        self.ports: dict[PortNo, Nic] = {}
        self.runner: BridgeRunner | None = None
        self._host = host
        self._inner = Nic(f"{local.name}-inner")
        # No latency: the two ends of a veth pair on one machine.
        Link(host.clock, random, self._inner, local.nic, Faults())

    def attach(self) -> Nic:
        """A new port, numbered from 1 in the order of linking."""
        number = PortNo(len(self.ports) + 1)
        nic = self.ports[number] = Nic(f"{self._host.name}-{number}", self._host.new_mac())
        if self.runner is not None:
            self.runner.add_port(number, nic)
        return nic

    @property
    def bridge(self) -> Bridge:
        """The bridge itself, to look into; raises UsageError while the process does not run."""
        return self.running.bridge

    @property
    def running(self) -> BridgeRunner:
        """What runs it; raises UsageError while the process does not run."""
        if self.runner is None:
            raise UsageError(f"{self._host.name} does not run: start it first")
        return self.runner

    @property
    def hidden_flows(self) -> list[Flow]:
        """The flows of in-band control, in the order of their letters."""
        return self.bridge.in_band.flows

    @property
    def letters(self) -> str:
        """The letters of the hidden flows that are there, each once: "abcfghijk"."""
        return "".join(sorted({flow.origin.letter for flow in self.hidden_flows if flow.origin is not None}))

    @property
    def forwarding(self) -> Forwarding:
        """Who decides about data traffic."""
        return self.running.fail_mode.forwarding

    def boot(self, known: Iterable[HostEvent], remotes: frozenset[ev.Remote]) -> None:
        """Start running."""
        self.runner = BridgeRunner(self.config, self.datapath_id, self._host, self.local, self._inner, self.ports)
        self.runner.start(known, remotes)

    def halt(self) -> None:
        """Stop running, without a word to anybody."""
        if self.runner is not None:
            self.runner.stop()
            self.runner = None


class SwitchHost:
    """A machine with a switch process. With one bridge, which is the usual case, it can be used as that bridge."""

    def __init__(self, host: Host, random: Random) -> None:
        self.name = host.name
        self.host = host
        self.bridges: dict[str, SwitchBridge] = {}
        self.is_running = False
        self._random = random
        self.host.kernel.deliver = self._host_event

    def add_bridge(self, config: BridgeConfig, address: str | None = None) -> SwitchBridge:
        """A bridge, with an address on its LOCAL port or without. Add all before ``start``."""
        local = self.host.kernel.add_interface(config.name, self.host.new_mac())
        if address is not None:
            self.host.kernel.set_address(local, read_interface(address))
        bridge = self.bridges[config.name] = SwitchBridge(self.host, local, config, self._random)
        return bridge

    def start(self) -> None:
        """Start the switch process; nothing happens if it runs."""
        if self.is_running:
            return
        self.is_running = True
        known, remotes = list(self._known()), self._remotes()
        for bridge in self.bridges.values():
            bridge.boot(known, remotes)

    def kill(self) -> None:
        """Kill -9: the kernel resets the process's connections, everything in memory is gone."""
        self.is_running = False
        for bridge in self.bridges.values():
            bridge.halt()
        self.host.tcp.abort_all()

    def set_controllers(self, *controllers: str, bridge: str = "br0") -> None:
        """Replace a bridge's controllers. Rules come before the first dial and go after the last word."""
        self._configure(bridge, replace(self.bridges[bridge].config, controllers=controllers))

    def set_managers(self, *managers: str, bridge: str = "br0") -> None:
        """Replace the managers."""
        self._configure(bridge, replace(self.bridges[bridge].config, managers=managers))

    def set_mac(self, mac: Mac, bridge: str = "br0") -> None:
        """Give a LOCAL port another MAC address."""
        self.host.kernel.set_mac(self.bridges[bridge].local, mac)

    def get_address(self, bridge: str = "br0") -> DhcpClient:
        """Run a DHCP client on a LOCAL port that has no address."""
        client = DhcpClient(self.host.kernel, self.bridges[bridge].local)
        client.start()
        return client

    def attach(self) -> Nic:
        """A new port of the only bridge."""
        return self.only.attach()

    @property
    def only(self) -> SwitchBridge:
        """The only bridge; raises UsageError when there are several."""
        if len(self.bridges) != 1:
            raise UsageError(f"{self.name} has {len(self.bridges)} bridges: name one of them")
        return next(iter(self.bridges.values()))

    @property
    def diallers(self) -> list[Dialler]:
        """Every control channel of the process."""
        return [dialler for bridge in self.bridges.values() if bridge.runner for dialler in bridge.runner.diallers]

    def _configure(self, name: str, config: BridgeConfig) -> None:
        bridge = self.bridges[name]
        before = self._remotes()
        bridge.config = config
        if not self.is_running:
            return
        for each in self.bridges.values():
            each.running.set_remotes(before | self._remotes())
        bridge.running.set_controllers(bridge.config.controllers)
        for each in self.bridges.values():
            each.running.set_remotes(self._remotes())

    def _remotes(self) -> frozenset[ev.Remote]:
        return frozenset(remote for bridge in self.bridges.values() for remote in bridge.config.remotes())

    def _known(self) -> Iterator[HostEvent]:
        """What the kernel tells a process that starts to watch it: links, addresses, resolved neighbours."""
        interfaces = self.host.kernel.interfaces
        yield from (link_event(interface) for interface in interfaces)
        yield from (address_event(interface, present=True) for interface in interfaces if interface.address)
        for interface in interfaces:
            for address, mac in interface.neighbours.table().items():
                yield NeighbourChanged(interface.index, address, mac)

    def _host_event(self, event: HostEvent | NextHopFound) -> None:
        for bridge in self.bridges.values():
            if bridge.runner is not None:
                bridge.runner.host_event(event)
