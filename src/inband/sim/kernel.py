"""A simulated host's IP stack: interfaces, addresses, routes, ARP, forwarding, ICMP echo. IPv4.

One of these is in every host, router and switch. It stands for a Linux kernel where in-band control depends on one: it
answers ARP for any of its addresses on any interface (arp_ignore=0) and accepts packets for them anywhere (the weak
host model), chooses the longest matching prefix, and tells ``deliver`` of links, addresses, routes and neighbours as
rtnetlink does: later, never from inside a call, and with each event noted in ``state``. It implements
``host.state.Host``.

Transport protocols register in ``protocols``; ``sim.tcp_host`` is the one that is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    NeighbourChanged,
    NextHop,
    NextHopFound,
    RoutesChanged,
)
from inband.host.state import KernelState
from inband.packet import arp, encode, sums
from inband.packet.frame import Frame
from inband.packet.headers import ipv4_end, ipv4_header_size
from inband.packet.parse import ARP_ETHERNET_IPV4
from inband.sim.clock import VirtualClock
from inband.sim.link import Nic
from inband.sim.neighbours import Neighbours
from inband.vocabulary.addresses import BROADCAST, IpAddress, Mac
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV4, IP_ICMP

ETHERNET_BYTES, ARP_BYTES = 14, 28
ECHO_REPLY, ECHO_REQUEST = 0, 8
DEFAULT = IPv4Network("0.0.0.0/0")
LIMITED_BROADCAST = b"\xff\xff\xff\xff"
MTU = 1500
DONT_FRAGMENT = 0x4000

Deliver = Callable[[HostEvent | NextHopFound], None]
Protocol = Callable[[IPv4Address, IPv4Address, bytes], None]
"""Takes a packet: source, destination, payload."""


def nobody(_: HostEvent | NextHopFound) -> None:
    """Nobody listens to this kernel."""


@dataclass(slots=True, eq=False)
class Interface:
    """An interface with at most one address. ``taps`` see every frame that arrives, as packet sockets do."""

    index: int
    name: str
    mac: Mac
    nic: Nic
    neighbours: Neighbours
    address: IPv4Interface | None = None
    taps: list[Callable[[bytes], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Route:
    """Packets to ``network`` go to ``gateway``, or are on-link where that is None."""

    network: IPv4Network
    interface: Interface
    gateway: IPv4Address | None = None


@dataclass(slots=True, eq=False)
class Kernel:
    """One host's stack. ``forwards`` makes it a router."""

    clock: VirtualClock
    forwards: bool = False
    deliver: Deliver = nobody
    state: KernelState = field(default_factory=KernelState)
    interfaces: list[Interface] = field(default_factory=list)
    protocols: dict[int, Protocol] = field(default_factory=dict)
    on_echo_reply: Callable[[IPv4Address, bytes], None] = lambda _source, _body: None
    _routes: list[Route] = field(default_factory=list)
    _last_id: int = 0

    # --- configuration ------------------------------------------------------------------------------------------

    def add_interface(self, name: str, mac: Mac) -> Interface:
        """A new interface; link its ``nic`` to something."""
        index = len(self.interfaces) + 1
        nic = Nic(name, mac)
        neighbours = Neighbours(
            self.clock,
            lambda address: self._ask(interface, address),
            lambda address, found: self._tell(NeighbourChanged(index, address, found)),
        )
        interface = Interface(index, name, mac, nic, neighbours)
        nic.receive = lambda frame: self._receive(interface, frame.data)
        nic.carrier_changed = lambda _: self._tell(link_event(interface))
        self.interfaces.append(interface)
        return interface

    def set_address(self, interface: Interface, address: IPv4Interface | None) -> None:
        """Give an interface its only address, or take it away; its on-link route comes and goes with it."""
        if interface.address is not None:
            self._routes = [route for route in self._routes if route.interface is not interface]
            self._tell(address_event(interface, present=False))
            self._tell(RoutesChanged(None))
        interface.address = address
        if address is not None:
            self._tell(address_event(interface, present=True))
            self.add_route(address.network, interface)

    def add_route(self, network: IPv4Network, interface: Interface, gateway: IPv4Address | None = None) -> None:
        """Add a route, or replace the one for the same network."""
        self._routes = [route for route in self._routes if route.network != network]
        self._routes.append(Route(network, interface, gateway))
        self._tell(RoutesChanged(network))

    def set_mac(self, interface: Interface, mac: Mac) -> None:
        """Give an interface another MAC address: Linux forgets its neighbours then, and tells nobody outside."""
        interface.mac = mac
        self._tell(link_event(interface))
        interface.neighbours.forget()

    def announce(self, interface: Interface) -> None:
        """Send a gratuitous ARP request (RFC 5227, 3)."""
        if interface.address is not None:
            self._ask(interface, interface.address.ip)

    def tell_all(self) -> None:
        """Have in ``state`` what a process hears that starts to watch: links, addresses, resolved neighbours."""
        self.state.begin_dump()
        for interface in self.interfaces:
            self.state.note(link_event(interface))
            if interface.address is not None:
                self.state.note(address_event(interface, present=True))
            for address, mac in interface.neighbours.table().items():
                self.state.note(NeighbourChanged(interface.index, address, mac))
        for event in self.state.end_dump():
            self.state.note(event)

    # --- host.state.Host ----------------------------------------------------------------------------------------

    def look_up_next_hop(self, destination: IpAddress) -> None:
        """As ``Host.look_up_next_hop``."""
        route = self.route_to(destination) if isinstance(destination, IPv4Address) else None
        hop = None
        if route is not None:
            interface = route.interface
            source = interface.address.ip if interface.address else None
            hop = NextHop(interface.index, interface.name, route.gateway or destination, source)
        self._tell(NextHopFound(destination, hop))

    def solicit(self, index: int, address: IpAddress) -> None:
        """As ``Host.solicit``."""
        if isinstance(address, IPv4Address):
            self.interfaces[index - 1].neighbours.resolve(address)

    # --- sending ------------------------------------------------------------------------------------------------

    def route_to(self, destination: IPv4Address) -> Route | None:
        """The route for a destination: the longest prefix wins."""
        fitting = (route for route in self._routes if destination in route.network)
        return max(fitting, key=lambda route: route.network.prefixlen, default=None)

    def source_for(self, destination: IPv4Address) -> IPv4Address | None:
        """The address from which packets to a destination are sent; None: there is no way."""
        route = self.route_to(destination)
        return route.interface.address.ip if route is not None and route.interface.address is not None else None

    def send(self, source: IPv4Address, destination: IPv4Address, proto: int, payload: bytes) -> None:
        """Send a packet, to itself too."""
        # A retransmission is another packet, as with Linux: switches that remember floods tell them apart by this.
        self._last_id = self._last_id + 1 & 0xFFFF
        self._route(
            encode.ipv4(source, destination, proto, payload, identification=self._last_id, fragment=DONT_FRAGMENT)
        )

    def ping(self, destination: IPv4Address, body: bytes) -> None:
        """Send an ICMP echo request; ``on_echo_reply`` gets the answer's body."""
        source = self.source_for(destination)
        if source is not None:
            self.send(source, destination, IP_ICMP, encode.icmpv4(ECHO_REQUEST, 0, body))

    def _route(self, packet: bytes) -> None:
        destination = IPv4Address(packet[16:20])
        if self._is_ours(destination):
            self.clock.call_soon(lambda: self._accept(packet))
            return
        route = self.route_to(destination)
        if route is not None:
            interface = route.interface
            interface.neighbours.send_to(
                route.gateway or destination, lambda mac: _transmit(interface, mac, ETH_IPV4, packet)
            )

    def _ask(self, interface: Interface, address: IPv4Address) -> None:
        if interface.address is None:
            return
        request = arp.build_arp(
            arp.REQUEST, interface.mac, interface.address.ip, Mac(0), address, BROADCAST, interface.mac
        )
        interface.nic.transmit(Frame(request))

    # --- receiving ----------------------------------------------------------------------------------------------

    def _receive(self, interface: Interface, data: bytes) -> None:
        if len(data) < ETHERNET_BYTES:
            return
        for tap in interface.taps:
            tap(data)
        if data[:6] not in (interface.mac.packed, BROADCAST.packed):
            return
        eth_type = int.from_bytes(data[12:14], "big")
        if eth_type == ETH_ARP:
            self._receive_arp(interface, data)
        elif eth_type == ETH_IPV4:
            self._receive_ipv4(data)

    def _receive_arp(self, interface: Interface, data: bytes) -> None:
        message = data[ETHERNET_BYTES : ETHERNET_BYTES + ARP_BYTES]
        if len(message) < ARP_BYTES or message[:6] != ARP_ETHERNET_IPV4:
            return
        sha, sender, target = Mac.from_bytes6(message[8:14]), IPv4Address(message[14:18]), IPv4Address(message[24:28])
        is_for_us = self._is_ours(target)
        if int(sender) and not self._is_ours(sender):
            interface.neighbours.heard(sender, sha, is_for_us=is_for_us)
        if message[7] == arp.REQUEST and is_for_us and sender != target:
            reply = arp.build_arp(arp.REPLY, interface.mac, target, sha, sender, sha, interface.mac)
            interface.nic.transmit(Frame(reply))

    def _receive_ipv4(self, data: bytes) -> None:
        end = ipv4_end(data, ETHERNET_BYTES)
        packet = data[ETHERNET_BYTES:end]
        if not end or sums.word_sum(packet[: ipv4_header_size(packet, 0)]):
            return
        if self._is_ours(IPv4Address(packet[16:20])) or packet[16:20] == LIMITED_BROADCAST:
            self._accept(packet)
        elif self.forwards and data[:6] != BROADCAST.packed and packet[8] > 1:
            self._route(_with_ttl(packet, packet[8] - 1))

    def _accept(self, packet: bytes) -> None:
        source, destination, proto = IPv4Address(packet[12:16]), IPv4Address(packet[16:20]), packet[9]
        payload = packet[ipv4_header_size(packet, 0) :]
        if proto == IP_ICMP:
            self._receive_icmp(source, destination, payload)
        elif proto in self.protocols:
            self.protocols[proto](source, destination, payload)

    def _receive_icmp(self, source: IPv4Address, destination: IPv4Address, message: bytes) -> None:
        if len(message) < 8 or sums.word_sum(message):
            return
        if message[0] == ECHO_REQUEST:
            self.send(destination, source, IP_ICMP, encode.icmpv4(ECHO_REPLY, 0, message[4:]))
        elif message[0] == ECHO_REPLY:
            self.on_echo_reply(source, message[4:])

    def _is_ours(self, address: IPv4Address) -> bool:
        return any(i.address is not None and i.address.ip == address for i in self.interfaces)

    def _tell(self, event: HostEvent | NextHopFound) -> None:
        self.clock.call_soon(lambda: self._deliver(event))

    def _deliver(self, event: HostEvent | NextHopFound) -> None:
        if not isinstance(event, NextHopFound):
            self.state.note(event)
        self.deliver(event)


def link_event(interface: Interface) -> LinkChanged:
    """An interface as rtnetlink describes it."""
    running = interface.nic.has_carrier
    return LinkChanged(interface.index, interface.name, interface.mac, up=True, running=running, mtu=MTU)


def address_event(interface: Interface, *, present: bool) -> AddressChanged:
    """An interface's address as rtnetlink announces it."""
    assert interface.address is not None
    return AddressChanged(interface.index, interface.address.ip, interface.address.network.prefixlen, present=present)


def _transmit(interface: Interface, mac: Mac, eth_type: int, packet: bytes) -> None:
    interface.nic.transmit(Frame(encode.ethernet(mac, interface.mac, eth_type, packet)))


def _with_ttl(packet: bytes, ttl: int) -> bytes:
    size = ipv4_header_size(packet, 0)
    header = bytearray(packet[:size])
    header[8] = ttl
    header[10:12] = bytes(2)
    header[10:12] = sums.checksum(header).to_bytes(2, "big")
    return bytes(header) + packet[size:]
