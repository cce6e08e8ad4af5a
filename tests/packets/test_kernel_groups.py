"""Groups in the kernel do what they do in the pipeline: every flow of packets takes the same bucket, and counts there.

``INBAND_EXAMPLES`` has twice as many as there are examples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inband.flow.actions import (
    Action,
    ApplyActions,
    DecNwTtl,
    GotoTable,
    Group,
    Instruction,
    Output,
    PopVlan,
    PushVlan,
    SetField,
    SetNwTtl,
    SetQueue,
    WriteActions,
)
from inband.flow.flow import Flow
from inband.flow.groups import Bucket
from inband.flow.match import ANY
from inband.flow.ports import ANY as ANY_PORT
from inband.flow.ports import IN_PORT, LOCAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import GroupMod
from inband.vocabulary.openflow import GroupModCommand, GroupType, PortConfig
from tests.packets.compared import FIRST_OF_MANY, FRAMES, Arrives, Said, Standing, both, compare, flow_mod, port_mod

pytestmark = pytest.mark.root

EXAMPLES = int(os.environ.get("INBAND_EXAMPLES", "100"))
NO_GROUPS: tuple[list[tuple[tuple[Action, ...], bool]], ...] = ([], [], [])
GROUP = 9  # others are there already
OUTPUTS = (PortNo(2), PortNo(3))


@pytest.fixture(scope="module")
def columns() -> Iterator[dict[str, Standing]]:
    with both() as made:
        yield made


def _buckets(*weights: int) -> tuple[Bucket, ...]:
    """Each tells by a port and an address that it was taken."""
    return tuple(
        Bucket((SetField("eth_dst", at + 1), Output(OUTPUTS[at % len(OUTPUTS)])), weight)
        for at, weight in enumerate(weights)
    )


def _group(buckets: tuple[Bucket, ...], command: GroupModCommand = GroupModCommand.ADD) -> GroupMod:
    return GroupMod(command, GroupType.SELECT, GROUP, buckets)


MANY = [Arrives(frame, forget=True) for frame in range(FIRST_OF_MANY, len(FRAMES))]


@pytest.mark.parametrize(
    "weights", [(1, 1), (1, 0, 1), (3, 1, 2), (65535, 1, 400), (1,) * 128, tuple(range(1, 65)), (1,) * 129]
)
def test_every_flow_takes_the_same_bucket(columns: dict[str, Standing], weights: tuple[int, ...]) -> None:
    flow = Flow(ANY, OpenFlowPriority(1), (ApplyActions((Group(GROUP),)),))
    before = dict(columns["ebpf"][0].datapath.counters())

    compare(columns, [], NO_GROUPS, [Said(_group(_buckets(*weights)), False), Said(flow_mod(flow), True), *MANY])

    after = columns["ebpf"][0].datapath.counters()
    assert after.get("dropped_by_flow", 0) == before.get("dropped_by_flow", 0)
    in_the_kernel = len(MANY) if len(weights) <= 128 else 0
    assert after.get("decided_by_rule", 0) - before.get("decided_by_rule", 0) == in_the_kernel


def _nested(kinds: str) -> list[Said]:
    """Groups of which each leads to the one before, the last of them is GROUP: of each the type by its first letter."""
    types = {"a": GroupType.ALL, "i": GroupType.INDIRECT, "s": GroupType.SELECT}
    made: list[Said] = []
    for at, kind in enumerate(kinds):
        number = GROUP + len(kinds) - 1 - at
        leads: tuple[Action, ...] = (Group(number + 1),) if at else (Output(PortNo(3)),)
        mine = (SetField("eth_dst", number), *leads)
        many = [(Output(PortNo(2)),), mine] if kind == "a" else [mine, (SetNwTtl(number), Output(PortNo(2))), mine]
        buckets = tuple(Bucket(actions, int(kind == "s")) for actions in (many if kind != "i" else [mine]))
        made.append(Said(GroupMod(GroupModCommand.ADD, types[kind], number, buckets), False))
    return made


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("kinds", ["s", "a", "ss", "sss", "ssss", "sssss", "si", "is", "sa", "as", "aa", "aas", "isia"])
def test_groups_within_one_another_do_the_same(columns: dict[str, Standing], kinds: str, written: bool) -> None:
    instruction = WriteActions if written else ApplyActions
    flow = Flow(ANY, OpenFlowPriority(1), (instruction((PushVlan(), Group(GROUP), Output(PortNo(3)))),))
    before = dict(columns["ebpf"][0].datapath.counters())

    compare(columns, [], NO_GROUPS, [*_nested(kinds), Said(flow_mod(flow), True), *MANY])

    after = columns["ebpf"][0].datapath.counters()
    decided = after.get("decided_by_rule", 0) - before.get("decided_by_rule", 0)
    if len(kinds) > 4:
        assert not decided
    elif written:
        assert decided == len(MANY)


weights = st.one_of(st.integers(0, 3), st.sampled_from((100, 65535)))
bucket_actions = st.lists(
    st.sampled_from(
        (
            *(Output(PortNo(1)), Output(PortNo(2)), Output(PortNo(3)), Output(LOCAL), SetField("eth_dst", 5)),
            *(
                Output(IN_PORT),
                SetField("eth_src", 0x0A00, 0xFF00),
                PushVlan(),
                SetField("vlan_vid", 0x1002),
                SetField("ipv4_dst", 9),
                DecNwTtl(),
                SetQueue(1),
            ),
        )
    ),
    max_size=3,
).map(tuple)
watched = st.sampled_from((ANY_PORT, PortNo(2), PortNo(3), PortNo(9)))
buckets_drawn = st.lists(st.builds(Bucket, bucket_actions, weights, watched), max_size=6).map(tuple)
down = st.sampled_from((PortConfig.NONE, PortConfig.NONE, PortConfig.PORT_DOWN, PortConfig.NO_FWD))
said = st.one_of(
    st.builds(lambda buckets: _group(buckets, GroupModCommand.MODIFY), buckets_drawn),
    st.builds(port_mod, st.sampled_from((PortNo(2), PortNo(3))), down),
)
many = st.builds(Arrives, st.integers(FIRST_OF_MANY, len(FRAMES) - 1), st.booleans())
steps = st.lists(
    st.one_of(*[many] * 6, st.builds(Said, said, st.sampled_from((True, True, False)))), min_size=6, max_size=20
)
# What is done before the group, and behind it.
around = st.sampled_from(
    (
        ((), ()),
        ((SetField("ipv4_src", 7),), ()),
        ((PushVlan(), SetField("vlan_vid", 0x1005)), ()),
        ((SetField("udp_dst", 99), SetField("eth_src", 9)), ()),
        ((PopVlan(),), ()),
        ((Output(PortNo(3)),), (Output(PortNo(2)),)),
    )
)


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(buckets=buckets_drawn, around=around, goes_on=st.booleans(), script=steps)
def test_groups_do_the_same_in_the_kernel(
    columns: dict[str, Standing],
    buckets: tuple[Bucket, ...],
    around: tuple[tuple[Action, ...], tuple[Action, ...]],
    goes_on: bool,
    script: list[Arrives | Said],
) -> None:
    before, behind = around
    named = ApplyActions((*before, Group(GROUP), *behind))
    first: tuple[Instruction, ...] = (ApplyActions(before), GotoTable(1)) if goes_on else (named,)
    made = [
        Flow(ANY, OpenFlowPriority(1), first),
        Flow(ANY, OpenFlowPriority(1), (ApplyActions((Group(GROUP), *behind)),), 1),
    ]
    begin = [Said(_group(buckets), False), *(Said(flow_mod(flow), True) for flow in made)]

    compare(columns, [], NO_GROUPS, [*begin, *script])
