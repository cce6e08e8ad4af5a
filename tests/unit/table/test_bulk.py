"""Changes of very many flows: packets see each of them whole or not at all, and nothing is left over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inband.flow.actions import ApplyActions, Group, Instruction, Output
from inband.flow.fields import make_key
from inband.flow.flow import Flow
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.table.bulk import AT_ONCE
from inband.table.changes import Changes
from inband.table.steps import Step, Steps
from inband.table.table_set import Filter, TableSet
from inband.vocabulary.numbers import ETH_IPV4

MANY = 3 * AT_ONCE
IP = Match.of(eth_type=ETH_IPV4)


def to(port: int) -> tuple[Instruction, ...]:
    return (ApplyActions((Output(PortNo(port)),)),)


def filled(count: int = MANY, hard_timeout_s: int = 0) -> tuple[TableSet, list[Flow]]:
    """Flows for addresses 0 to count-1, half of them with cookie 1, and one below all that takes every packet."""
    tables = TableSet(4)
    flows = [
        Flow(
            Match.of(eth_type=ETH_IPV4, ipv4_dst=number),
            OpenFlowPriority(10),
            to(1),
            cookie=number % 2,
            hard_timeout_s=hard_timeout_s,
        )
        for number in range(count)
    ]
    for flow in flows:
        tables.add(flow, 0.0)
    tables.add(Flow(ANY, OpenFlowPriority(0), to(9)), 0.0)
    return tables, flows


def decided(tables: TableSet, count: int = MANY) -> list[tuple[Instruction, ...]]:
    """What becomes of a packet to each address."""
    found = (tables[0].lookup(make_key(eth_type=ETH_IPV4, ipv4_dst=number))[0] for number in range(0, count, 7))
    return [() if flow is None else flow.present_instructions for flow in found]


Command = Callable[[TableSet], Steps[Changes]]

COMMANDS: dict[str, Command] = {
    "modify all": lambda tables: tables.modify_in_steps(0, IP, to(2), 5.0),
    "modify half": lambda tables: tables.modify_in_steps(0, IP, to(2), 5.0, cookie=1, cookie_mask=1),
    "delete some": lambda tables: tables.delete_in_steps(0, IP),
    "delete half": lambda tables: tables.delete_in_steps(0, IP, only=Filter(cookie=1, cookie_mask=1)),
    "delete all": lambda tables: tables.delete_in_steps(0),
    "delete everywhere": lambda tables: tables.delete_in_steps(0xFF),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_packets_see_the_old_flows_up_to_one_moment_and_the_new_ones_from_then_on(name: str) -> None:
    tables, _ = filled()
    steps = COMMANDS[name](tables)
    before = decided(tables)

    seen = [(step, decided(tables)) for step in steps]

    kinds = [step for step, _ in seen]
    assert kinds.count(Step.CHANGED) == 1
    at = kinds.index(Step.CHANGED)
    after = decided(tables)
    assert after != before
    assert all(found == before for _, found in seen[:at])
    assert all(found == after for _, found in seen[at:])


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_big_change_comes_to_is_what_the_same_change_of_few_comes_to(name: str) -> None:
    big, small = filled()[0], filled(AT_ONCE // 2)[0]
    for tables in (big, small):
        for _ in COMMANDS[name](tables):
            pass

    def rows(tables: TableSet) -> list[tuple[Match, tuple[Instruction, ...], float]]:
        return [(f.match, f.instructions, f.modified) for f in tables.select() if f.match.value >> 1 < 1 << 60][:40]

    assert rows(big) == rows(small)
    assert decided(big, 100) == decided(small, 100)
    assert all(flow.coming is None for flow in big.select())


def test_a_walk_that_began_before_a_deletion_sees_those_that_stay_and_none_that_went() -> None:
    tables, flows = filled()
    walk = tables.walk(0)
    seen = next(walk)

    tables.delete(0, IP, only=Filter(cookie=1, cookie_mask=1))
    rest = [flow for part in walk for flow in part]

    assert rest == [flow for flow in tables.select(0) if flow not in seen]
    assert not any(flow.cookie for flow in rest)
    assert len(tables.select(0)) == MANY // 2 + 1
    assert len(flows) == MANY


def test_a_walk_over_all_tables_sees_no_flow_that_came_after_it_began() -> None:
    tables, flows = filled(10)
    walk = tables.walk()
    tables.add(Flow(IP, OpenFlowPriority(1), to(1), table_id=2), 1.0)

    assert [flow for part in walk for flow in part][:10] == flows
    assert len(tables.select()) == 12


def test_a_walk_in_the_middle_of_a_deletion_sees_none_that_went() -> None:
    tables, _ = filled()
    walk = tables.walk(0)
    next(walk)
    steps = tables.delete_in_steps(0, IP, only=Filter(cookie=1, cookie_mask=1))
    while next(steps) is not Step.CHANGED:
        pass

    assert not any(flow.cookie for part in walk for flow in part)


def test_flows_can_be_added_and_removed_as_ever_after_a_big_change() -> None:
    tables, _ = filled()
    tables.delete(0, IP, only=Filter(cookie=1, cookie_mask=1))
    added = Flow(Match.of(eth_type=ETH_IPV4, ipv4_dst=1), OpenFlowPriority(10), to(3))
    tables.add(added, 9.0)

    assert tables.select(0)[-1] is added
    assert tables.delete(0, added.match, priority=OpenFlowPriority(10)).removed == (added,)
    assert len(tables.delete(0).bulk) > 0
    assert tables[0].active == 0
    assert tables.select() == []


def test_flows_that_went_are_neither_due_nor_users_of_a_group() -> None:
    tables, flows = filled(hard_timeout_s=5)
    tables.modify(0, IP, (ApplyActions((Group(7),)),), 1.0)
    assert len(tables.users(Group(7))) == MANY

    tables.delete(0, IP)

    assert tables.users(Group(7)) == ()
    assert tables.next_deadline() is None
    assert tables.expire(100.0) == []
    assert flows[0].instructions == (ApplyActions((Group(7),)),)


def test_nothing_times_out_while_a_change_is_under_way() -> None:
    tables, _ = filled(hard_timeout_s=5)

    tables.is_changing = True
    assert tables.next_deadline() is None
    tables.is_changing = False

    assert tables.next_deadline() == 5.0


def test_users_of_a_group_go_together() -> None:
    tables, _ = filled()
    tables.modify(0, IP, (ApplyActions((Group(7),)),), 1.0)

    for _ in tables.delete_users([Group(7)]):
        pass

    assert tables[0].active == 1


def test_what_is_left_of_a_big_change_is_let_go_in_portions() -> None:
    tables, _ = filled()
    tables.delete(0)

    turns = 1
    while tables.free_garbage(100):
        turns += 1

    assert turns >= MANY / 100
    assert not tables.free_garbage(100)


def test_it_is_let_go_of_while_new_flows_come_so_that_both_are_not_there_for_long() -> None:
    tables, flows = filled()
    tables.delete(0)
    assert tables.has_garbage

    for flow in flows[: MANY // 4]:
        tables.add(Flow(flow.match, flow.priority, flow.instructions), 1.0)

    assert not tables.has_garbage
