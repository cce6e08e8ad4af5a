"""One packet's way through the tables (OpenFlow 1.3.5, 5.1 to 5.12): which flows, which actions, which outputs.

A Walk lives for one packet. It reads its SwitchState and collects what the answer is made of: the datapath's program,
the bits that mattered, the lookups to count. Three things it may change, and does not when it is traced: the MAC table,
the storm guard and the DNS connections under way.

Control before data: while the actions of a flow of in-band control run, port configuration does not count.

Meters are the one thing with a memory: a packet that meets one is metered, unless it is traced, and never cached.

The work is bounded by MAX_LOOKUPS lookups, as many buckets, and MAX_DEPTH resubmits and groups within one another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, assert_never

from inband.flow.actions import (
    WHOLE_PACKET,
    Action,
    ApplyActions,
    ClearActions,
    DecMplsTtl,
    DecNwTtl,
    GotoTable,
    Group,
    HeaderAction,
    Instruction,
    Meter,
    MoveField,
    Output,
    PacketInReason,
    PopQueue,
    PushVlan,
    Resubmit,
    SendToController,
    SetField,
    SetQueue,
    SetVlanPcp,
    SetVlanVid,
    ToController,
    WriteActions,
    WriteMetadata,
)
from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.flow import Flow
from inband.flow.origin import PayloadCheck
from inband.flow.ports import ALL, CONTROLLER, FLOOD, IN_PORT, NORMAL, TABLE, PortNo
from inband.packet.frame import Frame
from inband.pipeline import normal
from inband.pipeline.action_set import ActionSet
from inband.pipeline.dscp import worse_precedence
from inband.pipeline.fdb import FdbKey, Learned
from inband.pipeline.group_choice import choose
from inband.pipeline.packet_state import PacketState
from inband.pipeline.program import Program
from inband.pipeline.switch_state import SwitchState
from inband.pipeline.trace import ActionStep, Note, TableStep, Trace
from inband.table.flow_table import TableMiss
from inband.table.groups import Counter, GroupBucket
from inband.table.table_set import Credit
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import NO_COOKIE, MeterBandType, PortConfig

# Resubmits and groups within one another, and lookups or buckets for one packet; more is a loop, or groups of groups
# that multiply without end. Open vSwitch has the same bounds for lookups.
MAX_DEPTH = 64
MAX_LOOKUPS = 4096

# By a packet of in-band control no station moves to another port that was confirmed on its own this shortly before: in
# a ring that is a copy that came round, not a station that moved. Real moves are believed half a second later.
MOVE_HOLD_S = 0.5

# Instructions run in this order, however a flow lists them (OpenFlow 1.3.5, 5.9).
_INSTRUCTION_ORDER = (Meter, ApplyActions, ClearActions, WriteActions, WriteMetadata, GotoTable)
_INSTRUCTION_RANK = {kind: rank for rank, kind in enumerate(_INSTRUCTION_ORDER)}

_ETH_SRC = FIELDS["eth_src"]
_IP_DSCP = FIELDS["ip_dscp"]
_METADATA = FIELDS["metadata"]
_TUNNEL_ID = FIELDS["tunnel_id"]


class _Place(NamedTuple):
    """Where in the tables actions run: what a PACKET_IN says of itself."""

    table_id: int = 0
    cookie: int = NO_COOKIE
    reason: PacketInReason = PacketInReason.ACTION


_NOWHERE = _Place()


class Walk:
    """The way of one packet that came in on ``in_port``. ``in_band`` False leaves out in-band control's flows."""

    def __init__(
        self,
        around: SwitchState,
        packet: PacketState,
        in_port: PortNo,
        frame: Frame,
        now: Instant,
        *,
        in_band: bool = True,
        trace: Trace | None = None,
    ) -> None:
        self.packet = packet
        self.program = Program()
        self.credits: list[Credit] = []
        self.counted: list[Counter] = []
        self.fdb_keys: dict[FdbKey, None] = {}
        self.station: tuple[FdbKey, PortNo] | None = None
        self.learned = False
        self.towards_station: PortNo | None = None
        self.hidden: Flow | None = None
        self.drop_reason: str | None = None
        self._around = around
        self._in_port = in_port
        self._frame = frame
        self._now = now
        self._in_band = in_band
        self._trace = trace
        self._action_set: ActionSet | None = None
        self._place = _NOWHERE
        self._overrides_ports = False
        self._stopped = False
        self._exhausted = False
        self._depth = 0
        self._from_controller = False

    # --- ways in -----------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """A packet received on a port: through the tables, if the port takes it or in-band control wants it."""
        port = self._around.ports.get(self._in_port)
        if port is not None and not port.takes_data and not self._is_in_band():
            self._drop(f"port {port.name} is configured not to receive")
            return
        self._go_through_tables()

    def run_packet_out(self, actions: Iterable[Action]) -> None:
        """A controller's PACKET_OUT: only here may an action send the packet through the tables (output to TABLE)."""
        self._from_controller = True
        self._run(actions)

    def _is_in_band(self) -> bool:
        if not self._in_band:
            return False
        if self._look_up_by_payload(0) is not None:
            return True
        flow, mattered = self._around.tables[0].lookup_in_band(self.packet.key)
        self.packet.depend_on(mattered)
        return flow is not None

    def _go_through_tables(self) -> None:
        self._visit(0)
        if not self._stopped and self._action_set is not None:
            self._run(self._action_set.in_order())

    # --- tables ------------------------------------------------------------------------------------------------

    def _visit(self, first_table: int, *, reports_miss: bool = True) -> None:
        """Look the packet up in a table and in those that its flows name in turn."""
        table_id: int | None = first_table
        while table_id is not None and not self._stopped:
            flow = self._look_up(table_id)
            if flow is not None:
                table_id = self._follow(flow)
                continue
            if reports_miss:
                self._miss(table_id)
            return

    def _look_up(self, table_id: int) -> Flow | None:
        if len(self.credits) >= MAX_LOOKUPS:
            self._give_up("over 4,096 lookups for one packet: a loop")
            return None
        tables = self._around.tables
        if table_id >= len(tables):
            self._note(f"there is no table {table_id}")
            return None
        flow = self._look_up_by_payload(table_id) if self._in_band else None
        if flow is None:
            flow, mattered = tables[table_id].lookup(self.packet.key, in_band=self._in_band)
            self.packet.depend_on(mattered)
        self.credits.append((table_id, flow))
        if self._trace is not None:
            self._trace.steps.append(TableStep(self._depth, table_id, flow))
        return flow

    def _look_up_by_payload(self, table_id: int) -> Flow | None:
        """The rule of in-band control that decides if the payload is right, where there is one and it is."""
        flow, mattered = self._around.tables[table_id].lookup_conditional(self.packet.key)
        if mattered:
            self.packet.depend_on(mattered)
        if flow is None or flow.origin is None or flow.origin.check is None:
            return None
        self.packet.cacheable = False
        if self._passes(flow.origin.check):
            return flow
        self._note(f"({flow.origin.letter}) does not apply: {flow.origin.check.value}")
        return None

    def _passes(self, check: PayloadCheck) -> bool:
        match check:
            case PayloadCheck.DNS:
                return self._around.dns.lets_pass(self._frame.data, remember=self._trace is None)
            case _:
                assert_never(check)

    def _miss(self, table_id: int) -> None:
        self._place = _Place(table_id, NO_COOKIE, PacketInReason.NO_MATCH)
        if table_id < len(self._around.tables) and self._around.tables[table_id].miss is TableMiss.CONTROLLER:
            self._send_to_controller(WHOLE_PACKET)
        else:
            self._drop(f"no flow in table {table_id} matches")

    def _follow(self, flow: Flow) -> int | None:
        """Run a flow's instructions; the table to go on in, or None."""
        origin = flow.origin
        if origin is not None and self.hidden is None:
            self.hidden = flow
        outer = self._overrides_ports
        self._overrides_ports = origin is not None and origin.overrides_ports
        is_miss_flow = flow.priority == 0 and not flow.match.mask  # the table-miss flow entry (OpenFlow 1.3.5, 5.4)
        reason = PacketInReason.NO_MATCH if is_miss_flow else PacketInReason.ACTION
        self._place = _Place(flow.table_id, flow.cookie, reason)
        next_table = None
        instructions = flow.instructions
        for instruction in instructions if len(instructions) == 1 else sorted(instructions, key=_instruction_rank):
            next_table = self._instruct(instruction)
        self._overrides_ports = outer
        return next_table if next_table is not None and next_table > flow.table_id else None

    def _instruct(self, instruction: Instruction) -> int | None:
        match instruction:
            case ApplyActions(actions):
                self._run(actions)
            case ClearActions():
                self._action_set = None
            case WriteActions(actions):
                self._action_set = self._action_set or ActionSet()
                self._action_set.write(actions)
            case WriteMetadata(value, mask):
                self.packet.set_pipeline_bits(_METADATA, value, mask)
            case GotoTable(table_id):
                return table_id
            case Meter(meter_id):
                self._meter(meter_id)
            case _:
                assert_never(instruction)
        return None

    # --- actions -----------------------------------------------------------------------------------------------

    def _run(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if self._stopped:
                return
            if self._trace is not None:
                self._trace.steps.append(ActionStep(self._depth, action))
            self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case Output(port, max_len):
                self._output(port, max_len)
            case SetQueue(queue_id):
                self.program.set_queue(queue_id)
            case PopQueue():
                self.program.set_queue(None)
            case Resubmit(in_port, table_id):
                self._resubmit(in_port, table_id)
            case SetVlanVid(vid):
                self._set_vlan(SetField("vlan_vid", vid | VLAN_PRESENT))
            case SetVlanPcp(pcp):
                self._set_vlan(SetField("vlan_pcp", pcp))
            case MoveField():
                self._move(action)
            case SendToController(max_len, controller_id, reason):
                self._send_to_controller(max_len, reason, controller_id)
            case Group(group_id):
                self._take_group(group_id)
            case DecNwTtl() | DecMplsTtl():
                self._decrement_ttl(action)
            case _:
                self._edit(action)

    def _edit(self, action: HeaderAction) -> None:
        if self.packet.edit(action):
            self.program.edit(action)

    def _set_vlan(self, change: SetField) -> None:
        if not self.packet.is_tagged:
            self._edit(PushVlan())
        self._edit(change)

    def _decrement_ttl(self, action: DecNwTtl | DecMplsTtl) -> None:
        before = self.packet.save()
        if not self.packet.spend_ttl(action):
            self._send_to_controller(WHOLE_PACKET, PacketInReason.INVALID_TTL)
            self._stop("the TTL is spent")
        elif self.packet.key != before.key:
            self.program.edit(action)

    def _move(self, action: MoveField) -> None:
        """Copy bits between fields: for this packet's value of the source it is setting the destination."""
        source, destination = FIELDS[action.source], FIELDS[action.destination]
        ones = (1 << action.bits) - 1
        self.packet.depend_on(ones << source.shift + action.source_offset & source.mask)
        value = source.get(self.packet.key) >> action.source_offset & ones
        offset = action.destination_offset
        self._edit(SetField(destination.name, value << offset, ones << offset & destination.all_ones))

    def _resubmit(self, in_port: PortNo | None, table_id: int | None) -> None:
        if self._depth >= MAX_DEPTH:
            self._give_up("over 64 resubmits within one another: a loop")
            return
        place = self._place
        self._depth += 1
        self._visit_as(self._in_port if in_port is None else in_port, place.table_id if table_id is None else table_id)
        self._depth -= 1
        self._place = place

    def _visit_as(self, in_port: PortNo, table_id: int) -> None:
        """Visit a table as if from another port: the lookup sees that port, the actions see the real one."""
        if in_port == self._in_port or in_port == IN_PORT:
            self._visit(table_id, reports_miss=False)
            return
        before = self.packet.save()
        self.packet.set_in_port(in_port)
        flow = self._look_up(table_id)
        self.packet.restore(before)
        if flow is None:
            return
        next_table = self._follow(flow)
        if next_table is not None:
            self._visit(next_table, reports_miss=False)

    # --- groups and meters -------------------------------------------------------------------------------------

    def _take_group(self, group_id: int) -> None:
        """Have a group process copies of the packet (OpenFlow 1.3.5, 5.6.1); the packet itself stays as it is."""
        groups = self._around.tables.groups
        group = groups.get(group_id)
        if group is None:
            self._drop(f"there is no group {group_id}")
            return
        if self._depth >= MAX_DEPTH:
            self._give_up("over 64 groups within one another")
            return
        self.counted.append(group.counter)
        buckets = choose(group, self.packet, self._around.ports, groups)
        self._note(f"group {group_id} ({group.type.name.lower()}): {len(buckets)} of {len(group.buckets)} buckets")
        if not buckets:
            self._drop(f"no bucket of group {group_id} takes it")
        for bucket in buckets:
            self._take_bucket(bucket)

    def _take_bucket(self, bucket: GroupBucket) -> None:
        """Run a bucket's actions, which are an action set (5.10), on a copy; what ends the copy ends nothing else."""
        if len(self.counted) >= MAX_LOOKUPS:
            self._give_up("over 4,096 buckets for one packet: groups that multiply without end")
        if self._stopped:
            return
        self.counted.append(bucket.counter)
        before, program = self.packet.save(), self.program
        self.program = program.branch()
        actions = ActionSet()
        actions.write(bucket.bucket.actions)
        self._depth += 1
        self._run(actions.in_order())
        self._depth -= 1
        program.join(self.program)
        self.program = program
        self.packet.restore(before)
        self._stopped = self._exhausted

    def _meter(self, meter_id: int) -> None:
        """Count the packet against a meter's rates; over one of them it is dropped or remarked (5.7)."""
        meter = self._around.tables.meters.get(meter_id)
        if meter is None:
            self._note(f"there is no meter {meter_id}")
            return
        self.packet.cacheable = False
        ask = meter.take if self._trace is None else meter.exceeded
        band = ask(self._frame.segments, len(self._frame.data), self._now)
        if band is None:
            self._note(f"within the rates of meter {meter_id}")
        elif band.band.type is MeterBandType.DROP:
            self._stop(f"over the rate of meter {meter_id}")
        else:
            self._note(f"over the rate of meter {meter_id}: a worse drop precedence")
            self._remark(band.band.prec_level)

    def _remark(self, levels: int) -> None:
        dscp = _IP_DSCP.get(self.packet.key)
        worse = worse_precedence(dscp, levels)
        if worse != dscp:
            self._edit(SetField("ip_dscp", worse))

    # --- outputs -----------------------------------------------------------------------------------------------

    def _output(self, port: PortNo, max_len: int) -> None:
        if port == CONTROLLER:
            self._send_to_controller(max_len)
        elif port == NORMAL:
            self._forward_normally()
        elif port in (FLOOD, ALL):
            self._flood(everywhere=port == ALL)
        elif port == IN_PORT:
            self._send(self._in_port)
        elif port == TABLE:
            self._submit()
        elif port == self._in_port:
            self._drop("an output to the port it came from needs IN_PORT")
        else:
            self._send(port)

    def _send(self, number: PortNo) -> None:
        port = self._around.ports.get(number)
        if port is None:
            self._drop(f"there is no port {number}")
        elif not (port.sends_data or self._overrides_ports):
            self._drop(f"port {port.name} is configured not to forward")
        else:
            self.program.output(Output(number))

    def _flood(self, *, everywhere: bool = False) -> None:
        """To every port but the one it came from; data not to ports closed to it (``everywhere``: OFPP_ALL)."""
        sent = False
        for port in self._around.ports:
            may_send = port.sends_data if everywhere else port.floods_data
            if port.number != self._in_port and (may_send or self._overrides_ports):
                self.program.output(Output(port.number))
                sent = True
        if not sent:
            self._drop("no other port takes it")

    def _submit(self) -> None:
        if not self._from_controller:
            self._drop("only a PACKET_OUT may output to TABLE")
            return
        self._from_controller = False
        self._go_through_tables()
        self._from_controller = True

    def _send_to_controller(self, max_len: int, reason: PacketInReason | None = None, controller_id: int = 0) -> None:
        reason = self._place.reason if reason is None else reason
        port = self._around.ports.get(self._in_port)
        if reason is PacketInReason.NO_MATCH and port is not None and port.config & PortConfig.NO_PACKET_IN:
            self._drop(f"port {port.name} is configured to cause no packet-in by a table miss")
            return
        metadata, tunnel_id = _METADATA.get(self.packet.key), _TUNNEL_ID.get(self.packet.key)
        place = self._place
        self.program.output(
            ToController(reason, max_len, place.table_id, place.cookie, controller_id, metadata, tunnel_id)
        )

    # --- NORMAL ------------------------------------------------------------------------------------------------

    def _forward_normally(self) -> None:
        around = self._around
        decision = normal.decide(self.packet, self._in_port, around.fdb, around.local_mac, self._now)
        for key in (decision.source, decision.destination):
            if key is not None:
                self.fdb_keys[key] = None
        if decision.floods and self._overrides_ports and self._is_copy():
            return
        # An address that actions wrote says nothing of where its station is; a flow must not move the gateway so.
        if decision.source is not None and not self.packet.has_written(_ETH_SRC):
            self._learn(decision.source)
        if decision.drop_reason is not None:
            self._drop(decision.drop_reason)
        elif decision.port is not None:
            if self._trace is not None:  # each packet passes here, and the words take longer than the decision
                self._note(f"{decision.destination.mac if decision.destination else ''} is on port {decision.port}")
            self.towards_station = decision.port
            self._send(decision.port)
        else:
            self._note("the destination is unknown or a group: flooded")
            self._flood()

    def _is_copy(self) -> bool:
        """Whether in-band control flooded this frame a moment ago; if not, it is about to, which is remembered."""
        self.packet.cacheable = False
        if self._around.storm_guard.has_flooded(self._frame.data, self._now):
            self._drop("the same frame was flooded a moment ago")
            self._count("storm_guard_dropped")
            return True
        if self._trace is None:
            self._around.storm_guard.remember(self._frame.data, self._now)
        return False

    def _learn(self, source: FdbKey) -> None:
        if self.station is not None or self._around.ports.get(self._in_port) is None:
            return  # a packet teaches once, however often it passes NORMAL; a PACKET_OUT from no port teaches nothing
        learn = self._around.fdb.learn if self._trace is None else self._around.fdb.would_learn
        hold_s = MOVE_HOLD_S if self._overrides_ports else 0.0
        outcome = learn(source, self._in_port, self._now, hold_s=hold_s)
        if outcome is Learned.HELD:
            self.packet.cacheable = False
            self._note(f"{source.mac} was confirmed on another port a moment ago: not learned")
            return
        self.station = (source, self._in_port)
        self.learned |= outcome is not Learned.KNOWN and self._trace is None

    # --- what people see ---------------------------------------------------------------------------------------

    def _stop(self, why: str) -> None:
        self._stopped = True
        self._drop(why)

    def _give_up(self, why: str) -> None:
        """End the packet and every copy of it."""
        self._exhausted = True
        self._stop(why)

    def _drop(self, why: str) -> None:
        self.drop_reason = why
        self._note(why)

    def _note(self, text: str) -> None:
        if self._trace is not None:
            self._trace.steps.append(Note(self._depth, text))

    def _count(self, name: str) -> None:
        if self._trace is None:
            self._around.counters[name] = self._around.counters.get(name, 0) + 1


def _instruction_rank(instruction: Instruction) -> int:
    return _INSTRUCTION_RANK[type(instruction)]
