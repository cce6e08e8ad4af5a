"""The FDB: bounded in age and number."""

from __future__ import annotations

from inband.flow.ports import PortNo
from inband.pipeline.fdb import Fdb, FdbKey, Learned
from inband.vocabulary.addresses import Mac

P1, P2 = PortNo(1), PortNo(2)


def fdb_key(number: int, vlan: int = 0) -> FdbKey:
    """An address."""
    return FdbKey(vlan, Mac(number))


def learn_all(fdb: Fdb, numbers: range, port: PortNo, now: float) -> None:
    """Each host sends one packet."""
    for number in numbers:
        fdb.learn(fdb_key(number), port, now)


def test_learning_says_what_was_new() -> None:
    fdb = Fdb()

    outcomes = [
        fdb.learn(fdb_key(1), P1, 0.0),
        fdb.learn(fdb_key(1), P1, 1.0),
        fdb.learn(fdb_key(1), P2, 2.0),
        fdb.learn(fdb_key(1), P1, 2.1, hold_s=0.5),
        fdb.learn(fdb_key(1), P1, 2.5, hold_s=0.5),
    ]

    assert outcomes == [Learned.NEW, Learned.KNOWN, Learned.MOVED, Learned.HELD, Learned.MOVED]


def test_without_a_time_to_hold_it_an_address_moves_whenever_it_was_confirmed() -> None:
    fdb = Fdb()
    fdb.learn(fdb_key(1), P1, 1.0)
    fdb.confirm(fdb_key(1), P1, 1.2)  # by another clock, that of the kernel, which was read later

    assert fdb.learn(fdb_key(1), P2, 1.1) is Learned.MOVED


def test_a_copy_forgets_what_is_not_known_here() -> None:
    fdb = Fdb()
    fdb.disown(fdb_key(1))  # there is no copy
    fdb.unwritten = {}
    fdb.learn(fdb_key(1), P1, 1.0)

    fdb.disown(fdb_key(1))
    fdb.disown(fdb_key(2))

    assert fdb.unwritten == {fdb_key(1): P1, fdb_key(2): None}


def test_what_would_be_learned_can_be_asked_without_learning() -> None:
    fdb = Fdb()

    assert fdb.would_learn(fdb_key(1), P1, 0.0) is Learned.NEW
    assert len(fdb) == 0


def test_the_entry_confirmed_longest_ago_makes_room() -> None:
    fdb = Fdb(max_entries=2)
    for number in (1, 2, 1, 3):
        fdb.learn(fdb_key(number), P1, float(number))

    assert [key for key, _, _ in fdb.entries()] == [fdb_key(1), fdb_key(3)]


def test_a_port_that_invents_addresses_pushes_out_none_of_another_port() -> None:
    fdb = Fdb(max_entries=100)
    learn_all(fdb, range(40), P2, 0.0)
    learn_all(fdb, range(1000, 2000), P1, 1.0)

    assert [port for _, port, _ in fdb.entries()] == [P2] * 40 + [P1] * 60
    assert fdb.lookup(fdb_key(1999), 1.0) == P1


def test_a_port_with_most_of_a_full_table_makes_room_for_others_up_to_their_share() -> None:
    fdb = Fdb(max_entries=100)
    learn_all(fdb, range(100), P1, 0.0)
    learn_all(fdb, range(1000, 1200), P2, 1.0)

    assert [port for _, port, _ in fdb.entries()] == [P1] * 50 + [P2] * 50
    assert [key for key, _, _ in fdb.entries()[:2]] == [fdb_key(50), fdb_key(51)]


def test_a_host_that_moves_takes_no_room_of_others() -> None:
    fdb = Fdb(max_entries=2)
    fdb.learn(fdb_key(1), P1, 0.0)
    fdb.learn(fdb_key(2), P2, 0.0)

    assert fdb.learn(fdb_key(1), P2, 1.0) is Learned.MOVED
    assert [(key, port) for key, port, _ in fdb.entries()] == [(fdb_key(2), P2), (fdb_key(1), P2)]


def test_very_many_expire_in_parts() -> None:
    fdb = Fdb(max_age_s=10.0)
    for number in range(25):
        fdb.learn(FdbKey(0, Mac(number)), PortNo(number % 2), 1.0)

    more = [fdb.expire(20.0, 10), fdb.expire(20.0, 10), fdb.expire(20.0, 10)]

    assert (more, len(fdb), len(fdb.take_changed())) == ([True, True, False], 0, 25)


def test_entries_expire_in_the_order_in_which_they_were_confirmed() -> None:
    fdb = Fdb(max_age_s=10)
    fdb.learn(fdb_key(1), P1, 0.0)
    fdb.learn(fdb_key(2), P1, 1.0)
    fdb.confirm(fdb_key(1), P1, 5.0)

    assert fdb.next_deadline() == 11.0
    fdb.expire(12.0)
    assert [key for key, _, _ in fdb.entries()] == [fdb_key(1)]
    fdb.expire(16.0)
    assert fdb.next_deadline() is None


def test_confirming_teaches_no_new_port_and_no_new_fdb_key() -> None:
    fdb = Fdb()
    fdb.learn(fdb_key(1), P1, 0.0)

    fdb.confirm(fdb_key(1), P2, 1.0)
    fdb.confirm(fdb_key(2), P2, 1.0)

    assert fdb.entries() == [(fdb_key(1), P1, 0.0)]


def test_flushing_a_port_forgets_its_entries_only() -> None:
    fdb = Fdb()
    fdb.learn(fdb_key(1), P1, 0.0)
    fdb.learn(fdb_key(2), P2, 0.0)

    fdb.flush_port(P1)

    assert fdb.entries() == [(fdb_key(2), P2, 0.0)]


def test_each_entry_that_is_learned_moved_or_forgotten_is_told_once() -> None:
    fdb = Fdb(max_age_s=10)
    told = []

    for change in (
        lambda: fdb.learn(fdb_key(1), P1, 0.0),
        lambda: fdb.learn(fdb_key(1), P1, 1.0),  # known
        lambda: fdb.learn(fdb_key(1), P2, 1.1, hold_s=0.5),  # held
        lambda: fdb.learn(fdb_key(1), P2, 2.0),
        lambda: fdb.would_learn(fdb_key(2), P2, 2.0),
        lambda: fdb.flush_port(P1),  # has none
        lambda: fdb.flush_port(P2),
        lambda: learn_all(fdb, range(3, 5), P1, 3.0),
        lambda: fdb.expire(14.0),
        lambda: fdb.learn(fdb_key(5), P1, 15.0),
        fdb.flush,
    ):
        change()
        told.append({key.mac for key in fdb.take_changed()})

    assert told == [{1}, set(), set(), {1}, set(), set(), {1}, {3, 4}, {3, 4}, {5}, {5}]
    assert not fdb.has_changed


def test_an_entry_that_makes_room_is_no_change() -> None:
    fdb = Fdb(max_entries=1)
    fdb.learn(fdb_key(1), P1, 0.0)
    fdb.take_changed()

    fdb.learn(fdb_key(2), P1, 1.0)

    assert fdb.take_changed() == {fdb_key(2)}
