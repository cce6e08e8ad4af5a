"""The group table by the sentences of OpenFlow 1.3.5, 6.5 and 7.3.4.2."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inband.flow.actions import Action, Group, Output
from inband.flow.groups import Bucket
from inband.flow.ports import LOCAL, PortNo
from inband.table.groups import MAX_GROUP_ID, MAX_GROUPS, GroupRefusedError, GroupTable
from inband.vocabulary.openflow import ALL_GROUPS, GroupType
from inband.vocabulary.openflow_errors import GroupModFailed

TO_1, TO_2 = Bucket((Output(PortNo(1)),)), Bucket((Output(PortNo(2)),))
WATCHED = Bucket((Output(PortNo(1)),), watch_port=PortNo(1))


def to(*groups: int) -> Bucket:
    """A bucket that hands the packet to other groups."""
    actions: tuple[Action, ...] = tuple(Group(group_id) for group_id in groups)
    return Bucket(actions)


@pytest.fixture
def groups() -> GroupTable:
    """Group 1 outputs, group 2 leads to group 1."""
    table = GroupTable()
    table.add(1, GroupType.ALL, (TO_1, TO_2), 0.0)
    table.add(2, GroupType.ALL, (to(1),), 0.0)
    return table


def refusal(command: Callable[[], object]) -> GroupModFailed:
    """The code by which a command is refused."""
    with pytest.raises(GroupRefusedError) as caught:
        command()
    return caught.value.code


def test_an_added_group_has_its_buckets_and_its_date() -> None:
    table = GroupTable()

    entry = table.add(7, GroupType.SELECT, (TO_1,), 3.0)

    assert table.get(7) is entry
    assert list(table) == [entry]
    assert (entry.type, entry.created, [bucket.bucket for bucket in entry.buckets]) == (GroupType.SELECT, 3.0, [TO_1])


def test_a_modified_group_keeps_its_date_and_counts_and_gets_new_buckets(groups: GroupTable) -> None:
    entry = groups.get(1)
    assert entry is not None
    entry.counter.credit(5, 500)
    entry.buckets[0].counter.credit(5, 500)

    groups.modify(1, GroupType.INDIRECT, (TO_2,))

    assert groups.get(1) is entry
    assert (entry.type, entry.counter.packets, entry.created) == (GroupType.INDIRECT, 5, 0.0)
    assert [(bucket.bucket, bucket.counter.packets) for bucket in entry.buckets] == [(TO_2, 0)]


def test_a_group_without_buckets_may_be(groups: GroupTable) -> None:
    groups.modify(1, GroupType.ALL, ())

    entry = groups.get(1)
    assert entry is not None
    assert entry.buckets == ()


def test_a_deleted_group_is_gone_and_can_be_added_again(groups: GroupTable) -> None:
    gone = groups.delete(2)

    assert [group.group_id for group in gone] == [2]
    assert 2 not in groups
    groups.add(2, GroupType.ALL, (TO_1,), 1.0)


def test_deleting_what_is_not_there_is_no_error(groups: GroupTable) -> None:
    assert groups.delete(99) == ()


def test_deleting_all_deletes_chained_groups_too(groups: GroupTable) -> None:
    assert [group.group_id for group in groups.delete(ALL_GROUPS)] == [1, 2]
    assert list(groups) == []
    assert groups.users(1) == 0


def test_a_group_that_another_refers_to_stays(groups: GroupTable) -> None:
    assert refusal(lambda: groups.delete(1)) is GroupModFailed.CHAINED_GROUP

    groups.modify(2, GroupType.ALL, (TO_1,))
    assert len(groups.delete(1)) == 1


def test_a_watched_group_stays(groups: GroupTable) -> None:
    groups.add(3, GroupType.FF, (Bucket((), watch_group=2),), 0.0)

    assert refusal(lambda: groups.delete(2)) is GroupModFailed.CHAINED_GROUP


def test_references_are_counted_once_for_each_group(groups: GroupTable) -> None:
    groups.add(3, GroupType.ALL, (to(1), to(1), to(1, 2)), 0.0)

    assert (groups.users(1), groups.users(2), groups.users(3)) == (2, 1, 0)


@pytest.mark.parametrize(
    ("buckets", "code"),
    [
        ((to(1),), GroupModFailed.LOOP),
        ((TO_1, to(2)), GroupModFailed.LOOP),
        ((to(9),), GroupModFailed.BAD_BUCKET),
    ],
)
def test_a_modification_that_leads_back_or_nowhere_changes_nothing(
    groups: GroupTable, buckets: tuple[Bucket, ...], code: GroupModFailed
) -> None:
    before = groups.get(1)
    assert before is not None

    assert refusal(lambda: groups.modify(1, GroupType.ALL, buckets)) is code
    assert [bucket.bucket for bucket in before.buckets] == [TO_1, TO_2]
    assert groups.users(1) == 1


def test_groups_that_watch_one_another_in_a_circle_are_a_loop() -> None:
    table = GroupTable()
    table.add(1, GroupType.FF, (WATCHED,), 0.0)
    table.add(2, GroupType.FF, (Bucket((), watch_group=1),), 0.0)

    code = refusal(lambda: table.modify(1, GroupType.FF, (Bucket((), watch_group=2),)))

    assert code is GroupModFailed.LOOP


def test_a_new_group_that_leads_to_itself_is_a_loop() -> None:
    assert refusal(lambda: GroupTable().add(1, GroupType.ALL, (to(1),), 0.0)) is GroupModFailed.LOOP


@pytest.mark.parametrize(
    ("kind", "buckets", "code"),
    [
        (GroupType.INDIRECT, (), GroupModFailed.INVALID_GROUP),
        (GroupType.INDIRECT, (TO_1, TO_2), GroupModFailed.INVALID_GROUP),
        (GroupType.ALL, (Bucket((), weight=1),), GroupModFailed.INVALID_GROUP),
        (GroupType.FF, (Bucket((), weight=1, watch_port=PortNo(1)),), GroupModFailed.INVALID_GROUP),
        (GroupType.FF, (TO_1,), GroupModFailed.INVALID_GROUP),
        (GroupType.ALL, (WATCHED,), GroupModFailed.WATCH_UNSUPPORTED),
        (GroupType.INDIRECT, (WATCHED,), GroupModFailed.WATCH_UNSUPPORTED),
        (GroupType.FF, (Bucket((), watch_group=9),), GroupModFailed.BAD_WATCH),
    ],
)
def test_a_group_that_makes_no_sense_is_refused(
    kind: GroupType, buckets: tuple[Bucket, ...], code: GroupModFailed
) -> None:
    table = GroupTable()

    assert refusal(lambda: table.add(1, kind, buckets, 0.0)) is code
    assert list(table) == []


def test_numbers_that_are_taken_or_reserved_are_refused(groups: GroupTable) -> None:
    assert refusal(lambda: groups.add(1, GroupType.ALL, (), 0.0)) is GroupModFailed.GROUP_EXISTS
    assert refusal(lambda: groups.add(MAX_GROUP_ID + 1, GroupType.ALL, (), 0.0)) is GroupModFailed.INVALID_GROUP
    assert refusal(lambda: groups.modify(9, GroupType.ALL, ())) is GroupModFailed.UNKNOWN_GROUP


def test_there_is_an_end_to_groups() -> None:
    table = GroupTable()
    for group_id in range(MAX_GROUPS):
        table.add(group_id, GroupType.ALL, (), 0.0)

    assert refusal(lambda: table.add(MAX_GROUPS, GroupType.ALL, (), 0.0)) is GroupModFailed.OUT_OF_GROUPS


def test_local_can_be_watched() -> None:
    GroupTable().add(1, GroupType.FF, (Bucket((), watch_port=LOCAL),), 0.0)


def test_buckets_are_told_apart_and_keep_their_identity(groups: GroupTable) -> None:
    one = groups.add(3, GroupType.SELECT, (TO_1, TO_1, TO_2), 0.0)
    before = [bucket.identity for bucket in one.buckets]

    groups.modify(3, GroupType.SELECT, (TO_2, TO_1))

    assert len(set(before)) == 3
    assert [bucket.identity for bucket in one.buckets] == [before[2], before[0]]
