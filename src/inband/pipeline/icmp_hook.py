"""What an ICMP error is about: the packet that it quotes, as a flow key.

A router that cannot pass a packet on tells its sender, and quotes the packet's beginning: all of its IP header, and at
least eight bytes behind it (RFC 792; RFC 4443, 2.4 has more), so protocol, addresses and ports are there. Rule (u)
applies where the quoted packet is one that another rule of in-band control takes: then the error belongs to a protected
connection. Whatever else an error quotes stays the controller's business.

Invariants: what cannot be read is no quote; nothing raises, whatever a frame holds. The error goes to the sender of the
quoted packet, as it should, or it is no quote either: no host is told of others' connections by this.
"""

from __future__ import annotations

from inband.flow.fields import FlowKey
from inband.packet.headers import locate
from inband.packet.parse import parse

# An ICMP error's own header, before the quote.
_ICMP_HEADER = 8
# Enough for an IPv6 header with extensions; what is behind the ports does not matter.
_MAX_QUOTE = 512
# More than any transport header that is looked at: a quote that ends behind the ports is filled up with zeros.
_FILL = bytes(20)


def quoted_packet(data: bytes) -> FlowKey | None:
    """The packet that an ICMP or ICMPv6 error quotes, parsed with the error's MAC addresses and tags, from no port.

    ``data`` is the error's frame. None when there is no whole IP header, or another host's.
    """
    layout = locate(data)
    for icmp, ip, source, destination, length_at, header in (
        ("icmpv4", "ipv4", slice(12, 16), slice(16, 20), 2, 20),
        ("icmpv6", "ipv6", slice(8, 24), slice(24, 40), 4, 40),
    ):
        if icmp not in layout.places:
            continue
        error = data[layout.places[ip] : layout.end]
        start = layout.places[icmp] + _ICMP_HEADER
        quote = bytearray(data[start : min(layout.end, start + _MAX_QUOTE)])
        if len(quote) < header or quote[source] != error[destination]:
            return None
        quote += _FILL
        length = len(quote) - (header if ip == "ipv6" else 0)
        quote[length_at : length_at + 2] = length.to_bytes(2, "big")
        return parse(data[: layout.places["eth_type"] + 2] + quote, 0)
    return None
