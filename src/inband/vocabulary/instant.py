"""Points in time."""

from __future__ import annotations

Instant = float
"""A point of the monotonic clock, in seconds. Code without a clock gets it as an argument named ``now``."""
