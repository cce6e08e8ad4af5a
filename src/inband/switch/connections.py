"""The connection manager of one bridge: whom it dials, who may call, what they say, and who decides without them.

It keeps an outgoing connection for each configured controller that is dialled and a listener for each place where it is
called, carries messages between channels and the ``Bridge``, and obeys the fail mode, which depends on which of them
are connected. Sockets are its owner's: see ``switch.transport``.

Invariants: a connection to a target that stays configured is not touched by a change of another. A peer gets its turn
(``switch.turns``) and no more, however much it sends. A peer that does not read costs bounded memory: long replies go
on only while there is room.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import assert_never

from inband.agent.connection import Kind
from inband.agent.fail_mode import FailMode, FailModeCommand, FailModeConfig
from inband.bridge.bridge import Bridge
from inband.control import events as ev
from inband.openflow.messages import Envelope, FlowMod, GroupMod, PacketIn, PacketOut, RoleRequest
from inband.openflow.reconnect import State
from inband.openflow.session import Mirror, Notice, SessionConfig
from inband.switch.alarms import Alarms
from inband.switch.channel import Channel
from inband.switch.config import BridgeConfig
from inband.switch.config import FailMode as FailModeName
from inband.switch.listener import MAX_SESSIONS, Listener
from inband.switch.outgoing import OutgoingConnection
from inband.switch.reports import (
    CallerHungUpOn,
    Connected,
    ConnectFailed,
    ConnectionLost,
    HandshakeFailed,
    ListensOnLoopback,
    NotAllowed,
    OpenToStrangers,
    Reporter,
    StandaloneEntered,
    StandaloneLeft,
    TurnedAway,
)
from inband.switch.targets import AUTO, Target
from inband.switch.transport import Network
from inband.switch.turns import Turns
from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.instant import Instant, earliest

_MANAGING = (FlowMod, GroupMod, PacketOut, RoleRequest)
# Messages that are decoded, and sent what answers them, together. The clock is looked at after each of them.
MESSAGES_AT_ONCE = 16

# A controller that has not been reached for so long is worth a line in the log, and another one after so long again:
# a row of switches that comes up takes less than the first, and people look at logs less often than the second.
FAILING_S, FAILING_AGAIN_S = 5.0, 600.0

_numbers = itertools.count(1)
"""Channels of all bridges have different numbers: agents, logs and dumps name them."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a bridge's connections share with those of other bridges, or get from their owner.

    ``wake`` asks for ``ConnectionManager.send`` and a look at deadlines soon. ``channels_changed`` is called when a
    controller that has a name may be connected now, or not any more. ``is_own_interface`` says of a name whether it is
    a port of some bridge of the switch, or a bridge's own interface: one bridge's channel may cross another.
    """

    clock: Callable[[], Instant]
    network: Network
    turns: Turns
    report: Reporter
    wake: Callable[[], None]
    channels_changed: Callable[[], None]
    is_own_interface: Callable[[str], bool]
    random: Random = field(default_factory=SystemRandom)


class ConnectionManager:
    """Implements ``ChannelUser`` for every channel of a bridge, and ``OutgoingUser``."""

    def __init__(self, bridge: Bridge, config: BridgeConfig, environment: Environment) -> None:
        self.fail_mode = FailMode()
        self.outgoing: list[OutgoingConnection] = []
        self.listeners: list[Listener] = []
        self.losses = {"packet-ins dropped": 0, "messages not encodable": 0, "messages malformed": 0}
        self._bridge = bridge
        self._config = config
        self._environment = environment
        self._clock = environment.clock
        self._names: Mapping[str, tuple[IpAddress, ...]] = {}
        self._found: tuple[Target, ...] = ()
        self._owners: dict[int, OutgoingConnection | Listener] = {}
        self._channels: dict[int, Channel] = {}
        self._mirror: Mirror | None = None
        self._is_stopped = False
        self._negotiated: set[int] = set()
        self._alarms: Alarms[Channel | OutgoingConnection] = Alarms()
        self._hops: dict[IpAddress, tuple[IpAddress, Mac] | None] = {}
        self._report_failing_at: dict[OutgoingConnection, Instant] = {}
        self._held: set[Channel] = set()  # their next message waits for another one to be done
        self._long_work = _LongWork(self)

    def __len__(self) -> int:
        """How many streams there are, or are about to be opened."""
        return len(self._owners)

    # --- configuration ------------------------------------------------------------------------------------------

    def configure(self, config: BridgeConfig) -> None:
        """Dial as configured, and hold sessions and the fail mode to it."""
        self._config = config
        self._dial_all(config)
        session = self._session_config()
        for channel in list(self._channels.values()):
            channel.configure(session)
            self._follow(channel)
            if channel.session.is_negotiated and channel.session.version not in session.versions:
                channel.abort()
        self._configure_fail_mode()

    def _dial_all(self, config: BridgeConfig) -> None:
        before = {connection.target: connection for connection in self.outgoing}
        found = self._found if AUTO in config.controllers else ()
        for target in dict.fromkeys((*config.controllers, *found)):
            if target.listens or target.is_auto:
                continue
            if target in before:
                before.pop(target).configure(config.max_backoff_s)
                continue
            network, backoff_s = self._environment.network, config.max_backoff_s
            connection = OutgoingConnection(target, network, self, self._clock, max_backoff_s=backoff_s)
            self._tell_addresses(connection)
            self.outgoing.append(connection)
            connection.start()
        for connection in before.values():
            connection.stop()
            self.outgoing.remove(connection)

    def add_listener(self, target: Target) -> Listener:
        """Peers may call there from now on; ``accept`` says who gets a connection."""
        listener = Listener(target)
        self.listeners.append(listener)
        if target.is_open:
            self._environment.report(OpenToStrangers(self._bridge.name, target))
        elif target.host is None and not target.is_unix:
            self._environment.report(ListensOnLoopback(self._bridge.name, target))
        return listener

    def remove_listener(self, listener: Listener) -> None:
        """Hang up on all clients of a listener."""
        self.listeners.remove(listener)
        for channel in listener:
            channel.abort()

    def hang_up(self) -> None:
        """End every connection; who is dialled is dialled again, who calls may call again."""
        for channel in list(self._channels.values()):
            channel.abort()

    def stop(self) -> None:
        """End every connection for good: none is left once the end of each has been reported (``len``)."""
        self._is_stopped = True
        for connection in self.outgoing:
            connection.stop()
        for listener in list(self.listeners):
            self.remove_listener(listener)

    def set_names(self, names: Mapping[str, tuple[IpAddress, ...]], found: tuple[Target, ...] = ()) -> None:
        """The addresses of names, and what ``auto`` has found; hidden rules for both must be there."""
        self._names = names
        if found != self._found:
            self._found = found
            self._dial_all(self._config)
        for connection in self.outgoing:
            self._tell_addresses(connection)

    def _tell_addresses(self, connection: OutgoingConnection) -> None:
        if connection.target.name is not None:
            connection.set_addresses(self._names.get(connection.target.name, ()))

    def counters(self) -> dict[str, int]:
        """What peers were not told, and what they said in vain."""
        total = dict(self.losses)
        for channel in self._channels.values():
            _add_losses(total, channel)
        total["connections turned away"] = sum(listener.turned_away for listener in self.listeners)
        total["handshakes failed"] = sum(listener.handshakes_failed for listener in self.listeners)
        return total

    # --- the network ----------------------------------------------------------------------------------------------

    def hurry(self, is_in_band: bool = True) -> None:
        """Something got better, on the way of in-band control or elsewhere: do not wait with dialling who is there."""
        for connection in self.outgoing:
            if connection.target.in_band == is_in_band:
                connection.network_changed()

    def hurry_where_the_way_is_new(self) -> None:
        """A neighbour or a route changed: dial again where the next hop is another one now."""
        engine = self._bridge.in_band.engine
        for connection in self.outgoing:
            if connection.is_connected:
                continue
            for address in connection.addresses:
                hop = engine.next_hop_of(address)
                if hop is not None and hop != self._hops.get(address):
                    connection.network_changed()
                self._hops[address] = hop

    # --- channels (ChannelUser, OutgoingUser) -------------------------------------------------------------------

    def _session_config(self) -> SessionConfig:
        config = self._config
        return SessionConfig(frozenset(config.openflow_versions), probe_interval_s=config.inactivity_probe_s)

    def channel_for(self, owner: OutgoingConnection | Listener, peer: str = "") -> Channel:
        """A channel for a stream that is about to be opened."""
        is_first = isinstance(owner, OutgoingConnection)
        channel = Channel(next(_numbers), self, self._clock, self._session_config(), is_first=is_first, peer=peer)
        self._owners[channel.number] = owner
        channel.session.mirror = self._mirror if is_first else None
        return channel

    def set_mirror(self, mirror: Mirror | None) -> None:
        """Have what is said with controllers copied from now on, or no longer."""
        self._mirror = mirror
        for channel in self._channels.values():
            channel.session.mirror = mirror if channel.is_first else None

    def forget(self, channel: Channel) -> None:
        """The stream that a channel was made for will not be opened."""
        self._owners.pop(channel.number, None)

    def accept(self, listener: Listener, address: IpAddress | None) -> tuple[Channel | None, Channel | None]:
        """Who uses a stream that a peer opens (None: hang up, it may not), and who must make room, if anyone.

        ``address`` is None on a unix socket.
        """
        if address is not None and not listener.target.allows(address):
            listener.turned_away += 1
            self._environment.report(NotAllowed(self._bridge.name, listener.target, str(address)))
            return None, None
        channel = self.channel_for(listener, "unix" if address is None else str(address))
        return channel, listener.add(channel, channel.peer)

    def opened(self, channel: Channel) -> None:
        """A stream is there; one that was given up meanwhile is for nothing."""
        owner = self._owners.get(channel.number)
        if owner is None or self._is_stopped:
            channel.abort()
            return
        self._channels[channel.number] = channel
        if isinstance(owner, OutgoingConnection):
            owner.opened(channel)
        self._follow(channel)

    def heard(self, channel: Channel) -> None:
        """A peer said something."""
        if channel.number not in self._channels:
            return
        owner = self._owners[channel.number]
        if isinstance(owner, OutgoingConnection):
            owner.heard()
        self._follow(channel)

    def writable(self, channel: Channel) -> None:
        """A peer has read what waited for it: long replies and its requests go on."""
        self._follow(channel)
        self._environment.wake()

    def carry_out(self, channel: Channel, until: Instant) -> bool:
        """Go on with a peer's long reply, or act on its messages, a few at a time, until then."""
        while self._has_work(channel):
            if self._bridge.is_replying(channel.number):
                self._bridge.go_on_with_reply(channel.number)
            else:
                self._act_on_messages(channel, until)
            self.send()
            channel.flush()
            if self._clock() >= until:
                break
        self._follow(channel)
        return self._has_work(channel)

    def _has_work(self, channel: Channel) -> bool:
        if not channel.is_open or channel in self._held:
            return False
        if self._bridge.is_replying(channel.number):
            return not channel.session.has_backlog
        return channel.has_work

    def _act_on_messages(self, channel: Channel, until: Instant) -> None:
        envelopes = channel.read(MESSAGES_AT_ONCE)
        if channel.session.is_negotiated and channel.number not in self._negotiated:
            self._agreed(channel)
        if not envelopes or not channel.is_open:
            return
        done = self._bridge.receive(channel.number, envelopes, until)
        if isinstance(self._owners.get(channel.number), OutgoingConnection):
            self._note_managing(envelopes[:done])
        channel.put_back(envelopes[done:])
        if self._bridge.is_busy:
            self._environment.turns.add(self._long_work)
        is_replying = self._bridge.is_replying(channel.number)
        if done < len(envelopes) and not is_replying and self._bridge.must_wait(channel.number, envelopes[done]):
            self._held.add(channel)

    def _note_managing(self, envelopes: Sequence[Envelope]) -> None:
        """A controller that does this has taken the switch over: see ``agent.fail_mode``."""
        if not self.fail_mode.is_managed and any(isinstance(envelope.message, _MANAGING) for envelope in envelopes):
            self._obey(self.fail_mode.set_managed(self._clock()))

    def go_on_with_long_work(self, until: Instant) -> bool:
        """Go on with the message that is being carried out in steps; those that waited for it have their turn then."""
        more = self._bridge.work(until)
        self.send()
        if not more:
            held, self._held = self._held, set()
            for channel in held:
                self._follow(channel)
        return more

    def _agreed(self, channel: Channel) -> None:
        owner, version = self._owners[channel.number], channel.session.version
        assert version is not None
        if isinstance(owner, Listener) and not owner.agreed(channel):
            self._environment.report(TurnedAway(self._bridge.name, owner.target, MAX_SESSIONS))
            channel.abort()
            return
        self._negotiated.add(channel.number)
        kind = Kind.CONTROLLER if isinstance(owner, OutgoingConnection) else Kind.MANAGEMENT
        self._bridge.connect(channel.number, kind, version)
        if isinstance(owner, OutgoingConnection):
            owner.negotiated()
            self._environment.report(Connected(self._bridge.name, owner.target, owner.address))
            self._obey(self.fail_mode.set_connected(True, self._clock()))

    def closed(self, channel: Channel, reason: str) -> None:
        """A stream is over, or was not opened."""
        owner = self._owners.pop(channel.number, None)
        if owner is None:
            return
        was_open = self._channels.pop(channel.number, None) is not None
        self._environment.turns.remove(channel)
        self._held.discard(channel)
        self._alarms.set(channel, None)
        _add_losses(self.losses, channel)
        if isinstance(owner, Listener):
            self._caller_gone(channel, owner, reason)
        self._disconnected(channel, owner, reason)
        if isinstance(owner, OutgoingConnection):
            if was_open and owner.target.uses_tls and channel.session.version is None:
                # With TLS 1.3 our side is done with the handshake before the peer has looked at our certificate.
                reason = f"{reason}, before its HELLO: perhaps it does not take our certificate"
            owner.closed(channel if was_open else None, reason)

    def _caller_gone(self, channel: Channel, listener: Listener, reason: str) -> None:
        listener.discard(channel)
        if self._is_stopped:
            return
        if channel.session.version is None:
            listener.handshakes_failed += 1
            self._environment.report(HandshakeFailed(self._bridge.name, listener.target, channel.peer, reason))
        elif channel.session.closing is not None:
            self._environment.report(CallerHungUpOn(self._bridge.name, listener.target, channel.peer, reason))

    def _disconnected(self, channel: Channel, owner: OutgoingConnection | Listener, reason: str) -> None:
        if channel.number not in self._negotiated:
            return
        self._negotiated.discard(channel.number)
        self._bridge.disconnect(channel.number)
        if isinstance(owner, OutgoingConnection):
            if owner.reconnect.state is not State.VOID:
                self._environment.report(ConnectionLost(self._bridge.name, owner.target, reason))
            self._obey(self.fail_mode.set_connected(self._bridge.agent.has_controller, self._clock()))

    def follow(self, connection: OutgoingConnection) -> None:
        """An outgoing connection's state, or its deadline, may be another one."""
        self._alarms.set(connection, connection.next_deadline())
        self._report_if_failing(connection)
        for address, works in connection.ways():
            self._bridge.places.channel_is(address, works=works)
        if connection.target.name is not None:
            self._environment.channels_changed()
        self._environment.wake()

    def _report_if_failing(self, connection: OutgoingConnection) -> None:
        if not connection.is_failing:
            self._report_failing_at.pop(connection, None)
            return
        now = self._clock()
        if now >= self._report_failing_at.setdefault(connection, now + FAILING_S):
            self._report_failing_at[connection] = now + FAILING_AGAIN_S
            reason = connection.reconnect.last_error or "no answer"
            self._environment.report(ConnectFailed(self._bridge.name, connection.target, reason))

    def _follow(self, channel: Channel) -> None:
        if channel.is_open:
            self._alarms.set(channel, channel.next_deadline())
            if self._has_work(channel):
                self._environment.turns.add(channel)
            self._environment.wake()

    # --- output ---------------------------------------------------------------------------------------------------

    def send(self) -> None:
        """Write what waits for each peer; what it does not read its session bounds, in bytes."""
        for number in self._bridge.waiting():
            channel = self._channels.get(number)
            envelopes = self._bridge.take(number)
            if channel is None:
                continue
            for envelope in envelopes:
                channel.session.send(envelope, is_droppable=isinstance(envelope.message, PacketIn))
            channel.flush()
            self._alarms.set(channel, channel.next_deadline())

    # --- time -----------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return earliest(self._alarms.next_deadline(), self.fail_mode.next_deadline())

    def run(self) -> None:
        """Do what time asks for: probe, cut, dial, forward by itself."""
        for each in self._alarms.take_due(self._clock()):
            if isinstance(each, Channel):
                self._run_channel(each)
            else:
                each.run()
        self._obey(self.fail_mode.run(self._clock()))

    def _run_channel(self, channel: Channel) -> None:
        was_silent, owner = channel.is_silent, self._owners.get(channel.number)
        notices = channel.run()
        if isinstance(owner, OutgoingConnection):
            if Notice.PROBED in notices:
                owner.idle()
            if channel.is_silent != was_silent and owner.address is not None:
                # TCP has to send again: the next hop is doubted at once, not after the kernel's own patience.
                kind = ev.ChannelSilent if channel.is_silent else ev.ChannelAlive
                self._bridge.control(kind(owner.address))
        self._follow(channel)

    # --- fail mode ------------------------------------------------------------------------------------------------

    def _configure_fail_mode(self) -> None:
        config = self._config
        wanted = FailModeConfig(
            is_secure=config.fail_mode is FailModeName.SECURE,
            has_controllers=any(not target.listens for target in config.controllers),
            probe_interval_s=config.inactivity_probe_s,
        )
        self._obey(self.fail_mode.configure(wanted, self._clock()))

    def _obey(self, commands: Iterable[FailModeCommand]) -> None:
        name, report = self._bridge.name, self._environment.report
        for command in commands:
            match command:
                case FailModeCommand.ENTER_STANDALONE:
                    report(StandaloneEntered(name))
                    self._bridge.set_standalone(active=True)
                case FailModeCommand.LEAVE_STANDALONE:
                    report(StandaloneLeft(name))
                    self._bridge.set_standalone(active=False)
                case FailModeCommand.ADD_DEFAULT_FLOW:
                    self._bridge.set_default_flow(active=True)
                case FailModeCommand.REMOVE_DEFAULT_FLOW:
                    self._bridge.set_default_flow(active=False)
                case _:
                    assert_never(command)
        self._environment.wake()


@dataclass(frozen=True, slots=True, eq=False)
class _LongWork:
    """A message that means very many flows: a worker of its own, for it goes on whoever asked for it."""

    connections: ConnectionManager
    is_first: bool = True

    def work(self, until: Instant) -> bool:
        """Go on with it."""
        return self.connections.go_on_with_long_work(until)


def _add_losses(total: dict[str, int], channel: Channel) -> None:
    session = channel.session
    for name, count in (
        ("packet-ins dropped", session.dropped),
        ("messages not encodable", session.not_encodable),
        ("messages malformed", session.malformed),
    ):
        total[name] += count
