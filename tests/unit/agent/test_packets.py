"""PACKET_IN and PACKET_OUT."""

from __future__ import annotations

import pytest

from inband.agent.connection import Kind
from inband.agent.effects import Execute, SettingsChanged
from inband.agent.switch import Limits
from inband.flow import ports
from inband.flow.actions import Action, Group, Output, PacketInReason, ToController
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.openflow.messages import (
    NxSetControllerId,
    NxSetPacketInFormat,
    PacketIn,
    PacketOut,
    RoleRequest,
    SetAsync,
    SetConfig,
)
from inband.openflow.parts import AsyncMasks
from inband.packet.frame import Frame, GsoType, Offload
from inband.table.flow_table import TableMiss
from inband.vocabulary.openflow import NO_COOKIE, OFP10, OFP13, ConfigFlags, Role
from inband.vocabulary.openflow_errors import BadAction, BadRequest, ErrorType
from tests.unit.agent.bench_switch import Bench

FRAME = Frame(bytes(range(60)))
MISS = ToController(PacketInReason.NO_MATCH, max_len=128, table_id=3, cookie=0xC0)
PORT = PortNo(1)


def test_a_packet_in_has_the_whole_packet_and_where_it_came_from() -> None:
    bench = Bench()

    bench.agent.packet_in(PORT, FRAME, MISS, 0.0)

    assert bench.take() == [
        PacketIn(PacketInReason.NO_MATCH, Match.of(in_port=1), FRAME.data, 60, table_id=3, cookie=0xC0)
    ]


def test_a_packet_in_shows_the_metadata_and_tunnel_that_tables_have_set() -> None:
    bench = Bench()
    action = ToController(PacketInReason.ACTION, 0xFFFF, 0, 0, metadata=7, tunnel_id=8)

    bench.agent.packet_in(PORT, FRAME, action, 0.0)

    (message,) = bench.take()
    assert isinstance(message, PacketIn)
    assert message.match == Match.of(in_port=1, metadata=7, tunnel_id=8)


def test_a_reassembled_segment_becomes_the_packets_of_the_wire() -> None:
    bench = Bench()
    header = bytes.fromhex("02000000000202000000000108004500")
    ip = bytes.fromhex("0fc800004000400600000a0000010a000002")
    tcp = bytes.fromhex("04d2005000000001000000015010ffff00000000")
    data = header + ip + tcp + bytes(4000)
    offload = Offload(csum_start=34, csum_offset=16, gso_type=GsoType.TCPV4, gso_size=1448, hdr_len=54)

    bench.agent.packet_in(PORT, Frame(data, offload), MISS, 0.0)

    sizes = [len(message.data) for message in bench.take() if isinstance(message, PacketIn)]
    assert sizes == [54 + 1448, 54 + 1448, 54 + 1104]


def test_a_frame_too_long_for_a_message_says_how_long_it_was() -> None:
    bench = Bench()

    bench.agent.packet_in(PORT, Frame(bytes(65530)), MISS, 0.0)

    (message,) = bench.take()
    assert isinstance(message, PacketIn)
    assert (len(message.data), message.total_len) == (65000, 65530)


def test_packet_ins_above_the_rate_are_counted_not_queued() -> None:
    bench = Bench(limits=Limits(packet_in_rate=10, packet_in_burst=3))

    for _ in range(5):
        bench.agent.packet_in(PORT, FRAME, MISS, 0.0)
    at_once = len(bench.take())
    for _ in range(5):
        bench.agent.packet_in(PORT, FRAME, MISS, 0.1)

    assert at_once == 3
    assert len(bench.take()) == 1
    assert bench.agent.switch.connections[1].packet_ins_limited == 6


def test_the_rate_of_one_controller_is_not_another_ones() -> None:
    bench = Bench(limits=Limits(packet_in_rate=10, packet_in_burst=1))
    bench.agent.packet_in(PORT, FRAME, MISS, 0.0)
    bench.agent.connect(2, Kind.CONTROLLER, OFP13, 0.0)

    bench.agent.packet_in(PORT, FRAME, MISS, 0.0)

    assert len(bench.take(1)) == 1
    assert len(bench.take(2)) == 1


def test_a_slave_gets_no_packet_ins_unless_it_asked() -> None:
    bench = Bench()
    bench.send(RoleRequest(Role.SLAVE, 1))

    bench.agent.packet_in(PORT, FRAME, MISS, 0.0)
    silent = bench.take()
    bench.send(SetAsync(AsyncMasks(packet_in_slave=1)))
    bench.agent.packet_in(PORT, FRAME, MISS, 0.0)

    assert silent == []
    assert len(bench.take()) == 1


@pytest.mark.parametrize(("version", "reason"), [(OFP13, PacketInReason.NO_MATCH), (OFP10, PacketInReason.ACTION)])
def test_the_table_miss_flow_is_one_like_others_for_1_0(version: int, reason: PacketInReason) -> None:
    bench = Bench(version=version)
    by_flow = ToController(PacketInReason.NO_MATCH, 128, 0, 5, by_miss_flow=True)

    bench.agent.packet_in(PORT, FRAME, by_flow, 0.0)
    (message,) = bench.take()
    bench.send(SetAsync(AsyncMasks(packet_in=1 << reason)))
    bench.agent.packet_in(PORT, FRAME, by_flow, 0.0)
    asked_for = bench.take()
    bench.send(SetAsync(AsyncMasks(packet_in=~(1 << reason) & 0xFFFFFFFF)))
    bench.agent.packet_in(PORT, FRAME, by_flow, 0.0)

    assert isinstance(message, PacketIn)
    assert message.reason is reason
    assert asked_for == [message]
    assert bench.take() == []


def test_a_flow_that_says_no_match_says_so_to_1_0_too() -> None:
    bench = Bench(version=OFP10)

    bench.agent.packet_in(PORT, FRAME, ToController(PacketInReason.NO_MATCH, 128, 0, 5), 0.0)

    (message,) = bench.take()
    assert isinstance(message, PacketIn)
    assert message.reason is PacketInReason.NO_MATCH


def test_an_invalid_ttl_is_reported_only_when_asked_for() -> None:
    bench = Bench()
    action = ToController(PacketInReason.INVALID_TTL, 0xFFFF, 0, 0)

    bench.agent.packet_in(PORT, FRAME, action, 0.0)
    silent = bench.take()
    bench.send(SetAsync(AsyncMasks(packet_in=1 << PacketInReason.INVALID_TTL)))
    bench.agent.packet_in(PORT, FRAME, action, 0.0)

    assert silent == []
    assert len(bench.take()) == 1


def test_a_management_connection_gets_packet_ins_once_it_sets_a_miss_send_len() -> None:
    bench = Bench()
    bench.agent.connect(2, Kind.MANAGEMENT, OFP13, 0.0)

    bench.agent.packet_in(PORT, FRAME, MISS, 0.0)
    silent = bench.take(2)
    bench.send(SetConfig(ConfigFlags.FRAG_NORMAL, 128), connection=2)
    bench.agent.packet_in(PORT, FRAME, MISS, 0.0)

    assert silent == []
    assert len(bench.take(2)) == 1


def test_a_controller_action_reaches_the_connection_with_its_id_only() -> None:
    bench = Bench()
    bench.agent.connect(2, Kind.CONTROLLER, OFP13, 0.0)
    bench.send(NxSetControllerId(5), connection=2)

    bench.agent.packet_in(PORT, FRAME, ToController(PacketInReason.ACTION, 0xFFFF, 0, 0, controller_id=5), 0.0)

    assert bench.take(1) == []
    assert len(bench.take(2)) == 1


def test_a_peer_that_chose_niciras_form_gets_packet_ins_in_it() -> None:
    bench = Bench()
    bench.send(NxSetPacketInFormat(1))

    bench.agent.packet_in(PORT, FRAME, MISS, 0.0)

    (message,) = bench.take()
    assert isinstance(message, PacketIn)
    assert message.nicira


NO_FLOW = ToController(PacketInReason.NO_MATCH, 0xFFFF, table_id=0, cookie=NO_COOKIE)


def test_packets_without_a_flow_go_to_1_0_controllers_only() -> None:
    bench = Bench()
    bench.agent.connect(2, Kind.CONTROLLER, OFP10, 0.0)

    bench.agent.packet_in(PORT, FRAME, NO_FLOW, 0.0)

    assert bench.take(1) == []
    assert len(bench.take(2)) == 1


def test_table_0_hands_packets_without_a_flow_up_only_while_somebody_wants_them() -> None:
    bench = Bench()
    seen = [bench.tables[0].miss]

    bench.agent.connect(2, Kind.CONTROLLER, OFP10, 0.0)
    seen.append(bench.tables[0].miss)
    bench.send(RoleRequest(Role.SLAVE), connection=2)
    seen.append(bench.tables[0].miss)
    bench.send(RoleRequest(Role.EQUAL), connection=2)
    bench.agent.disconnect(2)
    seen.append(bench.tables[0].miss)

    assert seen == [TableMiss.DROP, TableMiss.CONTROLLER, TableMiss.DROP, TableMiss.DROP]
    assert bench.agent.take_effects() == [SettingsChanged()] * 4


@pytest.mark.parametrize("in_port", [PORT, PortNo(0), ports.LOCAL, ports.CONTROLLER, ports.ANY])
def test_a_packet_out_is_handed_to_the_datapath(in_port: PortNo) -> None:
    bench = Bench()
    actions = (Output(ports.TABLE),)

    replies = bench.send(PacketOut(in_port, actions, FRAME.data))

    assert replies == []
    assert bench.agent.take_effects() == [Execute(in_port, FRAME, actions)]


@pytest.mark.parametrize(
    ("in_port", "actions", "data", "buffer_id", "type_", "code"),
    [
        (PORT, (), FRAME.data, 7, ErrorType.BAD_REQUEST, BadRequest.BUFFER_UNKNOWN),
        (ports.FLOOD, (), FRAME.data, None, ErrorType.BAD_REQUEST, BadRequest.BAD_PORT),
        (PORT, (Output(PortNo(0)),), FRAME.data, None, ErrorType.BAD_ACTION, BadAction.BAD_OUT_PORT),
        (PORT, (Group(1),), FRAME.data, None, ErrorType.BAD_ACTION, BadAction.BAD_OUT_GROUP),
    ],
)
def test_a_packet_out_that_makes_no_sense_is_refused(
    in_port: PortNo, actions: tuple[Action, ...], data: bytes, buffer_id: int | None, type_: int, code: int
) -> None:
    bench = Bench()
    request = PacketOut(in_port, actions, data) if buffer_id is None else PacketOut(in_port, actions, data, buffer_id)

    assert bench.error(request) == (type_, code)
    assert bench.agent.take_effects() == []
