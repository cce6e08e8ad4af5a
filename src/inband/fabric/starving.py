"""How long a switch waits before it tells of a change because neighbours have a way, and none that may be taken."""

from __future__ import annotations

from dataclasses import dataclass

from inband.vocabulary.instant import Instant


@dataclass(slots=True)
class Starving:
    """It tells after ``first_s``, then after twice as long each time, ``max_s`` at most, until it starves no more."""

    first_s: float
    max_s: float
    due: Instant | None = None
    _patience_s: float = 0.0

    def look(self, now: Instant, *, starves: bool) -> bool:
        """Whether it is time to tell."""
        if not starves:
            self.due = None
            return False
        if self.due is None:
            self._patience_s, self.due = self.first_s, now + self.first_s
            return False
        if self.due > now:
            return False
        self._patience_s = min(2 * self._patience_s, self.max_s)
        self.due = now + self._patience_s
        return True
