"""A very small TCP: enough to carry an OpenFlow session over a simulated network and to suffer when it is cut.

Connections open with three segments, data is acknowledged and sent again with back-off, a reset closes. There are no
windows, no congestion control, no options, and closing is always by reset. Sequence numbers are real, so frames can be
read with the usual tools.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from inband.flow.flow import Instant

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MAX_SEGMENT = 1400
# Linux's first retransmission timeout of a SYN, and its lower bound for data (RFC 6298 has 1 s for both).
SYN_TIMEOUT_S, DATA_TIMEOUT_S = 1.0, 0.2
MAX_TIMEOUT_S = 8.0
_HEADER = struct.Struct("!HHIIBBHHH")


class Segment(NamedTuple):
    """A TCP segment without the addresses around it."""

    source: int
    destination: int
    sequence: int
    acknowledgement: int
    flags: int
    payload: bytes

    def packed(self) -> bytes:
        """Header and payload, checksum 0 (the stack fills it)."""
        header = _HEADER.pack(
            self.source, self.destination, self.sequence, self.acknowledgement, 5 << 4, self.flags, 0xFFFF, 0, 0
        )
        return header + self.payload

    @classmethod
    def parse(cls, data: bytes) -> Segment | None:
        """Read a segment; None when it is cut."""
        if len(data) < _HEADER.size:
            return None
        source, destination, sequence, acknowledgement, offset, flags, *_ = _HEADER.unpack_from(data)
        return cls(source, destination, sequence, acknowledgement, flags, data[(offset >> 4) * 4 :])


@dataclass(slots=True, eq=False)
class Connection:
    """One end of a connection. ``transmit`` sends a segment; the owner reads ``received`` and calls ``tick``."""

    local_port: int
    remote_port: int
    transmit: Callable[[Segment], None]
    opened: bool = False
    closed: bool = False
    received: bytearray = field(default_factory=bytearray)
    next_send: int = 1000
    next_receive: int = 0
    unacknowledged: list[tuple[int, int, bytes]] = field(default_factory=list)  # (sequence, flags, payload)
    retry_at: Instant | None = None
    timeout_s: float = SYN_TIMEOUT_S

    def open(self, now: Instant) -> None:
        """Send the SYN."""
        self._queue(SYN, b"", now)

    def send(self, data: bytes, now: Instant) -> None:
        """Send data (at once; there is no window)."""
        for start in range(0, len(data), MAX_SEGMENT):
            self._queue(PSH | ACK, data[start : start + MAX_SEGMENT], now)

    def reset(self) -> None:
        """Close for both ends."""
        if not self.closed:
            self.closed = True
            self.retry_at = None
            self._transmit(self.next_send, RST | ACK, b"")

    def accept(self, segment: Segment, now: Instant) -> None:
        """Take a segment of this connection."""
        if segment.flags & RST:
            self.closed, self.retry_at = True, None
            return
        if segment.flags & ACK:
            self._acknowledged(segment.acknowledgement, now)
        if segment.flags & SYN:
            self.next_receive = segment.sequence + 1
            if not segment.flags & ACK and not self.opened:
                if not self.unacknowledged:  # a SYN sent twice is answered by our own retransmission
                    self._queue(SYN | ACK, b"", now)
                return
            self._transmit(self.next_send, ACK, b"")
        self.opened = self.opened or bool(segment.flags & ACK)
        if segment.payload:
            if segment.sequence == self.next_receive:
                self.received += segment.payload
                self.next_receive += len(segment.payload)
            self._transmit(self.next_send, ACK, b"")

    def tick(self, now: Instant) -> None:
        """Send again what was not acknowledged in time."""
        if self.retry_at is None or now < self.retry_at or not self.unacknowledged:
            return
        self.timeout_s = min(self.timeout_s * 2, MAX_TIMEOUT_S)
        self.retry_at = now + self.timeout_s
        for sequence, flags, payload in self.unacknowledged:
            self._transmit(sequence, flags, payload)

    def _queue(self, flags: int, payload: bytes, now: Instant) -> None:
        self.unacknowledged.append((self.next_send, flags, payload))
        if self.retry_at is None:
            self.timeout_s = SYN_TIMEOUT_S if flags & SYN else DATA_TIMEOUT_S
            self.retry_at = now + self.timeout_s
        sequence = self.next_send
        self.next_send += len(payload) + (1 if flags & SYN else 0)
        self._transmit(sequence, flags, payload)

    def _acknowledged(self, up_to: int, now: Instant) -> None:
        left = [item for item in self.unacknowledged if item[0] + max(1, len(item[2])) > up_to]
        if len(left) == len(self.unacknowledged):
            return
        self.unacknowledged = left
        self.timeout_s = DATA_TIMEOUT_S
        self.retry_at = now + self.timeout_s if left else None

    def _transmit(self, sequence: int, flags: int, payload: bytes) -> None:
        segment = Segment(self.local_port, self.remote_port, sequence, self.next_receive, flags, payload)
        self.transmit(segment)
