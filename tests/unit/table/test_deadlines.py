"""Flows time out in turns, soon enough, and whatever came and went before."""

from __future__ import annotations

from inband.flow.flow import Flow
from inband.flow.match import ANY
from inband.flow.priority import OpenFlowPriority
from inband.table.deadlines import SLOTS_PER_S, Deadlines
from inband.vocabulary.openflow import FlowRemovedReason


def flow(created: float = 0.0, idle: int = 0, hard: int = 0) -> Flow:
    return Flow(ANY, OpenFlowPriority(1), (), idle_timeout_s=idle, hard_timeout_s=hard, created=created, used=created)


def test_a_flow_is_due_at_its_time_or_an_eighth_of_a_second_later() -> None:
    deadlines = Deadlines()
    late, exact = flow(0.01, hard=2), flow(0.0, hard=2)
    deadlines.watch(late)
    deadlines.watch(exact)

    assert deadlines.earliest() == 2.0
    assert deadlines.take_due(2.0, 9) == [(exact, FlowRemovedReason.HARD_TIMEOUT)]
    assert deadlines.earliest() == 2.0 + 1 / SLOTS_PER_S
    assert deadlines.take_due(2.2, 9) == [(late, FlowRemovedReason.HARD_TIMEOUT)]
    assert deadlines.earliest() is None


def test_no_more_are_looked_at_than_there_is_time_for_and_the_rest_is_due_at_once() -> None:
    deadlines = Deadlines()
    flows = [flow(hard=1) for _ in range(1000)]
    for each in flows:
        deadlines.watch(each)

    first = deadlines.take_due(1.0, 300)
    assert [each for each, _ in first] == flows[:300]
    assert deadlines.earliest() == 1.0
    rest = deadlines.take_due(1.0, 9999)

    assert [each for each, _ in first + rest] == flows


def test_a_flow_in_use_is_put_where_it_is_due_then() -> None:
    deadlines = Deadlines()
    used = flow(idle=5)
    deadlines.watch(used)
    used.used = 4.0

    assert deadlines.take_due(5.0, 9) == []
    assert deadlines.earliest() == 9.0


def test_flows_that_are_gone_are_not_due_also_when_their_time_had_come() -> None:
    deadlines = Deadlines()
    early, gone, back = flow(hard=1), flow(hard=1), flow(hard=1)
    for each in (early, gone, back):
        deadlines.watch(each)
    deadlines.take_due(1.0, 1)

    deadlines.forget(gone)
    deadlines.forget(back)
    back.created = 5.0
    deadlines.watch(back)

    assert deadlines.take_due(1.0, 9) == []
    assert deadlines.earliest() == 6.0


def test_flows_without_timeouts_are_not_watched() -> None:
    deadlines = Deadlines()
    deadlines.watch(flow())
    deadlines.forget(flow())

    assert deadlines.earliest() is None
