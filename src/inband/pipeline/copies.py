"""Frames of in-band control that come round: what a switch has sent on it does not send on a second time.

After a failure the places that switches remember can form a ring, and where one of them floods what others know, copies
come back to those. A frame that goes round meets first a switch where it has been before, and comes to that by another
port than at first. So a frame that came by one port, and was sent on, is dropped when it comes by another one a moment
later. What comes again by the same port was sent again.

Three things show that it was sent on:

- its digest, if it was decided here alone;
- that a cached decision, which may be gone by now, has sent on a packet between the same two stations, by another port,
  within CACHED_S: a cache remembers no frames, so one that was on its way when places changed is told by that. Where
  neighbours of the network's key say where stations are, ways there and back differ, and that shows nothing: there
  distances have no rings;
- that it is from LOCAL.

Nothing is heard from a station to which places form a ring, so they would stay. Who sees frames for it come round for a
while forgets its own place for it; then frames are flooded, and its answer shows where it is.

Not here: what is flooded to a group (``storm``), and data.
"""

from __future__ import annotations

from inband.flow.fields import FIELDS
from inband.flow.ports import LOCAL
from inband.packet.tags import pop_vlan
from inband.pipeline.context import XlateContext
from inband.pipeline.fdb import FdbKey
from inband.pipeline.storm import WINDOW_S
from inband.vocabulary.numbers import ETH_VLAN, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION

# Longer than a frame takes around a ring of ten links, and shorter than it takes until an answer that was lost with a
# link is given once more, to the next question (``fabric``): by then it may come by another port.
CLAIM_S = CACHED_S = 0.02
# In a network whose answers take less, what a cache has sent on is not on its way for so many times as long: an answer
# is the way to a station and back, with a margin, and a ring that a frame goes round is hardly longer than that.
ROUNDS = 4

_ARP_OP, _ICMPV6_TYPE, _ETH_SRC = FIELDS["arp_op"], FIELDS["icmpv6_type"], FIELDS["eth_src"]
_ADDRESSES = 12  # bytes of both MAC addresses, before a tag


def was_flooded(ctx: XlateContext, vlan: int) -> bool:
    """Whether in-band control flooded this frame, which came in this VLAN, a moment ago."""
    return ctx.switch.storm_guard.has_flooded(as_sent(ctx, vlan), ctx.now)


def came_round(ctx: XlateContext, source: FdbKey | None, destination: FdbKey) -> bool:
    """Whether in-band control has sent on this frame already; if not, that it is about to is noted."""
    data, sent_on = as_sent(ctx, destination.vlan), ctx.switch.sent_on
    window_s = CLAIM_S if _is_claim(ctx) else WINDOW_S
    is_ours, was_sent_on = _is_ours(ctx), sent_on.came_by_another(data, ctx.in_port, ctx.now, window_s)
    if is_ours or was_sent_on or (source is not None and _was_sent_by_cache(ctx, source, destination)):
        ctx.packet.cacheable = False
        ctx.drop("the same frame came by another port, and was sent on, a moment ago")
        ctx.count("came_round")
        ctx.is_copy = True
        _break_ring(ctx, source, destination)
        return True
    if ctx.trace is None:
        sent_on.remember(data, ctx.in_port, ctx.now)
    return False


def _break_ring(ctx: XlateContext, source: FdbKey | None, destination: FdbKey) -> None:
    """A neighbour sends what we have sent on: it was flooded somewhere, or places form a ring.

    A ring stays, for in it nothing is heard from the station. Then its place is forgotten here, or it is asked.
    """
    switch = ctx.switch
    if ctx.trace is not None or ctx.in_port not in switch.places.switches or destination.vlan != switch.places.vlan:
        return
    heard_at = switch.fdb.confirmed_at(destination) or 0.0
    if source is not None:
        heard_at = max(heard_at, switch.last_cached(destination, source, ctx.in_port))
    if switch.sent_on.is_ring(destination.mac, heard_at, ctx.now):
        switch.places.turn_back(destination.mac, ctx.now)


def _is_claim(ctx: XlateContext) -> bool:
    """Whether it is ARP or neighbour discovery, whose answers to several questions are the same to the bit."""
    kinds = (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT)
    return bool(_ARP_OP.get(ctx.packet.key)) or _ICMPV6_TYPE.get(ctx.packet.key) in kinds


def _is_ours(ctx: XlateContext) -> bool:
    return ctx.in_port != LOCAL and _ETH_SRC.get(ctx.packet.key) == ctx.switch.local_mac


def _was_sent_by_cache(ctx: XlateContext, source: FdbKey, destination: FdbKey) -> bool:
    if ctx.in_port in ctx.switch.places.trusted or _is_claim(ctx):  # of these no decision is cached
        return False
    age_s = ctx.now - ctx.switch.last_cached(source, destination, ctx.in_port)
    return age_s < CACHED_S and age_s < ROUNDS * ctx.switch.places.answer_times.longest_s()


def as_sent(ctx: XlateContext, vlan: int) -> bytes:
    """The frame as it would come back: what LOCAL sent has the tag of control's VLAN by then.

    Where ports are members of VLANs it may come back with another tag, or none: it is compared by its VLAN alone.
    """
    data = ctx.frame.data
    if ctx.switch.ports.memberships:
        data = pop_vlan(ctx.frame).data
    elif ctx.in_port != LOCAL or ctx.switch.control_vlan is None:
        return data
    if len(data) < _ADDRESSES:
        return data
    return data[:_ADDRESSES] + ETH_VLAN.to_bytes(2, "big") + vlan.to_bytes(2, "big") + data[_ADDRESSES:]
