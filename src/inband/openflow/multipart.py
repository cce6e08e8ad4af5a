"""Bodies of OpenFlow multipart (1.0: statistics) messages as values, the same for 1.0 and 1.3.

A reply's ``more`` says that another reply with the same transaction id follows (OFPMPF_REPLY_MORE); the sender of
a reply builds ONE with all entries, and ``encode_segments`` cuts it. A request's ``more`` is OFPMPF_REQ_MORE, which
only TABLE_FEATURES and experimenter requests may use. Counters that a switch does not keep are UNKNOWN.

Durations are seconds and nanoseconds, as on the wire. Sections are OpenFlow 1.3.5's.
"""

from __future__ import annotations

from dataclasses import dataclass

from inband.flow.actions import Instruction
from inband.flow.flow import FlowFlags
from inband.flow.groups import Bucket
from inband.flow.match import ANY, NO_SURPLUS, Match, Surplus
from inband.flow.meters import MeterBand
from inband.flow.ports import ANY as ANY_PORT
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.parts import PortDescription
from inband.vocabulary.openflow import (
    ALL_GROUPS,
    ALL_METERS,
    ALL_QUEUES,
    ALL_TABLES,
    ANY_GROUP,
    GroupCapabilities,
    GroupType,
    MeterFlags,
)
from inband.vocabulary.values import value

UNKNOWN = 0xFFFFFFFFFFFFFFFF
"""A counter that is not kept (7.3.5: "set to the maximum field value")."""


@dataclass(frozen=True, slots=True)
class DescRequest:
    """Who made this switch? (7.3.5.1)."""


@dataclass(frozen=True, slots=True)
class DescReply:
    """Texts for people, at most 255 bytes each, the serial number 31 (7.3.5.1)."""

    manufacturer: str
    hardware: str
    software: str
    serial_number: str
    datapath: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class FlowStatsRequest:
    """Which flows does ``match`` cover? (7.3.5.2)."""

    table_id: int = ALL_TABLES
    out_port: PortNo = ANY_PORT
    out_group: int = ANY_GROUP
    cookie: int = 0
    cookie_mask: int = 0
    match: Match = ANY
    nicira: bool = False


@value(frozen=True, slots=True)
class FlowStats:
    """One flow and what it counted (7.3.5.2). ``importance`` is OpenFlow 1.4's."""

    table_id: int
    match: Match
    priority: OpenFlowPriority
    instructions: tuple[Instruction, ...]
    cookie: int = 0
    duration_sec: int = 0
    duration_nsec: int = 0
    idle_timeout_s: int = 0
    hard_timeout_s: int = 0
    flags: FlowFlags = FlowFlags.NONE
    packets: int = 0
    bytes: int = 0
    importance: int = 0
    surplus: Surplus = NO_SURPLUS


@dataclass(frozen=True, slots=True)
class FlowStatsReply:
    """The flows asked for (7.3.5.2). ``written`` are more entries, as bytes already (``stats.flow_writer``)."""

    entries: tuple[FlowStats, ...]
    nicira: bool = False
    more: bool = False
    written: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class AggregateRequest:
    """How much do the flows count together that ``match`` covers? (7.3.5.3)."""

    table_id: int = ALL_TABLES
    out_port: PortNo = ANY_PORT
    out_group: int = ANY_GROUP
    cookie: int = 0
    cookie_mask: int = 0
    match: Match = ANY
    nicira: bool = False


@dataclass(frozen=True, slots=True)
class AggregateReply:
    """Sums over flows (7.3.5.3)."""

    packets: int
    bytes: int
    flows: int
    nicira: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class TableStatsRequest:
    """How full is each table? (7.3.5.4)."""


@dataclass(frozen=True, slots=True)
class TableStats:
    """One table (7.3.5.4). ``name``, ``wildcards`` and ``max_entries`` travel in 1.0 only (there 5.3.5)."""

    table_id: int
    active_count: int
    lookup_count: int
    matched_count: int
    name: str = ""
    wildcards: int = 0x3FFFFF
    max_entries: int = 1_000_000


@dataclass(frozen=True, slots=True)
class TableStatsReply:
    """Every table (7.3.5.4)."""

    entries: tuple[TableStats, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class PortStatsRequest:
    """Counters of a port, or of all (7.3.5.6)."""

    port: PortNo = ANY_PORT


@dataclass(frozen=True, slots=True)
class PortStats:
    """One port's counters (7.3.5.6). 1.0 has no duration."""

    port: PortNo
    rx_packets: int = UNKNOWN
    tx_packets: int = UNKNOWN
    rx_bytes: int = UNKNOWN
    tx_bytes: int = UNKNOWN
    rx_dropped: int = UNKNOWN
    tx_dropped: int = UNKNOWN
    rx_errors: int = UNKNOWN
    tx_errors: int = UNKNOWN
    rx_frame_err: int = UNKNOWN
    rx_over_err: int = UNKNOWN
    rx_crc_err: int = UNKNOWN
    collisions: int = UNKNOWN
    duration_sec: int = 0
    duration_nsec: int = 0


@dataclass(frozen=True, slots=True)
class PortStatsReply:
    """Counters of ports (7.3.5.6)."""

    entries: tuple[PortStats, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class QueueStatsRequest:
    """Counters of queues (7.3.5.8)."""

    port: PortNo = ANY_PORT
    queue_id: int = ALL_QUEUES


@dataclass(frozen=True, slots=True)
class QueueStats:
    """One queue's counters (7.3.5.8). 1.0 has no duration."""

    port: PortNo
    queue_id: int
    tx_bytes: int = UNKNOWN
    tx_packets: int = UNKNOWN
    tx_errors: int = UNKNOWN
    duration_sec: int = 0
    duration_nsec: int = 0


@dataclass(frozen=True, slots=True)
class QueueStatsReply:
    """Counters of queues (7.3.5.8)."""

    entries: tuple[QueueStats, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class GroupStatsRequest:
    """Counters of a group, or of all (7.3.5.9)."""

    group_id: int = ALL_GROUPS


@dataclass(frozen=True, slots=True)
class BucketCounter:
    """What one bucket counted (7.3.5.9)."""

    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class GroupStats:
    """One group's counters (7.3.5.9)."""

    group_id: int
    ref_count: int = 0
    packets: int = 0
    bytes: int = 0
    duration_sec: int = 0
    duration_nsec: int = 0
    buckets: tuple[BucketCounter, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupStatsReply:
    """Counters of groups (7.3.5.9)."""

    entries: tuple[GroupStats, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class GroupDescRequest:
    """Which groups are there? (7.3.5.10)."""


@dataclass(frozen=True, slots=True)
class GroupDesc:
    """One group as it was made (7.3.5.10)."""

    type: GroupType
    group_id: int
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupDescReply:
    """Every group (7.3.5.10)."""

    entries: tuple[GroupDesc, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class GroupFeaturesRequest:
    """What can groups do here? (7.3.5.11)."""


@dataclass(frozen=True, slots=True)
class GroupFeaturesReply:
    """What groups can do (7.3.5.11).

    ``types`` has a bit per GroupType; ``max_groups`` and ``actions`` (bits 1 << OFPAT) one number per GroupType.
    """

    types: int
    capabilities: GroupCapabilities
    max_groups: tuple[int, int, int, int]
    actions: tuple[int, int, int, int]
    more: bool = False


@dataclass(frozen=True, slots=True)
class MeterStatsRequest:
    """Counters of a meter, or of all (7.3.5.12)."""

    meter_id: int = ALL_METERS


@dataclass(frozen=True, slots=True)
class BandCounter:
    """What one band of a meter counted (7.3.5.12)."""

    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class MeterStats:
    """One meter's counters (7.3.5.12)."""

    meter_id: int
    flow_count: int = 0
    packets_in: int = 0
    bytes_in: int = 0
    duration_sec: int = 0
    duration_nsec: int = 0
    bands: tuple[BandCounter, ...] = ()


@dataclass(frozen=True, slots=True)
class MeterStatsReply:
    """Counters of meters (7.3.5.12)."""

    entries: tuple[MeterStats, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class MeterConfigRequest:
    """How was a meter made, or all? (7.3.5.13)."""

    meter_id: int = ALL_METERS


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """One meter as it was made (7.3.5.13)."""

    flags: MeterFlags
    meter_id: int
    bands: tuple[MeterBand, ...] = ()


@dataclass(frozen=True, slots=True)
class MeterConfigReply:
    """Meters as they were made (7.3.5.13)."""

    entries: tuple[MeterConfig, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class MeterFeaturesRequest:
    """What can meters do here? (7.3.5.14)."""


@dataclass(frozen=True, slots=True)
class MeterFeaturesReply:
    """What meters can do (7.3.5.14). ``band_types`` has a bit 1 << MeterBandType each."""

    max_meter: int
    band_types: int
    capabilities: MeterFlags
    max_bands: int
    max_color: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class TableProperty:
    """One property of a table (7.3.5.5.2).

    ``ids`` are, by TablePropertyType: instruction types, table ids, action types, or OXM headers
    (``inband.openflow.wire_fields.field_header``). A property of another type keeps its bytes in ``data``.
    """

    type: int
    ids: tuple[int, ...] = ()
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class TableFeatures:
    """What one table can do (7.3.5.5.1). ``name`` has at most 31 bytes."""

    table_id: int
    name: str
    metadata_match: int
    metadata_write: int
    config: int
    max_entries: int
    properties: tuple[TableProperty, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFeaturesRequest:
    """What can the tables do? Or, with entries, let them be so (7.3.5.5)."""

    entries: tuple[TableFeatures, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class TableFeaturesReply:
    """What every table can do (7.3.5.5)."""

    entries: tuple[TableFeatures, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class PortDescRequest:
    """Which ports are there? (7.3.5.7)."""


@dataclass(frozen=True, slots=True)
class PortDescReply:
    """Every port (7.3.5.7)."""

    entries: tuple[PortDescription, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class ExperimenterMultipartRequest:
    """A vendor's request that is not known here, kept as it is (7.3.5.15). ``type`` as in Experimenter."""

    experimenter: int
    type: int | None
    data: bytes = b""
    more: bool = False


@dataclass(frozen=True, slots=True)
class ExperimenterMultipartReply:
    """A vendor's reply that is not known here, kept as it is (7.3.5.15)."""

    experimenter: int
    type: int | None
    data: bytes = b""
    more: bool = False


MultipartRequest = (
    DescRequest
    | FlowStatsRequest
    | AggregateRequest
    | TableStatsRequest
    | PortStatsRequest
    | QueueStatsRequest
    | GroupStatsRequest
    | GroupDescRequest
    | GroupFeaturesRequest
    | MeterStatsRequest
    | MeterConfigRequest
    | MeterFeaturesRequest
    | TableFeaturesRequest
    | PortDescRequest
    | ExperimenterMultipartRequest
)

MultipartReply = (
    DescReply
    | FlowStatsReply
    | AggregateReply
    | TableStatsReply
    | PortStatsReply
    | QueueStatsReply
    | GroupStatsReply
    | GroupDescReply
    | GroupFeaturesReply
    | MeterStatsReply
    | MeterConfigReply
    | MeterFeaturesReply
    | TableFeaturesReply
    | PortDescReply
    | ExperimenterMultipartReply
)

MultipartMessage = MultipartRequest | MultipartReply
