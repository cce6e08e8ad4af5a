"""The numbers of OpenFlow, by name, the same for every version: 1.3.5's where it has them.

OpenFlow 1.0 numbers some things differently (errors, port features, roles); the codec translates on the way in and
out, so that nobody above it has to ask which version a peer speaks. Names are the specification's without their
OFPxx prefix; each class says which prefix that is.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

OFP10 = 1
OFP13 = 4
VERSIONS = (OFP10, OFP13)
"""The wire versions that the codec speaks (``version`` of a header)."""

NICIRA = 0x00002320
"""Vendor (experimenter) number of Nicira's extensions, which ovs-ofctl uses without being asked to."""

NO_BUFFER = 0xFFFFFFFF  # OFP_NO_BUFFER (7.1): the message carries the packet itself
ALL_TABLES = 0xFF  # OFPTT_ALL (7.3.4.1)
ALL_GROUPS = 0xFFFFFFFC  # OFPG_ALL (7.3.4.2)
ANY_GROUP = 0xFFFFFFFF  # OFPG_ANY
ALL_METERS = 0xFFFFFFFF  # OFPM_ALL (7.3.4.4)
ALL_QUEUES = 0xFFFFFFFF  # OFPQ_ALL (7.2.2)
NO_COOKIE = 0xFFFFFFFFFFFFFFFF  # "not known", in PACKET_IN from OpenFlow 1.0
DEFAULT_MISS_SEND_LEN = 128  # OFP_DEFAULT_MISS_SEND_LEN (7.3.2)


class ErrorType(IntEnum):
    """OFPET_* (OpenFlow 1.3.5, 7.4.4)."""

    HELLO_FAILED = 0
    BAD_REQUEST = 1
    BAD_ACTION = 2
    BAD_INSTRUCTION = 3
    BAD_MATCH = 4
    FLOW_MOD_FAILED = 5
    GROUP_MOD_FAILED = 6
    PORT_MOD_FAILED = 7
    TABLE_MOD_FAILED = 8
    QUEUE_OP_FAILED = 9
    SWITCH_CONFIG_FAILED = 10
    ROLE_REQUEST_FAILED = 11
    METER_MOD_FAILED = 12
    TABLE_FEATURES_FAILED = 13
    EXPERIMENTER = 0xFFFF


class HelloFailed(IntEnum):
    """OFPHFC_*."""

    INCOMPATIBLE = 0
    EPERM = 1


class BadRequest(IntEnum):
    """OFPBRC_*."""

    BAD_VERSION = 0
    BAD_TYPE = 1
    BAD_MULTIPART = 2
    BAD_EXPERIMENTER = 3
    BAD_EXP_TYPE = 4
    EPERM = 5
    BAD_LEN = 6
    BUFFER_EMPTY = 7
    BUFFER_UNKNOWN = 8
    BAD_TABLE_ID = 9
    IS_SLAVE = 10
    BAD_PORT = 11
    BAD_PACKET = 12
    MULTIPART_BUFFER_OVERFLOW = 13


class BadAction(IntEnum):
    """OFPBAC_*."""

    BAD_TYPE = 0
    BAD_LEN = 1
    BAD_EXPERIMENTER = 2
    BAD_EXP_TYPE = 3
    BAD_OUT_PORT = 4
    BAD_ARGUMENT = 5
    EPERM = 6
    TOO_MANY = 7
    BAD_QUEUE = 8
    BAD_OUT_GROUP = 9
    MATCH_INCONSISTENT = 10
    UNSUPPORTED_ORDER = 11
    BAD_TAG = 12
    BAD_SET_TYPE = 13
    BAD_SET_LEN = 14
    BAD_SET_ARGUMENT = 15


class BadInstruction(IntEnum):
    """OFPBIC_*."""

    UNKNOWN_INST = 0
    UNSUP_INST = 1
    BAD_TABLE_ID = 2
    UNSUP_METADATA = 3
    UNSUP_METADATA_MASK = 4
    BAD_EXPERIMENTER = 5
    BAD_EXP_TYPE = 6
    BAD_LEN = 7
    EPERM = 8


class BadMatch(IntEnum):
    """OFPBMC_*."""

    BAD_TYPE = 0
    BAD_LEN = 1
    BAD_TAG = 2
    BAD_DL_ADDR_MASK = 3
    BAD_NW_ADDR_MASK = 4
    BAD_WILDCARDS = 5
    BAD_FIELD = 6
    BAD_VALUE = 7
    BAD_MASK = 8
    BAD_PREREQ = 9
    DUP_FIELD = 10
    EPERM = 11


class FlowModFailed(IntEnum):
    """OFPFMFC_*."""

    UNKNOWN = 0
    TABLE_FULL = 1
    BAD_TABLE_ID = 2
    OVERLAP = 3
    EPERM = 4
    BAD_TIMEOUT = 5
    BAD_COMMAND = 6
    BAD_FLAGS = 7


class GroupModFailed(IntEnum):
    """OFPGMFC_*."""

    GROUP_EXISTS = 0
    INVALID_GROUP = 1
    WEIGHT_UNSUPPORTED = 2
    OUT_OF_GROUPS = 3
    OUT_OF_BUCKETS = 4
    CHAINING_UNSUPPORTED = 5
    WATCH_UNSUPPORTED = 6
    LOOP = 7
    UNKNOWN_GROUP = 8
    CHAINED_GROUP = 9
    BAD_TYPE = 10
    BAD_COMMAND = 11
    BAD_BUCKET = 12
    BAD_WATCH = 13
    EPERM = 14


class PortModFailed(IntEnum):
    """OFPPMFC_*."""

    BAD_PORT = 0
    BAD_HW_ADDR = 1
    BAD_CONFIG = 2
    BAD_ADVERTISE = 3
    EPERM = 4


class TableModFailed(IntEnum):
    """OFPTMFC_*."""

    BAD_TABLE = 0
    BAD_CONFIG = 1
    EPERM = 2


class QueueOpFailed(IntEnum):
    """OFPQOFC_*."""

    BAD_PORT = 0
    BAD_QUEUE = 1
    EPERM = 2


class SwitchConfigFailed(IntEnum):
    """OFPSCFC_*."""

    BAD_FLAGS = 0
    BAD_LEN = 1
    EPERM = 2


class RoleRequestFailed(IntEnum):
    """OFPRRFC_*."""

    STALE = 0
    UNSUP = 1
    BAD_ROLE = 2


class MeterModFailed(IntEnum):
    """OFPMMFC_*."""

    UNKNOWN = 0
    METER_EXISTS = 1
    INVALID_METER = 2
    UNKNOWN_METER = 3
    BAD_COMMAND = 4
    BAD_FLAGS = 5
    BAD_RATE = 6
    BAD_BURST = 7
    BAD_BAND = 8
    BAD_BAND_VALUE = 9
    OUT_OF_METERS = 10
    OUT_OF_BANDS = 11


class TableFeaturesFailed(IntEnum):
    """OFPTFFC_*."""

    BAD_TABLE = 0
    BAD_METADATA = 1
    BAD_TYPE = 2
    BAD_LEN = 3
    BAD_ARGUMENT = 4
    EPERM = 5


ErrorCode = (
    HelloFailed
    | BadRequest
    | BadAction
    | BadInstruction
    | BadMatch
    | FlowModFailed
    | GroupModFailed
    | PortModFailed
    | TableModFailed
    | QueueOpFailed
    | SwitchConfigFailed
    | RoleRequestFailed
    | MeterModFailed
    | TableFeaturesFailed
)
"""Every named error code. Its class says the error's type: see ERROR_TYPE."""

ERROR_TYPE: dict[type[IntEnum], ErrorType] = {
    HelloFailed: ErrorType.HELLO_FAILED,
    BadRequest: ErrorType.BAD_REQUEST,
    BadAction: ErrorType.BAD_ACTION,
    BadInstruction: ErrorType.BAD_INSTRUCTION,
    BadMatch: ErrorType.BAD_MATCH,
    FlowModFailed: ErrorType.FLOW_MOD_FAILED,
    GroupModFailed: ErrorType.GROUP_MOD_FAILED,
    PortModFailed: ErrorType.PORT_MOD_FAILED,
    TableModFailed: ErrorType.TABLE_MOD_FAILED,
    QueueOpFailed: ErrorType.QUEUE_OP_FAILED,
    SwitchConfigFailed: ErrorType.SWITCH_CONFIG_FAILED,
    RoleRequestFailed: ErrorType.ROLE_REQUEST_FAILED,
    MeterModFailed: ErrorType.METER_MOD_FAILED,
    TableFeaturesFailed: ErrorType.TABLE_FEATURES_FAILED,
}


class Capabilities(IntFlag):
    """OFPC_* (OpenFlow 1.3.5, 7.3.1); STP and ARP_MATCH_IP are OpenFlow 1.0's (5.3.1)."""

    NONE = 0
    FLOW_STATS = 1
    TABLE_STATS = 2
    PORT_STATS = 4
    GROUP_STATS = 8  # OpenFlow 1.0: STP
    IP_REASM = 0x20
    QUEUE_STATS = 0x40
    ARP_MATCH_IP = 0x80
    PORT_BLOCKED = 0x100


class ConfigFlags(IntFlag):
    """OFPC_FRAG_* (OpenFlow 1.3.5, 7.3.2)."""

    FRAG_NORMAL = 0
    FRAG_DROP = 1
    FRAG_REASM = 2


class PortConfig(IntFlag):
    """OFPPC_* (OpenFlow 1.3.5, 7.2.1; the STP and FLOOD bits are OpenFlow 1.0's, 5.2.1, and never sent in 1.3)."""

    NONE = 0
    PORT_DOWN = 1
    NO_STP = 2
    NO_RECV = 4
    NO_RECV_STP = 8
    NO_FLOOD = 0x10
    NO_FWD = 0x20
    NO_PACKET_IN = 0x40


class PortState(IntFlag):
    """OFPPS_* (OpenFlow 1.3.5, 7.2.1)."""

    NONE = 0
    LINK_DOWN = 1
    BLOCKED = 2
    LIVE = 4


class PortFeatures(IntFlag):
    """OFPPF_* (OpenFlow 1.3.5, 7.2.1)."""

    NONE = 0
    SPEED_10MB_HD = 1
    SPEED_10MB_FD = 2
    SPEED_100MB_HD = 4
    SPEED_100MB_FD = 8
    SPEED_1GB_HD = 0x10
    SPEED_1GB_FD = 0x20
    SPEED_10GB_FD = 0x40
    SPEED_40GB_FD = 0x80
    SPEED_100GB_FD = 0x100
    SPEED_1TB_FD = 0x200
    OTHER = 0x400
    COPPER = 0x800
    FIBER = 0x1000
    AUTONEG = 0x2000
    PAUSE = 0x4000
    PAUSE_ASYM = 0x8000


class PortReason(IntEnum):
    """OFPPR_* (OpenFlow 1.3.5, 7.4.3)."""

    ADD = 0
    DELETE = 1
    MODIFY = 2


class FlowModCommand(IntEnum):
    """OFPFC_* (OpenFlow 1.3.5, 7.3.4.1)."""

    ADD = 0
    MODIFY = 1
    MODIFY_STRICT = 2
    DELETE = 3
    DELETE_STRICT = 4


class FlowRemovedReason(IntEnum):
    """OFPRR_* (OpenFlow 1.3.5, 7.4.2)."""

    IDLE_TIMEOUT = 0
    HARD_TIMEOUT = 1
    DELETE = 2
    GROUP_DELETE = 3


class GroupModCommand(IntEnum):
    """OFPGC_* (OpenFlow 1.3.5, 7.3.4.2)."""

    ADD = 0
    MODIFY = 1
    DELETE = 2


class GroupType(IntEnum):
    """OFPGT_* (OpenFlow 1.3.5, 7.3.4.2)."""

    ALL = 0
    SELECT = 1
    INDIRECT = 2
    FF = 3


class GroupCapabilities(IntFlag):
    """OFPGFC_* (OpenFlow 1.3.5, 7.3.5.10)."""

    NONE = 0
    SELECT_WEIGHT = 1
    SELECT_LIVENESS = 2
    CHAINING = 4
    CHAINING_CHECKS = 8


class MeterModCommand(IntEnum):
    """OFPMC_* (OpenFlow 1.3.5, 7.3.4.4)."""

    ADD = 0
    MODIFY = 1
    DELETE = 2


class MeterFlags(IntFlag):
    """OFPMF_* (OpenFlow 1.3.5, 7.3.4.4)."""

    NONE = 0
    KBPS = 1
    PKTPS = 2
    BURST = 4
    STATS = 8


class MeterBandType(IntEnum):
    """OFPMBT_* (OpenFlow 1.3.5, 7.3.4.4)."""

    DROP = 1
    DSCP_REMARK = 2
    EXPERIMENTER = 0xFFFF


class Role(IntEnum):
    """OFPCR_ROLE_* (OpenFlow 1.3.5, 7.3.9)."""

    NOCHANGE = 0
    EQUAL = 1
    MASTER = 2
    SLAVE = 3


class TablePropertyType(IntEnum):
    """OFPTFPT_* (OpenFlow 1.3.5, 7.3.5.5.2)."""

    INSTRUCTIONS = 0
    INSTRUCTIONS_MISS = 1
    NEXT_TABLES = 2
    NEXT_TABLES_MISS = 3
    WRITE_ACTIONS = 4
    WRITE_ACTIONS_MISS = 5
    APPLY_ACTIONS = 6
    APPLY_ACTIONS_MISS = 7
    MATCH = 8
    WILDCARDS = 10
    WRITE_SETFIELD = 12
    WRITE_SETFIELD_MISS = 13
    APPLY_SETFIELD = 14
    APPLY_SETFIELD_MISS = 15


class QueuePropertyType(IntEnum):
    """OFPQT_* (OpenFlow 1.3.5, 7.2.2)."""

    NONE = 0
    MIN_RATE = 1
    MAX_RATE = 2
    EXPERIMENTER = 0xFFFF


class InstructionType(IntEnum):
    """OFPIT_* (OpenFlow 1.3.5, 7.2.4)."""

    GOTO_TABLE = 1
    WRITE_METADATA = 2
    WRITE_ACTIONS = 3
    APPLY_ACTIONS = 4
    CLEAR_ACTIONS = 5
    METER = 6
    EXPERIMENTER = 0xFFFF


class ActionType(IntEnum):
    """OFPAT_* (OpenFlow 1.3.5, 7.2.5)."""

    OUTPUT = 0
    COPY_TTL_OUT = 11
    COPY_TTL_IN = 12
    SET_MPLS_TTL = 15
    DEC_MPLS_TTL = 16
    PUSH_VLAN = 17
    POP_VLAN = 18
    PUSH_MPLS = 19
    POP_MPLS = 20
    SET_QUEUE = 21
    GROUP = 22
    SET_NW_TTL = 23
    DEC_NW_TTL = 24
    SET_FIELD = 25
    PUSH_PBB = 26
    POP_PBB = 27
    EXPERIMENTER = 0xFFFF
