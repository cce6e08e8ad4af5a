"""FLOW_MOD and FLOW_REMOVED: what a controller does to the tables, and what it hears of flows that went.

Hidden flows are out of reach by construction: the tables' commands for controllers see visible flows only, and a
priority on the wire cannot name another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from inband.agent.connection import Connection
from inband.agent.effects import FlowsChanged
from inband.agent.refusal import RefusalError
from inband.agent.switch import Switch
from inband.agent.validate import check_flow
from inband.flow.flow import Flow, FlowFlags
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import FlowMod, FlowRemoved, Message
from inband.table.changes import BadTable, Changes, Overlap, TableFull, TableRefusedError
from inband.table.references import Needed
from inband.table.steps import Step, Steps
from inband.table.table_set import Filter
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import ALL_TABLES, NO_BUFFER, OFP10, FlowModCommand, FlowRemovedReason
from inband.vocabulary.openflow_errors import BadRequest, ErrorCode, FlowModFailed

_STRICT = (FlowModCommand.MODIFY_STRICT, FlowModCommand.DELETE_STRICT)
_DELETES = (FlowModCommand.DELETE, FlowModCommand.DELETE_STRICT)

_REFUSALS: tuple[tuple[type[TableRefusedError], ErrorCode], ...] = (
    (TableFull, FlowModFailed.TABLE_FULL),
    (Overlap, FlowModFailed.OVERLAP),
    (BadTable, FlowModFailed.BAD_TABLE_ID),
)


def change_flows(
    switch: Switch, connection: Connection, request: FlowMod, now: Instant
) -> Steps[Message | None] | None:
    """Carry out a FLOW_MOD (OpenFlow 1.3.5, 6.4 and 7.3.4.1), in steps where it may mean many flows."""
    command, flags = request.command, request.flags
    if command not in _DELETES:
        if request.buffer_id != NO_BUFFER:
            raise RefusalError(BadRequest.BUFFER_UNKNOWN, "this switch keeps no packets")
        if request.table_id == ALL_TABLES and connection.version != OFP10:
            raise RefusalError(FlowModFailed.BAD_TABLE_ID, "only a delete may name all tables")
    check_flow(request, switch.tables, connection.version)
    # What controllers send by the thousand; an & of flags is slow.
    if command is FlowModCommand.ADD and (flags is FlowFlags.NONE or not flags & FlowFlags.CHECK_OVERLAP):
        try:
            switch.effects.append(FlowsChanged(switch.tables.add_unchecked(_flow(request, now), now)))
        except TableRefusedError as refusal:
            raise RefusalError(_code(refusal), str(refusal)) from None
        return None
    return _change_in_steps(switch, connection, request, now)


def _change_in_steps(switch: Switch, connection: Connection, request: FlowMod, now: Instant) -> Steps[Message | None]:
    try:
        changes = yield from _apply(switch, connection, request, now)
    except TableRefusedError as refusal:
        raise RefusalError(_code(refusal), str(refusal)) from None
    yield from _announce(switch, changes, FlowRemovedReason.DELETE, now)
    return None


def _announce(switch: Switch, changes: Changes, reason: FlowRemovedReason, now: Instant) -> Steps[None]:
    """Have caches forget what changed, and tell controllers of flows that are gone."""
    if changes and not changes.bulk:
        switch.effects.append(FlowsChanged(changes))
    is_counted = False
    for flows in (changes.removed, *changes.bulk):
        gone = [(flow, reason) for flow in flows if _is_missed(flow) and flow not in switch.tables[flow.table_id]]
        if gone and not is_counted:
            yield from _last_counts(switch)
            is_counted = True
        announce_removed(switch, gone, now)
        if changes.bulk:
            yield Step.WORKED


def _last_counts(switch: Switch) -> Steps[None]:
    """Have flows that are gone know all that they have moved: caches that have forgotten them know it."""
    yield Step.EFFECTS
    if switch.statistics.owes_counts:
        yield from switch.statistics.counting()


def remove_users(switch: Switch, needed: Iterable[Needed], reason: FlowRemovedReason, now: Instant) -> Steps[None]:
    """Remove the flows that use groups or meters which are about to go, and say so."""
    changes = yield from switch.tables.delete_users(needed)
    yield from _announce(switch, changes, reason, now)


def announce_removed(switch: Switch, removed: Iterable[tuple[Flow, int]], now: Instant) -> None:
    """Send FLOW_REMOVED for flows that asked for it, with (flow, OFPRR_* reason) of each, to all who want it.

    Their last packets are counted already.
    """
    for flow, reason in removed:
        if not _is_missed(flow):
            continue
        message = _flow_removed(flow, reason, now)
        if message is None:
            continue
        for connection in switch.connections.values():
            if connection.wants_flow_removed(reason):
                connection.push(replace(message, nicira=True) if connection.is_nicira_flow_format else message)


def _is_missed(flow: Flow) -> bool:
    """Whether controllers are to hear when it is gone."""
    # Nearly all flows have no flags, and an & of flags takes longer than all else that is done for each flow here.
    return flow.flags is not FlowFlags.NONE and bool(flow.flags & FlowFlags.SEND_FLOW_REM)


def duration(since: Instant, now: Instant) -> tuple[int, int]:
    """An age as seconds and nanoseconds, never negative."""
    return divmod(max(0, round((now - since) * 1_000_000_000)), 1_000_000_000)


def _flow_removed(flow: Flow, reason: int, now: Instant) -> FlowRemoved | None:
    if not isinstance(flow.priority, OpenFlowPriority):
        return None
    seconds, nanoseconds = duration(flow.created, now)
    return FlowRemoved(
        match=flow.match,
        priority=flow.priority,
        reason=FlowRemovedReason(reason),
        cookie=flow.cookie,
        table_id=flow.table_id,
        duration_sec=seconds,
        duration_nsec=nanoseconds,
        idle_timeout_s=flow.idle_timeout_s,
        hard_timeout_s=flow.hard_timeout_s,
        packets=flow.packets,
        bytes=flow.bytes,
        surplus=flow.surplus,
    )


def _apply(switch: Switch, connection: Connection, request: FlowMod, now: Instant) -> Steps[Changes]:
    priority = request.priority if request.command in _STRICT else None
    if request.command in _DELETES:
        only = Filter(request.cookie, request.cookie_mask, request.out_port, request.out_group)
        return (yield from switch.tables.delete_in_steps(request.table_id, request.match, priority=priority, only=only))
    if request.command is FlowModCommand.ADD:
        yield from switch.tables.refuse_overlap(_flow(request, now))
        return switch.tables.add_unchecked(_flow(request, now), now)
    if request.flags & FlowFlags.RESET_COUNTS:
        # What was counted before the reset must not arrive after it.
        yield from switch.statistics.counting()
    changes = yield from switch.tables.modify_in_steps(
        request.table_id,
        request.match,
        request.instructions,
        now,
        priority=priority,
        cookie=request.cookie,
        cookie_mask=request.cookie_mask,
        reset_counts=bool(request.flags & FlowFlags.RESET_COUNTS),
    )
    if not changes and connection.version == OFP10:
        # OpenFlow 1.0 (there 4.6): a modify that finds nothing acts like an add.
        return switch.tables.add_unchecked(_flow(request, now), now)
    return changes


def _flow(request: FlowMod, now: Instant) -> Flow:
    return Flow(
        request.match,
        request.priority,
        request.instructions,
        0 if request.table_id == ALL_TABLES else request.table_id,  # of 1.0's "all" the first
        request.cookie,
        request.idle_timeout_s,
        request.hard_timeout_s,
        request.flags,
        request.importance,
        now,
        now,
        now,
        surplus=request.surplus,
    )


def _code(refusal: TableRefusedError) -> ErrorCode:
    for kind, code in _REFUSALS:
        if isinstance(refusal, kind):
            return code
    return FlowModFailed.UNKNOWN
