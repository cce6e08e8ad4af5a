"""How much of in-band control each port may cause: a storm must stay local.

Some of what in-band control forwards may come from whoever is behind a port, and is decided and mostly flooded by the
slow path of each switch on the way: ARP and neighbour discovery for a remote or next hop, TCP to a controller's port,
and whatever goes to an address that is not known. A host that sends such packets without end would make a whole row of
switches do nothing else, and a ring pass them round. So each port has a budget for each kind. Over it no rule applies,
and the flow table decides about the packet, as about any other; what would be flooded is dropped.

What is for this switch itself has a budget of its own, so that neither takes it from the other: who asks for this
switch becomes an entry of its kernel's neighbour table, where its own next hop must find room. Answers to its MAC
address, and what it sends, cost nothing.

Discovery about others has one for each remote or next hop that it is about, and TCP for each controller, for what they
protect is the neighbour table, and the queue of new connections, of that host: two hundred switches behind a port that
come up ask for each of their controllers.

Invariants: work per packet is constant; memory is an entry for each port, kind and subject that such a packet came
from, MAX_BUCKETS at most: full ones are forgotten, which changes nothing, and if that is not enough all others share.
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


# Of one address. Fifty switches behind a port that come up ask some 300 times in their first second (next_hop: at
# growing intervals up to half a second, and the kernel four times a second). Whoever is asked has a neighbour entry for
# each sender, which Linux keeps for five seconds at least, and 1,024 of them at most: a remote that has no room for the
# switches themselves loses them all.
OTHERS = Budget(burst=300.0, rate_per_s=100.0)
# Of one address, what a proven next hop, or by a neighbour a switch that a controller has answered, says to one station
# alone: who is asked has an entry for it already, and each switch on the way decides once. After a link died each of
# hundreds of switches asks its next hop so. A datapath lets no more come up.
KNOWN = Budget(burst=1000.0, rate_per_s=1000.0)
# Few have to send to this switch: routers, managers, a DHCP server. Two ports may be flooded at once.
OWN = Budget(burst=100.0, rate_per_s=50.0)
# Of one controller. Sixty-four switches behind a port that come back at once send four segments each before they are
# answered. After that fifty switches a second: what a controller's queue of new connections (128 in many programs) and
# its CPU can bear.
DIALLED = Budget(burst=256.0, rate_per_s=50.0)
# Of one controller, segments of connections that are under way, from a port with a neighbour: after a failure ways
# there and back differ, and a switch on the way there alone hears no answers. A datapath lets no more come up.
UNDER_WAY = Budget(burst=500.0, rate_per_s=1000.0)
# The same sixty-four, each with a few segments that are sent before the place of the controller is found again.
FLOODED = Budget(burst=256.0, rate_per_s=100.0)


class Kind(Enum):
    """What there is a budget for, each port's own."""

    OTHERS = OTHERS
    """Neighbour discovery about others."""
    KNOWN = KNOWN
    """Of that, what known stations say to one station."""
    OWN = OWN
    """Neighbour discovery about this switch."""
    DIALLED = DIALLED
    """TCP to controllers that they have not answered."""
    UNDER_WAY = UNDER_WAY
    """Of that, what is not the beginning of a connection, and comes from a neighbour."""
    FLOODED = FLOODED
    """What is flooded and is no neighbour discovery."""


# Ten thousand managers may be asked for. To look at all costs a few milliseconds, so not with each packet.
MAX_BUCKETS, TIDY_S = 4096, 3.0

_Key = tuple[PortNo, Kind, str]


class PortBudgets:
    """A token bucket for each port, kind and subject: the text of the rule's (``flow.origin``), or none."""

    def __init__(self) -> None:
        self._buckets: dict[_Key, tuple[float, Instant]] = {}
        self._tidied_at: Instant = float("-inf")

    def allows(self, port: PortNo, kind: Kind, now: Instant, subject: str = "") -> bool:
        """Whether one more packet from this port is within the budget."""
        return self._tokens((port, kind, subject), now) >= 1.0

    def spend(self, port: PortNo, kind: Kind, now: Instant, subject: str = "") -> bool:
        """Take one packet out of the budget; False, and nothing is taken, if it is spent."""
        key = port, kind, subject
        if subject and key not in self._buckets and not self._has_room(now):
            key = port, kind, ""
        tokens = self._tokens(key, now)
        if tokens < 1.0:
            return False
        self._buckets[key] = (tokens - 1.0, now)
        return True

    def _tokens(self, key: _Key, now: Instant) -> float:
        budget = key[1].value
        tokens, at = self._buckets.get(key, (budget.burst, now))
        return min(budget.burst, tokens + max(0.0, now - at) * budget.rate_per_s)

    def _has_room(self, now: Instant) -> bool:
        if len(self._buckets) >= MAX_BUCKETS and now >= self._tidied_at + TIDY_S:
            self._tidied_at = now
            full = [key for key in self._buckets if self._tokens(key, now) >= key[1].value.burst]
            for key in full:
                del self._buckets[key]
        return len(self._buckets) < MAX_BUCKETS
