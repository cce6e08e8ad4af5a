"""What the kernel decides by the flow tables is what the pipeline decides: random tables, packets and changes between.

Two bridges, one on the simulated datapath, which asks the pipeline about every packet, and one on the eBPF datapath,
are told the same in the same order. What leaves which port must be the same after every step, and what flows and
tables have counted at the end. ``INBAND_EXAMPLES`` has how many examples there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from copy import deepcopy
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroute2 import netns

from inband.agent.connection import Kind
from inband.bridge.bridge import Bridge
from inband.flow.actions import (
    Action,
    ApplyActions,
    ClearActions,
    DecNwTtl,
    GotoTable,
    Group,
    Instruction,
    Meter,
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
from inband.flow.ports import ALL, FLOOD, LOCAL, NORMAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import Envelope, FlowMod, Message, PortMod
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.table.steps import in_one_go
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP13, FlowModCommand, PortConfig
from tests.packets.columns import PORTS, Column, ebpf, simulated
from tests.packets.followed import ASKS, CHANGED_COPY, FOLLOWED
from tests.packets.test_random_tables import FAR_FUTURE, counted, put_a_bridge_on
from tests.property.test_pipeline_cache import (
    BANDS,
    MAC_LOCAL,
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

_HOSTS = [f"02:00:00:00:01:{number:02x}" for number in range(4)]
_ADDRESSES = (*_HOSTS, packets.MAC_A, packets.MAC_B, MAC_LOCAL, "ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:05")


def _data_frames() -> list[bytes]:
    """Data among few hosts, tagged and not."""
    plain = [
        packets.udp(packets.IP_A, packets.IP_B, 5000 + at % 3, 6000, src=source, dst=to)
        for at, (source, to) in enumerate((source, to) for source in _ADDRESSES for to in _ADDRESSES)
    ]
    six = [packets.tcp(packets.IP6_A, packets.IP6_B, src=source, dst=_HOSTS[0]) for source in _HOSTS]
    tagged = [packets.vlan(frame, vid) for frame in plain[::3] for vid in (0, 1, 7)]
    return [*plain, *six, *tagged, packets.ethernet(0x88B6, b"data"), packets.ethernet(0x88B5, b"data")]


def _few_hosts() -> list[bytes]:
    """Data among two hosts, or to anybody, in two VLANs and in none."""
    pairs = [(source, to) for source in _HOSTS[:2] for to in (*_HOSTS[:2], "ff:ff:ff:ff:ff:ff") if source != to]
    plain = [packets.udp(packets.IP_A, packets.IP_B, 5000, 6000, src=source, dst=to) for source, to in pairs]
    return [*plain, *(packets.vlan(frame, vid) for frame in plain for vid in (1, 7))]


FRAMES = [*POOL, *((parse(data, port), Frame(data)) for data in _data_frames() for port in PORTS)]
_FEW = len(FRAMES)
FRAMES += [(parse(data, port), Frame(data)) for data in _few_hosts() for port in PORTS]
frames = st.one_of(st.integers(0, _FEW - 1), st.integers(len(POOL), _FEW - 1))

_PLAIN: tuple[Action, ...] = (
    *(Output(port) for port in (PortNo(1), PortNo(2), PortNo(3), PortNo(9), LOCAL, FLOOD)),
    SetField("eth_dst", int(Mac.parse(packets.MAC_A))),
    SetField("eth_src", 5, 0xFF),
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
)
_WRITTEN = tuple(action for action in _ON_THE_WAY if not isinstance(action, SetVlanVid | SetVlanPcp))
_bucket = st.lists(st.sampled_from([each for each in _ON_THE_WAY if not isinstance(each, Group)]), max_size=3).map(
    tuple
)
buckets_on_the_way = st.tuples(
    *(st.lists(st.tuples(_bucket, st.just(False)), min_size=1, max_size=most) for most in (2, 3, 2))
)
# What tables in front leave behind, and headers that they change.
_LOOKED_AT = ("metadata", "metadata", "eth_dst", "eth_type", "vlan_vid", "ip_ttl", "ipv4_dst", "tcp_dst", "in_port")


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


def _pass_on(table_id: int) -> Flow:
    """A table-miss flow, so that few packets get to no flow at all."""
    goes_on: tuple[Instruction, ...] = (GotoTable(table_id + 1), ApplyActions((Output(PortNo(2)), Output(PortNo(3)))))
    return Flow(ANY, OpenFlowPriority(0), goes_on[:1] if table_id < 2 else goes_on[1:], table_id)


flow_on_the_way = st.one_of(*[flows_on_the_way()] * 9, plain_flows, flows())


@dataclass(frozen=True)
class Arrives:
    """A frame arrives; decisions that were cached before may be forgotten first."""

    frame: int
    forget: bool


@dataclass(frozen=True)
class Said:
    """A controller says something; the kernel's tables are brought up to date at once, or are not valid afterwards."""

    message: Message
    compiles: bool


def _message(flow: Flow, *, is_added: bool) -> FlowMod:
    command = FlowModCommand.ADD if is_added else FlowModCommand.DELETE_STRICT
    assert isinstance(flow.priority, OpenFlowPriority)
    return FlowMod(command, flow.match, flow.priority, flow.instructions if is_added else (), flow.table_id)


def _port_mod(port: PortNo, config: PortConfig) -> PortMod:
    return PortMod(port, Mac(port & 0xFF), config, PortConfig.PORT_DOWN | PortConfig.NO_FWD | PortConfig.NO_FLOOD)


arrivals = st.builds(Arrives, frames, st.booleans())
few_hosts = st.builds(Arrives, st.integers(_FEW, len(FRAMES) - 1), st.sampled_from((True, True, True, False)))
configs = st.sampled_from((PortConfig.NONE, PortConfig.NONE, PortConfig.NO_FLOOD, PortConfig.NO_FWD))
said_of_ports = st.builds(Said, st.builds(_port_mod, st.sampled_from(PORTS), configs), st.booleans())


data = st.builds(Arrives, st.integers(len(POOL), _FEW - 1), st.sampled_from((True, True, True, False)))


def steps(
    changed: st.SearchStrategy[Flow], arriving: st.SearchStrategy[Arrives] = arrivals, least: int = 1
) -> st.SearchStrategy[list[Arrives | Said]]:
    """Frames, and flows that come and go."""
    messages = st.builds(lambda flow, on: _message(flow, is_added=on), changed, st.booleans())
    said = st.builds(Said, messages, st.sampled_from((True, True, True, False)))
    return st.lists(st.one_of(*(arriving for _ in range(6)), said, said_of_ports), min_size=least, max_size=24)


KINDS: dict[str, Callable[[], AbstractContextManager[Column]]] = {
    "simulated": simulated,
    "ebpf": lambda: ebpf(lambda: FAR_FUTURE),
}
Standing = tuple[Column, int]
"""A column, and the network namespace that it stands in."""


@pytest.fixture(scope="module")
def columns() -> Iterator[dict[str, Standing]]:
    with ExitStack() as stack:
        made: dict[str, Standing] = {}
        for name, make in KINDS.items():
            column = stack.enter_context(make())
            namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            stack.callback(os.close, namespace)
            made[name] = (column, namespace)
        yield made
        counters = made["ebpf"][0].datapath.counters()
        decided = sum(counters.get(name, 0) for name in DECIDED)
        assert decided >= DECIDED_PER_FRAME * made["simulated"][0].datapath.counters().get("miss", 0), dict(counters)


def _counted(bridge: Bridge) -> list[tuple[int, int]]:
    return [*counted(bridge), *((table.lookups, table.matched) for table in map(bridge.tables.__getitem__, range(3)))]


def _forget_cached(bridge: Bridge) -> None:
    tables = bridge.megaflows.tables
    decides = tables is not None and tables.is_valid
    bridge.megaflows.everything_changed()
    bridge.megaflows.settle()
    if tables is not None and decides:
        tables.finish(lambda: 1.0)


def _play(bridge: Bridge, column: Column, script: list[Arrives | Said]) -> Iterator[dict[PortNo, list[bytes]]]:
    tables = bridge.megaflows.tables
    if tables is not None:
        tables.finish(lambda: 1.0)
    for step in script:
        if isinstance(step, Arrives):
            if step.forget:
                _forget_cached(bridge)
            key, frame = FRAMES[step.frame]
            column.arrive(PortNo(FIELDS["in_port"].get(key)), frame)
            yield column.left()
            continue
        bridge.receive(1, [Envelope(OFP13, 1, deepcopy(step.message))])
        bridge.take(1)
        if tables is not None and step.compiles:
            tables.finish(lambda: 1.0)


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
    key, frame = FRAMES[_FEW]

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
    "no action": [(ANY, 0, (GotoTable(1),)), (ANY, 1, ())],
    "meter": [(ANY, 0, (Meter(2), ApplyActions((Output(PortNo(2)),))))],
    "a failover group": [(ANY, 0, (ApplyActions((Group(2),)), GotoTable(1))), (ANY, 1, (ApplyActions((_TO_2,)),))],
    "a group for all": [(ANY, 0, (GotoTable(1),)), (ANY, 1, (ApplyActions((Group(1),)),))],
    "a meter before normal": [(ANY, 0, (Meter(2), ApplyActions((Output(NORMAL),))))],
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
    key, frame = FRAMES[_FEW]

    column.arrive(PortNo(FIELDS["in_port"].get(key)), frame)

    after = column.datapath.counters()
    assert after.get("miss", 0) == before.get("miss", 0)
    assert sum(after.get(each, 0) - before.get(each, 0) for each in DECIDED) == 1
    in_one_go(bridge.counting())
    on_the_way = [flow for flow in made if flow.match != Match.of(metadata=(4, 7))]
    assert [flow.packets for flow in on_the_way] == [1] * len(on_the_way)
    assert all(bridge.tables[flow.table_id].matched == 1 for flow in on_the_way)
    used = {action.group_id for flow in made for action in _applied(flow) if isinstance(action, Group)}
    for group in bridge.tables.groups:
        counters = (group.counter, *(bucket.counter for bucket in group.buckets))
        assert [each.packets for each in counters] == [int(group.group_id in used)] * len(counters)


def _applied(flow: Flow) -> Iterator[Action]:
    for instruction in flow.instructions:
        if isinstance(instruction, ApplyActions):
            yield from instruction.actions


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_later_table_sees_what_was_done_to_a_packet(columns: dict[str, Standing], name: str) -> None:
    visible = [Flow(match, OpenFlowPriority(high), does, at) for at, high, match, does in FOLLOWED[name]]
    script: list[Arrives | Said] = [Arrives(frame, forget=True) for frame in range(len(POOL), len(FRAMES), 7)]
    before = dict(columns["ebpf"][0].datapath.counters())

    _compare(columns, visible, CHANGED_COPY, script)

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
    _compare(columns, visible, groups, script)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    visible=st.lists(flow_on_the_way, min_size=3, max_size=8),
    groups=buckets_on_the_way,
    script=steps(flow_on_the_way, data, 12),
)
def test_the_kernel_goes_through_the_tables_as_the_pipeline_does(
    columns: dict[str, Standing],
    visible: list[Flow],
    groups: tuple[list[Chained], ...],
    script: list[Arrives | Said],
) -> None:
    _compare(columns, [*map(_pass_on, range(3)), *visible], groups, script)


@settings(max_examples=EXAMPLES, deadline=None)
@given(script=st.lists(st.one_of(*([few_hosts] * 8), said_of_ports), min_size=8, max_size=40))
def test_the_kernel_learns_as_the_pipeline_does(columns: dict[str, Standing], script: list[Arrives | Said]) -> None:
    normal = Flow(ANY, OpenFlowPriority(0), (ApplyActions((Output(NORMAL),)),))

    _compare(columns, [normal], ([], [], []), script)


def _compare(
    columns: dict[str, Standing],
    visible: list[Flow],
    groups: tuple[list[Chained], ...],
    script: list[Arrives | Said],
) -> None:
    left: dict[str, list[dict[PortNo, list[bytes]]]] = {}
    counts: dict[str, list[tuple[int, int]]] = {}
    for name, (column, namespace) in columns.items():
        netns.setns(namespace)
        bridge = put_a_bridge_on(column, deepcopy(visible), groups)
        bridge.connect(1, Kind.CONTROLLER, OFP13)
        column.left()
        left[name] = list(_play(bridge, column, script))
        counts[name] = _counted(bridge)

    assert left["ebpf"] == left["simulated"]
    assert counts["ebpf"] == counts["simulated"]
