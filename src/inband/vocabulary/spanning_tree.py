"""States and roles of bridge ports in a spanning tree, by the names of IEEE 802.1D-2004, 7.4 and 17.7."""

from __future__ import annotations

from enum import Enum, StrEnum


class StpState(StrEnum):
    """What a port does with data."""

    DISCARDING = "Discarding"
    LEARNING = "Learning"
    FORWARDING = "Forwarding"


class StpRole(Enum):
    """What a port is for; the value is the port role in an RST BPDU (IEEE 802.1D-2004, 9.3.3). Disabled has none."""

    DISABLED = 0
    ALTERNATE = 1
    ROOT = 2
    DESIGNATED = 3
    BACKUP = 4

    def __str__(self) -> str:
        return self.name.capitalize()
