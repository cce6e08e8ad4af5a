"""How much neighbour discovery in-band control takes from each port: a storm must stay local.

ARP and neighbour discovery for a remote or next hop may come from whoever is behind this switch, and most of it is
flooded by the slow path of each switch on the way. A host that asks without end would make a whole row of switches do
nothing else. So each port has a budget; over it the rules do not apply, and the flow table decides about the packet.

What is for this switch itself has a budget of its own, so that neither takes it from the other: who asks for this
switch becomes an entry of its kernel's neighbour table, where its own next hop must find room. Answers to its MAC
address, and what it sends, cost nothing.

Invariants: work per packet is constant; memory is two entries at most for each port that such a packet came from.
"""

from __future__ import annotations

from dataclasses import dataclass

from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant


@dataclass(frozen=True, slots=True)
class Budget:
    """So many packets at once, and so many a second."""

    burst: float
    rate_per_s: float


# Fifty switches behind a port that come up ask some 300 times in their first second (next_hop: at growing intervals up
# to half a second, and the kernel four times a second). Whoever is asked has a neighbour entry for each sender, which
# Linux keeps for five seconds at least, and 1,024 of them at most: a remote that has no room for the switches
# themselves loses them all.
OTHERS = Budget(burst=300.0, rate_per_s=100.0)
# Few have to send to this switch: routers, managers, a DHCP server. Two ports may be flooded at once.
OWN = Budget(burst=100.0, rate_per_s=50.0)


class DiscoveryBudget:
    """Two token buckets for each port: for what is about this switch, and for what is about others."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[PortNo, bool], tuple[float, Instant]] = {}

    def allows(self, port: PortNo, now: Instant, *, own: bool = False) -> bool:
        """Whether one more packet from this port is within the budget; ``own``: it is about this switch."""
        return self._tokens(port, now, own=own) >= 1.0

    def spend(self, port: PortNo, now: Instant, *, own: bool = False) -> bool:
        """Take one packet out of the budget; False, and nothing is taken, if it is spent."""
        tokens = self._tokens(port, now, own=own)
        if tokens < 1.0:
            return False
        self._buckets[port, own] = (tokens - 1.0, now)
        return True

    def _tokens(self, port: PortNo, now: Instant, *, own: bool) -> float:
        budget = OWN if own else OTHERS
        tokens, at = self._buckets.get((port, own), (budget.burst, now))
        return min(budget.burst, tokens + max(0.0, now - at) * budget.rate_per_s)
