"""Features, switch configuration, and the small requests that change how a connection is served."""

from __future__ import annotations

from inband.agent.connection import Connection, Kind
from inband.agent.effects import SettingsChanged
from inband.agent.port_messages import describe_port
from inband.agent.refusal import RefusalError
from inband.agent.switch import Switch
from inband.openflow.messages import (
    BarrierReply,
    BarrierRequest,
    FeaturesReply,
    FeaturesRequest,
    GetConfigReply,
    GetConfigRequest,
    NxFlowModTableId,
    NxSetControllerId,
    NxSetFlowFormat,
    NxSetPacketInFormat,
    SetConfig,
    TableMod,
)
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import ALL_TABLES, OFP10, Capabilities, ConfigFlags
from inband.vocabulary.openflow_errors import BadRequest, SwitchConfigFailed, TableModFailed

_CAPABILITIES = Capabilities.FLOW_STATS | Capabilities.TABLE_STATS | Capabilities.PORT_STATS | Capabilities.QUEUE_STATS
_CAPABILITIES_10 = _CAPABILITIES | Capabilities.ARP_MATCH_IP
_CAPABILITIES_13 = _CAPABILITIES | Capabilities.GROUP_STATS

# Packets are not reassembled, and Open vSwitch does not do it either.
_FRAGMENT_HANDLINGS = (ConfigFlags.FRAG_NORMAL, ConfigFlags.FRAG_DROP, ConfigFlags.FRAG_NX_MATCH)

# Nicira's formats: NXFF_OPENFLOW10, NXFF_NXM; NXPIF_STANDARD, NXPIF_NXT_PACKET_IN.
_FLOW_FORMATS = {0: False, 2: True}
_PACKET_IN_FORMATS = {0: False, 1: True}


def features(switch: Switch, connection: Connection, _: FeaturesRequest, __: Instant) -> FeaturesReply:
    """FEATURES (OpenFlow 1.3.5, 7.3.1); a 1.0 peer hears of the ports here."""
    is_10 = connection.version == OFP10
    return FeaturesReply(
        datapath_id=switch.identity.datapath_id,
        n_buffers=0,
        n_tables=len(switch.tables),
        capabilities=_CAPABILITIES_10 if is_10 else _CAPABILITIES_13,
        ports=tuple(describe_port(port) for port in switch.ports) if is_10 else (),
    )


def barrier(_: Switch, __: Connection, ___: BarrierRequest, ____: Instant) -> BarrierReply:
    """BARRIER (7.3.8): requests are carried out in order and at once, and effects before replies; so it is done."""
    return BarrierReply()


def get_config(switch: Switch, connection: Connection, _: GetConfigRequest, __: Instant) -> GetConfigReply:
    """GET_CONFIG (7.3.2)."""
    return GetConfigReply(switch.tables.fragments, connection.miss_send_len)


def set_config(switch: Switch, connection: Connection, request: SetConfig, _: Instant) -> None:
    """SET_CONFIG (7.3.2). How fragments are handled is the switch's, so a slave does not change it."""
    if request.flags not in _FRAGMENT_HANDLINGS:
        raise RefusalError(SwitchConfigFailed.BAD_FLAGS, f"no fragment handling {request.flags!r}")
    if request.flags != switch.tables.fragments and not connection.is_slave:
        switch.tables.fragments = request.flags
        switch.effects.append(SettingsChanged())
    connection.miss_send_len = request.miss_send_len
    if connection.kind is Kind.MANAGEMENT:
        connection.has_asked_for_events = request.miss_send_len > 0


def modify_table(switch: Switch, _: Connection, request: TableMod, __: Instant) -> None:
    """TABLE_MOD (7.3.3): 1.3 has nothing to configure."""
    if request.table_id != ALL_TABLES and request.table_id >= len(switch.tables):
        raise RefusalError(TableModFailed.BAD_TABLE, f"there is no table {request.table_id}")
    if request.config:
        raise RefusalError(TableModFailed.BAD_CONFIG, f"tables have no configuration {request.config:#x}")


def set_flow_format(_: Switch, connection: Connection, request: NxSetFlowFormat, __: Instant) -> None:
    """Nicira: in which form FLOW_REMOVED comes."""
    if request.format not in _FLOW_FORMATS:
        raise RefusalError(BadRequest.EPERM, f"there is no flow format {request.format}")
    connection.is_nicira_flow_format = _FLOW_FORMATS[request.format]


def set_packet_in_format(_: Switch, connection: Connection, request: NxSetPacketInFormat, __: Instant) -> None:
    """Nicira: in which form PACKET_IN comes."""
    if request.format not in _PACKET_IN_FORMATS:
        raise RefusalError(BadRequest.EPERM, f"there is no packet-in format {request.format}")
    connection.is_nicira_packet_in = _PACKET_IN_FORMATS[request.format]


def set_controller_id(_: Switch, connection: Connection, request: NxSetControllerId, __: Instant) -> None:
    """Nicira: by which number the controller action names this connection."""
    connection.controller_id = request.controller_id


def set_flow_mod_table_id(_: Switch, __: Connection, ___: NxFlowModTableId, ____: Instant) -> None:
    """Nicira: the session's decoder has taken note already; there is nothing left to do."""
