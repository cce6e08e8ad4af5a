"""Lookups in flow tables and the instructions of the flows found (OpenFlow 1.3.5, 5.1 to 5.10).

What runs the actions that instructions hold is an argument (``RunActions``).
"""

from __future__ import annotations

from typing import assert_never

from inband.flow.actions import (
    INSTRUCTION_ORDER,
    WHOLE_PACKET,
    ApplyActions,
    ClearActions,
    GotoTable,
    Instruction,
    Meter,
    WriteActions,
    WriteMetadata,
)
from inband.flow.fields import FIELDS
from inband.flow.flow import Flow
from inband.flow.origin import About, Origin, PayloadCheck
from inband.flow.ports import IN_PORT, LOCAL, PortNo
from inband.pipeline.action_set import ActionSet
from inband.pipeline.budget import Kind
from inband.pipeline.claims import is_of_known_station, may_speak
from inband.pipeline.context import MAX_LOOKUPS, Missed, RunActions, XlateContext
from inband.pipeline.fragments import find, find_apart, is_dropped
from inband.pipeline.icmp_hook import quoted_packet
from inband.pipeline.members import is_past_membership, seen_by_control
from inband.pipeline.metering import apply_meter
from inband.pipeline.outputs import tag_from_local
from inband.pipeline.packet_in import send_to_controller
from inband.pipeline.program import Program
from inband.pipeline.trace import TableStep
from inband.table.flow_table import FlowTable, TableMiss

_INSTRUCTION_RANK = {kind: rank for rank, kind in enumerate(INSTRUCTION_ORDER)}

_METADATA, _ETH_DST = FIELDS["metadata"], FIELDS["eth_dst"]
_CLOSED = "the port is configured not to receive"
_OUTSIDE_TREE = "the spanning tree keeps the port from forwarding"


def receive(ctx: XlateContext, run: RunActions) -> None:
    """A packet received on a port: through the tables, if the port takes it or in-band control wants it."""
    if ctx.in_port == LOCAL:
        tag_from_local(ctx)
    ctx.is_data_closed = ctx.in_port in ctx.switch.ports.closed
    if ctx.member is not None and is_past_membership(ctx) and _serve_past_membership(ctx, run):
        return
    if ctx.is_data_closed and not _is_in_band(ctx):
        _go_beside(ctx, run)
        port = ctx.switch.ports.get(ctx.in_port)
        if port is not None and port.learns_data:
            _only_learn(ctx, run)
        ctx.drop(_OUTSIDE_TREE if ctx.in_port in ctx.switch.ports.outside_tree else _CLOSED)
        return
    visit_table(ctx, 0, run)
    if ctx.action_set is not None:
        run_action_set(ctx, run)


def run_flow(ctx: XlateContext, flow: Flow, run: RunActions) -> None:
    """Do what a flow of the last table says, as if it had matched."""
    _follow(ctx, flow, run)
    run_action_set(ctx, run)


def _only_learn(ctx: XlateContext, run: RunActions) -> None:
    """Let the flow tables teach what they do, and send nothing (IEEE 802.1D-2004, 7.4: the learning state)."""
    before, ctx.program = ctx.program, Program()
    visit_table(ctx, 0, run, reports_miss=False)
    ctx.program, ctx.packet.cacheable = before, False


def _serve_past_membership(ctx: XlateContext, run: RunActions) -> bool:
    """On a port that is not in control's VLAN, run the rule that matches, for LOCAL alone; whether that was all.

    What is sent to a group the flow table decides about as well, as data of the port's own VLAN.
    """
    table = ctx.switch.tables.first
    ctx.only_local = True
    flow = _look_up_by_payload(ctx, table)
    for look_up in (table.lookup_in_band, table.lookup_beside):
        if flow is None:
            flow, mattered = look_up(ctx.packet.key)
            ctx.packet.depend_on(mattered)
    served = flow is not None and _applies(ctx, flow)
    if flow is not None and served:
        _note_lookup(ctx, 0, flow)
        _follow(ctx, flow, run)
        ctx.program.leave_alone()
    ctx.only_local = False
    return served and ctx.packet.get(_ETH_DST) == ctx.switch.local_mac


def run_action_set(ctx: XlateContext, run: RunActions) -> None:
    """What tables have written, at the end, also of a packet whose TTL was spent on the way (as in Open vSwitch)."""
    ctx.list_ended = False
    if not ctx.is_stopped and ctx.action_set is not None:
        run(ctx, ctx.action_set.in_order())


def visit_table(ctx: XlateContext, first_table: int, run: RunActions, *, reports_miss: bool = True) -> None:
    """Look the packet up in a table and in those that its flows name in turn."""
    if first_table == 0 and ctx.in_band and not ctx.went_beside and ctx.switch.tables.first.beside.count:
        _go_beside(ctx, run)
        if ctx.is_copy:
            return  # the flow table has had its part of it
    table_id: int | None = first_table
    while table_id is not None and not ctx.is_stopped:
        flow = _look_up(ctx, table_id)
        if flow is not None:
            table_id = _follow(ctx, flow, run)
            continue
        if reports_miss:
            _miss(ctx, table_id)
        return


def visit_as(ctx: XlateContext, in_port: PortNo, table_id: int, run: RunActions) -> None:
    """Visit a table as if from another port: the lookup sees that port, the actions see the real one."""
    if in_port in (ctx.in_port, IN_PORT):
        visit_table(ctx, table_id, run, reports_miss=False)
        return
    before = ctx.packet.save()
    ctx.packet.set_in_port(in_port)
    flow = _look_up(ctx, table_id)
    ctx.packet.restore(before)
    if flow is None:
        return
    next_table = _follow(ctx, flow, run)
    if next_table is not None:
        visit_table(ctx, next_table, run, reports_miss=False)


def _is_in_band(ctx: XlateContext) -> bool:
    if not ctx.in_band:
        return False
    table = ctx.switch.tables.first
    if _look_up_by_payload(ctx, table) is not None:
        return True
    flow, mattered = table.lookup_in_band(seen_by_control(ctx, ctx.packet.key))
    ctx.packet.depend_on(mattered)
    return flow is not None


def _go_beside(ctx: XlateContext, run: RunActions) -> None:
    """Have a rule do its part that works beside the flow table, where there is one and no other rule decides."""
    table = ctx.switch.tables.first
    key = seen_by_control(ctx, ctx.packet.key)
    beside, mattered = table.lookup_beside(key)
    ctx.packet.depend_on(mattered)
    if beside is None or beside.origin is None:
        return
    ctx.went_beside, ctx.shows_place = True, beside.origin.shows_place
    rule, mattered = table.lookup_in_band(key)
    ctx.packet.depend_on(mattered)
    if rule is not None or not _applies(ctx, beside):
        return
    _note_lookup(ctx, 0, beside)
    _follow(ctx, beside, run)
    ctx.program.leave_alone()
    ctx.note("the flow table decides as well, as if this rule were not there")


def _look_up(ctx: XlateContext, table_id: int) -> Flow | None:
    """The flow that matches in a table; the lookup is one that each packet so decided is credited to."""
    if len(ctx.credits) >= MAX_LOOKUPS:
        ctx.give_up("over 4,096 lookups for one packet: a loop")
        return None
    tables, packet = ctx.switch.tables, ctx.packet
    if table_id == 0:  # nearly always
        table = tables.first
    elif table_id < len(tables):
        table = tables[table_id]
    else:
        ctx.note(f"there is no table {table_id}")
        return None
    flow = _look_up_by_payload(ctx, table) if ctx.in_band and table.conditional.count else None
    if flow is None:
        if ctx.member is None or not ctx.in_band:
            flow, mattered = find(table, packet.key, tables.fragments, in_band=ctx.in_band)
        else:
            flow, mattered = find_apart(table, packet.key, seen_by_control(ctx, packet.key), tables.fragments)
        packet.depend_on(mattered)
        if flow is not None and flow.origin is not None and not _applies(ctx, flow):  # hidden ones alone have one
            if ctx.is_data_closed:
                ctx.stop(_CLOSED)
                return None
            flow, mattered = find(table, packet.key, tables.fragments, in_band=False)
    ctx.credits.append((table_id, flow))  # as ``_note_lookup``, without a call: each packet passes here
    if ctx.trace is not None:
        ctx.trace.steps.append(TableStep(ctx.depth, table_id, flow))
    return flow


def _applies(ctx: XlateContext, flow: Flow) -> bool:
    """Whether a hidden flow applies to a packet: its sender may be who it says, and is within the port's budget."""
    origin = flow.origin
    if origin is None or not origin.overrides_ports:
        return True
    return may_speak(ctx, origin) and (ctx.in_port == LOCAL or not origin.has_budget or _is_within_budget(ctx, origin))


def _is_within_budget(ctx: XlateContext, origin: Origin) -> bool:
    """Whether the port's budget goes so far; each packet is decided alone, or none would count."""
    switch = ctx.switch
    own = origin.about is About.LOCAL or ctx.packet.get(_ETH_DST) == switch.local_mac
    ask = switch.budgets.spend if ctx.trace is None else switch.budgets.allows
    ctx.packet.cacheable = False
    if own:
        is_within = ask(ctx.in_port, Kind.OWN, ctx.now)
    else:
        kind = Kind.KNOWN if is_of_known_station(ctx) else Kind.OTHERS
        is_within = ask(ctx.in_port, kind, ctx.now, origin.subject)
    if is_within:
        return True
    ctx.note(f"({origin.letter}) does not apply: over the port's budget of neighbour discovery")
    ctx.count("discovery_over_budget")
    return False


def _note_lookup(ctx: XlateContext, table_id: int, flow: Flow | None) -> None:
    ctx.credits.append((table_id, flow))
    if ctx.trace is not None:
        ctx.trace.steps.append(TableStep(ctx.depth, table_id, flow))


def _look_up_by_payload(ctx: XlateContext, table: FlowTable) -> Flow | None:
    """The rule of in-band control that decides if the payload is right, where there is one and it is."""
    flow, mattered = table.lookup_conditional(seen_by_control(ctx, ctx.packet.key))
    if mattered:
        ctx.packet.depend_on(mattered)
    if flow is None or flow.origin is None or flow.origin.check is None:
        return None
    ctx.packet.cacheable = False
    if _passes(ctx, flow.origin.check):
        return flow
    ctx.note(f"({flow.origin.letter}) does not apply: {flow.origin.check.value}")
    return None


def _passes(ctx: XlateContext, check: PayloadCheck) -> bool:
    match check:
        case PayloadCheck.DNS:
            return ctx.switch.dns.lets_pass(ctx.frame.data, remember=ctx.trace is None)
        case PayloadCheck.ICMP_ERROR:
            quoted = quoted_packet(ctx.frame.data)
            # What comes first in table 0 decides about the quoted packet, so no other table is asked.
            if quoted is None:
                return False
            return ctx.switch.tables.first.lookup_in_band(seen_by_control(ctx, quoted))[0] is not None
        case _:
            assert_never(check)


def _miss(ctx: XlateContext, table_id: int) -> None:
    ctx.place = Missed(table_id)
    tables = ctx.switch.tables
    if is_dropped(ctx.packet.key, tables.fragments):
        ctx.drop("fragments are dropped, as a controller configured")
    elif table_id < len(tables) and tables[table_id].miss is TableMiss.CONTROLLER:
        send_to_controller(ctx, WHOLE_PACKET)
    else:
        ctx.drop(f"no flow in table {table_id} matches")


def _follow(ctx: XlateContext, flow: Flow, run: RunActions) -> int | None:
    """Run a flow's instructions; the table to go on in, or None."""
    outer, origin = ctx.overrides_ports, flow.origin
    if origin is not None:
        ctx.hidden = ctx.hidden or flow
    ctx.overrides_ports = origin is not None and origin.overrides_ports
    ctx.place = flow
    next_table = None
    instructions = flow.present_instructions
    for instruction in instructions if len(instructions) == 1 else sorted(instructions, key=_rank):
        next_table = _instruct(ctx, instruction, run)
        if ctx.list_ended:
            next_table = None
            break
    ctx.list_ended = False
    ctx.overrides_ports = outer
    return next_table if next_table is not None and next_table > flow.table_id else None


def _instruct(ctx: XlateContext, instruction: Instruction, run: RunActions) -> int | None:
    match instruction:
        case ApplyActions(actions):
            run(ctx, actions)
        case ClearActions():
            ctx.action_set = None
        case WriteActions(actions):
            ctx.action_set = ctx.action_set or ActionSet()
            ctx.action_set.write(actions)
        case WriteMetadata(value, mask):
            ctx.packet.set_pipeline_bits(_METADATA, value, mask)
        case GotoTable(table_id):
            return table_id
        case Meter(meter_id):
            apply_meter(ctx, meter_id)
        case _:
            assert_never(instruction)
    return None


def _rank(instruction: Instruction) -> int:
    return _INSTRUCTION_RANK[type(instruction)]
