"""How much of in-band control each port may cause: a storm must stay local.

Some of what in-band control forwards may come from whoever is behind a port, and is decided and mostly flooded by the
slow path of each switch on the way: ARP and neighbour discovery for a remote or next hop, TCP to a controller's port,
and whatever goes to an address that is not known. A host that sends such packets without end would make a whole row of
switches do nothing else, and a ring pass them round. So each port has a budget for each kind. Over it no rule applies,
and the flow table decides about the packet, as about any other; what would be flooded is dropped.

What is for this switch itself has a budget of its own, so that neither takes it from the other: who asks for this
switch becomes an entry of its kernel's neighbour table, where its own next hop must find room. Answers to its MAC
address, and what it sends, cost nothing.

Invariants: work per packet is constant; memory is an entry for each port and kind that such a packet came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

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
# Sixty-four switches behind a port that come back at once send four segments each before they are answered. After that
# fifty switches a second: what a controller's queue of new connections (128 in many programs) and its CPU can bear.
DIALLED = Budget(burst=256.0, rate_per_s=50.0)
# The same sixty-four, each with a few segments that are sent before the place of the controller is found again.
FLOODED = Budget(burst=256.0, rate_per_s=100.0)


class Kind(Enum):
    """What there is a budget for, each port's own."""

    OTHERS = OTHERS
    """Neighbour discovery about others."""
    OWN = OWN
    """Neighbour discovery about this switch."""
    DIALLED = DIALLED
    """TCP to controllers that they have not answered."""
    FLOODED = FLOODED
    """What is flooded and is no neighbour discovery."""


class PortBudgets:
    """A token bucket for each port and kind."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[PortNo, Kind], tuple[float, Instant]] = {}

    def allows(self, port: PortNo, kind: Kind, now: Instant) -> bool:
        """Whether one more packet from this port is within the budget."""
        return self._tokens(port, kind, now) >= 1.0

    def spend(self, port: PortNo, kind: Kind, now: Instant) -> bool:
        """Take one packet out of the budget; False, and nothing is taken, if it is spent."""
        tokens = self._tokens(port, kind, now)
        if tokens < 1.0:
            return False
        self._buckets[port, kind] = (tokens - 1.0, now)
        return True

    def _tokens(self, port: PortNo, kind: Kind, now: Instant) -> float:
        budget = kind.value
        tokens, at = self._buckets.get((port, kind), (budget.burst, now))
        return min(budget.burst, tokens + max(0.0, now - at) * budget.rate_per_s)
