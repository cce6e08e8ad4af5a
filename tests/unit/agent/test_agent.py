"""Connections, roles, ports and configuration, as one controller after the other sees them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inband.agent.connection import DEFAULT_MASKS, Kind
from inband.agent.effects import SettingsChanged
from inband.agent.port_messages import describe_port
from inband.flow.actions import Output
from inband.flow.groups import Bucket
from inband.flow.match import ANY
from inband.flow.ports import CONTROLLER, PortNo
from inband.openflow.messages import (
    BarrierReply,
    BarrierRequest,
    EchoReply,
    Envelope,
    Error,
    Experimenter,
    FeaturesReply,
    FeaturesRequest,
    FlowMod,
    GetAsyncReply,
    GetAsyncRequest,
    GetConfigReply,
    GetConfigRequest,
    GroupMod,
    Message,
    MeterMod,
    NxFlowModTableId,
    NxSetFlowFormat,
    NxSetPacketInFormat,
    PacketOut,
    PortMod,
    PortStatus,
    RoleReply,
    RoleRequest,
    SetAsync,
    SetConfig,
    TableMod,
)
from inband.openflow.multipart import ExperimenterMultipartRequest, TableFeatures, TableFeaturesRequest
from inband.openflow.parts import AsyncMasks
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import (
    ALL_METERS,
    ALL_TABLES,
    OFP10,
    OFP13,
    Capabilities,
    ConfigFlags,
    FlowModCommand,
    GroupModCommand,
    GroupType,
    MeterFlags,
    MeterModCommand,
    PortConfig,
    PortReason,
    PortState,
    Role,
)
from inband.vocabulary.openflow_errors import (
    BadRequest,
    ErrorType,
    PortModFailed,
    RoleRequestFailed,
    SwitchConfigFailed,
    TableModFailed,
)
from tests.unit.agent.bench_switch import LOCAL_PORT, PORT_1, PORT_2, Bench

NO_RECV = PortConfig.NO_RECV


def test_features_say_who_the_switch_is() -> None:
    bench = Bench(n_tables=4)

    (reply,) = bench.send(FeaturesRequest())

    assert isinstance(reply, FeaturesReply)
    assert (reply.datapath_id, reply.n_buffers, reply.n_tables, reply.ports) == (0x2A, 0, 4, ())
    assert Capabilities.FLOW_STATS | Capabilities.TABLE_STATS | Capabilities.PORT_STATS in reply.capabilities
    assert Capabilities.ARP_MATCH_IP not in reply.capabilities


def test_features_in_1_0_name_the_ports() -> None:
    bench = Bench(version=OFP10)

    (reply,) = bench.send(FeaturesRequest())

    assert isinstance(reply, FeaturesReply)
    assert reply.ports == tuple(map(describe_port, (PORT_1, PORT_2, LOCAL_PORT)))


def test_a_reply_has_the_version_and_transaction_of_its_request() -> None:
    bench = Bench()

    bench.agent.handle(1, Envelope(OFP13, 0xABC, BarrierRequest()), 0.0)

    assert bench.agent.waiting() == [1]
    assert bench.agent.take(1) == [Envelope(OFP13, 0xABC, BarrierReply())]
    assert bench.agent.waiting() == []


def test_configuration_is_kept_per_connection() -> None:
    bench = Bench()
    bench.agent.connect(2, Kind.MANAGEMENT, OFP13, 0.0)

    bench.send(SetConfig(ConfigFlags.FRAG_NORMAL, 500))

    assert bench.send(GetConfigRequest()) == [GetConfigReply(ConfigFlags.FRAG_NORMAL, 500)]
    assert bench.send(GetConfigRequest(), connection=2) == [GetConfigReply(ConfigFlags.FRAG_NORMAL, 0)]


def test_only_controllers_count_as_controllers() -> None:
    bench = Bench()
    bench.agent.connect(2, Kind.MANAGEMENT, OFP13, 0.0)

    both = bench.agent.has_controller
    bench.agent.disconnect(1)

    assert both
    assert not bench.agent.has_controller


def test_a_connection_that_is_gone_gets_and_does_nothing() -> None:
    bench = Bench()
    bench.agent.disconnect(1)
    bench.agent.disconnect(1)

    assert bench.send(FlowMod(FlowModCommand.ADD)) == []
    assert bench.tables.select() == []


def test_an_error_from_the_peer_is_not_answered() -> None:
    assert Bench().send(Error(1, 1, b"")) == []


@pytest.mark.parametrize("handling", [ConfigFlags.FRAG_DROP, ConfigFlags.FRAG_NX_MATCH])
def test_how_fragments_are_handled_is_the_switchs_and_what_was_cached_goes(handling: ConfigFlags) -> None:
    bench = Bench()
    bench.agent.connect(2, Kind.MANAGEMENT, OFP10, 0.0)
    bench.agent.take_effects()

    assert bench.send(SetConfig(handling, 128)) == []
    assert bench.send(SetConfig(handling, 128)) == []

    assert bench.agent.take_effects() == [SettingsChanged()]
    assert bench.tables.fragments == handling
    assert bench.send(GetConfigRequest(), connection=2) == [GetConfigReply(handling, 0)]


def test_a_slave_does_not_change_how_fragments_are_handled() -> None:
    bench = Bench()
    bench.send(RoleRequest(Role.SLAVE, 1))
    bench.agent.take_effects()

    assert bench.send(SetConfig(ConfigFlags.FRAG_DROP, 9)) == []

    assert bench.agent.take_effects() == []
    assert bench.send(GetConfigRequest()) == [GetConfigReply(ConfigFlags.FRAG_NORMAL, 9)]


def test_the_port_controller_is_live_while_a_controller_is_connected() -> None:
    bench = Bench()
    watching = Bucket((Output(PortNo(1)),), watch_port=CONTROLLER)
    bench.send(GroupMod(GroupModCommand.ADD, GroupType.FF, 1, (watching,)))
    bench.agent.connect(2, Kind.MANAGEMENT, OFP13, 0.0)
    bench.agent.take_effects()
    assert bench.ports.is_live(CONTROLLER)

    bench.agent.disconnect(1)
    assert not bench.ports.is_live(CONTROLLER)
    assert bench.agent.take_effects() == [SettingsChanged()]

    bench.agent.connect(3, Kind.CONTROLLER, OFP13, 0.0)
    assert bench.ports.is_live(CONTROLLER)
    assert bench.agent.take_effects() == [SettingsChanged()]


def test_nothing_cached_goes_with_a_controller_that_no_group_watches() -> None:
    bench = Bench()
    bench.agent.take_effects()

    bench.agent.disconnect(1)

    assert bench.agent.take_effects() == []


@pytest.mark.parametrize(
    ("message", "type_", "code"),
    [
        (Experimenter(0x4F4E4600, 1, b""), ErrorType.BAD_REQUEST, BadRequest.BAD_EXPERIMENTER),
        (ExperimenterMultipartRequest(0x4F4E4600, 1), ErrorType.BAD_REQUEST, BadRequest.BAD_EXPERIMENTER),
        (BarrierReply(), ErrorType.BAD_REQUEST, BadRequest.BAD_TYPE),
        (EchoReply(), ErrorType.BAD_REQUEST, BadRequest.BAD_TYPE),
        (SetConfig(ConfigFlags.FRAG_REASM, 1), ErrorType.SWITCH_CONFIG_FAILED, SwitchConfigFailed.BAD_FLAGS),
        (TableMod(9, 0), ErrorType.TABLE_MOD_FAILED, TableModFailed.BAD_TABLE),
        (TableMod(0, 3), ErrorType.TABLE_MOD_FAILED, TableModFailed.BAD_CONFIG),
        (NxSetFlowFormat(1), ErrorType.BAD_REQUEST, BadRequest.EPERM),
        (NxSetPacketInFormat(9), ErrorType.BAD_REQUEST, BadRequest.EPERM),
    ],
)
def test_what_the_switch_cannot_do_is_answered_with_the_right_error(message: Message, type_: int, code: int) -> None:
    assert Bench().error(message) == (type_, code)


@pytest.mark.parametrize(
    "message",
    [
        TableMod(ALL_TABLES, 0),
        GroupMod(GroupModCommand.DELETE, GroupType.ALL, 1),
        MeterMod(MeterModCommand.DELETE, MeterFlags.KBPS, ALL_METERS),
        NxFlowModTableId(True),
        NxSetFlowFormat(2),
        NxSetPacketInFormat(1),
    ],
)
def test_requests_without_a_reply_succeed_in_silence(message: Message) -> None:
    assert Bench().send(message) == []


# --- roles ---


def test_a_new_master_makes_the_old_one_a_slave() -> None:
    bench = Bench()
    bench.agent.connect(2, Kind.CONTROLLER, OFP13, 0.0)
    bench.send(RoleRequest(Role.MASTER, 5))

    assert bench.send(RoleRequest(Role.MASTER, 6), connection=2) == [RoleReply(Role.MASTER, 6)]
    assert bench.send(RoleRequest(Role.NOCHANGE)) == [RoleReply(Role.SLAVE, 6)]


def test_a_role_asked_for_before_any_election_has_no_generation() -> None:
    assert Bench().send(RoleRequest(Role.NOCHANGE)) == [RoleReply(Role.EQUAL, 0xFFFFFFFFFFFFFFFF)]


def test_a_stale_election_is_refused_and_wrapping_around_is_not_stale() -> None:
    bench = Bench()
    bench.send(RoleRequest(Role.MASTER, 0xFFFFFFFFFFFFFFFF))

    assert bench.send(RoleRequest(Role.SLAVE, 0)) == [RoleReply(Role.SLAVE, 0)]
    stale = bench.error(RoleRequest(Role.MASTER, 0xFFFFFFFFFFFFFFFF))
    assert stale == (ErrorType.ROLE_REQUEST_FAILED, RoleRequestFailed.STALE)
    assert bench.send(RoleRequest(Role.EQUAL)) == [RoleReply(Role.EQUAL, 0)]


TABLE = TableFeatures(0, "", 0, 0, 0, 0)


@pytest.mark.parametrize(
    "message",
    [
        FlowMod(FlowModCommand.DELETE, table_id=ALL_TABLES),
        PacketOut(PortNo(1), (), bytes(60)),
        GroupMod(GroupModCommand.DELETE, GroupType.ALL, 1),
        MeterMod(MeterModCommand.DELETE, MeterFlags.KBPS, ALL_METERS),
        PortMod(PORT_1.number, PORT_1.mac, NO_RECV, NO_RECV),
        TableMod(0, 0),
        TableFeaturesRequest((TABLE,)),
    ],
)
def test_a_slave_may_only_look(message: Message) -> None:
    bench = Bench()
    bench.send(FlowMod(FlowModCommand.ADD, ANY))
    bench.agent.take_effects()
    bench.send(RoleRequest(Role.SLAVE, 1))

    assert bench.error(message) == (ErrorType.BAD_REQUEST, BadRequest.IS_SLAVE)
    assert len(bench.tables.select()) == 1
    assert bench.agent.take_effects() == []


def test_asynchronous_configuration_is_what_was_set() -> None:
    bench = Bench()
    masks = AsyncMasks(1, 2, 3, 4, 5, 6)

    before = bench.send(GetAsyncRequest())
    bench.send(SetAsync(masks))

    assert before == [GetAsyncReply(DEFAULT_MASKS)]
    assert bench.send(GetAsyncRequest()) == [GetAsyncReply(masks)]


# --- ports ---


def test_a_port_modification_is_stored_told_to_the_datapath_and_announced() -> None:
    bench = Bench()
    bench.agent.connect(2, Kind.CONTROLLER, OFP13, 0.0)
    bench.send(RoleRequest(Role.SLAVE, 1), connection=2)

    announced = bench.send(PortMod(PORT_1.number, PORT_1.mac, NO_RECV, NO_RECV))

    changed = replace(PORT_1, config=NO_RECV)
    assert bench.ports.get(PORT_1.number) == changed
    assert bench.agent.take_effects() == [SettingsChanged()]
    assert announced == [PortStatus(PortReason.MODIFY, describe_port(changed))]
    assert bench.take(2) == announced


def test_a_port_modification_that_changes_nothing_says_nothing() -> None:
    bench = Bench()

    assert bench.send(PortMod(PORT_1.number, PORT_1.mac, PortConfig.NONE, NO_RECV)) == []
    assert bench.agent.take_effects() == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (PortMod(PortNo(9), PORT_1.mac, NO_RECV, NO_RECV), PortModFailed.BAD_PORT),
        (PortMod(PORT_1.number, Mac(5), NO_RECV, NO_RECV), PortModFailed.BAD_HW_ADDR),
        (PortMod(PORT_1.number, PORT_1.mac, PortConfig.NO_FLOOD, PortConfig.NO_FLOOD), PortModFailed.BAD_CONFIG),
        (PortMod(PORT_1.number, PORT_1.mac, NO_RECV, PortConfig.NONE), PortModFailed.BAD_CONFIG),
    ],
)
def test_a_bad_port_modification_is_refused(message: PortMod, code: int) -> None:
    assert Bench().error(message) == (ErrorType.PORT_MOD_FAILED, code)


def test_1_0_may_set_no_flood() -> None:
    bench = Bench(version=OFP10)

    bench.send(PortMod(PORT_1.number, PORT_1.mac, PortConfig.NO_FLOOD, PortConfig.NO_FLOOD))

    port = bench.ports.get(PORT_1.number)
    assert port is not None
    assert port.config == PortConfig.NO_FLOOD


def test_ports_that_come_go_and_change_are_announced_to_those_who_want_it() -> None:
    bench = Bench()
    bench.agent.connect(2, Kind.MANAGEMENT, OFP13, 0.0)
    down = replace(PORT_2, state=PortState.LINK_DOWN)

    for reason in PortReason:
        bench.agent.port_changed(reason, down, 1.0)

    assert bench.take() == [PortStatus(reason, describe_port(down)) for reason in PortReason]
    assert bench.take(2) == []


def test_a_long_interface_name_is_cut_to_what_a_message_holds() -> None:
    assert describe_port(replace(PORT_1, name="a" * 20)).name == "a" * 15
