"""How long to wait for an answer, from those that came."""

from __future__ import annotations

import pytest

from inband.pipeline.answer_times import MAX_STATIONS, AnswerTimes

ONE, TWO = (4, 1), (4, 2)


def answered(times: AnswerTimes, took_s: float, count: int) -> None:
    for begin in range(count):
        times.ask(ONE, begin)
        times.answer(ONE, begin + took_s)


def test_nothing_is_waited_for_where_nothing_is_known() -> None:
    times = AnswerTimes()
    times.ask(ONE, 1.0)

    assert times.patience_s(ONE) == 0.0
    assert not times.is_waiting(ONE, 1.0, 0.3)


@pytest.mark.parametrize("took_s", [0.001, 0.02, 0.2])
def test_even_answers_are_waited_for_a_little_longer_than_they_take(took_s: float) -> None:
    times = AnswerTimes()

    answered(times, took_s, 40)

    assert took_s < times.patience_s(ONE) < 1.1 * took_s


def test_of_a_question_that_was_repeated_the_last_one_counts() -> None:
    times = AnswerTimes()
    times.ask(ONE, 1.0)
    times.ask(ONE, 1.9)

    times.answer(ONE, 2.0)

    assert times.patience_s(ONE) == pytest.approx(0.3)


def test_a_second_answer_counts_for_nothing_and_neither_does_one_that_nobody_asked_for() -> None:
    times = AnswerTimes()
    answered(times, 0.01, 1)
    before = times.patience_s(ONE)

    times.answer(ONE, 60.0)
    times.answer(TWO, 60.0)

    assert (times.patience_s(ONE), times.patience_s(TWO)) == (before, 0.0)


def test_an_answer_is_awaited_for_so_long_and_no_longer() -> None:
    times = AnswerTimes()
    answered(times, 0.1, 40)
    times.ask(ONE, 100.0)

    assert times.is_waiting(ONE, 100.09, 0.3)
    assert not times.is_waiting(ONE, 100.12, 0.3)
    assert not times.is_waiting(ONE, 100.06, 0.05)


def test_no_more_stations_are_remembered_than_said() -> None:
    times = AnswerTimes()
    for number in range(2 * MAX_STATIONS):
        times.ask((4, number), 1.0)
        times.answer((4, number), 1.1)
        times.ask((4, number), 2.0)

    assert times.patience_s((4, 0)) == 0.0
    assert times.patience_s((4, 2 * MAX_STATIONS - 1)) > 0.0
    assert len(times) == MAX_STATIONS


def test_a_slow_network_is_learned_of_though_questions_are_repeated_before_it_answers() -> None:
    times, now = AnswerTimes(), 0.0
    for _ in range(30):  # each answer takes 0.2 s; whoever has no patience asks anew
        first = now
        while now < first + 0.2:
            times.ask(ONE, now)
            now += max(0.02, times.patience_s(ONE))
        times.answer(ONE, max(now - 0.02, first + 0.2))
        now = first + 1.0

    assert times.patience_s(ONE) > 0.1


def test_the_longest_is_that_of_the_slowest_station_and_infinite_where_nothing_is_known() -> None:
    times = AnswerTimes()
    unknown = times.longest_s()
    answered(times, 0.001, 40)
    times.ask(TWO, 50.0)
    times.answer(TWO, 50.02)

    assert unknown == float("inf")
    assert times.longest_s() == times.patience_s(TWO)
