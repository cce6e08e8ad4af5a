"""DHCP in the simulator (RFC 2131): a server on a host, a client on an interface. Four messages, one lease for ever.

The client works on frames, as real ones do: it has no address yet to receive packets for. It asks again each second
until it has a lease. What it is not: leases that end, relays, renewals, anything that a client may refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface
from struct import Struct

from inband.packet import encode
from inband.packet.dhcp import reply_chaddr
from inband.packet.frame import Frame
from inband.sim.host import Host
from inband.sim.interface import Interface
from inband.sim.kernel import DEFAULT, LIMITED_BROADCAST, Kernel
from inband.sim.packets import Packet, read_packet
from inband.vocabulary.addresses import BROADCAST, Mac
from inband.vocabulary.numbers import DHCP_CLIENT, DHCP_SERVER, ETH_IPV4, IP_UDP

RETRY_S = 1.0
NOWHERE = IPv4Address("0.0.0.0")

BOOTREQUEST, BOOTREPLY = 1, 2
DISCOVER, OFFER, REQUEST, ACK = (bytes((kind,)) for kind in (1, 2, 3, 5))
_MASK, _ROUTER, _ASKED_FOR, _TYPE, _SERVER, _END = 1, 3, 50, 53, 54, 255
# op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, magic cookie
_MESSAGE = Struct("!BBBBI8x4s8x6s10x192xI")
_COOKIE = 0x63825363
_DEFAULT_MASK = b"\xff\xff\xff\x00"

Options = dict[int, bytes]


def build(op: int, chaddr: Mac, yiaddr: IPv4Address, options: Options) -> bytes:
    """A DHCP message."""
    fixed = _MESSAGE.pack(op, 1, 6, 0, int(chaddr) & 0xFFFFFFFF, yiaddr.packed, chaddr.packed, _COOKIE)
    return fixed + b"".join(bytes((code, len(value))) + value for code, value in options.items()) + bytes((_END,))


def read(message: bytes) -> tuple[Mac, IPv4Address, Options] | None:
    """A message's chaddr, yiaddr and options; None for what is none."""
    if len(message) < _MESSAGE.size or message[1:3] != b"\x01\x06":
        return None
    *_, yiaddr, chaddr, cookie = _MESSAGE.unpack_from(message)
    if cookie != _COOKIE:
        return None
    return Mac.from_bytes6(chaddr), IPv4Address(yiaddr), dict(_options(message[_MESSAGE.size :]))


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 1 < len(data) and data[at] != _END:
        if data[at] == 0:  # padding
            at += 1
            continue
        end = at + 2 + data[at + 1]
        yield data[at], data[at + 2 : end]
        at = end


def _send(
    interface: Interface, ends: tuple[IPv4Address, IPv4Address], ports: tuple[int, int], to: Mac, message: bytes
) -> None:
    packet = encode.ipv4(*ends, IP_UDP, encode.udp(*ends, *ports, message))
    interface.nic.transmit(Frame(encode.ethernet(to, interface.mac, ETH_IPV4, packet)))


class DhcpServer:
    """Leases addresses of the host's first interface's IPv4 network, from ``first`` up.

    ``routers``: the gateway of whom one is given, by the client's MAC address.
    """

    def __init__(self, host: Host, first: str) -> None:
        self.leases: dict[Mac, IPv4Address] = {}
        self.routers: dict[Mac, IPv4Address] = {}
        self._interface = host.eth0
        self._first = IPv4Address(first)
        host.kernel.udp[DHCP_SERVER] = self._receive

    def _receive(self, _: Packet, _port: int, data: bytes) -> None:
        message = read(data)
        answer = {DISCOVER: OFFER, REQUEST: ACK}.get(message[2].get(_TYPE, b"")) if message is not None else None
        if message is None or answer is None:
            return
        own = self._own.ip.packed
        if message[2].get(_SERVER, own) == own:
            self.reply(message[0], answer)

    @property
    def _own(self) -> IPv4Interface:
        return next(address for address in self._interface.usable if isinstance(address, IPv4Interface))

    def reply(self, chaddr: Mac, kind: bytes) -> None:
        """Send an offer or an acknowledgement to a client."""
        theirs = self.leases.setdefault(chaddr, self._first + len(self.leases))
        own = self._own
        options = {_TYPE: kind, _SERVER: own.ip.packed, _MASK: own.netmask.packed}
        if chaddr in self.routers:
            options[_ROUTER] = self.routers[chaddr].packed
        message = build(BOOTREPLY, chaddr, theirs, options)
        _send(self._interface, (own.ip, theirs), (DHCP_SERVER, DHCP_CLIENT), chaddr, message)


class DhcpClient:
    """Gets an address for an interface: it asks, and again each second until there is one."""

    def __init__(self, kernel: Kernel, interface: Interface) -> None:
        self.seen_for_others = 0
        self._kernel = kernel
        self._interface = interface
        self._is_bound, self._has_chosen = bool(interface.addresses), False
        interface.taps.append(self._receive)
        self._discover()

    def start_again(self) -> None:
        """Ask everybody again; the address stays until there is another lease."""
        self._is_bound = False
        self._discover()

    def _discover(self) -> None:
        if not self._is_bound:
            self._has_chosen = False
            self._ask({_TYPE: DISCOVER})
            self._kernel.clock.call_later(RETRY_S, self._discover)

    def _ask(self, options: Options) -> None:
        message = build(BOOTREQUEST, self._interface.mac, NOWHERE, options)
        _send(self._interface, (NOWHERE, LIMITED_BROADCAST), (DHCP_CLIENT, DHCP_SERVER), BROADCAST, message)

    def _receive(self, data: bytes) -> None:
        chaddr, packet = reply_chaddr(data), read_packet(data)
        if chaddr is None or packet is None or not packet.is_whole:
            return
        message = read(packet.payload[8:])
        if chaddr != self._interface.mac:
            self.seen_for_others += 1
        elif message is not None:
            self._answered(message[1], message[2])

    def _answered(self, offered: IPv4Address, options: Options) -> None:
        kind = options.get(_TYPE)
        if kind == OFFER and not self._has_chosen:
            self._has_chosen = True
            self._ask({_TYPE: REQUEST, _ASKED_FOR: offered.packed, _SERVER: options.get(_SERVER, b"")})
        elif kind == ACK and not self._is_bound and (lease := _lease(offered, options)) is not None:
            self._is_bound = True
            for other in [each for each in self._interface.addresses if each.version == 4 and each != lease.ip]:
                self._kernel.remove_address(self._interface, other)
            self._kernel.add_address(self._interface, lease)
            if len(options.get(_ROUTER, b"")) == 4:
                self._kernel.add_route(DEFAULT[4], self._interface, IPv4Address(options[_ROUTER]))


def _lease(offered: IPv4Address, options: Options) -> IPv4Interface | None:
    """The address with its network; None where the mask is none."""
    try:
        return IPv4Interface(f"{offered}/{IPv4Address(options.get(_MASK, _DEFAULT_MASK))}")
    except ValueError:
        return None
