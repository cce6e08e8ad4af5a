"""Streams of bytes on a simulated machine's TCP: ``switch.transport`` in virtual time."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from inband.sim.tcp import Connection
from inband.sim.tcp_host import TcpHost
from inband.switch.targets import Target
from inband.switch.transport import Connecting, ConnectUser, StreamUser, TcpProgress
from inband.vocabulary.addresses import IpAddress


@dataclass(slots=True, eq=False)
class SimStream:
    """A connection from its first SYN on: ``Connecting`` at first, ``Transport`` once it is used as a stream."""

    tcp: TcpHost
    address: IpAddress | None
    connecting: ConnectUser | None
    connection: Connection | None = None
    stream: StreamUser | None = None
    peer: str = ""

    # --- sim.tcp.ConnectionUser -------------------------------------------------------------------------------------

    def opened(self) -> None:
        """TCP is up."""
        if self.connecting is not None:
            self.connecting.connected(self.address)

    def received(self, data: bytes) -> None:
        """Bytes came."""
        if self.stream is not None:
            self.stream.received(data)

    def closed(self, reason: str) -> None:
        """The connection is over, or was refused."""
        self.connection = None
        connecting, self.connecting = self.connecting, None
        if self.stream is not None:
            self.stream.closed(reason)
        elif connecting is not None:
            connecting.failed(self.address, reason)

    # --- Connecting and Transport -----------------------------------------------------------------------------------

    def cancel(self) -> None:
        """As ``Connecting.cancel``."""
        self.connecting = None
        if self.connection is not None:
            self.tcp.abort(self.connection)
            self.connection = None

    def write(self, data: bytes) -> None:
        """As ``Transport.write``."""
        if self.connection is not None:
            self.tcp.send(self.connection, data)

    def set_reading(self, wanted: bool) -> None:
        """As ``Transport.set_reading``: there are no windows here, so everything is read."""

    def close(self) -> None:
        """As ``Transport.close``: what was written has left already."""
        self.abort()

    def abort(self) -> None:
        """As ``Transport.abort``; the end is reported later, as an event loop does it."""
        if self.connection is not None:
            self.tcp.abort(self.connection)
            self.connection = None
            self.tcp.kernel.clock.call_soon(lambda: self.closed("closed here"))

    def progress(self) -> TcpProgress | None:
        """As ``Transport.progress``."""
        if self.connection is None:
            return None
        return TcpProgress(int(self.connection.has_unacknowledged), self.connection.retries)


class SimNetwork:
    """Makes connections from a simulated machine (``switch.transport.Network``)."""

    def __init__(self, tcp: TcpHost) -> None:
        self._tcp = tcp

    def connect(self, target: Target, address: IpAddress | None, user: ConnectUser) -> SimStream:
        """As ``Network.connect``."""
        stream = SimStream(self._tcp, address, user, peer=f"{address}:{target.port}")
        if isinstance(address, IPv4Address):
            stream.connection = self._tcp.connect(address, target.port, stream)
        if stream.connection is None:
            self._tcp.kernel.clock.call_soon(lambda: stream.closed("network is unreachable"))
        return stream

    def open(self, connecting: Connecting, target: Target, user: StreamUser) -> None:
        """As ``Network.open``; TLS is not simulated."""
        assert isinstance(connecting, SimStream)
        connecting.connecting, connecting.stream = None, user
        self._tcp.kernel.clock.call_soon(lambda: user.opened(connecting))
