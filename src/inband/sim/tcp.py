"""A very small TCP: enough to carry an OpenFlow session over a simulated network and to suffer when it is cut.

Connections open with three segments; data is acknowledged, and sent again with back-off; a reset closes. Times are
Linux's, because how soon a channel recovers depends on them: 1 s for the first SYN, 0.2 s for data, doubled each time.
There are no windows, no congestion control and no options, data that overtakes other data is dropped and comes again,
closing is always by reset, and sequence numbers do not wrap (nobody sends 4 GB here). Sequence numbers and checksums
are real, so captures can be read with the usual tools.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from struct import Struct
from typing import NamedTuple, Protocol

from inband.vocabulary.instant import Instant

SYN, RST, PSH, ACK = 2, 4, 8, 16
MAX_SEGMENT = 1400
# Linux's first retransmission timeout of a SYN, and its lower bound for data (RFC 6298 has 1 s for both).
SYN_TIMEOUT_S, DATA_TIMEOUT_S = 1.0, 0.2
MAX_TIMEOUT_S = 120.0
_HEADER = Struct("!HHIIBBHHH")
FIRST_SEQUENCE = 1000


class Segment(NamedTuple):
    """A TCP segment without the addresses around it."""

    source: int
    destination: int
    sequence: int
    acknowledgement: int
    flags: int
    payload: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Segment | None:
        """Read a segment; None when it is cut. The checksum is the caller's matter."""
        if len(data) < _HEADER.size:
            return None
        source, destination, sequence, acknowledgement, offset, flags, *_ = _HEADER.unpack_from(data)
        return cls(source, destination, sequence, acknowledgement, flags, data[(offset >> 4) * 4 :])


class ConnectionUser(Protocol):
    """Who uses a connection."""

    def opened(self) -> None:
        """Both ends are there."""

    def received(self, data: bytes) -> None:
        """Data came, in order."""

    def closed(self, reason: str) -> None:
        """The connection is over; said once, and not after the user's own ``abort``."""


class State(Enum):
    """Where a connection stands."""

    OPENING = "opening"
    OPEN = "open"
    CLOSED = "closed"


class _Sent(NamedTuple):
    sequence: int
    flags: int
    payload: bytes

    @property
    def end(self) -> int:
        return self.sequence + len(self.payload) + bool(self.flags & SYN)


@dataclass(slots=True, eq=False)
class Connection:
    """One end of a connection. ``transmit`` sends a segment; the owner calls ``tick`` at ``retry_at``.

    ``retries`` counts how often in a row something was sent again without an acknowledgement: TCP_INFO's retransmits.
    """

    local_port: int
    remote_port: int
    transmit: Callable[[Segment], None]
    user: ConnectionUser
    state: State = State.OPENING
    retry_at: Instant | None = None
    retries: int = 0
    _next_send: int = FIRST_SEQUENCE
    _next_receive: int = 0
    _unacknowledged: list[_Sent] = field(default_factory=list)
    _timeout_s: float = SYN_TIMEOUT_S
    _owes_ack: bool = False
    _early: bytes = b""

    @property
    def has_unacknowledged(self) -> bool:
        """Whether something sent was not acknowledged yet."""
        return bool(self._unacknowledged)

    def open(self, now: Instant) -> None:
        """Send the SYN."""
        self._queue(SYN, b"", now)

    def send(self, data: bytes, now: Instant) -> None:
        """Send data: at once when the connection is open (there is no window), else as soon as it is."""
        if self.state is State.OPENING:
            self._early += data
            return
        for start in range(0, len(data), MAX_SEGMENT):
            self._queue(PSH | ACK, data[start : start + MAX_SEGMENT], now)

    def abort(self) -> None:
        """Close for both ends; the user is not told."""
        if self.state is State.OPEN:
            self._transmit(self._next_send, RST | ACK, b"")
        self._end()

    def take(self, segment: Segment, now: Instant) -> None:
        """Take a segment of this connection."""
        if segment.flags & RST:
            was_open = self.state is State.OPEN
            self._end()
            self.user.closed("connection reset by peer" if was_open else "connection refused")
            return
        if segment.flags & ACK:
            self._acknowledged(segment.acknowledgement, now)
        if segment.flags & SYN:
            self._take_syn(segment, now)
        elif self.state is State.OPENING and segment.flags & ACK and not self._unacknowledged:
            self._established(now)
        if segment.payload and self.state is State.OPEN:
            self._take_data(segment)

    def tick(self, now: Instant) -> None:
        """Send again what was not acknowledged in time."""
        if self.retry_at is None or now < self.retry_at:
            return
        self.retries += 1
        self._timeout_s = min(self._timeout_s * 2, MAX_TIMEOUT_S)
        self.retry_at = now + self._timeout_s
        for sent in self._unacknowledged:
            self._transmit(*sent)

    def _take_syn(self, segment: Segment, now: Instant) -> None:
        """Our SYN was answered, or this is the peer's, for the first time or again."""
        if self.state is State.OPENING:
            self._next_receive = segment.sequence + 1
        if segment.flags & ACK:
            self._transmit(self._next_send, ACK, b"")
            if self.state is State.OPENING:
                self._established(now)
        elif self._next_send == FIRST_SEQUENCE:
            self._queue(SYN | ACK, b"", now)
        else:
            for sent in self._unacknowledged:
                self._transmit(*sent)

    def _established(self, now: Instant) -> None:
        self.state = State.OPEN
        self.send(self._early, now)
        self.user.opened()

    def _take_data(self, segment: Segment) -> None:
        self._owes_ack = True
        if segment.sequence == self._next_receive:
            self._next_receive += len(segment.payload)
            self.user.received(segment.payload)
        # What the user sent meanwhile has acknowledged the data with it.
        if self._owes_ack and self.state is State.OPEN:
            self._transmit(self._next_send, ACK, b"")

    def _queue(self, flags: int, payload: bytes, now: Instant) -> None:
        if self.state is State.CLOSED:
            return
        sent = _Sent(self._next_send, flags, payload)
        self._unacknowledged.append(sent)
        if self.retry_at is None:
            self._timeout_s = SYN_TIMEOUT_S if flags & SYN else DATA_TIMEOUT_S
            self.retry_at = now + self._timeout_s
        self._next_send = sent.end
        self._transmit(*sent)

    def _acknowledged(self, up_to: int, now: Instant) -> None:
        left = [sent for sent in self._unacknowledged if sent.end > up_to]
        if len(left) == len(self._unacknowledged):
            return
        self._unacknowledged = left
        self.retries = 0
        self._timeout_s = DATA_TIMEOUT_S
        self.retry_at = now + self._timeout_s if left else None

    def _end(self) -> None:
        self.state, self.retry_at = State.CLOSED, None
        self._unacknowledged.clear()

    def _transmit(self, sequence: int, flags: int, payload: bytes) -> None:
        self._owes_ack = False
        self.transmit(
            Segment(self.local_port, self.remote_port, sequence, self._next_receive, flags, payload),
        )
