"""What a flow says of every packet that it decides about, if it says that by itself or with those of later tables.

A datapath that has the flows themselves decides by it without asking. The actions of a flow of table 0 are run as for a
packet that has only what the flow matches, and what they depended on is held against the match: where it is within the
match, the outcome is that of all packets of the flow, and no packet needs to be followed. Other flows say what they do
in steps (``visits``); about those that cannot, the switch is asked packet by packet.

Invariant: a flow of in-band control never says it by itself: payloads, budgets and proofs count for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple

from inband.flow.actions import (
    Action,
    ApplyActions,
    ClearActions,
    DatapathAction,
    Instruction,
    Output,
    PopQueue,
    PushVlan,
    SetField,
    SetQueue,
    WriteActions,
)
from inband.flow.fields import FIELDS, FlowKey
from inband.flow.flow import Flow
from inband.flow.origin import Owner
from inband.flow.ports import LOCAL, MAX, NORMAL, PortNo, port_number
from inband.packet.frame import Frame
from inband.pipeline.actions import run_actions
from inband.pipeline.context import XlateContext
from inband.pipeline.packet_state import PacketState
from inband.pipeline.switch_state import SwitchState
from inband.pipeline.tables import run_flow
from inband.pipeline.trace import Trace
from inband.pipeline.visits import Visit, visit_of

_IN_PORT = FIELDS["in_port"]
# Of these the key of the packet as it is then is known without its bytes.
_IN_KEY = frozenset(("eth_dst", "eth_src", "vlan_vid", "vlan_pcp"))
_NO_PORT = PortNo(0)


class Decider(Enum):
    """Who says what becomes of a flow's packets."""

    SWITCH = auto()  # it is asked about each kind of packet
    ACTIONS = auto()  # the flow
    NORMAL = auto()  # what was learned, and nothing else
    TABLES = auto()  # the flow, and those of the tables that it names


class Ruling(NamedTuple):
    """What a flow says of all its packets.

    ``actions`` are those of ACTIONS, for ports other than they came from; ``visit`` is what a flow of TABLES does.
    """

    decider: Decider
    actions: tuple[DatapathAction, ...] = ()
    visit: Visit | None = None


ASK = Ruling(Decider.SWITCH)


def ruling_of(flow: Flow, switch: SwitchState) -> Ruling:
    """What a flow says. It holds until the flow, ports or the switch's settings change; the packet is no fragment."""
    if flow.origin is not None and flow.origin.owner is not Owner.FAIL_MODE:
        return ASK
    instructions = flow.present_instructions
    actions = tuple(_actions(instructions))
    if len(instructions) == len(actions) == 1 and isinstance(actions[0], Output) and actions[0].port == NORMAL:
        return Ruling(Decider.NORMAL) if is_normal_plain(switch) else ASK
    if flow.table_id == 0 and not switch.ports.mirrors and switch.control_vlan is None and all(map(_is_plain, actions)):
        ruling = _run(flow, switch)
        if ruling is not ASK:
            return ruling
    visit = visit_of(flow, switch)
    return ASK if visit is None else Ruling(Decider.TABLES, (), visit)


def is_normal_plain(switch: SwitchState) -> bool:
    """Whether NORMAL depends on nothing but ports and what was learned."""
    return not switch.ports.memberships and switch.control_vlan is None and not switch.ports.mirrors


def _run(flow: Flow, switch: SwitchState) -> Ruling:
    in_port = port_number(_IN_PORT.get(flow.match.value)) if _IN_PORT.get(flow.match.mask) else _NO_PORT
    frame = Frame(b"")
    packet = PacketState(FlowKey(flow.match.value), frame)
    ctx = XlateContext(switch, packet, in_port, frame, 0.0, trace=Trace())
    run_flow(ctx, flow, run_actions)
    is_its_own = not packet.mask & ~(flow.match.mask | _IN_PORT.mask)
    return Ruling(Decider.ACTIONS, ctx.program.finished()) if packet.cacheable and is_its_own else ASK


def _actions(instructions: Iterable[Instruction]) -> Iterable[Action | None]:
    for instruction in instructions:
        if isinstance(instruction, ApplyActions | WriteActions):
            yield from instruction.actions
        elif not isinstance(instruction, ClearActions):
            yield None  # nothing that can be told for all packets


def _is_plain(action: Action | None) -> bool:
    if isinstance(action, Output):
        return action.port == LOCAL or 0 < action.port <= MAX
    if isinstance(action, SetField):
        return action.field in _IN_KEY
    return isinstance(action, PushVlan | SetQueue | PopQueue)
