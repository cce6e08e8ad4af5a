"""Messages that are right in bytes and wrong in meaning, and such as look wrong and are not: one verdict for each.

From bytes on, so that it is told here what the codec lets pass. Open vSwitch judges the same in
``tests/system/test_verdicts.py``.
"""

from __future__ import annotations

import pytest

from inband.openflow.codec import decode
from inband.openflow.messages import Error
from inband.vocabulary.openflow import OFP10, OFP13
from inband.vocabulary.openflow_errors import (
    ERROR_TYPE,
    BadAction,
    BadInstruction,
    BadMatch,
    BadRequest,
    ErrorCode,
    FlowModFailed,
    MeterModFailed,
)
from tests.unit.agent.bench_switch import Bench
from tests.unit.openflow.test_malformed import (
    IPV4,
    OUTPUT_1,
    TCP,
    applied,
    flow_mod10,
    flow_mod13,
    message,
    nicira,
)

A, I, M = BadAction, BadInstruction, BadMatch  # noqa: E741

MPLS, VLAN, FIRST, LATER = "80000a028847", "80000c021005", "0001340101", "0001340103"
SET_TCP_DST, SET_LABEL = "0019001080001c020050000000000000", "0019001080004404000000050000 0000"
SET_PCP, SET_IP_PROTO = "0019001080000e010300000000000000", "00190010800014010600000000000000"
PUSH_VLAN, POP_VLAN = "0011000881000000", "0012000800000000"
PUSH_MPLS, POP_MPLS = "0013000888470000", "0014000808000000"
PUSH_PBB, POP_PBB = "001a000888e70000", "001b000800000000"
LOAD_TTL_10 = nicira(7, "0007 00013a01 0000000000000005")


def judged(data: bytes, n_tables: int = 16) -> Error | None:
    """The ERROR that a message gets, or None."""
    envelope = decode(data)
    bench = Bench(version=envelope.version, n_tables=n_tables)
    replies = bench.send(envelope.message)
    assert len(replies) <= 1
    return replies[0] if replies and isinstance(replies[0], Error) else None


def delete(data: bytes) -> bytes:
    """The same FLOW_MOD of 1.3 as a delete."""
    return data[:25] + b"\3" + data[26:]


REFUSED: dict[str, tuple[bytes, ErrorCode]] = {
    "goto backwards": (flow_mod13(instructions="0001000805000000"), I.BAD_TABLE_ID),
    "goto nowhere": (flow_mod13(instructions="00010008ff000000"), I.BAD_TABLE_ID),
    "goto behind the last table": (flow_mod13(instructions="0001000810000000"), I.BAD_TABLE_ID),
    "delete with a goto backwards": (delete(flow_mod13(instructions="0001000804000000")), I.BAD_TABLE_ID),
    "meter that is not there": (flow_mod13(instructions="0006000800000009"), MeterModFailed.INVALID_METER),
    "output to port 0": (applied("00000010000000000000000000000000"), A.BAD_OUT_PORT),
    "output to ANY": (applied("00000010ffffffff0000000000000000"), A.BAD_OUT_PORT),
    "output to a port without meaning": (applied("00000010ffffff010000000000000000"), A.BAD_OUT_PORT),
    "output above 1.0's ports": (applied("000000100000ff000000000000000000"), A.BAD_OUT_PORT),
    "output to port 0 in 1.0": (flow_mod10("0000000800000000"), A.BAD_OUT_PORT),
    "output to no port in 1.0": (flow_mod10("00000008ffff0000"), A.BAD_OUT_PORT),
    "delete that outputs to no port": (delete(applied("00000010ffffffff0000000000000000")), A.BAD_OUT_PORT),
    "group ALL": (applied("00160008fffffffc"), A.BAD_OUT_GROUP),
    "group that is not there": (applied("0016000800000009"), A.BAD_OUT_GROUP),
    "push of an ethertype that is no VLAN": (applied("0011000808000000"), A.BAD_ARGUMENT),
    "push of an ethertype that is no MPLS": (applied("0013000881000000"), A.BAD_ARGUMENT),
    "push of an ethertype that is no PBB": (applied("001a000881000000"), A.BAD_ARGUMENT),
    "nicira push of an ethertype that is no MPLS": (flow_mod10(nicira(23, "0800 00000000")), A.BAD_ARGUMENT),
    "set_field of in_port": (applied("001900108000000400000001" + "00" * 4), A.BAD_SET_ARGUMENT),
    "set_field of in_phy_port": (applied("001900108000020400000001" + "00" * 4), A.BAD_SET_TYPE),
    "set_field of eth_type": (applied("0019001080000a020800" + "00" * 6), A.BAD_SET_ARGUMENT),
    "set_field of ip_proto, then of a port": (applied(SET_IP_PROTO + SET_TCP_DST, IPV4), A.BAD_SET_ARGUMENT),
    "set_field of vlan_vid without a VLAN in it": (
        applied("0019001080000c020005" + "00" * 6, VLAN),
        A.BAD_SET_ARGUMENT,
    ),
    "load into in_port": (applied(nicira(7, "000f 00000002 0000000000000001")), A.BAD_SET_ARGUMENT),
    "load into ip_proto in 1.0": (flow_mod10(nicira(7, "0007 00000c01 0000000000000006")), A.BAD_SET_ARGUMENT),
    "move into ip_proto": (applied(nicira(6, "0008 0000 0000 00010004 00000c01"), IPV4), A.BAD_SET_ARGUMENT),
    "set_field of what the match does not ask for": (applied(SET_TCP_DST), A.MATCH_INCONSISTENT),
    "set_field of half of what it needs": (applied(SET_TCP_DST, IPV4), A.MATCH_INCONSISTENT),
    "set_field of a port of later fragments": (applied(SET_TCP_DST, IPV4 + TCP + LATER), A.MATCH_INCONSISTENT),
    "set_field of what a push has hidden": (applied(PUSH_MPLS + SET_TCP_DST, IPV4 + TCP), A.MATCH_INCONSISTENT),
    "set_field of what a pop has taken away": (applied(POP_MPLS + SET_LABEL, MPLS), A.MATCH_INCONSISTENT),
    "priority of a VLAN that was popped": (applied(POP_VLAN + SET_PCP, VLAN), A.MATCH_INCONSISTENT),
    "priority of a VLAN below PBB": (applied(POP_PBB + SET_PCP, "80000a0288e7" + VLAN), A.MATCH_INCONSISTENT),
    "pop of a tag that need not be there": (applied(POP_VLAN + POP_VLAN, VLAN), A.MATCH_INCONSISTENT),
    "pop of PBB that need not be there": (applied(POP_PBB), A.MATCH_INCONSISTENT),
    "load into a bit of ip_proto": (
        applied(nicira(7, "0000 80001401 0000000000000000")),
        A.BAD_SET_ARGUMENT,
    ),
    "load of a TTL that need not be there, in 1.0": (flow_mod10(LOAD_TTL_10), A.MATCH_INCONSISTENT),
    "move from what need not be there, in 1.0": (
        flow_mod10(nicira(6, "0020 0000 0000 00000e04 00010004")),
        A.MATCH_INCONSISTENT,
    ),
    "packet out to no port": (
        message(4, 13, "ffffffff 00000001 0010 000000000000" + OUTPUT_1[:8] + "00" * 12 + "00" * 14),
        A.BAD_OUT_PORT,
    ),
    "packet out that sets a port of ARP": (
        message(4, 13, "ffffffff 00000001 0010 000000000000" + SET_TCP_DST + "02" * 12 + "0806" + "00" * 46),
        A.MATCH_INCONSISTENT,
    ),
    "packet out from FLOOD": (message(4, 13, "ffffffff fffffffb 0000 000000000000" + "00" * 60), BadRequest.BAD_PORT),
    "packet out from no number": (message(4, 13, "ffffffff 0000ff00 0000 000000000000" + "00" * 60), A.BAD_OUT_PORT),
    "match of a port above 1.0's": (flow_mod13("800000040000ff00"), M.BAD_VALUE),
    "match of a port of later fragments": (flow_mod13(IPV4 + TCP + LATER + "80001c020050"), M.BAD_PREREQ),
    # of several faults: what is wrong by itself, then what does not fit the packet, then what is not there
    "no headers, then no port": (applied(SET_TCP_DST + "00000010ffffffff0000000000000000"), A.BAD_OUT_PORT),
    "no group, then no headers": (applied("0016000800000009" + SET_TCP_DST), A.MATCH_INCONSISTENT),
    "goto backwards, and no headers": (
        flow_mod13(instructions="0001000800000000 0004001800000000" + SET_TCP_DST),
        A.MATCH_INCONSISTENT,
    ),
}

TAKEN: dict[str, bytes] = {
    "a port of TCP": applied(SET_TCP_DST, IPV4 + TCP),
    "a port of first fragments": applied(SET_TCP_DST, IPV4 + TCP + FIRST),
    "a label that was pushed": applied(PUSH_MPLS + SET_LABEL),
    "the TTL of what was below a label": applied(POP_MPLS + nicira(7, "0007 00013a01 0000000000000006"), MPLS),
    "two tags pushed and popped": applied(PUSH_VLAN + PUSH_VLAN + POP_VLAN + SET_PCP + POP_VLAN),
    "the tag of the match, below a pushed one": applied(PUSH_VLAN + POP_VLAN + SET_PCP, VLAN),
    "PBB that was pushed": applied(PUSH_PBB + POP_PBB),
    "metadata": applied("001900108000040800000000" + "00" * 4),
    "output to TABLE": applied("00000010fffffff90000000000000000"),
    "a reserved number as the port of arrival": flow_mod13("80000004ffffff01"),
    "a delete that names a group which is not there": delete(applied("0016000800000009")),
    "what 1.0 has actions for, of any packet": flow_mod10("0007000801020304 000a000800500000 0003000800000000"),
    "nicira's TTL, of any packet": flow_mod10(nicira(18, "00" * 6) + nicira(26, "00" * 6)),
    "a load into the VLAN, in 1.0": flow_mod10(nicira(7, "000b 00000802 0000000000000005")),
    "packet out with two tags popped": message(
        4, 13, "ffffffff 00000001 0010 000000000000" + POP_VLAN * 2 + "02" * 12 + "81000005 81000006 0800" + "00" * 46
    ),
    "packet out from port 0": message(4, 13, "ffffffff 00000000 0000 000000000000" + "00" * 60),
    "packet out from CONTROLLER without data": message(4, 13, "ffffffff fffffffd 0000 000000000000"),
    "packet out without data": message(4, 13, "ffffffff 00000001 0010 000000000000" + OUTPUT_1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_gets_the_error_that_open_vswitch_or_the_specification_has(name: str) -> None:
    data, code = REFUSED[name]

    error = judged(data)

    assert error is not None
    assert (error.type, error.code) == (ERROR_TYPE[type(code)], code)


@pytest.mark.parametrize("name", TAKEN)
def test_what_makes_sense_is_taken(name: str) -> None:
    assert judged(TAKEN[name]) is None


def test_an_add_to_all_tables_is_told_before_what_else_is_wrong() -> None:
    data = applied(SET_TCP_DST)

    error = judged(data[:24] + b"\xff" + data[25:])

    assert error is not None
    assert (error.type, error.code) == (ERROR_TYPE[FlowModFailed], FlowModFailed.BAD_TABLE_ID)


def test_packets_without_an_ethernet_header_go_nowhere() -> None:
    for version, body in ((OFP13, "ffffffff 00000001 0010 000000000000" + OUTPUT_1), (OFP10, "ffffffff 0001 0000")):
        for data in (b"", bytes(13)):
            bench = Bench(version=version)
            bench.agent.take_effects()
            assert bench.send(decode(message(version, 13, body + data.hex())).message) == []
            assert bench.agent.take_effects() == []
