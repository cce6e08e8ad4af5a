"""Channels of controllers by all ways at once, so that no failure of one costs a frame (``protect = "duplicate"``).

The idea is that of IEC 62439-3 (HSR) and IEEE 802.1CB: a frame leaves by several ways, and of its copies the first one
goes on. Here the ways are all those between neighbours of the network's key. A switch sends a segment of a channel,
when it comes in the first time, to all of them but that which it came from, and to nobody else; where the destination
is behind a port without a neighbour, or is LOCAL, there alone. Copies that come later are known by their digest, as in
``storm``. So each segment passes each link at most once in each direction.

None of this is cached. What is more than a switch decides about so is sent by the best way alone, and cached, as
without it: a channel with much to say is fast, and as safe as others.

Not here: questions for next hops, which are flooded anyhow, and data.
"""

from __future__ import annotations

from inband.flow.flow import Flow
from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.context import XlateContext
from inband.pipeline.copies import as_sent
from inband.pipeline.outputs import send


def is_protected(ctx: XlateContext) -> bool:
    """Whether a packet is a channel's, of a rule of in-band control that applied."""
    return ctx.switch.duplicates.is_on and is_of_channel(ctx)


def is_of_channel(ctx: XlateContext) -> bool:
    """Whether a rule for a controller's TCP connection has decided."""
    if not ctx.overrides_ports or not isinstance(ctx.place, Flow):
        return False
    return ctx.place.origin is not None and ctx.place.origin.is_stream


def is_second_copy(ctx: XlateContext, vlan: int) -> bool:
    """Whether a segment went on by all ways a moment ago; then it goes no further."""
    if not ctx.switch.duplicates.guard.has_flooded(as_sent(ctx, vlan), ctx.now):
        return False
    ctx.packet.cacheable = False
    ctx.drop("a copy of this segment came before by another way")
    ctx.count("duplicate_dropped")
    ctx.is_copy = True
    return True


def send_by_all_ways(ctx: XlateContext, port: PortNo, vlan: int) -> bool:
    """Send a segment, whose destination is behind ``port``, by all ways; False: it is too much, or there is one way."""
    switch = ctx.switch
    ways = [each for each in switch.places.trusted if each != ctx.in_port]
    if port == LOCAL or port not in switch.places.trusted:
        ways = [port]
    elif port == ctx.in_port and not ways:
        return False
    if ctx.trace is None and not switch.duplicates.may_send(ctx.now):
        return False
    ctx.packet.cacheable = False
    if ctx.trace is None:
        switch.duplicates.guard.remember(as_sent(ctx, vlan), ctx.now, is_proven=True)
    ctx.note("a channel's segment: by all ways between neighbours")
    for each in ways:
        send(ctx, each)
    return True
