"""A small switch for tests: ports 1 to 3 and LOCAL, hosts A to C on them, and short names for flows and frames."""

from __future__ import annotations

from inband.control.letters import LETTERS
from inband.flow.actions import Action, ApplyActions, DatapathAction, Instruction, Output
from inband.flow.flow import Flow
from inband.flow.match import ANY, Match
from inband.flow.origin import Origin
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.flow.priority import HiddenPriority, OpenFlowPriority
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.fdb import Fdb, FdbKey
from inband.pipeline.ports import PortTable, SwitchPort
from inband.pipeline.trace import Trace
from inband.pipeline.translate import Pipeline
from inband.pipeline.translation import Translation
from inband.table.flow_table import TableMiss
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import PortConfig

A, B, C = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"
US = "02:00:00:00:00:01"
"""The local MAC address."""

P1, P2, P3 = PortNo(1), PortNo(2), PortNo(3)


class Scene:
    """A pipeline and its parts."""

    def __init__(self, *, miss: TableMiss = TableMiss.DROP) -> None:
        self.tables = TableSet(8, miss=miss)
        self.ports = PortTable()
        self.fdb = Fdb()
        self.pipeline = Pipeline(self.tables, self.ports, self.fdb)
        self.pipeline.local_mac = Mac.parse(US)
        self.pipeline.in_band = True
        for number in (P1, P2, P3, LOCAL):
            self.ports.put(SwitchPort(number, f"p{number}", Mac(0x020000001000 + (number & 0xFF))))

    def flow(self, *actions: Action, priority: int = 1, match: Match = ANY, table: int = 0, cookie: int = 0) -> Flow:
        """Add a controller's flow that applies actions."""
        return self.flow_of(ApplyActions(actions), priority=priority, match=match, table=table, cookie=cookie)

    def flow_of(
        self, *instructions: Instruction, priority: int = 1, match: Match = ANY, table: int = 0, cookie: int = 0
    ) -> Flow:
        """Add a controller's flow."""
        flow = Flow(match, OpenFlowPriority(priority), instructions, table, cookie)
        self.tables.add(flow, 0.0)
        return flow

    def in_band(self, match: Match = ANY, *, letter: str = "h") -> Flow:
        """Install a flow of in-band control."""
        return self.hidden(match, LETTERS[letter].priority, LETTERS[letter].origin("192.0.2.1"))

    def hidden(self, match: Match, priority: HiddenPriority, origin: Origin) -> Flow:
        """Install a hidden flow that forwards by NORMAL."""
        flow = Flow(match, priority, (ApplyActions((Output(NORMAL),)),), origin=origin)
        self.tables.install_hidden(flow)
        return flow

    def configure(self, port: PortNo, config: PortConfig) -> None:
        """What a PORT_MOD sets."""
        self.ports.configure(port, config, ~PortConfig.NONE)

    def knows(self, mac: str, port: PortNo, vlan: int = 0, now: float = 0.0) -> None:
        """Teach the switch an address."""
        self.fdb.learn(FdbKey(vlan, Mac.parse(mac)), port, now)

    def receive(self, frame: bytes, port: PortNo = P1, now: float = 1.0, *, trace: Trace | None = None) -> Translation:
        """Decide about a frame."""
        return self.pipeline.translate(parse(frame, port), Frame(frame), now, trace=trace)

    def actions(self, frame: bytes, port: PortNo = P1, now: float = 1.0) -> tuple[DatapathAction, ...]:
        """The actions for a frame."""
        return self.receive(frame, port, now).actions

    def packet_out(self, frame: bytes, *actions: Action, port: PortNo = P1) -> tuple[DatapathAction, ...]:
        """The datapath's actions for a PACKET_OUT."""
        return self.pipeline.translate_actions(actions, port, parse(frame, port), Frame(frame), 1.0).actions


def out(*ports: PortNo) -> tuple[Output, ...]:
    """Outputs to ports, in order."""
    return tuple(Output(port) for port in ports)
