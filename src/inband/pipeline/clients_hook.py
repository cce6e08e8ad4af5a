"""What configures switches behind this one reaches them, and no other host, whatever the flow tables say.

Neighbours of the network's key say which LOCALs ask for their addresses (docs/neighbours.md, "Needs"). What they ask
passes by rule (w). The answers are told here: a DHCP reply by the client's MAC address in its payload, a DHCPv6 reply
by the MAC address that it is sent to, and a router advertisement is for all of them. It leaves by the port where the
client was heard, else by the one whose neighbour told of it; an advertisement by all such ports. The flow tables decide
about it as well, and no port gets it twice.

Invariants: without clients nothing depends on this. No frame is sent on by this twice within the storm guard's moment,
so none goes round. Not here: ports that are members of VLANs get nothing by this.
"""

from __future__ import annotations

from collections.abc import Iterable

from inband.flow.actions import Clone, DatapathAction, HeaderAction, Meter, Output
from inband.flow.fields import FIELDS
from inband.flow.ports import LOCAL, PortNo
from inband.packet.dhcp import reply_chaddr
from inband.pipeline.context import XlateContext
from inband.pipeline.dhcp_hook import is_advertisement, without
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import DHCP_SERVER

_ETH_DST, _UDP_SRC = FIELDS["eth_dst"], FIELDS["udp_src"]
_GROUP_BIT = 1 << 40


def serve(ctx: XlateContext, key: int, actions: tuple[DatapathAction, ...]) -> tuple[DatapathAction, ...]:
    """The decision's actions, with outputs before them to the clients whom a packet is for."""
    clients = ctx.switch.clients
    if not clients.ports or ctx.in_port == LOCAL:
        return actions
    is_answer, mattered = clients.answers.recognise(key)
    ctx.packet.mask |= mattered
    if not is_answer:
        return actions
    ctx.packet.cacheable = False
    there = _sent_as_it_came(actions)
    ports = [port for port in dict.fromkeys(_ports_for(ctx, key)) if _may_leave(ctx, port, there)]
    if not ports or not _is_first(ctx):
        return actions
    if any(isinstance(action, Meter) for action in actions):
        for port in ports:
            actions = without(port, actions)  # what passes the meter would reach it twice
    ctx.note("it configures a switch behind this one, which gets it in any case")
    return (*(Output(port) for port in ports), *actions)


def _ports_for(ctx: XlateContext, key: int) -> Iterable[PortNo]:
    if is_advertisement(key) and _ETH_DST.get(key) & _GROUP_BIT:
        return ctx.switch.clients.ports.values() if ctx.switch.places.may_be_router(ctx.in_port) else ()
    is_four = _UDP_SRC.get(key) == DHCP_SERVER
    client = reply_chaddr(ctx.frame.data) if is_four else Mac(_ETH_DST.get(key))
    if client is None or client not in ctx.switch.clients.ports:
        return ()
    fdb = ctx.switch.fdb
    heard = fdb.lookup(fdb.key(ctx.switch.control_vlan or 0, client), ctx.now)
    return (ctx.switch.clients.ports[client] if heard is None else heard,)


def _may_leave(ctx: XlateContext, port: PortNo, there: frozenset[PortNo]) -> bool:
    if port in (ctx.in_port, LOCAL) or port in there or port not in ctx.switch.ports.numbers:
        return False
    return port not in ctx.switch.ports.memberships


def _is_first(ctx: XlateContext) -> bool:
    """Whether the frame was not sent on a moment ago; that it is now is remembered."""
    guard, data = ctx.switch.storm_guard, ctx.frame.data
    if guard.has_flooded(data, ctx.now):
        return False
    return ctx.trace is not None or guard.remember(data, ctx.now)


def _sent_as_it_came(actions: Iterable[DatapathAction]) -> frozenset[PortNo]:
    """The ports that get the frame unchanged in any case."""
    found: set[PortNo] = set()
    for action in actions:
        if isinstance(action, Output):
            found.add(action.port)
        elif isinstance(action, HeaderAction | Meter):
            break
        elif isinstance(action, Clone):
            found |= _sent_as_it_came(action.actions)
    return frozenset(found)
