"""DHCP in the simulator (RFC 2131): a server on a host, a client on an interface. Four messages, one lease for ever.

The client works on frames, as real ones do: it has no address yet to receive packets for. It asks again each second
until it has a lease. What it is not: leases that end, relays, renewals, anything that a client may refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from struct import Struct

from inband.packet import encode, sums
from inband.packet.dhcp import reply_chaddr
from inband.packet.frame import Frame
from inband.packet.headers import locate
from inband.sim.host import Host
from inband.sim.kernel import DEFAULT, Interface, Kernel
from inband.vocabulary.addresses import BROADCAST, Mac
from inband.vocabulary.numbers import DHCP_CLIENT, DHCP_SERVER, ETH_IPV4, IP_UDP

RETRY_S = 1.0
NOWHERE, EVERYWHERE = IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")

BOOTREQUEST, BOOTREPLY = 1, 2
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
_MASK, _ROUTER, _ASKED_FOR, _TYPE, _SERVER, _END = 1, 3, 50, 53, 54, 255
# op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, magic cookie
_MESSAGE = Struct("!BBBBIHH4s4s4s4s16s64s128sI")
_COOKIE = 0x63825363

Options = dict[int, bytes]


def build(op: int, chaddr: Mac, yiaddr: IPv4Address, options: Options) -> bytes:
    """A DHCP message."""
    fixed = _MESSAGE.pack(
        op, 1, 6, 0, int(chaddr) & 0xFFFFFFFF, 0, 0, bytes(4), yiaddr.packed, bytes(4), bytes(4), chaddr.packed,
        bytes(64), bytes(128), _COOKIE,
    )  # fmt: skip
    return fixed + b"".join(bytes((code, len(value))) + value for code, value in options.items()) + bytes((_END,))


def read(message: bytes) -> tuple[Mac, IPv4Address, Options] | None:
    """A message's chaddr, yiaddr and options; None for what is none."""
    if len(message) < _MESSAGE.size or message[1:3] != b"\x01\x06":
        return None
    fields = _MESSAGE.unpack_from(message)
    if fields[-1] != _COOKIE:
        return None
    return Mac.from_bytes6(fields[11]), IPv4Address(fields[8]), dict(_options(message[_MESSAGE.size :]))


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 1 < len(data) and data[at] != _END:
        if data[at] == 0:  # padding
            at += 1
            continue
        end = at + 2 + data[at + 1]
        yield data[at], data[at + 2 : end]
        at = end


def _is_whole(source: IPv4Address, destination: IPv4Address, datagram: bytes) -> bool:
    """Whether the checksum is right: a link may have spoilt the datagram."""
    total = sums.word_sum(datagram) + encode.pseudo_header_sum(source, destination, IP_UDP, len(datagram))
    return total % 0xFFFF == 0


class DhcpServer:
    """Leases addresses of the host's first interface's network, from ``first`` up."""

    def __init__(self, host: Host, first: str, router: str | None = None) -> None:
        self.leases: dict[Mac, IPv4Address] = {}
        self._host = host
        self._next = IPv4Address(first)
        self._router = None if router is None else IPv4Address(router)
        host.kernel.protocols[IP_UDP] = self._receive

    def _receive(self, source: IPv4Address, destination: IPv4Address, datagram: bytes) -> None:
        if datagram[2:4] != DHCP_SERVER.to_bytes(2, "big") or not _is_whole(source, destination, datagram):
            return
        message = read(datagram[8:])
        if message is None:
            return
        chaddr, _, options = message
        answers = {bytes((DISCOVER,)): OFFER, bytes((REQUEST,)): ACK}
        answer = answers.get(options.get(_TYPE, b""))
        if answer is not None:
            self.reply(chaddr, answer)

    def reply(self, chaddr: Mac, kind: int) -> None:
        """Send an offer or an acknowledgement to a client."""
        if chaddr not in self.leases:
            self.leases[chaddr] = self._next
            self._next += 1
        interface = self._host.eth0
        assert interface.address is not None
        ours, theirs = interface.address.ip, self.leases[chaddr]
        options = {_TYPE: bytes((kind,)), _SERVER: ours.packed, _MASK: interface.address.netmask.packed}
        if self._router is not None:
            options[_ROUTER] = self._router.packed
        message = build(BOOTREPLY, chaddr, theirs, options)
        datagram = encode.udp(ours, theirs, DHCP_SERVER, DHCP_CLIENT, message)
        packet = encode.ipv4(ours, theirs, IP_UDP, datagram)
        interface.nic.transmit(Frame(encode.ethernet(chaddr, interface.mac, ETH_IPV4, packet)))


class DhcpClient:
    """Gets an address for an interface, and a default route where the server names a router."""

    def __init__(self, kernel: Kernel, interface: Interface) -> None:
        self.seen_for_others = 0
        self._kernel = kernel
        self._interface = interface
        interface.taps.append(self._receive)

    def start(self) -> None:
        """Ask, and again each second until there is an address."""
        if self._interface.address is None:
            self._send({_TYPE: bytes((DISCOVER,))})
            self._kernel.clock.call_later(RETRY_S, self.start)

    def _send(self, options: Options) -> None:
        mac = self._interface.mac
        message = build(BOOTREQUEST, mac, NOWHERE, options)
        datagram = encode.udp(NOWHERE, EVERYWHERE, DHCP_CLIENT, DHCP_SERVER, message)
        packet = encode.ipv4(NOWHERE, EVERYWHERE, IP_UDP, datagram)
        self._interface.nic.transmit(Frame(encode.ethernet(BROADCAST, mac, ETH_IPV4, packet)))

    def _receive(self, data: bytes) -> None:
        chaddr = reply_chaddr(data)
        if chaddr is None:
            return
        if chaddr != self._interface.mac:
            self.seen_for_others += 1
            return
        layout = locate(data)
        at = layout.places["ipv4"]
        source, destination = IPv4Address(data[at + 12 : at + 16]), IPv4Address(data[at + 16 : at + 20])
        datagram = data[layout.places["udp"] : layout.end]
        message = read(datagram[8:])
        if message is not None and _is_whole(source, destination, datagram):
            self._answered(message[1], message[2])

    def _answered(self, offered: IPv4Address, options: Options) -> None:
        kind = options.get(_TYPE)
        if kind == bytes((OFFER,)):
            server = options.get(_SERVER, b"")
            self._send({_TYPE: bytes((REQUEST,)), _ASKED_FOR: offered.packed, _SERVER: server})
        elif kind == bytes((ACK,)) and self._interface.address is None:
            self._bind(offered, options)

    def _bind(self, address: IPv4Address, options: Options) -> None:
        mask = IPv4Address(options.get(_MASK, b"\xff\xff\xff\x00"))
        length = IPv4Network((address, str(mask)), strict=False).prefixlen
        self._kernel.set_address(self._interface, IPv4Interface((address, length)))
        if _ROUTER in options:
            self._kernel.add_route(DEFAULT, self._interface, IPv4Address(options[_ROUTER]))
