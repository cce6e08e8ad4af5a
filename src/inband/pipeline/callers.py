"""Who calls controllers through this switch, by rule (h), and how much of it each port may cause.

Without a key it is not known which hosts behind a port are switches, so (h) is open to any. What can be bound is how
much of it there is. A TCP connection that a controller has answered costs nothing more, so a switch that is connected
never loses its channel to a host that calls without end. Any other segment costs a piece of the port's budget. An
address that a controller has answered has a small budget of its own besides: where a host behind the same port spends
all of the port's, such a switch comes back all the same.

In a network with a key answers may take another way than this switch. A call that a neighbour of the key passes on has
been counted where it came into the network, so it costs nothing (``claims``).

An RST is no answer: it is what a port that does not listen says to any segment.

Invariants: work per packet is constant. Memory is bounded; what is in use lately is not pushed out.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from inband.flow.fields import FIELDS
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import AddressKey
from inband.vocabulary.instant import Instant
from inband.vocabulary.rate_limit import RateLimit

# Connections remembered: those of a thousand switches, each with several bridges and controllers.
MAX_CONNECTIONS = 4096
# Addresses that a controller has answered, and how long one is remembered at least.
MAX_ANSWERED, ANSWERED_S = 1024, 300.0
# Of such an address: a machine with several bridges and controllers starts again.
KNOWN_PER_S, KNOWN_AT_ONCE = 2.0, 16.0

_SRC_PORT, _DST_PORT, _FLAGS = FIELDS["tcp_src"], FIELDS["tcp_dst"], FIELDS["tcp_flags"]
_SRC = {4: FIELDS["ipv4_src"], 6: FIELDS["ipv6_src"]}
_DST = {4: FIELDS["ipv4_dst"], 6: FIELDS["ipv6_dst"]}
CALLING_BITS = {version: _SRC_PORT.mask | field.mask for version, field in _SRC.items()}
"""The bits of a packet to a controller, by version of IP, that show which of its sender's connections it is of."""
ANSWERING_BITS = {version: _DST_PORT.mask | field.mask for version, field in _DST.items()}
"""The same of a packet from a controller."""
_SYN, _RST, _ACK = 0x02, 0x04, 0x10


class Connection(NamedTuple):
    """A TCP connection to a controller: who called, from which port, and whom."""

    caller: AddressKey
    port: int
    remote: int
    remote_port: int


def calling(version: int, key: int) -> Connection:
    """The connection of a packet to a controller."""
    caller = (version, _SRC[version].get(key))
    return Connection(caller, _SRC_PORT.get(key), _DST[version].get(key), _DST_PORT.get(key))


def answering(version: int, key: int) -> Connection:
    """The connection of a packet from a controller."""
    caller = (version, _DST[version].get(key))
    return Connection(caller, _DST_PORT.get(key), _SRC[version].get(key), _SRC_PORT.get(key))


def is_reset(key: int) -> bool:
    """Whether a TCP segment ends or refuses its connection at once."""
    return bool(_FLAGS.get(key) & _RST)


def is_under_way(key: int) -> bool:
    """Whether a TCP segment is of a connection that was answered, by what it says."""
    return _FLAGS.get(key) & (_SYN | _RST | _ACK) == _ACK


class Callers:
    """The connections through this switch that were answered, and the addresses that called."""

    def __init__(self) -> None:
        self._connections: OrderedDict[Connection, None] = OrderedDict()
        self._answered: OrderedDict[AddressKey, Instant] = OrderedDict()
        self._own: OrderedDict[tuple[PortNo, AddressKey], RateLimit] = OrderedDict()

    def knows(self, connection: Connection) -> bool:
        """Whether a controller has answered this connection."""
        return connection in self._connections

    def was_answered(self, address: AddressKey) -> bool:
        """Whether a controller has answered this address."""
        return address in self._answered

    def answered(self, connection: Connection, now: Instant) -> None:
        """A controller has answered this connection; of too many the one not seen for longest is forgotten."""
        connections = self._connections
        if connection not in connections and len(connections) >= MAX_CONNECTIONS:
            connections.popitem(last=False)
        connections[connection] = None
        connections.move_to_end(connection)
        self._answered_address(connection.caller, now)

    def _answered_address(self, address: AddressKey, now: Instant) -> None:
        answered = self._answered
        if address not in answered and len(answered) >= MAX_ANSWERED:
            oldest = next(iter(answered))
            if now - answered[oldest] < ANSWERED_S:
                return
            del answered[oldest]
        answered[address] = now
        answered.move_to_end(address)

    def may_call_again(self, port: PortNo, address: AddressKey, now: Instant) -> bool:
        """Whether an address that a controller has answered may send out of its own budget; counts it if so."""
        if address not in self._answered:
            return False
        own = self._own.get((port, address))
        if own is None:
            if len(self._own) >= MAX_ANSWERED:
                self._own.popitem(last=False)
            own = self._own[port, address] = RateLimit(KNOWN_PER_S, KNOWN_AT_ONCE, now)
        return own.take(now)
