"""A change that is undone unless an operator who can still reach the switch confirms it (``--confirm``).

Sans-IO: the owner goes back to the configuration that it is given, and keeps it where a crash does not reach it.

Invariant: at most one change waits, and nothing else changes meanwhile; so there is one configuration to go back to.
"""

from __future__ import annotations

from dataclasses import dataclass

from inband.errors import UsageError
from inband.switch.config import SwitchConfig
from inband.vocabulary.instant import Instant

LEAST_S, MOST_S = 1.0, 86400.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    before: SwitchConfig
    words: str
    deadline: Instant


class Confirming:
    """The change of a switch that waits for confirmation, if one does."""

    def __init__(self) -> None:
        self._waiting: _Waiting | None = None
        self._last: tuple[str, Instant] | None = None

    @property
    def waiting(self) -> str | None:
        """The change that waits, in words."""
        return None if self._waiting is None else self._waiting.words

    def check_free(self, now: Instant) -> None:
        """Raise UsageError while a change waits."""
        if self._waiting is not None:
            left = self._waiting.deadline - now
            raise UsageError(
                f"`{self._waiting.words}` is not confirmed yet and would be undone in {left:.0f} s: "
                "`inband confirm` keeps it, `inband rollback` takes it back; then change something else"
            )

    def begin(self, before: SwitchConfig, words: str, seconds: float, now: Instant) -> None:
        """A change was begun; it is due in so many seconds. ``check_free`` comes before."""
        self._waiting = _Waiting(before, words, now + seconds)

    def next_deadline(self) -> Instant | None:
        """When ``take_due`` is to be called."""
        return None if self._waiting is None else self._waiting.deadline

    def take_due(self, now: Instant) -> SwitchConfig | None:
        """What to go back to, when the time is over."""
        waiting = self._waiting
        if waiting is None or now < waiting.deadline:
            return None
        self._end(f"too late: {waiting.words} was undone", now)
        return waiting.before

    def confirm(self, now: Instant) -> None:
        """The change stays. Raises UsageError when none waits."""
        self._end(f"{self._must_wait(now).words} was confirmed", now)

    def roll_back(self, now: Instant) -> SwitchConfig:
        """What to go back to at once. Raises UsageError when no change waits."""
        waiting = self._must_wait(now)
        self._end(f"{waiting.words} was taken back", now)
        return waiting.before

    def _must_wait(self, now: Instant) -> _Waiting:
        if self._waiting is not None:
            return self._waiting
        if self._last is None:
            raise UsageError("no change waits to be confirmed: give --confirm SECONDS with the next one")
        what, when = self._last
        already = "" if what.startswith("too late") else " already"
        raise UsageError(f"{what} {now - when:.0f} s ago{already}: no change waits to be confirmed")

    def _end(self, what: str, now: Instant) -> None:
        self._waiting, self._last = None, (what, now)
