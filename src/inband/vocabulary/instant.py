"""Points in time."""

from __future__ import annotations

Instant = float
"""A point of the monotonic clock, in seconds. Code without a clock gets it as an argument named ``now``."""


def earliest(*dues: Instant | None) -> Instant | None:
    """The first of these points in time; None stands for never."""
    first: Instant | None = None
    for due in dues:
        if due is not None and (first is None or due < first):
            first = due
    return first
