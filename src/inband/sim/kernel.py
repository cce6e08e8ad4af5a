"""A simulated host's IP stack, IPv4 and IPv6: interfaces, addresses, routes, neighbours, forwarding, echo, UDP.

One of these is in every host, router and switch. It is like a Linux kernel where in-band control depends on one: it
accepts packets for its addresses anywhere (the weak host model), chooses the longest matching prefix, sends nothing
from an address that it has no more, and has a link-local address wherever it has another IPv6 address. How it finds
neighbours is in ``sim.resolution`` and ``sim.neighbours``.

It tells ``deliver`` of links, addresses, routes and neighbours as rtnetlink does: later, never from inside a call, and
with each event noted in ``state``. It implements ``host.state.Host``. Above IP a link-local address of a peer has its
interface as its scope; in packets and tables it has none. Transport protocols register in ``protocols``: see
``sim.tcp_host``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from struct import Struct

from inband.control.endpoints import without_scope
from inband.flow.actions import DecNwTtl
from inband.host.events import HostEvent, NeighbourChanged, NextHop, NextHopFound, RoutesChanged
from inband.host.state import KernelState
from inband.packet import encode
from inband.packet.edit import apply
from inband.packet.frame import Frame
from inband.packet.set_field import read_field
from inband.sim.clock import VirtualClock
from inband.sim.interface import Interface, made_of_mac
from inband.sim.link import Nic
from inband.sim.neighbours import Neighbours
from inband.sim.packets import Packet, read_packet
from inband.sim.resolution import Resolution
from inband.switch.config import IpInterface
from inband.vocabulary.addresses import IpAddress, IpNetwork, Mac
from inband.vocabulary.numbers import (
    ETH_ARP,
    IP_ICMP,
    IP_ICMPV6,
    IP_UDP,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
)

DEFAULT = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
DONT_FRAGMENT = 0x4000
LIMITED_BROADCAST = IPv4Address("255.255.255.255")
# Echo request and reply (RFC 792; RFC 4443, 4).
ECHO = {IP_ICMP: (8, 0), IP_ICMPV6: (128, 129)}
_ARP = ETH_ARP.to_bytes(2, "big")
_DISCOVERY = bytes((NEIGHBOUR_SOLICITATION,)), bytes((NEIGHBOUR_ADVERTISEMENT,))
_PORTS = Struct("!HH")

Deliver = Callable[[HostEvent | NextHopFound], None]
Protocol = Callable[[Packet], None]
UdpUser = Callable[[Packet, int, bytes], None]
"""Takes a datagram: the packet, the sender's port, the data."""


@dataclass(frozen=True, slots=True)
class Route:
    """Packets to ``network`` go to ``gateway``, or are on-link where that is None."""

    network: IpNetwork
    interface: Interface
    gateway: IpAddress | None = None


@dataclass(slots=True, eq=False)
class Kernel:
    """One host's stack. ``forwards`` makes it a router; ``udp`` has who takes datagrams to a port."""

    clock: VirtualClock
    forwards: bool = False
    deliver: Deliver = lambda _: None
    state: KernelState = field(default_factory=KernelState)
    interfaces: list[Interface] = field(default_factory=list)
    protocols: dict[int, Protocol] = field(default_factory=dict)
    udp: dict[int, UdpUser] = field(default_factory=dict)
    on_echo_reply: Callable[[bytes], None] = lambda _: None
    _resolutions: dict[int, Resolution] = field(default_factory=dict)
    _routes: list[Route] = field(default_factory=list)
    _routes_to: dict[IpAddress, Route | None] = field(default_factory=dict)
    _last_id: int = 0

    def __post_init__(self) -> None:
        self.protocols |= {IP_ICMP: self._receive_icmp, IP_ICMPV6: self._receive_icmp, IP_UDP: self._receive_udp}

    # --- configuration ------------------------------------------------------------------------------------------

    def add_interface(self, name: str, mac: Mac, *, detects_duplicates: bool = False) -> Interface:
        """A new interface; link its ``nic`` to something."""
        index = len(self.interfaces) + 1
        neighbours = Neighbours(
            self.clock,
            lambda address, source: resolution.ask(address, source),
            lambda address, found: self._tell(NeighbourChanged(index, address, found)),
        )
        interface = Interface(index, name, mac, Nic(name, mac), neighbours, detects_duplicates)
        resolution = self._resolutions[index] = Resolution(interface, self.clock, self.owns, self._tell, self.forwards)
        interface.nic.receive = lambda frame: self._receive(interface, frame.data)
        interface.nic.carrier_changed = lambda _: self._tell(interface.link_event())
        self.interfaces.append(interface)
        return interface

    def add_address(self, interface: Interface, address: IpInterface) -> None:
        """Give an interface an address, with its on-link route, and with a link-local one if that is missing."""
        has_link_local = any(ip.is_link_local for ip in (address.ip, *interface.addresses) if ip.version == 6)
        if address.version == 6 and not has_link_local:
            self.add_address(interface, made_of_mac(interface.mac))
        interface.addresses[address.ip] = address
        if isinstance(address.ip, IPv6Address) and interface.detects_duplicates:
            self._resolutions[interface.index].detect_duplicate(address.ip)
        self._tell(interface.address_event(address))
        self.add_route(address.network, interface)

    def remove_address(self, interface: Interface, ip: IpAddress) -> None:
        """Take an address away, with the routes that need its network if it was the last one there."""
        address = interface.addresses.pop(ip)
        interface.tentative.pop(ip, None)

        def is_kept(route: Route) -> bool:
            via = route.gateway or route.network.network_address
            return route.interface is not interface or via not in address.network

        if all(other.network != address.network for other in interface.addresses.values()):
            self._set_routes(filter(is_kept, self._routes))
        self._tell(interface.address_event(address, present=False))
        self._tell(RoutesChanged(None))

    def add_route(self, network: IpNetwork, interface: Interface, gateway: IpAddress | None = None) -> None:
        """Add a route, or replace the one for the same network; each interface has its own link-local network."""

        def is_kept(route: Route) -> bool:
            return route.network != network or (network.is_link_local and route.interface is not interface)

        self._set_routes([*filter(is_kept, self._routes), Route(network, interface, gateway)])
        self._tell(RoutesChanged(network))

    def set_mac(self, interface: Interface, mac: Mac) -> None:
        """Give an interface another MAC address: Linux forgets its neighbours then, and tells no other host."""
        interface.mac = mac
        self._tell(interface.link_event())
        interface.neighbours.forget()

    def announce(self, interface: Interface) -> None:
        """Say an interface's MAC address to all who are on its link."""
        self._resolutions[interface.index].announce()

    def tell_all(self) -> None:
        """Have in ``state`` what a process hears that begins to watch: links, addresses, resolved neighbours."""
        self.state.begin_dump()
        for event in (event for interface in self.interfaces for event in interface.known()):
            self.state.note(event)
        for event in self.state.end_dump():
            self.state.note(event)

    # --- host.state.Host ----------------------------------------------------------------------------------------

    def look_up_next_hop(self, destination: IpAddress) -> None:
        """As ``Host.look_up_next_hop``."""
        route, hop = self.route_to(destination), None
        if route is not None:
            interface, address = route.interface, route.gateway or without_scope(destination)
            hop = NextHop(interface.index, interface.name, address, interface.source_for(destination))
        self._tell(NextHopFound(destination, hop))

    def solicit(self, index: int, address: IpAddress) -> None:
        """As ``Host.solicit``."""
        self.interfaces[index - 1].neighbours.resolve(address)

    # --- sending ------------------------------------------------------------------------------------------------

    def route_to(self, destination: IpAddress) -> Route | None:
        """The route for a destination: the longest prefix wins, on the interface that the destination names, if any."""
        if destination not in self._routes_to:
            scope = destination.scope_id if isinstance(destination, IPv6Address) else None
            fitting = (r for r in self._routes if destination in r.network and scope in (None, r.interface.name))
            self._routes_to[destination] = max(fitting, key=lambda route: route.network.prefixlen, default=None)
        return self._routes_to[destination]

    def _set_routes(self, routes: Iterable[Route]) -> None:
        self._routes = [*routes]
        self._routes_to.clear()

    def source_for(self, destination: IpAddress) -> IpAddress | None:
        """The address from which packets to a destination are sent; None: there is no way."""
        route = self.route_to(destination)
        return None if route is None else route.interface.source_for(destination)

    def send(self, source: IpAddress, destination: IpAddress, proto: int, payload: bytes) -> None:
        """Send a packet, to itself too; none leaves from an address that is not ours (any more)."""
        if not self.owns(source):
            return
        # A retransmission is another packet, as with Linux (identification; flow label after a timeout): switches that
        # remember floods tell them apart by this.
        self._last_id = self._last_id + 1 & 0xFFFF
        if self.owns(destination):
            packet = Packet(source, destination, proto, payload)
            self.clock.call_soon(lambda: self._accept(packet))
            return
        if destination.version == 4:
            ident = self._last_id
            data = encode.ipv4(source, destination, proto, payload, identification=ident, fragment=DONT_FRAGMENT)
        else:
            data = encode.ip(source, destination, proto, payload, flow_label=self._last_id)
        self._route(encode.ethernet(0, 0, encode.eth_type_of(destination), data), source, destination)

    def send_udp(self, source: IpAddress, destination: IpAddress, ports: tuple[int, int], data: bytes) -> None:
        """Send a datagram from the first port to the second."""
        self.send(source, destination, IP_UDP, encode.udp(source, destination, *ports, data))

    def ping(self, destination: IpAddress, body: bytes) -> None:
        """Send an echo request; ``on_echo_reply`` gets the answer's body."""
        source = self.source_for(destination)
        if source is not None:
            self._send_echo(source, destination, 0, body)

    def _send_echo(self, source: IpAddress, destination: IpAddress, which: int, body: bytes) -> None:
        if source.version == 4:
            self.send(source, destination, IP_ICMP, encode.icmpv4(ECHO[IP_ICMP][which], 0, body))
        else:
            kind = ECHO[IP_ICMPV6][which]
            self.send(source, destination, IP_ICMPV6, encode.icmpv6(source, destination, kind, 0, body))

    def _route(self, frame: bytes, source: IpAddress, destination: IpAddress) -> None:
        route = self.route_to(destination)
        if route is not None:
            interface = route.interface

            def transmit(mac: Mac) -> None:
                interface.nic.transmit(Frame(mac.packed + interface.mac.packed + frame[12:]))

            interface.neighbours.send_to(route.gateway or without_scope(destination), transmit, source)

    # --- receiving ----------------------------------------------------------------------------------------------

    def _receive(self, interface: Interface, data: bytes) -> None:
        for tap in interface.taps:
            tap(data)
        if not interface.hears(data[:6]):
            return
        if data[12:14] == _ARP:
            self._resolutions[interface.index].receive(data)
            return
        packet = read_packet(data, interface.name)
        if packet is None or (packet.proto == IP_ICMPV6 and packet.payload[:1] in _DISCOVERY and packet.is_whole):
            self._resolutions[interface.index].receive(data)
        elif packet.destination == LIMITED_BROADCAST or self.owns(packet.destination):
            self._accept(packet)
        elif self.forwards and data[:6] == interface.mac.packed and (read_field(data, "ip_ttl") or 0) > 1:
            self._route(apply(Frame(data), DecNwTtl()).data, packet.source, packet.destination)

    def _accept(self, packet: Packet) -> None:
        protocol = self.protocols.get(packet.proto)
        if protocol is not None and packet.is_whole:
            protocol(packet)

    def _receive_icmp(self, packet: Packet) -> None:
        request, reply = ECHO[packet.proto]
        kind, body = packet.payload[:1], packet.payload[4:]
        if kind == bytes((request,)):
            self._send_echo(packet.destination, packet.source, 1, body)
        elif kind == bytes((reply,)):
            self.on_echo_reply(body)

    def _receive_udp(self, packet: Packet) -> None:
        if len(packet.payload) >= 8:
            peer_port, port = _PORTS.unpack_from(packet.payload)
            user = self.udp.get(port)
            if user is not None:
                user(packet, peer_port, packet.payload[8:])

    def owns(self, address: IpAddress) -> bool:
        """Whether an address is ours and can be used."""
        return any(address in each.addresses and address not in each.tentative for each in self.interfaces)

    def _tell(self, event: HostEvent | NextHopFound) -> None:
        def deliver() -> None:
            if not isinstance(event, NextHopFound):
                self.state.note(event)
            self.deliver(event)

        self.clock.call_soon(deliver)
