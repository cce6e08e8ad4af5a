"""A small OpenFlow controller, without I/O: it does what its behaviour says and measures how its switches answer.

It is the other end of the switch's own codec, over ``switch.transport``: the simulator runs it over simulated TCP, the
demo over sockets. One ControllerSession is one connection; Controller knows them all and keeps one Channel per
datapath, across connections.

Invariants: silence is measured by echoes alone, from the first FEATURES_REPLY on and through every loss of the
connection, so nothing else that a switch sends (packet-ins, errors) can hide it. Nothing that a switch sends raises.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from inband.controller.behaviour import MUTE, Behaviour, KnownSwitch
from inband.openflow.codec import FramingError, decode, encode_segments, split
from inband.openflow.errors import DecodeError
from inband.openflow.messages import (
    EchoReply,
    EchoRequest,
    Envelope,
    Error,
    FeaturesReply,
    FeaturesRequest,
    Hello,
    Message,
)
from inband.openflow.multipart import PortDescReply, PortDescRequest
from inband.switch.driver import Clock, Planned
from inband.switch.transport import Transport
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import OFP10, OFP13

ECHO_INTERVAL_S = 0.1
_STAMP = struct.Struct("!d")


@dataclass(slots=True)
class Channel:
    """One switch as the controller has seen it. Instants are the controller's clock; silences may be forgotten.

    ``ups`` has when each FEATURES_REPLY came, ``losses`` when and why a connection ended after one. ``echo_s`` is how
    long the last echo took. ``echo_interval_s``: how often it is asked for an echo, None: as all of the controller's.
    """

    datapath_id: int
    last_heard: Instant
    ups: list[Instant] = field(default_factory=list)
    losses: list[tuple[Instant, str]] = field(default_factory=list)
    longest_silence_s: float = 0.0
    echo_s: float | None = None
    echo_interval_s: float | None = None
    echoes: int = 0
    errors: int = 0

    @property
    def is_up(self) -> bool:
        """Whether it is connected now."""
        return len(self.ups) > len(self.losses)

    @property
    def up_at(self) -> Instant:
        """When it was up for the first time."""
        return self.ups[0]

    def silence_s(self, now: Instant) -> float:
        """The longest silence so far, the present one included."""
        return max(self.longest_silence_s, now - self.last_heard)

    def heard(self, now: Instant) -> None:
        """A sign of life."""
        self.longest_silence_s = self.silence_s(now)
        self.last_heard = now

    def forget_silence(self, now: Instant) -> None:
        """Measure anew from now on."""
        self.longest_silence_s, self.last_heard = 0.0, now

    def answered(self, data: bytes, now: Instant) -> None:
        """An echo came back."""
        self.heard(now)
        self.echoes += 1
        if len(data) == _STAMP.size:
            self.echo_s = now - float(_STAMP.unpack(data)[0])


@dataclass(slots=True)
class Controller:
    """All switches of one controller. ``version`` is the only one it speaks."""

    clock: Clock
    version: int = OFP13
    echo_interval_s: float = ECHO_INTERVAL_S
    behaviour: Behaviour = MUTE
    channels: dict[int, Channel] = field(default_factory=dict)
    sessions: list[ControllerSession] = field(default_factory=list)

    def accept(self) -> ControllerSession:
        """Who uses a connection that a switch opens."""
        return ControllerSession(self)

    def behave(self, behaviour: Behaviour) -> None:
        """Behave otherwise from now on, to all that are connected and those to come; what was done stays."""
        self.behaviour = behaviour
        for session in self.sessions:
            session.act()

    def hang_up(self) -> None:
        """End every connection."""
        for session in list(self.sessions):
            session.hang_up("the controller hung up")


class ControllerSession:
    """One connection (``switch.transport.StreamUser``)."""

    def __init__(self, controller: Controller) -> None:
        self.channel: Channel | None = None
        self.switch: KnownSwitch | None = None
        self._controller = controller
        self._clock = controller.clock
        self._transport: Transport | None = None
        self._input = bytearray()
        self._reason = ""
        self._last_xid = 0
        self._echo_timer: Planned | None = None
        self._act_timer: Planned | None = None

    def opened(self, transport: Transport) -> None:
        """Say HELLO, and ask who it is."""
        self._transport = transport
        self._controller.sessions.append(self)
        self._send(Hello(frozenset({self._controller.version})), FeaturesRequest())

    def received(self, data: bytes) -> None:
        """Take bytes; a message whose length cannot be right ends the connection."""
        self._input += data
        try:
            while messages := split(self._input):
                for raw in messages:
                    self._take(raw)
        except FramingError as error:
            self.hang_up(str(error))

    def set_writable(self, is_writable: bool) -> None:
        """The little that it says may wait in the stream."""

    def closed(self, reason: str) -> None:
        """The connection ended."""
        for timer in (self._echo_timer, self._act_timer):
            if timer is not None:
                timer.cancel()
        if self in self._controller.sessions:
            self._controller.sessions.remove(self)
        if self.channel is not None:
            self.channel.losses.append((self._clock.time(), self._reason or reason))
            self.channel = None

    def hang_up(self, reason: str) -> None:
        """End the connection; ``closed`` follows."""
        self._reason = reason
        if self._transport is not None:
            self._transport.abort()

    def act(self) -> None:
        """Do what the behaviour says, and again when it is time, if the switch is known."""
        if self._act_timer is not None:
            self._act_timer.cancel()
        behaviour = self._controller.behaviour
        if self.switch is not None:
            self._send(*behaviour.messages(self.switch))
            if behaviour.repeat_s is not None:
                self._act_timer = self._clock.call_at(self._clock.time() + behaviour.repeat_s, self.act)

    def _echo_later(self) -> None:
        def echo() -> None:
            self._echo_later()
            self._send(EchoRequest(_STAMP.pack(self._clock.time())))

        own_s = None if self.channel is None else self.channel.echo_interval_s
        interval_s = self._controller.echo_interval_s if own_s is None else own_s
        self._echo_timer = self._clock.call_at(self._clock.time() + interval_s, echo)

    def _take(self, raw: bytes) -> None:
        try:
            envelope = decode(raw)
        except DecodeError:
            return
        channel, now = self.channel, self._clock.time()
        match envelope.message:
            case FeaturesReply() as features if channel is None:
                self._introduced(features, now)
            case PortDescReply(entries=entries) if self.switch is not None:
                self.switch = replace(self.switch, ports=(*self.switch.ports, *entries))
                self.act()
            case EchoRequest(data):
                self._send(EchoReply(data), xid=envelope.xid)
            case EchoReply(data) if channel is not None:
                channel.answered(data, now)
            case Error() if channel is not None:
                channel.errors += 1
            case _:  # packet-ins, and what was not asked for
                pass

    def _introduced(self, features: FeaturesReply, now: Instant) -> None:
        channel = Channel(features.datapath_id, last_heard=now)
        self.channel = channel = self._controller.channels.setdefault(features.datapath_id, channel)
        channel.heard(now)
        channel.ups.append(now)
        self._echo_later()
        self.switch = KnownSwitch(features.datapath_id, features.n_tables, features.ports)
        if self._controller.version == OFP10:
            self.act()
        else:
            self._send(PortDescRequest())

    def _send(self, *messages: Message, xid: int | None = None) -> None:
        data = bytearray()
        for message in messages:
            self._last_xid = self._last_xid + 1 & 0xFFFFFFFF
            number = self._last_xid if xid is None else xid
            data += b"".join(encode_segments(Envelope(self._controller.version, number, message)))
        if self._transport is not None:
            self._transport.write(bytes(data))
