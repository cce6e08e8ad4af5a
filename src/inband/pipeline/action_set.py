"""The action set that a packet carries (OpenFlow 1.3.5, 5.10): one action of each kind, run in order at the end."""

from __future__ import annotations

from inband.flow.actions import (
    Action,
    CopyTtlIn,
    CopyTtlOut,
    DecMplsTtl,
    DecNwTtl,
    Group,
    MoveField,
    Output,
    PopMpls,
    PopPbb,
    PopQueue,
    PopVlan,
    PushMpls,
    PushPbb,
    PushVlan,
    Resubmit,
    SendToController,
    SetField,
    SetMplsTtl,
    SetNwTtl,
    SetQueue,
    SetVlanPcp,
    SetVlanVid,
)

# The order of OpenFlow 1.3.5, 5.10; actions that it does not know are where they do the same as in a list.
_ORDER: tuple[type[Action], ...] = (
    CopyTtlIn,
    *(PopVlan, PopMpls, PopPbb),
    PushMpls,
    PushPbb,
    PushVlan,
    CopyTtlOut,
    *(DecMplsTtl, DecNwTtl),
    *(SetField, SetVlanVid, SetVlanPcp, SetMplsTtl, SetNwTtl, MoveField),
    *(SetQueue, PopQueue),
    SendToController,
    Group,
    *(Output, Resubmit),
)
_RANK = {kind: rank for rank, kind in enumerate(_ORDER)}


class ActionSet:
    """Actions to run when the packet leaves the last table."""

    def __init__(self) -> None:
        self._actions: dict[tuple[type[Action], str], Action] = {}

    def write(self, actions: tuple[Action, ...]) -> None:
        """Merge: an action takes the place of the one of its kind (for set-field: of its field)."""
        for action in actions:
            self._actions[type(action), action.field if isinstance(action, SetField) else ""] = action

    def in_order(self) -> tuple[Action, ...]:
        """The actions as they run; an output beside a group is ignored."""
        if not self._actions:
            return ()
        ordered = sorted(self._actions.values(), key=lambda action: _RANK[type(action)])
        if any(isinstance(action, Group) for action in ordered):
            ordered = [action for action in ordered if not isinstance(action, Output)]
        return tuple(ordered)
