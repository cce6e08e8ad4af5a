"""A token bucket: what a stranger can cause is so many a second on average, and so many at once."""

from __future__ import annotations

from inband.vocabulary.instant import Instant


class RateLimit:
    """At most ``rate`` events a second on average, ``burst`` at once. Starts full. A clock that goes back adds none."""

    def __init__(self, rate: float, burst: float, now: Instant = 0.0) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._filled_at = now

    def take(self, now: Instant) -> bool:
        """Whether one more event is within the rate; counts it if so."""
        self._tokens = min(self.burst, self._tokens + max(0.0, now - self._filled_at) * self.rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
