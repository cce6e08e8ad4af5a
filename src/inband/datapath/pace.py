"""The pace of what has no decision that lasts: how much of it a port may send up.

That is ARP and neighbour discovery, and what stays on its link (neighbours' hellos, spanning tree, LLDP). A host that
sends it without end would keep the switch from all other work. What is over the pace is dropped and counted
("discovery_flood", "link_local_flood"). Of discovery it is several times what in-band control passes on for a port
(``pipeline.budget``), and a part of what a switch can decide; of the rest several times what neighbours send.

The eBPF program does the same in the kernel (``keeps_pace``); the numbers are compared by a test.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV6, ETH_VLAN, IP_ICMPV6, REDIRECT, ROUTER_SOLICITATION


class Allowance(NamedTuple):
    """So many a second, and as many at once as come in ``burst_ms``."""

    per_s: int
    burst_ms: int


DISCOVERY = Allowance(1000, 500)
LINK_LOCAL = Allowance(400, 250)

# 01:80:c2:00:00:00 to 0f (IEEE 802.1Q, 8.6.3).
_LINK_LOCAL, _HIGHEST = bytes.fromhex("0180c20000"), 0x0F


class Pace:
    """One port's, for one kind: when the last packet would have come, had all kept the pace (GCRA)."""

    def __init__(self, allowance: Allowance) -> None:
        self._due: Instant = 0.0
        self._interval_s, self._burst_s = 1 / allowance.per_s, allowance.burst_ms / 1000

    def keeps(self, now: Instant) -> bool:
        """Whether one more packet may pass now; if it may, it counts."""
        at = max(self._due, now)
        if at - now > self._burst_s:
            return False
        self._due = at + self._interval_s
        return True


def is_link_local(frame: bytes | bytearray | memoryview, at: int, end: int) -> bool:
    """Whether the frame that is from ``at`` to ``end`` stays on the link that it came on."""
    return end > at + 5 and frame[at] == 1 and frame[at : at + 5] == _LINK_LOCAL and frame[at + 5] <= _HIGHEST


def is_discovery(frame: bytes | bytearray | memoryview, at: int, end: int) -> bool:
    """Whether the frame that is from ``at`` to ``end``, with a tag or without, is ARP or neighbour discovery."""
    if end < at + 14:
        return False
    eth_type = frame[at + 12] << 8 | frame[at + 13]
    if eth_type == ETH_VLAN and end >= at + 18:
        at += 4
        eth_type = frame[at + 12] << 8 | frame[at + 13]
    if eth_type == ETH_ARP:
        return True
    if eth_type != ETH_IPV6 or end < at + 55 or frame[at + 20] != IP_ICMPV6:
        return False
    return ROUTER_SOLICITATION <= frame[at + 54] <= REDIRECT
