"""Header edits: the packet's state follows them, and the datapath's program makes them where it has to.

A field that only the pipeline has (metadata, registers) is no datapath's business, and an edit that changes nothing
(no such header) is left out of the program.
"""

from __future__ import annotations

from inband.flow.actions import (
    WHOLE_PACKET,
    DecMplsTtl,
    DecNwTtl,
    HeaderAction,
    MoveField,
    PacketInReason,
    PushVlan,
    SetField,
)
from inband.flow.fields import FIELDS
from inband.pipeline.context import EDIT_WORK, XlateContext
from inband.pipeline.packet_in import send_to_controller


def edit(ctx: XlateContext, action: HeaderAction) -> None:
    """Change a header or a pipeline field."""
    ctx.has_done(EDIT_WORK)
    if ctx.packet.edit(action):
        ctx.program.edit(action)


def set_vlan(ctx: XlateContext, change: SetField) -> None:
    """Change the outermost tag; a packet without one gets one first (OpenFlow 1.0, 3.3)."""
    if not ctx.packet.is_tagged:
        edit(ctx, PushVlan())
    edit(ctx, change)


def decrement_ttl(ctx: XlateContext, action: DecNwTtl | DecMplsTtl) -> None:
    """Spend one hop; the controller gets a packet without any left (OpenFlow 1.3.5, 5.12, OFPR_INVALID_TTL)."""
    before = ctx.packet.key
    ctx.has_done(EDIT_WORK)
    if not ctx.packet.spend_ttl(action):
        send_to_controller(ctx, WHOLE_PACKET, PacketInReason.INVALID_TTL)
        ctx.list_ended = True  # and the flow's other instructions; who resubmitted goes on, as in Open vSwitch
        ctx.drop("the TTL is spent")
    elif ctx.packet.key != before:
        ctx.program.edit(action)


def move_field(ctx: XlateContext, action: MoveField) -> None:
    """Copy bits between fields: for this packet's value of the source it is setting the destination."""
    source, destination = FIELDS[action.source], FIELDS[action.destination]
    ones = (1 << action.bits) - 1
    ctx.packet.depend_on(ones << source.shift + action.source_offset & source.mask)
    value = source.get(ctx.packet.key) >> action.source_offset & ones
    offset = action.destination_offset
    edit(ctx, SetField(destination.name, value << offset, ones << offset & destination.all_ones))
