"""The pace of what goes before data: how much of it a port may send up.

That is ARP and neighbour discovery, what stays on its link (neighbours' hellos, spanning tree, LLDP), and other control
frames that no cached decision matches. A host that sends it without end would keep the switch from all other work. What
is over the pace is dropped and counted ("discovery_flood", "link_local_flood", "control_flood"). Of discovery and
control it is several times what in-band control passes on for a port (``pipeline.budget``), and a part of what a switch
can decide; of what stays on its link several times what neighbours send.

The eBPF program does the same in the kernel (``keeps_pace``); the numbers are compared by a test.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.vocabulary.addresses import BRIDGE_GROUP
from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV6, ETH_VLAN, IP_ICMPV6, REDIRECT, ROUTER_SOLICITATION


class Allowance(NamedTuple):
    """So many a second, and as many at once as come in ``burst_ms``."""

    per_s: int
    burst_ms: int


# Two hundred at once are decided in 30 ms: half of the time after which a neighbour takes a silent link for dead.
DISCOVERY = Allowance(1000, 200)
LINK_LOCAL = Allowance(400, 250)
CONTROL = Allowance(1000, 200)

# The event loop has its turn after so long whatever waits: where flows look at headers in ten thousand ways, a decision
# takes as long. Usual decisions fit in, all that are looked at together: what came before a change must be looked at
# before the timers act upon it.
POLL_S = 0.05

_LINK_LOCAL, _HIGHEST = BRIDGE_GROUP.packed[:5], 0x0F


class Pace:
    """One port's, for one kind: when the last packet would have come, had all kept the pace (GCRA)."""

    def __init__(self, allowance: Allowance) -> None:
        self._due: Instant = 0.0
        self._interval_s, self._burst_s = 1 / allowance.per_s, allowance.burst_ms / 1000

    def is_over(self, now: Instant) -> bool:
        """Whether no more packets may pass now."""
        return self._due - now > self._burst_s

    def keeps(self, now: Instant) -> bool:
        """Whether one more packet may pass now; if it may, it counts."""
        if self.is_over(now):
            return False
        self._due = max(self._due, now) + self._interval_s
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
