"""What a controller's log says: when a switch was up, and how long it was silent.

Times are CLOCK_MONOTONIC seconds, the same clock for all processes and namespaces, so a test may compare them with
its own ``time.monotonic()``.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL_S = 0.01
"""How often a waiting test looks again: short beside the 0.1 s that the figures are about."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. ``dpid`` is 16 hex digits, empty until the switch said it; ``conn`` counts connections."""

    t: float
    event: str
    dpid: str
    conn: int
    details: dict[str, Any]


class Journal:
    """A log that grows while it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: list[Entry] = []
        self._offset = 0

    def entries(self, event: str, dpid: str | None = None, *, since: float = 0.0) -> list[Entry]:
        """Return the entries of one kind so far, of one switch or of all."""
        self._read()
        return [
            each
            for each in self._entries
            if each.event == event and each.t >= since and (dpid is None or each.dpid == dpid)
        ]

    def count(self, event: str, *, since: float = 0.0) -> int:
        """Return how many entries of this kind there are."""
        return len(self.entries(event, since=since))

    def up_at(self, dpid: str, *, since: float = 0.0) -> float | None:
        """Return when the switch's FEATURES_REPLY came, the first after ``since``; None when none did yet."""
        found = self.entries("features_reply", dpid, since=since)
        return found[0].t if found else None

    def wait_up(self, dpids: Iterable[str], timeout_s: float, *, since: float = 0.0) -> dict[str, float]:
        """Wait until all these switches are up; return when each was. Those missing after the timeout are left out."""
        wanted = list(dpids)
        until(lambda: all(self.up_at(dpid, since=since) is not None for dpid in wanted), timeout_s)
        found = {dpid: self.up_at(dpid, since=since) for dpid in wanted}
        return {dpid: at for dpid, at in found.items() if at is not None}

    def silence(self, dpid: str, start: float, end: float) -> float:
        """Return the longest time without an echo reply from the switch between two instants, their edges included."""
        times = [each.t for each in self.entries("echo", dpid) if start <= each.t <= end]
        marks = [start, *times, end]
        return max(later - earlier for earlier, later in itertools.pairwise(marks))

    def _read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(self._offset)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._entries.extend(_entry(json.loads(line)) for line in whole.splitlines())


def until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until something is so; return whether it became so in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(POLL_S)
    return condition()


def _entry(raw: dict[str, Any]) -> Entry:
    return Entry(raw.pop("t"), raw.pop("event"), raw.pop("dpid", ""), raw.pop("conn", 0), raw)
