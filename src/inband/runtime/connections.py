"""All OpenFlow connections of one bridge: who is dialled, who may call, what they say, and who decides without them.

It keeps a dialler or listener for each configured controller and one listener for ``BRIDGE.mgmt``, carries messages
between channels and ``bridge.Bridge``, and obeys the fail mode, which depends on which of them are connected.

What must stay true: a connection to a target that stays configured is not touched by a change of another. What is wrong
with a new configuration (TLS files, a place that is taken) comes as an error before a connection is given up for it.
A peer that does not read costs bounded memory: long replies go on only while there is room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from ssl import SSLContext

from inband.agent.connection import Kind
from inband.agent.fail_mode import FailMode, FailModeCommand, FailModeConfig
from inband.bridge.bridge import Bridge
from inband.control import events as ev
from inband.openflow.messages import Envelope, PacketIn
from inband.openflow.reconnect import State
from inband.openflow.session import Notice, SessionConfig
from inband.runtime.channel import Channel
from inband.runtime.config import BridgeConfig
from inband.runtime.config import FailMode as FailModeName
from inband.runtime.dialler import Dialler, Listener
from inband.runtime.targets import Scheme, Target
from inband.runtime.tls import tls_contexts
from inband.vocabulary.addresses import IpAddress, Mac

log = logging.getLogger(__name__)

# Messages that may wait behind a long reply which its peer does not read; packet-ins are the many among them.
MAX_WAITING = 10_000


class Connections:
    """Implements ``runtime.channel.ChannelUser`` for every channel of a bridge."""

    def __init__(
        self,
        bridge: Bridge,
        config: BridgeConfig,
        loop: asyncio.AbstractEventLoop,
        wake: Callable[[], None],
        channels_changed: Callable[[], None],
    ) -> None:
        """``wake`` asks for ``send`` soon, and for a look at the fail mode's next deadline.

        ``channels_changed`` is called when a controller that has a name may be connected now, or not any more.
        """
        self.fail_mode = FailMode()
        self.diallers: list[Dialler] = []
        self.listeners: list[Listener] = []
        self.losses = {"packet-ins dropped": 0, "messages unsayable": 0, "messages malformed": 0}
        self._bridge = bridge
        self._config = config
        self._loop = loop
        self._wake = wake
        self._channels_changed = channels_changed
        self._names: Mapping[str, tuple[IpAddress, ...]] = {}
        self._management: Listener | None = None
        self._owners: dict[int, Dialler | Listener] = {}
        self._channels: dict[int, Channel] = {}
        self._hops: dict[IpAddress, tuple[IpAddress, Mac] | None] = {}

    # --- configuration ------------------------------------------------------------------------------------------

    async def manage(self, path: Path) -> None:
        """Listen for management connections, which never count as controllers. Raises HostError."""
        self._management = Listener(Target(Scheme.PUNIX, None, 0, str(path)), self._make_channel)
        await self._management.start(self._loop)

    def release(self, config: BridgeConfig) -> None:
        """Stop listening where ``config`` does not want it, so that another bridge may."""
        wanted = set(config.controllers)
        for listener in [one for one in self.listeners if one.target not in wanted]:
            listener.stop()
            self.listeners.remove(listener)

    async def apply(self, config: BridgeConfig) -> None:
        """Dial and listen as configured. Raises InbandError; then what was connected still is."""
        contexts = tls_contexts(config)
        files_changed = _files(config) != _files(self._config)
        self._config = config
        self.release(config)
        for listener in [one for one in self.listeners if files_changed and one.target.uses_tls]:
            listener.stop()
            self.listeners.remove(listener)
        listening = {listener.target for listener in self.listeners}
        for target in config.controllers:
            if target.listens and target not in listening:
                await self._listen(target, contexts.get(target))
        self._dial_all(config, contexts)
        self._reconfigure_sessions()
        self._configure_fail_mode()

    async def _listen(self, target: Target, tls: SSLContext | None) -> None:
        listener = Listener(target, self._make_channel, tls)
        await listener.start(self._loop)
        self.listeners.append(listener)

    def _dial_all(self, config: BridgeConfig, contexts: dict[Target, SSLContext]) -> None:
        dialled = {dialler.target: dialler for dialler in self.diallers}
        for target in config.controllers:
            if target.listens:
                continue
            if target in dialled:
                dialled.pop(target).configure(config.max_backoff_s, contexts.get(target))
                continue
            dialler = Dialler(
                target,
                self._make_channel,
                self._loop,
                max_backoff_s=config.max_backoff_s,
                tls=contexts.get(target),
                changed=self._channels_changed if target.name else lambda: None,
            )
            self._tell_addresses(dialler)
            self.diallers.append(dialler)
            dialler.start()
        for dialler in dialled.values():
            dialler.stop()
            self.diallers.remove(dialler)

    def _reconfigure_sessions(self) -> None:
        session = self._session_config()
        for channel in list(self._channels.values()):
            channel.configure(session)
            if channel.session.version not in session.versions:
                channel.close()

    def hang_up(self) -> None:
        """End every connection; who is dialled is dialled again, who calls may call again."""
        for channel in list(self._channels.values()):
            channel.close()

    def stop(self) -> None:
        """End every connection for good."""
        for dialler in self.diallers:
            dialler.stop()
        for listener in (*self.listeners, *filter(None, [self._management])):
            listener.stop()

    def counters(self) -> dict[str, int]:
        """What peers were not told, and what they said in vain."""
        total = dict(self.losses)
        for channel in self._channels.values():
            _add_losses(total, channel)
        listeners = (*self.listeners, *filter(None, [self._management]))
        total["connections turned away"] = sum(listener.turned_away for listener in listeners)
        return total

    def set_names(self, names: Mapping[str, tuple[IpAddress, ...]]) -> None:
        """Which addresses the names of controllers have; hidden rules for them must be there."""
        self._names = names
        for dialler in self.diallers:
            self._tell_addresses(dialler)

    def _tell_addresses(self, dialler: Dialler) -> None:
        if dialler.target.name is not None:
            dialler.set_addresses(self._names.get(dialler.target.name, ()))

    # --- the network ----------------------------------------------------------------------------------------------

    def hurry(self) -> None:
        """Something got better: do not wait with dialling."""
        for dialler in self.diallers:
            dialler.network_changed()

    def hurry_where_the_way_is_new(self) -> None:
        """A neighbour or a route changed: dial again whose next hop is another one now."""
        engine = self._bridge.in_band.engine
        for dialler in self.diallers:
            if dialler.reconnect.is_connected:
                continue
            for address in dialler.addresses:
                hop = engine.next_hop_of(address)
                if hop is not None and hop != self._hops.get(address):
                    dialler.network_changed()
                self._hops[address] = hop

    # --- channels (ChannelUser) ---------------------------------------------------------------------------------

    def _session_config(self) -> SessionConfig:
        config = self._config
        return SessionConfig(frozenset(config.openflow_versions), probe_interval_s=config.inactivity_probe_s)

    def _make_channel(self, owner: Dialler | Listener) -> Channel:
        channel = Channel(self, self._session_config(), self._loop)
        self._owners[channel.number] = owner
        return channel

    def negotiated(self, channel: Channel) -> None:
        """A version was agreed on."""
        owner = self._owners[channel.number]
        self._channels[channel.number] = channel
        version = channel.session.version
        assert version is not None
        kind = Kind.CONTROLLER if isinstance(owner, Dialler) else Kind.MANAGEMENT
        self._bridge.connect(channel.number, kind, version)
        if isinstance(owner, Dialler):
            owner.negotiated()
            log.info("bridge %s: connected to %s", self._bridge.name, owner.target)
            self._obey(self.fail_mode.set_connected(True, self._loop.time()))

    def heard(self, channel: Channel) -> None:
        """A peer said something."""
        owner = self._owners[channel.number]
        if isinstance(owner, Dialler):
            owner.heard()

    def received(self, channel: Channel, envelopes: list[Envelope]) -> None:
        """Messages to carry out."""
        self._bridge.receive(channel.number, envelopes)
        self.send()

    def writable(self, channel: Channel) -> None:
        """A peer has read what waited for it: long replies go on."""
        self._wake()

    def noticed(self, channel: Channel, notice: Notice) -> None:
        """A session doubts its peer."""
        owner = self._owners[channel.number]
        if isinstance(owner, Dialler) and notice is Notice.PROBED:
            owner.idle()

    def silent(self, channel: Channel, *, is_silent: bool) -> None:
        """TCP has to send again: the next hop is doubted at once, not after the kernel's own patience."""
        owner = self._owners[channel.number]
        address = owner.address if isinstance(owner, Dialler) else None
        if address is not None:
            self._bridge.control(ev.ChannelSilent(address) if is_silent else ev.ChannelAlive(address))

    def closed(self, channel: Channel, reason: str) -> None:
        """A connection is over."""
        owner = self._owners.pop(channel.number)
        was_connected = self._channels.pop(channel.number, None) is not None
        _add_losses(self.losses, channel)
        self._bridge.disconnect(channel.number)
        if isinstance(owner, Listener):
            owner.channels.discard(channel)
            return
        if was_connected and owner.reconnect.state is not State.VOID:
            log.warning("bridge %s: lost controller %s: %s; dialling again", self._bridge.name, owner.target, reason)
        if owner.target.uses_tls and channel.session.version is None:
            # With TLS 1.3 our side is done with the handshake before the peer has looked at our certificate.
            reason = f"{reason}, before its HELLO: perhaps it does not take our certificate"
        owner.lost(channel, reason)
        self._obey(self.fail_mode.set_connected(self._bridge.agent.has_controller, self._loop.time()))

    def send(self) -> None:
        """Write what waits for each peer: everything, but long replies only as far as the peer reads them."""
        agent = self._bridge.agent
        for number in agent.waiting():
            channel = self._channels.get(number)
            if channel is None:
                agent.take(number)
                continue
            if not channel.session.wants_input:
                self._bound(number, channel)
                continue
            for envelope in agent.take(number):
                channel.session.send(envelope, is_droppable=isinstance(envelope.message, PacketIn))
            channel.flush()
            if agent.switch.connections[number].outgoing:
                self._wake()

    def _bound(self, number: int, channel: Channel) -> None:
        waiting = len(self._bridge.agent.switch.connections[number].outgoing)
        if waiting > MAX_WAITING:
            log.warning("bridge %s: %s left %d messages unread: hung up", self._bridge.name, channel.peer, waiting)
            channel.close()

    # --- fail mode ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do what the fail mode's deadline asks for."""
        self._obey(self.fail_mode.run(self._loop.time()))

    def _configure_fail_mode(self) -> None:
        config = self._config
        wanted = FailModeConfig(
            is_secure=config.fail_mode is FailModeName.SECURE,
            has_controllers=any(not target.listens for target in config.controllers),
            probe_interval_s=config.inactivity_probe_s,
        )
        self._obey(self.fail_mode.configure(wanted, self._loop.time()))

    def _obey(self, commands: Iterable[FailModeCommand]) -> None:
        for command in commands:
            match command:
                case FailModeCommand.ENTER_STANDALONE:
                    log.warning("bridge %s: no controller: forwarding as a learning switch", self._bridge.name)
                    self._bridge.set_standalone(active=True)
                case FailModeCommand.LEAVE_STANDALONE:
                    self._bridge.set_standalone(active=False)
                case FailModeCommand.ADD_DEFAULT_FLOW:
                    self._bridge.set_default_flow(active=True)
                case FailModeCommand.REMOVE_DEFAULT_FLOW:
                    self._bridge.set_default_flow(active=False)
        self._wake()


def _files(config: BridgeConfig) -> tuple[Path | None, ...]:
    return (config.private_key, config.certificate, config.ca_cert)


def _add_losses(total: dict[str, int], channel: Channel) -> None:
    session = channel.session
    for name, count in (
        ("packet-ins dropped", session.dropped),
        ("messages unsayable", session.unsayable),
        ("messages malformed", session.malformed),
    ):
        total[name] += count
