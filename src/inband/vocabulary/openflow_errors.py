"""The error types and codes of OpenFlow 1.3.5 (7.4.4), by name; each class says which prefix its names lost.

OpenFlow 1.0 numbers some of them differently: the codec translates.
"""

from __future__ import annotations

from enum import IntEnum


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


class OnfError(IntEnum):
    """Codes of OpenFlow 1.4 and 1.5 that 1.3 lacks, as the ONF numbers them for 1.3; Open vSwitch sends them too.

    OFPBIC_DUP_INST and OFPBAC_BAD_SET_MASK.
    """

    DUP_INST = 2600
    BAD_SET_MASK = 4250


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
    | OnfError
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
    OnfError: ErrorType.EXPERIMENTER,
}
