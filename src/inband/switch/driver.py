"""When a bridge is looked at: soon after something happened, and at its next deadline, by any clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from inband.switch.turns import Turns
from inband.vocabulary.instant import Instant


class Planned(Protocol):
    """A call that is planned."""

    def cancel(self) -> None:
        """Do not make it."""


class Clock(Protocol):
    """What of an event loop is needed: asyncio's and the simulator's virtual clock have it."""

    def time(self) -> Instant:
        """Now."""

    def call_soon(self, action: Callable[[], None]) -> object:
        """Plan a call after everything that waits."""

    def call_at(self, when: Instant, action: Callable[[], None]) -> Planned:
        """Plan a call for an instant."""


class Driven(Protocol):
    """What is looked at."""

    def send(self) -> None:
        """Send what waits."""

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""

    def run(self) -> None:
        """Do what is due."""


class Part(Protocol):
    """What of a bridge has something to do far more often than the rest, and is looked at by itself: its neighbours."""

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""

    def run(self, now: Instant) -> None:
        """Do what is due."""


class _Timer:
    """A call that is planned for an instant, or none."""

    def __init__(self, clock: Clock, action: Callable[[], None]) -> None:
        self._clock, self._action = clock, action
        self._planned: Planned | None = None
        self._due: Instant | None = None

    def set(self, due: Instant | None) -> None:
        """Have the call come then, and not when it was to come before."""
        if self._planned is not None:
            if due == self._due:
                return
            self._planned.cancel()
        self._due = due
        self._planned = None if due is None else self._clock.call_at(due, self._call)

    def _call(self) -> None:
        self._planned = None
        self._action()


class Driver:
    """Calls a bridge at the right moments, until ``stop``. ``wake`` says that something happened."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._driven: Driven | None = None
        self._is_woken = False
        self._timer = _Timer(clock, self._on_timer)

    def start(self, driven: Driven) -> None:
        """Drive this from now on."""
        self._driven = driven
        self.wake()

    def stop(self) -> None:
        """Leave it alone."""
        self._driven = None
        self._timer.set(None)

    def wake(self) -> None:
        """Something waits to be sent, or the next deadline may be earlier: look soon, once."""
        if not self._is_woken and self._driven is not None:
            self._is_woken = True
            self._clock.call_soon(self._look)

    def _look(self) -> None:
        self._is_woken = False
        if self._driven is not None:
            self._driven.send()
            self._timer.set(self._driven.next_deadline())

    def _on_timer(self) -> None:
        if self._driven is not None:
            self._driven.run()
            self.wake()


class PartDriver:
    """Calls one part of a bridge when it is due, until ``stop``."""

    def __init__(self, clock: Clock, part: Part) -> None:
        self._clock = clock
        self._part: Part | None = part
        self._timer = _Timer(clock, self._on_timer)

    def stop(self) -> None:
        """Leave it alone."""
        self._part = None
        self._timer.set(None)

    def look(self) -> None:
        """Its next deadline is another one."""
        if self._part is not None:
            self._timer.set(self._part.next_deadline())

    def catch_up(self) -> None:
        """Have it run if it is due already, before the clock comes to that."""
        due = None if self._part is None else self._part.next_deadline()
        if due is not None and due <= self._clock.time():
            self._on_timer()

    def _on_timer(self) -> None:
        if self._part is not None:
            self._part.run(self._clock.time())
            self.look()


def turns_on(clock: Clock) -> Turns:
    """Turns that are given while there is something to do, between everything else that the clock has planned."""

    def wake() -> None:
        clock.call_soon(turns.run)

    turns = Turns(clock.time, wake)
    return turns
