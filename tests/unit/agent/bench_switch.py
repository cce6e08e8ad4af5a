"""A switch without a datapath for tests of the agent: real tables, real ports, and statistics that only count calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from inband.agent.agent import Agent
from inband.agent.connection import Kind
from inband.agent.switch import Identity, Limits, Switch
from inband.control.letters import LETTERS
from inband.datapath.base import PortCounters, QueueState
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import LOCAL, PortNo
from inband.flow.priority import HiddenPriority
from inband.openflow.codec import decode, encode
from inband.openflow.messages import Envelope, Error, Message
from inband.openflow.multipart import FlowStatsReply
from inband.pipeline.ports import PortTable, SwitchPort
from inband.table.steps import Step, Steps
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import OFP13

PORT_1 = SwitchPort(PortNo(1), "eth1", Mac(0x020000000001))
PORT_2 = SwitchPort(PortNo(2), "eth2", Mac(0x020000000002))
LOCAL_PORT = SwitchPort(LOCAL, "br0", Mac(0x0200000000FE))

HIDDEN = HiddenPriority(180_000)


@dataclass
class CountingStatistics:
    """Statistics whose port counters are given by the test, and that count how often they were brought up to date."""

    ports: dict[PortNo, PortCounters] = field(default_factory=dict)
    rounds: int = 0
    owes_counts: bool = False
    port_queues: dict[PortNo, Sequence[QueueState]] = field(default_factory=dict)

    def counting(self) -> Steps[None]:
        """In one step, and remembered."""
        yield Step.WORKED
        self.rounds += 1
        self.owes_counts = False

    def port_counters(self, port: PortNo) -> PortCounters:
        """What the test gave."""
        return self.ports.get(port, PortCounters())

    def queues(self, port: PortNo) -> Sequence[QueueState]:
        """What the test gave."""
        return self.port_queues.get(port, ())


def _as_read(envelope: Envelope) -> Message:
    """A message as its peer reads it, if it is written in part already."""
    return decode(encode(envelope)).message if isinstance(envelope.message, FlowStatsReply) else envelope.message


class Bench:
    """An agent with one controller (connection 1), and short ways to talk to it."""

    def __init__(
        self, *, n_tables: int = 4, limit: int | None = None, limits: Limits | None = None, version: int = OFP13
    ) -> None:
        self.statistics = CountingStatistics()
        self.tables = TableSet(n_tables, limit=limit)
        self.ports = PortTable()
        for port in (PORT_1, PORT_2, LOCAL_PORT):
            self.ports.put(port)
        identity = Identity(datapath_id=0x2A, software="0.1.0", datapath="br0")
        switch = Switch(identity, self.tables, self.ports, self.statistics, limits or Limits())
        self.agent = Agent(switch)
        self.agent.connect(1, Kind.CONTROLLER, version, 0.0)
        self.version = version

    def send(self, message: Message, now: Instant = 0.0, connection: int = 1) -> list[Message]:
        """Handle a message and return what that connection gets."""
        self.agent.handle(connection, Envelope(self.version, 77, message, b"\x04raw request"), now)
        return self.take(connection)

    def take(self, connection: int = 1) -> list[Message]:
        """What waits for a connection, after all work that is under way."""
        while self.agent.is_busy:
            self.agent.go_on()
        while self.agent.is_replying(connection):
            self.agent.go_on_with_reply(connection)
        return [_as_read(envelope) for envelope in self.agent.take(connection)]

    def error(self, message: Message, now: Instant = 0.0, connection: int = 1) -> tuple[int, int]:
        """Handle a message that must be refused and return the ERROR's type and code."""
        (reply,) = self.send(message, now, connection)
        assert isinstance(reply, Error), reply
        return reply.type, reply.code

    def add_hidden(self, **match: int) -> Flow:
        """A hidden flow in table 0."""
        flow = Flow(Match.of(**match), HIDDEN, (), origin=LETTERS["a"].origin("test"))
        self.tables.install_hidden(flow)
        return flow
