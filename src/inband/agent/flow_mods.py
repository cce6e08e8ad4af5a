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
from inband.agent.validate import check_flow, what_is_asked
from inband.flow.flow import Flow, FlowFlags
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import FlowMod, FlowRemoved
from inband.table.changes import BadTable, Changes, Overlap, TableFull, TableRefusedError
from inband.table.references import Needed
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


def change_flows(switch: Switch, connection: Connection, request: FlowMod, now: Instant) -> None:
    """Carry out a FLOW_MOD (OpenFlow 1.3.5, 6.4 and 7.3.4.1)."""
    _check(switch, connection, request)
    try:
        changes = _apply(switch, connection, request, now)
    except TableRefusedError as refusal:
        raise RefusalError(_code(refusal), str(refusal)) from None
    if changes.added or changes.modified or changes.removed:
        switch.effects.append(FlowsChanged(changes))
    if changes.removed:
        announce_removed(switch, ((flow, FlowRemovedReason.DELETE) for flow in changes.removed), now)


def remove_users(switch: Switch, gone: Iterable[Needed], reason: FlowRemovedReason, now: Instant) -> None:
    """Remove the flows that use groups or meters which are gone, and say so."""
    flows = tuple(flow for needed in gone for flow in switch.tables.delete_users(needed).removed)
    if flows:
        switch.effects.append(FlowsChanged(Changes(removed=flows)))
        announce_removed(switch, ((flow, reason) for flow in flows), now)


def announce_removed(switch: Switch, removed: Iterable[tuple[Flow, int]], now: Instant) -> None:
    """Send FLOW_REMOVED for flows that asked for it, with (flow, OFPRR_* reason) of each, to all who want it."""
    announced = [(flow, reason) for flow, reason in removed if flow.flags & FlowFlags.SEND_FLOW_REM]
    if not announced:
        return
    # The last packets may still be counted in the datapath only.
    switch.statistics.refresh(now)
    for flow, reason in announced:
        message = _flow_removed(flow, reason, now)
        if message is None:
            continue
        for connection in switch.connections.values():
            if connection.wants_flow_removed(reason):
                connection.push(replace(message, nicira=True) if connection.is_nicira_flow_format else message)


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


def _check(switch: Switch, connection: Connection, request: FlowMod) -> None:
    if request.command not in _DELETES:
        if request.buffer_id != NO_BUFFER:
            raise RefusalError(BadRequest.BUFFER_UNKNOWN, "this switch keeps no packets")
        if request.table_id == ALL_TABLES and connection.version != OFP10:
            raise RefusalError(FlowModFailed.BAD_TABLE_ID, "only a delete may name all tables")
    check_flow(request, switch.tables, what_is_asked(connection.version))


def _apply(switch: Switch, connection: Connection, request: FlowMod, now: Instant) -> Changes:
    priority = request.priority if request.command in _STRICT else None
    if request.command in _DELETES:
        only = Filter(request.cookie, request.cookie_mask, request.out_port, request.out_group)
        return switch.tables.delete(request.table_id, request.match, priority=priority, only=only)
    if request.command is FlowModCommand.ADD:
        return _add(switch, request, now)
    if request.flags & FlowFlags.RESET_COUNTS:
        # What was counted before the reset must not arrive after it.
        switch.statistics.refresh(now)
    changes = switch.tables.modify(
        request.table_id,
        request.match,
        request.instructions,
        now,
        priority=priority,
        cookie=request.cookie,
        cookie_mask=request.cookie_mask,
        reset_counts=bool(request.flags & FlowFlags.RESET_COUNTS),
    )
    if changes == Changes() and connection.version == OFP10:
        # OpenFlow 1.0 (there 4.6): a modify that finds nothing acts like an add.
        return _add(switch, request, now)
    return changes


def _add(switch: Switch, request: FlowMod, now: Instant) -> Changes:
    table_id = 0 if request.table_id == ALL_TABLES else request.table_id
    if table_id < len(switch.tables) and switch.tables[table_id].find(request.match, request.priority):
        # The flow that is replaced hands its counters on; all of them.
        switch.statistics.refresh(now)
    flow = Flow(
        match=request.match,
        priority=request.priority,
        instructions=request.instructions,
        table_id=table_id,
        cookie=request.cookie,
        idle_timeout_s=request.idle_timeout_s,
        hard_timeout_s=request.hard_timeout_s,
        flags=request.flags,
        importance=request.importance,
        surplus=request.surplus,
    )
    return switch.tables.add(flow, now)


def _code(refusal: TableRefusedError) -> ErrorCode:
    for kind, code in _REFUSALS:
        if isinstance(refusal, kind):
            return code
    return FlowModFailed.UNKNOWN
