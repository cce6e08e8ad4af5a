"""VLAN membership of ports in NORMAL: how a packet leaves the ports that carry its VLAN, and what control sees of it.

Ports that get the packet as it is come first. The others get one copy that is edited once (twice for a packet with a
tag that carries a priority alone), and where nothing follows the copy is the
packet itself: what the program in the kernel can do.

In-band control sees a packet in the VLAN that it arrived in by the port's membership, so a switch behind an access port
of control's VLAN comes up. On a port that does not carry control's VLAN the rules hold for what LOCAL is to get,
and nobody else gets it; what control sends leaves such a port as if it had no membership. So no membership cuts the
switch's own channel, and no packet of another VLAN gets into control's.

Invariant: an output here depends on the packet's tag and its in_port, and on nothing else of the packet.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from inband.flow.actions import HeaderAction, PopVlan, PushVlan, SetField
from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.match import VID_BITS
from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.context import XlateContext
from inband.pipeline.outputs import output_to
from inband.pipeline.program import Program

_VLAN_VID = FIELDS["vlan_vid"]
_ETH_DST = FIELDS["eth_dst"]
_GROUP_BIT = 1 << 40
# A VLAN id that control's VLAN never has (``control-vlan`` ends before it): no rule matches a packet with it.
_NO_VLAN = 0xFFF


class Form(Enum):
    """What a packet looks like on a wire."""

    UNTAGGED = auto()
    PRIORITY = auto()  # with a tag that has no VLAN
    TAGGED = auto()


def form_at(ctx: XlateContext, number: PortNo, vlan: int, now: Form) -> Form | None:
    """How a packet of a VLAN that is ``now`` so leaves a port; None: it does not.

    What in-band control sends leaves a port that does not carry its VLAN as it would without a membership.
    """
    vlans = _membership(ctx, number)
    as_it_is = Form.TAGGED if vlan else now
    if vlans is None:
        return as_it_is
    if not vlans.carries(vlan):
        return as_it_is if ctx.overrides_ports and number != LOCAL else None
    if vlan == 0 and vlans.mode is not VlanMode.ACCESS:
        return now  # a priority alone passes a trunk, as in Open vSwitch
    return Form.TAGGED if vlans.leaves_tagged(vlan) else Form.UNTAGGED


def _membership(ctx: XlateContext, number: PortNo) -> VlanMembership | None:
    control_vlan = ctx.switch.control_vlan
    if number == LOCAL and control_vlan is not None:
        return VlanMembership(VlanMode.ACCESS, control_vlan)
    return ctx.switch.ports.memberships.get(number)


def send_in_vlan(ctx: XlateContext, numbers: Iterable[PortNo], vlan: int) -> bool:
    """Send a packet of a VLAN to those of these ports that carry it; whether there was one."""
    now = _form_now(ctx)
    ports: dict[Form, list[PortNo]] = {}
    for number in numbers:
        form = form_at(ctx, number, vlan, now)
        if form is not None:
            ports.setdefault(form, []).append(number)
    for number in ports.get(now, ()):
        ctx.program.output(output_to(number))
    if ports.keys() - {now}:
        copy = ctx.program.branch()
        for form, edits in ((Form.TAGGED, _tag(vlan, now)), (Form.UNTAGGED, (PopVlan(),))):
            if form is not now and form in ports:
                _send_edited(copy, ports[form], edits)
        ctx.program.join(copy)
    return bool(ports)


def _send_edited(copy: Program, numbers: Iterable[PortNo], edits: Iterable[HeaderAction]) -> None:
    for edit in edits:
        copy.edit(edit)
    for number in numbers:
        copy.output(output_to(number))


def _tag(vlan: int, now: Form) -> tuple[HeaderAction, ...]:
    """Edits that put a packet into a VLAN; a priority stays."""
    into = SetField("vlan_vid", VLAN_PRESENT | vlan)
    return (into,) if now is Form.PRIORITY else (PushVlan(), into)


def _form_now(ctx: XlateContext) -> Form:
    vid = ctx.packet.get(_VLAN_VID)
    if not vid & VLAN_PRESENT:
        return Form.UNTAGGED
    return Form.TAGGED if vid & VID_BITS else Form.PRIORITY


def seen_by_control(ctx: XlateContext, key: int) -> int:
    """A key of the packet as the rules of in-band control see it: in the VLAN that the port's membership says."""
    if ctx.member is None or ctx.only_local:
        return key
    ctx.packet.depend_on(_VLAN_VID.mask)
    vlan = ctx.member.vlan_of(_VLAN_VID.get(key) & VID_BITS)
    if vlan is None or not ctx.member.carries(ctx.switch.control_vlan or 0):
        vlan = _NO_VLAN
    return _VLAN_VID.put(key, VLAN_PRESENT | vlan if vlan else 0)


def is_past_membership(ctx: XlateContext) -> bool:
    """Whether the port does not carry control's VLAN, and the packet may all the same be control's for LOCAL."""
    if ctx.member is None or not ctx.in_band or ctx.member.carries(ctx.switch.control_vlan or 0):
        return False
    to = ctx.packet.get(_ETH_DST)
    return bool(to & _GROUP_BIT) or to == ctx.switch.local_mac


def configuration_key(ctx: XlateContext, key: int) -> int:
    """A key by which to tell what configures LOCAL: by the port's VLAN if that is control's, else as it came."""
    if ctx.member is None or not ctx.member.carries(ctx.switch.control_vlan or 0):
        return key
    return seen_by_control(ctx, key)
