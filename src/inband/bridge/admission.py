"""Which decisions are worth a place in the cache while more frames wait than can be decided.

To cache a decision costs about as much as to make it, and a flood of frames of ever new flows (a scan, a host that
invents addresses) asks for each of them once. So while frames wait, a decision is cached when it is made for the second
time. Whoever sends on pays for one decision more; a scan pays for no cache entries, which would also push others out.

This only remembers: two generations of marks, of which the older one is forgotten when the younger is full, or has
lasted long enough: else even a quiet switch would fill both in the course of an hour. A mark is a hash, so two matches
may share one: then a decision is cached at first sight, which is never wrong.
"""

from __future__ import annotations

from inband.flow.match import Match
from inband.vocabulary.instant import Instant

# At 20,000 decisions a second the last three to six seconds of them; about 10 MB.
GENERATION = 65_536
# Whoever pauses longer pays for one decision more. At a few hundred decisions a second this bounds the memory to 1 MB.
GENERATION_S = 30.0


class Admission:
    """Remembers the matches of the latest decisions."""

    def __init__(self, generation: int = GENERATION, generation_s: float = GENERATION_S) -> None:
        self._generation = generation
        self._generation_s = generation_s
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._ends: Instant = 0.0

    def is_known(self, match: Match, now: Instant) -> bool:
        """Whether this was asked for ``match`` lately; from now on it was."""
        if now >= self._ends or len(self._young) >= self._generation:
            self._young, self._old, self._ends = set(), self._young, now + self._generation_s
        mark = hash((match.value, match.mask))
        if mark in self._young:
            return True
        self._young.add(mark)
        return mark in self._old
