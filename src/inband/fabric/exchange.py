"""Records on their way between two neighbours: only what has changed, until the other side has acknowledged it.

A record says something of its key: how far a station is, as a rule, or what a switch is like (``network_map``).

A side that has met its neighbour asks for all that it knows, with a ``request`` of its own choice; what answers another
request is of an earlier meeting, and ignored. A message says what is so at the moment when it leaves, so what was lost
need not be sent again as it was: its keys are told of once more.

Invariants: WINDOW messages at most are not acknowledged yet. A message is taken once, and none that is older than the
latest. When nothing changes nothing is sent. No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic

from inband.fabric.distances import Key
from inband.fabric.hello import is_newer
from inband.fabric.update import MAX_RECORD_BYTES, Update, Value, size_of
from inband.vocabulary.instant import Instant, earliest
from inband.vocabulary.rate_limit import RateLimit

WINDOW = 4
# Several times what a neighbour takes to answer; doubled while there is no answer.
FIRST_WAIT_S, MAX_WAIT_S = 0.03, 0.5
# What has come is acknowledged with what is told next, if there is something that soon.
ACK_S = 0.01
# A change that passes a whole network has each switch tell several times, each time what came by another neighbour.
MESSAGES_PER_S, BURST = 100.0, 20.0
_BITS = 32
_NUMBERS = 1 << 32


@dataclass(slots=True, eq=False)
class Exchange(Generic[Key, Value]):
    """With the neighbour that a link has met. ``request`` is higher than any that it was sent before.

    ``size_of``: how many bytes a record takes, MAX_RECORD_BYTES at most. ``is_answered``: all that the neighbour knows
    is here, or on its way.
    """

    request: int
    size_of: Callable[[Key], int] = size_of
    budget: RateLimit = field(default_factory=lambda: RateLimit(MESSAGES_PER_S, BURST))
    is_answered: bool = False
    sequence: int = 0
    acked: int = 0
    acked_bits: int = 0
    _asked: int | None = None
    _to_tell: dict[Key, None] = field(default_factory=dict)
    _unacked: dict[int, tuple[Key, ...]] = field(default_factory=dict)
    _ack_at: Instant | None = None
    _wait_s: float = FIRST_WAIT_S
    _again_at: Instant | None = None
    _not_before: Instant = float("-inf")

    def tell(self, keys: Iterable[Key]) -> None:
        """There is something new to say of these."""
        if self._asked is not None:
            self._to_tell.update(dict.fromkeys(keys))

    def forget(self, key: Key) -> None:
        """There is nothing to say of it any more."""
        self._to_tell.pop(key, None)
        for sequence, keys in self._unacked.items():
            self._unacked[sequence] = tuple(each for each in keys if each != key)

    def next_deadline(self) -> Instant | None:
        """When ``take`` has something to send, or would have, if nothing comes; None: never."""
        if self._can_tell or (not self.is_answered and self._again_at is None):
            return self._not_before
        ack_at = None if self._ack_at is None else max(self._ack_at, self._not_before)
        return earliest(self._again_at, ack_at)

    @property
    def _can_tell(self) -> bool:
        return bool(self._to_tell) and len(self._unacked) < WINDOW

    def hear(
        self, update: Update[Key, Value], everything: Callable[[], Iterable[Key]], now: Instant
    ) -> tuple[tuple[Key, Value], ...]:
        """What a message of the neighbour says that is new; ``everything``: all that it is to be told of."""
        if self._asked is not None and is_newer(self._asked, update.request):
            return ()  # it was recorded, or comes late
        if update.request != self._asked:
            self._asked = update.request
            self.acked = self.acked_bits = 0  # who has met this side anew counts its messages from 1
            self._unacked.clear()
            self._to_tell = dict.fromkeys(everything())
            self._ack_at = now  # to say so, if there is nothing else to tell
        self._hear_acks(update, now)
        if update.answers != self.request:
            self._ack_at = now  # it has not heard what this side asks for
            return ()
        self.is_answered = True
        if not update.records:
            return ()
        if self._ack_at is None:
            self._ack_at = now + ACK_S
        if self.acked and not is_newer(update.sequence, self.acked):
            return ()
        self._note(update.sequence)
        return update.records

    def take(
        self, head: tuple[int, int, int], to_boot: int, value: Callable[[Key], Value], now: Instant
    ) -> Update[Key, Value] | None:
        """The message to send now, if there is one. ``head``: this side's switch, boot number and port."""
        if self._again_at is not None and self._again_at <= now:
            self._lose()
        due = self.next_deadline()
        if due is None or due > now:
            return None
        if not self.budget.take(now):
            self._not_before = now + 1 / self.budget.rate
            return None
        records = tuple((key, value(key)) for key in self._choose())
        sequence = 0
        if records:
            sequence = self.sequence = (self.sequence % (_NUMBERS - 1)) + 1
            self._unacked[sequence] = tuple(key for key, _ in records)
        self._ack_at = None
        if self._unacked or not self.is_answered:
            self._again_at = now + self._wait_s
        numbers = (sequence, to_boot, self.request, self._asked or 0, self.acked, self.acked_bits)
        return Update(*head, *numbers, records)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _choose(self) -> list[Key]:
        """As many of those that wait as one message holds, in their order."""
        chosen: list[Key] = []
        if not self._can_tell:
            return chosen
        room = MAX_RECORD_BYTES
        for key in self._to_tell:
            room -= self.size_of(key)
            if room < 0:
                break
            chosen.append(key)
        for key in chosen:
            del self._to_tell[key]
        return chosen

    def _lose(self) -> None:
        """No answer in time: tell all of it again, a little more patiently."""
        for keys in self._unacked.values():
            self._to_tell.update(dict.fromkeys(keys))
        self._unacked.clear()
        self._again_at = None
        self._wait_s = min(2 * self._wait_s, MAX_WAIT_S)

    def _hear_acks(self, update: Update[Key, Value], now: Instant) -> None:
        """What has come; only of what answers the present question."""
        before = len(self._unacked)
        for sequence in list(self._unacked):
            behind = (update.acked - sequence) % _NUMBERS
            if update.acked and (behind == 0 or (behind <= _BITS and update.acked_bits >> (behind - 1) & 1)):
                del self._unacked[sequence]
        if len(self._unacked) < before:
            self._wait_s = FIRST_WAIT_S
            self._again_at = now + self._wait_s if self._unacked else None
        if self.is_answered and not self._unacked:
            self._again_at = None

    def _note(self, sequence: int) -> None:
        ahead = (sequence - self.acked) % _NUMBERS
        if not self.acked or ahead > _BITS:
            self.acked_bits = 0
        else:
            self.acked_bits = (self.acked_bits << ahead | 1 << (ahead - 1)) & (1 << _BITS) - 1
        self.acked = sequence
