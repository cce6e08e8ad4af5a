"""What one packet may cost: a controller that means harm has actions multiply."""

from __future__ import annotations

import pytest

from inband.flow.actions import Action, ApplyActions, GotoTable, Group, Output, PushPbb, PushVlan, SetField
from inband.flow.groups import Bucket
from inband.flow.ports import ALL
from inband.pipeline.context import MAX_WORK
from inband.pipeline.trace import Note, Trace
from inband.testing import packets
from inband.vocabulary.openflow import GroupType
from tests.unit.pipeline.scene import P2, P3, Scene

WEB = packets.tcp(dst_port=80)
TOO_MUCH = "over 4,096 actions for one packet"


@pytest.mark.parametrize("action", [PushVlan(), PushPbb(), SetField("ipv4_src", 1), Output(P2)])
def test_too_many_actions_end_the_packet_in_whatever_tables_they_are(action: Action) -> None:
    scene = Scene()
    for table in range(5):
        scene.flow_of(ApplyActions((action,) * 1000), GotoTable(table + 1), table=table)
    scene.flow(Output(P3), table=5)

    trace = Trace()
    answer = scene.receive(WEB, trace=trace)

    assert trace.steps[-1] == Note(0, TOO_MUCH)
    assert Output(P3) not in answer.actions
    assert len(answer.actions) <= MAX_WORK


def test_groups_that_flood_cost_no_more_than_other_actions() -> None:
    scene = Scene()
    scene.tables.groups.add(1, GroupType.ALL, [Bucket((Output(ALL),))] * 1000, 0.0)
    scene.tables.groups.add(2, GroupType.ALL, [Bucket((Group(1),))] * 3, 0.0)
    scene.flow(Group(2))

    answer = scene.receive(WEB)

    assert len(answer.actions) <= MAX_WORK


def test_a_thousand_outputs_each_with_a_change_are_made() -> None:
    scene = Scene()
    changed = [action for number in range(800) for action in (SetField("eth_dst", number), Output(P2))]
    scene.flow(*changed)

    answer = scene.receive(WEB)

    assert answer.drop_reason is None
    assert answer.actions.count(Output(P2)) == 800
