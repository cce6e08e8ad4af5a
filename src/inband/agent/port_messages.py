"""Ports: what a controller reads and changes of them, and what it is told.

Port configuration from a controller holds for data traffic only; control traffic passes all the same
(docs/in-band.md, "What hidden means"). That is the pipeline's business: here the bits are only stored and reported.
"""

from __future__ import annotations

from inband.agent.connection import Connection
from inband.agent.effects import SettingsChanged
from inband.agent.long_reply import LongReply, long_reply
from inband.agent.refusal import RefusalError
from inband.agent.switch import Switch
from inband.openflow.messages import PortMod, PortStatus
from inband.openflow.multipart import PortDescReply, PortDescRequest
from inband.openflow.parts import PortDescription
from inband.pipeline.ports import SwitchPort
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import OFP10, PortConfig, PortReason
from inband.vocabulary.openflow_errors import PortModFailed

MAX_NAME = 15  # OFP_MAX_PORT_NAME_LEN, less the final zero

_SETTABLE_13 = PortConfig.PORT_DOWN | PortConfig.NO_RECV | PortConfig.NO_FWD | PortConfig.NO_PACKET_IN
# 1.0 has the bits of 802.1D besides. NO_STP and NO_RECV_STP change nothing: the spanning tree is the configuration's.
_SETTABLE_10 = _SETTABLE_13 | PortConfig.NO_STP | PortConfig.NO_RECV_STP | PortConfig.NO_FLOOD


def describe_port(port: SwitchPort) -> PortDescription:
    """A port as messages show it (OpenFlow 1.3.5, 7.2.1)."""
    return PortDescription(
        port=port.number,
        mac=port.mac,
        name=port.name[:MAX_NAME],
        config=port.config,
        state=port.state,
        current=port.link.current,
        advertised=port.link.advertised,
        supported=port.link.supported,
        peer=port.link.peer,
        current_speed_kbps=port.link.current_speed_kbps,
        max_speed_kbps=port.link.max_speed_kbps,
    )


def port_descriptions(switch: Switch, _: Connection, __: PortDescRequest, ___: Instant) -> LongReply:
    """PORT_DESC: every port."""
    return long_reply(PortDescReply, map(describe_port, list(switch.ports)))


def modify_port(switch: Switch, connection: Connection, request: PortMod, _: Instant) -> None:
    """PORT_MOD: change configuration bits; all who want port status are told (7.3.4.3)."""
    port = switch.ports.get(request.port)
    if port is None:
        raise RefusalError(PortModFailed.BAD_PORT, f"there is no port {request.port}")
    if request.mac != port.mac:
        raise RefusalError(PortModFailed.BAD_HW_ADDR, f"port {request.port} has {port.mac}, not {request.mac}")
    settable = _SETTABLE_10 if connection.version == OFP10 else _SETTABLE_13
    if request.mask & ~settable or request.config & ~request.mask:
        raise RefusalError(PortModFailed.BAD_CONFIG, f"port configuration bits {int(request.mask):#x} cannot be set")
    if not switch.ports.configure(request.port, request.config, request.mask):
        return
    changed = switch.ports.get(request.port)
    assert changed is not None, "it was there a moment ago"
    switch.effects.append(SettingsChanged())
    announce_port(switch, PortReason.MODIFY, changed)


def announce_port(switch: Switch, reason: PortReason, port: SwitchPort) -> None:
    """Send PORT_STATUS to every connection that wants it (7.4.3)."""
    message = PortStatus(reason, describe_port(port))
    for connection in switch.connections.values():
        if connection.wants_port_status(reason):
            connection.push(message)
