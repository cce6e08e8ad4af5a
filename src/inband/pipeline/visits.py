"""What a flow does to any packet that comes to it, as steps that depend on the packet only as it is then.

A datapath that has the tables itself does these steps, one flow's after the other's, without asking. Outputs to
reserved ports are those of ports here, but NORMAL is a step where it depends on nothing but what was learned. A group
is its buckets that take every packet, each a branch. One of which each packet takes one bucket is a step, as is any
that is written into the action set, and what its buckets do is said apart (``shares_of``). What is for the controller
or in-band control is no such step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, assert_never

from inband.flow.actions import (
    INSTRUCTION_ORDER,
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
from inband.flow.flow import Flow
from inband.flow.ports import ALL, FLOOD, IN_PORT, LOCAL, MAX, NORMAL
from inband.pipeline.action_set import ActionSet
from inband.pipeline.group_choice import candidates
from inband.pipeline.outputs import output_to
from inband.pipeline.switch_state import SwitchState
from inband.table.groups import Counter, GroupBucket, GroupEntry
from inband.vocabulary.openflow import GroupType

MAX_NESTED = 4
"""Groups within one another's buckets."""
# Buckets that a step leads to. A controller that means harm has them multiply.
_MAX_BUCKETS = 2048
_STEPS = (SetField, MoveField, PushVlan, PopVlan, SetVlanVid, SetVlanPcp, SetNwTtl, DecNwTtl, SetQueue, PopQueue)
_WRITABLE = (SetField, PushVlan, PopVlan, SetNwTtl, DecNwTtl, SetQueue, PopQueue)
_RANK = {kind: rank for rank, kind in enumerate(INSTRUCTION_ORDER)}


class Branch(NamedTuple):
    """What is done to a copy of the packet."""

    applied: tuple[Step, ...]


class Visit(NamedTuple):
    """What a flow does, in this order.

    ``applied``: at once; an output to the port that the packet came from is none but to IN_PORT, which sends if the
    port does; a group has ``shares_of``.
    ``counters``: groups and buckets that each packet counts to. ``clears``: the action set.
    ``written``: into the action set; of an Output there None stands for one that sends nothing. ``metadata``: value
    and mask of what it sets. ``next_table``: where the packet goes on, None: nowhere.
    """

    applied: tuple[Step, ...] = ()
    clears: bool = False
    written: tuple[Action | None, ...] = ()
    metadata: tuple[int, int] = (0, 0)
    next_table: int | None = None
    counters: tuple[Counter, ...] = ()

    @property
    def groups(self) -> frozenset[int]:
        """The groups that are steps of it."""
        return groups_among((*self.applied, *self.written))


class Share(NamedTuple):
    """A bucket of a group of which each packet takes one (``group_choice``): what it does, and what that counts to.

    A group in it is its last step. The group is among the ``counters``.
    """

    weight: int
    identity: int
    applied: tuple[Step, ...]
    counters: tuple[Counter, ...]


Step = Action | Meter | Branch


def groups_among(steps: Iterable[Step | None]) -> frozenset[int]:
    """The groups that are such steps, or in a branch."""
    found: set[int] = set()
    for step in steps:
        if isinstance(step, Group):
            found.add(step.group_id)
        elif isinstance(step, Branch):
            found |= groups_among(step.applied)
    return frozenset(found)


def visit_of(flow: Flow, switch: SwitchState) -> Visit | None:
    """What a flow does; None where it is not said by such steps. It holds as long as a ruling does."""
    if switch.ports.mirrors or switch.control_vlan is not None:
        return None
    visit = Visit()
    for instruction in sorted(flow.present_instructions, key=lambda each: _RANK[type(each)]):
        following = _with(visit, instruction, flow, switch)
        if following is None:
            return None
        visit = following
    return visit


def _with(visit: Visit, instruction: Instruction, flow: Flow, switch: SwitchState) -> Visit | None:
    match instruction:
        case ApplyActions(actions):
            counters: list[Counter] = []
            applied = _applied(actions, switch, counters)
            if applied is None:
                return None
            return visit._replace(applied=(*visit.applied, *applied), counters=tuple(counters))
        case WriteActions(actions):
            may_write = all(_may_write(action, switch) for action in actions)
            return visit._replace(written=tuple(_written(actions, switch))) if may_write else None
        case ClearActions():
            return visit._replace(clears=True)
        case WriteMetadata(value, mask):
            return visit._replace(metadata=(value & mask, mask))
        case GotoTable(table_id):
            return visit._replace(next_table=table_id) if flow.table_id < table_id < len(switch.tables) else None
        case Meter(meter_id):
            meter = switch.tables.meters.get(meter_id)
            if meter is not None and meter.remarks and _goes_on(flow):
                return None  # a later table may look at the DSCP
            return visit if meter is None else visit._replace(applied=(instruction,))
        case _:
            assert_never(instruction)


def _goes_on(flow: Flow) -> bool:
    return any(isinstance(each, GotoTable) for each in flow.present_instructions)


def _applied(actions: Iterable[Action], switch: SwitchState, counters: list[Counter]) -> list[Step] | None:
    """The actions, with outputs to ports only, and what they count to; None: there is one that is no step."""
    applied: list[Step] = []
    groups = _Groups(switch)
    for action in actions:
        steps: Sequence[Step] | None
        steps = groups.applied(action.group_id, counters) if isinstance(action, Group) else _plain(action, switch)
        if steps is None:
            return None
        applied += steps
    return applied


def _plain(action: Action, switch: SwitchState) -> Sequence[Action] | None:
    if not isinstance(action, Output):
        return (action,) if isinstance(action, _STEPS) else None
    if action.port == FLOOD:
        return [output_to(number) for number in switch.ports.flooded]
    if action.port == ALL:
        return [output_to(port.number) for port in switch.ports if port.sends_data]
    if action.port == NORMAL:
        return None if switch.ports.memberships else (action,)
    if action.port == IN_PORT:
        return (action,)
    if not _is_numbered(action):
        return None
    return (action,) if _is_open(action, switch) else ()


def shares_of(group: GroupEntry, switch: SwitchState) -> tuple[Share, ...] | None:
    """What each bucket does of a group of which every packet takes one; None where that cannot be said.

    Of another group all that its buckets do is the only share.
    """
    return _Groups(switch).shares(group, 1)


class _Groups:
    """What groups do; for one flow, or one group, since what it leads to is bounded."""

    def __init__(self, switch: SwitchState) -> None:
        self._switch = switch
        self._left = _MAX_BUCKETS
        self._known: dict[tuple[int, int], tuple[Share, ...] | None] = {}

    def applied(self, group_id: int, counters: list[Counter]) -> list[Branch] | None:
        """A copy of the packet for each bucket, or one for the group; None where it cannot be said."""
        group = self._switch.tables.groups.get(group_id)
        if group is None:
            return []
        if self._is_chosen_from(group):
            return [Branch((Group(group_id),))] if self.shares(group, 1) is not None else None
        counters.append(group.counter)
        return self._branches(group, counters, 1)

    def may_be_written(self, group_id: int) -> bool:
        """Whether it has shares."""
        group = self._switch.tables.groups.get(group_id)
        return group is not None and self.shares(group, 1) is not None

    def shares(self, group: GroupEntry, depth: int) -> tuple[Share, ...] | None:
        """As ``shares_of``; so many groups, with this one, are within one another."""
        which = (group.group_id, depth)
        if which not in self._known:
            self._known[which] = self._shares(group, depth)
        return self._known[which]

    def _shares(self, group: GroupEntry, depth: int) -> tuple[Share, ...] | None:
        if not self._is_chosen_from(group):
            counters = [group.counter]
            branches = self._branches(group, counters, depth)
            if branches is None or groups_among(branches[:-1]):
                return None
            last = branches[-1].applied if branches else ()
            return (Share(1, 0, (*branches[:-1], *last), tuple(counters)),)
        shares = []
        for bucket in self._candidates(group):
            counters = [group.counter]
            steps = self._in_bucket(bucket, counters, depth)
            if steps is None:
                return None
            shares.append(Share(bucket.bucket.weight, bucket.identity, tuple(steps), tuple(counters)))
        return tuple(shares)

    def _candidates(self, group: GroupEntry) -> tuple[GroupBucket, ...]:
        return candidates(group, self._switch.ports, self._switch.tables.groups)

    def _is_chosen_from(self, group: GroupEntry) -> bool:
        """Whether different packets take different buckets."""
        return group.type is GroupType.SELECT and len(self._candidates(group)) > 1

    def _branches(self, group: GroupEntry, counters: list[Counter], depth: int) -> list[Branch] | None:
        branches = []
        for bucket in self._candidates(group):
            steps = self._in_bucket(bucket, counters, depth)
            if steps is None:
                return None
            branches.append(Branch(tuple(steps)))
        return branches

    def _in_bucket(self, bucket: GroupBucket, counters: list[Counter], depth: int) -> list[Step] | None:
        """A bucket's actions, on a copy that ends with them."""
        counters.append(bucket.counter)
        self._left -= 1
        if self._left < 0:
            return None
        ordered = ActionSet()
        ordered.write(bucket.bucket.actions)
        found: list[Step] = []
        for action in ordered.in_order():
            steps: Sequence[Step] | None
            if isinstance(action, Group):
                steps = self._handed_on(action.group_id, counters, depth)
            else:
                steps = _plain(action, self._switch)
            if steps is None:
                return None
            found += steps
        return found

    def _handed_on(self, group_id: int, counters: list[Counter], depth: int) -> Sequence[Step] | None:
        """What a group does as the last action of a bucket, to the same copy.

        Only its own last bucket may do more than send, for what undoes that is the end of the copy.
        """
        group = self._switch.tables.groups.get(group_id)
        if group is None or depth >= MAX_NESTED:
            return None
        if self._is_chosen_from(group):
            return (Group(group_id),) if self.shares(group, depth + 1) is not None else None
        counters.append(group.counter)
        branches = self._branches(group, counters, depth + 1)
        if branches is None or not all(isinstance(step, Output) for each in branches[:-1] for step in each.applied):
            return None
        return [step for branch in branches for step in branch.applied]


def _written(actions: Iterable[Action], switch: SwitchState) -> Iterator[Action | None]:
    for action in actions:
        yield None if isinstance(action, Output) and not _is_open(action, switch) else action


def _may_write(action: Action, switch: SwitchState) -> bool:
    if isinstance(action, Group):
        return _Groups(switch).may_be_written(action.group_id)
    if isinstance(action, Output):
        return action.port == IN_PORT or _is_numbered(action)
    return isinstance(action, _WRITABLE)


def _is_numbered(action: Output) -> bool:
    return action.port == LOCAL or 0 < action.port <= MAX


def _is_open(action: Output, switch: SwitchState) -> bool:
    if action.port == IN_PORT:
        return True  # it depends on the packet
    port = switch.ports.get(action.port)
    return port is not None and port.sends_data
