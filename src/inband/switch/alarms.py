"""The earliest deadline of many, each of which moves often and mostly to later.

A channel's probe is due some seconds after the last word of its peer, so every message moves it. To plan it anew each
time would cost more than the message. Here an alarm that moves to later costs one assignment: it is looked at when its
old time comes, and put back.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

from inband.vocabulary.instant import Instant

K = TypeVar("K", bound=Hashable)


class Alarms(Generic[K]):
    """Deadlines by key. ``set`` costs nothing for one that moves to later, else the logarithm of their number."""

    def __init__(self) -> None:
        self._due: dict[K, Instant] = {}
        self._planned: dict[K, Instant] = {}
        self._heap: list[tuple[Instant, int, K]] = []
        self._number = 0

    def set(self, key: K, due: Instant | None) -> None:
        """``key`` is due at an instant, or never."""
        if due is None:
            self._due.pop(key, None)
            return
        self._due[key] = due
        planned = self._planned.get(key)
        if planned is None or due < planned:
            self._plan(key, due)

    def next_deadline(self) -> Instant | None:
        """The earliest of all, or None."""
        heap = self._heap
        while heap:
            planned, _, key = heap[0]
            if self._planned.get(key) != planned:
                heapq.heappop(heap)  # planned anew for an earlier instant since
                continue
            due = self._due.get(key)
            if due == planned:
                return due
            heapq.heappop(heap)
            del self._planned[key]
            if due is not None:
                self._plan(key, due)
        return None

    def take_due(self, now: Instant) -> list[K]:
        """Those whose time has come, earliest first; they are forgotten until they are set again."""
        found: list[K] = []
        while (due := self.next_deadline()) is not None and due <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._planned[key], self._due[key]
            found.append(key)
        return found

    def _plan(self, key: K, due: Instant) -> None:
        self._number += 1
        self._planned[key] = due
        heapq.heappush(self._heap, (due, self._number, key))
