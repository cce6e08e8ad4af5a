"""Which peer's messages are carried out next, and for how long: turns of a few milliseconds.

A peer may send thousands of messages at once. They wait in its channel, and channels that have some take turns. A turn
ends when its time is over; the message under way is finished. After a slice the caller goes back to its event loop, so
that frames, timers and the bytes of other peers are never kept waiting for longer.

Controllers come first: all of them that have something to say have a turn before each turn of another peer. So a
controller waits for one other's turn at most, however many flood the switch, and a controller that floods leaves every
other turn to the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from inband.vocabulary.instant import Instant

# What one call of ``run`` may take before the event loop has its turn, and one peer's part of it.
SLICE_S = 0.002
TURN_S = 0.001


class Worker(Protocol):
    """Something with work that can be done in parts."""

    @property
    def is_first(self) -> bool:
        """Whether it is a controller, which does not wait for others."""

    def work(self, until: Instant) -> bool:
        """Work until then, and finish what is under way; whether more is left."""


class Turns:
    """Workers that have something to do. ``wake`` asks for ``run`` soon, once until then."""

    def __init__(self, clock: Callable[[], Instant], wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._first: deque[Worker] = deque()
        self._others: deque[Worker] = deque()
        self._waiting: set[Worker] = set()
        self._firsts_due = 0
        self._is_planned = False

    def add(self, worker: Worker) -> None:
        """It has something to do. Adding it again changes nothing."""
        if worker in self._waiting:
            return
        self._firsts_due += worker.is_first
        self._queue(worker)
        if not self._is_planned:
            self._is_planned = True
            self._wake()

    def remove(self, worker: Worker) -> None:
        """It is gone, or has nothing to do any more."""
        if worker in self._waiting:
            self._waiting.discard(worker)
            (self._first if worker.is_first else self._others).remove(worker)

    def run(self) -> None:
        """Give turns for SLICE_S; asks for another call if there is more to do."""
        end = self._clock() + SLICE_S
        while self._waiting:
            worker = self._next()
            if worker.work(min(self._clock() + TURN_S, end)) and worker not in self._waiting:
                self._queue(worker)
            if self._clock() >= end:
                break
        self._is_planned = bool(self._waiting)
        if self._is_planned:
            self._wake()

    def _queue(self, worker: Worker) -> None:
        self._waiting.add(worker)
        (self._first if worker.is_first else self._others).append(worker)

    def _next(self) -> Worker:
        if self._first and (self._firsts_due > 0 or not self._others):
            self._firsts_due -= 1
            worker = self._first.popleft()
        else:
            self._firsts_due = len(self._first)
            worker = self._others.popleft()
        self._waiting.discard(worker)
        return worker
