"""Distances on their way between two neighbours: only what has changed, until the other side has acknowledged it.

A side that has met its neighbour asks for all that it knows, with a ``request`` of its own choice; what answers another
request is of an earlier meeting, and ignored. A message says how far stations are at the moment when it leaves, so what
was lost need not be sent again as it was: its stations are told once more.

Invariants: WINDOW messages at most are not acknowledged yet. A message is taken once, and none that is older than the
latest. When nothing changes nothing is sent. No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic

from inband.fabric.distances import Distance, Key
from inband.fabric.hello import is_newer
from inband.fabric.update import MAX_RECORD_BYTES, Update, size_of
from inband.vocabulary.instant import Instant
from inband.vocabulary.rate_limit import RateLimit

WINDOW = 4
# Several times what a neighbour takes to answer; doubled while there is no answer.
FIRST_WAIT_S, MAX_WAIT_S = 0.03, 0.5
# A change that passes a whole network has each switch tell several times, each time what came by another neighbour.
MESSAGES_PER_S, BURST = 100.0, 20.0
_BITS = 32
_NUMBERS = 1 << 32


@dataclass(slots=True, eq=False)
class Exchange(Generic[Key]):
    """With the neighbour that a link has met. ``request`` is higher than any that it was sent before.

    ``is_answered``: all that it knows is here, or on its way.
    """

    request: int
    is_answered: bool = False
    sequence: int = 0
    acked: int = 0
    acked_bits: int = 0
    _asked: int | None = None
    _to_tell: dict[Key, None] = field(default_factory=dict)
    _unacked: dict[int, tuple[Key, ...]] = field(default_factory=dict)
    _owes_ack: bool = False
    _wait_s: float = FIRST_WAIT_S
    _again_at: Instant | None = None
    _not_before: Instant = float("-inf")
    _budget: RateLimit = field(default_factory=lambda: RateLimit(MESSAGES_PER_S, BURST))

    def tell(self, stations: Iterable[Key]) -> None:
        """These are other distances than before."""
        if self._asked is not None:
            self._to_tell.update(dict.fromkeys(stations))

    def next_deadline(self) -> Instant | None:
        """When ``take`` has something to send, or would have, if nothing comes; None: never."""
        if self._can_tell or self._owes_ack or (not self.is_answered and self._again_at is None):
            return self._not_before
        return self._again_at

    @property
    def _can_tell(self) -> bool:
        return bool(self._to_tell) and len(self._unacked) < WINDOW

    def hear(
        self, update: Update[Key], everything: Callable[[], Iterable[Key]], now: Instant
    ) -> tuple[tuple[Key, Distance], ...]:
        """What a message of the neighbour says that is new; ``everything``: all stations that it is to be told of."""
        if self._asked is not None and is_newer(self._asked, update.request):
            return ()  # it was recorded, or comes late
        if update.request != self._asked:
            self._asked = update.request
            self.acked = self.acked_bits = 0  # who has met this side anew counts its messages from 1
            self._unacked.clear()
            self._to_tell = dict.fromkeys(everything())
            self._owes_ack = True  # to say so, if there is nothing else to tell
        self._hear_acks(update, now)
        if update.answers != self.request:
            self._owes_ack = True  # it has not heard what this side asks for
            return ()
        self.is_answered = True
        if not update.records:
            return ()
        self._owes_ack = True
        if self.acked and not is_newer(update.sequence, self.acked):
            return ()
        self._note(update.sequence)
        return update.records

    def take(
        self, head: tuple[int, int, int], to_boot: int, distance: Callable[[Key], Distance], now: Instant
    ) -> Update[Key] | None:
        """The message to send now, if there is one. ``head``: this side's switch, boot number and port."""
        if self._again_at is not None and self._again_at <= now:
            self._lose()
        due = self.next_deadline()
        if due is None or due > now:
            return None
        if not self._budget.take(now):
            self._not_before = now + 1 / MESSAGES_PER_S
            return None
        records = tuple((station, distance(station)) for station in self._choose())
        sequence = 0
        if records:
            sequence = self.sequence = (self.sequence % (_NUMBERS - 1)) + 1
            self._unacked[sequence] = tuple(station for station, _ in records)
        self._owes_ack = False
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
        for station in self._to_tell:
            room -= size_of(station)
            if room < 0:
                break
            chosen.append(station)
        for station in chosen:
            del self._to_tell[station]
        return chosen

    def _lose(self) -> None:
        """No answer in time: tell all of it again, a little more patiently."""
        for stations in self._unacked.values():
            self._to_tell.update(dict.fromkeys(stations))
        self._unacked.clear()
        self._again_at = None
        self._wait_s = min(2 * self._wait_s, MAX_WAIT_S)

    def _hear_acks(self, update: Update[Key], now: Instant) -> None:
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
