"""How long stations take to answer a question of LOCAL, and so how long to wait before another one is asked.

Reckoned as TCP does (RFC 6298, 2; ``vocabulary.usual``). An answer counts from the last question before it, so one
that was repeated gives too short a time rather than too long a one; where patience was too short, it grows, and with it
the time that the next answer gives. A network that is slow, or has much to do, is not asked the same again and again
before it can have answered, which would make it slower.

Invariant: work per call is constant, memory is MAX_STATIONS entries.
"""

from __future__ import annotations

from inband.vocabulary.addresses import AddressKey
from inband.vocabulary.instant import Instant
from inband.vocabulary.usual import Usual

MAX_STATIONS = 1024


class AnswerTimes:
    """Those of one switch, in seconds."""

    def __init__(self) -> None:
        self._asked: dict[AddressKey, Instant] = {}
        self._times: dict[AddressKey, Usual] = {}

    def __len__(self) -> int:
        """How many stations' times are known."""
        return len(self._times)

    def ask(self, address: AddressKey, now: Instant) -> None:
        """LOCAL asks for it."""
        self._asked.pop(address, None)
        self._asked[address] = now
        _bound(self._asked)

    def answer(self, address: AddressKey, now: Instant) -> None:
        """An answer came; without a question since the last one it counts for nothing."""
        asked = self._asked.pop(address, None)
        if asked is None:
            return
        took = now - asked
        known = self._times.pop(address, None)
        if known is None:
            known = Usual(took, took / 2)  # RFC 6298, 2.2
        else:
            known.take(took)
        self._times[address] = known
        _bound(self._times)

    def patience_s(self, address: AddressKey) -> float:
        """How long its answer may take; 0: nothing is known of it."""
        known = self._times.get(address)
        return 0.0 if known is None else known.most

    def longest_s(self) -> float:
        """How long an answer may take, whosever; infinite: nothing is known of any. Work: the stations."""
        return max((each.most for each in self._times.values()), default=float("inf"))

    def is_waiting(self, address: AddressKey, now: Instant, most_s: float) -> bool:
        """Whether the answer to the last question may still come, which is waited for ``most_s`` at most."""
        asked = self._asked.get(address)
        return asked is not None and now - asked < min(self.patience_s(address), most_s)


def _bound(kept: dict[AddressKey, Instant] | dict[AddressKey, Usual]) -> None:
    while len(kept) > MAX_STATIONS:
        del kept[next(iter(kept))]
