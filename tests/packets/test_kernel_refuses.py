"""What the kernel has no room for, or refuses, is decided by the switch: later, and never wrongly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyroute2 import netns

from inband.datapath.ebpf import groups as kernel_groups
from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf import rules as kernel_rules
from inband.datapath.ebpf.layout import MAX_RULE_MASKS, RULE_SIZE
from inband.errors import HostError
from inband.flow.actions import Action, ApplyActions, GotoTable, Group, Output
from inband.flow.fields import FIELDS
from inband.flow.flow import Flow
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from tests.packets.columns import Ebpf
from tests.packets.compared import (
    FIRST_OF_FEW,
    FRAMES,
    MANY,
    NO_GROUPS,
    Standing,
    both,
    compare,
    kernel_counters,
)
from tests.packets.test_random_tables import put_a_bridge_on
from tests.property.test_pipeline_cache import Chained

pytestmark = pytest.mark.root

TO_2, TO_3 = Output(PortNo(2)), Output(PortNo(3))


@pytest.fixture(scope="module")
def columns() -> Iterator[dict[str, Standing]]:
    with both() as made:
        yield made


def flow(match: Match, priority: int, *actions: Action, table_id: int = 0) -> Flow:
    return Flow(match, OpenFlowPriority(priority), (ApplyActions(actions),), table_id)


def many_masks(table_id: int) -> list[Flow]:
    """More masks than the kernel has, by prefixes that all frames of 10.0.0.0/8 are in."""
    lengths = [(source, to) for source in range(8, 25) for to in range(8, 25)]
    assert len(lengths) > MAX_RULE_MASKS
    return [
        flow(
            Match.of(eth_type=0x0800, ipv4_src=_prefix(source), ipv4_dst=_prefix(to)),
            *(1 + source * 7 % 13 * 20 + to, (TO_2, TO_3)[(source + to) % 2]),
            table_id=table_id,
        )
        for source, to in lengths
    ]


def _prefix(length: int) -> tuple[int, int]:
    mask = 0xFFFFFFFF << 32 - length & 0xFFFFFFFF
    return 0x0A000000 & mask, mask


def rules_of(columns: dict[str, Standing]) -> kernel_rules.KernelRules:
    column = columns["ebpf"][0]
    assert isinstance(column, Ebpf)
    return column.datapath.rules


def test_flows_of_more_masks_than_there_is_room_for(columns: dict[str, Standing]) -> None:
    before = kernel_counters(columns)

    compare(columns, many_masks(0), NO_GROUPS, MANY)

    assert rules_of(columns).unfit > 0
    assert kernel_counters(columns)["up_by_rule"] > before.get("up_by_rule", 0)


def test_a_later_table_of_more_masks_than_there_is_room_for(columns: dict[str, Standing]) -> None:
    leads = Flow(ANY, OpenFlowPriority(0), (GotoTable(1),))
    before = kernel_counters(columns)

    compare(columns, [leads, *many_masks(1)], NO_GROUPS, MANY)

    assert rules_of(columns).unfit > 0
    assert kernel_counters(columns)["up_no_rule"] == before.get("up_no_rule", 0) + len(MANY)


def test_more_flows_than_the_map_holds(columns: dict[str, Standing], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_rules, "MAX_RULES", 6)
    flows = [
        flow(Match.of(eth_type=0x0800, ip_proto=6, tcp_src=5000 + at), 1 + at, (TO_2, TO_3)[at % 2]) for at in range(12)
    ]

    compare(columns, [*flows, flow(ANY, 0, TO_3)], NO_GROUPS, MANY)

    assert rules_of(columns).unfit > 0


def test_more_groups_than_the_map_holds(columns: dict[str, Standing], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_groups, "MAX_GROUPS", 0)
    buckets: list[Chained] = [((TO_2,), False), ((TO_3,), False)]
    before = kernel_counters(columns)

    compare(columns, [flow(ANY, 1, Group(0))], (buckets, [], []), MANY)

    assert kernel_counters(columns)["up_by_rule"] > before.get("up_by_rule", 0)


@pytest.mark.parametrize("written", range(3))
def test_a_rule_that_is_refused_while_others_are_written_is_there_when_rules_are_valid_again(
    columns: dict[str, Standing], monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    column, namespace = columns["ebpf"]
    netns.setns(namespace)
    key, frame = FRAMES[FIRST_OF_FEW]
    rising = [
        flow(ANY, 1, TO_3),
        flow(Match.of(eth_type=0x0800), 2, TO_3),
        flow(Match.of(eth_type=0x0800, ip_proto=17), 3, TO_2),
    ]
    bridge = put_a_bridge_on(column, rising, NO_GROUPS)
    tables = bridge.megaflows.tables
    assert tables is not None

    write, write_many = libbpf.update, libbpf.update_many

    def refuse(descriptor: int, key: bytes, value: bytes) -> None:
        if len(value) == RULE_SIZE:
            raise HostError("write a map", "no memory")
        write(descriptor, key, value)

    with monkeypatch.context() as patched:
        patched.setattr(libbpf, "update", refuse)
        patched.setattr(
            *(libbpf, "update_many"),
            lambda descriptor, keys, values: write_many(descriptor, keys[:written], values[:written]),
        )
        tables.finish(lambda: 1.0)
        assert "no memory" in tables.trouble
        assert not tables.is_valid
    tables.finish(lambda: 100.0)

    assert tables.is_valid
    column.left()
    before = kernel_counters(columns)
    column.arrive(PortNo(FIELDS["in_port"].get(key)), frame)
    assert [len(frames) for frames in column.left().values()] == [0, 1, 0]
    assert kernel_counters(columns)["decided_by_rule"] == before.get("decided_by_rule", 0) + 1
