"""A reader for the functions of a BPF object: who calls whom, and how much of the stack each one uses.

An instruction has 8 bytes: opcode, two registers, offset, immediate value (the kernel's
Documentation/bpf/instruction-set.rst). Register 10 is the top of the function's stack.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SYMBOLS, _RELOCATIONS, _FUNCTION = 2, 9, 2
_LOAD, _STORE_NUMBER, _STORE = 1, 2, 3
_CALL, _COPY, _ADD_NUMBER = 0x85, 0xBF, 0x07
_OF_THIS_OBJECT = 1
_TOP = 10


@dataclass(frozen=True)
class Function:
    """``stack`` in bytes."""

    stack: int
    calls: frozenset[str]


def read_functions(path: Path) -> dict[str, Function]:
    """All functions of an ELF object, by name."""
    elf = path.read_bytes()
    (table,) = struct.unpack_from("<Q", elf, 40)
    (count,) = struct.unpack_from("<H", elf, 60)
    sections = [struct.unpack_from("<IIQQQQIIQQ", elf, table + 64 * i) for i in range(count)]
    (symbols_section,) = (each for each in sections if each[1] == _SYMBOLS)
    names_at = sections[symbols_section[6]][4]
    symbols = [_unpack("<IBBHQQ", elf, symbols_section[4] + at) for at in range(0, symbols_section[5], 24)]
    targets = {
        (section[7], at): symbols[info >> 32]
        for section in sections
        if section[1] == _RELOCATIONS
        for at, info in struct.iter_unpack("<QQ", elf[section[4] : section[4] + section[5]])
    }
    functions = {
        (section, at): (elf[names_at + name : elf.index(b"\0", names_at + name)].decode(), size)
        for name, kind, _, section, at, size in symbols
        if kind & 15 == _FUNCTION
    }
    found = {}
    for (section, start), (name, size) in functions.items():
        code = elf[sections[section][4] + start :][:size]
        calls = set()
        for at, imm in _calls(code):
            symbol = targets.get((section, start + at))
            if symbol is None:
                callee = section, start + at + 8 + imm * 8
            elif symbol[1] & 15 == _FUNCTION:
                callee = symbol[3], symbol[4]
            else:  # the symbol is the section
                callee = symbol[3], symbol[4] + (imm + 1) * 8
            calls.add(functions[callee][0])
        found[name] = Function(_stack(code), frozenset(calls))
    return found


def call_chains(functions: dict[str, Function], start: str) -> Iterator[list[str]]:
    """Every way from one function to one that calls no other."""
    if not functions[start].calls:
        yield [start]
    for callee in functions[start].calls:
        for rest in call_chains(functions, callee):
            yield [start, *rest]


def _unpack(form: str, data: bytes, at: int) -> tuple[int, ...]:
    return struct.unpack_from(form, data, at)


def _calls(code: bytes) -> Iterator[tuple[int, int]]:
    """Where there is a call within the object, and its immediate value."""
    for number, (opcode, registers, _, imm) in enumerate(struct.iter_unpack("<BBhi", code)):
        if opcode == _CALL and registers >> 4 == _OF_THIS_OBJECT:
            yield number * 8, imm


def _stack(code: bytes) -> int:
    """How far below the top it reads, writes or points."""
    deepest, copies = 0, set()
    for opcode, registers, offset, imm in struct.iter_unpack("<BBhi", code):
        to, source, kind = registers & 15, registers >> 4, opcode & 7
        if (kind == _LOAD and source == _TOP) or (kind in (_STORE_NUMBER, _STORE) and to == _TOP):
            deepest = max(deepest, -offset)
        elif opcode == _COPY and source == _TOP:
            copies.add(to)
        elif opcode == _ADD_NUMBER and to in copies:
            deepest = max(deepest, -imm)
            copies.discard(to)
    return deepest
