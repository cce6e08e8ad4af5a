"""Lists of actions, run on a packet (OpenFlow 1.3.5, 5.12; Nicira's resubmit): each by the module that knows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from inband.flow.actions import (
    Action,
    DecMplsTtl,
    DecNwTtl,
    Group,
    HeaderAction,
    MoveField,
    Output,
    PopQueue,
    Resubmit,
    SendToController,
    SetField,
    SetQueue,
    SetVlanPcp,
    SetVlanVid,
)
from inband.flow.fields import VLAN_PRESENT
from inband.flow.ports import ALL, CONTROLLER, FLOOD, IN_PORT, NORMAL, TABLE, PortNo
from inband.pipeline.context import MAX_DEPTH, XlateContext
from inband.pipeline.edits import decrement_ttl, edit, move_field, set_vlan
from inband.pipeline.groups import apply_group
from inband.pipeline.normal import forward_normally
from inband.pipeline.outputs import flood, send
from inband.pipeline.packet_in import send_to_controller
from inband.pipeline.tables import run_action_set, visit_as, visit_table
from inband.pipeline.trace import ActionStep


def run_actions(ctx: XlateContext, actions: Iterable[Action]) -> None:
    """Run actions in order, until one ends the list or the packet."""
    for action in actions:
        if ctx.is_stopped or ctx.list_ended:
            return
        if ctx.trace is not None:
            ctx.trace.steps.append(ActionStep(ctx.depth, action))
        if type(action) is Output:  # nearly always, and a case takes longer to find
            ctx.has_done(1)
            if not ctx.is_stopped:
                _output(ctx, action.port, action.max_len)
        else:
            _run(ctx, action)


def run_packet_out(ctx: XlateContext, actions: Iterable[Action]) -> None:
    """A controller's PACKET_OUT, which goes through the tables if an action says so (output to TABLE)."""
    run_actions(ctx, actions)
    run_action_set(ctx, run_actions)


def _run(ctx: XlateContext, action: Action) -> None:
    match action:
        case Output(port, max_len):
            _output(ctx, port, max_len)
        case SetQueue(queue_id):
            ctx.program.set_queue(queue_id)
        case PopQueue():
            ctx.program.set_queue(None)
        case Resubmit(in_port, table_id):
            _resubmit(ctx, in_port, table_id)
        case SetVlanVid(vid):
            set_vlan(ctx, SetField("vlan_vid", vid | VLAN_PRESENT))
        case SetVlanPcp(pcp):
            set_vlan(ctx, SetField("vlan_pcp", pcp))
        case MoveField():
            move_field(ctx, action)
        case SendToController(max_len, controller_id, reason):
            send_to_controller(ctx, max_len, reason, controller_id)
        case Group(group_id):
            apply_group(ctx, group_id, run_actions)
        case DecNwTtl() | DecMplsTtl():
            decrement_ttl(ctx, action)
        case _ if isinstance(action, HeaderAction):
            edit(ctx, action)
        case _:
            assert_never(action)


def _output(ctx: XlateContext, port: PortNo, max_len: int) -> None:
    """An output to a port, numbered or reserved (OpenFlow 1.3.5, 7.2.1)."""
    if port == CONTROLLER:
        send_to_controller(ctx, max_len)
    elif port == NORMAL:
        forward_normally(ctx)
    elif port in (FLOOD, ALL):
        flood(ctx, everywhere=port == ALL)
    elif port == IN_PORT:
        send(ctx, ctx.in_port)
    elif port == TABLE:
        _submit(ctx)
    elif port == ctx.in_port:
        ctx.drop("an output to the port it came from needs IN_PORT")
    else:
        send(ctx, port)


def _submit(ctx: XlateContext) -> None:
    """Through the tables from the first (OFPP_TABLE); in a flow, where only Open vSwitch has it, and comes back."""
    if ctx.depth >= MAX_DEPTH:
        ctx.give_up("over 64 outputs to TABLE within one another: a loop")
        return
    place = ctx.place
    ctx.depth += 1
    visit_table(ctx, 0, run_actions)
    ctx.depth -= 1
    ctx.place = place


def _resubmit(ctx: XlateContext, in_port: PortNo | None, table_id: int | None) -> None:
    if ctx.depth >= MAX_DEPTH:
        ctx.give_up("over 64 resubmits within one another: a loop")
        return
    place = ctx.place
    ctx.depth += 1
    in_port = ctx.in_port if in_port is None else in_port
    visit_as(ctx, in_port, ctx.table_id if table_id is None else table_id, run_actions)
    ctx.depth -= 1
    ctx.place = place
