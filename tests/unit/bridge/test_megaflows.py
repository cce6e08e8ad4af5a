"""The book of cached decisions: which changes remove which of them, and that each packet is counted once."""

from __future__ import annotations

import pytest

from inband.bridge import megaflows
from inband.bridge.megaflows import (
    AT_ONCE,
    EVICTED_AT_ONCE,
    IN_USE_S,
    MAX_COMPARISONS,
    MAX_IDLE_S,
    Decision,
    MegaflowBook,
)
from inband.datapath.base import Megaflow
from inband.datapath.simulated import SimulatedDatapath
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.pipeline.learning import MacKey, MacTable
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import Mac

STATION = MacKey(0, Mac(0x020000000001))
OTHER_STATION = MacKey(0, Mac(0x020000000002))


@pytest.fixture
def book() -> MegaflowBook:
    return MegaflowBook(SimulatedDatapath(clock=lambda: 0.0), TableSet(), MacTable())


def flow(table_id: int = 0, **fields: int) -> Flow:
    return Flow(Match.of(**fields), OpenFlowPriority(1), (), table_id)


def cache(book: MegaflowBook, decision: Decision, **fields: int) -> Megaflow:
    megaflow = Megaflow(Match.of(**fields), (), decision)
    book.install(megaflow)
    return megaflow


def decided(*flows: Flow, stations: tuple[MacKey, ...] = ()) -> Decision:
    return Decision(tuple((f.table_id, f) for f in flows), stations, None)


def cached(book: MegaflowBook) -> list[Megaflow]:
    return book.datapath.megaflows()


def test_a_changed_flow_removes_the_decisions_it_overlaps_and_no_others(book: MegaflowBook) -> None:
    decider = flow()
    near = cache(book, decided(decider), in_port=1, eth_type=0x0800)
    far = cache(book, decided(decider), in_port=2, eth_type=0x0800)

    book.flows_changed([flow(in_port=1)])
    book.settle()

    assert near not in cached(book)
    assert cached(book) == [far]


def test_nothing_is_removed_before_it_is_settled(book: MegaflowBook) -> None:
    megaflow = cache(book, decided(flow()), in_port=1)

    book.flows_changed([flow(in_port=1)])

    assert cached(book) == [megaflow]


def test_a_changed_flow_of_a_later_table_removes_every_decision_that_went_through_it(book: MegaflowBook) -> None:
    through = cache(book, decided(flow(), flow(3)), in_port=1)
    aside = cache(book, decided(flow(), flow(4)), in_port=2)

    book.flows_changed([flow(3, in_port=9)])
    book.settle()

    assert through not in cached(book)
    assert cached(book) == [aside]


def test_a_decision_that_looked_into_table_0_twice_goes_with_any_change_of_table_0(book: MegaflowBook) -> None:
    cache(book, decided(flow(), flow()), in_port=1)

    book.flows_changed([flow(in_port=9)])
    book.settle()

    assert cached(book) == []


def test_a_station_that_moved_removes_what_depends_on_it(book: MegaflowBook) -> None:
    cache(book, decided(flow(), stations=(STATION,)), in_port=1)
    other = cache(book, decided(flow(), stations=(OTHER_STATION,)), in_port=2)

    book.stations_changed([STATION])
    book.settle()

    assert cached(book) == [other]


def test_many_changes_at_once_flush_the_cache(book: MegaflowBook) -> None:
    cache(book, decided(flow()), in_port=1)
    cache(book, decided(flow()), in_port=2)

    book.flows_changed([flow(in_port=9)] * (MAX_COMPARISONS // 2 + 1))
    book.settle()

    assert cached(book) == []
    assert len(book) == 0


def test_what_a_datapath_counted_is_passed_on_once(book: MegaflowBook) -> None:
    decider = flow()
    megaflow = cache(book, decided(decider), in_port=1)
    megaflow.packets, megaflow.bytes, megaflow.used = 3, 300, 7.0

    book.credit()
    book.credit()

    assert (decider.packets, decider.bytes, decider.used) == (3, 300, 7.0)
    assert (book.tables[0].lookups, book.tables[0].matched) == (3, 3)


def test_the_last_counts_of_a_removed_decision_are_not_lost(book: MegaflowBook) -> None:
    decider = flow()
    megaflow = cache(book, decided(decider), in_port=1)
    megaflow.packets, megaflow.bytes = 5, 500

    book.everything_changed()
    book.settle()

    assert (decider.packets, decider.bytes) == (5, 500)


def test_a_decision_for_the_same_packets_takes_the_place_of_the_old_one_and_its_counts_stay(book: MegaflowBook) -> None:
    decider = flow()
    old = cache(book, decided(decider), in_port=1)
    old.packets, old.bytes = 2, 200

    new = cache(book, decided(decider), in_port=1)

    assert cached(book) == [new]
    assert len(book) == 1
    assert decider.packets == 2


def test_traffic_that_the_cache_forwards_keeps_its_station_learned(book: MegaflowBook) -> None:
    port = PortNo(1)
    book.macs.learn(STATION, port, 0.0)
    megaflow = Megaflow(Match.of(in_port=1), (), Decision((), (STATION,), (STATION, port)))
    book.install(megaflow)
    megaflow.packets, megaflow.used = 1, 299.0

    book.credit()

    assert book.macs.lookup(STATION, 500.0) == port


def test_a_decision_that_nobody_needs_any_more_is_forgotten(book: MegaflowBook) -> None:
    idle = cache(book, decided(flow()), in_port=1)
    used = cache(book, decided(flow()), in_port=2)
    idle.used, used.used = 1.0, 2.0

    book.forget_idle(1.5 + MAX_IDLE_S)

    assert cached(book) == [used]


def test_a_decision_in_use_is_looked_at_again_when_it_can_be_idle(book: MegaflowBook) -> None:
    megaflow = cache(book, decided(flow()), in_port=1)
    megaflow.used = 7.5
    book.forget_idle(MAX_IDLE_S + 1.0)
    in_use = cached(book)

    book.forget_idle(MAX_IDLE_S + 7.5)
    just_in_time = cached(book)
    book.forget_idle(MAX_IDLE_S + 8.5)

    assert in_use == just_in_time == [megaflow]
    assert (cached(book), len(book)) == ([], 0)


def test_very_many_idle_decisions_are_forgotten_a_part_at_a_time(book: MegaflowBook) -> None:
    for number in range(AT_ONCE + 1):
        cache(book, decided(flow()), in_port=number)

    more = book.forget_idle(1.0 + MAX_IDLE_S)
    left = len(book)
    last = book.forget_idle(1.0 + MAX_IDLE_S)

    assert (more, left) == (True, 1)
    assert (last, len(book)) == (False, 0)


def test_an_idle_decision_that_was_replaced_before_its_turn_is_left_alone(book: MegaflowBook) -> None:
    for number in range(AT_ONCE + 1):
        cache(book, decided(flow()), in_port=number)
    book.forget_idle(1.0 + MAX_IDLE_S)
    (waiting,) = cached(book)
    new = Megaflow(waiting.match, (), decided(flow()), used=1.0 + MAX_IDLE_S)
    book.install(new)

    book.forget_idle(1.0 + MAX_IDLE_S)

    assert cached(book) == [new]


def test_a_full_book_makes_room_by_the_oldest_decisions_that_nobody_uses(
    book: MegaflowBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(megaflows, "MAX_DECISIONS", 3 * EVICTED_AT_ONCE)
    held = [cache(book, decided(flow()), in_port=number) for number in range(3 * EVICTED_AT_ONCE)]
    now = IN_USE_S + 1.0
    held[0].used = now

    new = Megaflow(Match.of(eth_type=1), (), decided(flow()), used=now)
    book.install(new)

    assert set(cached(book)) == {held[0], *held[EVICTED_AT_ONCE + 1 :], new}
    assert len(book) == 2 * EVICTED_AT_ONCE + 1


def test_a_full_book_whose_decisions_are_all_in_use_makes_room_all_the_same(
    book: MegaflowBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(megaflows, "MAX_DECISIONS", EVICTED_AT_ONCE)
    for number in range(EVICTED_AT_ONCE):
        cache(book, decided(flow()), in_port=number)

    new = cache(book, decided(flow()), eth_type=1)

    assert cached(book) == [new]


def test_what_is_flushed_is_freed_a_part_at_a_time(book: MegaflowBook) -> None:
    for number in range(AT_ONCE + 1):
        cache(book, decided(flow()), in_port=number)
    book.everything_changed()
    book.settle()

    assert (len(book), cached(book)) == (0, [])
    assert book.forget_idle(0.0)
    assert not book.forget_idle(0.0)


def test_decisions_by_the_thousand_that_depend_on_a_station_go_by_one_flush(book: MegaflowBook) -> None:
    cache(book, decided(flow(), stations=(OTHER_STATION,)), in_port=0)
    for number in range(AT_ONCE + 1):
        cache(book, decided(flow(), stations=(STATION,)), in_port=1 + number)

    book.stations_changed([STATION])
    book.settle()

    assert cached(book) == []


def test_a_station_that_few_decisions_depend_on_takes_no_others_along(book: MegaflowBook) -> None:
    other = cache(book, decided(flow(), stations=(OTHER_STATION,)), in_port=0)
    for number in range(AT_ONCE):
        cache(book, decided(flow(), stations=(STATION,)), in_port=1 + number)

    book.stations_changed([STATION])
    book.settle()

    assert cached(book) == [other]
