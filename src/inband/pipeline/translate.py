"""The pipeline: what becomes of a packet, and on which of its bits that depends.

What must stay true: every packet that agrees with the translated one on ``mask`` would get the same actions (a property
test runs random tables and packets), and no cached decision can hide a DHCP reply from ``dhcp_hook``. Whoever caches
decisions must forget those that a change made stale: of flows, groups, ports, stations, ``local_mac``, ``in_band``
and ``ipv6``.

No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inband.flow.actions import Action, DatapathAction, Output
from inband.flow.fields import FlowKey
from inband.flow.flow import Flow
from inband.flow.ports import LOCAL, PortNo, port_number
from inband.packet.dhcp import reply_chaddr
from inband.packet.frame import Frame
from inband.pipeline.dhcp_hook import DHCP_REPLIES, Recogniser, ipv6_configuration, reaches_local_unchanged
from inband.pipeline.fdb import Fdb
from inband.pipeline.packet_state import PacketState
from inband.pipeline.ports import PortTable
from inband.pipeline.switch_state import SwitchState
from inband.pipeline.trace import Note, Trace
from inband.pipeline.translation import Translation
from inband.pipeline.walk import Walk
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant


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
    """

    def __init__(self, tables: TableSet, ports: PortTable, fdb: Fdb) -> None:
        self.in_band = False
        self.ipv6 = False
        self._ipv6_configuration: Recogniser | None = None
        self._around = SwitchState(tables, ports, fdb)

    @property
    def tables(self) -> TableSet:
        """The flow tables."""
        return self._around.tables

    @property
    def ports(self) -> PortTable:
        """The ports."""
        return self._around.ports

    @property
    def fdb(self) -> Fdb:
        """The stations that NORMAL has learned."""
        return self._around.fdb

    @property
    def counters(self) -> dict[str, int]:
        """Named events: what the slow path dropped for reasons of its own."""
        return self._around.counters

    @property
    def local_mac(self) -> Mac | None:
        """The MAC address of LOCAL."""
        return self._around.local_mac

    @local_mac.setter
    def local_mac(self, mac: Mac | None) -> None:
        self._around.local_mac = mac
        self._ipv6_configuration = None if mac is None else ipv6_configuration(mac)

    @property
    def dns_names(self) -> frozenset[str]:
        """Names, in lower case, for which DNS passes by (m) and (n)."""
        return self._around.dns.names

    @dns_names.setter
    def dns_names(self, names: frozenset[str]) -> None:
        # No decision about such packets is cached, so there is none to forget.
        self._around.dns.names = names

    def translate(
        self, key: FlowKey, frame: Frame, now: Instant, *, hidden: bool = True, trace: Trace | None = None
    ) -> Translation:
        """Decide about a received frame. ``key`` is the frame parsed, with in_port set.

        With ``hidden`` False in-band control's flows and its care for DHCP are left out. With a ``trace`` nothing is
        changed: no station learned, no flood remembered, nothing counted.
        """
        in_port = port_number(key & 0xFFFFFFFF)  # it stands rightmost in a key
        walk = Walk(self._around, PacketState(key, frame), in_port, frame, now, in_band=hidden, trace=trace)
        walk.enter()
        if not (self.in_band and hidden):
            return _answer(walk, walk.program.finished())
        return _answer(walk, self._with_configuration(walk, in_port, key, frame, trace))

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
        walk = Walk(self._around, PacketState(key, frame), in_port, frame, now, trace=trace)
        walk.packet.cacheable = False
        walk.run_packet_out(actions)
        return _answer(walk, walk.program.finished())

    def credit(self, translation: Translation, packets: int, bytes_: int, now: Instant) -> None:
        """Count packets that this decision moved, the last of them at ``now``, to all it went through.

        Whoever translates counts the translated packet too: ``translate`` itself counts nothing.
        """
        self.tables.credit(translation.credits, packets, bytes_, now)
        for counter in translation.counted:
            counter.credit(packets, bytes_)
        if translation.station is not None:
            station, port = translation.station
            self.fdb.confirm(station, port, now)

    def explain(self, key: FlowKey, frame: Frame, now: Instant) -> Explanation:
        """Why a frame goes where it goes, and where it would go without in-band control. Changes nothing."""
        trace, trace_without = Trace(), Trace()
        verdict = self.translate(key, frame, now, trace=trace)
        verdict_without = self.translate(key, frame, now, hidden=False, trace=trace_without)
        return Explanation(verdict, trace, verdict_without, trace_without)

    def _with_configuration(
        self, walk: Walk, in_port: PortNo, key: FlowKey, frame: Frame, trace: Trace | None
    ) -> tuple[DatapathAction, ...]:
        """The decision's actions, and LOCAL before them for what configures it: see ``dhcp_hook``.

        What leaves LOCAL, and what reaches it in any case, needs no care and narrows no cached decision.
        """
        actions = walk.program.finished()
        if in_port == LOCAL or reaches_local_unchanged(actions):
            return actions
        if not (self._is_our_dhcp_reply(walk, key, frame) or self._is_our_ipv6_configuration(walk, key)):
            return actions
        if trace is not None:
            trace.steps.append(Note(0, "it configures the local port: LOCAL gets it in any case"))
        return (Output(LOCAL), *actions)

    def _is_our_dhcp_reply(self, walk: Walk, key: FlowKey, frame: Frame) -> bool:
        is_reply, mattered = DHCP_REPLIES.recognise(key)
        walk.packet.mask |= mattered
        if not is_reply:
            return False
        walk.packet.cacheable = False  # whose it is stands in the payload
        return self.local_mac is not None and reply_chaddr(frame.data) == self.local_mac

    def _is_our_ipv6_configuration(self, walk: Walk, key: FlowKey) -> bool:
        if not self.ipv6 or self._ipv6_configuration is None:
            return False
        is_ours, mattered = self._ipv6_configuration.recognise(key)
        walk.packet.mask |= mattered
        return is_ours


def _answer(walk: Walk, actions: tuple[DatapathAction, ...]) -> Translation:
    return Translation(
        actions=actions,
        mask=walk.packet.mask,
        cacheable=walk.packet.cacheable,
        credits=tuple(walk.credits),
        hidden=walk.hidden,
        learned=walk.learned,
        fdb_keys=tuple(walk.fdb_keys),
        station=walk.station,
        drop_reason=None if actions else walk.drop_reason or "the flow outputs to nowhere",
        counted=tuple(walk.counted),
        to_station=walk.towards_station is not None and actions == (Output(walk.towards_station),),
    )
