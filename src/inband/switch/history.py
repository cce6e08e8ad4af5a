"""The latest reports of a switch, for people who come later: when was the channel lost, and why."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from inband.switch.reports import Report
from inband.vocabulary.instant import Instant

# A controller that is lost and found every second fills this in a quarter of an hour; about 200 bytes each.
MAX_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Happened:
    """A report, and when it was made; ``number`` counts from 1 and has no gaps."""

    at: Instant
    report: Report
    number: int = 0

    @property
    def kind(self) -> str:
        """Its class as people and scripts write it: ``connection-lost``."""
        return kind_of(self.report)

    @property
    def bridge(self) -> str | None:
        """The bridge that it is about; None: all of them."""
        found: str | None = getattr(self.report, "bridge", None)
        return found

    @property
    def target(self) -> str | None:
        """The controller that it is about, as it is configured; None: none in particular."""
        target = getattr(self.report, "target", None)
        return None if target is None else str(target)


class History:
    """The last MAX_EVENTS reports, oldest first. ``count`` is how many there were since the start."""

    def __init__(self, limit: int = MAX_EVENTS) -> None:
        self._events: deque[Happened] = deque(maxlen=limit)
        self.count = 0

    def note(self, report: Report, now: Instant) -> None:
        """Keep a report; the oldest one makes room."""
        self.count += 1
        self._events.append(Happened(now, report, self.count))

    @property
    def forgotten(self) -> int:
        """How many made room."""
        return self.count - len(self._events)

    def __iter__(self) -> Iterator[Happened]:
        return iter(self._events)


def kind_of(report: Report) -> str:
    """A report's class in lower case, with hyphens."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(report).__name__).lower()
