"""One OpenFlow connection: ``openflow.session`` on a stream of bytes that its owner moves (``switch.transport``).

It decides when to read from the peer, how long the peer may take to read our last words, and watches TCP for the first
sign that the path is broken: data of ours that the kernel had to send again. That shows within a fraction of a second
what an inactivity probe shows in ten, and costs nothing while nothing is sent.

Invariants: the stream is not read while messages of the peer wait to be carried out, or too much of our
answers is unread; so what waits is bounded. Who is not read from for our own reasons, because a message takes long, is
not silent; who does not read is. After ``closing`` nothing of what the peer sent is carried out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from inband.openflow.messages import Envelope
from inband.openflow.session import Notice, Session, SessionConfig
from inband.switch.transport import Transport
from inband.vocabulary.instant import Instant, earliest

# Twice a LAN's worst round trip, and above Linux's shortest retransmission timeout (200 ms), so that one lost segment
# is seen as soon as the kernel itself has noticed it.
ACK_CHECK_S = 0.25
# How long a peer may take to read our last words (an ERROR that says why) before the connection is cut.
LAST_WORDS_S = 1.0


class ChannelUser(Protocol):
    """Who acts on what a channel hears: the connection manager."""

    def opened(self, channel: Channel) -> None:
        """The stream is there, and HELLO is said."""

    def heard(self, channel: Channel) -> None:
        """The peer said something: perhaps messages wait."""

    def writable(self, channel: Channel) -> None:
        """The peer has read what waited for it."""

    def carry_out(self, channel: Channel, until: Instant) -> bool:
        """Act on messages that wait, until then; whether more wait."""

    def closed(self, channel: Channel, reason: str) -> None:
        """The stream is over, or was never opened."""


class Channel:
    """A connection, from the moment that it is wanted. Implements ``StreamUser`` and ``Worker``.

    ``number`` identifies it to the agent, ``peer`` the other end to people. ``is_first``: it is a controller's
    (``switch.turns``).
    """

    def __init__(
        self,
        number: int,
        user: ChannelUser,
        clock: Callable[[], Instant],
        config: SessionConfig,
        *,
        is_first: bool,
        peer: str = "",
    ) -> None:
        self.number = number
        self.peer = peer
        self.session = Session(clock(), config)
        self.is_first = is_first
        self.is_silent = False
        self._user = user
        self._clock = clock
        self._transport: Transport | None = None
        self._put_back: deque[Envelope] = deque()
        self._is_writable = True
        self._is_reading = True
        self._is_closing = False
        self._ack_check_at: Instant | None = None
        self._cut_at: Instant | None = None

    # --- what others ask ----------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the stream is there."""
        return self._transport is not None

    @property
    def has_work(self) -> bool:
        """Whether messages of the peer wait to be carried out, and its answers would find room."""
        waits = bool(self._put_back) or self.session.has_input
        return waits and self.is_open and not self.session.has_backlog and self.session.closing is None

    def read(self, limit: int) -> list[Envelope]:
        """At most ``limit`` of the messages that wait, without those that the session answers itself."""
        if not self.has_work:
            return []
        if self._put_back:
            return [self._put_back.popleft() for _ in range(min(limit, len(self._put_back)))]
        return self.session.read(limit)

    def put_back(self, envelopes: Sequence[Envelope]) -> None:
        """Messages that were read and cannot be carried out yet: they come again, first."""
        self._put_back.extendleft(reversed(envelopes))

    def flush(self) -> None:
        """Write what the session has, close when it says so, stop or go on reading as it wants."""
        transport = self._transport
        if transport is None or self._is_closing:
            return
        while self.session.has_output and self._is_writable:
            transport.write(self.session.take_output())
            if self._ack_check_at is None:
                transport.progress()  # what is sent again from now on counts
                self._ack_check_at = self._clock() + ACK_CHECK_S
        if self.session.closing is not None:
            self._is_closing, self._cut_at = True, self._clock() + LAST_WORDS_S
            transport.close()
            return
        wants_input = self.session.wants_input and not self._put_back
        if wants_input != self._is_reading:
            self._is_reading = wants_input
            transport.set_reading(wants_input)
            if wants_input:
                self.session.excuse(self._clock())

    def configure(self, config: SessionConfig) -> None:
        """Probe, and bound what waits, as ``config`` says from now on; versions are those of the next connection."""
        self.session.config = config

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    # --- StreamUser and Worker ----------------------------------------------------------------------------------------

    def opened(self, transport: Transport) -> None:
        """Say HELLO."""
        self._transport, self.peer = transport, transport.peer
        self.session.begin(self._clock())
        self.flush()
        self._user.opened(self)

    def received(self, data: bytes) -> None:
        """Bytes came from the peer."""
        self.session.feed(data, self._clock())
        self.flush()
        self._user.heard(self)

    def set_writable(self, is_writable: bool) -> None:
        """The stream takes no more: what is said stays in the session, where packet-ins can be dropped; or it does."""
        self._is_writable = is_writable
        if is_writable:
            self.flush()
            self._user.writable(self)

    def closed(self, reason: str) -> None:
        """The stream is over."""
        self._transport = None
        self._ack_check_at = self._cut_at = None
        self._user.closed(self, self.session.closing or reason)

    def work(self, until: Instant) -> bool:
        """Have messages carried out."""
        return self._user.carry_out(self, until)

    # --- time ---------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due; None while there is no stream."""
        if self._transport is None:
            return None
        return earliest(self.session.next_deadline(), self._ack_check_at, self._cut_at)

    def run(self) -> list[Notice]:
        """Probe a silent peer, cut one that does not listen, look at TCP (``is_silent``)."""
        transport, now = self._transport, self._clock()
        if transport is None:
            return []
        if not self._is_reading and not self.session.has_backlog:
            self.session.excuse(now)
        notices = self.session.run(now)
        if self._ack_check_at is not None and self._ack_check_at <= now:
            progress = transport.progress()
            self._ack_check_at = now + ACK_CHECK_S if progress is not None and progress.unacknowledged else None
            self.is_silent = progress is not None and progress.is_stuck
        if self._cut_at is not None and self._cut_at <= now:
            self._cut_at = None
            transport.abort()
        self.flush()
        return notices
