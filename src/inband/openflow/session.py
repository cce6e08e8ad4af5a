"""One OpenFlow connection, sans-IO: bytes in, messages out, and what the connection owes its peer by itself.

By itself it agrees on a version (HELLO), answers ECHO, probes a silent peer, and answers what it cannot read with the
specification's ERROR. Everything else it hands up. It owns no socket and no clock: the caller gives it bytes by
``feed``, takes messages by ``read`` as it finds time for them, writes what ``take_output`` gives, calls ``run`` at
``next_deadline``, and closes when ``closing`` says why.

Invariants:

- An ECHO is answered before anything that waits in the queue: a controller that judges us by echoes must not be
  kept waiting by our own packet-ins or by a large flow dump.
- A malformed message costs its sender an ERROR, never the connection; only a header whose length cannot be right
  ends it, because nothing after it can be found.
- Memory is bounded in both directions. While messages of the peer wait to be read, and while it leaves our answers
  unread, ``wants_input`` says to read no more from it. A peer that does not read first loses packet-ins (``dropped``),
  then is not asked for more, and at the hard bound is closed.
- An ERROR never answers an ERROR, and nothing is answered twice.

Not here: what messages do (``inband.agent``), and when to dial again (``inband.openflow.reconnect``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from inband.errors import UsageError
from inband.openflow.codec import HEADER, FramingError, decode, encode, encode_segments, split
from inband.openflow.errors import ERROR_DATA, DecodeError
from inband.openflow.messages import (
    EchoReply,
    EchoRequest,
    Envelope,
    Error,
    Hello,
    Message,
    NxFlowModTableId,
)
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import OFP10, OFP13
from inband.vocabulary.openflow_errors import BadRequest, ErrorType, HelloFailed
from inband.vocabulary.usual import Usual

OFPT_ERROR = 1

_OWN = frozenset({Hello, EchoReply, EchoRequest, NxFlowModTableId})
"""What a session acts on by itself, or ignores."""

# A peer that has been silent for much longer than usual is asked early: its silence means more than that of a peer that
# has nothing to say. If the way must be mended, that is done before the peer's TCP waits for 1.6 s: its pauses double.
UNUSUAL_SILENCE = 2
LEAST_SILENCE_S = 0.5
# How long a peer may take to say HELLO, whatever is configured: the same number as Open vSwitch's.
NEGOTIATION_S = 5.0
# What of an unfinished message counts as a sign of life, in bytes. A whole one always does; a peer that sends a byte
# now and then is as good as silent, and a slow link still gets the greatest message through in 64 intervals.
SIGN_OF_LIFE = 1024
# What is decoded together, in bytes: some short messages, or a long one, of which each kilobyte takes a third of a
# millisecond.
BYTES_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What a connection may do.

    ``versions`` are the wire versions we accept. ``probe_interval_s`` is the silence after which we ask, and after
    the same time again hang up (0: never; 5 s is the habit of Open vSwitch). ``soft_bytes`` of waiting output hold back
    packet-ins and reading, ``hard_bytes`` close.
    """

    versions: frozenset[int] = frozenset({OFP10, OFP13})
    probe_interval_s: float = 5.0
    soft_bytes: int = 256 << 10
    hard_bytes: int = 16 << 20


class SessionState(Enum):
    """The state of the connection; the values are the words for people."""

    OPENING = "negotiating"
    ACTIVE = "active"
    PROBING = "idle"
    CLOSED = "closed"


class Notice(Enum):
    """What ``run`` found out."""

    ASKED = "asked"  # an ECHO was sent early: this silence is unusual for this peer
    PROBED = "probed"  # an ECHO was sent to a silent peer
    EXPIRED = "expired"  # the peer did not answer; ``closing`` says so


Mirror = Callable[[Sequence[bytes]], None]
"""Takes messages as they are on the wire, both directions in order; must not raise."""


class Session:
    """One connection from its first byte to its last; a HELLO waits in the output from the start.

    ``mirror`` gets a copy of what is read and written, while it is set.
    """

    def __init__(self, now: Instant, config: SessionConfig | None = None) -> None:
        self.config = config or SessionConfig()
        self.state = SessionState.OPENING
        self.version: int | None = None
        self.closing: str | None = None
        self.last_heard = self._began_at = now
        self._gap_s = Usual(self.config.probe_interval_s, 0.0)  # between messages; nothing is unusual yet
        self._has_asked = False
        self.dropped = 0
        self.malformed = 0
        self.not_encodable = 0
        self.mirror: Mirror | None = None
        self._has_table_ids = False  # Nicira's flow-mod-table-id: 1.0's FLOW_MOD names a table
        self._input = bytearray()
        self._unfinished = 0  # bytes since the last sign of life
        self._urgent: deque[bytes] = deque()
        self._queued: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._next_xid = 1
        self._push_urgent(Hello(self.config.versions), max(self.config.versions))

    def begin(self, now: Instant) -> None:
        """The connection is up now: silence counts from here."""
        self.last_heard = self._began_at = now

    # What the caller asks

    @property
    def is_negotiated(self) -> bool:
        """Whether a version was agreed on and the connection is up."""
        return self.state in (SessionState.ACTIVE, SessionState.PROBING)

    @property
    def has_output(self) -> bool:
        """Whether ``take_output`` has something."""
        return bool(self._urgent or self._queued)

    @property
    def wants_input(self) -> bool:
        """Whether to read on from the peer: not while messages of it or much of our answers wait.

        So the end of the connection, which ends the reading of what waits, is not seen before all that was sent ahead
        of it has been carried out: a client may send its FLOW_MODs and leave.
        """
        return self.closing is None and not self.has_backlog and not self.has_input

    @property
    def has_input(self) -> bool:
        """Whether ``read`` has something to take: a whole message, or one whose length cannot be right."""
        size = len(self._input)
        return self.closing is None and size >= HEADER.size and size >= (self._input[2] << 8 | self._input[3])

    @property
    def has_backlog(self) -> bool:
        """Whether the peer leaves too much of what we said unread to be asked for more."""
        return self._waiting_bytes >= self.config.soft_bytes

    def take_output(self, limit: int = 1 << 16) -> bytes:
        """Whole messages to write next, echoes first: at least one if there is any, then up to ``limit`` bytes."""
        parts: list[bytes] = []
        size = 0
        while (queue := self._urgent or self._queued) and (not parts or size + len(queue[0]) <= limit):
            parts.append(queue.popleft())
            size += len(parts[-1])
        self._waiting_bytes -= size
        if self.mirror is not None:
            self.mirror(parts)
        return b"".join(parts)

    def send(self, envelope: Envelope, *, is_droppable: bool = False) -> bool:
        """Queue a message; False if it was dropped: a droppable one (PACKET_IN) that found the queue full."""
        if self.closing is not None or (is_droppable and self._waiting_bytes >= self.config.soft_bytes):
            self.dropped += 1
            return False
        try:
            segments = encode_segments(envelope)
        except UsageError:
            # Something that this peer's version cannot say. No reason to lose the connection.
            self.not_encodable += 1
            return False
        for data in segments:
            self._queued.append(data)
            self._waiting_bytes += len(data)
        if self._waiting_bytes > self.config.hard_bytes:
            self._close(f"it left {self._waiting_bytes} bytes unread")
        return True

    def feed(self, data: bytes, now: Instant) -> None:
        """Take bytes from the peer; what is in them waits for ``read``."""
        if self.closing is not None or not data:
            return
        self._input += data
        self._unfinished += len(data)
        if self.has_input or self._unfinished >= SIGN_OF_LIFE:
            self._unfinished = 0
            self._heard(now)

    def excuse(self, now: Instant) -> None:
        """Nothing was read from the peer until now, for reasons of ours: its silence counts from here."""
        self.last_heard = now

    def _heard(self, now: Instant) -> None:
        """A sign of life: a whole message, or much of one."""
        self._gap_s.take(now - self.last_heard)
        self.last_heard, self._has_asked = now, False
        if self.state is SessionState.PROBING:
            self.state = SessionState.ACTIVE

    def read(self, limit: int) -> list[Envelope]:
        """Decode messages that wait, and return those that the owner must act on, in order.

        At most ``limit`` of them, and none after BYTES_AT_ONCE, for a long one takes long to decode.

        Never raises because of the peer.
        """
        if self.closing is not None:
            return []
        try:
            messages = split(self._input, limit, BYTES_AT_ONCE)
        except FramingError as error:
            self._close(str(error))
            return []
        if self.mirror is not None:
            self.mirror(messages)
        return [envelope for raw in messages if (envelope := self._read(raw)) is not None]

    # Time

    def next_deadline(self) -> Instant | None:
        """When to call ``run`` next."""
        if self.closing is not None:
            return None
        if self.state is SessionState.OPENING:
            return self._began_at + NEGOTIATION_S
        if not self.config.probe_interval_s:
            return None
        return self._early_deadline() or self._probe_deadline()

    def _probe_deadline(self) -> Instant:
        return self.last_heard + self.config.probe_interval_s * (2 if self.state is SessionState.PROBING else 1)

    def _early_deadline(self) -> Instant | None:
        """When a peer that usually talks has been silent unusually long; None when its silence says nothing."""
        unusual = max(LEAST_SILENCE_S, UNUSUAL_SILENCE * self._gap_s.mean, self._gap_s.most)
        if self.state is not SessionState.ACTIVE or self._has_asked or unusual >= self.config.probe_interval_s:
            return None
        return self.last_heard + unusual

    def run(self, now: Instant) -> list[Notice]:
        """Do what silence calls for."""
        if self.closing is not None:
            return []
        if self.state is SessionState.OPENING:
            return self._run_negotiation(now)
        if not self.config.probe_interval_s:
            return []
        if now >= self._probe_deadline():
            return [self._probe()]
        early = self._early_deadline()
        if early is None or now < early:
            return []
        # The question itself is what helps: if the path is broken, TCP will have to send it again and tells us so.
        self._has_asked = True
        self._push_urgent(EchoRequest())
        return [Notice.ASKED]

    def _run_negotiation(self, now: Instant) -> list[Notice]:
        if now < self._began_at + NEGOTIATION_S:
            return []
        self._close(f"no HELLO in {NEGOTIATION_S:g} s")
        return [Notice.EXPIRED]

    def _probe(self) -> Notice:
        interval = self.config.probe_interval_s
        match self.state:
            case SessionState.ACTIVE:
                self.state = SessionState.PROBING
                self._push_urgent(EchoRequest())
                return Notice.PROBED
            case SessionState.OPENING | SessionState.PROBING | SessionState.CLOSED:  # OPENING has its own limit
                self._close(f"no answer to a probe in {interval:g} s")
            case _:
                assert_never(self.state)
        return Notice.EXPIRED

    # Reading

    def _read(self, raw: bytes) -> Envelope | None:
        if self.closing is not None:
            return None
        if self.version is None:
            self._greet(raw)
            return None
        try:
            envelope = decode(raw, table_id_in_command=self._has_table_ids)
        except DecodeError as error:
            self._refuse(raw, error.xid, error.type, error.code)
            return None
        if envelope.version == self.version and type(envelope.message) not in _OWN:
            return envelope
        match envelope.message:
            case Hello() | EchoReply():
                pass
            case _ if envelope.version != self.version:
                self._refuse(raw, envelope.xid, ErrorType.BAD_REQUEST, BadRequest.BAD_VERSION)
            case EchoRequest(data):
                self._push_urgent(EchoReply(data), xid=envelope.xid)
            case NxFlowModTableId(enabled):
                self._has_table_ids = enabled
            case _:
                raise AssertionError(f"{type(envelope.message).__name__} is for the owner")
        return None

    def _refuse(self, raw: bytes, xid: int, type_: int, code: int) -> None:
        self.malformed += 1
        if raw[1] != OFPT_ERROR and self.version is not None:
            self.send(Envelope(self.version, xid, Error(type_, code, raw[:ERROR_DATA])))

    def _greet(self, raw: bytes) -> None:
        """Take the peer's first message, which must be a HELLO (OpenFlow 1.3.5, 6.3.1)."""
        try:
            envelope = decode(raw)
        except DecodeError as error:
            self._turn_away(error.xid, f"not a HELLO: {error}")
            return
        if not isinstance(envelope.message, Hello):
            self._turn_away(envelope.xid, f"{type(envelope.message).__name__} came before HELLO")
            return
        version = _agree(self.config.versions, envelope.version, envelope.message.versions)
        if version is None:
            ours = ", ".join(f"{number:#04x}" for number in sorted(self.config.versions))
            self._turn_away(envelope.xid, f"no version in common: we speak {ours}")
            return
        self.version, self.state = version, SessionState.ACTIVE

    def _turn_away(self, xid: int, reason: str) -> None:
        error = Error(ErrorType.HELLO_FAILED, HelloFailed.INCOMPATIBLE, reason.encode()[:ERROR_DATA])
        self._push_urgent(error, max(self.config.versions), xid)
        self._close(reason)

    def _close(self, reason: str) -> None:
        self.state, self.closing = SessionState.CLOSED, reason

    # Writing

    def _push_urgent(self, message: Message, version: int | None = None, xid: int | None = None) -> None:
        if xid is None:
            xid, self._next_xid = self._next_xid, self._next_xid + 1 & 0xFFFFFFFF
        number = version if version is not None else self.version
        assert number is not None, "nothing but HELLO goes out before a version is agreed on"
        data = encode(Envelope(number, xid, message))
        self._urgent.append(data)
        self._waiting_bytes += len(data)


def _agree(ours: frozenset[int], header: int, bitmap: frozenset[int] | None) -> int | None:
    """The version to speak: the highest common one, or without a bitmap the smaller of both highest."""
    if bitmap:
        return max(ours & bitmap, default=None)
    smaller = min(header, max(ours))
    return smaller if smaller in ours else None
