"""The pace of neighbour discovery: how much ARP and ND that has no decision yet a port may send up.

Most of it can have no decision that lasts, so a host that asks without end would keep the switch from all other work.
What is over the pace is dropped and counted ("discovery_flood"). It is several times what in-band control passes on for
a port (``pipeline.budget``), and a part of what a switch can decide.

The eBPF program does the same in the kernel (``keeps_pace``); the numbers are compared by a test.
"""

from __future__ import annotations

from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV6, ETH_VLAN, IP_ICMPV6, REDIRECT, ROUTER_SOLICITATION

PER_S, BURST_MS = 1000, 500

_INTERVAL_S, _BURST_S = 1 / PER_S, BURST_MS / 1000
_ARP, _IPV6, _TAGGED = (kind.to_bytes(2, "big") for kind in (ETH_ARP, ETH_IPV6, ETH_VLAN))


class DiscoveryPace:
    """One port's: when the last packet would have come, had all kept the pace (GCRA)."""

    def __init__(self) -> None:
        self._due: Instant = 0.0

    def keeps(self, now: Instant) -> bool:
        """Whether one more packet may pass now; if it may, it counts."""
        at = max(self._due, now)
        if at - now > _BURST_S:
            return False
        self._due = at + _INTERVAL_S
        return True


def is_discovery(frame: bytes | bytearray | memoryview, at: int, end: int) -> bool:
    """Whether the frame that is from ``at`` to ``end``, with a tag or without, is ARP or neighbour discovery."""
    if frame[at + 12 : at + 14] == _TAGGED:
        at += 4
    eth_type = frame[at + 12 : at + 14]
    if eth_type == _ARP:
        return True
    if eth_type != _IPV6 or end < at + 55 or frame[at + 20] != IP_ICMPV6:
        return False
    return ROUTER_SOLICITATION <= frame[at + 54] <= REDIRECT
