"""What the kernel has room for, at its bounds and past them: later there, never another decision, and counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyroute2 import netns

from inband.agent.connection import Kind
from inband.datapath.ebpf.layout import (
    MAX_OPS,
    MAX_STATIONS,
    MAX_TABLES,
    MAX_VISITS,
    TOLD_BACKLOG,
    UPCALL_SMALL,
)
from inband.flow.actions import Action, ApplyActions, GotoTable, Group, Output, SetField, SetQueue
from inband.flow.flow import Flow
from inband.flow.match import ANY
from inband.flow.ports import NORMAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import Envelope
from inband.packet.frame import Frame
from inband.pipeline.fdb import FdbKey
from inband.table.steps import in_one_go
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP13
from tests.packets.columns import Ebpf
from tests.packets.compared import (
    MANY,
    NO_GROUPS,
    Standing,
    both,
    compare,
    flow_mod,
    kernel_counters,
)
from tests.packets.test_random_tables import put_a_bridge_on
from tests.property.test_pipeline_cache import Chained

pytestmark = pytest.mark.root

TO_2, TO_3 = Output(PortNo(2)), Output(PortNo(3))
NORMALLY = Flow(ANY, OpenFlowPriority(0), (ApplyActions((Output(NORMAL),)),))


@pytest.fixture(scope="module")
def columns() -> Iterator[dict[str, Standing]]:
    with both() as made:
        yield made


def kernel_of(columns: dict[str, Standing]) -> Ebpf:
    column, namespace = columns["ebpf"]
    netns.setns(namespace)
    assert isinstance(column, Ebpf)
    return column


@pytest.mark.parametrize(("added", "decided"), [(0, True), (1, False)])
def test_as_many_ops_of_all_tables_as_there_is_room_for(
    columns: dict[str, Standing], added: int, *, decided: bool
) -> None:
    first: list[Action] = [SetQueue(at) for at in range(MAX_OPS // 2)]
    rest: list[Action] = [SetQueue(at) for at in range(MAX_OPS // 2 - 1 + added)]
    flows = [
        Flow(ANY, OpenFlowPriority(0), (ApplyActions(tuple(first)), GotoTable(1))),
        Flow(ANY, OpenFlowPriority(0), (ApplyActions((*rest, TO_2)),), 1),
    ]
    before = kernel_counters(columns)

    compare(columns, flows, NO_GROUPS, MANY)

    assert kernel_counters(columns).get("up_by_rule", 0) - before.get("up_by_rule", 0) == (0 if decided else len(MANY))


@pytest.mark.parametrize(("last", "decided"), [(MAX_TABLES - 1, True), (MAX_TABLES, False)])
def test_as_many_tables_as_there_is_room_for(columns: dict[str, Standing], last: int, *, decided: bool) -> None:
    flows = [Flow(ANY, OpenFlowPriority(0), (GotoTable(at + 1),), at) for at in range(last)]
    flows.append(Flow(ANY, OpenFlowPriority(0), (ApplyActions((TO_3,)),), last))
    before = kernel_counters(columns)

    compare(columns, flows, NO_GROUPS, MANY)

    assert kernel_counters(columns).get("up_by_rule", 0) - before.get("up_by_rule", 0) == (0 if decided else len(MANY))


@pytest.mark.parametrize(("groups", "decided"), [(MAX_VISITS - 20, True), (MAX_VISITS - 19, False)])
def test_as_many_tables_and_groups_as_can_be_counted(
    columns: dict[str, Standing], groups: int, *, decided: bool
) -> None:
    buckets: list[Chained] = [((SetField("reg0", at),), False) for at in range(2)]
    shared = [groups // 20 + (at < groups % 20) for at in range(20)]
    flows = [
        Flow(ANY, OpenFlowPriority(0), (ApplyActions((Group(0),) * count), GotoTable(at + 1)), at)
        for at, count in enumerate(shared[:-1])
    ]
    flows.append(Flow(ANY, OpenFlowPriority(0), (ApplyActions((*(Group(0),) * shared[-1], TO_2)),), 19))
    before = kernel_counters(columns)

    compare(columns, flows, (buckets, [], []), MANY)

    asked = kernel_counters(columns).get("up_by_rule", 0) - before.get("up_by_rule", 0)
    assert asked == (0 if decided else len(MANY))


def _fill_stations(column: Ebpf, leaving: int) -> None:
    """Have other stations take all places but so many."""
    others = {FdbKey(9, Mac(0x02FF_0000_0000 + at)): PortNo(1) for at in range(MAX_STATIONS - leaving)}
    column.datapath.rules.stations.put(others, ())


def _sent(column: Ebpf, source: str, to: str, port: int) -> list[int]:
    """The ports that a frame leaves by."""
    column.arrive(PortNo(port), Frame(packets.udp(packets.IP_A, packets.IP_B, 5000, 6000, src=source, dst=to)))
    return [int(number) for number, frames in column.left().items() if frames]


A, B, C = (f"02:00:00:00:0a:{at:02x}" for at in range(3))


def test_stations_that_there_is_no_room_for_are_asked_about(columns: dict[str, Standing]) -> None:
    column = kernel_of(columns)
    bridge = put_a_bridge_on(column, [NORMALLY], NO_GROUPS)
    tables = bridge.megaflows.tables
    assert tables is not None
    tables.finish(lambda: 1.0)
    column.left()
    _fill_stations(column, leaving=1)
    before = kernel_counters(columns)

    assert _sent(column, A, "ff:ff:ff:ff:ff:ff", 1) == [2, 3]  # has the last place
    assert kernel_counters(columns).get("station_not_in_kernel", 0) == before.get("station_not_in_kernel", 0)
    assert _sent(column, B, A, 2) == [1]  # has none
    assert kernel_counters(columns)["station_not_in_kernel"] == before.get("station_not_in_kernel", 0) + 1
    assert _sent(column, C, B, 3) == [2]
    assert kernel_counters(columns)["up_normal"] == before.get("up_normal", 0) + 1

    # One that makes room, and the other is found there when it sends.
    bridge.fdb.flush()
    bridge.megaflows.follow_fdb()
    assert _sent(column, B, "ff:ff:ff:ff:ff:ff", 2) == [1, 3]
    assert kernel_counters(columns)["up_normal"] == before.get("up_normal", 0) + 1
    assert _sent(column, A, B, 1) == [2]
    column.datapath.rules.clear()


def test_while_what_is_told_waits_frames_are_decided_as_before_and_nothing_new_is_learned(
    columns: dict[str, Standing],
) -> None:
    column = kernel_of(columns)
    bridge = put_a_bridge_on(column, [NORMALLY], NO_GROUPS)
    assert bridge.megaflows.tables is not None
    bridge.megaflows.tables.finish(lambda: 1.0)
    column.left()
    before = kernel_counters(columns)
    fits = TOLD_BACKLOG // UPCALL_SMALL
    count = fits + 100
    frames = [packets.udp(packets.IP_A, packets.IP_B, 5000 + at, 6000, src=A, dst=B) for at in range(count)]

    for at, frame in enumerate(frames):  # the switch is busy
        column.send(PortNo(1 + at % 3), Frame(frame.replace(bytes.fromhex(A.replace(":", "")), _host(at % 3))))
    column.send(PortNo(1), Frame(packets.udp(packets.IP_A, packets.IP_B, 1, 1, src=C, dst=B)))

    after = kernel_counters(columns)
    assert after["decided_normal"] - before.get("decided_normal", 0) == count + 1
    assert after.get("miss", 0) == before.get("miss", 0)
    assert after["not_told"] - before.get("not_told", 0) >= count - fits - 1
    assert after["not_learned"] - before.get("not_learned", 0) == 1
    for _ in range(count):  # 16 at a time and more
        column.datapath.poll()
    left = column.left()
    assert sum(map(len, left.values())) == 2 * (count + 1)  # flooded, each of them
    in_one_go(bridge.counting())
    assert bridge.tables.first.matched == count + 1
    assert _sent(column, C, A, 1) == [2, 3]  # and then it is learned
    assert _sent(column, A, C, 2) == [1]


def test_what_was_learned_by_flows_that_have_changed_before_it_was_told_is_forgotten(
    columns: dict[str, Standing],
) -> None:
    column = kernel_of(columns)
    bridge = put_a_bridge_on(column, [NORMALLY], NO_GROUPS)
    bridge.connect(1, Kind.CONTROLLER, OFP13)
    tables = bridge.megaflows.tables
    assert tables is not None
    tables.finish(lambda: 1.0)
    column.left()

    column.send(PortNo(1), Frame(packets.vlan(packets.udp(packets.IP_A, packets.IP_B, 5000, 6000, src=A, dst=B), 7)))
    drops = flow_mod(Flow(ANY, OpenFlowPriority(9), ()))
    bridge.receive(1, [Envelope(OFP13, 1, drops)])
    column.datapath.poll()
    bridge.receive(1, [Envelope(OFP13, 2, flow_mod(Flow(ANY, OpenFlowPriority(9), ()), is_added=False))])
    tables.finish(lambda: 1.0)
    column.left()

    assert not bridge.fdb.entries()
    column.arrive(PortNo(2), Frame(packets.vlan(packets.udp(packets.IP_A, packets.IP_B, 5000, 6000, src=B, dst=A), 7)))
    assert [int(port) for port, frames in column.left().items() if frames] == [1, 3]


def _host(at: int) -> bytes:
    return bytes((2, 0, 0, 0, 0x0B, at))
