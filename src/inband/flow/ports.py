"""Port numbers, as a type, and the reserved ones (OpenFlow 1.3.5, 7.2.1)."""

from __future__ import annotations

from functools import lru_cache

from inband.errors import UsageError


class PortNo(int):
    """An OpenFlow port number, 32 bits. OpenFlow 1.0's 16-bit reserved ports are widened to these by the codec."""

    __slots__ = ()

    def __new__(cls, value: int) -> PortNo:
        """Raise UsageError outside 0..2**32-1."""
        if not 0 <= value < 1 << 32:
            raise UsageError(f"{value} is not a port number: it has more than 32 bits")
        return super().__new__(cls, value)

    def __str__(self) -> str:
        return NAMES.get(self, int.__repr__(self))

    def __repr__(self) -> str:
        return f"PortNo({self})"


@lru_cache(maxsize=4096)
def port_number(value: int) -> PortNo:
    """``PortNo(value)``, made once for each value in use: for where every packet passes."""
    return PortNo(value)


HIGHEST = PortNo(0xFEFF)
"""The highest number of a port that is there: OpenFlow 1.0's (there 5.2.1), so that every peer can be shown every flow.
Open vSwitch ends there too."""

MAX = PortNo(0xFFFFFF00)
IN_PORT = PortNo(0xFFFFFFF8)
TABLE = PortNo(0xFFFFFFF9)
NORMAL = PortNo(0xFFFFFFFA)
FLOOD = PortNo(0xFFFFFFFB)
ALL = PortNo(0xFFFFFFFC)
CONTROLLER = PortNo(0xFFFFFFFD)
LOCAL = PortNo(0xFFFFFFFE)
ANY = PortNo(0xFFFFFFFF)

NAMES: dict[int, str] = {
    IN_PORT: "IN_PORT",
    TABLE: "TABLE",
    NORMAL: "NORMAL",
    FLOOD: "FLOOD",
    ALL: "ALL",
    CONTROLLER: "CONTROLLER",
    LOCAL: "LOCAL",
    ANY: "ANY",
}
