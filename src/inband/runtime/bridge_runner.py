"""One bridge on a real host: its interface, its ports, its datapath, its connections, and one timer.

``bridge.Bridge`` decides; this carries out. ``start`` and ``apply`` take a configuration; what the kernel refuses comes
as HostError and leaves nothing half done that ``stop`` does not clean up.

What must stay true: hidden flows are in place before a controller is dialled. A port whose interface is not there (yet,
or any more) stays configured and is opened when the interface appears: a card that is slow to be found must not
keep the switch from starting.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from inband import __version__
from inband.agent.connection import Kind
from inband.agent.fail_mode import FailMode, FailModeCommand, FailModeConfig
from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.control import events as ev
from inband.errors import HostError, InbandError, UsageError
from inband.flow.flow import Instant
from inband.flow.ports import LOCAL, PortNo
from inband.host import interfaces
from inband.host.dhcp_client import DhcpClient
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
from inband.openflow.messages import Envelope, PacketIn
from inband.openflow.reconnect import State
from inband.openflow.session import Notice, SessionConfig
from inband.packet.addresses import IpAddress, Mac
from inband.runtime.channel import Channel
from inband.runtime.claims import Claims
from inband.runtime.config import BridgeConfig
from inband.runtime.config import FailMode as FailModeName
from inband.runtime.datapaths import make_datapath
from inband.runtime.dialler import Dialler, Listener
from inband.runtime.rundir import RunDir
from inband.runtime.targets import Scheme, Target
from inband.runtime.tls import client_context, server_context

log = logging.getLogger(__name__)

# About 10 ms of work: the longest that a live session may wait for the rules of others.
REMOTES_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Environment:
    """What all bridges of a process share."""

    loop: asyncio.AbstractEventLoop
    host: Host
    run_dir: RunDir
    claims: Claims


@dataclass(slots=True)
class _Port:
    """A configured port: its number, and the kernel's index of its interface while that is open."""

    number: PortNo
    index: int | None = None


class BridgeRunner:
    """Runs one bridge. Also the user of its channels (``runtime.channel.ChannelUser``)."""

    def __init__(self, environment: Environment, config: BridgeConfig) -> None:
        self.config = config
        self.fail_mode = FailMode()
        self.notes: list[str] = []
        self.diallers: list[Dialler] = []
        self.listeners: list[Listener] = []
        self.ports: dict[str, _Port] = {}
        self.bridge: Bridge
        self.local: interfaces.LocalPair
        self._environment = environment
        self._loop = environment.loop
        self._owners: dict[int, Dialler | Listener] = {}
        self._channels: dict[int, Channel] = {}
        self._remotes: frozenset[ev.Remote] = frozenset()
        self._hops: dict[IpAddress, tuple[IpAddress, Mac] | None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_pumping = False
        self._is_claimed = False
        self._dhcp: DhcpClient | None = None
        self._management: Listener | None = None

    # --- life ---------------------------------------------------------------------------------------------------

    def open(self, known: Iterable[HostEvent]) -> None:
        """Make the bridge with its own interface; ``known`` is what the kernel said so far, the rest is to come.

        Raises InbandError; then call ``stop``.
        """
        config = self.config
        self._environment.claims.take(config.name)
        self._is_claimed = True
        self.local = self._make_local()
        datapath, note = make_datapath(config.datapath)
        if note:
            self.notes.append(note)
        identity = Identity(self._datapath_id(), software=__version__, datapath=config.name, serial_number="None")
        settings = BridgeSettings(config.name, identity, config.flow_limit)
        self.bridge = Bridge(settings, datapath, self._environment.host, self._loop.time, self._wake)
        datapath.client = self.bridge
        datapath.add_port(LOCAL, self.local.inner)
        self.bridge.add_port(LOCAL, config.name, self.local.mac)
        self.bridge.set_local(self.local.index, self.local.mac)
        self.bridge.control(ev.QueueChanged(config.queue))
        self.bridge.control(ev.InBandEnabled(config.in_band))
        for event in known:
            self.host_event(event)
        datapath.attach(self._loop)

    async def start(self, remotes: frozenset[ev.Remote]) -> None:
        """Open the ports, protect the remotes and dial. Raises InbandError; then call ``stop``."""
        config = self.config
        await self.set_remotes(remotes)
        for name in config.ports:
            self._add_port(name)
        self._start_addresses()
        await self._start_management()
        await self._set_controllers(config)
        log.info("bridge %s: started with the %s datapath", config.name, self.bridge.datapath.kind)

    async def stop(self) -> None:
        """Give everything back, hidden flows first. What was never started is skipped."""
        for dialler in self.diallers:
            dialler.stop()
        for listener in (*self.listeners, *filter(None, [self._management])):
            listener.stop()
        if self._dhcp is not None:
            await self._dhcp.stop()
            self._dhcp = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if hasattr(self, "bridge"):
            self.bridge.control(ev.InBandEnabled(False))
            self.bridge.datapath.close()
        if hasattr(self, "local"):
            interfaces.remove_local(self.config.name)
        for name in [*self.ports, *([self.config.name] if self._is_claimed else [])]:
            self._environment.claims.release(name)

    def _make_local(self) -> interfaces.LocalPair:
        """Make or adopt the bridge's interface. A new one gets a MAC that is the same after the next start."""
        config = self.config
        was_there = _exists(config.name)
        pair = interfaces.ensure_local(config.name, config.mac)
        if config.mac is None and not was_there:
            mac = min(filter(None, map(_mac_of, config.ports)), default=None)
            if mac is not None:
                pair = interfaces.ensure_local(config.name, mac)
        return pair

    def _datapath_id(self) -> int:
        return self.config.datapath_id if self.config.datapath_id is not None else int(self.local.mac)

    @property
    def now(self) -> Instant:
        """The clock that everything in this bridge is timed by."""
        return self._loop.time()

    @property
    def remotes(self) -> frozenset[ev.Remote]:
        """The remotes that are protected."""
        return self._remotes

    # --- configuration ------------------------------------------------------------------------------------------

    async def apply(self, config: BridgeConfig) -> None:
        """Go from the present configuration to another one of the same bridge, touching only what differs."""
        old, self.config = self.config, config
        for name in [name for name in self.ports if name not in config.ports]:
            self._remove_port(name)
        for name in config.ports:
            if name not in self.ports:
                self._add_port(name)
        if config.mac is not None and config.mac != self.local.mac:
            interfaces.set_mac(config.name, config.mac)
        if (config.addresses, config.gateway, config.dhcp) != (old.addresses, old.gateway, old.dhcp):
            await self._change_addresses(old)
        self.bridge.control(ev.QueueChanged(config.queue))
        self.bridge.control(ev.InBandEnabled(config.in_band))
        self.bridge.tables.limit = config.flow_limit
        if self._datapath_id() != self.bridge.agent.switch.identity.datapath_id:
            self._change_datapath_id()
        await self._set_controllers(config)

    async def set_remotes(self, remotes: frozenset[ev.Remote]) -> None:
        """Protect these remotes from now on, controllers first.

        Thousands of remotes are taken in portions, between which everything else in the process has its turn.
        """
        added, removed = remotes - self._remotes, self._remotes - remotes
        self._remotes = remotes
        ordered = sorted(added, key=lambda remote: remote.kind is not ev.RemoteKind.CONTROLLER)
        for portion in _portions(ordered):
            self.bridge.control(ev.RemotesChanged(added=portion))
            await asyncio.sleep(0)
        for portion in _portions(list(removed)):
            self.bridge.control(ev.RemotesChanged(removed=portion))
            await asyncio.sleep(0)

    def _change_datapath_id(self) -> None:
        """A datapath id is said once, in FEATURES_REPLY: controllers must connect anew to hear of another one."""
        switch = self.bridge.agent.switch
        switch.identity = Identity(self._datapath_id(), software=__version__, datapath=self.config.name)
        for channel in list(self._channels.values()):
            channel.close()

    def _start_addresses(self) -> None:
        config = self.config
        if config.addresses or config.gateway is not None:
            interfaces.set_addresses(config.name, config.addresses, config.gateway)
        if config.dhcp:
            self._dhcp = DhcpClient(config.name)
            self._dhcp.start()

    async def _change_addresses(self, old: BridgeConfig) -> None:
        config = self.config
        if self._dhcp is not None and not config.dhcp:
            await self._dhcp.stop()
            self._dhcp = None
        interfaces.set_addresses(
            config.name,
            config.addresses,
            config.gateway,
            previous=old.addresses,
            previous_gateway=old.gateway,
        )
        if config.dhcp and self._dhcp is None:
            self._dhcp = DhcpClient(config.name)
            self._dhcp.start()

    async def _start_management(self) -> None:
        path = self._environment.run_dir.management_socket(self.config.name)
        self._management = Listener(Target(Scheme.PUNIX, None, 0, str(path)), self._make_channel)
        await self._management.start(self._loop)

    async def _set_controllers(self, config: BridgeConfig) -> None:
        """Dial and listen as configured; connections to targets that stay are not touched."""
        wanted = set(config.controllers)
        for dialler in [d for d in self.diallers if d.target not in wanted]:
            dialler.stop()
            self.diallers.remove(dialler)
        for listener in [one for one in self.listeners if one.target not in wanted]:
            listener.stop()
            self.listeners.remove(listener)
        there = {dialler.target for dialler in self.diallers} | {listener.target for listener in self.listeners}
        self._configure_fail_mode(config)
        for target in config.controllers:
            if target in there:
                continue
            if target.listens:
                await self._listen(target)
            else:
                self._dial(target)

    async def _listen(self, target: Target) -> None:
        tls = server_context(self.config) if target.uses_tls else None
        listener = Listener(target, self._make_channel, tls)
        await listener.start(self._loop)
        self.listeners.append(listener)

    def _dial(self, target: Target) -> None:
        tls = client_context(self.config) if target.uses_tls else None
        dialler = Dialler(target, self._make_channel, self._loop, max_backoff_s=self.config.max_backoff_s, tls=tls)
        self.diallers.append(dialler)
        dialler.start()

    # --- ports --------------------------------------------------------------------------------------------------

    def _add_port(self, name: str) -> None:
        numbers = {port.number for port in self.ports.values()}
        number = next(PortNo(n) for n in range(1, len(numbers) + 2) if n not in numbers)
        self._environment.claims.take(name)
        port = self.ports[name] = _Port(number)
        if not _exists(name):
            log.warning(
                "bridge %s: there is no interface %s: it becomes port %d when it appears",
                self.config.name,
                name,
                number,
            )
            return
        try:
            interfaces.check_port(name)
            self._open_port(name, port)
        except InbandError:
            del self.ports[name]
            self._environment.claims.release(name)
            raise

    def _open_port(self, name: str, port: _Port) -> None:
        index = socket.if_nametoindex(name)
        self.bridge.datapath.add_port(port.number, name)
        port.index = index
        self.bridge.add_port(port.number, name, _mac_of(name) or Mac(0))

    def _remove_port(self, name: str) -> None:
        port = self.ports.pop(name)
        self._environment.claims.release(name)
        self.bridge.datapath.remove_port(port.number)
        self.bridge.remove_port(port.number)

    def _port_link_changed(self, event: LinkChanged) -> None:
        port = self.ports[event.name]
        if port.index != event.index:
            try:
                interfaces.check_port(event.name)
                self._open_port(event.name, port)
            except (HostError, UsageError) as error:
                log.warning("bridge %s: port %s cannot be opened: %s", self.config.name, event.name, error)
                return
        self.bridge.link_changed(port.number, link_up=event.up and event.running, mac=event.mac)

    def _port_link_removed(self, event: LinkRemoved) -> None:
        port = self.ports.get(event.name)
        if port is not None and port.index == event.index:
            log.warning("bridge %s: interface %s is gone: its port waits for it", self.config.name, event.name)
            port.index = None
            self.bridge.datapath.remove_port(port.number)
            self.bridge.remove_port(port.number)

    # --- the kernel's events ------------------------------------------------------------------------------------

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """Pass on what the kernel said, and dial again when it is good news."""
        match event:
            case LinkChanged(name=name) if name in self.ports:
                self._port_link_changed(event)
            case LinkRemoved(name=name) if name in self.ports:
                self._port_link_removed(event)
            case _:
                pass
        self.bridge.host_event(event)
        match event:
            case AddressChanged(present=True) | LinkChanged(running=True):
                self._hurry(self.diallers)
            case NeighbourChanged() | NextHopFound() | RoutesChanged():
                self._hurry_where_the_way_is_new()
            case _:
                pass

    def _hurry_where_the_way_is_new(self) -> None:
        engine = self.bridge.in_band.engine
        for dialler in self.diallers:
            address = dialler.target.address
            if address is None or dialler.reconnect.is_connected:
                continue
            hop = engine.next_hop_of(address)
            if hop is not None and hop != self._hops.get(address):
                self._hurry([dialler])
            self._hops[address] = hop

    def _hurry(self, diallers: Iterable[Dialler]) -> None:
        for dialler in diallers:
            dialler.network_changed()

    # --- channels (ChannelUser) ---------------------------------------------------------------------------------

    def _make_channel(self, owner: Dialler | Listener) -> Channel:
        config = self.config
        session = SessionConfig(
            versions=frozenset(config.openflow_versions), probe_interval_s=config.inactivity_probe_s
        )
        channel = Channel(self, session, self._loop)
        self._owners[channel.number] = owner
        return channel

    def negotiated(self, channel: Channel) -> None:
        """A version was agreed on."""
        owner = self._owners[channel.number]
        self._channels[channel.number] = channel
        version = channel.session.version
        assert version is not None
        kind = Kind.CONTROLLER if isinstance(owner, Dialler) else Kind.MANAGEMENT
        self.bridge.connect(channel.number, kind, version)
        if isinstance(owner, Dialler):
            owner.negotiated()
            log.info("bridge %s: connected to %s", self.config.name, owner.target)
            self._obey_fail_mode(self.fail_mode.set_connected(True, self._loop.time()))

    def received(self, channel: Channel, envelopes: list[Envelope]) -> None:
        """Messages to carry out."""
        owner = self._owners[channel.number]
        if isinstance(owner, Dialler):
            owner.heard()
        self.bridge.receive(channel.number, envelopes)
        self._send()

    def noticed(self, channel: Channel, notice: Notice) -> None:
        """A session doubts its peer."""
        owner = self._owners[channel.number]
        if isinstance(owner, Dialler) and notice is Notice.PROBED:
            owner.idle()

    def silent(self, channel: Channel, *, is_silent: bool) -> None:
        """TCP has to send again: the next hop is doubted at once, not after the kernel's own patience."""
        owner = self._owners[channel.number]
        address = owner.target.address if isinstance(owner, Dialler) else None
        if address is not None:
            self.bridge.control(ev.ChannelSilent(address) if is_silent else ev.ChannelAlive(address))

    def closed(self, channel: Channel, reason: str) -> None:
        """A connection is over."""
        owner = self._owners.pop(channel.number)
        was_connected = self._channels.pop(channel.number, None) is not None
        self.bridge.disconnect(channel.number)
        if isinstance(owner, Listener):
            owner.channels.discard(channel)
            return
        if was_connected and owner.reconnect.state is not State.VOID:
            log.warning("bridge %s: lost controller %s: %s; dialling again", self.config.name, owner.target, reason)
        owner.lost(channel, reason)
        connected = self.bridge.agent.has_controller
        self._obey_fail_mode(self.fail_mode.set_connected(connected, self._loop.time()))

    # --- fail mode ----------------------------------------------------------------------------------------------

    def _configure_fail_mode(self, config: BridgeConfig) -> None:
        wanted = FailModeConfig(
            is_secure=config.fail_mode is FailModeName.SECURE,
            has_controllers=any(not target.listens for target in config.controllers),
            probe_interval_s=config.inactivity_probe_s,
        )
        self._obey_fail_mode(self.fail_mode.configure(wanted, self._loop.time()))

    def _obey_fail_mode(self, commands: list[FailModeCommand]) -> None:
        for command in commands:
            match command:
                case FailModeCommand.ENTER_STANDALONE:
                    log.warning("bridge %s: no controller: forwarding as a learning switch", self.config.name)
                    self.bridge.set_standalone(active=True)
                case FailModeCommand.LEAVE_STANDALONE:
                    self.bridge.set_standalone(active=False)
                case FailModeCommand.ADD_DEFAULT_FLOW:
                    self.bridge.set_default_flow(active=True)
                case FailModeCommand.REMOVE_DEFAULT_FLOW:
                    self.bridge.set_default_flow(active=False)
        self._wake()

    # --- output and time ----------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if not self._is_pumping:
            self._is_pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._is_pumping = False
        self._send()
        self._plan()

    def _send(self) -> None:
        for number, envelopes in self.bridge.take():
            channel = self._channels.get(number)
            if channel is None:
                continue
            for envelope in envelopes:
                channel.session.send(envelope, is_droppable=isinstance(envelope.message, PacketIn))
            channel.flush()

    def _plan(self) -> None:
        deadlines = (self.bridge.next_deadline(), self.fail_mode.next_deadline())
        due: Instant | None = min((d for d in deadlines if d is not None), default=None)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.bridge.run()
        self._obey_fail_mode(self.fail_mode.run(self._loop.time()))


def _portions(remotes: Sequence[ev.Remote]) -> Iterator[Sequence[ev.Remote]]:
    for start in range(0, len(remotes), REMOTES_AT_ONCE):
        yield remotes[start : start + REMOTES_AT_ONCE]


def _exists(interface: str) -> bool:
    try:
        socket.if_nametoindex(interface)
    except OSError:
        return False
    return True


def _mac_of(interface: str) -> Mac | None:
    """An interface's MAC address, None when there is none."""
    try:
        with open(f"/sys/class/net/{interface}/address", encoding="ascii") as file:
            return Mac.parse(file.read().strip())
    except (OSError, UsageError):
        return None
