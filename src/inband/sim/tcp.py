"""A very small TCP: enough to carry OpenFlow sessions over a simulated network and to suffer when it is cut.

Connections open with three segments; data is acknowledged, and sent again with back-off; a reset closes. Times are
Linux's, because how soon a channel recovers depends on them: 1 s for the first SYN, 0.2 s for data, doubled each
time; the third acknowledgement in a row that says nothing new has what is missing sent at once. Sequence numbers and
checksums are real, so captures can be read with the usual tools.

How much is on its way without an acknowledgement is Linux's, too: ten segments at first, one more for each that is
acknowledged, and a single one after a timeout. What waits meanwhile, and what is sent again, goes together in segments
as large as there may be. Else a channel that is silent for a second would be a storm of its own when it comes back.

What it is not: there are no receive windows and no options, data that overtakes other data is dropped and comes again
with it, closing is always by reset, and sequence numbers do not wrap (no one sends 4 GB here).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from struct import Struct
from typing import NamedTuple

from inband.switch.driver import Clock, Planned
from inband.switch.transport import StreamUser, TcpProgress

SYN, RST, PSH, ACK = 2, 4, 8, 16
MAX_SEGMENT = 1400
# Linux's first retransmission timeout of a SYN, and its lower bound for data (RFC 6298 has 1 s for both).
SYN_TIMEOUT_S, DATA_TIMEOUT_S = 1.0, 0.2
MAX_TIMEOUT_S = 120.0
# Segments on their way (RFC 6928; RFC 5681, 3.1).
INITIAL_WINDOW, MAX_WINDOW = 10, 1000
# Acknowledgements that say nothing new: so many mean that a segment was lost (RFC 5681, 3.2).
DUPLICATES = 3
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

    @property
    def end(self) -> int:
        """The sequence number after it."""
        return self.sequence + len(self.payload) + bool(self.flags & SYN)

    @classmethod
    def parse(cls, data: bytes) -> Segment | None:
        """Read a segment; None when it is cut. The checksum is the caller's matter."""
        if len(data) < _HEADER.size:
            return None
        source, destination, sequence, acknowledgement, offset, flags, *_ = _HEADER.unpack_from(data)
        return cls(source, destination, sequence, acknowledgement, flags, data[(offset >> 4) * 4 :])


class State(Enum):
    """The state of a connection."""

    OPENING = "opening"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(slots=True, eq=False)
class Connection:
    """One end of a connection: ``switch.transport.Connecting`` at first, ``Transport`` when it is open.

    ``ports`` are ours and the peer's. ``transmit`` sends a segment; ``ended`` is called when it is over, however that
    comes. ``retries`` counts how often in a row something was sent again without an acknowledgement: TCP_INFO's
    retransmits.
    """

    clock: Clock
    ports: tuple[int, int]
    transmit: Callable[[Segment], None]
    user: StreamUser
    peer: str = ""
    ended: Callable[[], None] = lambda: None
    state: State = State.OPENING
    retries: int = 0
    _next_send: int = FIRST_SEQUENCE
    _next_receive: int = 0
    _unacknowledged: list[Segment] = field(default_factory=list)
    _window: int = INITIAL_WINDOW
    _unsent: bytearray = field(default_factory=bytearray)
    _timeout_s: float = SYN_TIMEOUT_S
    _timer: Planned | None = None
    _owes_ack: bool = False
    _duplicates: int = 0

    def open(self) -> None:
        """Send the SYN."""
        self._send(SYN)

    def fail(self, reason: str) -> None:
        """There is no connection (any more): the user hears of it later, as an event loop does it."""
        self._end()
        self.clock.call_soon(lambda: self.user.closed(reason))

    # --- switch.transport.Connecting and Transport ------------------------------------------------------------------

    def cancel(self) -> None:
        """Close for both ends; the user is not told."""
        if self.state is State.OPEN:
            self._transmit(RST | ACK)
        self._end()

    def abort(self) -> None:
        """Close for both ends."""
        if self.state is not State.CLOSED:
            self.cancel()
            self.fail("closed here")

    def close(self) -> None:
        """As ``Transport.close``: what was written has left already."""
        self.abort()

    def write(self, data: bytes) -> None:
        """Send data, as far as so much may be on its way."""
        if self.state is not State.CLOSED:
            self._unsent += data
            self._send_more()

    def set_reading(self, wanted: bool) -> None:
        """As ``Transport.set_reading``: the peer may send what it likes here, so everything is read."""

    def progress(self) -> TcpProgress:
        """As ``Transport.progress``."""
        return TcpProgress(len(self._unacknowledged), self.retries)

    # --- segments ---------------------------------------------------------------------------------------------------

    def take(self, segment: Segment) -> None:
        """Take a segment of this connection."""
        if segment.flags & RST:
            was_open = self.state is State.OPEN
            self._end()
            self.user.closed("connection reset by peer" if was_open else "connection refused")
            return
        if segment.flags & ACK:
            self._acknowledged(segment)
        if segment.flags & SYN:
            self._take_syn(segment)
        elif self.state is State.OPENING and segment.flags & ACK and not self._unacknowledged:
            self._established()
        if segment.payload and self.state is State.OPEN:
            self._take_data(segment)

    def _take_syn(self, segment: Segment) -> None:
        """Our SYN was answered, or this is the peer's, for the first time or again."""
        if self.state is State.OPENING:
            self._next_receive = segment.sequence + 1
        if segment.flags & ACK:
            self._transmit(ACK)
            if self.state is State.OPENING:
                self._established()
        elif self._next_send == FIRST_SEQUENCE:
            self._send(SYN | ACK)
        else:
            self._send_again()

    def _established(self) -> None:
        self.state, self._window = State.OPEN, INITIAL_WINDOW
        self.user.opened(self)

    def _take_data(self, segment: Segment) -> None:
        self._owes_ack = True
        known = self._next_receive - segment.sequence
        if 0 <= known < len(segment.payload):
            self._next_receive = segment.end
            self.user.received(segment.payload[known:])
        # What the user sent meanwhile has acknowledged the data with it.
        if self._owes_ack and self.state is State.OPEN:
            self._transmit(ACK)

    def _acknowledged(self, by: Segment) -> None:
        left = [segment for segment in self._unacknowledged if segment.end > by.acknowledgement]
        acknowledged = len(self._unacknowledged) - len(left)
        if acknowledged:
            self._window = min(self._window + acknowledged, MAX_WINDOW)
            self._unacknowledged, self.retries, self._timeout_s, self._duplicates = left, 0, DATA_TIMEOUT_S, 0
            self._plan()
            self._send_more()
        elif left and not by.payload:
            self._duplicates += 1
            if self._duplicates == DUPLICATES:
                self._send_again()

    def _send_more(self) -> None:
        while self._unsent and len(self._unacknowledged) < self._window:
            payload = bytes(self._unsent[:MAX_SEGMENT])
            del self._unsent[:MAX_SEGMENT]
            self._send(PSH | ACK, payload)

    def _send(self, flags: int, payload: bytes = b"") -> None:
        if self.state is State.CLOSED:
            return
        segment = self._transmit(flags, payload)
        self._next_send = segment.end
        self._unacknowledged.append(segment)
        if self._timer is None:
            self._timeout_s = SYN_TIMEOUT_S if flags & SYN else DATA_TIMEOUT_S
            self._plan()

    def _transmit(self, flags: int, payload: bytes = b"") -> Segment:
        segment = Segment(*self.ports, self._next_send, self._next_receive, flags, payload)
        self._owes_ack = False
        self.transmit(segment)
        return segment

    def _send_again(self) -> None:
        self._unacknowledged = _joined(self._unacknowledged)
        for segment in self._unacknowledged:
            self.transmit(segment._replace(acknowledgement=self._next_receive))

    def _plan(self) -> None:
        """Send again what is not acknowledged, after the timeout."""
        if self._timer is not None:
            self._timer.cancel()
        due = self.clock.time() + self._timeout_s
        self._timer = self.clock.call_at(due, self._on_timer) if self._unacknowledged else None

    def _on_timer(self) -> None:
        self.retries += 1
        self._window = 1
        self._timeout_s = min(self._timeout_s * 2, MAX_TIMEOUT_S)
        self._plan()
        self._send_again()

    def _end(self) -> None:
        self.state = State.CLOSED
        self._unacknowledged.clear()
        self._unsent.clear()
        self._plan()
        self.ended()


def _joined(segments: list[Segment]) -> list[Segment]:
    """The same bytes in as few segments as there may be; one without data stays alone."""
    joined: list[Segment] = []
    for segment in segments:
        last = joined[-1] if joined else None
        if last is None or not last.payload or len(last.payload) + len(segment.payload) > MAX_SEGMENT:
            joined.append(segment)
        else:
            joined[-1] = last._replace(payload=last.payload + segment.payload)
    return joined
