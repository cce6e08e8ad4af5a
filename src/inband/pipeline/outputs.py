"""Outputs to ports, as far as the ports' configuration lets them (OpenFlow 1.3.5, 4.5 and 7.2.1).

With a VLAN for control traffic LOCAL is a port of that VLAN, as an access port of a switch is: a flood in another VLAN
does not reach it, and packets reach it without the tag. A flow that outputs to LOCAL by its number may send what it
likes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from inband.flow.actions import Output, PopVlan, PushVlan, SetField
from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.match import VID_BITS
from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.context import XlateContext
from inband.pipeline.edits import edit

_VLAN_VID = FIELDS["vlan_vid"]
_CLOSED = "configured not to forward"

# Cached decisions hold these by the thousand, and to make one takes longer than to find it.
output_to = lru_cache(maxsize=1024)(Output)


def send(ctx: XlateContext, number: PortNo) -> None:
    """To one port."""
    if is_open(ctx, number):
        _output(ctx, number)


def is_open(ctx: XlateContext, number: PortNo) -> bool:
    """Whether a packet may leave by a port; why not is noted."""
    port = ctx.switch.ports.get(number)
    if port is None:
        ctx.drop(f"there is no port {number}")
    elif not (port.sends_data or ctx.overrides_ports):
        is_outside = number in ctx.switch.ports.outside_tree
        ctx.drop(f"port {port.name} is {'kept from forwarding by the spanning tree' if is_outside else _CLOSED}")
    else:
        return True
    return False


def flood(ctx: XlateContext, *, everywhere: bool = False) -> None:
    """To every port but the one it came from; data not to ports closed to it (``everywhere``: OFPP_ALL)."""
    sent, in_port, without_vlan = False, ctx.in_port, ctx.switch.control_vlan is None
    for number in may_leave_by(ctx, everywhere=everywhere):
        if number == in_port:
            continue
        if without_vlan:
            ctx.program.output(output_to(number))
        elif number != LOCAL or _is_in_control_vlan(ctx):
            _output(ctx, number)
        else:
            continue
        sent = True
    if not sent:
        ctx.drop("no other port takes it")


def may_leave_by(ctx: XlateContext, *, everywhere: bool = False) -> Iterable[PortNo]:
    """The ports that a flood may leave by, that which it came from among them."""
    ports = ctx.switch.ports
    ctx.has_done(len(ports))
    if ctx.overrides_ports:
        return [port.number for port in ports]
    return [port.number for port in ports if port.sends_data] if everywhere else ports.flooded


def tag_from_local(ctx: XlateContext) -> None:
    """Put a packet that LOCAL sends untagged into the VLAN of control."""
    vlan = ctx.switch.control_vlan
    if vlan is None or ctx.packet.get(_VLAN_VID) & VID_BITS:
        return
    if not ctx.packet.is_tagged:
        edit(ctx, PushVlan())
    edit(ctx, SetField("vlan_vid", VLAN_PRESENT | vlan))
    ctx.note(f"from LOCAL: in VLAN {vlan}")


def _is_in_control_vlan(ctx: XlateContext) -> bool:
    return ctx.packet.get(_VLAN_VID) & VID_BITS == ctx.switch.control_vlan


def _output(ctx: XlateContext, number: PortNo) -> None:
    if number != LOCAL or ctx.switch.control_vlan is None or not _is_in_control_vlan(ctx):
        ctx.program.output(output_to(number))
        return
    before, program = ctx.packet.save(), ctx.program
    ctx.program = program.branch()
    edit(ctx, PopVlan())
    ctx.program.output(output_to(number))
    program.join(ctx.program)
    ctx.program = program
    ctx.packet.restore(before)
