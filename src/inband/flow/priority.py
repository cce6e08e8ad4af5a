"""Two kinds of priority that cannot be mixed up.

A priority on the wire has 16 bits, so a controller cannot name a hidden flow's priority. Here that is a property of
the types: an :class:`OpenFlowPriority` cannot hold a value above 65535 and a :class:`HiddenPriority` none below
it, and whether a flow is hidden is decided by the type of its priority alone.
"""

from __future__ import annotations

from functools import lru_cache

from inband.errors import UsageError


class OpenFlowPriority(int):
    """A priority that a controller can name: 0 to 65535."""

    __slots__ = ()

    def __new__(cls, value: int) -> OpenFlowPriority:
        """Raise UsageError outside 0..65535."""
        if not 0 <= value <= 0xFFFF:
            raise UsageError(f"{value} is not an OpenFlow priority: it must be 0 to 65535")
        return super().__new__(cls, value)


@lru_cache(maxsize=4096)
def openflow_priority(value: int) -> OpenFlowPriority:
    """``OpenFlowPriority(value)``, made once for each value in use: flows have few different ones."""
    return OpenFlowPriority(value)


class HiddenPriority(int):
    """A priority above everything a controller can name; only in-band control makes such flows."""

    __slots__ = ()

    def __new__(cls, value: int) -> HiddenPriority:
        """Raise UsageError at or below 65535."""
        if value <= 0xFFFF:
            raise UsageError(f"{value} is not a hidden priority: it must be above 65535")
        return super().__new__(cls, value)


Priority = OpenFlowPriority | HiddenPriority
