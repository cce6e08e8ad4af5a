"""Copies of packets for mirrors, as Open vSwitch makes them.

A copy is one more output in the translated actions, so a cached decision mirrors by itself, and without a mirror
nothing is different. What came in is copied as it came, also when nothing else becomes of it; what leaves is copied as
it leaves. In-band control's packets are copied like all others.

What is not copied: frames that never come to the flow tables (BPDUs and neighbours' hellos), and data that a port does
not take in.

Invariants: a mirror copies a packet once. Its output port gets no copy of what it sends or gets itself, and mirrors do
not see each other's copies, so no packet goes round.
"""

from __future__ import annotations

from inband.flow.actions import Clone, DatapathAction, Output
from inband.flow.fields import FIELDS, FlowKey
from inband.flow.match import VID_BITS
from inband.pipeline.context import XlateContext
from inband.pipeline.mirrors import Mirror
from inband.pipeline.outputs import output_to

_VLAN_VID = FIELDS["vlan_vid"]

Actions = tuple[DatapathAction, ...]


def with_copies(ctx: XlateContext, key: FlowKey, actions: Actions, *, arrived: bool) -> Actions:
    """A decision's actions and the mirrors' copies; ``key``: the packet as it came, ``arrived``: by a port."""
    taken: list[Output] = []
    sent = actions
    for mirror in ctx.switch.ports.mirrors:
        if ctx.in_port == mirror.output or not _is_open(ctx, mirror) or not _sees_vlan(ctx, key, mirror):
            continue
        if arrived and mirror.copies_from(ctx.in_port) and not ctx.is_data_closed:
            taken.append(output_to(mirror.output))
        elif (copied := _behind_output(ctx, sent, mirror)) is not None:
            sent = copied
        else:
            continue
        ctx.counters.append(mirror.counter)
        ctx.note(f"mirror {mirror.name}: a copy to port {mirror.output}")
    return (*taken, *sent)


def _is_open(ctx: XlateContext, mirror: Mirror) -> bool:
    port = ctx.switch.ports.get(mirror.output)
    return port is not None and port.sends_data


def _sees_vlan(ctx: XlateContext, key: FlowKey, mirror: Mirror) -> bool:
    """Whether a packet is in one of a mirror's VLANs, as it came in."""
    if not mirror.vlans:
        return True
    ctx.packet.mask |= _VLAN_VID.mask
    vid = _VLAN_VID.get(key) & VID_BITS
    return (vid if ctx.member is None else ctx.member.vlan_of(vid)) in mirror.vlans


def _behind_output(ctx: XlateContext, actions: Actions, mirror: Mirror) -> Actions | None:
    """The actions with a copy behind the first output that the mirror sees; None: it sees none."""
    for at, action in enumerate(actions):
        if isinstance(action, Clone):
            inside = _behind_output(ctx, action.actions, mirror)
            if inside is not None:
                return (*actions[:at], Clone(inside), *actions[at + 1 :])
        elif isinstance(action, Output) and _sees(ctx, action, mirror):
            return (*actions[: at + 1], output_to(mirror.output), *actions[at + 1 :])
    return None


def _sees(ctx: XlateContext, action: Output, mirror: Mirror) -> bool:
    return action.port not in ctx.switch.ports.mirror_outputs and mirror.copies_to(action.port)
