"""OpenFlow messages as values, the same for 1.0 and 1.3.

Every message that a controller or a switch can send is one frozen dataclass here; ``inband.openflow.codec`` turns
bytes into an :class:`Envelope` and back. What a version calls or numbers differently is levelled by the codec:
OpenFlow 1.0's action list is one ApplyActions instruction, its 16-bit reserved ports are the 32-bit ones, its vendor
messages for roles and asynchronous configuration are RoleRequest and SetAsync, its switch description's ports are
PortDescription. Attributes that only one version has carry a default and say which.

``nicira=True`` on a message means that it travels in Nicira's form (NXT_* and NXST_*, with a free match), which
ovs-ofctl prefers in OpenFlow 1.0; a reply copies it from its request.

Not here: what a message does (``inband.agent``), and multipart bodies (``inband.openflow.multipart``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from inband.flow.actions import Action, Instruction, PacketInReason
from inband.flow.flow import FlowFlags
from inband.flow.groups import Bucket
from inband.flow.match import ANY, NO_SURPLUS, Match, Surplus
from inband.flow.meters import MeterBand
from inband.flow.ports import ANY as ANY_PORT
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.multipart import MultipartMessage
from inband.openflow.parts import AsyncMasks, PortDescription, QueueDescription
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import (
    ANY_GROUP,
    NO_BUFFER,
    Capabilities,
    ConfigFlags,
    FlowModCommand,
    FlowRemovedReason,
    GroupModCommand,
    GroupType,
    MeterFlags,
    MeterModCommand,
    PortConfig,
    PortFeatures,
    PortReason,
    Role,
)
from inband.vocabulary.values import value

DEFAULT_PRIORITY = OpenFlowPriority(0x8000)  # OFP_DEFAULT_PRIORITY (1.0, 5.3.3)


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of each side (1.3.5, 7.5.1): ``versions`` from the bitmap, or None where there was none."""

    versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Error:
    """A request failed (7.4.4). ``type`` and ``code`` as in 1.3 (also in 1.0); ``data`` starts the request."""

    type: int
    code: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class EchoRequest:
    """Are you there? (7.5.2)."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class EchoReply:
    """I am; ``data`` is the request's (7.5.2)."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Experimenter:
    """A vendor message that is not known here, kept as it is (7.5.4).

    ``type`` is None for an OpenFlow 1.0 vendor message with no room for one.
    """

    experimenter: int
    type: int | None
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class FeaturesRequest:
    """Who are you? (7.3.1)."""


@dataclass(frozen=True, slots=True)
class FeaturesReply:
    """What the switch is (7.3.1). ``actions`` (bits 1 << OFPAT) and ``ports`` travel in 1.0 only (there 5.3.1)."""

    datapath_id: int
    n_buffers: int = 0
    n_tables: int = 1
    auxiliary_id: int = 0
    capabilities: Capabilities = Capabilities.NONE
    actions: int = 0xFFF
    ports: tuple[PortDescription, ...] = ()


@dataclass(frozen=True, slots=True)
class GetConfigRequest:
    """Ask for the switch's configuration (7.3.2)."""


@dataclass(frozen=True, slots=True)
class GetConfigReply:
    """The switch's configuration (7.3.2); ``miss_send_len`` in bytes."""

    flags: ConfigFlags
    miss_send_len: int


@dataclass(frozen=True, slots=True)
class SetConfig:
    """Change the switch's configuration (7.3.2)."""

    flags: ConfigFlags
    miss_send_len: int


@value(frozen=True, slots=True)
class PacketIn:
    """A packet for the controller (7.4.1). ``match`` has in_port and pipeline fields; 1.0 keeps in_port only."""

    reason: PacketInReason
    match: Match
    data: bytes
    total_len: int
    table_id: int = 0
    cookie: int = 0
    buffer_id: int = NO_BUFFER
    nicira: bool = False


@dataclass(frozen=True, slots=True)
class FlowRemoved:
    """A flow is gone (7.4.2)."""

    match: Match
    priority: OpenFlowPriority
    reason: FlowRemovedReason
    cookie: int = 0
    table_id: int = 0
    duration_sec: int = 0
    duration_nsec: int = 0
    idle_timeout_s: int = 0
    hard_timeout_s: int = 0
    packets: int = 0
    bytes: int = 0
    nicira: bool = False
    surplus: Surplus = NO_SURPLUS


@dataclass(frozen=True, slots=True)
class PortStatus:
    """A port came, went or changed (7.4.3)."""

    reason: PortReason
    port: PortDescription


@value(frozen=True, slots=True)
class PacketOut:
    """Run actions on a packet (7.3.7)."""

    in_port: PortNo
    actions: tuple[Action, ...]
    data: bytes = b""
    buffer_id: int = NO_BUFFER


@value(frozen=True, slots=True)
class FlowMod:
    """Change a flow table (7.3.4.1). Instructions are in the order in which they are carried out.

    OpenFlow 1.0 has no tables: ``table_id`` is 0 there, and ALL_TABLES for its deletes, unless the peer switched on
    Nicira's flow-mod-table-id. An ADD from 1.0 has RESET_COUNTS set, because that is what 1.0 says an ADD does.
    """

    command: FlowModCommand
    match: Match = ANY
    priority: OpenFlowPriority = DEFAULT_PRIORITY
    instructions: tuple[Instruction, ...] = ()
    table_id: int = 0
    cookie: int = 0
    cookie_mask: int = 0
    idle_timeout_s: int = 0
    hard_timeout_s: int = 0
    flags: FlowFlags = FlowFlags.NONE
    buffer_id: int = NO_BUFFER
    out_port: PortNo = ANY_PORT
    out_group: int = ANY_GROUP
    importance: int = 0  # OpenFlow 1.4; 0 in 1.0 and 1.3
    nicira: bool = False
    surplus: Surplus = NO_SURPLUS  # OpenFlow 1.0


@dataclass(frozen=True, slots=True)
class GroupMod:
    """Change a group (7.3.4.2)."""

    command: GroupModCommand
    type: GroupType
    group_id: int
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True)
class PortMod:
    """Change the bits of ``mask`` in a port's configuration (7.3.4.3)."""

    port: PortNo
    mac: Mac
    config: PortConfig
    mask: PortConfig
    advertise: PortFeatures = PortFeatures.NONE


@dataclass(frozen=True, slots=True)
class TableMod:
    """Configure a table (7.3.3); 1.3 has no bits left in ``config`` that do anything."""

    table_id: int
    config: int


@dataclass(frozen=True, slots=True)
class MeterMod:
    """Change a meter (7.3.4.4)."""

    command: MeterModCommand
    flags: MeterFlags
    meter_id: int
    bands: tuple[MeterBand, ...] = ()


@dataclass(frozen=True, slots=True)
class BarrierRequest:
    """Finish all before this, then answer (7.3.8)."""


@dataclass(frozen=True, slots=True)
class BarrierReply:
    """All before the request is done (7.3.8)."""


@dataclass(frozen=True, slots=True)
class RoleRequest:
    """A controller asks for a role (7.3.9). In 1.0 it is Nicira's NXT_ROLE_REQUEST, without a generation."""

    role: Role
    generation_id: int = 0


@dataclass(frozen=True, slots=True)
class RoleReply:
    """The role the controller has now (7.3.9). In 1.0 it is Nicira's NXT_ROLE_REPLY."""

    role: Role
    generation_id: int = 0


@dataclass(frozen=True, slots=True)
class GetAsyncRequest:
    """Ask for the asynchronous configuration (7.3.10)."""


@dataclass(frozen=True, slots=True)
class GetAsyncReply:
    """The asynchronous configuration (7.3.10)."""

    masks: AsyncMasks


@dataclass(frozen=True, slots=True)
class SetAsync:
    """Set the asynchronous configuration (7.3.10). In 1.0 it is Nicira's NXT_SET_ASYNC_CONFIG."""

    masks: AsyncMasks


@dataclass(frozen=True, slots=True)
class QueueGetConfigRequest:
    """Ask for the queues of a port, or of all (7.3.6)."""

    port: PortNo


@dataclass(frozen=True, slots=True)
class QueueGetConfigReply:
    """The queues of a port (7.3.6)."""

    port: PortNo
    queues: tuple[QueueDescription, ...] = ()


@dataclass(frozen=True, slots=True)
class NxFlowModTableId:
    """Nicira: FLOW_MOD's command has the table in its upper byte from now on (NXT_FLOW_MOD_TABLE_ID)."""

    enabled: bool


@dataclass(frozen=True, slots=True)
class NxSetFlowFormat:
    """Nicira: which form flows take in messages to this controller: 0 OpenFlow 1.0, 2 NXM (NXT_SET_FLOW_FORMAT)."""

    format: int


@dataclass(frozen=True, slots=True)
class NxSetPacketInFormat:
    """Nicira: which form PACKET_IN takes: 0 standard, 1 Nicira's (NXT_SET_PACKET_IN_FORMAT)."""

    format: int


@dataclass(frozen=True, slots=True)
class NxSetControllerId:
    """Nicira: the id by which the controller action names this connection (NXT_SET_CONTROLLER_ID)."""

    controller_id: int


Message = (
    Hello
    | Error
    | EchoRequest
    | EchoReply
    | Experimenter
    | FeaturesRequest
    | FeaturesReply
    | GetConfigRequest
    | GetConfigReply
    | SetConfig
    | PacketIn
    | FlowRemoved
    | PortStatus
    | PacketOut
    | FlowMod
    | GroupMod
    | PortMod
    | TableMod
    | MeterMod
    | BarrierRequest
    | BarrierReply
    | RoleRequest
    | RoleReply
    | GetAsyncRequest
    | GetAsyncReply
    | SetAsync
    | QueueGetConfigRequest
    | QueueGetConfigReply
    | NxFlowModTableId
    | NxSetFlowFormat
    | NxSetPacketInFormat
    | NxSetControllerId
    | MultipartMessage
)
"""Every message, either direction."""


@value(frozen=True, slots=True)
class Envelope:
    """A message with what its header says: ``version`` (1 or 4; a HELLO may say another) and transaction id.

    ``head`` is how the message began on the wire when it came from a peer (``decode`` sets it): an ERROR that refuses
    the message shows it (7.4.4). It is not part of what the message says.
    """

    version: int
    xid: int
    message: Message
    head: bytes = field(default=b"", compare=False, repr=False)
