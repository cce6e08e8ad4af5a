"""One port: when it says hello, who answers, and when the neighbour counts as lost.

The states are those of ``LinkState``. Each hello promises when the next one comes; a neighbour is lost when MISSED of
them did not. Both ends agree on the smaller of the two intervals that they want: FAST_MS where control traffic passes,
QUIET_MS where that is little and nothing has changed in the network for ALERT_S, IDLE_MS elsewhere. So a link's life is
known in a few hundredths of a second where that counts, and costs next to nothing where it does not.

Machines stall. Who stalls itself judges no one (``excuse``), and an alarm that was false doubles how much this end
bears before the next one, up to MAX_BACK_OFF times; a minute of peace halves it. To come back takes one hello.

Where there is a key only a hello that names one of ours, of late, counts for more than being heard: others may have
been recorded.

Invariants: a hello of another neighbour than the one that is alive changes nothing; a sequence number counts once; work
and memory per hello are constant. No clock, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inband.errors import WireError
from inband.fabric.events import LinkState
from inband.fabric.hello import LONG_HOLD, MAX_WANTED, TICK_S, Change, Heard, Hello, Wanted, is_newer
from inband.fabric.keys import Hashed
from inband.fabric.update import Update
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant
from inband.vocabulary.rate_limit import RateLimit

FAST_MS, QUIET_MS, IDLE_MS = 20, 40, 1000
# One failure is often followed by others.
ALERT_S = 10.0
# A host hears one frame a second, and after TRIES of them one in LONELY_MS; whoever comes says hello himself.
LONELY_MS, TRIES = 5000, 10
# As BFD's detection multiplier (RFC 5880, 6.8.4), and what timers of two machines differ by.
MISSED, SLACK_S = 3, 0.005
# A slower pace is promised this many hellos before it is kept: not all of them get lost.
PROMISES = 5
# The last part of a pause may be cut short, to wake both ends once for all that is to be said.
JOIN = 0.3
# A link that comes up is heard by the other end a moment later.
FIRST_S = 0.01
MAX_BACK_OFF = 16
PEACE_S = 60.0
# A neighbour that is back within this was not gone: the alarm was false.
FALSE_ALARM_S = 2.0
# For so long after a loss hellos go on as before, so that the neighbour hears at once that all is well.
INSIST_S = 1.0
# Control traffic that left a port may be back soon.
LINGER_S = 10.0
# How old what the neighbour has heard may be: a message that was recorded earlier says something older.
WINDOW = 512
# Each change of the topology is in so many hellos: one of them arrives.
REPEATS = 3
MAX_WAITING = 8
# More than both paces together; the rest is a flood. As many updates, of which a neighbour sends half as many.
HELLOS_PER_S, HELLO_BURST = 200.0, 50.0
_SEQUENCES = 1 << 32
_ROUND_TRIP_WEIGHT = 0.125  # as RFC 6298, 2.3
_REMEMBERED = 64
# Senders whose last sequence number is known: a neighbour's boots, and neighbours that were here before it.
_MAX_PROVEN = 8


_AFTER = {LinkState.HEARD: LinkState.UNKNOWN, LinkState.TWO_WAY: LinkState.LOST}
"""What a neighbour that is alive becomes when its link goes down."""


class Transition(NamedTuple):
    """A state that has become another one, and why."""

    old: LinkState
    new: LinkState
    reason: str


@dataclass(slots=True)
class LinkCounters:
    """What came of hellos: sent, received, missing by their numbers, ignored (old, of another), over budget, alarms.

    ``bad_hash``: without the hash of a key that is valid here, or with a wrong one. Updates tell distances, or the map.
    """

    sent: int = 0
    received: int = 0
    missing: int = 0
    ignored: int = 0
    flooded: int = 0
    malformed: int = 0
    alarms: int = 0
    bad_hash: int = 0
    updates_sent: int = 0
    updates_received: int = 0


@dataclass(slots=True, eq=False)
class Link:
    """What is known of one port.

    ``peer`` is the neighbour's last hello, kept after it is lost, ``introduced`` the last one with who its LOCAL is.
    ``keyed``: hellos are signed. Then who has not shown that he hears this switch counts for nothing but an answer
    (docs/decisions/19-one-key-for-the-network.md). ``blamed``: what people were told of hashes already.
    """

    port: PortNo
    mac: Mac
    boot: int
    keyed: bool = False
    up: bool = False
    state: LinkState = LinkState.UNKNOWN
    since: Instant = 0.0
    reason: str = ""
    peer: Hello | None = None
    introduced: Hello | None = None
    remark: str | None = None
    blamed: set[Hashed] = field(default_factory=set)
    round_trip_s: float | None = None
    counters: LinkCounters = field(default_factory=LinkCounters)
    hello_at: Instant | None = None
    may_join_at: Instant = 0.0
    """From when on a hello may leave together with others, before it is due."""
    lost_at: Instant | None = None
    """When the neighbour is lost, if it does not say anything before; None: it is not heard."""
    sequence: int = 0
    waiting: dict[Change, tuple[int, Wanted]] = field(default_factory=dict)
    """What is to be told so many times more, with the stations that it says are out of reach."""
    _heard_at: Instant = 0.0
    _carries_control: bool = False
    _is_quiet: bool = False
    _alert_until: Instant = float("-inf")
    _control_until: Instant = 0.0
    _back_off: int = 1
    _alarm_at: Instant = float("-inf")
    _alarm_boot: int | None = None
    _calmed_at: Instant = 0.0
    _said_at: Instant | None = None
    _late_until: Instant = 0.0
    _tries: int = 0
    _promised_ms: int = IDLE_MS
    _promises: int = PROMISES
    _excuses: int = 0
    _sent_at: dict[int, Instant] = field(default_factory=dict)
    _proven: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _budget: RateLimit = field(default_factory=lambda: RateLimit(HELLOS_PER_S, HELLO_BURST))
    _update_budget: RateLimit = field(default_factory=lambda: RateLimit(HELLOS_PER_S, HELLO_BURST))

    @property
    def is_alive(self) -> bool:
        """Whether a neighbour is heard."""
        return self.state in (LinkState.HEARD, LinkState.TWO_WAY)

    def carries_control(self, now: Instant) -> bool:
        """Whether control traffic passes, or did a moment ago."""
        return self._carries_control or now < self._control_until

    # --- what happens -----------------------------------------------------------------------------------------------

    def set_up(self, now: Instant, *, up: bool) -> Transition | None:
        """The link came up, or went down: then no one is there."""
        if up == self.up:
            return None
        self.up, self._tries = up, 0
        self.blamed.clear()
        self.hello_at = now + FIRST_S if up else None
        if up or not self.is_alive:
            return None
        self.lost_at, self._alarm_at = None, float("-inf")
        return self._become(_AFTER[self.state], "link down", now)

    def set_keyed(self, now: Instant, *, keyed: bool) -> None:
        """Hellos are signed from now on, or no longer: whoever was heard is met anew, and no link counts as lost."""
        self.keyed = keyed
        self.blamed.clear()
        self.peer = self.introduced = self.remark = self.lost_at = None
        self._become(LinkState.UNKNOWN, "there is another network-key" if keyed else "there is no network-key", now)
        self._tries = 0
        self.hurry(now)

    def set_control(self, now: Instant, *, carries: bool, is_quiet: bool = False) -> None:
        """Control traffic leaves by this port from now on, much or little, or does no longer."""
        wanted = self.wanted_ms(now)
        if self._carries_control and not carries:
            self._control_until = now + LINGER_S
        self._carries_control, self._is_quiet = carries, is_quiet
        if self.wanted_ms(now) < wanted:
            self.hurry(now)

    def alert(self, now: Instant) -> None:
        """Something has changed in the network: what carries control is watched as closely as can be."""
        self._alert_until = now + ALERT_S

    def hurry(self, now: Instant) -> None:
        """Say hello at once."""
        if self.up:
            self.hello_at = now

    def pass_on(self, change: Change, wanted: Wanted, now: Instant) -> None:
        """Tell the neighbour, if one hears this switch: at once, and in the following hellos."""
        if self.state is LinkState.TWO_WAY:
            while len(self.waiting) >= MAX_WAITING:
                del self.waiting[next(iter(self.waiting))]
            self.waiting[change] = REPEATS, wanted
            self.hurry(now)

    def may_take(self, now: Instant, *, is_update: bool = False) -> bool:
        """Whether one more message is within what a neighbour may send; one that is not is counted."""
        if (self._update_budget if is_update else self._budget).take(now):
            return True
        self.counters.flooded += 1
        self.remark = "a neighbour floods"
        return False

    def note_malformed(self, error: WireError) -> None:
        """A message cannot be read."""
        self.counters.malformed += 1
        self.remark = str(error)

    def blame(self, found: Hashed) -> bool:
        """A message's hash is not as it should be; whether people have not been told of this yet."""
        if found is not Hashed.UNEXPECTED:
            self.counters.bad_hash += 1
        self.remark = str(found)
        is_new = found not in self.blamed
        self.blamed.add(found)
        return is_new

    def hear(self, hello: Hello, now: Instant) -> Transition | None:
        """Take a hello of another switch; whether it counted is in the counters."""
        known, is_same = self.peer, self._is_of_peer(hello)
        if self.keyed and not is_same:
            if not self._is_fresh(hello):
                self._ignore_unproven(now)
                return None
            if self.state is LinkState.HEARD:  # who was heard has not proven himself either
                self.state = LinkState.UNKNOWN
        if known is not None and self.is_alive and not is_same and known.switch != hello.switch:
            self.counters.ignored += 1
            self.remark = f"a second neighbour is on this port: {hello.switch:016x}"
            return None
        if known is not None and is_same and not is_newer(hello.sequence, known.sequence):
            self.counters.ignored += 1
            return None
        self._count(hello, known if is_same else None)
        self.peer, self._heard_at, self._excuses = hello, now, 0
        if self.keyed and self._hears_us(hello):
            self._note_proven(hello)
        if hello.mac is not None or not is_same:
            self.introduced = hello
        self.lost_at = now + self._patience_s(hello)
        self._measure(hello, now)
        return self._follow(hello, now, is_known=is_same)

    def _is_of_peer(self, hello: Hello) -> bool:
        """Whether this comes from whom the last hello that counted came from, without a restart between."""
        known = self.peer
        return known is not None and sender_of(known) == sender_of(hello)

    def _is_fresh(self, hello: Hello) -> bool:
        """Whether a signed hello of another sender than before may count: it is no recorded one, or decides nothing."""
        last = self._proven.get(sender_of(hello))
        if last is not None and not is_newer(hello.sequence, last):
            return False
        return self.state is not LinkState.TWO_WAY or self._hears_us(hello)

    def _note_proven(self, hello: Hello) -> None:
        self._proven.pop(sender_of(hello), None)
        while len(self._proven) >= _MAX_PROVEN:
            del self._proven[next(iter(self._proven))]
        self._proven[sender_of(hello)] = hello.sequence

    def _ignore_unproven(self, now: Instant) -> None:
        """Someone else than the neighbour speaks, or it has started anew: our next hello is what it has to answer."""
        self.counters.ignored += 1
        if self._said_at is None or now - self._said_at > FAST_MS / 1000:
            self.hurry(now)

    def _follow(self, hello: Hello, now: Instant, *, is_known: bool) -> Transition | None:
        """What a hello that counts makes of the state."""
        hears_us = self._hears_us(hello)
        if hears_us and self.state is not LinkState.TWO_WAY:
            if now - self._alarm_at < FALSE_ALARM_S and hello.boot == self._alarm_boot:
                self._back_off, self._calmed_at = min(2 * self._back_off, MAX_BACK_OFF), now
            return self._become(LinkState.TWO_WAY, "each hears the other", now)
        if not hears_us and self.state is LinkState.TWO_WAY:
            self.hurry(now)
            if not is_known:
                return self._become(LinkState.HEARD, "it has started anew", now)
            if not self._was_late(now) and (hello.heard is None or hello.heard.boot != self.boot):
                # It is heard all the same, and that it must be told: else each end would take the other's answer, which
                # is on its way still, for another loss, and both would go on with that.
                return self._alarm("it does not hear this switch any more", now, lost_at=self.lost_at)
        if not hears_us and not self.is_alive:
            self.hurry(now)
            return self._become(LinkState.HEARD, "a neighbour is heard", now)
        if self.interval_ms(now) < self._promised_ms:
            self.hurry(now)
        return None

    def excuse(self, now: Instant) -> None:
        """This switch itself was late: what waits to be read comes first. A few times only, or nothing is ever lost."""
        if self.lost_at is not None and self._excuses < MISSED:
            self._excuses += 1
            self.lost_at = max(self.lost_at, now + FAST_MS / 1000)

    def run(self, now: Instant) -> Transition | None:
        """Give up a neighbour whose time is over."""
        if self.lost_at is None or now < self.lost_at:
            return None
        if self.state is LinkState.TWO_WAY:
            return self._alarm("it fell silent", now)
        self.lost_at = None
        return self._become(LinkState.UNKNOWN, "nothing is heard any more", now) if self.is_alive else None

    # --- what is said -----------------------------------------------------------------------------------------------

    def interval_ms(self, now: Instant) -> int:
        """How often hellos are due."""
        wanted = self.wanted_ms(now)
        insists = self.state is LinkState.LOST and now - self._alarm_at < INSIST_S
        if self.peer is not None and (self.is_alive or insists):
            return max(FAST_MS, min(wanted, self.peer.wanted_ms))
        return LONELY_MS if self._tries >= TRIES else IDLE_MS

    def wanted_ms(self, now: Instant) -> int:
        """How often the neighbour's are wanted."""
        if not self.carries_control(now):
            return IDLE_MS
        pace_ms = QUIET_MS if self._is_quiet and now >= self._alert_until else FAST_MS
        return min(max(pace_ms, FAST_MS * self._back_off), IDLE_MS)

    def next_hello(self, switch: int, now: Instant) -> Hello:
        """The hello to send now; the next one is planned."""
        self._calm_down(now)
        interval, wanted = self.interval_ms(now), self.wanted_ms(now)
        self._tries = 0 if self.is_alive else self._tries + 1
        self.sequence = (self.sequence + 1) % _SEQUENCES
        self._note_sent(now)
        pace_ms = self._pace_ms(interval)
        self.hello_at = now + pace_ms / 1000
        self.may_join_at = self.hello_at - JOIN * pace_ms / 1000
        out_of_reach = self._out_of_reach()
        return Hello(
            *(switch, self.boot, int(self.port), self.sequence, interval, wanted),
            heard=self._heard(now),
            changes=self._take_waiting(),
            wanted=out_of_reach,
        )

    def _heard(self, now: Instant) -> Heard | None:
        peer = self.peer
        if peer is None or self.lost_at is None:
            return None
        return Heard(peer.boot, peer.port, peer.sequence, min(LONG_HOLD, max(0, int((now - self._heard_at) / TICK_S))))

    def _take_waiting(self) -> tuple[Change, ...]:
        changes = tuple(self.waiting)
        self.waiting = {change: (left - 1, wanted) for change, (left, wanted) in self.waiting.items() if left > 1}
        return changes

    def _out_of_reach(self) -> Wanted:
        """The stations that the changes to be told say to be out of reach; None: one does not say, or too many are."""
        found: dict[int, None] = {}
        for _, wanted in self.waiting.values():
            if wanted is None:
                return None
            found.update(dict.fromkeys(wanted))
        return tuple(found) if self.waiting and len(found) <= MAX_WANTED else None

    # --- inside -----------------------------------------------------------------------------------------------------

    def _become(self, state: LinkState, reason: str, now: Instant) -> Transition:
        old, self.state, self.since, self.reason = self.state, state, now, reason
        if state is LinkState.TWO_WAY:
            self.remark = None
            self.hurry(now)
        else:
            self.waiting.clear()
        return Transition(old, state, reason)

    def _alarm(self, reason: str, now: Instant, lost_at: Instant | None = None) -> Transition:
        self.counters.alarms += 1
        self._alarm_at, self.lost_at = now, lost_at
        self._alarm_boot = None if self.peer is None else self.peer.boot
        return self._become(LinkState.LOST, reason, now)

    def _calm_down(self, now: Instant) -> None:
        if self._back_off > 1 and now - max(self._alarm_at, self._calmed_at) > PEACE_S:
            self._back_off, self._calmed_at = self._back_off // 2, now

    def _was_late(self, now: Instant) -> bool:
        """Whether this end has not kept its promise of late: then it is no wonder that it is not heard."""
        return now < self._late_until or self._is_late(now)

    def _is_late(self, now: Instant) -> bool:
        return self._said_at is not None and now - self._said_at > 2 * self._promised_ms / 1000

    def _pace_ms(self, interval_ms: int) -> int:
        """How soon the next hello comes: a slower pace than before is promised some times before it is kept."""
        if interval_ms <= self._promised_ms or not self.is_alive:
            self._promised_ms, self._promises = interval_ms, PROMISES
            return interval_ms
        pace_ms, self._promises = self._promised_ms, self._promises - 1
        if not self._promises:
            self._promised_ms = interval_ms
        return pace_ms

    def _patience_s(self, hello: Hello) -> float:
        """What the neighbour has promised counts, and how much this end bears."""
        return MISSED * max(hello.interval_ms, FAST_MS * self._back_off) / 1000 + SLACK_S

    def _hears_us(self, hello: Hello) -> bool:
        heard = hello.heard
        if heard is None or heard.boot != self.boot or heard.port != self.port:
            return False
        return (self.sequence - heard.sequence) % _SEQUENCES < WINDOW

    def _count(self, hello: Hello, before: Hello | None) -> None:
        self.counters.received += 1
        if before is not None:
            self.counters.missing += (hello.sequence - before.sequence - 1) % _SEQUENCES

    def _note_sent(self, now: Instant) -> None:
        if self._is_late(now):
            self._late_until = now + MISSED * self._promised_ms / 1000
        self._said_at = now
        self.counters.sent += 1
        self._sent_at[self.sequence] = now
        if len(self._sent_at) > _REMEMBERED:
            del self._sent_at[next(iter(self._sent_at))]

    def _measure(self, hello: Hello, now: Instant) -> None:
        """The time to the neighbour and back, without what it lay there."""
        heard = hello.heard
        if heard is None or heard.hold == LONG_HOLD or not self._hears_us(hello):
            return
        sent_at = self._sent_at.get(heard.sequence)
        if sent_at is not None:
            took = max(0.0, now - sent_at - heard.hold * TICK_S)
            before = took if self.round_trip_s is None else self.round_trip_s
            self.round_trip_s = before + _ROUND_TRIP_WEIGHT * (took - before)


def sender_of(hello: Hello | Update[Any, Any]) -> tuple[int, int, int]:
    """Whose a message is: datapath id, boot number, port."""
    return hello.switch, hello.boot, hello.port
