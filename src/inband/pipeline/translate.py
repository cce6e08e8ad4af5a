"""The pipeline: what becomes of a packet, and on which of its bits that depends.

Invariants:
- Every packet that agrees with the translated one on ``mask`` would get the same actions (a property test runs random
  tables and packets).
- No cached decision hides a DHCP reply from ``dhcp_hook``.
- A decision holds until flows, groups, ports, the FDB, ``local_mac``, ``in_band``, ``ipv6`` or ``neighbours`` change.
  Whoever caches it must remove it then. To translate a packet may change the FDB too: ``Fdb.take_changed`` says how.

No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inband.flow.actions import Action, Clone, DatapathAction, HeaderAction, Meter, Output, PopVlan
from inband.flow.fields import FIELDS, FlowKey
from inband.flow.flow import Flow
from inband.flow.ports import LOCAL, PortNo, port_number
from inband.packet.dhcp import is_request, read_reply, request_xid
from inband.packet.frame import Frame
from inband.pipeline.actions import run_actions, run_packet_out
from inband.pipeline.bpdu_hook import recognise_bpdu
from inband.pipeline.clients import Clients
from inband.pipeline.clients_hook import serve
from inband.pipeline.context import XlateContext
from inband.pipeline.dhcp_hook import (
    Recogniser,
    dhcp_replies,
    ipv6_configuration,
    is_advertisement,
    reaches_local,
    without,
)
from inband.pipeline.duplicate_guard import Duplicates
from inband.pipeline.fdb import Fdb
from inband.pipeline.lease_servers import LeaseServers
from inband.pipeline.loops import LoopLimits
from inband.pipeline.members import configuration_key
from inband.pipeline.mirroring import with_copies
from inband.pipeline.neighbours_hook import BITS_THAT_SHOW
from inband.pipeline.packet_state import PacketState
from inband.pipeline.places import Places
from inband.pipeline.ports import PortTable
from inband.pipeline.rulings import Ruling, ruling_of
from inband.pipeline.switch_state import LastCached, SwitchState
from inband.pipeline.tables import receive
from inband.pipeline.trace import Trace
from inband.pipeline.translation import Translation
from inband.pipeline.visits import Share, shares_of
from inband.pipeline.waiting import Waiting
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import ETH_EXPERIMENT

_VLAN_VID = FIELDS["vlan_vid"]
_TYPE, _TYPE_BITS = FIELDS["eth_type"].shift, FIELDS["eth_type"].mask


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happens to a packet, why, and what would happen without in-band control's flows.

    ``decider`` is the hidden flow that decided, if one did: its origin names letter and remote.
    """

    verdict: Translation
    trace: Trace
    verdict_without: Translation
    trace_without: Trace

    @property
    def decider(self) -> Flow | None:
        """The hidden flow that decided, if one did."""
        return self.verdict.hidden


class Pipeline:
    """One bridge's forwarding decisions.

    ``local_mac`` is the MAC address of LOCAL (None: not known yet). ``in_band`` says whether in-band control is on, and
    with it the care for DHCP replies; its flows are in ``tables``. ``ipv6`` says whether the bridge uses IPv6, and so
    whether router advertisements and DHCPv6 replies are cared for too: without it cached decisions are wider.
    ``takes_bpdus`` says whether a spanning tree takes what is sent to bridges.
    ``neighbours`` says whether frames between neighbours are taken before they come here.
    """

    def __init__(self, tables: TableSet, ports: PortTable, fdb: Fdb) -> None:
        self.in_band = False
        self.ipv6 = False
        self.takes_bpdus = False
        self.neighbours = False
        self._state = SwitchState(tables, ports, fdb)
        self._dhcp_replies = dhcp_replies(None)
        self._ipv6_configuration: Recogniser | None = None

    @property
    def tables(self) -> TableSet:
        """The flow tables."""
        return self._state.tables

    @property
    def ports(self) -> PortTable:
        """The ports."""
        return self._state.ports

    @property
    def fdb(self) -> Fdb:
        """The addresses that NORMAL has learned."""
        return self._state.fdb

    @property
    def places(self) -> Places:
        """Where the next hops were proven to be."""
        return self._state.places

    def ask_cache(self, last_cached: LastCached) -> None:
        """Whom to ask when cached decisions last sent something on."""
        self._state.last_cached = last_cached

    @property
    def lease_servers(self) -> LeaseServers:
        """Which DHCP server LOCAL listens to."""
        return self._state.lease_servers

    @property
    def clients(self) -> Clients:
        """The switches behind this one that ask for addresses."""
        return self._state.clients

    @property
    def duplicates(self) -> Duplicates:
        """What is sent by all ways at once."""
        return self._state.duplicates

    @property
    def waiting(self) -> Waiting:
        """What waits for a way that is to come."""
        return self._state.waiting

    @property
    def loops(self) -> LoopLimits:
        """What NORMAL may flood from ports in loops."""
        return self._state.loops

    @property
    def counters(self) -> Mapping[str, int]:
        """Named events: what the slow path dropped for reasons of its own."""
        return self._state.counters

    @property
    def local_mac(self) -> Mac | None:
        """The MAC address of LOCAL."""
        return self._state.local_mac

    @local_mac.setter
    def local_mac(self, mac: Mac | None) -> None:
        self._state.local_mac = mac
        self._set_up_configuration()

    @property
    def control_vlan(self) -> int | None:
        """The VLAN that LOCAL is a port of; None: it sends and gets packets as they are."""
        return self._state.control_vlan

    @control_vlan.setter
    def control_vlan(self, vlan: int | None) -> None:
        self._state.control_vlan = vlan
        self._set_up_configuration()

    def _set_up_configuration(self) -> None:
        mac, vlan = self.local_mac, self.control_vlan
        self._dhcp_replies = dhcp_replies(vlan)
        self._state.clients.set_vlan(vlan)
        self._ipv6_configuration = None if mac is None else ipv6_configuration(mac, vlan)

    @property
    def dns_names(self) -> frozenset[str]:
        """Names, in lower case, for which DNS passes by (m) and (n)."""
        return self._state.dns.names

    @dns_names.setter
    def dns_names(self, names: frozenset[str]) -> None:
        # No decision about such packets is cached, so there is none to forget.
        self._state.dns.names = names

    def set_neighbours_names(self, hashes: frozenset[int]) -> None:
        """Names that neighbours ask DNS for, by their hashes; what is asked for them passes by (m) and (n), too."""
        self._state.dns.neighbours_names = hashes

    def translate(
        self, key: FlowKey, frame: Frame, now: Instant, *, hidden: bool = True, trace: Trace | None = None
    ) -> Translation:
        """Decide about a received frame. ``key`` is the frame parsed, with in_port set.

        With ``hidden`` False in-band control's flows and its care for DHCP are left out. With a ``trace`` nothing is
        changed: no address learned, no flood remembered, nothing counted.
        """
        in_port = port_number(key & 0xFFFFFFFF)  # the rightmost bits of a key
        member = self._state.ports.memberships.get(in_port)
        ctx = XlateContext(self._state, PacketState(key, frame), in_port, frame, now, hidden, trace, member)
        if self.takes_bpdus and self._is_bpdu(ctx, key):
            return _answer(ctx, ())
        receive(ctx, run_actions)
        if self.neighbours:
            ctx.packet.mask |= BITS_THAT_SHOW if key >> _TYPE & 0xFFFF == ETH_EXPERIMENT else _TYPE_BITS
        actions = ctx.program.finished()
        if self.in_band and hidden:
            actions = self._with_configuration(ctx, key, actions)
            if self._state.clients.ports:
                actions = serve(ctx, configuration_key(ctx, key), actions)
        return _answer(ctx, with_copies(ctx, key, actions, arrived=True) if self._state.ports.mirrors else actions)

    def translate_actions(
        self,
        actions: Iterable[Action],
        in_port: PortNo,
        key: FlowKey,
        frame: Frame,
        now: Instant,
        *,
        trace: Trace | None = None,
    ) -> Translation:
        """Work out a PACKET_OUT's actions (OpenFlow 1.3.5, 7.3.7); ``in_port`` may be CONTROLLER. Never cacheable."""
        member = self._state.ports.memberships.get(in_port)
        ctx = XlateContext(self._state, PacketState(key, frame), in_port, frame, now, trace=trace, member=member)
        ctx.packet.cacheable = False
        run_packet_out(ctx, actions)
        finished = ctx.program.finished()
        return _answer(ctx, with_copies(ctx, key, finished, arrived=False) if self.ports.mirrors else finished)

    def credit(self, translation: Translation, packets: int, bytes_: int, now: Instant) -> None:
        """Count packets that this decision moved, the last of them at ``now``, to all it went through.

        Whoever translates counts the translated packet too: ``translate`` itself counts nothing.
        """
        self._state.tables.credit(translation.credits, packets, bytes_, now)
        for counter in translation.counters:
            counter.credit(packets, bytes_)
        if translation.source is not None:
            self._state.fdb.confirm(*translation.source, now)

    def ruling_of(self, flow: Flow) -> Ruling:
        """What a flow says of all its packets, if it says that by itself."""
        return ruling_of(flow, self._state)

    def shares_of(self, group_id: int) -> tuple[Share, ...] | None:
        """What the buckets of a group do that is a step of flows or buckets; None where that cannot be said."""
        group = self.tables.groups.get(group_id)
        return None if group is None else shares_of(group, self._state)

    def explain(self, key: FlowKey, frame: Frame, now: Instant) -> Explanation:
        """Why a frame goes where it goes, and where it would go without in-band control. Changes nothing."""
        trace, trace_without = Trace(), Trace()
        verdict = self.translate(key, frame, now, trace=trace)
        verdict_without = self.translate(key, frame, now, hidden=False, trace=trace_without)
        return Explanation(verdict, trace, verdict_without, trace_without)

    def _with_configuration(
        self, ctx: XlateContext, key: FlowKey, actions: tuple[DatapathAction, ...]
    ) -> tuple[DatapathAction, ...]:
        """The decision's actions, and LOCAL before them for what configures it: see ``dhcp_hook``.

        What leaves LOCAL, and what reaches it in any case, needs no care and narrows no cached decision.
        """
        tagged = self._state.control_vlan is not None
        if ctx.member is not None:  # what comes in control's VLAN may have no tag
            ctx.packet.mask |= _VLAN_VID.mask
            tagged = tagged and bool(_VLAN_VID.get(key))
            key = FlowKey(configuration_key(ctx, key))
        if ctx.in_port == LOCAL:
            if is_request(key) and ctx.trace is None:
                self._state.lease_servers.asks(request_xid(ctx.frame.data), ctx.now)
            return actions
        has_gateway, reaches = bool(self._state.places.gateways), reaches_local(actions, tagged=tagged)
        if reaches and not has_gateway and not self._state.lease_servers.is_used:
            return actions
        is_ours = self._is_our_dhcp_reply(ctx, key) or self._is_our_ipv6_configuration(ctx, key)
        if ctx.is_withheld:
            return without(LOCAL, actions)
        if is_ours and has_gateway and is_advertisement(key) and not self._state.places.may_be_router(ctx.in_port):
            ctx.note("another port leads to the router in use: LOCAL does not get this advertisement")
            ctx.count("router_contradicted")
            return without(LOCAL, actions)
        if not is_ours or reaches:
            return actions
        ctx.note("it configures the local port: LOCAL gets it in any case")
        if any(isinstance(action, Meter) for action in actions):
            actions = without(LOCAL, actions)  # what passes the meter would reach it twice
        if not tagged:
            return (Output(LOCAL), *actions)
        untagged = (PopVlan(), Output(LOCAL))
        return (Clone(untagged), *actions) if actions else untagged

    @staticmethod
    def _is_bpdu(ctx: XlateContext, key: FlowKey) -> bool:
        is_bpdu, mattered = recognise_bpdu(key)
        ctx.packet.mask |= mattered
        if is_bpdu:
            ctx.packet.cacheable = False
            ctx.drop("a BPDU: for the spanning tree")
        return is_bpdu

    def _is_our_dhcp_reply(self, ctx: XlateContext, key: FlowKey) -> bool:
        is_reply, mattered = self._dhcp_replies.recognise(key)
        ctx.packet.mask |= mattered
        if not is_reply:
            return False
        ctx.packet.cacheable = False  # whose it is only the payload says
        reply, servers = read_reply(ctx.frame.data), self._state.lease_servers
        if reply is None or self.local_mac is None or reply.chaddr != self.local_mac:
            return False
        if ctx.trace is None:
            servers.heard(reply, ctx.in_port)
        if not servers.may_answer(reply, ctx.in_port, ctx.now):
            ctx.is_withheld = True
            ctx.note(
                "another DHCP server gave the lease by which a controller is reached: LOCAL does not get this"
                if servers.proven is not None
                else "no controller was reached by this DHCP server's lease: LOCAL does not get this"
            )
            ctx.count("lease_contradicted")
        elif ctx.trace is None:
            servers.answered(reply, ctx.in_port, ctx.now)
        return True

    def _is_our_ipv6_configuration(self, ctx: XlateContext, key: FlowKey) -> bool:
        if not self.ipv6 or self._ipv6_configuration is None:
            return False
        is_ours, mattered = self._ipv6_configuration.recognise(key)
        ctx.packet.mask |= mattered
        return is_ours


def _is_all(port: PortNo, actions: tuple[DatapathAction, ...]) -> bool:
    """Whether an output to this port is all that sends."""
    if not actions or actions[-1] != Output(port):
        return False
    return len(actions) == 1 or all(isinstance(action, HeaderAction | Meter) for action in actions[:-1])


def _answer(ctx: XlateContext, actions: tuple[DatapathAction, ...]) -> Translation:
    port = ctx.unicast_port
    return Translation(
        actions=actions,
        mask=ctx.packet.mask,
        cacheable=ctx.packet.cacheable,
        credits=tuple(ctx.credits),
        counters=tuple(ctx.counters),
        fdb_keys=tuple(ctx.fdb_keys),
        source=ctx.source,
        hidden=ctx.hidden,
        lost=ctx.lost,
        waits_for=ctx.waits_for,
        is_known_unicast=port is not None and _is_all(port, actions),
        drop_reason=None if actions else ctx.drop_reason or "the flow outputs to nowhere",
    )
