"""The group table (OpenFlow 1.3.5, 5.6 and 6.5): which groups there are, what they hold, and what they counted.

A group refers to another by a group action in a bucket or by a bucket's watch_group. Both count as a reference here,
and two rules keep them sound: no group refers to itself, however indirectly (LOOP), and a group that another refers to
stays (CHAINED_GROUP). So following references comes to an end and always finds a group there.

Invariant: a refused command has changed nothing. A modified group is the same object as before, its counters
go on, those of its buckets start anew. What this is not: it knows no flows (TableSet does) and carries out no actions
(the pipeline does); whether a bucket's actions make sense is the agent's to check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from inband.flow import ports
from inband.flow.actions import Action, Group
from inband.flow.groups import Bucket
from inband.table.changes import TableRefusedError
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import ALL_GROUPS, ANY_GROUP, GroupType
from inband.vocabulary.openflow_errors import GroupModFailed

MAX_GROUP_ID: Final = 0xFFFFFF00
"""OFPG_MAX (7.3.4.2)."""

MAX_GROUPS: Final = 65_536
"""More than any controller uses; a bound because every one of them costs memory."""


@dataclass(slots=True, eq=False)
class Counter:
    """Packets and bytes that passed somewhere. Cached decisions hold it, so it outlives what it counted for."""

    packets: int = 0
    bytes: int = 0

    def credit(self, packets: int, bytes_: int) -> None:
        """Count packets."""
        self.packets += packets
        self.bytes += bytes_


@dataclass(frozen=True, slots=True, eq=False)
class GroupBucket:
    """A bucket at work: what the controller said of it, and its counter.

    ``identity`` (32 bits) tells it from the group's other buckets by what it does. It is the same after the group was
    modified or the switch restarted, so that a choice by it can stay as it was.
    """

    bucket: Bucket
    identity: int
    counter: Counter = field(default_factory=Counter)

    def references(self) -> Iterator[int]:
        """The groups that it needs to be there."""
        if self.bucket.watch_group != ANY_GROUP:
            yield self.bucket.watch_group
        for action in self.bucket.actions:
            if isinstance(action, Group):
                yield action.group_id


@dataclass(slots=True, eq=False)
class GroupEntry:
    """One group. ``created`` is when it was added; a modification does not change that."""

    group_id: int
    type: GroupType
    buckets: tuple[GroupBucket, ...]
    created: Instant
    counter: Counter = field(default_factory=Counter)

    def references(self) -> set[int]:
        """The groups that it needs to be there."""
        return {group_id for bucket in self.buckets for group_id in bucket.references()}


class GroupRefusedError(TableRefusedError):
    """A GROUP_MOD that the group table refuses, and by which code; nothing was changed."""

    def __init__(self, code: GroupModFailed, text: str) -> None:
        super().__init__(text)
        self.code = code


class GroupTable:
    """Groups by number. Work: a command costs its own buckets and the groups it can reach by references."""

    def __init__(self) -> None:
        self._groups: dict[int, GroupEntry] = {}
        self._users: dict[int, set[int]] = {}

    def __iter__(self) -> Iterator[GroupEntry]:
        """Every group, oldest first."""
        return iter(self._groups.values())

    def __contains__(self, group_id: object) -> bool:
        return group_id in self._groups

    def get(self, group_id: int) -> GroupEntry | None:
        """A group, or None."""
        return self._groups.get(group_id)

    def users(self, group_id: int) -> int:
        """How many other groups refer to it."""
        return len(self._users.get(group_id, ()))

    def add(self, group_id: int, kind: GroupType, buckets: Iterable[Bucket], now: Instant) -> GroupEntry:
        """OFPGC_ADD (6.5). Raises GroupRefusedError."""
        if group_id > MAX_GROUP_ID:
            raise GroupRefusedError(GroupModFailed.INVALID_GROUP, f"{group_id:#x} is no number for a group")
        if group_id in self._groups:
            raise GroupRefusedError(GroupModFailed.GROUP_EXISTS, f"there is a group {group_id} already")
        entry = self._checked(group_id, kind, buckets, now)
        if len(self._groups) >= MAX_GROUPS:
            raise GroupRefusedError(GroupModFailed.OUT_OF_GROUPS, f"there are {MAX_GROUPS} groups already")
        self._groups[group_id] = entry
        self._refer(entry)
        return entry

    def modify(self, group_id: int, kind: GroupType, buckets: Iterable[Bucket]) -> GroupEntry:
        """OFPGC_MODIFY: another type and other buckets (6.5). Raises GroupRefusedError."""
        entry = self._groups.get(group_id)
        if entry is None:
            raise GroupRefusedError(GroupModFailed.UNKNOWN_GROUP, f"there is no group {group_id}")
        changed = self._checked(group_id, kind, buckets, entry.created)
        self._refer_no_more(entry)
        entry.type, entry.buckets = changed.type, changed.buckets
        self._refer(entry)
        return entry

    def meant_by_delete(self, group_id: int) -> tuple[GroupEntry, ...]:
        """The groups that ``delete`` would remove. Raises GroupRefusedError as it does."""
        if group_id == ALL_GROUPS:
            return tuple(self._groups.values())
        if self.users(group_id):
            raise GroupRefusedError(GroupModFailed.CHAINED_GROUP, f"another group refers to group {group_id}")
        entry = self._groups.get(group_id)
        return () if entry is None else (entry,)

    def delete(self, group_id: int) -> tuple[GroupEntry, ...]:
        """OFPGC_DELETE, ALL_GROUPS for all: the groups that are gone; none being there is no error (6.5).

        Raises GroupRefusedError for one that another group refers to.
        """
        gone = self.meant_by_delete(group_id)
        if group_id == ALL_GROUPS:
            self._groups.clear()
            self._users.clear()
        else:
            for entry in gone:
                del self._groups[entry.group_id]
                self._refer_no_more(entry)
        return gone

    # --- inside ------------------------------------------------------------------------------------------------

    def _checked(self, group_id: int, kind: GroupType, buckets: Iterable[Bucket], now: Instant) -> GroupEntry:
        entry = GroupEntry(group_id, kind, _at_work(buckets), now)
        _check_buckets(entry)
        references = entry.references()
        if self._leads_to(group_id, references):
            raise GroupRefusedError(GroupModFailed.LOOP, f"group {group_id} would lead back to itself")
        for bucket in entry.buckets:
            watched = bucket.bucket.watch_group
            if watched != ANY_GROUP and watched not in self._groups:
                raise GroupRefusedError(GroupModFailed.BAD_WATCH, f"there is no group {watched} to watch")
        if not all(other in self._groups for other in references):
            raise GroupRefusedError(GroupModFailed.BAD_BUCKET, f"group {group_id} names a group that is not there")
        return entry

    def _leads_to(self, group_id: int, references: set[int]) -> bool:
        """Whether following references from these groups comes to ``group_id``.

        Where no group refers to it, as in every ADD, only it could itself.
        """
        if group_id not in self._users:
            return group_id in references
        seen: set[int] = set()
        to_visit = list(references)
        while to_visit:
            current = to_visit.pop()
            if current == group_id:
                return True
            entry = self._groups.get(current)
            if current not in seen and entry is not None:
                seen.add(current)
                to_visit.extend(entry.references())
        return False

    def _refer(self, entry: GroupEntry) -> None:
        for other in entry.references():
            self._users.setdefault(other, set()).add(entry.group_id)

    def _refer_no_more(self, entry: GroupEntry) -> None:
        for other in entry.references():
            self._users[other].discard(entry.group_id)
            if not self._users[other]:
                del self._users[other]


def _at_work(buckets: Iterable[Bucket]) -> tuple[GroupBucket, ...]:
    seen: dict[tuple[Action, ...], int] = {}
    entries = []
    for bucket in buckets:
        copies = seen[bucket.actions] = seen.get(bucket.actions, 0) + 1
        entries.append(GroupBucket(bucket, crc32(f"{copies} {bucket.actions!r}".encode())))
    return tuple(entries)


def _check_buckets(group: GroupEntry) -> None:
    """What each type asks of its buckets (5.6.1 and 7.3.4.2)."""
    if group.type is GroupType.INDIRECT and len(group.buckets) != 1:
        raise GroupRefusedError(GroupModFailed.INVALID_GROUP, "an indirect group has one bucket")
    for each in group.buckets:
        bucket = each.bucket
        watches = (bucket.watch_port, bucket.watch_group) != (ports.ANY, ANY_GROUP)
        if bucket.weight and group.type is not GroupType.SELECT:
            raise GroupRefusedError(GroupModFailed.INVALID_GROUP, "only buckets of select groups have weights")
        if watches and group.type in (GroupType.ALL, GroupType.INDIRECT):
            raise GroupRefusedError(GroupModFailed.WATCH_UNSUPPORTED, "all and indirect groups use every bucket")
        if not watches and group.type is GroupType.FF:
            raise GroupRefusedError(GroupModFailed.INVALID_GROUP, "a fast failover bucket watches a port or a group")
