"""A simulated switch: a machine with a kernel, and a switch process with one or more bridges on it.

The process is the real one's core (``inband.switch``) around a simulated datapath, TCP, DNS client and clock. The LOCAL
port of each bridge is a wire between its datapath and an interface of the machine's kernel, as it is a veth pair in a
real one. The process can be killed and started again; the machine outlives it: the kernel with its addresses, routes
and neighbours, the configuration, and what is known of names, which a real process keeps in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address
from random import Random

from inband.agent.fail_mode import Forwarding
from inband.bridge.bridge import Bridge
from inband.datapath.simulated import SimulatedDatapath
from inband.datapath.wrappers import Faults
from inband.errors import UsageError
from inband.fabric.keys import NetworkKeys
from inband.flow.flow import Flow
from inband.flow.ports import LOCAL, PortNo
from inband.host.events import HostEvent, LinkChanged, NextHopFound
from inband.packet.frame import Frame
from inband.sim.advertisements import Autoconfiguration
from inband.sim.clock import ProcessClock
from inband.sim.dhcp import DhcpClient
from inband.sim.host import Host
from inband.sim.interface import MTU, Interface
from inband.sim.link import Link, Nic
from inband.sim.names import SimDns
from inband.sim.processor import Processors, WorkingClock
from inband.sim.tcp_host import SimNetwork
from inband.switch.config import BridgeConfig, SwitchConfig
from inband.switch.connections import Environment
from inband.switch.core import SwitchCore
from inband.switch.driver import Driver, PartDriver, turns_on
from inband.switch.history import History
from inband.switch.managed_bridge import LocalInterface, ManagedBridge
from inband.switch.manager_targets import parse_manager
from inband.switch.names import Known, ServerList
from inband.switch.reports import Report
from inband.switch.targets import Scheme, Target, parse_target
from inband.vocabulary.addresses import Mac, parse_ip

# Ports are no interfaces of the simulated kernel, which numbers its own from 1.
PORT_INDEX = 0


def read_target(text: str) -> Target:
    """Read ``tcp:10.0.0.100:6653``, or without ``tcp:``, also a bare IPv6 address; raises UsageError."""
    try:
        return parse_target(f"tcp:[{text}]" if ip_address(text).version == 6 else f"tcp:{text}")
    except ValueError:
        return parse_target(text if text.partition(":")[0] in list(Scheme) else f"tcp:{text}")


class Process:
    """A switch process: ``core`` with its bridges, and ``history``, which is what happened since its start."""

    def __init__(self, machine: SwitchHost) -> None:
        self._life = ProcessClock(machine.host.clock)
        self.clock: ProcessClock | WorkingClock = self._life
        self.work = None if machine.processors is None else machine.processors.process()
        if self.work is not None:
            self.clock = WorkingClock(machine.host.clock, self.work)
        self.history = History()
        self._turns = turns_on(self.clock)
        self._network = SimNetwork(machine.host.tcp, self._life, self.do)
        self._dns = SimDns(machine.host.kernel)
        driver = Driver(self.clock)
        self.core = SwitchCore(
            self.clock.time,
            machine.random.getrandbits,
            self._dns,
            find_servers=ServerList,
            addresses_changed=self._addresses_changed,
            remember=machine.remember,
            report=self._report,
            wake=driver.wake,
        )
        self._dns.user = self.core.names
        driver.start(self.core)

    def environment(self, driver: Driver, random: Random) -> Environment:
        """What a bridge needs of the process."""
        clock, core = self.clock, self.core
        return Environment(
            clock.time,
            self._network,
            self._turns,
            self._report,
            driver.wake,
            core.channels_changed,
            core.is_own_interface,
            random,
        )

    def do(self, action: Callable[[], None]) -> None:
        """Do something: at once, or where processors take time when all that waits is done."""
        if self.work is None:
            action()
        else:
            self.work.call(action)

    def kill(self) -> None:
        """End as by kill -9: nothing is said to any peer, and nothing is done any more."""
        self._life.is_alive = False
        if self.work is not None:
            self.work.end()
        self._dns.close()

    def _addresses_changed(self) -> None:
        self.clock.call_soon(self._follow_names)

    def _follow_names(self) -> None:
        _go_through(self.core.follow_names())
        _go_through(self.core.protect())

    def _report(self, report: Report) -> None:
        self.history.note(report, self.clock.time())


class SwitchBridge:
    """One bridge of a machine: its ports and, while the process runs, ``managed``.

    ``datapath_id`` is the first MAC address of LOCAL, and stays when that changes.
    """

    def __init__(self, machine: SwitchHost, name: str, local: Interface) -> None:
        self.name = name
        self.datapath_id = int(local.mac)
        self.local = local
        self.dhcp_client: DhcpClient | None = None
        self._machine = machine
        self._managed: ManagedBridge | None = None
        self._ports = {LOCAL: Nic(f"{name}-inner")}
        # No latency: the two ends of a veth pair on one machine.
        Link(machine.host.clock, machine.random, self._ports[LOCAL], local.nic, Faults())

    # --- the machine's side -----------------------------------------------------------------------------------------

    def attach(self) -> Nic:
        """A new port, numbered from 1 in the order of linking."""
        number = PortNo(len(self._ports))
        nic = self._ports[number] = Nic(f"{self._machine.name}-{number}", self._machine.host.new_mac())
        if self._managed is not None:
            self._open_port(number, nic)
        return nic

    def start(self, process: Process) -> None:
        """Have a process run it."""
        driver, local = Driver(process.clock), LocalInterface(self.local.index, self.local.mac, self._ports[LOCAL].name)
        # Of its own, so that what the rest of a network draws stays the same.
        random = Random(f"{self._machine.name} {self.name} {process.clock.time()}")
        kernel, environment = self._machine.host.kernel, process.environment(driver, random)
        datapath = _datapath(process, self._ports)
        managed = self._managed = ManagedBridge(self.config, local, datapath, kernel, environment)
        driver.start(managed)
        neighbours = PartDriver(process.clock, managed.bridge.neighbours)
        managed.bridge.neighbours.drive_apart(neighbours.look)
        managed.open(local)
        _go_through(process.core.add(managed))
        self.configure_tree()
        managed.set_network_keys(self._machine.network_keys)
        for number, nic in self._ports.items():
            self._open_port(number, nic)
        managed.configure(self.config)
        managed.bridge.leases.ask_anew = self._ask_anew

    def _ask_anew(self, _: object) -> None:
        if self.dhcp_client is not None:
            self.dhcp_client.start_again()

    def configure_tree(self) -> None:
        """Run the spanning tree that the configuration asks for."""
        self.managed.configure_tree(self.config, {nic.name: number for number, nic in self._ports.items()})

    def stop(self) -> None:
        """The process is dead."""
        self._managed = None
        for nic in self._ports.values():
            nic.detach()

    def _open_port(self, number: PortNo, nic: Nic) -> None:
        managed, bridge, datapath, process = self.managed, self.bridge, self.bridge.datapath, self._machine.process
        assert process is not None
        assert isinstance(datapath, SimulatedDatapath)
        nic.receive = lambda frame: datapath.deliver(number, frame)
        if number == LOCAL:  # which ``ManagedBridge.open`` has added, and whose link the kernel tells of
            return

        def carrier_changed(is_up: bool) -> None:
            process.do(lambda: managed.link_changed(number, link_up=is_up, mac=nic.mac))
            self._machine.host_event(LinkChanged(PORT_INDEX, nic.name, nic.mac, up=True, running=is_up, mtu=MTU))

        datapath.add_port(number, nic.name)
        bridge.add_port(number, nic.name, nic.mac, link_up=nic.has_carrier)
        nic.carrier_changed = carrier_changed

    # --- to look into: raises UsageError while the process does not run ---------------------------------------------

    @property
    def config(self) -> BridgeConfig:
        """Its configuration, always there."""
        return self._machine.config.bridge(self.name)

    @property
    def managed(self) -> ManagedBridge:
        """What runs it."""
        if self._managed is None:
            raise UsageError(f"{self._machine.name} does not run: start it first")
        return self._managed

    @property
    def bridge(self) -> Bridge:
        """The bridge itself."""
        return self.managed.bridge

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
        return self.managed.connections.fail_mode.forwarding


class SwitchHost:
    """A machine with a switch process. With one bridge, which is the usual case, it can be used as that bridge."""

    def __init__(self, host: Host, random: Random, processors: Processors | None = None) -> None:
        """``processors``: what its process does takes time on these; None: it takes none."""
        self.name = host.name
        self.host = host
        self.random = random
        self.processors = processors
        self.config = SwitchConfig()
        self.memory: Known = {}
        self.network_keys: NetworkKeys | None = None
        self.bridges: dict[str, SwitchBridge] = {}
        self.process: Process | None = None
        self.host.kernel.deliver = self.host_event

    def add_bridge(self, config: BridgeConfig, address: str = "") -> SwitchBridge:
        """A bridge, with an address on its LOCAL port (several with commas between) or without; before ``start``."""
        local = self.host.interface(address, config.name, detects_duplicates=True)
        bridge = self.bridges[config.name] = SwitchBridge(self, config.name, local)
        config = replace(config, datapath_id=bridge.datapath_id)
        self.config = replace(self.config, bridges=(*self.config.bridges, config))
        return bridge

    # --- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the switch process; nothing happens if it runs."""
        if self.process is None:
            self.process = Process(self)
            self.host.kernel.tell_all()
            self.apply(self.config)

    def kill(self) -> None:
        """Kill -9: the kernel resets the process's connections, everything in memory is gone."""
        if self.process is not None:
            self.process.kill()
            self.process = None
            self.host.tcp.kill()
            for bridge in self.bridges.values():
                bridge.stop()

    def remember(self, known: Known) -> None:
        """Keep what is known of names for the next process."""
        self.memory = known

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """Have the process hear what the kernel says, if it runs."""
        process = self.process
        if process is not None:
            process.do(lambda: process.core.host_event(event))

    # --- configuration ----------------------------------------------------------------------------------------------

    def apply(self, config: SwitchConfig) -> None:
        """Go to another configuration of the same bridges."""
        self.config = config
        if self.process is None:
            return
        core = self.process.core
        _go_through(core.begin(config, self.memory))
        for bridge in config.bridges:
            if bridge.name in core.bridges:
                core.bridges[bridge.name].configure(bridge)
                self.bridges[bridge.name].configure_tree()
            else:
                self.bridges[bridge.name].start(self.process)
        _go_through(core.finish(config))
        _go_through(core.protect())

    def configure(self, config: BridgeConfig) -> None:
        """Give the bridge of this name another configuration."""
        bridges = tuple(config if bridge.name == config.name else bridge for bridge in self.config.bridges)
        self.apply(replace(self.config, bridges=bridges))

    def set_network_keys(self, *secrets: bytes) -> None:
        """What the files of network-key say: the first secret signs; none: there is no key."""
        self.network_keys = NetworkKeys.of(*secrets) if secrets else None
        for bridge in self.bridges.values() if self.process is not None else ():
            bridge.managed.set_network_keys(self.network_keys)

    def set_controllers(self, *controllers: str, bridge: str = "br0") -> None:
        """Replace a bridge's controllers. Rules come before the first dial and go after the last word."""
        self.configure(replace(self.config.bridge(bridge), controllers=tuple(map(read_target, controllers))))

    def set_managers(self, *managers: str) -> None:
        """Replace the managers."""
        self.apply(replace(self.config, managers=tuple(map(parse_manager, managers))))

    def set_dns_servers(self, *servers: str) -> None:
        """Replace the servers that are asked for names of controllers and managers."""
        self.apply(replace(self.config, dns_servers=tuple(map(parse_ip, servers))))

    # --- the rest ---------------------------------------------------------------------------------------------------

    def set_mac(self, mac: Mac, bridge: str = "br0") -> None:
        """Give a LOCAL port another MAC address."""
        self.host.kernel.set_mac(self.bridges[bridge].local, mac)

    def get_address(self, bridge: str = "br0") -> DhcpClient:
        """Run a DHCP client on a LOCAL port that has no address."""
        client = DhcpClient(self.host.kernel, self.bridges[bridge].local)
        self.bridges[bridge].dhcp_client = client
        return client

    def listen_to_routers(self, bridge: str = "br0") -> None:
        """Have a LOCAL port take an address and a gateway from router advertisements."""
        Autoconfiguration(self.host.kernel, self.bridges[bridge].local)

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
    def history(self) -> History:
        """What happened since the process started; nothing while it does not run."""
        return History() if self.process is None else self.process.history


def _datapath(process: Process, ports: Mapping[PortNo, Nic]) -> SimulatedDatapath:
    """A bridge's, whose frames wait for the process if that takes time."""
    work = process.work
    if work is None:
        return SimulatedDatapath(clock=process.clock.time, transmit=lambda port, frame, _: ports[port].transmit(frame))

    def transmit(port: PortNo, frame: Frame, _: int | None) -> None:
        work.sent()
        ports[port].transmit(frame)

    return SimulatedDatapath(clock=process.clock.time, transmit=transmit, wait=work.take_frame)


def _go_through(steps: Iterator[None]) -> None:
    for _ in steps:
        pass
