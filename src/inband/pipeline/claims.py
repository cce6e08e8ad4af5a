"""Whether a packet that came in on a port can be control traffic, by what it says of its sender (``places``).

A packet says who it is from by its Ethernet source, and ARP and neighbour discovery by the IP and MAC addresses that
they name. Where that contradicts a proven place, rules of in-band control do not apply: the flow table decides, as
about any packet. Where a message contradicts what LOCAL's neighbour table should have, LOCAL does not get it by the
flow table either.

In a ring copies of a station's own broadcasts come round, and seem to contradict. So what the storm guard knows is no
contradiction; NORMAL drops it.
"""

from __future__ import annotations

from inband.flow.fields import FIELDS
from inband.flow.origin import Origin
from inband.flow.ports import LOCAL
from inband.pipeline.budget import Kind
from inband.pipeline.callers import ANSWERING_BITS, CALLING_BITS, answering, calling, is_reset, is_under_way
from inband.pipeline.context import XlateContext
from inband.pipeline.copies import was_flooded
from inband.pipeline.places import Places
from inband.pipeline.stations import Claim, Station
from inband.vocabulary.addresses import AddressKey
from inband.vocabulary.numbers import ARP_REPLY, ARP_REQUEST, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION

_ETH_SRC, _ETH_DST, _GROUP_BIT = FIELDS["eth_src"], FIELDS["eth_dst"], 1 << 40
_ARP_OP, _ARP_SPA, _ARP_TPA, _ARP_SHA = (FIELDS[f"arp_{name}"] for name in ("op", "spa", "tpa", "sha"))
_ICMPV6_TYPE, _IPV6_SRC, _ND_TARGET = FIELDS["icmpv6_type"], FIELDS["ipv6_src"], FIELDS["ipv6_nd_target"]
_ND_SLL, _ND_TLL, _IPV4_SRC = FIELDS["ipv6_nd_sll"], FIELDS["ipv6_nd_tll"], FIELDS["ipv4_src"]


def may_speak(ctx: XlateContext, origin: Origin) -> bool:
    """Whether a rule of in-band control applies to a packet, as far as its sender goes."""
    places = ctx.switch.places
    claim = _claim_of(ctx.packet.key)
    if ctx.in_port == LOCAL:
        if claim is not None and not claim.is_answer and ctx.trace is None:
            places.asks_local(_asked_for(ctx.packet.key), ctx.now)
        return True
    if origin.by_word and ctx.in_port not in places.trusted:
        ctx.note(f"({origin.letter}) does not apply: no neighbour of the network's key is on this port")
        return False
    if claim is not None:
        ctx.packet.cacheable = False  # each of them is proof, or the contrary
        return _may_claim(ctx, places, claim)
    station = _contradicted_source(ctx, places)
    if station is None:
        return not origin.is_stream or _may_stream(ctx, places, origin)
    if _refuse(ctx, places, station, None):
        return True
    return origin.is_from_remote and _is_between_switches(ctx, places) and _may_stream(ctx, places, origin)


def _is_between_switches(ctx: XlateContext, places: Places) -> bool:
    """Whether a packet comes by a port with a neighbour, and is for LOCAL or leaves by another such port.

    A switch has one place at each other switch, and controllers are reached by several ways, so ways there and back may
    differ. Hosts neither send nor get what passes so.
    """
    to = _ETH_DST.get(ctx.packet.key)
    if ctx.in_port not in places.switches:
        return False
    if to != ctx.switch.local_mac:
        return ctx.switch.fdb.lookup(ctx.switch.fdb.key(places.vlan, to), ctx.now) in places.switches
    return True


def _claim_of(key: int) -> Claim | None:
    operation, to = _ARP_OP.get(key), _ETH_DST.get(key)
    if operation in (ARP_REQUEST, ARP_REPLY):
        return Claim((4, _ARP_SPA.get(key)), _ARP_SHA.get(key), to, operation == ARP_REPLY)
    kind = _ICMPV6_TYPE.get(key)
    if kind == NEIGHBOUR_SOLICITATION:
        return Claim((6, _IPV6_SRC.get(key)), _ND_SLL.get(key), to, False)
    if kind == NEIGHBOUR_ADVERTISEMENT:
        return Claim((6, _ND_TARGET.get(key)), _ND_TLL.get(key), to, True)
    return None


def is_of_known_station(ctx: XlateContext) -> bool:
    """Whether a proven next hop, or a switch that a controller has answered, says something to one station alone."""
    claim, places = _claim_of(ctx.packet.key), ctx.switch.places
    if claim is None or claim.to & _GROUP_BIT:
        return False
    station = places.station(claim.address)
    if station is not None and not station.is_peer:
        return station.mac == claim.mac and places.is_at(station, ctx.in_port)
    return ctx.in_port in places.switches and ctx.switch.callers.was_answered(claim.address)


def _asked_for(key: int) -> AddressKey:
    return (4, _ARP_TPA.get(key)) if _ARP_OP.get(key) else (6, _ND_TARGET.get(key))


def _may_claim(ctx: XlateContext, places: Places, claim: Claim) -> bool:
    if claim.address in places.own:
        ctx.note("no rule applies: this address is LOCAL's own")
        return was_flooded(ctx, places.vlan)
    station = _contradicted(ctx, places, claim)
    if station is not None:
        passes = places.is_awaited(station, claim, ctx.now) and not (
            _asks_through_us(ctx, places, station, claim) and places.is_fresh(station, ctx.now)
        )
        return _refuse(ctx, places, station, claim) or passes
    if ctx.trace is None:
        _take(ctx, places, claim)
    return True


def _take(ctx: XlateContext, places: Places, claim: Claim) -> None:
    """What a claim that contradicts nothing shows."""
    is_for_local, asker = claim.to == ctx.switch.local_mac, _ETH_SRC.get(ctx.packet.key)
    places.confirm(claim, ctx.in_port, ctx.now, is_for_local=is_for_local)
    if not claim.is_answer:
        places.asks(_asked_for(ctx.packet.key), asker, claim.to, ctx.now, is_for_local=is_for_local)
        if claim.to & _GROUP_BIT and not was_flooded(ctx, places.vlan):
            places.searches_there(_asked_for(ctx.packet.key), ctx.in_port, ctx.now)
        if is_for_local and not asker & _GROUP_BIT and asker != claim.to:
            places.asks_us(asker, ctx.in_port, ctx.now)


def _contradicted(ctx: XlateContext, places: Places, claim: Claim) -> Station | None:
    station = places.station(claim.address)
    if station is not None and (claim.mac not in (0, station.mac) or _is_elsewhere(ctx, places, station)):
        return station
    return _contradicted_source(ctx, places)


def _contradicted_source(ctx: XlateContext, places: Places) -> Station | None:
    station = places.owner(_ETH_SRC.get(ctx.packet.key))
    return station if station is not None and _is_elsewhere(ctx, places, station) else None


def _is_elsewhere(ctx: XlateContext, places: Places, station: Station) -> bool:
    """Whether a next hop is on another port. Of a switch behind this one NORMAL finds that out, and lets it pass."""
    return not (station.is_peer or places.is_at(station, ctx.in_port))


def _may_stream(ctx: XlateContext, places: Places, origin: Origin) -> bool:
    """TCP to or from a remote: never to a group, and from it only where its next hop was proven to be."""
    key = ctx.packet.key
    if _ETH_DST.get(key) & _GROUP_BIT:
        ctx.packet.depend_on(_GROUP_BIT << _ETH_DST.shift)
        ctx.note(f"({origin.letter}) does not apply: TCP is not sent to groups")
        return False
    source = _IPV4_SRC.get(key)
    address = (4, source) if source else (6, _IPV6_SRC.get(key))
    if not origin.is_from_remote:
        return _may_call(ctx, places, origin, address)
    return _may_answer(ctx, places, origin, address)


def _may_answer(ctx: XlateContext, places: Places, origin: Origin, remote: AddressKey) -> bool:
    """A segment from a remote comes by a next hop through which it may be reached, as far as they are known.

    One that comes from where such a one has proven itself, or from a neighbour, answers a call.
    """
    hops = [places.station(hop) for hop in places.hops_towards(remote)]
    known = [station for station in hops if station is not None]
    is_proven = any(places.is_at(station, ctx.in_port) for station in known)
    is_unknown = len(known) < len(hops) or not hops
    if is_proven or is_unknown or any(_comes_other_way(ctx, places, station) for station in known):
        answers = is_proven or ctx.in_port in places.switches
        if answers and _ETH_DST.get(ctx.packet.key) != ctx.switch.local_mac:
            _answer_call(ctx, remote[0])
        return True
    where = " or ".join(f"{places.port_of(station)}" for station in known)
    ctx.note(f"({origin.letter}) does not apply: the next hop of this remote is on port {where}")
    return False


def _comes_other_way(ctx: XlateContext, places: Places, station: Station) -> bool:
    """Whether a next hop's segment comes by another way than ours to it, among switches alone."""
    if station.mac != _ETH_SRC.get(ctx.packet.key) or not _is_between_switches(ctx, places):
        return False
    if ctx.trace is None:
        places.heard_by[ctx.in_port] = None
    return True


def _may_call(ctx: XlateContext, places: Places, origin: Origin, address: AddressKey) -> bool:
    """A segment to a controller: of a connection that it has answered, or one more within the port's budget."""
    key, (version, _) = ctx.packet.key, address
    ctx.packet.depend_on(CALLING_BITS[version])
    if ctx.switch.callers.knows(calling(version, key)):
        if ctx.trace is None:
            places.meet(address, _ETH_SRC.get(key), ctx.in_port, ctx.now)
        return True
    if ctx.in_port in places.trusted:  # counted where it came into the network; its answer may take another way
        return True
    ctx.packet.cacheable = False
    if _is_within_budget(ctx, address, origin.subject):
        return True
    ctx.note(f"({origin.letter}) does not apply: over the port's budget of calls that are not answered")
    ctx.count("calls_over_budget")
    return False


def _is_within_budget(ctx: XlateContext, caller: AddressKey, controller: str) -> bool:
    port, now, budgets = ctx.in_port, ctx.now, ctx.switch.budgets
    comes_from_switch = port in ctx.switch.places.switches
    kind = Kind.UNDER_WAY if comes_from_switch and is_under_way(ctx.packet.key) else Kind.DIALLED
    if ctx.trace is not None:
        return budgets.allows(port, kind, now, controller)
    if kind is Kind.DIALLED and ctx.switch.callers.may_call_again(port, caller, now):
        return True
    return budgets.spend(port, kind, now, controller)


def _answer_call(ctx: XlateContext, version: int) -> None:
    """A controller sends to a switch behind this one: that has called, and is answered unless it is turned away."""
    key, callers = ctx.packet.key, ctx.switch.callers
    ctx.packet.depend_on(ANSWERING_BITS[version])
    connection = answering(version, key)
    if not is_reset(key):
        if ctx.trace is None:
            callers.answered(connection, ctx.now)
    elif not callers.knows(connection):
        ctx.packet.cacheable = False  # or what answers it after all would not be seen


def _refuse(ctx: XlateContext, places: Places, station: Station, claim: Claim | None) -> bool:
    """What contradicts a proven place is not taken, and starts a question; a copy that came round is taken as one."""
    ctx.packet.cacheable = False
    if was_flooded(ctx, places.vlan):
        return True
    if ctx.trace is None:
        _doubt(ctx, places, station, claim)
    if claim is not None:
        ctx.program.withhold_from(LOCAL)
    ctx.note(f"no rule applies: {station.mac} was proven to be on port {places.port_of(station)}")
    ctx.count("place_contradicted")
    return False


def _doubt(ctx: XlateContext, places: Places, station: Station, claim: Claim | None) -> None:
    if claim is None:
        places.doubt(station, ctx.now)
        return
    # What is for another station alone would come too late there, and might be a lie told to it.
    is_for_us = claim.to == ctx.switch.local_mac
    held = (ctx.in_port, ctx.frame) if is_for_us or claim.to & _GROUP_BIT else None
    is_true = claim.is_answer and (claim.address, claim.mac) == (station.address, station.mac)
    if is_true and ctx.in_port in places.switches and (is_for_us or _asks_through_us(ctx, places, station, claim)):
        places.answers_elsewhere(station, ctx.now, held)
    else:
        places.doubt(station, ctx.now, held)


def _asks_through_us(ctx: XlateContext, places: Places, station: Station, claim: Claim) -> bool:
    """Whether a station's answer passes here to who asked for it, and that is where we have the station: it is not."""
    asker = ctx.switch.fdb.lookup(ctx.switch.fdb.key(places.vlan, claim.to), ctx.now)
    return asker == places.port_of(station) and places.is_awaited(station, claim, ctx.now)
