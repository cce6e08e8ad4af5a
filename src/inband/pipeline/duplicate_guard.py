"""What a switch remembers of the segments that it sends by all ways (``duplicates``), and how many these may be."""

from __future__ import annotations

from inband.pipeline.storm import StormGuard
from inband.vocabulary.instant import Instant
from inband.vocabulary.rate_limit import RateLimit

# Segments of all channels that pass a switch, of which each port brings every one at most once: up to 60 % of a
# processor. A datapath must let as many pass that nothing cached decides about (``Datapath.set_control_pace``), and
# some more: what is over this pace is to be cached, not lost.
PER_S, BURST = 4000.0, 800.0
UNCACHED_PER_S = 6000


class Duplicates:
    """One bridge's. ``is_on``: it sends segments of channels by all ways."""

    def __init__(self) -> None:
        self.is_on = False
        self.guard = StormGuard()
        self._pace = RateLimit(PER_S, BURST)

    def may_send(self, now: Instant) -> bool:
        """Whether one more segment is within what a switch decides about; if it is, it counts."""
        return self._pace.take(now)
