"""A token bucket, so that no table miss can fill a controller's connection with packet-ins."""

from __future__ import annotations

from inband.vocabulary.instant import Instant


class RateLimit:
    """At most ``rate`` events a second on average, ``burst`` at once. Starts full."""

    def __init__(self, rate: float, burst: float, now: Instant) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._filled_at = now

    def take(self, now: Instant) -> bool:
        """Whether one more event is within the rate; counts it if so."""
        self._tokens = min(self.burst, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
