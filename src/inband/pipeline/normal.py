"""NORMAL: where a learning switch sends a packet (OpenFlow 1.3.5, 4.5; IEEE 802.1Q, 8.6), and what it learns from it.

VLAN-aware: addresses are learned per VLAN, and a port carries every VLAN unless it is a member of some (``members``).
``decide`` only looks; ``forward_normally`` learns, applies port configuration and guards against storms, which differ
between data and control traffic.

The local MAC address is known without learning: it is on LOCAL. Otherwise a host that sends with that address as its
source could draw the control channel to itself.

Routers that share a virtual MAC address (VRRP, RFC 5798; HSRP) may never send from it: their ARP comes from a physical
one, and names the other inside. What a remote or next hop names is learned too, or all packets to it would be flooded
to every host for ever.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.flow import Flow
from inband.flow.membership import VlanMembership
from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.budget import Kind
from inband.pipeline.context import XlateContext
from inband.pipeline.copies import as_sent, came_round
from inband.pipeline.duplicates import is_of_channel, is_protected, is_second_copy, send_by_all_ways
from inband.pipeline.fdb import MOVE_HOLD_S, FdbKey, Learned
from inband.pipeline.members import send_in_vlan
from inband.pipeline.outputs import flood, is_open, may_leave_by, send
from inband.pipeline.packet_state import PacketState
from inband.pipeline.stations import Station
from inband.pipeline.switch_state import SwitchState
from inband.vocabulary.addresses import BRIDGE_GROUP, Mac
from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import ARP_REPLY, ARP_REQUEST, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION

# Nor for so long to a port outside the spanning tree, by which data does not go: the tree knows another way there. The
# same holds for all packets on ports in a loop: what comes from there may have come round.
TREE_HOLD_S = 30.0

_LOOKED_AT = FIELDS["eth_src"].mask | FIELDS["eth_dst"].mask | FIELDS["vlan_vid"].mask
# This runs for each packet that no cache knows: precomputed shifts and masks save a third of it.
_ETH_SRC, _ETH_DST, _VLAN_VID = (FIELDS[name].shift for name in ("eth_src", "eth_dst", "vlan_vid"))
_MAC_BITS, _VID_BITS = FIELDS["eth_src"].all_ones, FIELDS["vlan_vid"].all_ones & ~VLAN_PRESENT
_GROUP_BIT = 1 << 40
_SOURCE, _DESTINATION = FIELDS["eth_src"], FIELDS["eth_dst"]
_ARP_OP, _ICMPV6_TYPE = FIELDS["arp_op"], FIELDS["icmpv6_type"]
# By operation of ARP and type of ICMPv6, one of them 0: the field in which the sender names its MAC address.
_NAMED = {
    (ARP_REQUEST, 0): FIELDS["arp_sha"],
    (ARP_REPLY, 0): FIELDS["arp_sha"],
    (0, NEIGHBOUR_SOLICITATION): FIELDS["ipv6_nd_sll"],
    (0, NEIGHBOUR_ADVERTISEMENT): FIELDS["ipv6_nd_tll"],
}


_TURNS_BACK = "the destination is on the port it came from"
_WHY_FLOODED = "the destination is unknown or a group: flooded"
_WHY_FLOODED_BY_TREE = "the destination was heard outside the spanning tree: flooded"


class NormalDecision(NamedTuple):
    """Exactly one of: ``port`` (the destination's), ``floods``, or ``drop_reason``.

    ``source`` is the FDB key to learn, None where there is none to learn. ``vlan`` is the packet's, 0 for none.
    """

    source: FdbKey | None = None
    destination: FdbKey | None = None
    port: PortNo | None = None
    floods: bool = False
    drop_reason: str | None = None
    vlan: int = 0


def decide(
    packet: PacketState, in_port: PortNo, switch: SwitchState, now: Instant, member: VlanMembership | None = None
) -> NormalDecision:
    """Where a packet that came in on ``in_port`` goes; it depends on VLAN and both addresses.

    ``member`` says in which VLANs the port is, None: it carries all.
    """
    packet.depend_on(_LOOKED_AT)
    key, fdb, local_mac = packet.key, switch.fdb, switch.local_mac
    vlan, to, sender = key >> _VLAN_VID & _VID_BITS, key >> _ETH_DST & _MAC_BITS, key >> _ETH_SRC & _MAC_BITS
    if to & ~0xF == BRIDGE_GROUP:
        return NormalDecision(drop_reason="reserved multicast stays on its link")
    if member is not None:
        vid, in_vlan = vlan, member.vlan_of(vlan)
        if in_vlan is None:
            return NormalDecision(drop_reason=f"port {in_port} {member.why_dropped(vid)}")
        vlan = in_vlan
    source = None if sender & _GROUP_BIT or sender == local_mac else fdb.key(vlan, sender)
    if to & _GROUP_BIT:
        return NormalDecision(source, None, floods=True, vlan=vlan)
    destination = fdb.key(vlan, to)
    is_local = to == local_mac and switch.control_vlan in (None, vlan)
    port = LOCAL if is_local else fdb.lookup(destination, now)
    if port is None:
        return NormalDecision(source, destination, floods=True, vlan=vlan)
    if port == in_port:
        return NormalDecision(source, destination, drop_reason=_TURNS_BACK)
    return NormalDecision(source, destination, port, False, None, vlan)


def forward_normally(ctx: XlateContext) -> None:
    """Carry NORMAL out: learn the source, then send to the destination's port or flood."""
    if ctx.only_local:
        _serve_local(ctx)
        return
    if ctx.in_port in ctx.switch.ports.mirror_outputs and not ctx.overrides_ports:
        ctx.drop(f"port {ctx.in_port} is for the copies of a mirror")
        return
    decision = decide(ctx.packet, ctx.in_port, ctx.switch, ctx.now, ctx.member)
    if not _send_protected(ctx, decision):
        _forward(ctx, _turn_back(ctx, decision))


def _forward(ctx: XlateContext, decision: NormalDecision) -> None:
    if decision.floods and _waits(ctx, decision.destination):
        return
    was_looked_up = _depend_on(ctx, decision)
    if ctx.overrides_ports and not _may_pass(ctx, decision):
        return
    if decision.floods and ctx.in_port in ctx.switch.loops.left and not ctx.overrides_ports and _is_over_limit(ctx):
        return
    # An address that actions wrote says nothing of where its host is; a flow must not move the gateway so.
    if decision.source is not None and not ctx.packet.written & _SOURCE.mask:
        if was_looked_up and ctx.switch.fdb.lookup(decision.source, ctx.now) != ctx.in_port:
            ctx.packet.cacheable = False  # what it teaches makes another decision of the next packet
        _learn(ctx, decision.source)
        if _shows_place(ctx):
            _learn_named(ctx, decision.source)
    if decision.drop_reason is not None:
        ctx.drop(decision.drop_reason)
    elif decision.port is not None and (ctx.overrides_ports or decision.port not in ctx.switch.ports.outside_tree):
        if ctx.trace is not None:  # each packet passes here, and the words take longer than the decision
            ctx.note(f"{decision.destination.mac if decision.destination else ''} is on port {decision.port}")
        ctx.unicast_port = decision.port
        if not ctx.switch.ports.memberships:
            send(ctx, decision.port)
        else:
            _send_to_member(ctx, decision.port, decision.vlan)
    else:
        if ctx.trace is not None:
            ctx.note(_WHY_FLOODED if decision.floods else _WHY_FLOODED_BY_TREE)
        if not ctx.switch.ports.memberships:
            flood(ctx)
        else:
            _flood_to_members(ctx, decision.vlan)
        if ctx.overrides_ports and decision.destination is not None:
            ctx.lost = decision.destination.mac


def _waits(ctx: XlateContext, destination: FdbKey | None) -> bool:
    """Whether a channel's segment is kept until neighbours have told of a way to where it goes (``waiting``)."""
    if destination is None or not ctx.switch.waiting.expects(destination.mac, ctx.now):
        return False
    if not is_of_channel(ctx) or ctx.switch.duplicates.is_on:
        return False
    ctx.packet.cacheable = False
    ctx.drop(f"the way to {destination.mac} has just ended, and neighbours have others: it waits for theirs")
    ctx.waits_for = destination.mac
    return True


def _depend_on(ctx: XlateContext, decision: NormalDecision) -> bool:
    """Note which entries the decision depends on; whether that of its source was looked up to send this packet."""
    if decision.destination is not None:
        ctx.fdb_keys[decision.destination] = None
    count = len(ctx.fdb_keys)
    if decision.source is not None:
        ctx.fdb_keys[decision.source] = None
    return count == len(ctx.fdb_keys)


def _send_protected(ctx: XlateContext, decision: NormalDecision) -> bool:
    """Send a channel's segment by all ways; False: it is to be sent as others are."""
    if not is_protected(ctx):
        return False
    destination, port = decision.destination, decision.port
    if decision.drop_reason == _TURNS_BACK:
        port = ctx.in_port
    if destination is None or port is None or ctx.switch.ports.memberships:
        return False
    if is_second_copy(ctx, decision.vlan):
        return True
    if not send_by_all_ways(ctx, port, destination.vlan):
        return False
    for key in (decision.source, destination):
        if key is not None:
            ctx.fdb_keys[key] = None
    if decision.source is not None and not ctx.packet.written & _SOURCE.mask:
        _learn(ctx, decision.source)
    return True


def _is_over_limit(ctx: XlateContext) -> bool:
    """Whether a port in a loop has had its share of floods; the decision to drop may be cached, the other may not."""
    may_flood = ctx.switch.loops.spend if ctx.trace is None else ctx.switch.loops.allows
    if may_flood(ctx.in_port):
        ctx.packet.cacheable = False
        return False
    ctx.drop(f"port {ctx.in_port} is in a loop outside this switch: its broadcasts are limited")
    return True


def _send_to_member(ctx: XlateContext, port: PortNo, vlan: int) -> None:
    if is_open(ctx, port) and not send_in_vlan(ctx, (port,), vlan):
        ctx.drop(f"port {port} is not in VLAN {vlan}")


def _flood_to_members(ctx: XlateContext, vlan: int) -> None:
    others = [number for number in may_leave_by(ctx) if number != ctx.in_port]
    if not send_in_vlan(ctx, others, vlan):
        ctx.drop(f"no other port takes it, or is in VLAN {vlan}")


def _serve_local(ctx: XlateContext) -> None:
    """Give a packet of control to LOCAL that a port's membership keeps out; its sender is found in control's VLAN."""
    vlan = ctx.switch.control_vlan or 0
    sender = _SOURCE.get(ctx.packet.key)
    if not sender & _GROUP_BIT and sender != ctx.switch.local_mac:
        _believe(ctx, ctx.switch.fdb.key(vlan, sender))
    ctx.packet.cacheable = False  # it teaches this by each packet, and the flow table another VLAN
    ctx.note(f"port {ctx.in_port} is not in control's VLAN: for LOCAL alone")
    send(ctx, LOCAL)


def _turn_back(ctx: XlateContext, decision: NormalDecision) -> NormalDecision:
    """A neighbour sends us what we would send to it: the place is forgotten, and the frame looks for another way."""
    if decision.drop_reason != _TURNS_BACK or not ctx.overrides_ports or ctx.trace is not None:
        return decision
    places, destination = ctx.switch.places, decision.destination
    if destination is None or ctx.in_port not in places.switches:
        return decision
    ctx.packet.cacheable = False
    if destination.vlan != places.vlan or not places.turn_back(destination.mac, ctx.now):
        return decision
    return NormalDecision(decision.source, destination, floods=True, vlan=destination.vlan)


def _may_pass(ctx: XlateContext, decision: NormalDecision) -> bool:
    """Whether in-band control sends a frame on: not one that came round. What is for LOCAL ends here in any case."""
    destination = decision.destination
    if destination is not None and decision.port != LOCAL and came_round(ctx, decision.source, destination):
        return False
    return not decision.floods or _may_flood(ctx, decision)


def _may_flood(ctx: XlateContext, decision: NormalDecision) -> bool:
    """Whether in-band control floods a frame: not twice, and within the port's budget. That it does is remembered."""
    ctx.packet.cacheable = False
    guard, data = ctx.switch.storm_guard, as_sent(ctx, decision.vlan)
    if guard.has_flooded(data, ctx.now):
        ctx.drop("the same frame was flooded a moment ago")
        ctx.count("storm_guard_dropped")
        ctx.is_copy = True
        return False
    is_proven = ctx.in_port == LOCAL or (
        decision.source is not None and ctx.switch.fdb.pinned.get(decision.source) == ctx.in_port
    )
    if not is_proven and not _is_in_budget(ctx):
        ctx.drop("over the port's budget of what is flooded")
        ctx.count("flood_over_budget")
        return False
    if ctx.trace is None and not guard.remember(data, ctx.now, is_proven=is_proven):
        ctx.drop("as many frames were flooded a moment ago as can be remembered")
        ctx.count("storm_guard_full")
        return False
    return True


def _is_in_budget(ctx: XlateContext) -> bool:
    """Whether a port may have one more packet flooded; neighbour discovery has paid already."""
    if isinstance(ctx.place, Flow) and ctx.place.origin is not None and ctx.place.origin.has_budget:
        return True
    budgets = ctx.switch.budgets
    return (budgets.spend if ctx.trace is None else budgets.allows)(ctx.in_port, Kind.FLOODED, ctx.now)


def _shows_place(ctx: XlateContext) -> bool:
    if not ctx.overrides_ports or not isinstance(ctx.place, Flow) or ctx.place.origin is None:
        return False
    return ctx.place.origin.shows_place or ctx.shows_place


def _learn_named(ctx: XlateContext, source: FdbKey) -> None:
    """Learn the MAC address that a remote or next hop says to have, where its packets come from another one.

    These packets are rare, so none is cached: a cached decision would confirm the entry of its source alone.
    """
    packet = ctx.packet
    field = _NAMED[packet.get(_ARP_OP), packet.get(_ICMPV6_TYPE)]
    named = packet.get(field)
    if not named or named & _GROUP_BIT or named in (source.mac, ctx.switch.local_mac):
        return
    if ctx.in_port not in ctx.switch.ports.numbers:
        return
    packet.cacheable = False
    learn = ctx.switch.fdb.learn if ctx.trace is None else ctx.switch.fdb.would_learn
    learn(FdbKey(source.vlan, Mac(named)), ctx.in_port, ctx.now, hold_s=MOVE_HOLD_S)
    ctx.note(f"{Mac(named)}, which it says to have, is behind this port too")


def _learn(ctx: XlateContext, source: FdbKey) -> None:
    if ctx.source is not None or ctx.in_port not in ctx.switch.ports.numbers:
        return  # a packet teaches once, however often it passes NORMAL; a PACKET_OUT from no port teaches nothing
    if _believe(ctx, source):
        ctx.source = (source, ctx.in_port)


def _note_other_way(ctx: XlateContext, station: Station) -> None:
    """A neighbour sends us what comes from a station by another way than ours to it."""
    if not station.is_peer and not _DESTINATION.get(ctx.packet.key) & _GROUP_BIT and ctx.trace is None:
        ctx.switch.places.heard_by[ctx.in_port] = None
    ctx.note(f"{station.mac} is elsewhere by neighbours' word, and may send by this port, too")


def _is_search(ctx: XlateContext) -> bool:
    """Whether this is a broadcast a moment after a link died.

    Its first copy came the shortest way, while what is sent to one station goes by places that are wrong by now.
    """
    return bool(_DESTINATION.get(ctx.packet.key) & _GROUP_BIT) and ctx.switch.fdb.is_in_doubt(ctx.now)


def _believe(ctx: XlateContext, source: FdbKey) -> bool:
    """Learn where an address is, unless it was confirmed elsewhere too recently; whether that is known now."""
    learn = ctx.switch.fdb.learn if ctx.trace is None else ctx.switch.fdb.would_learn
    hold_s = MOVE_HOLD_S if ctx.overrides_ports and not _is_search(ctx) else 0.0
    if ctx.in_port in ctx.switch.loops.left or (ctx.overrides_ports and ctx.in_port in ctx.switch.ports.outside_tree):
        hold_s = TREE_HOLD_S
    learned = learn(source, ctx.in_port, ctx.now, hold_s=hold_s)
    if learned is Learned.MOVED and not ctx.overrides_ports and ctx.trace is None:
        ctx.switch.loops.moves += 1
    if learned is Learned.HELD:
        station = ctx.switch.places.owner(source.mac) if source in ctx.switch.fdb.pinned else None
        if station is not None and ctx.switch.places.is_at(station, ctx.in_port):
            _note_other_way(ctx, station)
            return False
        ctx.packet.cacheable = False
        if station is not None and ctx.trace is None:
            places = ctx.switch.places
            places.doubt(station, ctx.now)
            if _is_search(ctx) and ctx.in_port in places.switches and places.hasten(station, ctx.now):
                learn(source, ctx.in_port, ctx.now)
                return True
        ctx.note(f"{source.mac} was confirmed on another port a moment ago: not learned")
        return False
    return True
