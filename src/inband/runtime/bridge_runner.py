"""One bridge on a real host: its interface, ports, datapath and connections, joined, and one timer for all of them.

``bridge.Bridge`` decides; this carries out. ``open``, ``start`` and ``apply`` take a configuration; what the kernel
refuses comes as HostError and leaves nothing half done that ``stop`` does not clean up.

What must stay true: hidden flows are in place before a controller is dialled. The bridge hears what the kernel says
from its first moment on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from inband import __version__
from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.control import events as ev
from inband.errors import InbandError
from inband.flow.ports import LOCAL
from inband.host.events import (
    AddressChanged,
    Host,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    NeighbourChanged,
    NextHopFound,
    RoutesChanged,
)
from inband.runtime.bridge_ports import BridgePorts
from inband.runtime.claims import Claims
from inband.runtime.config import BridgeConfig
from inband.runtime.connections import Connections
from inband.runtime.datapaths import make_datapath, pin_dir
from inband.runtime.known_host import KnownHost
from inband.runtime.local_port import LocalPort
from inband.runtime.peer_redirect import PeerRedirect
from inband.runtime.queues import read_queues
from inband.runtime.rundir import RunDir
from inband.vocabulary.instant import Instant

log = logging.getLogger(__name__)

# Remotes that the engine takes at once: some 10 ms of work.
REMOTES_AT_ONCE = 100
# Somebody removed the bridge's interface and it could not be made again: how often that is tried.
REMAKE_S = 1.0


@dataclass(frozen=True, slots=True)
class Environment:
    """What all bridges of a process share."""

    loop: asyncio.AbstractEventLoop
    host: Host
    known: KnownHost
    run_dir: RunDir
    claims: Claims
    channels_changed: Callable[[], None]


class BridgeRunner:
    """Runs one bridge. ``bridge``, ``ports`` and ``connections`` are there after ``open``."""

    def __init__(self, environment: Environment, config: BridgeConfig) -> None:
        self.config = config
        self.notes: list[str] = []
        self.bridge: Bridge
        self.ports: BridgePorts
        self.connections: Connections
        self.peer_redirect: PeerRedirect
        self.local = LocalPort(config.name, environment.claims, environment.run_dir.path)
        self._environment = environment
        self._loop = environment.loop
        self._is_open = False
        self._is_stopped = False
        self._default_datapath_id = 0
        self._remotes: frozenset[ev.Remote] = frozenset()
        self._timer: asyncio.TimerHandle | None = None
        self._is_pumping = False
        self._remaking: asyncio.Task[None] | None = None
        self._restoring: asyncio.Task[None] | None = None

    # --- life ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the bridge with its own interface and tell it what the kernel said so far; the rest is to come.

        Raises InbandError; then call ``stop``.
        """
        config, environment = self.config, self._environment
        self.local.make(config, environment.known.links.values())
        datapath, note = make_datapath(config.datapath, pin_dir(environment.run_dir.path, config.name))
        if note:
            self.notes.append(note)
        self._default_datapath_id = int(self.local.pair.mac)
        settings = BridgeSettings(config.name, self._identity(), config.flow_limit)
        self.bridge = Bridge(settings, datapath, environment.host, self._loop.time, self._wake)
        self.ports = BridgePorts(self.bridge, environment.claims, environment.known.links)
        self.connections = Connections(self.bridge, config, self._loop, self._wake, environment.channels_changed)
        self.peer_redirect = PeerRedirect(config.name, datapath, self._loop)
        self.peer_redirect.apply(allowed=config.peer_redirect)
        self.bridge.read_queues = read_queues
        datapath.client = self.bridge
        self._is_open = True
        self._open_local()
        self.bridge.control(ev.QueueChanged(config.queue))
        self.bridge.control(ev.InBandEnabled(config.in_band))
        for event in environment.known:
            self.host_event(event)
        datapath.attach(self._loop)

    async def start(self, remotes: frozenset[ev.Remote]) -> None:
        """Open the ports, protect the remotes and dial. Raises InbandError; then call ``stop``."""
        config = self.config
        await self.set_remotes(remotes)
        self.ports.apply(config.ports)
        await self.local.set_addresses(config)
        await self.connections.manage(self._environment.run_dir.management_socket(config.name))
        await self.connections.apply(config)
        log.info("bridge %s: started with the %s datapath", config.name, self.bridge.datapath.kind)

    async def stop(self) -> None:
        """Give everything back, hidden flows first. What was never started is skipped. Raises HostError."""
        self._is_stopped = True
        for task in (self._remaking, self._restoring):
            if task is not None:
                task.cancel()
        if self._is_open:
            self.connections.stop()
            self.peer_redirect.close()
            self.bridge.control(ev.InBandEnabled(False))
            self.bridge.datapath.close()
            self.ports.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.local.stop()

    def _open_local(self) -> None:
        pair = self.local.pair
        self.bridge.datapath.add_port(LOCAL, pair.inner)
        self.bridge.add_port(LOCAL, self.config.name, pair.mac)
        self.bridge.set_local(pair.index, pair.mac)

    def _identity(self) -> Identity:
        number = self.config.datapath_id
        return Identity(
            self._default_datapath_id if number is None else number, software=__version__, datapath=self.config.name
        )

    @property
    def now(self) -> Instant:
        """The clock that everything in this bridge is timed by."""
        return self._loop.time()

    @property
    def remotes(self) -> frozenset[ev.Remote]:
        """The remotes that are protected."""
        return self._remotes

    # --- configuration ------------------------------------------------------------------------------------------

    def release(self, config: BridgeConfig) -> None:
        """Give up the ports and listening places that ``config`` leaves to others: the first half of ``apply``."""
        self.ports.release(config.ports)
        self.connections.release(config)

    async def apply(self, config: BridgeConfig) -> None:
        """Go from the present configuration to another one of the same bridge, touching only what differs.

        Raises InbandError; then ``apply`` of what was before goes back.
        """
        old, self.config = self.config, config
        self.ports.apply(config.ports)
        self.local.set_mac(config.mac)
        if _own_addresses(config) != _own_addresses(old):
            await self.local.set_addresses(config, old)
        self.bridge.control(ev.QueueChanged(config.queue))
        self.bridge.control(ev.InBandEnabled(config.in_band))
        self.bridge.tables.limit = config.flow_limit
        self.peer_redirect.apply(allowed=config.peer_redirect)
        await self.connections.apply(config)
        self._set_identity()

    async def set_remotes(self, remotes: frozenset[ev.Remote]) -> None:
        """Protect these remotes from now on, controllers first.

        Thousands of remotes are taken in portions, between which everything else in the process has its turn.
        """
        added, removed = await asyncio.to_thread(_differences, self._remotes, remotes)
        self._remotes = remotes
        for portion in _portions(added):
            self.bridge.control(ev.RemotesChanged(added=portion))
            await asyncio.sleep(0)
        for portion in _portions(removed):
            self.bridge.control(ev.RemotesChanged(removed=portion))
            await asyncio.sleep(0)

    def _set_identity(self) -> None:
        """A datapath id is said once, in FEATURES_REPLY: controllers must connect anew to hear of another one."""
        switch, identity = self.bridge.agent.switch, self._identity()
        if identity != switch.identity:
            switch.identity = identity
            self.connections.hang_up()

    # --- the kernel's events ------------------------------------------------------------------------------------

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """Pass on what the kernel said, and dial again when it is good news."""
        match event:
            case LinkChanged(index=index) if index == self.local.pair.index:
                if self.local.link_changed(event):
                    self._restoring = self._loop.create_task(self._restore_local())
                self.bridge.link_changed(LOCAL, link_up=event.up and event.running, mac=event.mac)
            case LinkRemoved(index=index) if index == self.local.pair.index:
                self._local_removed()
            case AddressChanged(index=index) if index == self.local.pair.index:
                self.local.address_changed(event)
            case NextHopFound():
                pass
            case _:
                self.ports.handle(event)
        if isinstance(event, LinkChanged):
            self.peer_redirect.link_changed(event.index)
        self.bridge.host_event(event)
        match event:
            case AddressChanged(present=True, tentative=False) | LinkChanged(running=True):
                self.connections.hurry()
            case NeighbourChanged() | NextHopFound() | RoutesChanged():
                self.connections.hurry_where_the_way_is_new()
            case _:
                pass

    def _local_removed(self) -> None:
        if not self._is_stopped and self._remaking is None:
            log.error("bridge %s: somebody removed its interface: it is made again", self.config.name)
            self._remaking = self._loop.create_task(self._remake_local())

    async def _restore_local(self) -> None:
        """Somebody set the interface down and up: give it again what went away meanwhile."""
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
                self._open_local()
                await self.local.set_addresses(self.config)
                await self.local.restart_dhcp()
                break
            except InbandError as error:
                log.warning("bridge %s: its interface cannot be made: %s", self.config.name, error)
                await asyncio.sleep(REMAKE_S)
        self._remaking = None

    # --- output and time ----------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if not self._is_pumping:
            self._is_pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._is_pumping = False
        if not self._is_stopped:
            self.connections.send()
            self._plan()

    def _plan(self) -> None:
        deadlines = (self.bridge.next_deadline(), self.connections.fail_mode.next_deadline())
        due: Instant | None = min((d for d in deadlines if d is not None), default=None)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.bridge.run()
        self.connections.run()


def _own_addresses(config: BridgeConfig) -> tuple[object, ...]:
    return (config.addresses, config.gateway, config.dhcp, config.dhcpv6)


def _differences(before: frozenset[ev.Remote], after: frozenset[ev.Remote]) -> tuple[list[ev.Remote], list[ev.Remote]]:
    """What came, controllers first, and what went."""
    came = sorted(after - before, key=lambda remote: remote.kind is not ev.RemoteKind.CONTROLLER)
    return came, list(before - after)


def _portions(remotes: Sequence[ev.Remote]) -> Iterator[Sequence[ev.Remote]]:
    for start in range(0, len(remotes), REMOTES_AT_ONCE):
        yield remotes[start : start + REMOTES_AT_ONCE]
