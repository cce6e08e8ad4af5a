"""Actions and instructions as values, the same for OpenFlow 1.0, 1.3 and the datapaths.

OpenFlow 1.0's ``set_dl_src`` and 1.3's ``set_field`` become the same SetField; 1.0's ``enqueue`` becomes
SetQueue, Output, PopQueue. A datapath executes the members of DatapathAction only: outputs to numbered ports, LOCAL
or the controller, and header changes; NORMAL, FLOOD, groups and tables are worked out before by the pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from inband.flow.ports import PortNo

# OFPCML_NO_BUFFER (OpenFlow 1.3.5, 7.2.5): send the whole packet.
WHOLE_PACKET = 0xFFFF


class PacketInReason(IntEnum):
    """OFPR_* (OpenFlow 1.3.5, 7.4.1)."""

    NO_MATCH = 0
    ACTION = 1
    INVALID_TTL = 2


@dataclass(frozen=True, slots=True)
class Output:
    """Send a copy to a port, numbered or reserved. ``max_len`` counts for CONTROLLER only (bytes)."""

    port: PortNo
    max_len: int = WHOLE_PACKET


@dataclass(frozen=True, slots=True)
class ToController:
    """Send a copy to the controllers: what Output(CONTROLLER) becomes in the pipeline, with all a PACKET_IN needs."""

    reason: PacketInReason
    max_len: int
    table_id: int
    cookie: int
    controller_id: int = 0  # Nicira's controller action can name one
    metadata: int = 0
    tunnel_id: int = 0
    by_miss_flow: bool = False  # by the table-miss flow (OpenFlow 1.3.5, 5.4), which 1.0 does not know


@dataclass(frozen=True, slots=True)
class Group:
    """Process the packet by a group."""

    group_id: int


@dataclass(frozen=True, slots=True)
class SetQueue:
    """Outputs after this use the given queue of their port."""

    queue_id: int


@dataclass(frozen=True, slots=True)
class PopQueue:
    """Outputs after this use no particular queue again (end of OpenFlow 1.0's enqueue)."""


@dataclass(frozen=True, slots=True)
class PushVlan:
    """Push a VLAN tag of this ethertype (0x8100 or 0x88a8), VID and PCP copied from an outer tag or 0."""

    eth_type: int = 0x8100


@dataclass(frozen=True, slots=True)
class PopVlan:
    """Pop the outermost VLAN tag."""


@dataclass(frozen=True, slots=True)
class SetVlanVid:
    """Set the VID (12 bits) of the outermost VLAN tag; a packet without one gets an 802.1Q tag (OpenFlow 1.0, 3.3)."""

    vid: int


@dataclass(frozen=True, slots=True)
class SetVlanPcp:
    """Set the priority of the outermost VLAN tag; a packet without one gets an 802.1Q tag of VLAN 0 (1.0, 3.3)."""

    pcp: int


@dataclass(frozen=True, slots=True)
class PushMpls:
    """Push an MPLS shim header of this ethertype."""

    eth_type: int = 0x8847


@dataclass(frozen=True, slots=True)
class PopMpls:
    """Pop the outermost MPLS shim header; ``eth_type`` is the ethertype of what remains."""

    eth_type: int


@dataclass(frozen=True, slots=True)
class PushPbb:
    """Push a PBB service instance header (I-TAG)."""

    eth_type: int = 0x88E7


@dataclass(frozen=True, slots=True)
class PopPbb:
    """Pop the outermost PBB service instance header."""


@dataclass(frozen=True, slots=True)
class SetField:
    """Set the bits of ``mask`` (None: all) in a field of the packet, or of metadata, tunnel_id and registers."""

    field: str
    value: int
    mask: int | None = None


@dataclass(frozen=True, slots=True)
class MoveField:
    """Copy ``bits`` bits between fields (Nicira reg_move)."""

    source: str
    destination: str
    bits: int
    source_offset: int = 0
    destination_offset: int = 0


@dataclass(frozen=True, slots=True)
class SetMplsTtl:
    """Set the TTL of the outermost MPLS header."""

    ttl: int


@dataclass(frozen=True, slots=True)
class DecMplsTtl:
    """Decrement the TTL of the outermost MPLS header; a packet whose TTL is spent goes no further."""


@dataclass(frozen=True, slots=True)
class SetNwTtl:
    """Set IPv4's TTL or IPv6's hop limit."""

    ttl: int


@dataclass(frozen=True, slots=True)
class DecNwTtl:
    """Decrement IPv4's TTL or IPv6's hop limit; a packet whose TTL is spent goes no further."""


@dataclass(frozen=True, slots=True)
class CopyTtlOut:
    """Copy the TTL from the next-to-outermost to the outermost header with a TTL."""


@dataclass(frozen=True, slots=True)
class CopyTtlIn:
    """Copy the TTL from the outermost to the next-to-outermost header with a TTL."""


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Look the packet up again (Nicira), as if from ``in_port`` (None: unchanged), in a table (None: this one)."""

    in_port: PortNo | None
    table_id: int | None


@dataclass(frozen=True, slots=True)
class SendToController:
    """Nicira's controller action: a packet-in to one controller id with a reason of its own."""

    max_len: int
    controller_id: int
    reason: PacketInReason


@dataclass(frozen=True, slots=True)
class Clone:
    """Run actions on a copy of the packet and go on with the original (made by the pipeline for group buckets)."""

    actions: tuple[DatapathAction, ...]


@dataclass(frozen=True, slots=True)
class Meter:
    """Count against a meter; over its rate, drop or remark. An instruction of flows, an action of datapaths.

    As an action: what is dropped is the packet, or the copy of it that a Clone made, for the actions that follow.
    """

    meter_id: int


HeaderAction = (
    PushVlan
    | PopVlan
    | PushMpls
    | PopMpls
    | PushPbb
    | PopPbb
    | SetField
    | SetMplsTtl
    | DecMplsTtl
    | SetNwTtl
    | DecNwTtl
    | CopyTtlOut
    | CopyTtlIn
)
"""Actions that change the packet's bytes (SetField of a pipeline field excepted)."""

Action = (
    HeaderAction
    | Output
    | Group
    | SetQueue
    | PopQueue
    | SetVlanVid
    | SetVlanPcp
    | MoveField
    | Resubmit
    | SendToController
)
"""What a flow, a bucket or a PACKET_OUT may hold."""

DatapathAction = HeaderAction | Output | ToController | SetQueue | PopQueue | Clone | Meter
"""What a datapath executes, in order. Output names a port or LOCAL, never another reserved port."""


@dataclass(frozen=True, slots=True)
class GotoTable:
    """Continue in a later table."""

    table_id: int


@dataclass(frozen=True, slots=True)
class WriteMetadata:
    """Set the masked bits of the metadata."""

    value: int
    mask: int = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class WriteActions:
    """Merge into the action set."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class ApplyActions:
    """Run at once, in order."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class ClearActions:
    """Empty the action set."""


Instruction = GotoTable | WriteMetadata | WriteActions | ApplyActions | ClearActions | Meter

INSTRUCTION_ORDER = (Meter, ApplyActions, ClearActions, WriteActions, WriteMetadata, GotoTable)
"""Instructions run in this order, however a flow lists them (OpenFlow 1.3.5, 5.9)."""
