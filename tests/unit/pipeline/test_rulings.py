"""What a flow says of all its packets, and which flows say too little for that."""

from __future__ import annotations

import pytest

from inband.bridge.fail_mode_flows import STANDALONE, STANDALONE_PRIORITY
from inband.control.letters import LETTERS
from inband.flow.actions import (
    Action,
    ApplyActions,
    ClearActions,
    DatapathAction,
    DecNwTtl,
    GotoTable,
    Group,
    Instruction,
    Meter,
    MoveField,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
    WriteActions,
    WriteMetadata,
)
from inband.flow.flow import Flow
from inband.flow.groups import Bucket
from inband.flow.match import ANY, Match
from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.meters import MeterBand
from inband.flow.ports import CONTROLLER, FLOOD, IN_PORT, NORMAL, PortNo
from inband.flow.priority import OpenFlowPriority, Priority
from inband.pipeline.fdb import Fdb
from inband.pipeline.mirrors import Mirror
from inband.pipeline.ports import PortTable, SwitchPort
from inband.pipeline.rulings import ASK, Decider, Ruling
from inband.pipeline.translate import Pipeline
from inband.pipeline.visits import Branch, Share, Visit
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import GroupType, MeterBandType, MeterFlags, PortConfig

P1, P2, P3 = PortNo(1), PortNo(2), PortNo(3)
PRIORITY = OpenFlowPriority(1)
NORMALLY = (ApplyActions((Output(NORMAL),)),)
TAGGED = Match.of(vlan_vid=0x1001)


def pipeline_of() -> Pipeline:
    """Ports 1 and 2, and 3, which sends nothing."""
    ports = PortTable()
    for number in (P1, P2, P3):
        config = PortConfig.NO_FWD if number == P3 else PortConfig.NONE
        ports.put(SwitchPort(number, f"p{number}", Mac(number), config))
    return Pipeline(TableSet(2), ports, Fdb())


def ruling(*instructions: Instruction, match: Match = ANY, priority: Priority = PRIORITY) -> Ruling:
    return pipeline_of().ruling_of(Flow(match, priority, instructions))


@pytest.mark.parametrize(
    ("actions", "match", "expected"),
    [
        ((), ANY, ()),
        ((Output(P2),), ANY, (Output(P2),)),
        ((Output(P2), Output(P1)), ANY, (Output(P2), Output(P1))),
        ((Output(P3),), ANY, ()),
        ((Output(PortNo(9)),), ANY, ()),
        ((Output(P1), Output(P2)), Match.of(in_port=1), (Output(P2),)),
        ((SetField("eth_dst", 5), Output(P2)), ANY, (SetField("eth_dst", 5), Output(P2))),
        ((SetField("vlan_vid", 0x1002), Output(P2)), TAGGED, (SetField("vlan_vid", 0x1002), Output(P2))),
        ((PushVlan(), Output(P2)), ANY, (PushVlan(), Output(P2))),
    ],
)
def test_flows_that_say_it_all(actions: tuple[Action, ...], match: Match, expected: tuple[DatapathAction, ...]) -> None:
    assert ruling(ApplyActions(actions), match=match) == Ruling(Decider.ACTIONS, expected)


def test_what_is_written_is_done_at_the_end() -> None:
    assert ruling(WriteActions((Output(P2),))) == Ruling(Decider.ACTIONS, (Output(P2),))


@pytest.mark.parametrize(
    "instructions",
    [
        (ApplyActions((Output(CONTROLLER),)),),
        (WriteActions((Group(9),)),),
        (ApplyActions((Resubmit(None, 1), Output(P2))),),
        (WriteActions((MoveField("tcp_dst", "tcp_src", 16), Output(P2))),),
        (WriteActions((Output(FLOOD),)),),
        (GotoTable(2),),
    ],
)
def test_flows_whose_packets_fare_differently(instructions: tuple[Instruction, ...]) -> None:
    assert ruling(*instructions) == ASK


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ((GotoTable(1),), Visit(next_table=1)),
        ((Meter(1), *NORMALLY), Visit((Meter(1), Output(NORMAL)))),
        ((ApplyActions((Output(FLOOD),)),), Visit((Output(P1), Output(P2)))),
        ((ApplyActions((DecNwTtl(), Output(P2))),), Visit((DecNwTtl(), Output(P2)))),
        ((ApplyActions((Output(IN_PORT),)),), Visit((Output(IN_PORT),))),
        ((WriteActions((Output(IN_PORT),)),), Visit(written=(Output(IN_PORT),))),
        ((ApplyActions((SetField("vlan_vid", 0x1002),)),), Visit((SetField("vlan_vid", 0x1002),))),
        ((ApplyActions((SetField("ipv4_dst", 1), Output(P3))),), Visit((SetField("ipv4_dst", 1),))),
        ((WriteActions((Output(P3), PopVlan())), GotoTable(1)), Visit(written=(None, PopVlan()), next_table=1)),
        ((GotoTable(1), ClearActions(), WriteMetadata(0xFF, 7)), Visit((), True, (), (7, 7), 1)),
        ((ApplyActions((Output(P2),)), Meter(1)), Visit((Meter(1), Output(P2)))),
        ((Meter(1), GotoTable(1)), Visit((Meter(1),), next_table=1)),
        ((Meter(2), ApplyActions((Output(P2),))), Visit((Meter(2), Output(P2)))),
        ((Meter(3), ApplyActions((Output(P2),))), Visit((Output(P2),))),
        ((ApplyActions((SetField("reg0", 1), Output(P2))),), Visit((SetField("reg0", 1), Output(P2)))),
        ((ApplyActions((MoveField("eth_dst", "reg0", 9),)),), Visit((MoveField("eth_dst", "reg0", 9),))),
    ],
)
def test_flows_whose_packets_are_followed(instructions: tuple[Instruction, ...], expected: Visit) -> None:
    made = pipeline_of()
    made.tables.meters.add(1, MeterFlags.KBPS, (MeterBand(MeterBandType.DROP, 1),), 0.0)
    made.tables.meters.add(2, MeterFlags.KBPS, (MeterBand(MeterBandType.DSCP_REMARK, 1, prec_level=1),), 0.0)

    assert made.ruling_of(Flow(ANY, PRIORITY, instructions)) == Ruling(Decider.TABLES, (), expected)


def _with_group(kind: GroupType, *buckets: Bucket) -> Pipeline:
    made = pipeline_of()
    made.tables.groups.add(1, kind, buckets, 0.0)
    return made


@pytest.mark.parametrize(
    ("kind", "buckets", "expected"),
    [
        (GroupType.ALL, [Bucket((Output(P1),)), Bucket((Output(P2),))], [(Output(P1),), (Output(P2),)]),
        (GroupType.INDIRECT, [Bucket((Output(P1), PushVlan()))], [(PushVlan(), Output(P1))]),
        (GroupType.FF, [Bucket((Output(P2),), watch_port=P1), Bucket((Output(P1),), watch_port=P2)], [(Output(P2),)]),
        (GroupType.SELECT, [Bucket((Output(P1),), 1), Bucket((Output(P2),), 0)], [(Output(P1),)]),
    ],
)
def test_of_a_group_the_buckets_that_take_every_packet_are_done_to_copies(
    kind: GroupType, buckets: list[Bucket], expected: list[tuple[Action, ...]]
) -> None:
    made = _with_group(kind, *buckets)

    ruling = made.ruling_of(Flow(ANY, PRIORITY, (ApplyActions((Group(1), Output(P2))),)))

    assert ruling.visit is not None
    assert ruling.visit.applied == (*(Branch(actions) for actions in expected), Output(P2))
    assert len(ruling.visit.counters) == 1 + len(expected)


def test_a_group_of_which_each_packet_takes_one_bucket_is_a_step_whose_buckets_are_said_apart() -> None:
    made = _with_group(GroupType.SELECT, Bucket((Output(P1),), 1), Bucket((Output(P2),), 0), Bucket((Output(P3),), 2))
    group = made.tables.groups.get(1)
    assert group is not None

    ruling = made.ruling_of(Flow(ANY, PRIORITY, (ApplyActions((Group(1), Output(P2))),)))

    assert ruling == Ruling(Decider.TABLES, (), Visit((Branch((Group(1),)), Output(P2))))
    assert ruling.visit is not None
    assert ruling.visit.groups == {1}
    shares = made.shares_of(1)
    assert shares is not None
    assert [(share.weight, share.applied) for share in shares] == [(1, (Output(P1),)), (2, ())]
    assert [share.counters for share in shares] == [(group.counter, group.buckets[at].counter) for at in (0, 2)]


def test_a_group_that_is_written_is_a_step_of_whatever_type() -> None:
    made = _with_group(GroupType.ALL, Bucket((PushVlan(), Output(P1))), Bucket((Output(P2),)))
    group = made.tables.groups.get(1)
    assert group is not None

    ruling = made.ruling_of(Flow(ANY, PRIORITY, (WriteActions((Group(1), Output(P2))),)))

    assert ruling == Ruling(Decider.TABLES, (), Visit(written=(Group(1), Output(P2))))
    assert ruling.visit is not None
    assert ruling.visit.groups == {1}
    counters = (group.counter, *(bucket.counter for bucket in group.buckets))
    assert made.shares_of(1) == (Share(1, 0, (Branch((PushVlan(), Output(P1))), Output(P2)), counters),)


def test_a_group_in_a_bucket_goes_on_with_its_copy() -> None:
    made = _with_group(GroupType.ALL, Bucket((Output(P1),)), Bucket((PushVlan(), Output(P2))))
    made.tables.groups.add(2, GroupType.INDIRECT, (Bucket((DecNwTtl(), Group(1))),), 0.0)
    made.tables.groups.add(3, GroupType.SELECT, (Bucket((Group(2),), 1), Bucket((Output(P1),), 2)), 0.0)
    made.tables.groups.add(4, GroupType.INDIRECT, (Bucket((PushVlan(), Group(3))),), 0.0)

    within, chosen = (made.ruling_of(Flow(ANY, PRIORITY, (ApplyActions((Group(at),)),))) for at in (2, 4))

    assert within.visit is not None
    assert within.visit.applied == (Branch((DecNwTtl(), Output(P1), PushVlan(), Output(P2))),)
    assert len(within.visit.counters) == 5
    assert chosen.visit is not None
    assert chosen.visit.applied == (Branch((PushVlan(), Group(3))),)
    shares = made.shares_of(3)
    assert shares is not None
    assert [len(share.counters) for share in shares] == [7, 2]


@pytest.mark.parametrize("kind", [GroupType.ALL, GroupType.SELECT])
def test_groups_that_multiply_without_end_are_asked_about_at_once(kind: GroupType) -> None:
    made = _with_group(kind, Bucket((Output(P1),), int(kind is GroupType.SELECT)))
    for number in range(2, 40):
        leads = Bucket((Group(number - 1),), int(kind is GroupType.SELECT))
        made.tables.groups.add(number, kind, (leads,) * 100, 0.0)

    for number in (5, 39):
        assert made.ruling_of(Flow(ANY, PRIORITY, (ApplyActions((Group(number),)),))) == ASK


@pytest.mark.parametrize(
    "buckets",
    [
        [Bucket((Output(CONTROLLER),), 1)],
        [Bucket((Output(P1),), 1), Bucket((Output(CONTROLLER),), 1)],
    ],
)
def test_a_group_whose_packets_fare_differently_is_asked_about(buckets: list[Bucket]) -> None:
    made = _with_group(GroupType.SELECT, *buckets)

    assert made.ruling_of(Flow(ANY, PRIORITY, (ApplyActions((Group(1),)),))) == ASK


def test_behind_a_meter_that_changes_packets_the_switch_decides() -> None:
    made = pipeline_of()
    made.tables.meters.add(2, MeterFlags.KBPS, (MeterBand(MeterBandType.DSCP_REMARK, 1, prec_level=1),), 0.0)

    assert made.ruling_of(Flow(ANY, PRIORITY, (Meter(2), GotoTable(1)))) == ASK


def test_flows_of_later_tables_go_on_with_the_packet_as_it_is_then() -> None:
    flow = Flow(ANY, PRIORITY, (ApplyActions((Output(P2),)),), 1)

    assert pipeline_of().ruling_of(flow) == Ruling(Decider.TABLES, (), Visit((Output(P2),)))


def test_normal_is_told_apart_whatever_else_its_output_says() -> None:
    assert ruling(ApplyActions((Output(NORMAL, 0),))) == Ruling(Decider.NORMAL)


def test_normal_with_settings_is_asked_about() -> None:
    with_members, with_vlan, with_mirror = pipeline_of(), pipeline_of(), pipeline_of()
    with_members.ports.memberships = {P1: VlanMembership(VlanMode.ACCESS, 1)}
    with_vlan.control_vlan = 1
    with_mirror.ports.set_mirrors((Mirror("m", P2, sources=None),))

    for flow in (Flow(ANY, PRIORITY, NORMALLY), Flow(ANY, PRIORITY, (*NORMALLY, GotoTable(1)))):
        assert [each.ruling_of(flow) for each in (with_members, with_vlan, with_mirror)] == [ASK, ASK, ASK]


def test_in_band_controls_flows_are_always_asked_about_and_a_fail_modes_are_not() -> None:
    letter = LETTERS["h"]
    hidden = Flow(ANY, letter.priority, NORMALLY, origin=letter.origin("192.0.2.1"))
    standalone = Flow(ANY, STANDALONE_PRIORITY, NORMALLY, origin=STANDALONE)

    assert pipeline_of().ruling_of(hidden) == ASK
    assert pipeline_of().ruling_of(standalone) == Ruling(Decider.NORMAL)


def test_to_ask_changes_nothing() -> None:
    pipeline = pipeline_of()

    pipeline.ruling_of(Flow(ANY, PRIORITY, (ApplyActions((Output(P2),)),)))

    assert not pipeline.fdb.has_changed
    assert not pipeline.counters
