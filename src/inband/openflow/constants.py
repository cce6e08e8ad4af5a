"""Numbers that only the codec uses: types of actions, instructions and properties (1.3.5), and Nicira's vendor.

What the switch itself has to say and decide by is in ``inband.vocabulary``.
"""

from __future__ import annotations

from enum import IntEnum

NICIRA = 0x00002320
"""Vendor (experimenter) number of Nicira's extensions, which ovs-ofctl uses without being asked to."""

ONF = 0x4F4E4600
"""Vendor number of the Open Networking Foundation's extensions of 1.3."""


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
