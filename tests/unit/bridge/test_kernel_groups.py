"""Groups of which each packet takes one bucket: when a datapath has them, and who counts."""

from __future__ import annotations

import pytest

from inband.flow.actions import ApplyActions, Group, Output
from inband.flow.flow import Flow
from inband.flow.groups import Bucket
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.vocabulary.openflow import GroupType
from tests.unit.bridge.test_kernel_tables import P1, P2, P3, Scene


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.wait(1.0)
    return made


def _select(*ports: PortNo) -> tuple[Bucket, ...]:
    return tuple(Bucket((Output(port),), 1) for port in ports)


def _name_a_group(scene: Scene) -> Flow:
    flow = Flow(Match.of(eth_dst=1), OpenFlowPriority(1), (ApplyActions((Group(1),)),))
    scene.kernel_tables.flows_changed(scene.tables.add(flow, scene.now).added)
    scene.wait(1.0)
    return flow


def test_a_groups_buckets_are_there_before_flows_that_name_it_and_count_for_it(scene: Scene) -> None:
    group = scene.tables.groups.add(1, GroupType.SELECT, _select(P1, P2), 0.0)

    flow = _name_a_group(scene)

    assert [bucket.share.applied for bucket in scene.rules.groups[1]] == [(Output(P1),), (Output(P2),)]
    scene.rules.rules[0].packets = 3
    scene.rules.groups[1][0].packets, scene.rules.groups[1][1].packets = 1, 2
    for _ in range(2):
        for _ in scene.kernel_tables.count():
            pass
    assert (flow.packets, group.counter.packets) == (3, 3)
    assert [bucket.counter.packets for bucket in group.buckets] == [1, 2]


def test_a_group_that_changes_takes_its_place_and_its_flows_stay(scene: Scene) -> None:
    group = scene.tables.groups.add(1, GroupType.SELECT, _select(P1, P2), 0.0)
    _name_a_group(scene)
    rules, last = list(scene.rules.rules), scene.rules.groups[1][0]

    scene.tables.groups.modify(1, GroupType.SELECT, _select(P2, P3))
    scene.kernel_tables.everything_changed()
    last.packets = 5
    scene.wait(1.0)

    assert [bucket.share.applied for bucket in scene.rules.groups[1]] == [(Output(P2),), ()]
    assert scene.rules.rules == rules
    assert group.counter.packets == 5
    scene.kernel_tables.everything_changed()
    before = scene.rules.groups[1]
    scene.wait(1.0)
    assert scene.rules.groups[1] is before


def test_flows_are_compiled_anew_when_their_group_has_too_many_buckets_and_when_it_has_not(scene: Scene) -> None:
    scene.tables.groups.add(1, GroupType.SELECT, _select(P1, P2), 0.0)
    _name_a_group(scene)

    for buckets, are_there in (((P1, P2, P1, P2), False), ((P2, P1), True)):
        before = list(scene.rules.rules)
        scene.tables.groups.modify(1, GroupType.SELECT, _select(*buckets))
        scene.kernel_tables.everything_changed()
        scene.wait(1.0)

        assert (1 in scene.rules.groups) is are_there
        assert scene.rules.rules != before


def test_a_group_that_is_gone_is_forgotten(scene: Scene) -> None:
    scene.tables.groups.add(1, GroupType.SELECT, _select(P1, P2), 0.0)
    flow = _name_a_group(scene)

    scene.tables.groups.delete(1)
    scene.kernel_tables.flows_changed(scene.tables.delete(0, flow.match).removed)
    scene.kernel_tables.everything_changed()
    scene.wait(1.0)

    assert not scene.rules.groups
    assert not scene.rules.rules


def test_a_group_in_anothers_bucket_comes_first_and_has_it_put_anew_when_it_can_be_said_again(scene: Scene) -> None:
    groups = scene.tables.groups
    groups.add(2, GroupType.SELECT, _select(P1, P2), 0.0)
    groups.add(1, GroupType.SELECT, (Bucket((Group(2),), 1), *_select(P1)), 0.0)
    _name_a_group(scene)

    assert list(scene.rules.groups) == [2, 1]
    for ports, are_there in (((P1, P2, P1, P2), [1]), ((P2, P1), [1, 2])):
        before = scene.rules.groups[1]
        groups.modify(2, GroupType.SELECT, _select(*ports))
        scene.kernel_tables.everything_changed()
        scene.wait(1.0)

        assert sorted(scene.rules.groups) == are_there
        assert scene.rules.groups[1] is not before


def test_a_group_that_the_kernel_refuses_is_tried_again(scene: Scene) -> None:
    scene.tables.groups.add(1, GroupType.SELECT, _select(P1, P2), 0.0)
    _name_a_group(scene)
    scene.rules.refuses_groups = True
    scene.tables.groups.modify(1, GroupType.SELECT, _select(P2, P3))
    scene.kernel_tables.everything_changed()
    scene.wait(1.0)
    assert not scene.rules.groups
    assert not scene.rules.is_valid

    scene.rules.refuses_groups = False
    scene.wait(20.0)

    assert [bucket.share.applied for bucket in scene.rules.groups[1]] == [(Output(P2),), ()]
    assert scene.rules.is_valid
