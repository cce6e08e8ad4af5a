"""Parts of a translation by themselves: tables and groups with a runner that only takes notes, and packet-ins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from inband.flow.actions import (
    WHOLE_PACKET,
    Action,
    ApplyActions,
    ClearActions,
    DatapathAction,
    GotoTable,
    Instruction,
    Meter,
    Output,
    PacketInReason,
    SetQueue,
    ToController,
    WriteActions,
    WriteMetadata,
)
from inband.flow.groups import Bucket
from inband.flow.match import ANY
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.context import MAX_LOOKUPS, Missed, XlateContext
from inband.pipeline.groups import apply_group
from inband.pipeline.packet_in import send_to_controller
from inband.pipeline.packet_state import PacketState
from inband.pipeline.switch_state import SwitchState
from inband.pipeline.tables import receive, visit_table
from inband.testing import packets
from inband.vocabulary.openflow import NO_COOKIE, GroupType, PortConfig
from tests.unit.pipeline.scene import P1, P2, P3, Scene

WEB = packets.tcp(dst_port=80)


class Notes:
    """Runs no actions: notes lists of them, with the table and the depth they came at."""

    def __init__(self) -> None:
        self.lists: list[tuple[int, int, tuple[Action, ...]]] = []

    def run(self, ctx: XlateContext, actions: Iterable[Action]) -> None:
        self.lists.append((ctx.table_id, ctx.depth, tuple(actions)))


def context(scene: Scene, port: PortNo = P1) -> XlateContext:
    state = SwitchState(scene.tables, scene.ports, scene.fdb)
    return XlateContext(state, PacketState(parse(WEB, port), Frame(WEB)), port, Frame(WEB), 1.0)


def test_tables_hand_over_the_actions_of_each_flow_and_the_action_set_at_the_end() -> None:
    scene, notes = Scene(), Notes()
    scene.flow_of(ApplyActions((Output(P2),)), WriteActions((Output(P3),)), GotoTable(2))
    scene.flow(SetQueue(1), table=2)
    ctx = context(scene)

    receive(ctx, notes.run)

    assert notes.lists == [(0, 0, (Output(P2),)), (2, 0, (SetQueue(1),)), (2, 0, (Output(P3),))]
    assert [table_id for table_id, _ in ctx.credits] == [0, 2]


def test_every_kind_of_instruction_has_its_turn() -> None:
    instructions: tuple[Instruction, ...] = (
        *(GotoTable(1), WriteMetadata(1), WriteActions(()), ApplyActions(()), ClearActions(), Meter(1)),
    )
    assert {type(each) for each in instructions} == set(get_args(Instruction))
    scene, notes = Scene(), Notes()
    scene.flow_of(*instructions)
    ctx = context(scene)

    receive(ctx, notes.run)

    assert [table_id for table_id, _ in ctx.credits] == [0, 1]


def test_a_packet_that_a_list_of_actions_stops_goes_through_no_other_table() -> None:
    scene, lists = Scene(), []
    scene.flow_of(ApplyActions((Output(P2),)), WriteActions((Output(P3),)), GotoTable(1))
    scene.flow(Output(P3), table=1)

    def run(ctx: XlateContext, actions: Iterable[Action]) -> None:
        lists.append(tuple(actions))
        ctx.stop("enough")

    ctx = context(scene)
    receive(ctx, run)

    assert lists == [(Output(P2),)]
    assert ctx.drop_reason == "enough"


def test_a_port_that_takes_no_data_is_told_before_any_table_is_looked_at() -> None:
    scene, notes = Scene(), Notes()
    scene.flow(Output(P2))
    scene.configure(P1, PortConfig.NO_RECV)
    ctx = context(scene)

    receive(ctx, notes.run)

    assert (notes.lists, ctx.credits) == ([], [])


def test_too_many_lookups_end_the_packet_and_all_its_copies() -> None:
    scene, notes = Scene(), Notes()
    scene.flow(Output(P2))
    ctx = context(scene)
    ctx.credits += [(0, None)] * MAX_LOOKUPS

    visit_table(ctx, 0, notes.run)

    assert notes.lists == []
    assert ctx.is_exhausted


def test_a_group_hands_over_each_buckets_actions_as_a_set_on_a_copy() -> None:
    scene, notes = Scene(), Notes()
    buckets = [Bucket((Output(P2), SetQueue(1))), Bucket((Output(P3),))]
    scene.tables.groups.add(1, GroupType.ALL, buckets, 0.0)
    ctx = context(scene)

    apply_group(ctx, 1, notes.run)

    assert notes.lists == [(0, 1, (SetQueue(1), Output(P2))), (0, 1, (Output(P3),))]
    assert len(ctx.counters) == 3  # the group's and the buckets'


def test_what_stops_the_copy_of_a_bucket_does_not_stop_the_packet() -> None:
    scene = Scene()
    scene.tables.groups.add(1, GroupType.ALL, [Bucket(()), Bucket(())], 0.0)
    ctx, stopped = context(scene), []

    def run(ctx: XlateContext, _: Iterable[Action]) -> None:
        stopped.append(ctx.is_stopped)
        ctx.stop("this copy")

    apply_group(ctx, 1, run)

    assert stopped == [False, False]
    assert not ctx.is_stopped


def test_a_packet_in_says_where_it_comes_from() -> None:
    scene = Scene()
    flow = scene.flow(Output(P2), table=3, cookie=7)
    miss_flow = scene.flow(Output(P2), table=4, cookie=8, priority=0, match=ANY)
    told: list[DatapathAction] = []

    for place in (flow, miss_flow, Missed(5), None):
        ctx = context(scene)
        ctx.place = place
        send_to_controller(ctx, WHOLE_PACKET)
        told += ctx.program.finished()

    assert told == [
        ToController(PacketInReason.ACTION, WHOLE_PACKET, 3, 7),
        ToController(PacketInReason.NO_MATCH, WHOLE_PACKET, 4, 8, by_miss_flow=True),
        ToController(PacketInReason.NO_MATCH, WHOLE_PACKET, 5, NO_COOKIE),
        ToController(PacketInReason.ACTION, WHOLE_PACKET, 0, NO_COOKIE),
    ]
