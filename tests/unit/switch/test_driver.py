"""What calls a bridge, and its neighbours apart from it."""

from __future__ import annotations

from inband.sim.clock import VirtualClock
from inband.switch.driver import PartDriver


class Ticking:
    """Is due each tenth of a second, or as often as it is told."""

    def __init__(self) -> None:
        self.due: float | None = 0.1
        self.ran: list[float] = []

    def next_deadline(self) -> float | None:
        return self.due

    def run(self, now: float) -> None:
        self.ran.append(round(now, 3))
        self.due = now + 0.1


def test_a_part_is_run_when_it_is_due_and_not_after_it_was_stopped() -> None:
    clock, part = VirtualClock(), Ticking()
    driver = PartDriver(clock, part)
    driver.look()

    clock.run_until(0.35)
    driver.stop()
    clock.run_until(1.0)

    assert part.ran == [0.1, 0.2, 0.3]


def test_a_part_that_is_due_is_run_before_the_clock_comes_to_it_and_once() -> None:
    clock, part = VirtualClock(), Ticking()
    driver = PartDriver(clock, part)
    driver.look()

    driver.catch_up()
    assert part.ran == [], "it is not due"
    part.due = 0.0
    driver.catch_up()
    clock.run_until(0.05)
    assert part.ran == [0.0]
    clock.run_until(0.15)
    driver.stop()
    driver.catch_up()

    assert part.ran == [0.0, 0.1]


def test_a_part_that_is_due_later_than_it_was_is_not_run_before() -> None:
    clock, part = VirtualClock(), Ticking()
    driver = PartDriver(clock, part)
    driver.look()

    part.due = 0.5
    driver.look()
    clock.run_until(0.45)
    assert part.ran == []
    part.due = None
    driver.look()
    clock.run_until(1.0)

    assert part.ran == []
