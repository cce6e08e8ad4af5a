"""The MAC table: bounded in age and number."""

from __future__ import annotations

from inband.flow.ports import PortNo
from inband.pipeline.learning import Learned, MacKey, MacTable
from inband.vocabulary.addresses import Mac

P1, P2 = PortNo(1), PortNo(2)


def station(number: int, vlan: int = 0) -> MacKey:
    """A station."""
    return MacKey(vlan, Mac(number))


def learn_all(macs: MacTable, numbers: range, port: PortNo, now: float) -> None:
    """Each station sends one packet."""
    for number in numbers:
        macs.learn(station(number), port, now)


def test_learning_says_what_was_new() -> None:
    macs = MacTable()

    outcomes = [
        macs.learn(station(1), P1, 0.0),
        macs.learn(station(1), P1, 1.0),
        macs.learn(station(1), P2, 2.0),
        macs.learn(station(1), P1, 2.1, hold_s=0.5),
        macs.learn(station(1), P1, 2.5, hold_s=0.5),
    ]

    assert outcomes == [Learned.STATION, Learned.NOTHING, Learned.MOVE, Learned.HELD, Learned.MOVE]


def test_what_would_be_learned_can_be_asked_without_learning() -> None:
    macs = MacTable()

    assert macs.would_learn(station(1), P1, 0.0) is Learned.STATION
    assert len(macs) == 0


def test_the_station_confirmed_longest_ago_makes_room() -> None:
    macs = MacTable(max_entries=2)
    for number in (1, 2, 1, 3):
        macs.learn(station(number), P1, float(number))

    assert [key for key, _, _ in macs.entries()] == [station(1), station(3)]


def test_a_port_that_invents_stations_pushes_out_none_of_another_port() -> None:
    macs = MacTable(max_entries=100)
    learn_all(macs, range(40), P2, 0.0)
    learn_all(macs, range(1000, 2000), P1, 1.0)

    assert [port for _, port, _ in macs.entries()] == [P2] * 40 + [P1] * 60
    assert macs.lookup(station(1999), 1.0) == P1


def test_a_port_with_most_of_a_full_table_makes_room_for_others_up_to_their_share() -> None:
    macs = MacTable(max_entries=100)
    learn_all(macs, range(100), P1, 0.0)
    learn_all(macs, range(1000, 1200), P2, 1.0)

    assert [port for _, port, _ in macs.entries()] == [P1] * 50 + [P2] * 50
    assert [key for key, _, _ in macs.entries()[:2]] == [station(50), station(51)]


def test_a_station_that_moves_takes_no_room_of_others() -> None:
    macs = MacTable(max_entries=2)
    macs.learn(station(1), P1, 0.0)
    macs.learn(station(2), P2, 0.0)

    assert macs.learn(station(1), P2, 1.0) is Learned.MOVE
    assert macs.flush_port(P1) == []
    assert macs.flush_port(P2) == [station(2), station(1)]


def test_stations_expire_in_the_order_in_which_they_were_confirmed() -> None:
    macs = MacTable(max_age_s=10)
    macs.learn(station(1), P1, 0.0)
    macs.learn(station(2), P1, 1.0)
    macs.confirm(station(1), P1, 5.0)

    assert macs.next_deadline() == 11.0
    assert macs.expire(12.0) == [station(2)]
    assert macs.expire(16.0) == [station(1)]
    assert macs.next_deadline() is None


def test_confirming_teaches_no_new_port_and_no_new_station() -> None:
    macs = MacTable()
    macs.learn(station(1), P1, 0.0)

    macs.confirm(station(1), P2, 1.0)
    macs.confirm(station(2), P2, 1.0)

    assert macs.entries() == [(station(1), P1, 0.0)]


def test_flushing_a_port_forgets_its_stations_only() -> None:
    macs = MacTable()
    macs.learn(station(1), P1, 0.0)
    macs.learn(station(2), P2, 0.0)

    assert macs.flush_port(P1) == [station(1)]
    assert macs.lookup(station(2), 1.0) == P2
    assert macs.flush() == [station(2)]
    assert macs.lookup(station(2), 1.0) is None
