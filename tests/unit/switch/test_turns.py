"""Turns: nobody works for long, everybody has a turn, and controllers wait for one other peer's turn at most."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from inband.switch.turns import SLICE_S, TURN_S, Turns
from tests.unit.switch.fakes import Clock

STEP_S = 0.0005


@dataclass(eq=False)
class Peer:
    """Has so many steps of work, of half a millisecond each."""

    name: str
    clock: Clock
    log: list[str]
    steps: int
    is_first: bool = False

    def work(self, until: float) -> bool:
        self.log.append(self.name)
        while self.steps:
            self.steps -= 1
            self.clock.now += STEP_S
            if self.clock.now >= until:
                break
        return self.steps > 0


class Bench:
    """Turns with a clock, and how often they asked to be called."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.log: list[str] = []
        self.wakes = 0
        self.turns = Turns(self.clock, self._wake)

    def _wake(self) -> None:
        self.wakes += 1

    def peer(self, name: str, steps: int, *, is_first: bool = False) -> Peer:
        peer = Peer(name, self.clock, self.log, steps, is_first)
        self.turns.add(peer)
        return peer


def test_a_slice_ends_in_time_and_asks_for_the_next_one() -> None:
    bench = Bench()
    flooder = bench.peer("flooder", 1000)

    bench.turns.run()

    assert bench.clock.now <= SLICE_S + STEP_S
    assert flooder.steps > 900
    assert bench.wakes == 2


def test_turns_are_asked_for_once_however_many_wait() -> None:
    bench = Bench()
    for number in range(5):
        bench.peer(str(number), 1)

    assert bench.wakes == 1
    bench.turns.run()
    bench.turns.run()
    assert bench.wakes == 2
    assert bench.log == list("01234")


def test_everybody_has_a_turn_before_anybody_has_two() -> None:
    bench = Bench()
    for number in range(4):
        bench.peer(str(number), 100)

    for _ in range(4):
        bench.turns.run()

    assert bench.log[:4] == list("0123")
    assert bench.log[4:8] == list("0123")


@pytest.mark.parametrize("flooders", [1, 16])
def test_a_controller_waits_for_one_turn_of_others_at_most(flooders: int) -> None:
    bench = Bench()
    for number in range(flooders):
        bench.peer(f"flooder {number}", 10_000)
    bench.turns.run()
    begin, seen = bench.clock.now, len(bench.log)

    controller = bench.peer("controller", 1, is_first=True)
    while controller.steps:
        bench.turns.run()

    assert bench.log.index("controller") - seen <= 1
    assert bench.clock.now - begin <= 2 * SLICE_S


def test_a_controller_that_floods_leaves_every_other_turn_to_the_rest() -> None:
    bench = Bench()
    bench.peer("controller", 10_000, is_first=True)
    bench.peer("other", 10_000)

    while bench.clock.now < 20 * TURN_S:
        bench.turns.run()

    counts = {name: bench.log.count(name) for name in ("controller", "other")}
    assert abs(counts["controller"] - counts["other"]) <= 1


def test_one_that_is_gone_has_no_turn() -> None:
    bench = Bench()
    peer = bench.peer("gone", 5)

    bench.turns.remove(peer)
    bench.turns.run()

    assert bench.log == []


def test_one_that_is_added_again_while_it_works_has_one_place() -> None:
    bench = Bench()

    class Again(Peer):
        def work(self, until: float) -> bool:
            if self.steps > 1:
                bench.turns.add(self)
            self.steps -= 1
            self.log.append(self.name)
            return self.steps > 0

    peer = Again("again", bench.clock, bench.log, 2)
    bench.turns.add(peer)
    bench.turns.run()

    assert peer.steps == 0
    assert bench.log == ["again", "again"]
