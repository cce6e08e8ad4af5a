"""Router advertisements in the simulator (RFC 4861, 6; RFC 4862, 5.5): a router that announces itself, and a host.

The host takes an address of the router's prefix, made of its MAC address, and the router as its gateway. What it is
not: lifetimes that end, solicitations, prefixes of other than 64 bits.
"""

from __future__ import annotations

from ipaddress import IPv6Network

from inband.packet.frame import Frame
from inband.packet.nd import build_router_advertisement
from inband.sim.interface import Interface, made_of_mac
from inband.sim.kernel import DEFAULT, Kernel
from inband.sim.packets import read_packet
from inband.vocabulary.numbers import IP_ICMPV6, ROUTER_ADVERTISEMENT

# The least that RFC 4861 (6.2.1) allows for the longest pause, and how long the word of a router holds.
INTERVAL_S, LIFETIME_S = 4.0, 1800
PREFIX_BITS = 64
# Where the last option of our advertisements, the prefix, begins; its length and itself are 2 and 16 bytes on.
_PREFIX_AT, _MESSAGE_BYTES = 24, 56


class Advertiser:
    """Announces a router on one of its interfaces with a prefix, at once and then every INTERVAL_S."""

    def __init__(self, kernel: Kernel, interface: Interface, prefix: str) -> None:
        self._clock = kernel.clock
        self._interface = interface
        self._prefix = IPv6Network(prefix)
        self._send()

    def _send(self) -> None:
        source = self._interface.link_local
        if source is not None:
            data = build_router_advertisement(source, self._interface.mac, self._prefix, LIFETIME_S)
            self._interface.nic.transmit(Frame(data))
        self._clock.call_later(INTERVAL_S, self._send)


class Autoconfiguration:
    """Takes an address and a default route from what a router announces on an interface."""

    def __init__(self, kernel: Kernel, interface: Interface) -> None:
        self._kernel = kernel
        self._interface = interface
        interface.taps.append(self._receive)

    def _receive(self, data: bytes) -> None:
        packet = read_packet(data)
        if packet is None or packet.proto != IP_ICMPV6 or packet.payload[:1] != bytes((ROUTER_ADVERTISEMENT,)):
            return
        message = packet.payload
        if len(message) != _MESSAGE_BYTES or message[_PREFIX_AT + 2] != PREFIX_BITS or not packet.is_whole:
            return
        network = IPv6Network((message[_PREFIX_AT + 16 :], PREFIX_BITS), strict=False)
        address = made_of_mac(self._interface.mac, network)
        if address.ip not in self._interface.addresses:
            self._kernel.add_address(self._interface, address)
            self._kernel.add_route(DEFAULT[6], self._interface, packet.source)
