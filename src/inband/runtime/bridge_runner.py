"""One bridge on a real host: its interface, ports, datapath and sockets, around a ``switch.managed_bridge``.

``open``, ``start`` and ``apply`` take a configuration; what the kernel refuses comes as HostError and leaves nothing
half done that ``stop`` does not clean up.

Invariant: the bridge hears what the kernel says from its first moment on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address

from inband.bridge.bridge import Bridge
from inband.datapath.ebpf.spare import Spare
from inband.errors import InbandError
from inband.host.dhcp_client import stop_clients
from inband.host.events import AddressChanged, HostEvent, LinkChanged, LinkRemoved, NextHopFound
from inband.host.keeping import is_elsewhere
from inband.host.link_settings import read_link_settings
from inband.host.netlink_socket import Trouble
from inband.host.state import Host
from inband.pipeline.lease_servers import LeaseServer
from inband.runtime.bridge_ports import BridgePorts, is_there
from inband.runtime.datapaths import make_datapath
from inband.runtime.interface_locks import InterfaceLocks
from inband.runtime.kept_log import log_file
from inband.runtime.link_managers import culprits
from inband.runtime.listening import ListeningSockets
from inband.runtime.local_keeper import LocalKeeper
from inband.runtime.local_port import LocalPort
from inband.runtime.network_key import read_network_keys
from inband.runtime.peer_redirect import PeerRedirect
from inband.runtime.program_ahead import pin_dir
from inband.runtime.queues import read_queues
from inband.runtime.refusals import BridgeRefusals, told
from inband.runtime.rundir import RunDir
from inband.runtime.snooping import SnoopSocket
from inband.runtime.stepping import go_through
from inband.runtime.streams import SocketNetwork
from inband.runtime.tls import tls_contexts, tls_files
from inband.runtime.tls_clock import TlsClock, validity
from inband.switch.config import BridgeConfig
from inband.switch.connections import ConnectionManager, Environment
from inband.switch.core import SwitchCore
from inband.switch.driver import Driver, PartDriver
from inband.switch.managed_bridge import LocalInterface, ManagedBridge
from inband.switch.memory import BridgeMemory
from inband.switch.reports import Reporter
from inband.switch.turns import Turns
from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.instant import Instant

log = logging.getLogger(__name__)

# The bridge's interface was removed and could not be made again: how often that is tried.
REMAKE_S = 1.0
# From the first address that the system gives an adopted interface to taking over what it has then.
ADOPT_S = 0.05
# From taking an interface's addresses to ending others' DHCP clients on it, for which all processes are looked at: some
# milliseconds, in which its sessions would wait.
STOP_CLIENTS_S = 0.1
# How long the kernel's news and the frames that came meanwhile have the loop for themselves.
CATCH_UP_S = 0.001


@dataclass(frozen=True, slots=True)
class ProcessEnvironment:
    """What all bridges of a process share."""

    loop: asyncio.AbstractEventLoop
    host: Host
    trouble: Trouble
    run_dir: RunDir
    locks: InterfaceLocks
    turns: Turns
    report: Reporter
    core: SwitchCore
    tls_clock: TlsClock
    spare: Spare


class BridgeRunner:
    """Runs one bridge. ``managed`` and ``ports`` are there after ``open``."""

    def __init__(
        self, environment: ProcessEnvironment, config: BridgeConfig, memory: BridgeMemory | None = None
    ) -> None:
        """``memory`` is what an earlier run knew of this bridge."""
        self.config = config
        self.notes: list[str] = []
        self.managed: ManagedBridge
        self.ports: BridgePorts
        self.peer_redirect: PeerRedirect
        self.local = LocalPort(config.name, environment.locks, environment.run_dir.path)
        self._memory = memory or BridgeMemory()
        self._keeper: LocalKeeper | None = None
        self._environment = environment
        self._loop = environment.loop
        self._driver = Driver(environment.loop)
        self._neighbours_driver: PartDriver
        self._network = SocketNetwork(environment.loop, environment.tls_clock)
        self._listening: ListeningSockets
        self._snooping: SnoopSocket | None = None
        self._is_open = False
        self._is_stopped = False
        self._is_elsewhere = False
        self._adopting: asyncio.TimerHandle | None = None
        self._stopping_clients: asyncio.TimerHandle | None = None
        self._leasing: asyncio.Task[None] | None = None
        self._remaking: asyncio.Task[None] | None = None
        self._restoring: asyncio.Task[None] | None = None

    @property
    def bridge(self) -> Bridge:
        """The bridge itself."""
        return self.managed.bridge

    @property
    def tls_note(self) -> str | None:
        """What people should know of the clock that certificates are judged by."""
        uses_tls = any(target.uses_tls for target in self.config.controllers)
        return self._environment.tls_clock.note if uses_tls else None

    @property
    def connections(self) -> ConnectionManager:
        """Its OpenFlow connections."""
        return self.managed.connections

    def watch(self, seconds: float) -> None:
        """For so long every packet that leaves by a port must be seen there."""
        self.peer_redirect.hold(seconds)

    def port_to(self, address: IpAddress) -> str | None:
        """The port behind which frames to an address go, as far as that is known."""
        hop = self.bridge.in_band.engine.next_hop_of(address)
        mac = self._environment.host.state.mac_of(self.local.pair.index, address) if hop is None else hop[1]
        return self.port_with(mac)

    def port_with(self, mac: Mac | None) -> str | None:
        """The port that a MAC address was learned on."""
        number = next((port for key, port, _ in self.bridge.fdb.entries() if key.mac == mac), None)
        port = None if number is None else self.bridge.ports.get(number)
        return None if port is None else port.name

    @property
    def memory(self) -> BridgeMemory:
        """What the next run must know of this bridge."""
        mac = self._memory.mac if self.config.mac is not None else self.local.mac
        numbers, datapath_id = dict(self.ports.numbers), self.managed.default_datapath_id
        adopted, leases, server = self.config.adopt, self.local.adopted_leases, self._lease_server
        return BridgeMemory(numbers, datapath_id, mac, adopted, leases, server)

    @property
    def _lease_server(self) -> tuple[int, str] | None:
        """The DHCP server whose lease led to a controller, now or in an earlier run."""
        proven = self.bridge.pipeline.lease_servers.proven
        port = None if proven is None else self.bridge.ports.get(proven.port)
        return self._memory.lease_server if proven is None or port is None else (proven.identifier, port.name)

    @property
    def now(self) -> Instant:
        """The clock that everything in this bridge is timed by."""
        return self._loop.time()

    # --- life ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the bridge with its own interface, and tell it what the kernel has said of that; the rest is to come.

        Raises InbandError; then call ``stop``.
        """
        config, environment = self.config, self._environment
        self.local.make(config, environment.host.state, self._memory.mac)
        pins = pin_dir(environment.run_dir.path, config.name)
        kept = log_file(environment.run_dir.path, config.name)
        datapath, note = make_datapath(config.datapath, pins, environment.spare, kept)
        if note:
            self.notes.append(note)
            log.warning("bridge %s: %s", config.name, note)
        local = self._local_interface()
        self.managed = ManagedBridge(
            config, local, datapath, environment.host, self._bridge_environment(), self._memory.datapath_id
        )
        self.ports = BridgePorts(
            self.managed,
            environment.locks,
            environment.host.state,
            self._memory.ports,
            self._port_given_address,
        )
        self._listening = ListeningSockets(self._loop, self.connections, environment.tls_clock)
        self.peer_redirect = PeerRedirect(config.name, datapath, self._loop, environment.trouble)
        self.peer_redirect.apply(allowed=config.peer_redirect)
        self.bridge.read_queues = partial(read_queues, trouble=environment.trouble)
        self.bridge.read_link = read_link_settings
        self.bridge.leases.ask_anew = self._ask_for_another_lease
        self._remember_lease_server()
        self._is_open = True
        self._driver.start(self.managed)
        self._neighbours_driver = PartDriver(self._loop, self.bridge.neighbours)
        self.bridge.neighbours.drive_apart(self._neighbours_driver.look)
        self.managed.open(local)
        # What follows from what neighbours said leaves at once: each round of the loop may wait for a processor.
        datapath.attach(self._loop, self._neighbours_driver.catch_up)

    async def start(self, refused: BridgeRefusals | None = None) -> None:
        """Open the ports and dial; remotes are protected already. Raises InbandError; then call ``stop``.

        ``refused`` is told of ports, addresses and places to listen at that cannot be had, instead of raising.
        """
        config = self.config
        await self._have_ports(config, adopted=None, refused=refused)
        with told(refused):
            await self.local.set_addresses(config)
        self._listening.manage(self._environment.run_dir.management_socket(config.name))
        self._snooping = SnoopSocket(self._environment.run_dir.snoop_socket(config.name), self.connections)
        await self._snooping.start()
        self._environment.run_dir.announce(config.name)
        self._apply_connections(config, config, refused)
        self._keeper = LocalKeeper(self.local, config, self._environment.host.state, self._loop)
        self._keeper.configure(config)  # in a moment: the kernel has not said yet what was set just now
        log.info("bridge %s: started with the %s datapath", config.name, self.bridge.datapath.kind)

    async def stop(self) -> None:
        """Give everything back, hidden flows first. What was never started is skipped. Raises HostError."""
        self._is_stopped = True
        if self._keeper is not None:
            self._keeper.close()
        for planned in (self._remaking, self._restoring, self._leasing, self._stopping_clients):
            if planned is not None:
                planned.cancel()
        if self._is_open:
            self._environment.run_dir.withdraw(self.config.name)
            if self._snooping is not None:
                self._snooping.stop()
            self._listening.stop()
            self.peer_redirect.close()
            for _ in self.managed.stop():
                await asyncio.sleep(0)
            await go_through(self.ports.release(()), self._loop)
            self._neighbours_driver.stop()
            self.bridge.datapath.close()
            self.ports.close()
            try:
                if self.config.adopt is not None:
                    self._give_back(self.config.adopt)
            except InbandError as error:
                log.error("bridge %s: %s does not have all back: %s", self.config.name, self.config.adopt, error)
        self._driver.stop()
        await self.local.stop()
        if self._keeper is not None:  # else it never ran
            log.info("bridge %s: ended, its ports are the system's again", self.config.name)

    def _remember_lease_server(self) -> None:
        if self._memory.lease_server is None:
            return
        identifier, interface = self._memory.lease_server
        if interface in self.ports.numbers:
            self.bridge.leases.remember(identifier, self.ports.numbers[interface])

    def _ask_for_another_lease(self, doubted: LeaseServer) -> None:
        """LOCAL keeps its address until it has another one."""
        port = self.bridge.ports.get(doubted.port)
        log.warning(
            "bridge %s: no controller is reached by the lease of DHCP server %s on port %s: asking the others",
            self.config.name,
            IPv4Address(doubted.identifier),
            doubted.port if port is None else port.name,
        )
        self._restoring = self._loop.create_task(self._ask_anew())

    async def _ask_anew(self) -> None:
        try:
            await self.local.restart_dhcp()
        except InbandError as error:
            log.warning("bridge %s: DHCP was not begun anew: %s", self.config.name, error)

    def _local_interface(self) -> LocalInterface:
        pair = self.local.pair
        return LocalInterface(pair.index, pair.mac, pair.inner)

    def _bridge_environment(self) -> Environment:
        shared = self._environment
        return Environment(
            time.monotonic,  # as ``loop.time``, without a call in Python: each packet that no cache knows asks
            self._network,
            shared.turns,
            shared.report,
            self._driver.wake,
            shared.core.channels_changed,
            shared.core.is_own_interface,
        )

    # --- configuration ------------------------------------------------------------------------------------------

    async def release(self, config: BridgeConfig) -> None:
        """Give up the ports and listening places that ``config`` leaves to others: the first half of ``apply``."""
        await go_through(self.ports.leave(config), self._loop)
        self._listening.release(config.controllers)

    async def apply(self, config: BridgeConfig, refused: BridgeRefusals | None = None) -> None:
        """Go from the present configuration to another one of the same bridge, touching only what differs.

        Raises InbandError; then ``apply`` of what was before goes back. ``refused``: see ``start``.
        """
        old, self.config, leases = self.config, config, self.local.adopted_leases
        if self._keeper is not None:
            self._keeper.configure(config)
        with told(refused):
            self.local.set_mac(config.mac)
        await self._have_ports(config, adopted=old.adopt, refused=refused)
        if config.adopt != old.adopt:
            await asyncio.sleep(CATCH_UP_S)
        if not self.local.has_addresses_of(config) or self.local.adopted_leases != leases:
            with told(refused):
                await self.local.set_addresses(config)
        self.peer_redirect.apply(allowed=config.peer_redirect)
        self._apply_connections(config, old, refused)

    async def _have_ports(self, config: BridgeConfig, adopted: str | None, refused: BridgeRefusals | None) -> None:
        """Have the ports of ``config``, and the belongings of the one that it adopts; ``adopted`` is that of before."""
        if adopted is not None and adopted != config.adopt:
            await go_through(self.ports.release(config.ports), self._loop)
            self._give_back(adopted)
        steps = self.ports.apply(config, None if refused is None else refused.refuse_port)
        if config.adopt is None or config.adopt == adopted or not is_there(config.adopt):
            await go_through(steps, self._loop)
        else:  # at once: meanwhile two interfaces have the address
            self._adopt(config.adopt, partial(_exhaust, steps))

    def _adopt(self, interface: str, become_port: Callable[[], None]) -> None:
        known = self._memory.leases if self._memory.adopted == interface else frozenset()
        self.local.adopt(interface, become_port, self.config.gateway, known)
        if self._stopping_clients is not None:
            self._stopping_clients.cancel()
        self._stopping_clients = self._loop.call_later(STOP_CLIENTS_S, stop_clients, interface)

    def _give_back(self, adopted: str) -> None:
        if is_there(adopted):
            self.local.give_back(adopted)

    def _apply_connections(self, config: BridgeConfig, old: BridgeConfig, refused: BridgeRefusals | None) -> None:
        """Listen, then dial: what is wrong (files, a place that is taken) is said before a connection is given up."""
        contexts, keys = tls_contexts(config), read_network_keys(config)
        self._environment.tls_clock.learn_own(validity(config.certificate))
        self._listening.apply(
            contexts,
            config.controllers,
            None if refused is None else refused.refuse_place,
            renew_tls=tls_files(config) != tls_files(old),
        )
        self._network.contexts = contexts
        self.managed.set_network_keys(keys)
        self.managed.configure(config)

    # --- the kernel's events ------------------------------------------------------------------------------------

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """Follow what the kernel said of interfaces; ``switch.core`` passes it on to the bridge itself after that."""
        match event:
            case LinkChanged(name=name) if self._is_elsewhere and name == self.config.name:
                self._is_elsewhere = False
                log.info("bridge %s: its interface is back", name)
                self._remaking = self._loop.create_task(self._remake_local())
            case LinkChanged(index=index) if index == self.local.pair.index:
                if self.local.link_changed(event):
                    self._restoring = self._loop.create_task(self._restore_local())
            case LinkRemoved(index=index) if index in (self.local.pair.index, self.local.pair.inner_index):
                self._local_removed()
            case AddressChanged(index=index) if index == self.local.pair.index:
                self.local.address_changed(event)
            case NextHopFound():
                pass
            case _:
                self.ports.handle(event)
        if self._keeper is not None:
            self._keeper.host_event(event)
        if isinstance(event, LinkChanged):
            self.peer_redirect.link_changed(event.index)

    def _port_given_address(self, event: AddressChanged) -> None:
        """The system may go on giving addresses to the adopted interface; on another port they have no effect."""
        link = self._environment.host.state.link(event.index)
        if link is None:
            return
        if link.name == self.config.adopt:
            self._adopt_late()
            return
        name, text = (
            self.config.name,
            "bridge %s: port %s has %s, where it has no effect: `inband adopt %s %s` moves it to %s",
        )
        cause = f"address on a port {name} {link.name}"
        log.warning(
            text + "; %s", name, link.name, event.address, name, link.name, name, culprits(), extra={"cause": cause}
        )

    def _adopt_late(self) -> None:
        """Take over what the system has given the adopted interface since, soon and once."""
        if self._adopting is None and not self._is_stopped:
            self._adopting = self._loop.call_later(ADOPT_S, self._adopt_again)

    def _adopt_again(self) -> None:
        self._adopting = None
        if self.config.adopt is not None and not self._is_stopped:
            try:
                self._adopt(self.config.adopt, lambda: None)
            except InbandError as error:
                log.warning("bridge %s: what %s has stays there: %s", self.config.name, self.config.adopt, error)
            if self.local.adopted_leases - self.local.has_dhcp:
                self._leasing = self._loop.create_task(self._keep_leases())

    async def _keep_leases(self) -> None:
        """Run the DHCP clients that the adopted interface had."""
        try:
            await self.local.set_addresses(self.config)
        except InbandError as error:
            log.warning("bridge %s: the lease of %s is not kept: %s", self.config.name, self.config.adopt, error)

    def _local_removed(self) -> None:
        if self._is_stopped or self._remaking is not None:
            return
        if is_elsewhere(self.local.pair):
            text = "bridge %s: its interface was moved to another network namespace: it stays port LOCAL there, "
            text += (
                "without address and gateway of the configuration, until `ip link set %s netns %d` there brings it back"
            )
            log.error(text, self.config.name, self.config.name, os.getpid())
            self._is_elsewhere = True
        else:
            log.error("bridge %s: its interface was removed: it is made again", self.config.name)
            self._remaking = self._loop.create_task(self._remake_local())

    async def _restore_local(self) -> None:
        """The interface was set down and up: give it again what went away meanwhile."""
        try:
            await self.local.set_addresses(self.config)
            await self.local.restart_dhcp()
        except InbandError as error:
            log.warning("bridge %s: its interface is up again, but not as it was: %s", self.config.name, error)

    async def _remake_local(self) -> None:
        """Connections survive this: TCP knows addresses, not interfaces."""
        while True:
            try:
                self.local.make_again()
                self.managed.set_local(self._local_interface())
                await self.local.set_addresses(self.config)
                await self.local.restart_dhcp()
                break
            except InbandError as error:
                log.warning("bridge %s: its interface cannot be made: %s", self.config.name, error)
                await asyncio.sleep(REMAKE_S)
        self._remaking = None


def _exhaust(steps: Iterator[None]) -> None:
    for _ in steps:
        pass
