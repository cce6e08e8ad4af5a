"""The exchanges of one switch with all of its neighbours about one matter: an ``exchange`` for each of them.

Invariant: each meeting has a request that is higher than any before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic

from inband.fabric.distances import Key
from inband.fabric.exchange import BURST, MESSAGES_PER_S, Exchange
from inband.fabric.update import Update, Value, size_of
from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant, earliest
from inband.vocabulary.rate_limit import RateLimit


class Exchanges(Generic[Key, Value]):
    """By port; who is there is known by its boot number.

    ``size_of``: as of ``Exchange``. A neighbour is sent ``per_s`` messages a second, ``burst`` at once.
    """

    def __init__(
        self, size_of: Callable[[Key], int] = size_of, *, per_s: float = MESSAGES_PER_S, burst: float = BURST
    ) -> None:
        self._size_of, self._per_s, self._burst = size_of, per_s, burst
        self._by_port: dict[PortNo, tuple[int, Exchange[Key, Value]]] = {}
        self._requests = 0
        self._due: Instant | None = None
        self._is_due_known = True  # each hello asks for it, and seldom has anything happened here

    def meet(self, port: PortNo, boot: int) -> None:
        """A neighbour with this boot number is there both ways."""
        self._requests += 1
        self._is_due_known = False
        self._by_port[port] = (boot, Exchange(self._requests, self._size_of, RateLimit(self._per_s, self._burst)))

    def part(self, port: PortNo) -> bool:
        """It is not any more; whether it was."""
        self._is_due_known = False
        return self._by_port.pop(port, None) is not None

    def has_met(self, port: PortNo, boot: int) -> bool:
        """Whether this neighbour, in this life, is there."""
        found = self._by_port.get(port)
        return found is not None and found[0] == boot

    def hear(
        self, port: PortNo, update: Update[Key, Value], everything: Callable[[], Iterable[Key]], now: Instant
    ) -> tuple[tuple[Key, Value], ...]:
        """What a neighbour that is there tells that is new; ``everything``: all that it is to be told of."""
        self._is_due_known = False
        return self._by_port[port][1].hear(update, everything, now)

    def tell(self, changed: Iterable[Key], *, but: PortNo | None = None) -> None:
        """Have all neighbours hear what is so of these now; whoever is at the port ``but`` knows it."""
        self._is_due_known = False
        changed = tuple(changed)
        for port, (_, exchange) in self._by_port.items():
            if port != but:
                exchange.tell(changed)

    def forget(self, key: Key) -> None:
        """There is nothing to say of it any more, not even to those who were not told of it yet."""
        self._is_due_known = False
        for _, exchange in self._by_port.values():
            exchange.forget(key)

    def next_deadline(self) -> Instant | None:
        """When ``take`` has something."""
        if not self._is_due_known:
            self._due = earliest(*(exchange.next_deadline() for _, exchange in self._by_port.values()))
            self._is_due_known = True
        return self._due

    def take(
        self, switch: int, boot: int, value: Callable[[Key], Value], now: Instant
    ) -> Iterator[tuple[PortNo, Update[Key, Value]]]:
        """What to send now, and where."""
        for port, (to_boot, exchange) in self._by_port.items():
            head = (switch, boot, int(port))
            while (update := exchange.take(head, to_boot, value, now)) is not None:
                self._is_due_known = False
                yield port, update
            self._is_due_known = False
