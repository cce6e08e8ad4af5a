"""How often a switch takes back what another program takes from its own interface: at once, but it never fights.

A program that insists would be answered many times a second for ever, and neither would have its way. So after AT_ONCE
times it is left alone until AGAIN_S after the first of them. Each kind of thing has a count of its own.
"""

from __future__ import annotations

from collections import deque

from inband.vocabulary.instant import Instant

AT_ONCE = 8
AGAIN_S = 30.0


class Restoring:
    """Counts how often something was restored."""

    def __init__(self) -> None:
        self._latest: deque[Instant] = deque(maxlen=AT_ONCE)

    def next_deadline(self, now: Instant) -> Instant:
        """When something may be restored: now, or later."""
        is_fight = len(self._latest) == AT_ONCE and self._latest[0] + AGAIN_S > now
        return self._latest[0] + AGAIN_S if is_fight else now

    def restored(self, now: Instant) -> bool:
        """Something was restored; whether that was the last time for a while."""
        self._latest.append(now)
        return self.next_deadline(now) > now
