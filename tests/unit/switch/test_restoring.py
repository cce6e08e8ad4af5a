"""What another program takes is taken back, and there is no fight."""

from __future__ import annotations

from inband.switch.restoring import AGAIN_S, AT_ONCE, Restoring


def test_what_is_taken_may_be_taken_back_at_once() -> None:
    restoring = Restoring()

    assert restoring.next_deadline(0.0) == 0.0


def test_after_some_times_in_a_row_it_waits() -> None:
    restoring = Restoring()
    for number in range(AT_ONCE):
        assert restoring.next_deadline(number / 10) <= number / 10
        assert restoring.restored(number / 10) is (number == AT_ONCE - 1)

    assert restoring.next_deadline(1.0) == AGAIN_S

    assert restoring.next_deadline(AGAIN_S) == AGAIN_S


def test_in_a_year_of_fighting_it_tries_some_times_a_minute() -> None:
    restoring, now, tries = Restoring(), 0.0, 0
    while now < 3600.0:
        now = max(now, restoring.next_deadline(now))
        restoring.restored(now)
        tries += 1

    assert tries <= AT_ONCE * (3600 / AGAIN_S + 1)


def test_after_a_quiet_time_it_is_as_at_first() -> None:
    restoring = Restoring()
    for _ in range(AT_ONCE):
        restoring.restored(0.0)

    assert restoring.next_deadline(AGAIN_S + 1) == AGAIN_S + 1
    assert restoring.restored(AGAIN_S + 1) is False
