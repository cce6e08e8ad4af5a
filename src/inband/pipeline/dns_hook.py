"""DNS for remotes' names passes whatever the flow tables say, and no other DNS does.

Rules (m) and (n) match what goes to and comes from a DNS server, but whose name is asked for is in the payload. So
the pipeline asks here before such a rule decides; where the answer is no, the lookup goes on as if the rule were not
there, and the controller's policy decides. No decision about these packets may be cached, either way.

By UDP each packet has its question. By TCP (RFC 7766) the server's packets need not have it, so connections on which a
client asked for one of the names are remembered, the last MAX_CONNECTIONS of them; what a client sends must be
such questions and nothing else. Segments without payload pass: without a handshake there is no question.

Invariants: work and memory for a packet are bounded, whatever it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from inband.packet.dns import Question, RecordType, question_of
from inband.packet.headers import Layout, locate, u16
from inband.vocabulary.name_hash import name_hash
from inband.vocabulary.numbers import DNS_PORT

# A question takes a few packets; more switches than this that ask by TCP at once ask again.
MAX_CONNECTIONS = 256

Connection = tuple[bytes, int, bytes, int]
"""Client's address and port, server's address and port."""


@dataclass(slots=True)
class DnsWatch:
    """Tells packets about ``names`` (lower case) from other packets to and from DNS servers."""

    names: frozenset[str] = frozenset()
    neighbours_names: frozenset[int] = frozenset()
    """Hashes of the names that neighbours of the network's key ask for (``vocabulary.name_hash``)."""
    _connections: dict[Connection, None] = field(default_factory=dict)

    def lets_pass(self, data: bytes, *, remember: bool = True) -> bool:
        """Whether a frame that (m) or (n) matches is about one of the names.

        With ``remember`` False (a trace) a connection is not noted.
        """
        layout = locate(data)
        if "udp" in layout.places:
            return self._is_wanted(question_of(data[layout.places["udp"] + 8 : layout.end]), data, layout)
        if "tcp" not in layout.places:
            return False
        tcp_at = layout.places["tcp"]
        payload = data[tcp_at + (data[tcp_at + 12] >> 4) * 4 : layout.end]
        return not payload or self._is_wanted_segment(payload, data, layout, remember)

    def _is_wanted(self, question: Question | None, data: bytes, layout: Layout) -> bool:
        if question is None or question.is_answer is not _comes_from_server(data, layout):
            return False
        return question.rdtype in tuple(RecordType) and self._is_asked_for(question.asks_for)

    def _is_asked_for(self, name: str) -> bool:
        return name in self.names or (bool(self.neighbours_names) and name_hash(name) in self.neighbours_names)

    def _is_wanted_segment(self, payload: bytes, data: bytes, layout: Layout, remember: bool) -> bool:
        if _comes_from_server(data, layout):
            return _connection(data, layout, from_server=True) in self._connections
        messages = _messages(payload)
        if not messages or not all(self._is_wanted(question_of(each), data, layout) for each in messages):
            return False
        if remember:
            self._remember(_connection(data, layout, from_server=False))
        return True

    def _remember(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        if len(self._connections) >= MAX_CONNECTIONS:
            del self._connections[next(iter(self._connections))]
        self._connections[connection] = None


def _transport_at(layout: Layout) -> int:
    return layout.places.get("udp") or layout.places["tcp"]


def _comes_from_server(data: bytes, layout: Layout) -> bool:
    at = _transport_at(layout)
    return u16(data, at) == DNS_PORT and u16(data, at + 2) != DNS_PORT


def _connection(data: bytes, layout: Layout, *, from_server: bool) -> Connection:
    at = _transport_at(layout)
    if "ipv4" in layout.places:
        ip_at = layout.places["ipv4"]
        source, destination = data[ip_at + 12 : ip_at + 16], data[ip_at + 16 : ip_at + 20]
    else:
        ip_at = layout.places["ipv6"]
        source, destination = data[ip_at + 8 : ip_at + 24], data[ip_at + 24 : ip_at + 40]
    sender, receiver = (source, u16(data, at)), (destination, u16(data, at + 2))
    client, server = (receiver, sender) if from_server else (sender, receiver)
    return (*client, *server)


def _messages(payload: bytes) -> list[bytes]:
    """The messages of a segment, each behind its length (RFC 1035, 4.2.2); none unless they fill it."""
    found, at = [], 0
    while at + 2 <= len(payload):
        size = u16(payload, at)
        found.append(payload[at + 2 : at + 2 + size])
        at += 2 + size
    return found if at == len(payload) else []
