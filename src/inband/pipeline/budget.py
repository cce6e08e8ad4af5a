"""How much neighbour discovery of others in-band control passes on for each port: a storm must stay local.

ARP and neighbour discovery for a remote or next hop may come from whoever is behind this switch, and most of it is
flooded by the slow path of each switch on the way. A host that asks without end would make a whole row of switches do
nothing else. So each port has a budget; over it the rules do not apply, and the flow table decides about the packet.
What this switch itself asks and is asked, and what is addressed to it, costs nothing.

Invariants: work per packet is constant; memory is one entry for each port that such a packet came from.
"""

from __future__ import annotations

from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant

# Fifty switches behind a port that come up ask some 300 times in their first second (next_hop: at growing intervals up
# to half a second, and the kernel four times a second).
BURST = 300.0
# Whoever is asked has a neighbour entry for each sender, which Linux keeps for five seconds at least, and 1,024 of them
# at most: a remote that has no room for the switches themselves loses them all.
RATE_PER_S = 100.0


class DiscoveryBudget:
    """A token bucket for each port."""

    def __init__(self) -> None:
        self._buckets: dict[PortNo, tuple[float, Instant]] = {}

    def allows(self, port: PortNo, now: Instant) -> bool:
        """Whether one more packet from this port is within the budget."""
        return self._tokens(port, now) >= 1.0

    def spend(self, port: PortNo, now: Instant) -> bool:
        """Take one packet out of the budget; False, and nothing is taken, if it is spent."""
        tokens = self._tokens(port, now)
        if tokens < 1.0:
            return False
        self._buckets[port] = (tokens - 1.0, now)
        return True

    def _tokens(self, port: PortNo, now: Instant) -> float:
        tokens, at = self._buckets.get(port, (BURST, now))
        return min(BURST, tokens + max(0.0, now - at) * RATE_PER_S)
