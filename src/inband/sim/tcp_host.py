"""TCP on one simulated kernel: which connection a segment is for, and listening ports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from inband.packet import encode
from inband.sim.kernel import Kernel
from inband.sim.packets import Packet
from inband.sim.tcp import ACK, RST, SYN, Connection, Segment
from inband.switch.driver import Clock
from inband.switch.targets import Target
from inband.switch.transport import Connecting, ConnectUser, StreamUser, Transport
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.numbers import IP_TCP

FIRST_PORT, N_PORTS = 40000, 10000

Accept = Callable[[], StreamUser]
"""Says who uses a connection that a peer opens."""

Turn = Callable[[Callable[[], None]], None]
"""Has something done, at once or later."""

_Key = tuple[IpAddress, int, int]  # the peer's address, our port, the peer's


@dataclass(slots=True, eq=False)
class TcpHost:
    """All TCP of a kernel. A port is listened at while it has an entry in ``listeners``."""

    kernel: Kernel
    connections: dict[_Key, Connection] = field(default_factory=dict)
    listeners: dict[int, Accept] = field(default_factory=dict)
    _last_port: int = FIRST_PORT

    def __post_init__(self) -> None:
        self.kernel.protocols[IP_TCP] = self._receive

    def connect(self, address: IpAddress, port: int, user: StreamUser, clock: Clock | None = None) -> Connection:
        """Begin a connection; ``user`` hears what becomes of it by its clock, never from within this call."""
        self._last_port = FIRST_PORT + (self._last_port + 1 - FIRST_PORT) % N_PORTS
        source = self.kernel.source_for(address)
        connection = self._make(source or address, (address, self._last_port, port), user, clock)
        if source is None:
            connection.fail("network is unreachable")
        else:
            connection.open()
        return connection

    def kill(self) -> None:
        """The process died: the kernel resets what it had open, no one is told, and no one listens."""
        self.listeners.clear()
        for connection in list(self.connections.values()):
            connection.cancel()

    def _make(self, ours: IpAddress, key: _Key, user: StreamUser, clock: Clock | None = None) -> Connection:
        address, *ports = key

        def transmit(segment: Segment) -> None:
            self._transmit(ours, address, segment)

        def ended() -> None:
            self.connections.pop(key, None)

        peer = f"{address}:{key[2]}" if address.version == 4 else f"[{address}]:{key[2]}"
        connection = self.connections[key] = Connection(
            clock or self.kernel.clock, (ports[0], ports[1]), transmit, user, peer, ended
        )
        return connection

    def _transmit(self, ours: IpAddress, theirs: IpAddress, segment: Segment) -> None:
        data = encode.tcp(
            ours, theirs, segment.source, segment.destination, segment.payload,
            flags=segment.flags, sequence=segment.sequence, acknowledgement=segment.acknowledgement,
        )  # fmt: skip
        self.kernel.send(ours, theirs, IP_TCP, data)

    def _receive(self, packet: Packet) -> None:
        segment = Segment.parse(packet.payload)
        if segment is None:
            return
        key = (packet.source, segment.destination, segment.source)
        connection = self.connections.get(key)
        accept = self.listeners.get(segment.destination)
        if connection is None and accept is not None and segment.flags & (SYN | ACK | RST) == SYN:
            connection = self._make(packet.destination, key, accept())
        if connection is not None:
            connection.take(segment)
        elif not segment.flags & RST:
            # A segment of no connection is answered by a reset (RFC 9293, 3.5.2).
            sequence = segment.acknowledgement if segment.flags & ACK else 0
            reset = Segment(segment.destination, segment.source, sequence, segment.sequence + 1, RST | ACK)
            self._transmit(packet.destination, packet.source, reset)


@dataclass(frozen=True, slots=True)
class _Dialled:
    """Uses a connection until it is a stream: tells who dialled what became of it."""

    address: IpAddress | None
    user: ConnectUser

    def opened(self, _: Transport) -> None:
        self.user.connected(self.address)

    def received(self, data: bytes) -> None:
        """The caller has made a stream of it by now."""

    def set_writable(self, is_writable: bool) -> None:
        """Nothing is written yet."""

    def closed(self, reason: str) -> None:
        self.user.failed(self.address, reason)


@dataclass(slots=True)
class _Stream:
    """Tells who uses a connection what happens on it when the process has its turn; what comes before that is kept."""

    user: StreamUser
    turn: Turn
    _is_open: bool = False
    _early: list[bytes] = field(default_factory=list)

    def use(self, user: StreamUser, transport: Transport) -> None:
        """From now on this one uses it; its process has the turn."""
        self.user, self._is_open = user, True
        user.opened(transport)
        early, self._early = self._early, []
        for data in early:
            user.received(data)

    def opened(self, transport: Transport) -> None:
        self.turn(lambda: self.user.opened(transport))

    def received(self, data: bytes) -> None:
        self.turn(lambda: self._receive(data))

    def _receive(self, data: bytes) -> None:
        if self._is_open:
            self.user.received(data)
        else:
            self._early.append(data)

    def set_writable(self, is_writable: bool) -> None:
        self.turn(lambda: self.user.set_writable(is_writable))

    def closed(self, reason: str) -> None:
        self.turn(lambda: self.user.closed(reason))


def _at_once(action: Callable[[], None]) -> None:
    action()


@dataclass(frozen=True, slots=True)
class SimNetwork:
    """Makes connections from a simulated machine (``switch.transport.Network``); TLS is not simulated.

    ``clock`` is that of the machine's TCP. ``turn`` has something done when the process has time.
    """

    tcp: TcpHost
    clock: Clock
    turn: Turn = _at_once

    def connect(self, target: Target, address: IpAddress | None, user: ConnectUser) -> Connection:
        """As ``Network.connect``."""
        assert address is not None, "there are no unix sockets here"
        return self.tcp.connect(address, target.port, _Stream(_Dialled(address, user), self.turn), self.clock)

    def open(self, connecting: Connecting, target: Target, user: StreamUser) -> None:
        """As ``Network.open``."""
        assert isinstance(connecting, Connection)
        stream = connecting.user
        assert isinstance(stream, _Stream)
        self.clock.call_soon(lambda: self.turn(lambda: stream.use(user, connecting)))
