"""The cache of cached decisions: which changes remove which of them, and that each packet is counted once."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from inband.bridge import megaflows
from inband.bridge.megaflows import (
    AT_ONCE,
    CREDITED_AT_ONCE,
    FLUSH_GAIN,
    IN_USE_S,
    MAX_COMPARISONS,
    MAX_IDLE_S,
    MegaflowCache,
)
from inband.datapath.base import Megaflow
from inband.datapath.simulated import SimulatedDatapath
from inband.errors import HostError
from inband.flow.fields import FlowKey
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.pipeline.fdb import Fdb, FdbKey
from inband.pipeline.ports import PortTable
from inband.pipeline.translate import Pipeline
from inband.pipeline.translation import Translation
from inband.table.steps import in_one_go
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import Mac

HOST = FdbKey(0, Mac(0x020000000001))
OTHER_HOST = FdbKey(0, Mac(0x020000000002))


@pytest.fixture
def cache() -> MegaflowCache:
    return MegaflowCache(SimulatedDatapath(clock=lambda: 0.0), Pipeline(TableSet(), PortTable(), Fdb()))


def flow(table_id: int = 0, **fields: int) -> Flow:
    return Flow(Match.of(**fields), OpenFlowPriority(1), (), table_id)


def install(cache: MegaflowCache, translation: Translation, now: float = 0.0, **fields: int) -> Megaflow:
    return install_match(cache, Match.of(**fields), translation, now)


def install_match(cache: MegaflowCache, match: Match, translation: Translation, now: float) -> Megaflow:
    return cache.install(FlowKey(match.value), match, translation, now)


def decided(*flows: Flow, fdb_keys: tuple[FdbKey, ...] = ()) -> Translation:
    return Translation((), 0, credits=tuple((f.table_id, f) for f in flows), fdb_keys=fdb_keys)


def move(cache: MegaflowCache, key: FdbKey) -> None:
    """An address is learned on a port."""
    cache.pipeline.fdb.learn(key, PortNo(9), 0.0)


def cached(cache: MegaflowCache) -> list[Megaflow]:
    return cache.datapath.megaflows()


def test_a_changed_flow_removes_the_decisions_it_overlaps_and_no_others(cache: MegaflowCache) -> None:
    decider = flow()
    near = install(cache, decided(decider), in_port=1, eth_type=0x0800)
    far = install(cache, decided(decider), in_port=2, eth_type=0x0800)

    cache.flows_changed([flow(in_port=1)])
    cache.settle()

    assert near not in cached(cache)
    assert cached(cache) == [far]


def test_nothing_is_removed_before_it_is_settled(cache: MegaflowCache) -> None:
    megaflow = install(cache, decided(flow()), in_port=1)

    cache.flows_changed([flow(in_port=1)])

    assert cached(cache) == [megaflow]


def test_a_changed_flow_of_a_later_table_removes_every_decision_that_went_through_it(cache: MegaflowCache) -> None:
    through = install(cache, decided(flow(), flow(3)), in_port=1)
    aside = install(cache, decided(flow(), flow(4)), in_port=2)

    cache.flows_changed([flow(3, in_port=9)])
    cache.settle()

    assert through not in cached(cache)
    assert cached(cache) == [aside]


def test_a_decision_that_looked_into_table_0_twice_goes_with_any_change_of_table_0(cache: MegaflowCache) -> None:
    install(cache, decided(flow(), flow()), in_port=1)

    cache.flows_changed([flow(in_port=9)])
    cache.settle()

    assert cached(cache) == []


def test_an_fdb_entry_that_moved_removes_what_depends_on_it(cache: MegaflowCache) -> None:
    install(cache, decided(flow(), fdb_keys=(HOST,)), in_port=1)
    other = install(cache, decided(flow(), fdb_keys=(OTHER_HOST,)), in_port=2)

    move(cache, HOST)
    cache.settle()

    assert cached(cache) == [other]


def test_what_the_kernel_refused_to_remove_is_removed_the_next_time(
    cache: MegaflowCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(cache, decided(flow()), in_port=1)
    cache.flows_changed([flow(in_port=1)])

    def refuse(_: object) -> None:
        raise HostError("remove", "no memory")

    with monkeypatch.context() as patched:
        patched.setattr(cache.datapath, "remove", refuse)
        with pytest.raises(HostError):
            cache.settle()
    cache.settle()

    assert cached(cache) == []


def test_many_changes_at_once_flush_the_cache(cache: MegaflowCache) -> None:
    install(cache, decided(flow()), in_port=1)
    install(cache, decided(flow()), in_port=2)

    cache.flows_changed([flow(in_port=9)] * (MAX_COMPARISONS // 2 + 1))
    cache.settle()

    assert cached(cache) == []
    assert len(cache) == 0


def test_what_a_datapath_counted_is_passed_on_once(cache: MegaflowCache) -> None:
    decider = flow()
    megaflow = install(cache, decided(decider), in_port=1)
    megaflow.packets, megaflow.bytes, megaflow.used = 3, 300, 7.0

    in_one_go(cache.counting())
    in_one_go(cache.counting())

    assert (decider.packets, decider.bytes, decider.used) == (3, 300, 7.0)
    assert (cache.pipeline.tables[0].lookups, cache.pipeline.tables[0].matched) == (3, 3)


def test_the_last_counts_of_a_removed_decision_are_not_lost(cache: MegaflowCache) -> None:
    decider = flow()
    megaflow = install(cache, decided(decider), in_port=1)
    megaflow.packets, megaflow.bytes = 5, 500

    cache.everything_changed()
    cache.settle()
    in_one_go(cache.counting())

    assert (decider.packets, decider.bytes) == (5, 500)


def test_the_last_counts_of_a_decision_that_is_removed_by_itself_are_there_at_once(cache: MegaflowCache) -> None:
    decider = flow()
    megaflow = install(cache, decided(decider), in_port=1)
    megaflow.packets, megaflow.bytes = 5, 500

    cache.flows_changed([flow(in_port=1)])
    cache.settle()

    assert (decider.packets, decider.bytes) == (5, 500)


def test_a_decision_for_the_same_packets_takes_the_place_of_the_old_one_and_its_counts_stay(
    cache: MegaflowCache,
) -> None:
    decider = flow()
    old = install(cache, decided(decider), in_port=1)
    old.packets, old.bytes = 2, 200

    new = install(cache, decided(decider), in_port=1)

    assert cached(cache) == [new]
    assert len(cache) == 1
    assert decider.packets == 2


def test_traffic_that_the_cache_forwards_keeps_its_fdb_entry(cache: MegaflowCache) -> None:
    port = PortNo(1)
    cache.pipeline.fdb.learn(HOST, port, 0.0)
    megaflow = install(cache, Translation((), 0, fdb_keys=(HOST,), source=(HOST, port)), in_port=1)
    megaflow.packets, megaflow.used = 1, 299.0

    in_one_go(cache.counting())

    assert cache.pipeline.fdb.lookup(HOST, 500.0) == port


def test_a_decision_that_no_packet_needs_any_more_is_forgotten(cache: MegaflowCache) -> None:
    idle = install(cache, decided(flow()), in_port=1)
    used = install(cache, decided(flow()), in_port=2)
    idle.used, used.used = 1.0, 2.0

    in_one_go(cache.tidy(1.5 + MAX_IDLE_S))

    assert cached(cache) == [used]


def test_a_decision_in_use_is_looked_at_again_when_it_can_be_idle(cache: MegaflowCache) -> None:
    megaflow = install(cache, decided(flow()), in_port=1)
    megaflow.used = 7.5
    in_one_go(cache.tidy(MAX_IDLE_S + 1.0))
    in_use = cached(cache)

    in_one_go(cache.tidy(MAX_IDLE_S + 7.5))
    just_in_time = cached(cache)
    in_one_go(cache.tidy(MAX_IDLE_S + 8.5))

    assert in_use == just_in_time == [megaflow]
    assert (cached(cache), len(cache)) == ([], 0)


def test_very_many_idle_decisions_are_forgotten_a_part_at_a_time(cache: MegaflowCache) -> None:
    for number in range(AT_ONCE + 1):
        install(cache, decided(flow()), in_port=number)

    steps = cache.tidy(1.0 + MAX_IDLE_S)
    next(steps)
    left = len(cache)
    in_one_go(steps)

    assert (left, len(cache)) == (1, 0)


def test_an_idle_decision_that_was_replaced_before_its_turn_is_left_alone(cache: MegaflowCache) -> None:
    for number in range(AT_ONCE + 1):
        install(cache, decided(flow()), in_port=number)
    steps = cache.tidy(1.0 + MAX_IDLE_S)
    next(steps)
    (waiting,) = cached(cache)
    new = install_match(cache, waiting.match, decided(flow()), 1.0 + MAX_IDLE_S)

    in_one_go(steps)

    assert cached(cache) == [new]


def test_a_full_cache_makes_room_by_the_oldest_decisions_that_no_packet_uses(
    cache: MegaflowCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(megaflows, "MAX_MEGAFLOWS", 3 * AT_ONCE)
    held = [install(cache, decided(flow()), in_port=number) for number in range(3 * AT_ONCE)]
    now = IN_USE_S + 1.0
    held[0].used = now

    new = install(cache, decided(flow()), now, eth_type=1)

    assert set(cached(cache)) == {held[0], *held[AT_ONCE + 1 :], new}
    assert len(cache) == 2 * AT_ONCE + 1


def test_a_full_cache_whose_decisions_are_all_in_use_makes_room_all_the_same(
    cache: MegaflowCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(megaflows, "MAX_MEGAFLOWS", AT_ONCE)
    for number in range(AT_ONCE):
        install(cache, decided(flow()), in_port=number)

    new = install(cache, decided(flow()), eth_type=1)

    assert cached(cache) == [new]


def test_what_is_flushed_is_credited_and_let_go_in_parts(cache: MegaflowCache) -> None:
    decider = flow()
    held = [install(cache, decided(decider), in_port=number) for number in range(3 * CREDITED_AT_ONCE)]
    for megaflow in held:
        megaflow.packets = 1
    cache.everything_changed()
    cache.settle()
    at_once = decider.packets

    steps = cache.counting()
    next(steps)
    after_one = decider.packets
    in_one_go(steps)

    assert (len(cache), cached(cache), cache.owes_counts) == (0, [], False)
    assert (at_once, decider.packets) == (0, len(held))
    assert 0 < after_one < len(held)
    holders = sys.getrefcount(held[0])
    assert holders == 2  # this list, and the call


def test_what_is_flushed_in_the_middle_of_a_round_is_not_lost(cache: MegaflowCache) -> None:
    decider = flow()
    held = [install(cache, decided(decider), in_port=number) for number in range(3 * CREDITED_AT_ONCE)]
    steps = cache.counting()
    next(steps)
    for megaflow in held:
        megaflow.packets = 1

    cache.everything_changed()
    cache.settle()
    in_one_go(steps)
    in_one_go(cache.counting())

    assert decider.packets == len(held)


def test_who_asks_in_the_middle_of_a_round_waits_for_the_next_and_shares_it(cache: MegaflowCache) -> None:
    decider = flow()
    held = [install(cache, decided(decider), in_port=number) for number in range(3 * CREDITED_AT_ONCE)]
    first = cache.counting()
    next(first)
    held[0].packets = 7
    second, third = cache.counting(), cache.counting()

    in_one_go(first)
    steps = sum(1 for _ in second)
    of_third = sum(1 for _ in third)

    assert decider.packets == 7
    assert steps > 0
    assert of_third == 0


def test_a_round_that_failed_is_begun_anew(cache: MegaflowCache, monkeypatch: pytest.MonkeyPatch) -> None:
    decider = flow()
    megaflow = install(cache, decided(decider), in_port=1)
    megaflow.packets = 1

    def fail() -> Iterator[list[Megaflow]]:
        raise HostError("count", "no memory")

    with monkeypatch.context() as patched:
        patched.setattr(cache.datapath, "count", fail)
        with pytest.raises(HostError):
            in_one_go(cache.counting())
    in_one_go(cache.counting())

    assert decider.packets == 1


def test_decisions_by_the_thousand_that_depend_on_an_fdb_entry_go_by_one_flush(cache: MegaflowCache) -> None:
    install(cache, decided(flow(), fdb_keys=(OTHER_HOST,)), in_port=0)
    for number in range(AT_ONCE + 1):
        install(cache, decided(flow(), fdb_keys=(HOST,)), in_port=1 + number)

    move(cache, HOST)
    cache.follow_fdb()

    assert cached(cache) == []


def test_an_fdb_entry_that_few_decisions_depend_on_takes_no_others_along(cache: MegaflowCache) -> None:
    other = install(cache, decided(flow(), fdb_keys=(OTHER_HOST,)), in_port=0)
    for number in range(AT_ONCE):
        install(cache, decided(flow(), fdb_keys=(HOST,)), in_port=1 + number)

    move(cache, HOST)
    cache.follow_fdb()

    assert cached(cache) == [other]


def test_many_decisions_of_a_moved_host_among_very_many_others_go_in_parts(cache: MegaflowCache) -> None:
    others = [install(cache, decided(flow()), eth_type=2, in_port=number) for number in range(AT_ONCE * 3 * FLUSH_GAIN)]
    for number in range(2 * AT_ONCE):
        install(cache, decided(flow(), fdb_keys=(HOST,)), eth_type=1, in_port=number)

    move(cache, HOST)
    cache.follow_fdb()
    at_once = len(cache)
    steps = cache.tidy(0.0)
    next(steps)
    after_one = len(cache)
    in_one_go(steps)

    assert cache.has_suspects is False
    assert (at_once, after_one) == (len(others) + 2 * AT_ONCE, len(others) + AT_ONCE)
    assert cached(cache) == others


def test_one_flow_and_very_many_decisions_are_compared_in_steps(cache: MegaflowCache) -> None:
    for number in range(MAX_COMPARISONS + 1):
        install(cache, decided(flow()), in_port=number)
    (wrong,) = (megaflow for megaflow in cached(cache) if megaflow.match == Match.of(in_port=7))

    cache.flows_changed([flow(in_port=7)])
    steps = cache.settle_in_steps()

    assert steps is not None
    assert wrong in cached(cache)
    in_one_go(steps)
    assert wrong not in cached(cache)
    assert len(cache) == MAX_COMPARISONS


def test_a_flush_in_the_middle_of_a_comparison_is_its_end(cache: MegaflowCache) -> None:
    for number in range(MAX_COMPARISONS + 1):
        install(cache, decided(flow()), in_port=number)
    cache.flows_changed([flow(in_port=7)])
    steps = cache.settle_in_steps()
    assert steps is not None
    next(steps)

    cache.everything_changed()
    cache.settle()
    new = install(cache, decided(flow()), in_port=7)
    in_one_go(steps)

    assert cached(cache) == [new]


# --- when something was last sent on ------------------------------------------------------------------------------


def between_hosts(cache: MegaflowCache, port: int, used: float, **fields: int) -> Megaflow:
    """A decision about packets from HOST, which is on a port, to OTHER_HOST; last used then."""
    keys = (HOST, OTHER_HOST)
    decision = Translation((), 0, fdb_keys=keys, source=(HOST, PortNo(port)), hidden=flow())
    megaflow = install(cache, decision, in_port=port, **fields)
    megaflow.used = used
    return megaflow


def test_the_last_use_between_two_hosts_is_that_by_other_ports(cache: MegaflowCache) -> None:
    for port, used in ((1, 5.0), (2, 7.0), (3, 6.0)):
        between_hosts(cache, port, used)

    assert cache.last_used_between(HOST, OTHER_HOST, PortNo(2)) == 6.0
    assert cache.last_used_between(HOST, OTHER_HOST, PortNo(4)) == 7.0


def test_the_other_direction_and_other_hosts_do_not_count(cache: MegaflowCache) -> None:
    between_hosts(cache, 1, 5.0)

    assert cache.last_used_between(OTHER_HOST, HOST, PortNo(9)) == float("-inf")
    assert cache.last_used_between(HOST, FdbKey(0, Mac(0x020000000003)), PortNo(9)) == float("-inf")


def test_what_was_flushed_a_moment_ago_counts(cache: MegaflowCache) -> None:
    between_hosts(cache, 1, 5.0)
    cache.everything_changed()
    cache.settle()

    assert cache.last_used_between(HOST, OTHER_HOST, PortNo(2)) == 5.0


@pytest.mark.parametrize("is_flushed", [False, True])
def test_what_was_removed_counts_until_its_sender_is_found_elsewhere(cache: MegaflowCache, *, is_flushed: bool) -> None:
    fdb = cache.pipeline.fdb
    fdb.learn(HOST, PortNo(1), 4.0)
    fdb.learn(OTHER_HOST, PortNo(3), 4.0)
    cache.follow_fdb()
    between_hosts(cache, 1, 5.0)

    if is_flushed:
        cache.everything_changed()
        cache.settle()
        in_one_go(cache.counting())
    else:
        fdb.learn(OTHER_HOST, PortNo(4), 5.01)
        cache.follow_fdb()
    assert len(cache) == 0
    assert cache.last_used_between(HOST, OTHER_HOST, PortNo(2)) == 5.0
    assert cache.last_used_between(HOST, OTHER_HOST, PortNo(1)) == float("-inf")

    fdb.forget(HOST)
    assert cache.last_used_between(HOST, OTHER_HOST, PortNo(2)) == 5.0

    fdb.learn(HOST, PortNo(2), 5.02)
    assert cache.last_used_between(HOST, OTHER_HOST, PortNo(3)) == 5.0
    assert cache.last_used_between(HOST, OTHER_HOST, PortNo(2)) == float("-inf")
