"""Walks over flows that come and go meanwhile."""

from __future__ import annotations

import random

from inband.flow.actions import Instruction
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.priority import OpenFlowPriority
from inband.table.flow_order import CHUNK, FlowOrder

NOTHING: tuple[Instruction, ...] = ()


def made(count: int) -> tuple[FlowOrder, list[Flow]]:
    order = FlowOrder()
    flows = [Flow(Match.of(in_port=number), OpenFlowPriority(1), NOTHING) for number in range(count)]
    for flow in flows:
        order.append(flow)
    return order, flows


def test_a_walk_sees_every_flow_once_and_in_order() -> None:
    order, flows = made(5 * CHUNK + 7)

    assert [flow for part in order.walk() for flow in part] == flows
    assert all(len(part) <= CHUNK for part in order.walk())


def test_a_walk_sees_no_flow_that_came_after_it_began() -> None:
    order, flows = made(CHUNK + 1)
    walk = order.walk()
    late, more = Flow(Match.of(in_port=0), OpenFlowPriority(2), NOTHING), made(3 * CHUNK)[1]
    order.append(late)
    for flow in more:
        order.append(flow)

    assert [flow for part in walk for flow in part] == flows


def test_a_walk_finds_its_way_when_the_flows_where_it_is_and_before_it_go() -> None:
    order, flows = made(6 * CHUNK)
    walk = order.walk()
    seen = next(walk)
    for flow in flows[: 4 * CHUNK]:
        order.remove(flow)

    assert seen + [flow for part in walk for flow in part] == flows[:CHUNK] + flows[4 * CHUNK :]


def test_walks_agree_with_a_list_whatever_comes_and_goes() -> None:
    dice = random.Random(7)
    order, flows = made(3 * CHUNK)
    alive = dict.fromkeys(flows)
    walks = [(order.walk(), set(alive), list[Flow]())]

    for _ in range(4000):
        if dice.random() < 0.5 and alive:
            gone = dice.choice(list(alive)) if dice.random() < 0.1 else next(iter(alive))
            del alive[gone]
            order.remove(gone)
        else:
            flow = Flow(Match.of(in_port=1), OpenFlowPriority(1), NOTHING)
            alive[flow] = None
            order.append(flow)
        if dice.random() < 0.02:
            walks.append((order.walk(), set(alive), []))
        if dice.random() < 0.1:
            walk, _, seen = dice.choice(walks)
            seen += next(walk, [])

    for walk, began_with, seen in walks:
        for part in walk:
            seen += part
        assert len(seen) == len(set(seen))
        assert began_with & set(alive) <= set(seen) <= began_with | set(seen)
        assert [flow.sequence for flow in seen] == sorted(flow.sequence for flow in seen)
    assert [flow for part in order.walk() for flow in part] == list(alive)
