"""TCP on one simulated kernel: which connection a segment is for, listening ports, and one timer for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from inband.packet import encode, sums
from inband.sim.clock import Timer
from inband.sim.kernel import Kernel
from inband.sim.tcp import ACK, RST, SYN, Connection, ConnectionUser, Segment, State
from inband.vocabulary.numbers import IP_TCP

FIRST_PORT = 40000

Accept = Callable[[IPv4Address, Connection], ConnectionUser]
"""Gets the peer's address and the new connection, and says who will use it."""

_Key = tuple[IPv4Address, int, int]  # the peer's address, its port, our port


class _Nobody:
    """The user of a connection until its real one is known."""

    def opened(self) -> None:
        pass

    def received(self, data: bytes) -> None:
        pass

    def closed(self, reason: str) -> None:
        pass


@dataclass(slots=True, eq=False)
class TcpHost:
    """All TCP of a kernel."""

    kernel: Kernel
    connections: dict[_Key, Connection] = field(default_factory=dict)
    _listeners: dict[int, Accept] = field(default_factory=dict)
    _next_port: int = FIRST_PORT
    _timer: Timer | None = None

    def __post_init__(self) -> None:
        self.kernel.protocols[IP_TCP] = self._receive

    def connect(self, address: IPv4Address, port: int, user: ConnectionUser) -> Connection | None:
        """Begin a connection; None: there is no route, or no address to send from."""
        source = self.kernel.source_for(address)
        if source is None:
            return None
        self._next_port += 1
        connection = self._make(source, (address, port, self._next_port), user)
        connection.open(self.kernel.clock.now)
        self._plan()
        return connection

    def listen(self, port: int, accept: Accept) -> None:
        """Accept connections to a port."""
        self._listeners[port] = accept

    def send(self, connection: Connection, data: bytes) -> None:
        """Send data on a connection."""
        connection.send(data, self.kernel.clock.now)
        self._plan()

    def abort(self, connection: Connection) -> None:
        """Close a connection at once."""
        connection.abort()
        self._drop_closed()

    def abort_all(self) -> None:
        """The process died: the kernel resets what it had open, and nobody listens."""
        self._listeners.clear()
        for connection in self.connections.values():
            connection.abort()
        self.connections.clear()

    def _make(self, source: IPv4Address, key: _Key, user: ConnectionUser) -> Connection:
        address, port, local_port = key
        connection = Connection(local_port, port, lambda segment: self._transmit(source, address, segment), user)
        self.connections[key] = connection
        return connection

    def _transmit(self, source: IPv4Address, destination: IPv4Address, segment: Segment) -> None:
        data = encode.tcp(
            source,
            destination,
            segment.source,
            segment.destination,
            segment.payload,
            flags=segment.flags,
            sequence=segment.sequence,
            acknowledgement=segment.acknowledgement,
        )
        self.kernel.send(source, destination, IP_TCP, data)

    def _receive(self, source: IPv4Address, destination: IPv4Address, data: bytes) -> None:
        segment = Segment.parse(data)
        if (
            segment is None
            or (sums.word_sum(data) + encode.pseudo_header_sum(source, destination, IP_TCP, len(data))) % 0xFFFF
        ):
            return
        key = (source, segment.source, segment.destination)
        connection = self.connections.get(key) or self._accept(destination, key, segment)
        if connection is None:
            self._refuse(source, destination, segment)
            return
        connection.take(segment, self.kernel.clock.now)
        if connection.state is State.CLOSED and self.connections.get(key) is connection:
            del self.connections[key]
        self._plan()

    def _accept(self, our_address: IPv4Address, key: _Key, segment: Segment) -> Connection | None:
        accept = self._listeners.get(segment.destination)
        if accept is None or segment.flags & (SYN | ACK | RST) != SYN:
            return None
        connection = self._make(our_address, key, _Nobody())
        connection.user = accept(key[0], connection)
        return connection

    def _refuse(self, source: IPv4Address, destination: IPv4Address, segment: Segment) -> None:
        """A segment of no connection is answered by a reset (RFC 9293, 3.5.2)."""
        if not segment.flags & RST:
            sequence = segment.acknowledgement if segment.flags & ACK else 0
            reset = Segment(segment.destination, segment.source, sequence, segment.sequence + 1, RST | ACK)
            self._transmit(destination, source, reset)

    def _drop_closed(self) -> None:
        for key in [key for key, connection in self.connections.items() if connection.state is State.CLOSED]:
            del self.connections[key]

    def _plan(self) -> None:
        due = min((c.retry_at for c in self.connections.values() if c.retry_at is not None), default=None)
        if due is None or (self._timer is not None and self._timer.due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.kernel.clock.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        for connection in list(self.connections.values()):
            connection.tick(self.kernel.clock.now)
        self._plan()
