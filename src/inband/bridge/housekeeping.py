"""When cached decisions are counted and idle ones forgotten: each second while there are any."""

from __future__ import annotations

from inband.bridge.megaflows import MegaflowCache
from inband.vocabulary.instant import Instant

# How often counters are passed on and idle decisions forgotten while there are cached decisions.
HOUSEKEEPING_S = 1.0
# Between two turns of forgetting: everything else has its turn, and a full cache is empty after three seconds.
BETWEEN_TURNS_S = 0.02


class Housekeeping:
    """The turns of one bridge. Work per turn is bounded by what ``MegaflowCache.forget_idle`` does at once."""

    def __init__(self, megaflows: MegaflowCache) -> None:
        self._megaflows = megaflows
        self._due: Instant | None = None
        self._is_forgetting = False

    def start(self, now: Instant) -> bool:
        """A decision was cached; whether ``next_deadline`` is another now."""
        if self._due is not None:
            return False
        self._due = now + HOUSEKEEPING_S
        return True

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due; None while nothing is cached."""
        return self._due

    def run(self, now: Instant) -> None:
        """Count, and forget what is idle; what is too much for one turn goes on in the next, without counting."""
        if not self._is_forgetting:
            self._megaflows.credit()
        self._is_forgetting = self._megaflows.forget_idle(now)
        pause = BETWEEN_TURNS_S if self._is_forgetting else HOUSEKEEPING_S
        self._due = now + pause if len(self._megaflows) or self._is_forgetting else None
