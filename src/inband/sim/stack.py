"""A simulated host's IPv4 stack on one interface: ARP with a neighbour table, one gateway, and the small TCP.

It stands for a Linux kernel where in-band control depends on one: it asks by broadcast ARP, answers questions for its
address, believes gratuitous ARP, keeps entries for good once learned (so that a changed MAC hurts), sends its first
segment only when the neighbour is resolved, and tells a listener about neighbour changes as rtnetlink does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

from inband.host.events import HostEvent, NeighbourChanged, NextHop, NextHopFound
from inband.packet import arp
from inband.packet.addresses import BROADCAST, IpAddress, Mac
from inband.packet.checksum import complete
from inband.packet.frame import Frame, Offload
from inband.sim.clock import VirtualClock
from inband.sim.tcp import SYN, Connection, Segment

_ETHERNET = struct.Struct("!6s6sH")
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
ETHERNET_BYTES, IPV4_BYTES, TCP_CHECKSUM_OFFSET = 14, 20, 16
# Linux asks three times, a second apart, and then gives up until something wants the neighbour again.
ARP_QUESTIONS, ARP_INTERVAL_S = 3, 1.0
TICK_S = 0.05

ConnectionKey = tuple[IPv4Address, int, int]  # remote address, remote port, local port


@dataclass(slots=True)
class _Neighbour:
    mac: Mac | None = None
    waiting: list[tuple[IPv4Address, Segment]] = field(default_factory=list)
    questions: int = 0


@dataclass(slots=True, eq=False)
class Stack:
    """One host. ``transmit`` puts a frame on its wire; ``receive`` takes one from it."""

    clock: VirtualClock
    mac: Mac
    interface: IPv4Interface
    gateway: IPv4Address | None
    transmit: Callable[[bytes], None]
    index: int = 1
    name: str = "eth0"
    deliver: Callable[[HostEvent | NextHopFound], None] = lambda _: None
    accept: Callable[[IPv4Address, Connection], None] | None = None
    listening: set[int] = field(default_factory=set)
    connections: dict[ConnectionKey, Connection] = field(default_factory=dict)
    on_data: Callable[[ConnectionKey, Connection], None] = lambda _key, _connection: None
    _neighbours: dict[IPv4Address, _Neighbour] = field(default_factory=dict)
    _next_port: int = 40000
    _ticking: bool = False

    # --- as a kernel for the in-band engine (inband.host.events.Host) -------------------------------------------

    def look_up_next_hop(self, destination: IpAddress) -> None:
        """Answer at once."""
        hop = self._next_hop(destination) if isinstance(destination, IPv4Address) else None
        found = NextHop(self.index, self.name, hop, self.interface.ip) if hop else None
        self.deliver(NextHopFound(destination, found))

    def solicit(self, index: int, address: IpAddress) -> None:
        """Ask for a neighbour, as a kernel asked by NTF_USE does."""
        assert isinstance(address, IPv4Address)
        neighbour = self._neighbours.setdefault(address, _Neighbour())
        if neighbour.mac is None and neighbour.questions == 0:
            self._ask(address)

    def neighbours(self) -> dict[IPv4Address, Mac]:
        """What is resolved."""
        return {address: entry.mac for address, entry in self._neighbours.items() if entry.mac is not None}

    # --- as a host ----------------------------------------------------------------------------------------------

    def connect(self, address: IPv4Address, port: int) -> tuple[ConnectionKey, Connection]:
        """Begin a connection; watch ``opened`` and ``closed``."""
        self._next_port += 1
        key = (address, port, self._next_port)
        connection = Connection(self._next_port, port, lambda segment: self._send_segment(address, segment))
        self.connections[key] = connection
        connection.open(self.clock.now)
        self._tick_later()
        return key, connection

    def send(self, connection: Connection, data: bytes) -> None:
        """Send data on a connection."""
        connection.send(data, self.clock.now)
        self._tick_later()

    def announce(self) -> None:
        """Send a gratuitous ARP request."""
        self.transmit(arp.build_arp(1, self.mac, self.interface.ip, Mac(0), self.interface.ip, BROADCAST, self.mac))

    def receive(self, frame: bytes) -> None:
        """Take a frame from the wire."""
        if len(frame) < ETHERNET_BYTES:
            return
        destination, _, eth_type = _ETHERNET.unpack_from(frame)
        if destination not in (self.mac.packed, BROADCAST.packed):
            return
        if eth_type == 0x0806 and len(frame) >= ETHERNET_BYTES + _ARP.size:
            self._receive_arp(frame)
        elif eth_type == 0x0800 and len(frame) >= ETHERNET_BYTES + IPV4_BYTES:
            self._receive_ipv4(frame)

    def _receive_arp(self, frame: bytes) -> None:
        *_, operation, sha, spa, _tha, tpa = _ARP.unpack_from(frame, ETHERNET_BYTES)
        sender, target = IPv4Address(spa), IPv4Address(tpa)
        if sender in self._neighbours or target == self.interface.ip:
            self._learn(sender, Mac.from_bytes6(sha))
        if operation == 1 and target == self.interface.ip and sender != target:
            asker = Mac.from_bytes6(sha)
            self.transmit(arp.build_arp(2, self.mac, self.interface.ip, asker, sender, asker, self.mac))

    def _receive_ipv4(self, frame: bytes) -> None:
        header = _IPV4.unpack_from(frame, ETHERNET_BYTES)
        source, destination = IPv4Address(header[8]), IPv4Address(header[9])
        if destination != self.interface.ip or header[6] != 6:
            return
        segment = Segment.parse(frame[ETHERNET_BYTES + IPV4_BYTES : ETHERNET_BYTES + header[2]])
        if segment is not None:
            self._receive_segment(source, segment)

    def _receive_segment(self, source: IPv4Address, segment: Segment) -> None:
        key = (source, segment.source, segment.destination)
        connection = self.connections.get(key)
        if connection is None:
            if not segment.flags & SYN or segment.destination not in self.listening:
                return
            connection = Connection(segment.destination, segment.source, lambda s: self._send_segment(source, s))
            self.connections[key] = connection
        was_open = connection.opened
        connection.accept(segment, self.clock.now)
        if connection.opened and not was_open and segment.destination in self.listening and self.accept:
            self.accept(source, connection)
        self.on_data(key, connection)
        if connection.closed:
            del self.connections[key]
        self._tick_later()

    # --- sending ------------------------------------------------------------------------------------------------

    def _next_hop(self, destination: IPv4Address) -> IPv4Address | None:
        return destination if destination in self.interface.network else self.gateway

    def _send_segment(self, destination: IPv4Address, segment: Segment) -> None:
        hop = self._next_hop(destination)
        if hop is None:
            return
        neighbour = self._neighbours.setdefault(hop, _Neighbour())
        if neighbour.mac is not None:
            self.transmit(self._frame(neighbour.mac, destination, segment))
            return
        neighbour.waiting = [*neighbour.waiting[-2:], (destination, segment)]
        if neighbour.questions == 0:
            self._ask(hop)

    def _frame(self, to: Mac, destination: IPv4Address, segment: Segment) -> bytes:
        body = segment.packed()
        ip = _IPV4.pack(
            0x45, 0, IPV4_BYTES + len(body), 0, 0x4000, 64, 6, 0, self.interface.ip.packed, destination.packed
        )
        total = sum(struct.unpack("!10H", ip))
        total = (total & 0xFFFF) + (total >> 16)
        ip = ip[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + ip[12:]
        pseudo = sum(struct.unpack("!4H", ip[12:20])) + 6 + len(body)
        while pseudo >> 16:
            pseudo = (pseudo & 0xFFFF) + (pseudo >> 16)
        body = body[:TCP_CHECKSUM_OFFSET] + struct.pack("!H", pseudo) + body[TCP_CHECKSUM_OFFSET + 2 :]
        data = _ETHERNET.pack(to.packed, self.mac.packed, 0x0800) + ip + body
        return complete(Frame(data, Offload(ETHERNET_BYTES + IPV4_BYTES, TCP_CHECKSUM_OFFSET))).data

    def _ask(self, address: IPv4Address) -> None:
        neighbour = self._neighbours[address]
        if neighbour.mac is not None:
            return
        if neighbour.questions >= ARP_QUESTIONS:
            neighbour.questions = 0
            neighbour.waiting.clear()
            self.deliver(NeighbourChanged(self.index, address, None, confirmed=False))
            return
        neighbour.questions += 1
        self.transmit(arp.build_arp(1, self.mac, self.interface.ip, Mac(0), address, BROADCAST, self.mac))
        self.clock.call_later(ARP_INTERVAL_S, lambda: self._ask(address))

    def _learn(self, address: IPv4Address, mac: Mac) -> None:
        neighbour = self._neighbours.setdefault(address, _Neighbour())
        changed = neighbour.mac != mac
        neighbour.mac, neighbour.questions = mac, 0
        waiting, neighbour.waiting = neighbour.waiting, []
        if changed:
            self.deliver(NeighbourChanged(self.index, address, mac))
        for destination, segment in waiting:
            self.transmit(self._frame(mac, destination, segment))

    # --- timers -------------------------------------------------------------------------------------------------

    def _tick_later(self) -> None:
        if not self._ticking and any(c.retry_at is not None for c in self.connections.values()):
            self._ticking = True
            self.clock.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        for connection in list(self.connections.values()):
            connection.tick(self.clock.now)
        self._tick_later()
