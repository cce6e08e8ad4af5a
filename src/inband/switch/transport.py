"""What a switch needs of the network: connections to addresses, and streams of bytes to peers.

The process implements this with sockets, the simulator with its own TCP. Calls return at once; what comes of them is
reported later, never from within the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from inband.switch.targets import Target
from inband.vocabulary.addresses import IpAddress


@dataclass(frozen=True, slots=True)
class TcpProgress:
    """What TCP says of a connection: bytes or segments without an acknowledgement, and how often it sent in vain.

    ``retransmits`` counts since the last acknowledgement, or since somebody asked before.
    """

    unacknowledged: int
    retransmits: int

    @property
    def is_stuck(self) -> bool:
        """Whether what was sent last does not arrive."""
        return bool(self.unacknowledged and self.retransmits)


class Transport(Protocol):
    """A stream of bytes to one peer. Its owner is told what arrives, when it is full, and when it is over."""

    @property
    def peer(self) -> str:
        """Who is at the other end, for people."""

    def write(self, data: bytes) -> None:
        """Send bytes, in order."""

    def set_reading(self, wanted: bool) -> None:
        """Read from the peer or let its bytes wait where they are."""

    def close(self) -> None:
        """Send what was written, then close."""

    def abort(self) -> None:
        """Close at once."""

    def progress(self) -> TcpProgress | None:
        """What TCP says; None where there is no TCP."""


class Connecting(Protocol):
    """A connection to one address that is being made."""

    def cancel(self) -> None:
        """Do not make it any more, or close it if it has just been made; nothing more is reported."""


class ConnectUser(Protocol):
    """Who is told what became of a connection that is being made."""

    def connected(self, address: IpAddress | None) -> None:
        """TCP is up to this address (None: a unix socket)."""

    def failed(self, address: IpAddress | None, reason: str) -> None:
        """It could not be made; ``reason`` is for people."""


class StreamUser(Protocol):
    """Who is told what happens on a stream: a channel's owner."""

    def opened(self, transport: Transport) -> None:
        """The stream is there; with TLS, after the handshake."""

    def received(self, data: bytes) -> None:
        """Bytes came."""

    def set_writable(self, is_writable: bool) -> None:
        """The peer does not take more for now, or does again."""

    def closed(self, reason: str) -> None:
        """The stream is over, or was never opened; said once."""


class Network(Protocol):
    """Makes connections."""

    def connect(self, target: Target, address: IpAddress | None, user: ConnectUser) -> Connecting:
        """Begin a TCP connection to ``address`` and the target's port, or to its unix socket (None)."""

    def open(self, connecting: Connecting, target: Target, user: StreamUser) -> None:
        """Use a connection that is up as a stream, with TLS where the target says so."""
