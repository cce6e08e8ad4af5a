"""A network without wires, for what dials and listens: tests say who answers, what peers send and when."""

from __future__ import annotations

from dataclasses import dataclass, field

from inband.openflow.codec import decode, encode, split
from inband.openflow.messages import Envelope, Hello, Message
from inband.switch.targets import Target
from inband.switch.transport import Connecting, ConnectUser, StreamUser, TcpProgress
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.openflow import OFP13

HELLO = encode(Envelope(OFP13, 1, Hello(frozenset({OFP13}))))


def wire(message: Message, version: int = OFP13, xid: int = 9) -> bytes:
    """A message as bytes."""
    return encode(Envelope(version, xid, message))


class Clock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(eq=False)
class FakeTransport:
    """A stream whose other end is the test."""

    user: StreamUser
    peer: str = "192.0.2.1:6653"
    written: bytearray = field(default_factory=bytearray)
    is_reading: bool = True
    is_closed: bool = False
    is_aborted: bool = False
    tcp: TcpProgress | None = None

    def write(self, data: bytes) -> None:
        self.written += data

    def set_reading(self, wanted: bool) -> None:
        self.is_reading = wanted

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        if not self.is_aborted:
            self.is_aborted = True

    def progress(self) -> TcpProgress | None:
        return self.tcp

    def said(self) -> list[Message]:
        """What was written so far, as messages; forgets it."""
        messages = [decode(raw).message for raw in split(self.written)]
        assert not self.written
        return messages


@dataclass(eq=False)
class FakeConnecting:
    """A connection that is being made."""

    target: Target
    address: IpAddress | None
    user: ConnectUser
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def answer(self) -> None:
        """The peer accepts."""
        self.user.connected(self.address)

    def refuse(self, reason: str = "Connection refused") -> None:
        """The peer does not."""
        self.user.failed(self.address, reason)


class FakeNetwork:
    """Notes who is dialled and which streams are opened."""

    def __init__(self) -> None:
        self.dialled: list[FakeConnecting] = []
        self.opening: list[StreamUser] = []

    def connect(self, target: Target, address: IpAddress | None, user: ConnectUser) -> FakeConnecting:
        connecting = FakeConnecting(target, address, user)
        self.dialled.append(connecting)
        return connecting

    def open(self, connecting: Connecting, target: Target, user: StreamUser) -> None:
        self.opening.append(user)

    def open_stream(self) -> FakeTransport:
        """Open the stream that waits longest."""
        user = self.opening.pop(0)
        transport = FakeTransport(user)
        user.opened(transport)
        return transport
