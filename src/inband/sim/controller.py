"""A small OpenFlow controller, sans-IO: it does what its behaviour says and measures how its switches answer.

It is the other end of the switch's own codec. The simulator runs it over simulated TCP, the demo over sockets. One
ControllerSession is one connection; Controller knows them all and keeps one Channel per datapath, across connections.

What must stay true: silence is measured by echoes alone, from the first FEATURES_REPLY on and through every loss of
the connection, so nothing else that a switch sends (packet-ins, errors) can hide it. Nothing that a switch sends
raises.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

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
    PacketIn,
)
from inband.openflow.multipart import PortDescReply, PortDescRequest
from inband.sim.behaviour import MUTE, Behaviour, KnownSwitch
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import OFP10, OFP13

ECHO_INTERVAL_S = 0.1
_STAMP = struct.Struct("!d")


@dataclass(slots=True)
class Channel:
    """One switch as the controller has seen it. Instants are the caller's clock; ``longest_silence_s`` may be reset.

    ``ups`` has when each FEATURES_REPLY came, ``losses`` when and why a connection ended after one.
    """

    datapath_id: int
    last_heard: Instant
    ups: list[Instant] = field(default_factory=list)
    losses: list[tuple[Instant, str]] = field(default_factory=list)
    longest_silence_s: float = 0.0
    echo_s: float | None = None
    echoes: int = 0
    errors: int = 0
    packet_ins: int = 0

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


@dataclass(slots=True)
class Controller:
    """All switches of one controller. ``version`` is the only one it speaks."""

    version: int = OFP13
    echo_interval_s: float = ECHO_INTERVAL_S
    behaviour: Behaviour = MUTE
    channels: dict[int, Channel] = field(default_factory=dict)
    sessions: list[ControllerSession] = field(default_factory=list)

    def open(self, now: Instant) -> ControllerSession:
        """A switch has connected."""
        session = ControllerSession(self, now)
        self.sessions.append(session)
        return session

    def behave(self, behaviour: Behaviour, now: Instant) -> None:
        """Behave otherwise from now on, to all that are connected and those to come; what was done stays."""
        self.behaviour = behaviour
        for session in self.sessions:
            session.act(now)


class ControllerSession:
    """One connection: feed ``receive``, write ``take_output``, call ``run`` at ``next_deadline``, and ``close``."""

    def __init__(self, controller: Controller, now: Instant) -> None:
        self.channel: Channel | None = None
        self.switch: KnownSwitch | None = None
        self._controller = controller
        self._input = bytearray()
        self._output = bytearray()
        self._next_xid = 1
        self._echo_at: Instant = now
        self._act_at: Instant | None = None
        self._send(Hello(frozenset({controller.version})))
        self._send(FeaturesRequest())

    def receive(self, data: bytes, now: Instant) -> str | None:
        """Take bytes; returns why the connection is of no more use, if it is."""
        self._input += data
        try:
            while messages := split(self._input):
                for raw in messages:
                    self._take(raw, now)
        except FramingError as error:
            return str(error)
        return None

    def take_output(self) -> bytes:
        """What to write."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def next_deadline(self) -> Instant | None:
        """When to call ``run``."""
        if self.channel is None:
            return None
        return self._echo_at if self._act_at is None else min(self._echo_at, self._act_at)

    def run(self, now: Instant) -> None:
        """Ask for an echo, misbehave again."""
        if self.channel is None:
            return
        if now >= self._echo_at:
            self._echo_at += self._controller.echo_interval_s
            self._send(EchoRequest(_STAMP.pack(now)))
        if self._act_at is not None and now >= self._act_at:
            self.act(now)

    def act(self, now: Instant) -> None:
        """Do what the behaviour says, if the switch is known."""
        if self.switch is None:
            return
        behaviour = self._controller.behaviour
        for message in behaviour.messages(self.switch):
            self._send(message)
        self._act_at = None if behaviour.repeat_s is None else now + behaviour.repeat_s

    def close(self, now: Instant, reason: str) -> None:
        """The connection ended."""
        self._controller.sessions.remove(self)
        if self.channel is not None:
            self.channel.losses.append((now, reason))
            self.channel = None

    def _take(self, raw: bytes, now: Instant) -> None:
        try:
            envelope = decode(raw)
        except DecodeError:
            if self.channel is not None:
                self.channel.errors += 1
            return
        message = envelope.message
        match message:
            case FeaturesReply():
                self._introduced(message, now)
            case PortDescReply():
                self._ports_known(message, now)
            case EchoRequest(data):
                self._send(EchoReply(data), envelope.xid)
            case _:
                _count(self.channel, message, now)

    def _introduced(self, features: FeaturesReply, now: Instant) -> None:
        if self.channel is not None:
            return
        channels = self._controller.channels
        self.channel = channels.setdefault(features.datapath_id, Channel(features.datapath_id, last_heard=now))
        self.channel.heard(now)
        self.channel.ups.append(now)
        self._echo_at = now + self._controller.echo_interval_s
        self.switch = KnownSwitch(features.datapath_id, features.n_tables, features.ports)
        if self._controller.version == OFP10:
            self.act(now)
        else:
            self._send(PortDescRequest())

    def _ports_known(self, reply: PortDescReply, now: Instant) -> None:
        if self.switch is not None:
            known = self.switch
            self.switch = KnownSwitch(known.datapath_id, known.n_tables, (*known.ports, *reply.entries))
            self.act(now)

    def _send(self, message: Message, xid: int | None = None) -> None:
        if xid is None:
            xid, self._next_xid = self._next_xid, self._next_xid + 1 & 0xFFFFFFFF
        for data in encode_segments(Envelope(self._controller.version, xid, message)):
            self._output += data


def _count(channel: Channel | None, message: Message, now: Instant) -> None:
    if channel is None:
        return
    match message:
        case EchoReply(data):
            channel.heard(now)
            channel.echoes += 1
            if len(data) == _STAMP.size:
                channel.echo_s = now - float(_STAMP.unpack(data)[0])
        case Error():
            channel.errors += 1
        case PacketIn():
            channel.packet_ins += 1
        case _:
            pass
