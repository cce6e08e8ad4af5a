"""Who calls controllers through this switch, by rule (h), and how often each port may call anew.

Without a key it is not known which hosts behind a port are switches, so (h) is open to any. What can be bound is how
much of it there is: a new TCP connection (addresses and ports that were not seen lately) costs a piece of the port's
budget. Segments of a known one cost nothing, so a switch that is connected never loses its channel to a host that calls
without end. An address that a controller has answered has a small budget of its own besides: where a host behind the
same port spends all of the port's, such a switch comes back all the same.

Invariants: work per packet is constant. Memory is bounded; when it is full of what is in use, nothing new gets in.
"""

from __future__ import annotations

from collections import OrderedDict

from inband.flow.fields import FIELDS
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import AddressKey
from inband.vocabulary.instant import Instant
from inband.vocabulary.rate_limit import RateLimit

# Connections remembered for each port: 64 switches, each with several bridges and controllers.
MAX_CONNECTIONS = 1024
# Addresses that a controller has answered, of all ports, and how long one is remembered when there are more.
MAX_ANSWERED, ANSWERED_S = 1024, 300.0
# New connections of such an address: a machine with several bridges and controllers starts again.
KNOWN_PER_S, KNOWN_AT_ONCE = 2.0, 16.0

_PORTS = FIELDS["tcp_src"].mask | FIELDS["tcp_dst"].mask
_ADDRESSES = {4: ("ipv4_src", "ipv4_dst"), 6: ("ipv6_src", "ipv6_dst")}
_CONNECTION = {version: _PORTS | FIELDS[src].mask | FIELDS[dst].mask for version, (src, dst) in _ADDRESSES.items()}
CALLER_BITS = {version: FIELDS["tcp_src"].mask | FIELDS[src].mask for version, (src, _) in _ADDRESSES.items()}
"""The bits of a packet, by version of IP, that show which of a sender's connections it belongs to."""


class Callers:
    """The connections through this switch, and the addresses that they came from."""

    def __init__(self) -> None:
        self._connections: dict[PortNo, OrderedDict[int, None]] = {}
        self._answered: OrderedDict[AddressKey, Instant] = OrderedDict()
        self._own: OrderedDict[tuple[PortNo, AddressKey], RateLimit] = OrderedDict()

    def knows(self, port: PortNo, version: int, key: int) -> bool:
        """Whether the packet with this key belongs to a connection that was let through."""
        known = self._connections.get(port)
        return known is not None and key & _CONNECTION[version] in known

    def connect(self, port: PortNo, version: int, key: int) -> None:
        """Let the connection of the packet with this key through from now on; the one longest unseen is forgotten."""
        known, connection = self._connections.setdefault(port, OrderedDict()), key & _CONNECTION[version]
        if connection not in known and len(known) >= MAX_CONNECTIONS:
            known.popitem(last=False)
        known[connection] = None
        known.move_to_end(connection)

    def answered(self, address: AddressKey, now: Instant) -> None:
        """A controller has sent to this address."""
        answered = self._answered
        if address not in answered and len(answered) >= MAX_ANSWERED:
            oldest = next(iter(answered))
            if now - answered[oldest] < ANSWERED_S:
                return
            del answered[oldest]
        answered[address] = now
        answered.move_to_end(address)

    def may_call_again(self, port: PortNo, address: AddressKey, now: Instant) -> bool:
        """Whether an address that a controller has answered may call anew out of its own budget; counts it if so."""
        if address not in self._answered:
            return False
        own = self._own.get((port, address))
        if own is None:
            if len(self._own) >= MAX_ANSWERED:
                self._own.popitem(last=False)
            own = self._own[port, address] = RateLimit(KNOWN_PER_S, KNOWN_AT_ONCE, now)
        return own.take(now)
