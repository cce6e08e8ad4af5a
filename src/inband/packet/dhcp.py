"""DHCP as far as a switch must look: is this a reply, and for whom (RFC 951, RFC 2131, RFC 8415).

In-band control delivers DHCP replies for the local port whatever the flow table says. For whom a reply is, is in
its payload (chaddr), so flow keys can only say that a packet may be one; ``read_reply`` says the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from inband.flow.fields import FIELDS, FlowKey
from inband.flow.match import Match
from inband.packet.headers import locate
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import DHCP_CLIENT, DHCP_SERVER, DHCPV6_CLIENT, DHCPV6_SERVER, ETH_IPV4, ETH_IPV6, IP_UDP

DHCP_REPLY = Match.of(eth_type=ETH_IPV4, ip_proto=IP_UDP, udp_src=DHCP_SERVER, udp_dst=DHCP_CLIENT)
DHCPV6_REPLY = Match.of(eth_type=ETH_IPV6, ip_proto=IP_UDP, udp_src=DHCPV6_SERVER, udp_dst=DHCPV6_CLIENT)

# The fixed part of a message (RFC 951, 3) and where things are in it.
_FIXED_SIZE = 236
_OP, _HTYPE, _HLEN, _XID, _YIADDR, _CHADDR = 0, 1, 2, 4, 16, 28
_BOOTREPLY, _ETHERNET = 2, 1
# Options (RFC 2132, 2, 3.3, 3.5, 9.6, 9.7), and the message that gives a lease.
_COOKIE = bytes.fromhex("63825363")
_PAD, _MASK, _ROUTERS, _TYPE, _SERVER, _END = 0, 1, 3, 53, 54, 255
_ACK = b"\x05"


_UDP_SRC, _UDP_DST = FIELDS["udp_src"], FIELDS["udp_dst"]


def is_request(key: FlowKey) -> bool:
    """Whether a packet is from a DHCP client to a server or relay."""
    return _UDP_SRC.get(key) == DHCP_CLIENT and _UDP_DST.get(key) == DHCP_SERVER


class LeasedNetwork(NamedTuple):
    """What a lease makes of a client: a host in this network, behind this router (0: none)."""

    network: int
    mask: int
    router: int


@dataclass(frozen=True, slots=True)
class DhcpReply:
    """A reply: for which client and question (xid), from which server (0: it says none), and if it is a DHCPACK.

    ``network`` is where the address is that it offers or gives, None if it has none.
    """

    chaddr: Mac
    xid: bytes
    server: int
    is_lease: bool
    network: LeasedNetwork | None = None


def read_reply(data: bytes) -> DhcpReply | None:
    """Read a frame as a DHCP reply; None if it is none, is cut, or is not for an Ethernet client."""
    message = _message(data)
    if len(message) < _FIXED_SIZE or message[_OP] != _BOOTREPLY:
        return None
    if message[_HTYPE] != _ETHERNET or message[_HLEN] != 6:
        return None
    options = _options(message[_FIXED_SIZE:])
    identifier = _address(options, _SERVER)
    network = _network(int.from_bytes(message[_YIADDR : _YIADDR + 4]), options)
    chaddr = Mac.from_bytes6(message[_CHADDR : _CHADDR + 6])
    return DhcpReply(chaddr, message[_XID : _XID + 4], identifier, options.get(_TYPE) == _ACK, network)


def _network(address: int, options: dict[int, bytes]) -> LeasedNetwork | None:
    mask = _address(options, _MASK)
    return LeasedNetwork(address & mask, mask, _address(options, _ROUTERS)) if address else None


def _address(options: dict[int, bytes], code: int) -> int:
    """An option's only address, or the first of several; 0 where there is none."""
    value = options.get(code, b"")
    return 0 if len(value) % 4 else int.from_bytes(value[:4])


def request_xid(data: bytes) -> bytes:
    """What the answers to a frame that is a DHCP request repeat."""
    return _message(data)[_XID : _XID + 4]


def _message(data: bytes) -> bytes:
    layout = locate(data)
    udp_at = layout.places.get("udp")
    return b"" if udp_at is None else data[udp_at + 8 : layout.end]


def reply_chaddr(data: bytes) -> Mac | None:
    """For which client a frame is a DHCP reply; None as in ``read_reply``."""
    reply = read_reply(data)
    return None if reply is None else reply.chaddr


def _options(data: bytes) -> dict[int, bytes]:
    """The options by their codes, the first of each, as far as they are whole (RFC 2132, 2)."""
    found: dict[int, bytes] = {}
    if data[:4] != _COOKIE:
        return found
    at = 4
    while at + 1 < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        end = at + 2 + data[at + 1]
        if end > len(data):
            break
        found.setdefault(data[at], data[at + 2 : end])
        at = end
    return found
