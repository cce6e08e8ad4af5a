"""One row per way to be broken, with the ERROR that the specification has for it."""

from __future__ import annotations

import pytest

from inband.openflow.codec import DecodeError, decode
from inband.vocabulary.openflow_errors import (
    ERROR_TYPE,
    BadAction,
    BadInstruction,
    BadMatch,
    BadRequest,
    ErrorCode,
    FlowModFailed,
    GroupModFailed,
    MeterModFailed,
    OnfError,
    PortModFailed,
    RoleRequestFailed,
    TableFeaturesFailed,
)

A, I, M, R = BadAction, BadInstruction, BadMatch, BadRequest  # noqa: E741


def message(version: int, number: int, body: str) -> bytes:
    """A message with a true header."""
    data = bytes.fromhex(body)
    return bytes([version, number]) + (len(data) + 8).to_bytes(2, "big") + b"\0\0\0\x2a" + data


def match13(fields: str) -> str:
    """An ofp_match with these fields."""
    size = len(bytes.fromhex(fields)) + 4
    return f"0001{size:04x}{fields}{'00' * (-size % 8)}"


def flow_mod13(fields: str = "", instructions: str = "", *, tail: str = "0000", command: str = "00") -> bytes:
    """A FLOW_MOD of 1.3 for table 5; ``tail`` are its flags."""
    head = "00" * 16 + "05" + command + "0000 0000 0001 ffffffff ffffffff ffffffff" + tail + "0000"
    return message(4, 14, head + match13(fields) + instructions)


def applied(actions: str, fields: str = "") -> bytes:
    """A FLOW_MOD of 1.3 that applies these actions."""
    size = len(bytes.fromhex(actions)) + 8
    return flow_mod13(fields, instructions=f"0004{size:04x}00000000{actions}")


def flow_mod10(
    actions: str = "", *, flags: str = "0000", command: str = "0000", match: str = "", timeouts: str = "00000000"
) -> bytes:
    """A FLOW_MOD of 1.0; ``timeouts`` are idle and hard."""
    head = (match or "003fffff" + "00" * 36) + "00" * 8 + command + timeouts + "0001 ffffffff ffff" + flags
    return message(1, 14, head + actions)


def match10(wildcards: int, rest: str) -> str:
    """An ofp_match of 1.0 from what follows in_port and the MAC addresses."""
    return f"{wildcards:08x}" + "00" * 14 + rest + "00" * (22 - len(bytes.fromhex(rest)))


def nicira(subtype: int, body: str) -> str:
    """A Nicira action."""
    size = len(bytes.fromhex(body)) + 10
    return f"ffff{size:04x}00002320{subtype:04x}{body}"


IPV4, TCP = "80000a020800", "8000140106"
SET_TCP_DST, SET_LABEL = "0019001080001c02005000000000 0000", "0019001080004404000000050000 0000"
PUSH_MPLS, POP_MPLS = "0013000888470000", "0014000808000000"
OUTPUT_1 = "00000010000000010000000000000000"

ROWS: dict[str, tuple[bytes, ErrorCode]] = {
    # the message
    "unknown version": (message(2, 5, ""), R.BAD_VERSION),
    "unknown type in 1.3": (message(4, 30, ""), R.BAD_TYPE),
    "unknown type in 1.0": (message(1, 22, ""), R.BAD_TYPE),
    "features request with a body": (message(4, 5, "00"), R.BAD_LEN),
    "error without a code": (message(4, 1, "0001"), R.BAD_LEN),
    "experimenter without a number": (message(4, 4, "0000"), R.BAD_LEN),
    "set config too short": (message(4, 9, "0000"), R.BAD_LEN),
    "role request with a role of no name": (
        message(4, 24, "00000009 00000000" + "00" * 8),
        RoleRequestFailed.BAD_ROLE,
    ),
    "nicira role of no name": (message(1, 4, "00002320 0000000a 00000007"), RoleRequestFailed.BAD_ROLE),
    "port mod too long": (message(4, 16, "00" * 33), R.BAD_LEN),
    "port mod with configuration of 1.0 only": (
        message(4, 16, "00000001 00000000 000000000001 0000 00000000 00000010 00000000 00000000"),
        PortModFailed.BAD_CONFIG,
    ),
    "unknown flow mod flag in 1.0": (flow_mod10(flags="0100"), FlowModFailed.BAD_FLAGS),
    "unknown multipart type": (message(4, 18, "00ff0000 00000000"), R.BAD_MULTIPART),
    "unknown statistics type": (message(1, 16, "0006 0000"), R.BAD_MULTIPART),
    "multipart request cut in its head": (message(4, 18, "0001"), R.BAD_LEN),
    "flow statistics request without a match": (message(4, 18, "00010000 00000000" + "00" * 32), M.BAD_LEN),
    "request in parts that has only one": (message(4, 18, "00000001 00000000"), R.MULTIPART_BUFFER_OVERFLOW),
    "table features with a wrong length": (
        message(4, 18, "000c0000 00000000" + "0010" + "00" * 62),
        TableFeaturesFailed.BAD_LEN,
    ),
    # flow mods
    "flow mod cut in its head": (message(4, 14, "00" * 20), R.BAD_LEN),
    "unknown flow mod command": (flow_mod13(command="05"), FlowModFailed.BAD_COMMAND),
    "unknown flow mod command in 1.0": (flow_mod10(command="0005"), FlowModFailed.BAD_COMMAND),
    "table in a 1.0 command unasked": (flow_mod10(command="0100"), FlowModFailed.BAD_COMMAND),
    "unknown flow mod flag": (flow_mod13(tail="0020"), FlowModFailed.BAD_FLAGS),
    "emergency flow in 1.0": (flow_mod10(flags="0004"), FlowModFailed.TABLE_FULL),
    "emergency flow in 1.0 with an idle timeout": (
        flow_mod10(flags="0004", timeouts="00050000"),
        FlowModFailed.BAD_TIMEOUT,
    ),
    "emergency flow in 1.0 with a hard timeout": (
        flow_mod10(flags="0004", timeouts="00000005"),
        FlowModFailed.BAD_TIMEOUT,
    ),
    "nicira add that looks for a cookie": (
        message(
            1, 4, "00002320 0000000d" + "00" * 14 + "0001 ffffffff ffff 0000 000c" + "00" * 6 + "00013c08" + "00" * 12
        ),
        M.BAD_FIELD,
    ),
    # matches
    "match of another type": (message(4, 14, flow_mod13().hex()[16:96] + "0000000400000000"), M.BAD_TYPE),
    "match shorter than its head": (message(4, 14, flow_mod13().hex()[16:96] + "0001000300000000"), M.BAD_LEN),
    "match longer than the message": (message(4, 14, flow_mod13().hex()[16:96] + "0001001000000000"), M.BAD_LEN),
    "field of no number": (flow_mod13("8000fe0100"), M.BAD_FIELD),
    "field of no class": (flow_mod13("1234000400000001"), M.BAD_FIELD),
    "field of an experimenter": (flow_mod13("ffff00044f4e4600"), M.BAD_FIELD),
    "field with a wrong length": (flow_mod13("80000003000001"), M.BAD_LEN),
    "field cut off": (flow_mod13("8000000400"), M.BAD_LEN),
    "field cut in its header": (flow_mod13("80"), M.BAD_LEN),
    "mask where none may be": (flow_mod13("8000010800000001ffffffff"), M.BAD_MASK),
    "mask of wrong bits": (flow_mod13("80000d041000ffff"), M.BAD_MASK),
    "value outside its mask": (flow_mod13(IPV4 + "800017080a000001ffffff00"), M.BAD_WILDCARDS),
    "value too large": (flow_mod13("80000c022005"), M.BAD_VALUE),
    "priority of a VLAN too large": (flow_mod13("80000c02100580000e0108"), M.BAD_VALUE),
    "packet type other than Ethernet": (flow_mod13("80005804 00010800"), M.BAD_FIELD),
    "packet type cut off": (flow_mod13("80005804 0000"), M.BAD_FIELD),
    "field twice": (flow_mod13("8000000400000001" * 2), M.DUP_FIELD),
    "field twice in two forms": (flow_mod13("800000040000000100000002 0001"), M.DUP_FIELD),
    "address without ethertype": (flow_mod13("800018040a000001"), M.BAD_PREREQ),
    "address of another ethertype": (flow_mod13("80000a0286dd800018040a000001"), M.BAD_PREREQ),
    "port without protocol": (flow_mod13(IPV4 + "80001c020050"), M.BAD_PREREQ),
    "VLAN priority without VLAN": (flow_mod13("80000e0103"), M.BAD_PREREQ),
    "VLAN priority of untagged packets": (flow_mod13("80000c02000080000e0103"), M.BAD_PREREQ),
    "physical port without port": (flow_mod13("8000020400000001"), M.BAD_PREREQ),
    "cookie as a field": (flow_mod13("00013c080000000000000001"), M.BAD_FIELD),
    "flow mod of 1.0 cut in its match": (message(1, 14, "00" * 30), R.BAD_LEN),
    # instructions
    "instruction of no number": (flow_mod13(instructions="0007000800000000"), I.UNKNOWN_INST),
    "instruction of an experimenter": (flow_mod13(instructions="ffff00084f4e4600"), I.BAD_EXPERIMENTER),
    "instruction too short": (flow_mod13(instructions="0001000400000000"), I.BAD_LEN),
    "instruction too long": (flow_mod13(instructions="0005001000000000"), I.BAD_LEN),
    "instruction of odd length": (flow_mod13(instructions="0004000c" + "00" * 8), R.BAD_LEN),
    "goto of wrong length": (flow_mod13(instructions="0001001006000000" + "00" * 8), I.BAD_LEN),
    "two gotos": (flow_mod13(instructions="0001000806000000" * 2), OnfError.DUP_INST),
    # actions
    "action of no number": (applied("001c000800000000"), A.BAD_TYPE),
    "action of no number in 1.0": (flow_mod10("000c000800000000"), A.BAD_TYPE),
    "action of length 0": (applied("0000000000000001"), A.BAD_LEN),
    "action of odd length": (message(4, 13, "ffffffff 00000001 000c 000000000000 0000000c0000000100000000"), R.BAD_LEN),
    "action longer than the list": (applied("0000001800000001ffff000000000000"), A.BAD_LEN),
    "output too short": (applied("0000000800000001"), A.BAD_LEN),
    "set_mpls_ttl too long": (applied("000f001003000000" + "00" * 8), A.BAD_LEN),
    "enqueue to NORMAL": (flow_mod10("000b0010fffa000000000000 00000001"), A.BAD_OUT_PORT),
    "VLAN of 1.0 too large to set": (flow_mod10("0001000810000000"), A.BAD_ARGUMENT),
    "VLAN priority of 1.0 too large to set": (flow_mod10("0002000808000000"), A.BAD_ARGUMENT),
    "TOS of 1.0 with ECN bits": (flow_mod10("0008000801000000"), A.BAD_ARGUMENT),
    "mod_dl_src of 8 bytes": (flow_mod10("0004000800000000"), A.BAD_LEN),
    "set_field of no number": (applied("001900108000fe0100" + "00" * 7), A.BAD_SET_TYPE),
    "set_field with a mask": (applied("001900188000070c" + "00" * 12 + "00" * 4), OnfError.BAD_SET_MASK),
    "set_field with a wrong length": (applied("001900108000060700000000" + "00" * 4), A.BAD_SET_LEN),
    "set_field longer than its field": (applied("0019001880000606" + "00" * 16), A.BAD_SET_LEN),
    "set_field of a value too large": (applied("0019001080000c022000" + "00" * 6), A.BAD_SET_ARGUMENT),
    "action of an unknown experimenter": (applied("ffff00084f4e4600"), A.BAD_EXPERIMENTER),
    "nicira action of no number": (applied(nicira(99, "00" * 6)), A.BAD_EXP_TYPE),
    "nicira learn": (applied(nicira(16, "00" * 22)), A.BAD_EXP_TYPE),
    "nicira action cut": (applied("ffff000800002320"), A.BAD_EXP_TYPE),
    "nicira action too long": (applied(nicira(4, "00" * 14)), A.BAD_LEN),
    "load of a value too large": (applied(nicira(7, "0003 00010004 0000000000000010")), A.BAD_ARGUMENT),
    "load into the cookie": (applied(nicira(7, "003f 00013c08 0000000000000001")), A.BAD_ARGUMENT),
    "load beyond the field": (applied(nicira(7, "07df 00010004 0000000000000000")), A.BAD_SET_LEN),
    "load into no field": (applied(nicira(7, "0000 00017e04 0000000000000000")), A.BAD_SET_TYPE),
    "move of no bits": (applied(nicira(6, "0000 0000 0000 00010004 00010204")), A.BAD_SET_LEN),
    "move of the cookie": (applied(nicira(6, "0020 0000 0000 00013c08 00010204")), M.BAD_FIELD),
    "move beyond the field": (applied(nicira(6, "0020 0001 0000 00010004 00010204")), A.BAD_SET_LEN),
    "controller for a reason of no name": (applied(nicira(20, "ffff 0000 07 00")), A.BAD_ARGUMENT),
    "MPLS label too large": (applied(nicira(30, "0000 00100000")), A.BAD_ARGUMENT),
    "packet out with more actions than bytes": (
        message(4, 13, "ffffffff 00000001 0018 000000000000" + OUTPUT_1),
        R.BAD_LEN,
    ),
    # groups, meters, queues
    "unknown group command": (message(4, 15, "0003 00 00 00000001"), GroupModFailed.BAD_COMMAND),
    "unknown group type": (message(4, 15, "0000 04 00 00000001"), GroupModFailed.BAD_TYPE),
    "bucket too short": (message(4, 15, "0000 00 00 00000001 0008 0000 00000000"), GroupModFailed.BAD_BUCKET),
    "bucket too long": (message(4, 15, "0000 00 00 00000001 0020" + "00" * 14), GroupModFailed.BAD_BUCKET),
    "bucket with a bad action": (
        message(4, 15, "0000 00 00 00000001 0018 0000 ffffffff ffffffff 00000000 001c000800000000"),
        A.BAD_TYPE,
    ),
    "unknown meter command": (message(4, 29, "0003 0001 00000001"), MeterModFailed.BAD_COMMAND),
    "unknown meter band": (message(4, 29, "0000 0001 00000001 0007 0010" + "00" * 12), MeterModFailed.BAD_BAND),
    "meter band cut": (message(4, 29, "0000 0001 00000001 0001 0010" + "00" * 8), R.BAD_LEN),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_broken_message_gets_the_error_the_specification_has_for_it(name: str) -> None:
    data, code = ROWS[name]

    with pytest.raises(DecodeError) as caught:
        decode(data)

    error = caught.value
    assert (error.type, error.code) == (ERROR_TYPE[type(code)], code)
    assert (error.version, error.xid, error.data) == (data[0], 0x2A, data[:512])


def test_the_rows_are_built_on_messages_that_are_right() -> None:
    for data in (
        flow_mod13(IPV4 + TCP),
        applied(OUTPUT_1),
        flow_mod10("0000000800010000"),
        applied(nicira(5, "00" * 6)),
    ):
        decode(data)
