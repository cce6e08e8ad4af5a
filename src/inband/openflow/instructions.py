"""Instructions on the wire (OpenFlow 1.3.5, 7.2.4), in 1.3's form and as 1.0's plain action list.

Whatever order they come in, instructions are in the order in which they are carried out (5.9): meter, apply,
clear, write, metadata, goto. Two of a kind are refused; 1.3 has no code for that, so it is the ONF's for 1.3.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import assert_never

from inband.flow import actions as a
from inband.flow.facts import Facts, are_few
from inband.openflow.actions import decode_actions, encode_actions
from inband.openflow.constants import InstructionType
from inband.openflow.errors import MalformedError
from inband.vocabulary.openflow import OFP10, OFP13
from inband.vocabulary.openflow_errors import BadInstruction, BadRequest, OnfError

_GOTO = struct.Struct("!HHB3x")
_METADATA = struct.Struct("!HH4xQQ")
_METER = struct.Struct("!HHI")
_ACTIONS = struct.Struct("!HH4x")
# A controller's flows do few different things: what short lists mean is remembered, values being immutable. The bounds
# are for peers who would have us remember more than is worth it.
_REMEMBERED, _REMEMBERED_BYTES = 1024, 64
_SIZES = {
    InstructionType.GOTO_TABLE: 8,
    InstructionType.WRITE_METADATA: 24,
    InstructionType.CLEAR_ACTIONS: 8,
    InstructionType.METER: 8,
}
_ORDER: dict[type, int] = {kind: place for place, kind in enumerate(a.INSTRUCTION_ORDER)}


def _order(instruction: a.Instruction) -> int:
    return _ORDER[type(instruction)]


def decode_instructions(data: bytes, pos: int, end: int) -> tuple[a.Instruction, ...]:
    """Read the instructions that fill ``data`` from ``pos`` to ``end``.

    Raises MalformedError: OFPBRC_BAD_LEN when they are no multiple of 8 bytes, with OFPBIC_* (BAD_LEN, UNKNOWN_INST,
    DUP_INST, BAD_EXPERIMENTER), or with OFPBAC_*.
    """
    if (end - pos) % 8:
        raise MalformedError(BadRequest.BAD_LEN, f"{end - pos} bytes of instructions, which is no multiple of 8")
    if end - pos <= _REMEMBERED_BYTES:
        return _decode_short(data[pos:end])
    return _decode_all(data, pos, end)


@lru_cache(_REMEMBERED)
def _decode_short(data: bytes) -> tuple[a.Instruction, ...]:
    return _decode_all(data, 0, len(data))


def _decode_all(data: bytes, pos: int, end: int) -> tuple[a.Instruction, ...]:
    out: list[a.Instruction] = []
    while pos < end:
        kind, length = int.from_bytes(data[pos : pos + 2], "big"), int.from_bytes(data[pos + 2 : pos + 4], "big")
        stop = pos + length
        if length < 8 or length % 8 or stop > end or length != _SIZES.get(kind, length):  # type: ignore[call-overload]
            raise MalformedError(
                BadInstruction.BAD_LEN, f"an instruction {kind} of {length} bytes where {end - pos} are left"
            )
        out.append(_decode(kind, data, pos, stop))
        pos = stop
    if len(out) > 1:
        out.sort(key=_order)
        if len({type(instruction) for instruction in out}) != len(out):
            raise MalformedError(OnfError.DUP_INST, "two instructions of one kind")
    return tuple(out)


def _decode(kind: int, data: bytes, pos: int, stop: int) -> a.Instruction:
    match kind:
        case InstructionType.APPLY_ACTIONS:
            return a.ApplyActions(decode_actions(data, pos + 8, stop, OFP13))
        case InstructionType.GOTO_TABLE:
            return a.GotoTable(data[pos + 4])
        case InstructionType.WRITE_ACTIONS:
            return a.WriteActions(decode_actions(data, pos + 8, stop, OFP13))
        case InstructionType.WRITE_METADATA:
            _, _, value, mask = _METADATA.unpack_from(data, pos)
            return a.WriteMetadata(value, mask)
        case InstructionType.CLEAR_ACTIONS:
            return a.ClearActions()
        case InstructionType.METER:
            return a.Meter(int.from_bytes(data[pos + 4 : pos + 8], "big"))
        case InstructionType.EXPERIMENTER:
            raise MalformedError(BadInstruction.BAD_EXPERIMENTER, "no experimenter's instruction is known")
        case _:
            raise MalformedError(BadInstruction.UNKNOWN_INST, f"instruction type {kind} is not known")


def _encode_all(instructions: tuple[a.Instruction, ...]) -> bytes:
    return b"".join([_encode(instruction) for instruction in instructions])


encode_instructions = Facts(_encode_all, are_few).of
"""Writes instructions in 1.3's form, in the order in which they are given."""


def _encode(instruction: a.Instruction) -> bytes:
    match instruction:
        case a.ApplyActions(actions):
            return _with_actions(InstructionType.APPLY_ACTIONS, actions)
        case a.WriteActions(actions):
            return _with_actions(InstructionType.WRITE_ACTIONS, actions)
        case a.GotoTable(table_id):
            return _GOTO.pack(InstructionType.GOTO_TABLE, 8, table_id)
        case a.WriteMetadata(value, mask):
            return _METADATA.pack(InstructionType.WRITE_METADATA, 24, value, mask)
        case a.ClearActions():
            return _ACTIONS.pack(InstructionType.CLEAR_ACTIONS, 8)
        case a.Meter(meter_id):
            return _METER.pack(InstructionType.METER, 8, meter_id)
        case _:
            assert_never(instruction)


def _with_actions(kind: int, actions: tuple[a.Action, ...]) -> bytes:
    body = encode_actions(actions, OFP13)
    return _ACTIONS.pack(kind, len(body) + 8) + body


def decode_action_list(data: bytes, pos: int, end: int) -> tuple[a.Instruction, ...]:
    """Read 1.0's action list as instructions: none, or one ApplyActions. Raises MalformedError with OFPBAC_*."""
    if end - pos <= _REMEMBERED_BYTES:
        return _decode_short_list(data[pos:end])
    return _decode_list(data, pos, end)


@lru_cache(_REMEMBERED)
def _decode_short_list(data: bytes) -> tuple[a.Instruction, ...]:
    return _decode_list(data, 0, len(data))


def _decode_list(data: bytes, pos: int, end: int) -> tuple[a.Instruction, ...]:
    actions = decode_actions(data, pos, end, OFP10)
    return (a.ApplyActions(actions),) if actions else ()


def encode_action_list(instructions: tuple[a.Instruction, ...], *, lenient: bool = False) -> bytes:
    """Write instructions as 1.0's action list: what is applied, and a goto as Nicira's resubmit.

    ``lenient`` leaves out actions that 1.0 cannot say; write, clear, metadata and meter have no form there at all.
    """
    actions: list[a.Action] = []
    for instruction in instructions:
        if isinstance(instruction, a.ApplyActions):
            actions.extend(instruction.actions)
        elif isinstance(instruction, a.GotoTable):
            actions.append(a.Resubmit(None, instruction.table_id))
    return encode_actions(tuple(actions), OFP10, lenient=lenient)


def _say_what_can_be_said(instructions: tuple[a.Instruction, ...]) -> bytes:
    return encode_action_list(instructions, lenient=True)


encode_lenient_action_list = Facts(_say_what_can_be_said, are_few).of
"""Writes instructions as 1.0's action list without what that cannot say: for dumps."""
