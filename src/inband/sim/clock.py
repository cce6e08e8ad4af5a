"""Virtual time: a heap of things to do and a clock that jumps to the next one. An hour costs what happens in it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from inband.flow.flow import Instant


@dataclass(slots=True)
class Timer:
    """Something planned; ``cancel`` makes it not happen."""

    action: Callable[[], None] | None

    def cancel(self) -> None:
        """Do nothing when the time comes."""
        self.action = None


@dataclass(slots=True)
class VirtualClock:
    """Seconds since the simulation began. Things planned for the same instant happen in the order of planning."""

    now: Instant = 0.0
    _heap: list[tuple[Instant, int, Timer]] = field(default_factory=list)
    _number: int = 0

    def call_at(self, when: Instant, action: Callable[[], None]) -> Timer:
        """Plan an action; an instant in the past means now."""
        timer = Timer(action)
        self._number += 1
        heapq.heappush(self._heap, (max(when, self.now), self._number, timer))
        return timer

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Plan an action ``delay_s`` seconds from now."""
        return self.call_at(self.now + delay_s, action)

    def run_until(self, end: Instant, stop: Callable[[], bool] = lambda: False) -> bool:
        """Let everything happen up to ``end``, or until ``stop`` is true after an action; returns what it said last."""
        while self._heap and self._heap[0][0] <= end:
            self.now, _, timer = heapq.heappop(self._heap)
            if timer.action is not None:
                timer.action()
                if stop():
                    return True
        self.now = end
        return stop()
