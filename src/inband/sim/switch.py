"""A simulated switch: a machine with a kernel, and a switch process with one or more bridges on it.

The process is the real one's core (``inband.switch``) around a simulated datapath, TCP and clock. The LOCAL port of
each bridge is a wire between its datapath and an interface of the machine's kernel, as it is a veth pair in a real one.
The process can be killed and started again; the kernel, its addresses, its routes and its neighbour table outlive it.
As in the real process, each bridge protects the remotes of all: one bridge's channel may cross another one.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from inband.agent.fail_mode import Forwarding
from inband.bridge.bridge import Bridge
from inband.control import events as ev
from inband.datapath.simulated import SimulatedDatapath
from inband.datapath.wrappers import Faults
from inband.errors import UsageError
from inband.flow.flow import Flow
from inband.flow.ports import LOCAL, PortNo
from inband.host.events import HostEvent, NextHopFound
from inband.packet.frame import Frame
from inband.sim.dhcp import DhcpClient
from inband.sim.host import Host, read_interface
from inband.sim.kernel import Interface
from inband.sim.link import Link, Nic
from inband.sim.streams import SimNetwork
from inband.switch.config import BridgeConfig
from inband.switch.connections import Environment
from inband.switch.driver import Driver, turns_on
from inband.switch.managed_bridge import LocalInterface, ManagedBridge
from inband.switch.outgoing import OutgoingConnection
from inband.switch.reports import Report
from inband.switch.targets import Target, parse_target
from inband.switch.turns import Turns
from inband.vocabulary.addresses import Mac


def read_target(text: str) -> Target:
    """Read ``tcp:10.0.0.100:6653``, or ``10.0.0.100`` for short; raises UsageError."""
    return parse_target(text if text.split(":")[0].isalpha() else f"tcp:{text}")


class Process:
    """A bridge while its switch process runs: ``managed``, and its ports wired to the datapath."""

    def __init__(self, config: BridgeConfig, host: Host, local: Interface, inner: Nic, turns: Turns) -> None:
        self.reports: list[tuple[float, Report]] = []
        self._clock = host.clock
        self._inner = inner
        self._nics: dict[PortNo, Nic] = {LOCAL: inner}
        self._driver = Driver(host.clock)
        self._local = LocalInterface(local.index, local.mac, inner.name)
        self.datapath = SimulatedDatapath(clock=host.clock.time, transmit=self._transmit)
        network = SimNetwork(host.tcp)
        environment = Environment(host.clock.time, network, turns, self._report, self._driver.wake, lambda: None)
        self.managed = ManagedBridge(config, self._local, self.datapath, host.kernel, environment)

    def start(self, remotes: frozenset[ev.Remote], ports: dict[PortNo, Nic]) -> None:
        """Set everything up and dial."""
        self._driver.start(self.managed)
        self._inner.receive = lambda frame: self.datapath.deliver(LOCAL, frame)
        self.managed.open(self._local)
        self.protect(remotes)
        for number, nic in ports.items():
            self.add_port(number, nic)
        self.managed.configure(self.managed.config)

    def protect(self, remotes: frozenset[ev.Remote]) -> None:
        """Protect these remotes from now on."""
        for _ in self.managed.protect(remotes):
            pass

    def stop(self) -> None:
        """End as by kill -9: nothing is said to anybody, and nothing is done any more."""
        self._driver.stop()
        for nic in self._nics.values():
            nic.receive = _ignore
            nic.carrier_changed = _ignore_carrier
        self.datapath.close()

    def add_port(self, number: PortNo, nic: Nic) -> None:
        """A port of the machine that belongs to the bridge."""
        self._nics[number] = nic
        self.datapath.add_port(number, nic.name)
        self.managed.bridge.add_port(number, nic.name, nic.mac, link_up=nic.has_carrier)
        nic.receive = lambda frame: self.datapath.deliver(number, frame)
        nic.carrier_changed = lambda is_up: self._carrier_changed(number, nic.mac, is_up)

    def _carrier_changed(self, number: PortNo, mac: Mac, is_up: bool) -> None:
        self.managed.bridge.link_changed(number, link_up=is_up, mac=mac)
        if is_up:
            self.managed.connections.hurry()

    def _transmit(self, port: PortNo, frame: Frame, _queue: int | None) -> None:
        if port in self._nics:
            self._nics[port].transmit(frame)

    def _report(self, report: Report) -> None:
        self.reports.append((self._clock.now, report))


class SwitchBridge:
    """One bridge of a switch: its ports and, while the process runs, what runs it.

    ``datapath_id`` is the first MAC address of LOCAL, and stays when that changes.
    """

    def __init__(self, host: Host, local: Interface, config: BridgeConfig, random: Random) -> None:
        self.datapath_id = int(local.mac)
        self.config = replace(config, datapath_id=self.datapath_id)
        self.local = local
        self.ports: dict[PortNo, Nic] = {}
        self.process: Process | None = None
        self._host = host
        self._inner = Nic(f"{local.name}-inner")
        # No latency: the two ends of a veth pair on one machine.
        Link(host.clock, random, self._inner, local.nic, Faults())

    def attach(self) -> Nic:
        """A new port, numbered from 1 in the order of linking."""
        number = PortNo(len(self.ports) + 1)
        nic = self.ports[number] = Nic(f"{self._host.name}-{number}", self._host.new_mac())
        if self.process is not None:
            self.process.add_port(number, nic)
        return nic

    @property
    def bridge(self) -> Bridge:
        """The bridge itself, to look into; raises UsageError while the process does not run."""
        return self.running.managed.bridge

    @property
    def running(self) -> Process:
        """What runs it; raises UsageError while the process does not run."""
        if self.process is None:
            raise UsageError(f"{self._host.name} does not run: start it first")
        return self.process

    @property
    def reports(self) -> list[tuple[float, Report]]:
        """What the bridge told people since its process started, with the seconds."""
        return self.running.reports

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
        return self.running.managed.connections.fail_mode.forwarding

    def boot(self, remotes: frozenset[ev.Remote], turns: Turns) -> None:
        """Start running."""
        self.process = Process(self.config, self._host, self.local, self._inner, turns)
        self.process.start(remotes, self.ports)

    def halt(self) -> None:
        """Stop running, without a word to anybody."""
        if self.process is not None:
            self.process.stop()
            self.process = None


class SwitchHost:
    """A machine with a switch process. With one bridge, which is the usual case, it can be used as that bridge."""

    def __init__(self, host: Host, random: Random) -> None:
        self.name = host.name
        self.host = host
        self.bridges: dict[str, SwitchBridge] = {}
        self.is_running = False
        self.managers: tuple[Target, ...] = ()
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
        self.host.kernel.tell_all()
        remotes, turns = self._remotes(), turns_on(self.host.clock)
        for bridge in self.bridges.values():
            bridge.boot(remotes, turns)

    def kill(self) -> None:
        """Kill -9: the kernel resets the process's connections, everything in memory is gone."""
        self.is_running = False
        for bridge in self.bridges.values():
            bridge.halt()
        self.host.tcp.abort_all()

    def set_controllers(self, *controllers: str, bridge: str = "br0") -> None:
        """Replace a bridge's controllers. Rules come before the first dial and go after the last word."""
        targets = tuple(read_target(text) for text in controllers)
        self.configure(replace(self.bridges[bridge].config, controllers=targets))

    def set_managers(self, *managers: str) -> None:
        """Replace the managers."""
        self.managers = tuple(read_target(text) for text in managers)
        for each in self.bridges.values() if self.is_running else ():
            each.running.protect(self._remotes())

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
    def outgoing(self) -> list[OutgoingConnection]:
        """Every control channel of the process, connected or not."""
        running = (bridge.process for bridge in self.bridges.values() if bridge.process is not None)
        return [connection for process in running for connection in process.managed.connections.outgoing]

    def configure(self, config: BridgeConfig) -> None:
        """Give the bridge of this name another configuration."""
        bridge = self.bridges[config.name]
        before = self._remotes()
        bridge.config = config
        if not self.is_running:
            return
        for each in self.bridges.values():
            each.running.protect(before | self._remotes())
        bridge.running.managed.configure(config)
        for each in self.bridges.values():
            each.running.protect(self._remotes())

    def _remotes(self) -> frozenset[ev.Remote]:
        controllers = (target for bridge in self.bridges.values() for target in bridge.config.controllers)
        return frozenset(
            ev.Remote(target.address, target.port, kind)
            for kind, targets in ((ev.RemoteKind.CONTROLLER, controllers), (ev.RemoteKind.MANAGER, self.managers))
            for target in targets
            if target.address is not None
        )

    def _host_event(self, event: HostEvent | NextHopFound) -> None:
        for bridge in self.bridges.values():
            if bridge.process is not None:
                bridge.process.managed.host_event(event)


def _ignore(_: Frame) -> None:
    """Frames to a process that is not there."""


def _ignore_carrier(_: bool) -> None:
    """Link changes that no process hears of."""
