"""When to dial a controller, when to give up an attempt, when to try again: one state machine per target.

It is a table from (state, event) to what happens, so that all of it can be read on one screen and tested by
transcripts. It owns no socket and no clock: events go in with ``now``, commands come out, and ``next_deadline`` says
when it wants to be called again.

Why not leave it to TCP: the first SYN of a switch that comes up in-band is often lost on the way (a switch
in between is not up yet, an address is not resolved), and the kernel repeats it only after 1 s, then 2 s, 4 s. So
another one is dialled beside an attempt that has no answer for half a second, and beside one during which there is news
from the network (a next hop was resolved, a link came up), because the reason for the failure may be gone. Whichever
answers first is used. News also ends the wait between two attempts. No attempt is given up sooner than a slow path
answers: at first after a second or what the peer has taken before, then after twice as long each time.

Invariant: in every state but VOID and ACTIVE there is a deadline or an attempt under way that the caller
will report; a peer that accepts and drops connections at once is dialled at the back-off's pace, not in a loop; an
event that cannot happen in a state is an InvalidTransition, not a guess. Negotiation and probing of a connection are
the session's (``inband.openflow.session``): it tells the caller to close, and the caller tells this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from inband.vocabulary.instant import Instant, earliest

MIN_BACKOFF_S = 0.1
"""First wait after a failure: a controller process that restarts is back within about that time."""

MAX_BACKOFF_S = 8.0
"""Longest wait: the default of Open vSwitch's max_backoff, which operators know."""

FIRST_ATTEMPT_S = 1.0
"""No path on earth takes longer: a geostationary satellite's round trip is 0.6 s."""

AGAIN_S = 0.5
"""Shorter than the kernel's first SYN repetition (1 s, RFC 6298), longer than most paths' round trip."""

MOST_AT_ONCE = 3
"""Connections that are tried side by side in one attempt, however much news there is."""

SEEN_FACTOR = 2
"""How many times what the peer took to answer before an attempt gets."""

MAX_ATTEMPT_S = 8.0
"""Slow paths still connect: attempts double up to this."""

LEAST_ATTEMPT_S = 0.1
"""News from the network dials no sooner than this after the last time: there may be a stream of news."""

STABLE_S = 1.0
"""A connection that was up this long proves that dialling works: the back-off starts from the bottom again."""


class State(Enum):
    """The state of a target. The values are the words for people."""

    VOID = "void"
    BACKOFF = "backoff"
    CONNECTING = "connecting"
    NEGOTIATING = "negotiating"
    ACTIVE = "active"
    IDLE = "idle"


class Event(Enum):
    """What the caller reports."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    CONNECTED = "connected"  # TCP (and TLS) is up
    FAILED = "failed"  # the attempt ended without a connection
    NEGOTIATED = "negotiated"  # HELLOs agreed on a version
    WENT_IDLE = "went idle"  # the session sends a probe
    HEARD = "heard"  # the probe was answered
    DISCONNECTED = "disconnected"  # the connection ended, whoever ended it
    NETWORK_CHANGED = "network changed"  # a next hop was resolved, a link came up: the next attempt may succeed


@dataclass(frozen=True, slots=True)
class Dial:
    """Start a connection attempt now (for a passive target: listen), and report CONNECTED or FAILED."""


@dataclass(frozen=True, slots=True)
class DialAgain:
    """Try beside the attempt under way; report CONNECTED for the first that is up, FAILED when one was refused."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the attempt, the connection or the listening; nothing is to be reported about it."""

    reason: str


Command = Dial | DialAgain | HangUp


class InvalidTransition(Exception):  # noqa: N818 (it names what happened)
    """The caller reported an event that cannot happen in this state: a defect of the caller."""


class Reconnect:
    """The state machine of one target. ``max_backoff_s`` bounds the wait between attempts."""

    def __init__(self, *, max_backoff_s: float = MAX_BACKOFF_S) -> None:
        self.max_backoff_s = max_backoff_s
        self.state = State.VOID
        self.since: Instant = 0.0
        self.last_error: str | None = None
        self.last_error_at: Instant = 0.0
        self.attempts = 0
        self.successes = 0
        self.backoff_s = 0.0
        self._attempt_s = FIRST_ATTEMPT_S
        self._dialled_at: Instant = 0.0
        self._dialled = 0  # how many are tried side by side
        self._again_at: Instant | None = None
        self._seen_s = 0.0
        self._deadline: Instant | None = None
        self._is_hurried = False

    @property
    def is_connected(self) -> bool:
        """Whether a version was agreed on and the connection is up."""
        return self.state in (State.ACTIVE, State.IDLE)

    def handle(self, event: Event, now: Instant, reason: str = "") -> list[Command]:
        """Take an event; ``reason`` is for people and goes with FAILED, DISCONNECTED and DISABLED.

        Raises InvalidTransition for an event that cannot happen in this state.
        """
        step = _TABLE.get((self.state, event))
        if step is None:
            raise InvalidTransition(f"{event.value!r} while {self.state.value}")
        return step(self, now, reason)

    def next_deadline(self) -> Instant | None:
        """When to call ``run`` next; None: only an event can change anything."""
        return earliest(self._deadline, self._again_at)

    def run(self, now: Instant) -> list[Command]:
        """Do what is due: dial when the back-off is over, give up an attempt that took too long."""
        if self._again_at is not None and now >= self._again_at:
            return [*self._dial_again(now), *self.run(now)]
        if self._deadline is None or now < self._deadline:
            return []
        if self.state is State.BACKOFF:
            return self._dial(now, "")
        waited = now - self.since
        return [HangUp("took too long"), *self._fail(now, f"no answer in {waited:.1f} s")]

    # Steps: each leaves the machine in its new state and returns the commands of the transition.

    def _enter(self, state: State, now: Instant, deadline: Instant | None = None) -> None:
        self.state, self.since, self._deadline, self._again_at = state, now, deadline, None

    def _enable(self, now: Instant, _: str) -> list[Command]:
        self.backoff_s, self._attempt_s, self._is_hurried = 0.0, FIRST_ATTEMPT_S, False
        return self._dial(now, "")

    def _disable(self, now: Instant, reason: str) -> list[Command]:
        is_open = self.state is not State.BACKOFF
        self._enter(State.VOID, now)
        return [HangUp(reason or "switched off")] if is_open else []

    def _dial(self, now: Instant, _: str) -> list[Command]:
        self.attempts += 1
        self._dialled_at, self._dialled = now, 1
        self._enter(State.CONNECTING, now, now + max(self._attempt_s, self._seen_s * SEEN_FACTOR))
        self._again_at = now + AGAIN_S
        return [Dial()]

    def _dial_again(self, now: Instant) -> list[Command]:
        """Beside the attempt under way, which then has its full time from now on."""
        self._again_at = None
        self._dialled_at, self._dialled = now, self._dialled + 1
        least = max(FIRST_ATTEMPT_S, self._seen_s * SEEN_FACTOR)
        self._deadline = max(self._deadline or now, now + least)
        return [DialAgain()]

    def _fail(self, now: Instant, reason: str) -> list[Command]:
        if reason:
            self.last_error, self.last_error_at = reason, now
        if self.state is State.CONNECTING:
            self._attempt_s = min(self._attempt_s * 2, MAX_ATTEMPT_S)
        self.backoff_s = min(max(self.backoff_s * 2, MIN_BACKOFF_S), self.max_backoff_s)
        # The network changed during the attempt: the wait is over before it began, once.
        until = max(now, self._dialled_at + LEAST_ATTEMPT_S) if self._is_hurried else now + self.backoff_s
        self._is_hurried = False
        self._enter(State.BACKOFF, now, until)
        return self.run(now)

    def _connected(self, now: Instant, _: str) -> list[Command]:
        self._is_hurried = False
        self._seen_s = min(now - self.since, MAX_ATTEMPT_S)
        self._enter(State.NEGOTIATING, now)
        return []

    def _negotiated(self, now: Instant, _: str) -> list[Command]:
        self.successes += 1
        self._enter(State.ACTIVE, now)
        return []

    def _went_idle(self, now: Instant, _: str) -> list[Command]:
        # ``since`` stays: the connection is as old as it was.
        self.state = State.IDLE
        return []

    def _heard(self, now: Instant, _: str) -> list[Command]:
        self.state = State.ACTIVE
        return []

    def _disconnected(self, now: Instant, reason: str) -> list[Command]:
        if now - self.since >= STABLE_S:
            self.backoff_s, self._attempt_s = 0.0, FIRST_ATTEMPT_S
        return self._fail(now, reason)

    def _hurry(self, now: Instant, _: str) -> list[Command]:
        self.backoff_s, self._attempt_s = 0.0, FIRST_ATTEMPT_S
        if self._deadline is None:
            return []
        soon = max(now, self._dialled_at + LEAST_ATTEMPT_S)
        if self.state is State.CONNECTING:
            self._is_hurried = True
            if self._dialled < MOST_AT_ONCE:
                self._again_at = soon if self._again_at is None else min(self._again_at, soon)
        else:
            self._deadline = min(self._deadline, soon)
        return self.run(now)

    def _stay(self, now: Instant, _: str) -> list[Command]:
        return []


_TABLE = {
    (State.VOID, Event.ENABLED): Reconnect._enable,
    (State.VOID, Event.DISABLED): Reconnect._stay,
    (State.VOID, Event.NETWORK_CHANGED): Reconnect._stay,
    (State.BACKOFF, Event.DISABLED): Reconnect._disable,
    (State.BACKOFF, Event.NETWORK_CHANGED): Reconnect._hurry,
    (State.CONNECTING, Event.DISABLED): Reconnect._disable,
    (State.CONNECTING, Event.CONNECTED): Reconnect._connected,
    (State.CONNECTING, Event.FAILED): Reconnect._fail,
    (State.CONNECTING, Event.NETWORK_CHANGED): Reconnect._hurry,
    (State.NEGOTIATING, Event.DISABLED): Reconnect._disable,
    (State.NEGOTIATING, Event.NEGOTIATED): Reconnect._negotiated,
    (State.NEGOTIATING, Event.DISCONNECTED): Reconnect._fail,
    (State.NEGOTIATING, Event.NETWORK_CHANGED): Reconnect._stay,
    (State.ACTIVE, Event.DISABLED): Reconnect._disable,
    (State.ACTIVE, Event.WENT_IDLE): Reconnect._went_idle,
    (State.ACTIVE, Event.HEARD): Reconnect._stay,
    (State.ACTIVE, Event.DISCONNECTED): Reconnect._disconnected,
    (State.ACTIVE, Event.NETWORK_CHANGED): Reconnect._stay,
    (State.IDLE, Event.DISABLED): Reconnect._disable,
    (State.IDLE, Event.WENT_IDLE): Reconnect._stay,
    (State.IDLE, Event.HEARD): Reconnect._heard,
    (State.IDLE, Event.DISCONNECTED): Reconnect._disconnected,
    (State.IDLE, Event.NETWORK_CHANGED): Reconnect._stay,
}
