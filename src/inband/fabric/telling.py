"""Distances of one matter, what neighbours tell of them, and what they are told: what ``ways`` and ``needs`` share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic

from inband.fabric.distances import Distance, Distances, Key
from inband.fabric.exchanges import Exchanges
from inband.fabric.starving import Starving
from inband.fabric.update import Update
from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant
from inband.vocabulary.rate_limit import RateLimit


class Telling(Generic[Key]):
    """One switch's. ``raises``: how often its numbers are raised."""

    def __init__(self, distances: Distances[Key], raises: RateLimit, starving: Starving) -> None:
        self.distances = distances
        self._exchanges: Exchanges[Key, Distance] = Exchanges()
        self._raises, self._starving = raises, starving
        self._raise_at: Instant | None = None

    def meet(self, port: PortNo, boot: int) -> None:
        """A neighbour with this boot number is there both ways."""
        self.part(port)
        self._exchanges.meet(port, boot)

    def part(self, port: PortNo) -> None:
        """It is not any more."""
        if self._exchanges.part(port):
            self.distances.lose(port)

    def has_met(self, port: PortNo, boot: int) -> bool:
        """Whether this neighbour, in this life, is there."""
        return self._exchanges.has_met(port, boot)

    @property
    def is_quiet(self) -> bool:
        """Whether no distance has changed, so that nothing is to be done before ``next_deadline``."""
        is_new = self._starving.due is None and bool(self.distances.starving)
        return not (self.distances.has_changed or is_new)

    def take_updates(self, switch: int, boot: int, now: Instant) -> Iterator[tuple[PortNo, Update[Key, Distance]]]:
        """What to send now, and where."""
        return self._exchanges.take(switch, boot, self.distances.distance, now)

    def _look_for_starving(self, now: Instant) -> bool:
        """Whether it is time to tell that something is out of reach."""
        return self._starving.look(now, starves=bool(self.distances.starving))
