"""Alarms name the earliest deadline however often each of them moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inband.switch.alarms import Alarms


def test_the_earliest_is_named_and_taken() -> None:
    alarms = Alarms[str]()
    alarms.set("a", 3.0)
    alarms.set("b", 2.0)

    assert alarms.next_deadline() == 2.0
    assert alarms.take_due(2.5) == ["b"]
    assert alarms.next_deadline() == 3.0


def test_one_that_moved_to_later_is_not_due_at_its_old_time() -> None:
    alarms = Alarms[str]()
    alarms.set("a", 1.0)
    alarms.set("a", 5.0)

    assert alarms.take_due(4.0) == []
    assert alarms.next_deadline() == 5.0


def test_one_that_was_taken_off_is_never_due() -> None:
    alarms = Alarms[str]()
    alarms.set("a", 1.0)
    alarms.set("a", None)

    assert alarms.next_deadline() is None
    assert alarms.take_due(9.0) == []


moves = st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(0, 20)), max_size=60)


@given(moves, st.integers(0, 20))
def test_it_says_what_a_plain_dictionary_would(moves: list[tuple[int, int | None]], now: int) -> None:
    alarms, twin = Alarms[int](), dict[int, float]()

    for key, due in moves:
        alarms.set(key, due)
        if due is None:
            twin.pop(key, None)
        else:
            twin[key] = due
        assert alarms.next_deadline() == min(twin.values(), default=None)

    assert sorted(alarms.take_due(now)) == sorted(key for key, due in twin.items() if due <= now)
    assert alarms.next_deadline() == min((due for due in twin.values() if due > now), default=None)
