"""The numbers of OpenFlow, by name, the same for every version: 1.3.5's where it has them.

OpenFlow 1.0 numbers some things differently (errors, port features, roles); the codec translates on the way in and
out, so that nothing above it has to ask which version a peer speaks. Names are the specification's without their
OFPxx prefix; each class says which prefix that is.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

OFP10 = 1
OFP13 = 4
VERSIONS = (OFP10, OFP13)
"""The wire versions that the codec speaks (``version`` of a header)."""

NO_BUFFER = 0xFFFFFFFF  # OFP_NO_BUFFER (7.1): the message carries the packet itself
ALL_TABLES = 0xFF  # OFPTT_ALL (7.3.4.1)
ALL_GROUPS = 0xFFFFFFFC  # OFPG_ALL (7.3.4.2)
ANY_GROUP = 0xFFFFFFFF  # OFPG_ANY
ALL_METERS = 0xFFFFFFFF  # OFPM_ALL (7.3.4.4)
ALL_QUEUES = 0xFFFFFFFF  # OFPQ_ALL (7.2.2)
MAX_QUEUE = 0xFFFE  # queue N is Linux's traffic control class 1:(N + 1), and a minor number has 16 bits
NO_COOKIE = 0xFFFFFFFFFFFFFFFF  # "not known", in PACKET_IN from OpenFlow 1.0
DEFAULT_MISS_SEND_LEN = 128  # OFP_DEFAULT_MISS_SEND_LEN (7.3.2)


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
    """OFPC_FRAG_* (OpenFlow 1.3.5, 7.3.2); NX_MATCH is Open vSwitch's."""

    FRAG_NORMAL = 0
    FRAG_DROP = 1
    FRAG_REASM = 2
    FRAG_NX_MATCH = 3


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
    """OFPPS_* (OpenFlow 1.3.5, 7.2.1), and the spanning tree's state, which is a number of 1.0 (1.0, 5.2.1)."""

    NONE = 0
    LINK_DOWN = 1
    BLOCKED = 2
    LIVE = 4
    STP_LEARN = 0x100
    STP_FORWARD = 0x200
    STP_BLOCK = 0x300


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
