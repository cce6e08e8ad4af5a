"""GROUP_MOD, and what a controller reads of groups (OpenFlow 1.3.5, 6.5, 7.3.4.2, 7.3.5.9 to 7.3.5.11).

The group table decides what groups may be; here messages are checked like flows' actions, flows that lose their group
go, and the caches of decisions are told.
"""

from __future__ import annotations

from typing import Final, assert_never

from inband.agent.connection import Connection
from inband.agent.effects import SettingsChanged
from inband.agent.flow_mods import duration, remove_users
from inband.agent.long_reply import LongReply, long_reply
from inband.agent.refusal import RefusalError
from inband.agent.switch import Switch
from inband.agent.table_features import ACTIONS
from inband.agent.validate import check_bucket
from inband.flow.actions import Group
from inband.flow.ports import PortNo
from inband.openflow.messages import GroupMod, Message
from inband.openflow.multipart import (
    BucketCounter,
    GroupDesc,
    GroupDescReply,
    GroupDescRequest,
    GroupFeaturesReply,
    GroupFeaturesRequest,
    GroupStats,
    GroupStatsReply,
    GroupStatsRequest,
)
from inband.table.groups import MAX_GROUP_ID, MAX_GROUPS, GroupEntry, GroupRefusedError
from inband.table.steps import Steps
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import ALL_GROUPS, FlowRemovedReason, GroupCapabilities, GroupModCommand, GroupType
from inband.vocabulary.openflow_errors import GroupModFailed

_CAPABILITIES: Final = (
    GroupCapabilities.SELECT_WEIGHT
    | GroupCapabilities.SELECT_LIVENESS
    | GroupCapabilities.CHAINING
    | GroupCapabilities.CHAINING_CHECKS
)
_TYPES: Final = sum(1 << kind for kind in GroupType)
_ACTION_BITS: Final = sum(1 << action for action in ACTIONS)


def change_groups(switch: Switch, _: Connection, request: GroupMod, now: Instant) -> Steps[Message | None]:
    """Carry out a GROUP_MOD."""
    if request.command is not GroupModCommand.DELETE:
        _check(switch, request)
    try:
        if (yield from _apply(switch, request, now)):
            switch.effects.append(SettingsChanged())
    except GroupRefusedError as refusal:
        raise RefusalError(refusal.code, str(refusal)) from None
    return None


def _check(switch: Switch, request: GroupMod) -> None:
    """Check the buckets' actions; one that names the group itself is left to the search for loops."""
    if request.group_id > MAX_GROUP_ID:
        raise RefusalError(GroupModFailed.INVALID_GROUP, f"{request.group_id:#x} is no number for a group")
    for bucket in request.buckets:
        named = {action.group_id for action in bucket.actions if isinstance(action, Group)}
        known = {number for number in named if number in switch.tables.groups or number == request.group_id}
        check_bucket(bucket, known)


def _apply(switch: Switch, request: GroupMod, now: Instant) -> Steps[bool]:
    """Do it; whether that can change what a packet gets."""
    groups = switch.tables.groups
    match request.command:
        case GroupModCommand.ADD:
            groups.add(request.group_id, request.type, request.buckets, now)
            return False
        case GroupModCommand.MODIFY:
            groups.modify(request.group_id, request.type, request.buckets)
            return True
        case GroupModCommand.DELETE:
            going = [Group(group.group_id) for group in groups.meant_by_delete(request.group_id)]
            yield from remove_users(switch, going, FlowRemovedReason.GROUP_DELETE, now)
            return bool(groups.delete(request.group_id))
        case _:
            assert_never(request.command)


def is_watched(switch: Switch, port: PortNo) -> bool:
    """Whether a bucket of some group watches a port."""
    return any(each.bucket.watch_port == port for group in switch.tables.groups for each in group.buckets)


def group_stats(switch: Switch, _: Connection, request: GroupStatsRequest, now: Instant) -> LongReply:
    """GROUP: one group or all; one that is not there has no entry, as in Open vSwitch."""
    groups = switch.tables.groups
    wanted = list(groups) if request.group_id == ALL_GROUPS else filter(None, [groups.get(request.group_id)])
    entries = (_stats(switch, group, now) for group in wanted if groups.get(group.group_id) is group)
    return long_reply(GroupStatsReply, entries, size=_size, first=switch.statistics.counting())


def _size(entry: GroupStats) -> int:
    return 1 + len(entry.buckets)


def _described_size(entry: GroupDesc) -> int:
    return 1 + sum(1 + len(bucket.actions) for bucket in entry.buckets)


def _stats(switch: Switch, group: GroupEntry, now: Instant) -> GroupStats:
    seconds, nanoseconds = duration(group.created, now)
    tables = switch.tables
    return GroupStats(
        group_id=group.group_id,
        ref_count=tables.user_count(Group(group.group_id)) + tables.groups.users(group.group_id),
        packets=group.counter.packets,
        bytes=group.counter.bytes,
        duration_sec=seconds,
        duration_nsec=nanoseconds,
        buckets=tuple(BucketCounter(bucket.counter.packets, bucket.counter.bytes) for bucket in group.buckets),
    )


def group_descriptions(switch: Switch, _: Connection, __: GroupDescRequest, ___: Instant) -> LongReply:
    """GROUP_DESC: every group as it was made."""
    groups = switch.tables.groups
    entries = (
        GroupDesc(group.type, group.group_id, tuple(each.bucket for each in group.buckets))
        for group in list(groups)
        if groups.get(group.group_id) is group
    )
    return long_reply(GroupDescReply, entries, size=_described_size)


def group_features(_: Switch, __: Connection, ___: GroupFeaturesRequest, ____: Instant) -> GroupFeaturesReply:
    """GROUP_FEATURES: all types, each with all actions."""
    limits, actions = MAX_GROUPS, _ACTION_BITS
    return GroupFeaturesReply(_TYPES, _CAPABILITIES, (limits, limits, limits, limits), (actions,) * 4)
