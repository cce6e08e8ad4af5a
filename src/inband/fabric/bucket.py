"""So many of something a second, and so many at once."""

from __future__ import annotations

from dataclasses import dataclass

from inband.vocabulary.instant import Instant


@dataclass(slots=True)
class Bucket:
    """A token bucket that is full at first."""

    rate_per_s: float
    burst: float
    _spent: float = 0.0
    _at: Instant = 0.0

    def take(self, now: Instant) -> bool:
        """Whether there is room for one more, which is taken then."""
        self._spent = max(0.0, self._spent - max(0.0, now - self._at) * self.rate_per_s)
        self._at = now
        if self._spent + 1.0 > self.burst:
            return False
        self._spent += 1.0
        return True
