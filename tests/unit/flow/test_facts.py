"""Facts of shared values: found once, of the right one, and never of too many."""

from __future__ import annotations

import pytest

from inband.flow.actions import ApplyActions, ClearActions, Output, WriteActions
from inband.flow.facts import MOST_ACTIONS, Facts, are_few
from inband.flow.ports import PortNo


def _always(_: tuple[int, ...]) -> bool:
    return True


def test_they_are_found_once_for_each_object() -> None:
    asked = list[tuple[int, ...]]()
    facts = Facts[tuple[int, ...], int](lambda value: asked.append(value) or len(value), _always)  # type: ignore[func-returns-value]
    first, equal = tuple(range(2)), tuple(range(2))

    assert [facts.of(each) for each in (first, first, equal)] == [2, 2, 2]
    assert asked == [first, equal]


def test_an_object_that_takes_the_place_of_one_that_is_gone_has_facts_of_its_own() -> None:
    facts = Facts[tuple[int, ...], tuple[int, ...]](lambda value: value, _always, most=3)

    assert all(facts.of(made := tuple(range(number, number + 2))) is made for number in range(100))


def test_there_are_never_more_than_are_allowed() -> None:
    facts = Facts[tuple[int, ...], int](len, _always, most=3)
    values = [tuple(range(size)) for size in range(10)]

    for value in values:
        assert facts.of(value) == len(value)
        assert len(facts) <= 3


def test_what_cannot_be_found_is_asked_again() -> None:
    facts = Facts[int, float](lambda value: 1 / value, lambda _: True)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            facts.of(0)
    assert len(facts) == 0


def test_what_is_large_is_not_kept() -> None:
    facts = Facts[tuple[int, ...], int](len, lambda value: len(value) <= 2)

    assert [facts.of(tuple(range(size))) for size in range(5)] == [0, 1, 2, 3, 4]
    assert len(facts) == 3


def test_instructions_are_few_by_all_their_actions() -> None:
    half = (Output(PortNo(1)),) * (MOST_ACTIONS // 2)

    assert are_few((ApplyActions(half), ClearActions(), WriteActions(half)))
    assert not are_few((ApplyActions(half), WriteActions((*half, Output(PortNo(2))))))
