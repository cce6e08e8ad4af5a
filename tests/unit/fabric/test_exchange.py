"""Distances on their way between two neighbours: whatever is lost or late, both know the same at the end."""

from __future__ import annotations

from random import Random

import pytest

from inband.fabric.distances import Distance, Station
from inband.fabric.exchange import BURST, WINDOW, Exchange
from inband.fabric.update import Record, Update
from inband.vocabulary.addresses import Mac

STATIONS = [Station((4, number), Mac(number)) for number in range(300)]


class Side:
    """One end: what it knows of stations, and what it was told of the other's."""

    def __init__(self, request: int, count: int) -> None:
        self.exchange: Exchange[Station, Distance] = Exchange(request)
        self.known = {station: Distance(1, 1) for station in STATIONS[:count]}
        self.told: dict[Station, Distance] = {}

    def change(self, station: Station, distance: Distance) -> None:
        self.known[station] = distance
        self.exchange.tell([station])

    def take(self, now: float) -> list[Update[Station, Distance]]:
        found = []
        while (update := self.exchange.take((1, 2, 3), 4, self.known.__getitem__, now)) is not None:
            found.append(update)
        return found

    def hear(self, update: Update[Station, Distance], now: float) -> tuple[Record, ...]:
        records = self.exchange.hear(update, lambda: self.known, now)
        self.told.update(records)
        return records


def talk(one: Side, two: Side, seconds: float, *, random: Random | None = None, loss: float = 0.0) -> int:
    """Let both talk; returns how many messages were sent."""
    now, sent = 100.0, 0
    for _ in range(int(seconds * 1000)):
        now += 0.001
        for side, other in ((one, two), (two, one)):
            for update in side.take(now):
                sent += 1
                if random is None or random.random() >= loss:
                    other.hear(update, now)
    return sent


def test_both_tell_all_in_a_few_messages_and_then_nothing() -> None:
    one, two = Side(1, 300), Side(1, 3)

    first = talk(one, two, 1.0)
    then = talk(one, two, 10.0)

    assert (one.told, two.told) == (two.known, one.known)
    assert first <= 16
    assert then == 0


@pytest.mark.parametrize("seed", range(10))
def test_what_is_lost_comes_in_the_end_as_it_is_then(seed: int) -> None:
    random, one, two = Random(seed), Side(1, 200), Side(1, 200)

    for number in range(50):
        side = random.choice((one, two))
        side.change(random.choice(STATIONS), Distance(number, number))
        talk(one, two, 0.02, random=random, loss=0.4)
    talk(one, two, 5.0, random=random, loss=0.4)
    talk(one, two, 2.0)

    assert (one.told, two.told) == (two.known, one.known)


def test_who_has_forgotten_is_told_all_again() -> None:
    one, two = Side(1, 100), Side(1, 100)
    talk(one, two, 1.0)

    two.exchange, two.told = Exchange(2), {}
    talk(one, two, 1.0)

    assert (one.told, two.told) == (two.known, one.known)


def test_who_has_forgotten_is_heard_from_its_first_message_on() -> None:
    one, two = Side(1, 3), Side(1, 100)
    talk(one, two, 1.0)
    for number in range(20):
        two.change(STATIONS[0], Distance(2, number))
        talk(one, two, 0.1)

    two.exchange = Exchange(2)
    two.known[STATIONS[1]] = Distance(9, 9)
    talk(one, two, 1.0)

    assert one.told == two.known


def test_what_was_recorded_is_not_taken_again() -> None:
    one, two = Side(1, 3), Side(1, 3)
    recorded = one.take(100.0)
    for update in recorded:
        two.hear(update, 100.0)
    recorded += [update for reply in two.take(100.0) if not one.hear(reply, 100.0) for update in one.take(100.0)]
    talk(one, two, 1.0)
    one.change(STATIONS[0], Distance(9, 9))
    talk(one, two, 1.0)

    taken = [two.hear(update, 200.0) for update in recorded]

    assert not any(taken)
    assert two.told[STATIONS[0]] == Distance(9, 9)


def test_a_neighbour_that_does_not_answer_is_sent_little() -> None:
    one, two = Side(1, 300), Side(1, 0)
    for update in two.take(100.0):
        one.hear(update, 100.0)

    sent = sum(len(one.take(100.0 + step / 100)) for step in range(1000))

    assert sent <= BURST + 10 / 0.5 * WINDOW
