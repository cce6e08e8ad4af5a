"""Virtual time: a heap of things to do and a clock that jumps to the next one. An hour costs what happens in it.

Invariants: things planned for the same instant happen in the order of planning, so a run can be repeated to
the bit. Whatever keeps planning for the present instant is a defect, and is reported instead of hanging the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from inband.vocabulary.instant import Instant

# For each switch. One that gets a frame does some ten things at once, and a frame of each other switch may come at the
# same time; so many without time passing are a circle.
MAX_ACTIONS_AT_ONCE = 50_000


class TimeStoodStillError(Exception):
    """Something plans itself again and again for the same instant: a defect of what runs in the simulation."""


@dataclass(slots=True)
class Timer:
    """Something planned for ``due``; ``cancel`` makes it not happen."""

    due: Instant
    action: Callable[[], None] | None

    def cancel(self) -> None:
        """Do nothing when the time comes."""
        self.action = None


@dataclass(slots=True)
class VirtualClock:
    """Seconds since the simulation began. ``nodes`` is how many there are to do things at once."""

    now: Instant = 0.0
    nodes: int = 1
    _heap: list[tuple[Instant, int, Timer]] = field(default_factory=list)
    _number: int = 0
    _at_once: int = 0

    def time(self) -> Instant:
        """Now, as an event loop's clock says it."""
        return self.now

    def call_at(self, when: Instant, action: Callable[[], None]) -> Timer:
        """Plan an action; an instant in the past means now."""
        if when < self.now:
            when = self.now
        timer = Timer(when, action)
        self._number = number = self._number + 1
        heappush(self._heap, (when, number, timer))
        return timer

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Plan an action ``delay_s`` seconds from now."""
        return self.call_at(self.now + delay_s, action)

    def call_soon(self, action: Callable[[], None]) -> Timer:
        """Plan an action for this instant, after everything that is planned for it already."""
        return self.call_at(self.now, action)

    def run_until(self, end: Instant, stop: Callable[[], bool] | None = None) -> bool:
        """Let everything happen up to ``end``, or until ``stop`` is true after an action; returns what it said last.

        Raises TimeStoodStillError.
        """
        heap = self._heap
        while heap and heap[0][0] <= end:
            due, _, timer = heappop(heap)
            if due == self.now:
                self._count_at_once(due)
            else:
                self.now, self._at_once = due, 0
            if timer.action is not None:
                timer.action()
                if stop is not None and stop():
                    return True
        self.now = max(self.now, end)
        return stop is not None and stop()

    def _count_at_once(self, due: Instant) -> None:
        self._at_once += 1
        if self._at_once > MAX_ACTIONS_AT_ONCE * self.nodes:
            raise TimeStoodStillError(f"{self._at_once:,} actions at {due:.6f} s, and more are planned for it")


@dataclass(slots=True)
class ProcessClock:
    """The clock of a process that can be killed: nothing that it has planned happens after its death."""

    clock: VirtualClock
    is_alive: bool = True

    def time(self) -> Instant:
        """Now."""
        return self.clock.now

    def call_at(self, when: Instant, action: Callable[[], None]) -> Timer:
        """As ``VirtualClock.call_at``."""
        return self.clock.call_at(when, lambda: action() if self.is_alive else None)

    def call_soon(self, action: Callable[[], None]) -> Timer:
        """As ``VirtualClock.call_soon``."""
        return self.call_at(self.clock.now, action)
