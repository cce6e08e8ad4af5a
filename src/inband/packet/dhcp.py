"""DHCP as far as a switch must look: is this a reply, and for whom (RFC 951, RFC 2131, RFC 8415).

In-band control delivers DHCP replies for the local port whatever the flow table says. For whom a reply is, is in
its payload (chaddr), so flow keys can only say that a packet may be one; ``reply_chaddr`` says the rest.
"""

from __future__ import annotations

from inband.flow.match import Match
from inband.packet.headers import locate
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import DHCP_CLIENT, DHCP_SERVER, DHCPV6_CLIENT, DHCPV6_SERVER, ETH_IPV4, ETH_IPV6, IP_UDP

DHCP_REPLY = Match.of(eth_type=ETH_IPV4, ip_proto=IP_UDP, udp_src=DHCP_SERVER, udp_dst=DHCP_CLIENT)
DHCPV6_REPLY = Match.of(eth_type=ETH_IPV6, ip_proto=IP_UDP, udp_src=DHCPV6_SERVER, udp_dst=DHCPV6_CLIENT)

# The fixed part of a message (RFC 951, 3) and where things are in it.
_FIXED_SIZE = 236
_OP, _HTYPE, _HLEN, _CHADDR = 0, 1, 2, 28
_BOOTREPLY, _ETHERNET = 2, 1


def reply_chaddr(data: bytes) -> Mac | None:
    """For which client a frame is a DHCP reply: None if it is none, is cut, or is not for an Ethernet client."""
    layout = locate(data)
    udp_at = layout.places.get("udp")
    if udp_at is None:
        return None
    message = data[udp_at + 8 : layout.end]
    if len(message) < _FIXED_SIZE or message[_OP] != _BOOTREPLY:
        return None
    if message[_HTYPE] != _ETHERNET or message[_HLEN] != 6:
        return None
    return Mac.from_bytes6(message[_CHADDR : _CHADDR + 6])
