"""The exchanges of one switch with all of its neighbours about one matter: an ``exchange`` for each of them.

Invariant: each meeting has a request that is higher than any before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic

from inband.fabric.distances import Distance, Key
from inband.fabric.exchange import Exchange
from inband.fabric.update import Update
from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant, earliest


class Exchanges(Generic[Key]):
    """By port; who is there is known by its boot number."""

    def __init__(self) -> None:
        self._by_port: dict[PortNo, tuple[int, Exchange[Key]]] = {}
        self._requests = 0

    def meet(self, port: PortNo, boot: int) -> None:
        """A neighbour with this boot number is there both ways."""
        self._requests += 1
        self._by_port[port] = (boot, Exchange(self._requests))

    def part(self, port: PortNo) -> bool:
        """It is not any more; whether it was."""
        return self._by_port.pop(port, None) is not None

    def has_met(self, port: PortNo, boot: int) -> bool:
        """Whether this neighbour, in this life, is there."""
        found = self._by_port.get(port)
        return found is not None and found[0] == boot

    def hear(
        self, port: PortNo, update: Update[Key], everything: Callable[[], Iterable[Key]], now: Instant
    ) -> tuple[tuple[Key, Distance], ...]:
        """What a neighbour that is there tells that is new; ``everything``: all that it is to be told of."""
        return self._by_port[port][1].hear(update, everything, now)

    def tell(self, changed: Iterable[Key]) -> None:
        """Have all neighbours hear how far these are now."""
        changed = tuple(changed)
        for _, exchange in self._by_port.values():
            exchange.tell(changed)

    def next_deadline(self) -> Instant | None:
        """When ``take`` has something."""
        return earliest(*(exchange.next_deadline() for _, exchange in self._by_port.values()))

    def take(
        self, switch: int, boot: int, distance: Callable[[Key], Distance], now: Instant
    ) -> Iterator[tuple[PortNo, Update[Key]]]:
        """What to send now, and where."""
        for port, (to_boot, exchange) in self._by_port.items():
            head = (switch, boot, int(port))
            while (update := exchange.take(head, to_boot, distance, now)) is not None:
                yield port, update
