"""What the kernel decides by the flow tables is what the pipeline decides: random tables, packets and changes between.

``INBAND_EXAMPLES`` has how many examples there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroute2 import netns

from inband.flow.actions import (
    Action,
    ApplyActions,
    ClearActions,
    DecNwTtl,
    GotoTable,
    Group,
    Instruction,
    Meter,
    MoveField,
    Output,
    PopQueue,
    PopVlan,
    PushVlan,
    SetField,
    SetNwTtl,
    SetQueue,
    SetVlanPcp,
    SetVlanVid,
    WriteActions,
    WriteMetadata,
)
from inband.flow.fields import FIELDS
from inband.flow.flow import Flow
from inband.flow.match import ANY, Match
from inband.flow.ports import ALL, FLOOD, IN_PORT, LOCAL, NORMAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.table.steps import in_one_go
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import PortConfig
from tests.packets.columns import PORTS
from tests.packets.compared import (
    FIRST_OF_FEW,
    FIRST_OF_MANY,
    FRAMES,
    Arrives,
    Said,
    Standing,
    both,
    compare,
    flow_mod,
    port_mod,
)
from tests.packets.followed import ASKS, CHANGED_COPY, FOLLOWED
from tests.packets.test_random_tables import put_a_bridge_on
from tests.property.test_pipeline_cache import (
    BANDS,
    METERED,
    POOL,
    VALUES,
    Chained,
    flows,
    group_buckets,
    matches,
)

pytestmark = pytest.mark.root

EXAMPLES = int(os.environ.get("INBAND_EXAMPLES", "100"))
DECIDED = ("decided_by_rule", "decided_normal")
DECIDED_PER_FRAME = 0.1  # a third of what is seen; the rest is cached, control, or for the switch

frames = st.one_of(st.integers(0, FIRST_OF_FEW - 1), st.integers(len(POOL), FIRST_OF_FEW - 1))

_PLAIN: tuple[Action, ...] = (
    *(Output(port) for port in (PortNo(1), PortNo(2), PortNo(3), PortNo(9), LOCAL, FLOOD)),
    SetField("eth_dst", int(Mac.parse(packets.MAC_A))),
    SetField("eth_src", 5, 0xFF),
    SetField("eth_dst", 0x0100_0000_0203, 0xFF00_0000_0F0F),
    Output(IN_PORT),
    SetField("vlan_vid", 0x1001),
    SetField("vlan_pcp", 3),
    SetField("ip_dscp", 10),
    PushVlan(),
    SetQueue(1),
)
plain_actions = st.one_of(
    st.just((Output(NORMAL),)),
    st.lists(st.sampled_from(_PLAIN), max_size=4).map(tuple),
    st.sampled_from(((Output(NORMAL), Output(PortNo(3))), (SetQueue(1), Output(NORMAL)))),
)
plain_flows = st.builds(
    lambda match, priority, actions: Flow(match, OpenFlowPriority(priority), (ApplyActions(actions),)),
    *(matches, st.integers(0, 3), plain_actions),
)
any_flow = st.one_of(plain_flows, plain_flows, plain_flows, flows())

_ON_THE_WAY: tuple[Action, ...] = (
    *_PLAIN,
    *(SetField("ipv4_dst", 0x0A000002), SetField("tcp_dst", 6653), SetField("ip_ecn", 1), SetNwTtl(32), DecNwTtl()),
    *(PopVlan(), SetVlanVid(2), SetVlanPcp(3), PopQueue(), Output(ALL)),
    *(Group(0), Group(1), Group(2), Group(2), Output(NORMAL), Output(NORMAL)),
    *(SetField("reg0", 80), SetField("reg0", 80 << 16, 0xFF << 16), SetField("reg5", 3, 0xFF)),
    *(SetField("tunnel_id", 1 << 40 | 80), SetField("tunnel_id", 0), SetField("metadata", 5, 7)),
    *(MoveField("tunnel_id", "reg0", 32), MoveField("reg0", "metadata", 3, 4), MoveField("metadata", "reg5", 3)),
    *(MoveField("eth_dst", "reg5", 3), MoveField("eth_src", "eth_dst", 48), MoveField("reg0", "eth_dst", 16, 0, 8)),
    *(MoveField("vlan_vid", "reg5", 12), MoveField("reg5", "vlan_vid", 3, 0, 6), MoveField("vlan_vid", "vlan_pcp", 3)),
    *(MoveField("ip_ttl", "reg0", 8), MoveField("reg0", "ip_ttl", 7), MoveField("tcp_dst", "reg0", 16)),
    *(
        MoveField("ipv4_dst", "ipv4_src", 24, 8),
        MoveField("ip_dscp", "ip_ecn", 2),
        MoveField("reg5", "ipv6_dst", 9, 0, 90),
    ),
)
_WRITTEN = tuple(each for each in _ON_THE_WAY if not isinstance(each, SetVlanVid | SetVlanPcp | MoveField))
_bucket = st.lists(st.sampled_from([each for each in _ON_THE_WAY if not isinstance(each, Group)]), max_size=3).map(
    tuple
)
buckets_on_the_way = st.tuples(
    *(st.lists(st.tuples(_bucket, st.booleans()), min_size=1, max_size=most) for most in (3, 3, 2))
)
# What tables in front leave behind, and headers that they change.
_LOOKED_AT = (
    *("metadata", "metadata", "reg0", "reg0", "reg5", "tunnel_id", "eth_dst", "eth_type", "vlan_vid", "ip_ttl"),
    *("ipv4_dst", "tcp_dst", "in_port"),
)


@st.composite
def flows_on_the_way(draw: st.DrawFn) -> Flow:
    """A flow whose packets go on in the next table, most often, and look at what was done to them."""
    table_id = draw(st.sampled_from((0, 0, 1, 1, 2)))
    looked_at = draw(st.sets(st.sampled_from(_LOOKED_AT), max_size=2 if table_id else 1))
    match = Match.of(**{name: draw(st.sampled_from(VALUES[name])) for name in sorted(looked_at)})
    actions = draw(st.lists(st.sampled_from(_ON_THE_WAY), max_size=3))
    instructions: list[Instruction] = [ApplyActions(tuple(actions))]
    if draw(st.booleans()):
        instructions.append(WriteActions(tuple(draw(st.lists(st.sampled_from(_WRITTEN), max_size=3)))))
    if draw(st.booleans()):
        instructions.append(WriteMetadata(*draw(st.sampled_from(((5, 7), (1, 1), (0, 4), (1 << 40, 1 << 40))))))
    if draw(st.integers(0, 7)) == 0:
        instructions.append(ClearActions())
    if draw(st.integers(0, 7)) == 0:
        instructions.append(Meter(1))
    if table_id == 2 and draw(st.integers(0, 2)) == 0:
        instructions = [ApplyActions((Output(NORMAL),))]
    elif table_id < 2 and draw(st.integers(0, 3)):
        instructions.append(GotoTable(draw(st.integers(table_id + 1, 2))))
    return Flow(match, OpenFlowPriority(draw(st.integers(0, 3))), tuple(instructions), table_id)


_MOVED = (
    *("metadata", "tunnel_id", "reg0", "reg5", "eth_dst", "eth_src", "vlan_vid", "vlan_pcp", "ip_dscp", "ip_ecn"),
    *("ip_ttl", "ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst", "ipv6_flabel", "tcp_src", "tcp_dst", "udp_dst"),
)


@st.composite
def flows_that_move(draw: st.DrawFn) -> Flow:
    """A flow that moves any bits of a field that its packets have to another, and leads on."""
    source, destination = (FIELDS[draw(st.sampled_from(_MOVED))] for _ in range(2))
    bits = draw(st.integers(1, min(source.bits, destination.bits)))
    offsets = (draw(st.integers(0, field.bits - bits)) for field in (source, destination))
    move = MoveField(source.name, destination.name, bits, *offsets)
    needed = {name: draw(st.sampled_from(allowed)) for name, allowed in source.needs if allowed}
    table_id = draw(st.sampled_from((0, 1)))
    does = (ApplyActions((move, *draw(st.lists(st.sampled_from(_ON_THE_WAY), max_size=1)))), GotoTable(table_id + 1))
    return Flow(Match.of(**needed), OpenFlowPriority(draw(st.integers(1, 3))), does, table_id)


def pass_on(table_id: int) -> Flow:
    """A table-miss flow, so that few packets get to no flow at all."""
    goes_on: tuple[Instruction, ...] = (GotoTable(table_id + 1), ApplyActions((Output(PortNo(2)), Output(PortNo(3)))))
    return Flow(ANY, OpenFlowPriority(0), goes_on[:1] if table_id < 2 else goes_on[1:], table_id)


flow_on_the_way = st.one_of(*[flows_on_the_way()] * 8, *[flows_that_move()] * 3, plain_flows, flows())


arrivals = st.builds(Arrives, frames, st.booleans())
few_hosts = st.builds(Arrives, st.integers(FIRST_OF_FEW, FIRST_OF_MANY - 1), st.sampled_from((True, True, True, False)))
configs = st.sampled_from((PortConfig.NONE, PortConfig.NONE, PortConfig.NO_FLOOD, PortConfig.NO_FWD))
said_of_ports = st.builds(Said, st.builds(port_mod, st.sampled_from(PORTS), configs), st.booleans())


data = st.builds(Arrives, st.integers(len(POOL), FIRST_OF_FEW - 1), st.sampled_from((True, True, True, False)))


def steps(
    changed: st.SearchStrategy[Flow], arriving: st.SearchStrategy[Arrives] = arrivals, least: int = 1
) -> st.SearchStrategy[list[Arrives | Said]]:
    """Frames, and flows that come and go."""
    messages = st.builds(lambda flow, on: flow_mod(flow, is_added=on), changed, st.booleans())
    said = st.builds(Said, messages, st.sampled_from((True, True, True, False)))
    return st.lists(st.one_of(*(arriving for _ in range(6)), said, said_of_ports), min_size=least, max_size=24)


@pytest.fixture(scope="module")
def columns() -> Iterator[dict[str, Standing]]:
    with both() as made:
        yield made
        counters = made["ebpf"][0].datapath.counters()
        decided = sum(counters.get(name, 0) for name in DECIDED)
        assert decided >= DECIDED_PER_FRAME * made["simulated"][0].datapath.counters().get("miss", 0), dict(counters)


@pytest.mark.parametrize(("port", "decided"), [(PortNo(2), "decided_by_rule"), (NORMAL, "decided_normal")])
def test_the_first_frame_is_decided_by_its_flow_and_the_next_by_what_was_cached_of_it(
    columns: dict[str, Standing], port: PortNo, decided: str
) -> None:
    column, namespace = columns["ebpf"]
    netns.setns(namespace)
    flow = Flow(ANY, OpenFlowPriority(1), (ApplyActions((Output(port),)),))
    bridge = put_a_bridge_on(column, [flow], ([], [], []))
    assert bridge.megaflows.tables is not None
    bridge.megaflows.tables.finish(lambda: 1.0)
    before = dict(column.datapath.counters())
    key, frame = FRAMES[FIRST_OF_FEW]

    for _ in range(2):
        column.arrive(PortNo(FIELDS["in_port"].get(key)), frame)

    after = column.datapath.counters()
    changes = [after.get(name, 0) - before.get(name, 0) for name in (decided, "megaflow_hit", "miss")]
    assert changes == [1, 1, 0]
    in_one_go(bridge.counting())
    assert flow.packets == 2


_TO_2 = Output(PortNo(2))
_GROUPS: tuple[list[Chained], ...] = (
    [((_TO_2,), False)],
    [((_TO_2,), False), ((SetQueue(1), Output(PortNo(3))), False)],
    [((Output(PortNo(3)),), False)],
)
_MARK = WriteMetadata(5, 7)
_LATER: dict[str, list[tuple[Match, int, tuple[Instruction, ...]]]] = {
    "goto": [(ANY, 0, (GotoTable(2),)), (ANY, 2, (ApplyActions((Output(PortNo(2)),)),))],
    "metadata": [
        (ANY, 0, (_MARK, GotoTable(1))),
        (Match.of(metadata=(5, 7)), 1, (ApplyActions((Output(PortNo(2)),)),)),
        (Match.of(metadata=(4, 7)), 1, (ApplyActions((Output(PortNo(3)),)),)),
    ],
    "action set": [
        (ANY, 0, (WriteActions((Output(PortNo(3)), SetField("eth_dst", 5))), GotoTable(1))),
        (ANY, 1, (WriteActions((Output(PortNo(2)),)),)),
    ],
    "edits": [
        (ANY, 0, (ApplyActions((SetField("ipv4_dst", 0x0A000009), DecNwTtl(), PushVlan())), GotoTable(1))),
        (Match.of(eth_type=0x0800, ipv4_dst=0x0A000009, vlan_vid=0x1000), 1, (ApplyActions((Output(PortNo(2)),)),)),
    ],
    "no flow in the end": [(ANY, 0, (WriteActions((_TO_2,)), GotoTable(1)))],
    "no action": [(ANY, 0, (GotoTable(1),)), (ANY, 1, ())],
    "meter": [(ANY, 0, (Meter(2), ApplyActions((Output(PortNo(2)),))))],
    "a failover group": [(ANY, 0, (ApplyActions((Group(2),)), GotoTable(1))), (ANY, 1, (ApplyActions((_TO_2,)),))],
    "a group for all": [(ANY, 0, (GotoTable(1),)), (ANY, 1, (ApplyActions((Group(1),)),))],
    "a meter before normal": [(ANY, 0, (Meter(2), ApplyActions((Output(NORMAL),))))],
    "a group in the end": [(ANY, 0, (WriteActions((Group(1), _TO_2)), GotoTable(1))), (ANY, 1, ())],
    "normal": [(ANY, 0, (_MARK, GotoTable(1))), (ANY, 1, (ApplyActions((Output(NORMAL),)),))],
}


@pytest.mark.parametrize("name", _LATER)
def test_a_frame_goes_through_the_tables_in_the_kernel(columns: dict[str, Standing], name: str) -> None:
    column, namespace = columns["ebpf"]
    netns.setns(namespace)
    made = [Flow(match, OpenFlowPriority(1), does, table_id) for match, table_id, does in _LATER[name]]
    bridge = put_a_bridge_on(column, [], _GROUPS)
    bridge.tables.meters.add(2, METERED, BANDS[1:], 0.0)
    column.datapath.set_meter(2, bridge.tables.meters.get(2))
    for flow in made:
        bridge.tables.add(flow, 0.0)
    assert bridge.megaflows.tables is not None
    bridge.megaflows.tables.finish(lambda: 1.0)
    before = dict(column.datapath.counters())
    key, frame = FRAMES[FIRST_OF_FEW]

    column.arrive(PortNo(FIELDS["in_port"].get(key)), frame)

    after = column.datapath.counters()
    assert after.get("miss", 0) == before.get("miss", 0)
    assert sum(after.get(each, 0) - before.get(each, 0) for each in DECIDED) == 1
    in_one_go(bridge.counting())
    on_the_way = [flow for flow in made if flow.match != Match.of(metadata=(4, 7))]
    assert [flow.packets for flow in on_the_way] == [1] * len(on_the_way)
    assert all(bridge.tables[flow.table_id].matched == 1 for flow in on_the_way)
    used = {action.group_id for flow in made for action in _named(flow) if isinstance(action, Group)}
    for group in bridge.tables.groups:
        counters = (group.counter, *(bucket.counter for bucket in group.buckets))
        assert [each.packets for each in counters] == [int(group.group_id in used)] * len(counters)


def _named(flow: Flow) -> Iterator[Action]:
    for instruction in flow.instructions:
        if isinstance(instruction, ApplyActions | WriteActions):
            yield from instruction.actions


def test_a_frame_that_no_flow_matches_is_dropped_in_the_kernel_and_counted(columns: dict[str, Standing]) -> None:
    column, namespace = columns["ebpf"]
    netns.setns(namespace)
    bridge = put_a_bridge_on(column, [], ([], [], []))
    assert bridge.megaflows.tables is not None
    bridge.megaflows.tables.finish(lambda: 1.0)
    before = dict(column.datapath.counters())
    key, frame = FRAMES[FIRST_OF_FEW]

    column.arrive(PortNo(FIELDS["in_port"].get(key)), frame)

    after = column.datapath.counters()
    changes = [after.get(name, 0) - before.get(name, 0) for name in ("decided_by_rule", "dropped_by_flow", "miss")]
    assert changes == [1, 1, 0]
    in_one_go(bridge.counting())
    assert (bridge.tables.first.lookups, bridge.tables.first.matched) == (1, 0)


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_later_table_sees_what_was_done_to_a_packet(columns: dict[str, Standing], name: str) -> None:
    visible = [Flow(match, OpenFlowPriority(high), does, at) for at, high, match, does in FOLLOWED[name]]
    script: list[Arrives | Said] = [Arrives(frame, forget=True) for frame in range(len(POOL), FIRST_OF_MANY, 7)]
    before = dict(columns["ebpf"][0].datapath.counters())

    compare(columns, visible, CHANGED_COPY, script)

    after = columns["ebpf"][0].datapath.counters()
    assert name in ASKS or after.get("up_by_rule", 0) == before.get("up_by_rule", 0)
    decided = sum(after.get(each, 0) - before.get(each, 0) for each in DECIDED)
    assert name in ASKS or decided > len(script) / 4  # hosts that move, which come up, are at three ports in turn


@settings(max_examples=EXAMPLES, deadline=None)
@given(visible=st.lists(any_flow, min_size=1, max_size=6), groups=group_buckets, script=steps(any_flow))
def test_the_kernel_decides_as_the_pipeline_does(
    columns: dict[str, Standing],
    visible: list[Flow],
    groups: tuple[list[Chained], ...],
    script: list[Arrives | Said],
) -> None:
    compare(columns, visible, groups, script)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    visible=st.lists(flow_on_the_way, min_size=3, max_size=8),
    passing=st.sampled_from(((0, 1, 2), (0, 1, 2), (0, 1), (0,))),
    groups=buckets_on_the_way,
    script=steps(flow_on_the_way, data, 12),
)
def test_the_kernel_goes_through_the_tables_as_the_pipeline_does(
    columns: dict[str, Standing],
    visible: list[Flow],
    passing: tuple[int, ...],
    groups: tuple[list[Chained], ...],
    script: list[Arrives | Said],
) -> None:
    compare(columns, [*map(pass_on, passing), *visible], groups, script)


@settings(max_examples=EXAMPLES, deadline=None)
@given(script=st.lists(st.one_of(*([few_hosts] * 8), said_of_ports), min_size=8, max_size=40))
def test_the_kernel_learns_as_the_pipeline_does(columns: dict[str, Standing], script: list[Arrives | Said]) -> None:
    normal = Flow(ANY, OpenFlowPriority(0), (ApplyActions((Output(NORMAL),)),))

    compare(columns, [normal], ([], [], []), script)
