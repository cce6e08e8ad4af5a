"""What OpenFlow messages do to the switch: the agent that all connections of one bridge share, sans-IO.

A message goes in by ``handle``; replies and asynchronous messages wait in ``take`` for each connection; what the
datapath has to do waits in ``take_effects``. The caller carries out the effects first and sends the messages then. With
that order, and because each request is carried out completely before the next, a BARRIER_REPLY says the truth.

Invariants:

- Every request gets its reply or the ERROR that the specification gives; nothing that a peer sends raises.
- Nothing here reaches a hidden flow, and no answer mentions one.
- No message, however much it means, and no reply, however long, is worked at for longer than a millisecond or two at a
  time: ``go_on`` and ``go_on_with_reply`` do the rest. Each message sees the tables before or after another, never in
  the middle (``agent.tasks``).
- A slave changes nothing; a management connection is never counted as a controller.

The table HANDLERS says what each message does; this file only finds the handler. What it is not: framing, HELLO, ECHO
and malformed messages are the session's; making a packet's way through the tables is the pipeline's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from inband.agent import (
    configuration,
    flow_mods,
    groups,
    meters,
    packets,
    port_messages,
    queues,
    roles,
    statistics,
    table_features,
)
from inband.agent.connection import Connection, Kind, default_miss_send_len
from inband.agent.effects import Effect, SettingsChanged
from inband.agent.long_reply import LongReply
from inband.agent.refusal import RefusalError
from inband.agent.switch import Switch
from inband.agent.tasks import FIRST_STEPS, Task
from inband.flow.actions import ToController
from inband.flow.flow import Flow
from inband.flow.ports import CONTROLLER, PortNo
from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow.messages import Envelope, Message
from inband.packet.frame import Frame
from inband.pipeline.ports import SwitchPort
from inband.table.steps import Step, Steps
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import PortReason
from inband.vocabulary.openflow_errors import BadRequest
from inband.vocabulary.rate_limit import RateLimit

# Each handler's request type is its key in HANDLERS; the type system cannot say that.
_Reply = Message | LongReply | Steps[Message | None] | None
_Handler = Callable[[Switch, Connection, Any, Instant], _Reply]

HANDLERS: dict[type[Message], _Handler] = {
    m.FeaturesRequest: configuration.features,
    m.GetConfigRequest: configuration.get_config,
    m.SetConfig: configuration.set_config,
    m.BarrierRequest: configuration.barrier,
    m.TableMod: configuration.modify_table,
    m.GroupMod: groups.change_groups,
    m.MeterMod: meters.change_meters,
    m.NxFlowModTableId: configuration.set_flow_mod_table_id,
    m.NxSetFlowFormat: configuration.set_flow_format,
    m.NxSetPacketInFormat: configuration.set_packet_in_format,
    m.NxSetControllerId: configuration.set_controller_id,
    m.FlowMod: flow_mods.change_flows,
    m.PacketOut: packets.send_packet_out,
    m.PortMod: port_messages.modify_port,
    m.RoleRequest: roles.change_role,
    m.GetAsyncRequest: roles.get_async,
    m.SetAsync: roles.set_async,
    m.QueueGetConfigRequest: queues.queue_config,
    mp.DescRequest: statistics.describe,
    mp.FlowStatsRequest: statistics.flow_stats,
    mp.AggregateRequest: statistics.aggregate,
    mp.TableStatsRequest: statistics.table_stats,
    mp.PortStatsRequest: statistics.port_stats,
    mp.QueueStatsRequest: queues.queue_stats,
    mp.GroupStatsRequest: groups.group_stats,
    mp.GroupDescRequest: groups.group_descriptions,
    mp.GroupFeaturesRequest: groups.group_features,
    mp.MeterStatsRequest: meters.meter_stats,
    mp.MeterConfigRequest: meters.meter_configs,
    mp.MeterFeaturesRequest: meters.meter_features,
    mp.TableFeaturesRequest: table_features.table_features,
    mp.PortDescRequest: port_messages.port_descriptions,
}
"""What each request does. Messages that only a switch sends, and vendors' unknown ones, are not here."""

_CHANGES = (m.FlowMod, m.PacketOut, m.GroupMod, m.PortMod, m.TableMod, m.MeterMod)
# What can change which packet-ins a connection gets.
_WISHES = frozenset({m.SetConfig, m.SetAsync, m.RoleRequest})


class Agent:
    """The OpenFlow side of one bridge."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self._task: Task | None = None
        self._replying: set[int] = set()  # connections with a long reply under way

    # Connections

    def connect(self, connection_id: int, kind: Kind, version: int, now: Instant) -> None:
        """A session agreed on a version (1 or 4). Ids are the caller's and must differ."""
        limits = self.switch.limits
        self.switch.connections[connection_id] = Connection(
            id=connection_id,
            kind=kind,
            version=version,
            packet_in_limit=RateLimit(limits.packet_in_rate, limits.packet_in_burst, now),
            miss_send_len=default_miss_send_len(kind),
        )
        packets.follow_misses(self.switch)
        self._follow_controllers()

    def disconnect(self, connection_id: int) -> None:
        """A connection ended; what waited for it is forgotten. Unknown ids are ignored."""
        self.switch.connections.pop(connection_id, None)
        self._replying.discard(connection_id)
        packets.follow_misses(self.switch)
        self._follow_controllers()

    def _follow_controllers(self) -> None:
        """Groups may watch the port CONTROLLER, which is live while there is one."""
        ports = self.switch.ports
        if ports.has_controller != self.has_controller:
            ports.has_controller = self.has_controller
            if groups.is_watched(self.switch, CONTROLLER):
                self.switch.effects.append(SettingsChanged())

    @property
    def has_controller(self) -> bool:
        """Whether a controller is connected, silent or not; management connections do not count."""
        return any(connection.kind is Kind.CONTROLLER for connection in self.switch.connections.values())

    # Messages in

    @property
    def has_long_work(self) -> bool:
        """Whether ``must_wait`` may be true of anything."""
        return self._task is not None or bool(self._replying)

    def must_wait(self, connection_id: int, envelope: Envelope) -> bool:
        """Whether a message cannot be handled before another one is done, or before the reply under way is whole."""
        if connection_id in self._replying:
            return True
        return self._task is not None and self._task.holds_up(connection_id, envelope)

    def handle(self, connection_id: int, envelope: Envelope, now: Instant) -> None:
        """Carry out one message that need not wait.

        Its reply or ERROR waits in ``take`` afterwards, or comes later: while ``is_busy`` call ``go_on``, while
        ``is_replying`` call ``go_on_with_reply``.
        """
        connection = self.switch.connections.get(connection_id)
        kind = type(envelope.message)
        if connection is None or kind is m.Error:
            return
        reply: _Reply
        try:
            reply = self._carry_out(connection, envelope.message, now)
            if kind in _WISHES:
                packets.follow_misses(self.switch)
        except RefusalError as refusal:
            reply = m.Error(refusal.type, refusal.code, envelope.head)
        match reply:
            case None:
                pass
            case LongReply():
                connection.reply = (envelope, reply)
                self._replying.add(connection_id)
                self.go_on_with_reply(connection_id)
            case Generator():
                self._begin(Task(connection_id, envelope, reply))
            case _:
                connection.push(reply, envelope.xid)

    # Long work

    @property
    def is_busy(self) -> bool:
        """Whether a message is being carried out in steps."""
        return self._task is not None

    def go_on(self) -> int | None:
        """Do one step of the message that is being carried out; its effects wait in ``take_effects``.

        Returns whose it is, None if there was none.
        """
        if self._task is None:
            return None
        connection = self._task.connection
        self._step(self._task)
        return connection

    def is_replying(self, connection_id: int) -> bool:
        """Whether a long reply to this connection is under way."""
        return connection_id in self._replying

    def go_on_with_reply(self, connection_id: int) -> None:
        """Make one part of it."""
        connection = self.switch.connections.get(connection_id)
        if connection is not None:
            connection.go_on_with_reply()
            if connection.reply is None:
                self._replying.discard(connection_id)

    def _begin(self, task: Task) -> None:
        self._task = task
        self.switch.tables.is_changing = True
        for _ in range(FIRST_STEPS):
            if not self._step(task):
                return

    def _step(self, task: Task) -> bool:
        """Whether there is more to do, and nothing that others must do first."""
        try:
            step = next(task.steps)
        except StopIteration as end:
            self._end(task, end.value)
            return False
        except RefusalError as refusal:
            self._end(task, m.Error(refusal.type, refusal.code, task.envelope.head))
            return False
        if step is Step.CHANGED:
            self.switch.effects.append(SettingsChanged())
        return step is Step.WORKED

    def _end(self, task: Task, reply: Message | None) -> None:
        self._task = None
        self.switch.tables.is_changing = False
        connection = self.switch.connections.get(task.connection)
        if connection is not None and reply is not None:
            connection.push(reply, task.envelope.xid)

    def _carry_out(self, connection: Connection, message: Message, now: Instant) -> _Reply:
        handler = HANDLERS.get(type(message))
        if handler is None:
            raise _unknown(message)
        if connection.is_slave and _changes_the_switch(message):
            raise RefusalError(BadRequest.IS_SLAVE, "a slave may only look")
        return handler(self.switch, connection, message, now)

    # What comes from the rest of the switch

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController, now: Instant) -> None:
        """A packet is for the controllers, as it was at that point of its actions."""
        packets.send_packet_in(self.switch, in_port, frame, action, now)

    def port_changed(self, reason: PortReason, port: SwitchPort, now: Instant) -> None:
        """A port came, went or changed by itself; the port table is changed already."""
        if reason is PortReason.DELETE:
            self.switch.port_since.pop(port.number, None)
        else:
            self.switch.port_since.setdefault(port.number, now)
        port_messages.announce_port(self.switch, reason, port)

    def flows_removed(self, removed: Iterable[tuple[Flow, int]], now: Instant) -> None:
        """Flows went by themselves: (flow, OFPRR_* reason) each, as ``TableSet.expire`` returns them."""
        flow_mods.announce_removed(self.switch, removed, now)

    # What goes out

    def take_effects(self) -> list[Effect]:
        """What the datapath has to do, in order, before any message of ``take`` is sent."""
        effects, self.switch.effects = self.switch.effects, []
        return effects

    def take(self, connection_id: int) -> list[Envelope]:
        """Messages for a connection, in order."""
        connection = self.switch.connections.get(connection_id)
        return [] if connection is None else connection.take()

    def waiting(self) -> Sequence[int]:
        """Connections that have messages in ``take``."""
        return [number for number, connection in self.switch.connections.items() if connection.outgoing]


def _changes_the_switch(message: Message) -> bool:
    """Whether a slave may not send this (OpenFlow 1.3.5, 6.3.4)."""
    return isinstance(message, _CHANGES) or (isinstance(message, mp.TableFeaturesRequest) and bool(message.entries))


def _unknown(message: Message) -> RefusalError:
    if isinstance(message, m.Experimenter | mp.ExperimenterMultipartRequest):
        return RefusalError(BadRequest.BAD_EXPERIMENTER, f"nothing of experimenter {message.experimenter:#x} is known")
    return RefusalError(BadRequest.BAD_TYPE, f"a controller does not send {type(message).__name__}")
