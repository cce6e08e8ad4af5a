"""The structs and numbers that this process shares with the program in the kernel: ``bpf/layout.h``, in Python.

A test compares the two through the type information inside the built object. Nothing else knows an offset.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from inband.datapath import pace

LAYOUT_VERSION = 14
MAX_MASKS = 32
MAX_OPS = 32
MAX_PORTS = 1024
MAX_MEGAFLOWS = 131072
MAX_RULES = 131072
MAX_RULE_MASKS = 256
RULE_FILTER_WORDS = 32768
"""Of all tables."""
MAX_TABLES = 64
MAX_WRITTEN = 24
"""Places of the action set: one for each kind, in the order in which they run."""
MAX_VISITS = 80
"""That is how many of a packet's tables and groups are counted."""
MAX_GROUPS = 16384
MAX_SHARES = 128
"""Of a group: buckets of which each packet takes one."""
MAX_STATIONS = 16384
MAX_METERS = 4096
MAX_BANDS = 8
"""Of a meter."""
MAX_METER_COUNTS = 16384
CONTROL_RING = 2 * 1024 * 1024
DATA_RING = 2 * 1024 * 1024

DISCOVERY_PER_S, DISCOVERY_BURST_MS = pace.DISCOVERY.per_s, pace.DISCOVERY.burst_ms
LINK_LOCAL_PER_S, LINK_LOCAL_BURST_MS = pace.LINK_LOCAL.per_s, pace.LINK_LOCAL.burst_ms
CONTROL_PER_S, CONTROL_BURST_MS = pace.CONTROL.per_s, pace.CONTROL.burst_ms
UPCALL_SMALL = 256
"""A record of what is told."""
TOLD_BACKLOG = 64 * 1024
TOLD_PER_S, TOLD_BURST_MS = 1000, 200
LEARNED_PER_S, LEARNED_BURST_MS = 2000, 500
SILENT_MS = 2000

KEY_SIZE = 96
KEY_WORDS = 12
"""Of 64 bits."""
SHORT_KEY = 5
"""Words with all that is of Ethernet, IPv4 and ports."""
REGISTER_WORDS = 5
"""Of 64 bits: tunnel_id, and eight registers of 32 bits."""
FIELD_WORDS = 1 + REGISTER_WORDS
"""With the metadata."""
FIELDS_SIZE = 8 * FIELD_WORDS
FIRST_FIELD_WORD = 2 * KEY_WORDS
"""Words of 32 bits between which bits are moved, in this order: those of a key, of the fields, of scratch."""
FIRST_SCRATCH_WORD = FIRST_FIELD_WORD + 2 * FIELD_WORDS
SCRATCH_WORDS = 4
MOVED_WORDS = FIRST_SCRATCH_WORD + SCRATCH_WORDS
MOVED_SHIFT = 5
OP = Struct("=BBHI")
OP_BYTES = Struct("=BB6s")
"""An op whose argument is six bytes."""

ENTRY_HEAD = Struct("=IIII96s")
"""epoch, slot, op_count, padding, key; MAX_OPS ops follow."""
ENTRY_SIZE = ENTRY_HEAD.size + MAX_OPS * OP.size

MASK = Struct("=96sII")
"""bits, words (SHORT_KEY if there are no bits behind them, else KEY_WORDS), padding; all 0: not in use."""

STATS = Struct("=QQQQ")
"""packets, bytes, used_ns, tick."""

RULE_HEAD = Struct("=QII48sQQ")
"""rank, decision, next_table, fields, metadata_bits, metadata_mask; an entry follows."""
RULE_SIZE = RULE_HEAD.size + ENTRY_SIZE
BUCKET_HEAD = Struct("=II")
"""slot, op_count; MAX_OPS ops follow."""
BUCKET_SIZE = BUCKET_HEAD.size + MAX_OPS * OP.size
GROUP_HEAD = Struct("=I")
"""count; MAX_SHARES shares follow."""
SHARE = Struct("=III")
"""weight, identity, slot."""
GROUP_SIZE = GROUP_HEAD.size + MAX_SHARES * SHARE.size
RULE_MASK = Struct("=96sIIQI4x48s")
"""As MASK, then best_rank, field_words, padding, fields."""
RANGE = Struct("=HH")
"""first, count."""
TABLES = Struct("=II6sB1x256s256s")
"""generation, local_slot, local_mac, has_left_out, padding, masks: a RANGE for each table, misses: four bytes each."""
INLET_HEAD = Struct("=II")
"""flags, padding; an entry follows."""
INLET_SIZE = INLET_HEAD.size + ENTRY_SIZE
STATION_KEY = Struct("=6s2s")
"""mac, vlan (network order)."""
STATION = Struct("=IIQQ")
"""slot, is_pinned, used_ns, tick."""

METER_HEAD = Struct("=IIIII4xQ")
"""unused, count_at, packet_size, byte_size, band_count, padding, filled_ns; MAX_BANDS bands follow."""
METER_BAND = Struct("=QQIII4x")
"""tokens, depth, rate, levels, count_at, padding."""
METER_SIZE = METER_HEAD.size + MAX_BANDS * METER_BAND.size
METER_COUNT = Struct("=QQ")
"""packets, bytes."""
METER_QUESTION = Struct("=IIII")
"""meter_id, packets, bytes, padding."""

CONFIG = Struct("=IIII144s")
"""epoch, adopted_epoch, mask_count, control_per_s, secret."""

PORT_IN = Struct("=I4sI")
"""ifindex, number (network order), slot."""
PORT_OUT = Struct("=IIH6s")
"""ifindex, number, peer_allowed, peer_mac."""
PORT_STATS = Struct("=QQQQQQ")
"""rx_packets, rx_bytes, tx_packets, tx_bytes, rx_dropped, tx_dropped."""

UPCALL = Struct("=IIH2sHHB3x96s")
"""frame_len, in_port, vlan_tci, vlan_proto (network order), checksum_at, gso_size, reason, key; the frame follows."""


class OpKind(IntEnum):
    """enum op_kind."""

    OUTPUT = 1
    SET_QUEUE = 2
    PUSH_VLAN = 3
    POP_VLAN = 4
    SET_VLAN = 5
    SET_ETH_DST = 6
    SET_ETH_SRC = 7
    SET_IPV4_SRC = 8
    SET_IPV4_DST = 9
    SET_IP_TOS = 10
    SET_IP_TTL = 11
    DEC_IP_TTL = 12
    SET_PORT_SRC = 13
    SET_PORT_DST = 14
    SEND_UP = 15
    OUTPUT_UNICAST = 16
    METER = 17
    SET_IPV6_WORD = 18
    SET_IPV6_LABEL = 19
    SET_ARP = 20
    SET_ETH_WORD = 21
    WRITE = 22
    CLEAR = 23
    BRANCH = 24
    JOIN = 25
    SEND_BACK = 26
    NORMAL = 27
    GROUP = 28
    LOAD_FIELD = 29
    CLEAR_BITS = 30
    SET_BITS = 31
    MOVE = 32
    VALUE = 33


class Verdict(IntEnum):
    """enum verdict; the names in lower case are the names of counters."""

    MEGAFLOW_HIT = 0
    MISS = 1
    DROPPED_BY_FLOW = 2
    SLOW_ACTION = 3
    NOT_UNDERSTOOD = 4
    INPUT_NO_PORT = 5
    OUTPUT_NO_PORT = 6
    TX_TOO_BIG = 7
    TX_REFUSED = 8
    EDIT_REFUSED = 9
    UPCALL_TOO_BIG = 10
    UPCALL_UNREADABLE = 11
    UPCALL_FULL_CONTROL = 12
    UPCALL_FULL_DATA = 13
    DISCOVERY_FLOOD = 14
    LINK_LOCAL_FLOOD = 15
    DROPPED_BY_METER = 16
    CONTROL_FLOOD = 17
    DECIDED_BY_RULE = 18
    DECIDED_NORMAL = 19
    DECIDED_NORMAL_DROPPED = 20
    DECIDED_ALONE = 21
    NOT_TOLD = 22
    NOT_LEARNED = 23
    UP_NO_TABLES = 24
    UP_SPECIAL = 25
    UP_NO_RULE = 26
    UP_BY_RULE = 27
    UP_MOVED = 28
    UP_NORMAL = 29


class RuleDecision(IntEnum):
    """enum rule_decision."""

    UP = 0
    OPS = 1
    NORMAL = 2
    VISIT = 3


class InletFlag(IntEnum):
    """enum inlet_flag."""

    TAKES = 1
    SENDS = 2
    FLOODS = 4


class UpcallReason(IntEnum):
    """enum upcall_reason."""

    MISS = 0
    SLOW_ACTION = 1
    METERED_ACTION = 2
    DECIDED = 3
