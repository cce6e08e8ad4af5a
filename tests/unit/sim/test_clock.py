"""Virtual time passes in order, and never stands still unnoticed."""

from __future__ import annotations

from functools import partial

import pytest

from inband.sim.clock import ProcessClock, TimeStoodStillError, VirtualClock


def test_things_happen_in_the_order_of_their_instants_and_then_of_their_planning() -> None:
    clock, seen = VirtualClock(), list[tuple[str, float]]()

    clock.call_at(2.0, lambda: seen.append(("late", clock.now)))
    clock.call_at(1.0, lambda: seen.append(("first", clock.now)))
    clock.call_at(1.0, lambda: seen.append(("second", clock.now)))
    clock.run_until(3.0)

    assert seen == [("first", 1.0), ("second", 1.0), ("late", 2.0)]
    assert clock.now == 3.0


def test_what_is_planned_for_the_past_happens_now() -> None:
    clock, seen = VirtualClock(), list[float]()
    clock.run_until(5.0)

    clock.call_at(1.0, lambda: seen.append(clock.now))
    clock.run_until(5.0)

    assert seen == [5.0]


def test_a_cancelled_timer_does_nothing() -> None:
    clock, seen = VirtualClock(), list[str]()

    clock.call_later(1.0, lambda: seen.append("cancelled")).cancel()
    clock.run_until(2.0)

    assert seen == []


def test_a_run_stops_at_the_instant_at_which_its_condition_becomes_true() -> None:
    clock, seen = VirtualClock(), list[str]()
    clock.call_at(1.0, lambda: seen.append("here"))
    clock.call_at(2.0, lambda: seen.append("not yet"))

    stopped = clock.run_until(9.0, lambda: bool(seen))

    assert stopped
    assert (clock.now, seen) == (1.0, ["here"])


def test_something_that_plans_itself_for_the_same_instant_for_ever_is_reported() -> None:
    clock = VirtualClock()

    def again() -> None:
        clock.call_soon(again)

    again()

    with pytest.raises(TimeStoodStillError, match=r"at 0\.000000 s"):
        clock.run_until(1.0)


def test_what_a_dead_process_has_planned_does_not_happen() -> None:
    clock, seen = VirtualClock(), list[str]()
    dead, alive = ProcessClock(clock), ProcessClock(clock)
    for process, name in ((dead, "dead"), (alive, "alive")):
        process.call_soon(partial(seen.append, f"{name} soon"))
        process.call_at(1.0, partial(seen.append, f"{name} later"))

    dead.is_alive = False
    clock.run_until(2.0)

    assert seen == ["alive soon", "alive later"]
    assert dead.time() == 2.0
