"""Port numbers: flows name ports by them, so they never move because of an edit or a restart."""

from __future__ import annotations

from inband.flow.ports import PortNo
from inband.switch.port_numbers import MAX_REMEMBERED, assign, remembered


def _numbers(**numbers: int) -> dict[str, PortNo]:
    return {name: PortNo(number) for name, number in numbers.items()}


def test_the_first_ports_are_numbered_in_their_order() -> None:
    assert assign(["b", "a"], {}, {}) == _numbers(b=1, a=2)


def test_ports_in_another_order_with_one_removed_keep_their_numbers() -> None:
    assert assign(["c", "a"], {}, _numbers(a=1, b=2, c=3)) == _numbers(c=3, a=1)


def test_a_new_port_does_not_get_the_number_of_one_that_is_away() -> None:
    assert assign(["new", "a"], {}, _numbers(a=1, b=2)) == _numbers(new=3, a=1)


def test_a_pinned_number_wins_over_what_was_and_the_other_port_gets_a_new_one() -> None:
    assert assign(["a", "b", "c"], _numbers(c=1), _numbers(a=1, b=2)) == _numbers(c=1, b=2, a=3)


def test_what_is_remembered_is_bounded_and_ports_in_use_are_never_forgotten() -> None:
    old = {f"tap{n}": PortNo(n) for n in range(1, MAX_REMEMBERED + 1)}

    known = remembered(old, _numbers(tap1=1, eth0=2000))

    assert len(known) == MAX_REMEMBERED
    assert known["tap1"] == 1
    assert known["eth0"] == 2000
    assert "tap2" not in known


def test_a_number_is_remembered_for_one_interface_only() -> None:
    assert remembered(_numbers(a=1, b=2), _numbers(c=1)) == _numbers(b=2, c=1)
