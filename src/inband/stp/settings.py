"""What people configure of a spanning tree, with the ranges of IEEE 802.1D-2004 (17.13, 17.14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inband.errors import UsageError

MAX_PRIORITY, PRIORITY_STEP = 61440, 4096
MAX_PORT_PRIORITY, PORT_PRIORITY_STEP = 240, 16
MAX_PATH_COST = 200_000_000
_TIMES = {"max-age": (6, 40), "forward-delay": (4, 30)}

UNKNOWN_SPEED_COST = 200_000
"""The path cost of a port whose speed is unknown: that of 100 Mbit/s."""


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """A bridge's: its priority, a multiple of 4096, and what it gives the tree where it is the root, in seconds."""

    priority: int = 32768
    max_age_s: int = 20
    forward_delay_s: int = 15


@dataclass(frozen=True, slots=True)
class PortTreeSettings:
    """A port's. ``path_cost`` None: by its speed. ``is_edge``: no bridge is behind it, so it forwards at once.

    ``is_in_tree`` False: the tree has no part in it, and it forwards whatever comes of that; only a front end sets it.
    """

    path_cost: int | None = None
    priority: int = 128
    is_edge: bool = False
    is_in_tree: bool = True

    def __str__(self) -> str:
        """As the configuration says it behind a port's name: ``rstp-cost=20000,rstp-edge=on``; what is usual is not."""
        words = [] if self.path_cost is None else [f"rstp-cost={self.path_cost}"]
        words += [] if self.priority == DEFAULT_PORT.priority else [f"rstp-priority={self.priority}"]
        words += ["rstp-edge=on"] if self.is_edge else []
        return ",".join(words)


DEFAULT_PORT = PortTreeSettings()


PORT_WORDS = {"rstp-cost": "COST", "rstp-priority": "PRIORITY", "rstp-edge": "on|off"}
"""What may be said of a port, with what stands for values."""


def parse_port_settings(words: Mapping[str, str]) -> PortTreeSettings | None:
    """What PORT_WORDS say of a port; None for what is usual. Raises UsageError."""
    edge = words.get("rstp-edge", "off")
    if edge not in ("on", "off"):
        raise UsageError(f"rstp-edge {edge!r} is not allowed: on or off")
    said = PortTreeSettings(
        parse_path_cost(words["rstp-cost"]) if "rstp-cost" in words else None,
        parse_port_priority(words["rstp-priority"]) if "rstp-priority" in words else DEFAULT_PORT.priority,
        edge == "on",
    )
    return None if said == DEFAULT_PORT else said


def parse_times(words: Mapping[str, str]) -> tuple[int, int]:
    """Max age and forward delay, of ``max-age`` and ``forward-delay``; raises UsageError (17.14, table 17-1)."""
    usual = {"max-age": TreeSettings().max_age_s, "forward-delay": TreeSettings().forward_delay_s}
    found = {}
    for word, (least, most) in _TIMES.items():
        text = words.get(word, str(usual[word]))
        if not (_is_number(text) and least <= int(text) <= most):
            raise UsageError(f"{word} {text!r} is not allowed: {least} to {most} seconds")
        found[word] = int(text)
    if found["max-age"] > 2 * (found["forward-delay"] - 1):
        raise UsageError("max-age is at most twice forward-delay less a second: a loop could last longer than that")
    return found["max-age"], found["forward-delay"]


def parse_priority(text: str) -> int:
    """A bridge's priority; raises UsageError."""
    return _multiple(text, PRIORITY_STEP, MAX_PRIORITY)


def parse_port_priority(text: str) -> int:
    """A port's priority; raises UsageError."""
    return _multiple(text, PORT_PRIORITY_STEP, MAX_PORT_PRIORITY)


def parse_path_cost(text: str) -> int:
    """A port's path cost; raises UsageError."""
    if not (_is_number(text) and 1 <= int(text) <= MAX_PATH_COST):
        raise UsageError(f"path cost {text!r} is not allowed: 1 to {MAX_PATH_COST}")
    return int(text)


def _multiple(text: str, step: int, most: int) -> int:
    if not (_is_number(text) and int(text) <= most and int(text) % step == 0):
        near = f"; the nearest is {round(int(text) / step) * step}" if _is_number(text) and int(text) <= most else ""
        raise UsageError(f"priority {text!r} is not allowed: multiples of {step} from 0 to {most}{near}")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def path_cost(speed_kbps: int) -> int:
    """The recommended path cost of a speed (table 17-3); 0 for unknown."""
    if speed_kbps <= 0:
        return UNKNOWN_SPEED_COST
    return min(max(1, 20_000_000_000 // speed_kbps), MAX_PATH_COST)
