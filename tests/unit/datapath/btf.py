"""A reader for BTF (the kernel's Documentation/bpf/btf.rst): enough to ask an object for its structs and enums."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

_PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _FUNC_PROTO, _VAR, _DATASEC, _DECL_TAG, _ENUM64 = (
    2,
    3,
    4,
    5,
    6,
    7,
    13,
    14,
    15,
    17,
    19,
)


@dataclass
class Btf:
    """Sizes and member offsets (in bytes) of structs, members of anonymous ones under their own name; enumerators."""

    sizes: dict[str, int] = field(default_factory=dict)
    offsets: dict[str, dict[str, int]] = field(default_factory=dict)
    enumerators: dict[str, int] = field(default_factory=dict)


@dataclass
class _Struct:
    name: str
    size: int
    members: list[tuple[str, int, int]]


def read_btf(path: Path) -> Btf:
    """Read the .BTF section of an ELF object."""
    return _read(section(path, ".BTF"))


def section(path: Path, wanted: str) -> bytes:
    """The bytes of a section of an ELF object."""
    elf = path.read_bytes()
    (table,) = struct.unpack_from("<Q", elf, 40)
    size, count, names = struct.unpack_from("<HHH", elf, 58)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + size * i) for i in range(count)]
    names_at = headers[names][4]
    for name, _, _, _, at, length in headers:
        if elf[names_at + name : elf.index(b"\0", names_at + name)].decode() == wanted:
            return elf[at : at + length]
    raise AssertionError(f"no section {wanted!r}")


def _read(data: bytes) -> Btf:
    header_size, types_at, types_size, strings_at = struct.unpack_from("<IIII", data, 4)
    strings = data[header_size + strings_at :]
    found = Btf()
    structs: dict[int, _Struct] = {}
    at, end, number = header_size + types_at, header_size + types_at + types_size, 1
    while at < end:
        name_at, info, size = struct.unpack_from("<III", data, at)
        name = strings[name_at : strings.index(b"\0", name_at)].decode()
        kind, count = info >> 24 & 31, info & 0xFFFF
        at += 12
        if kind in (_STRUCT, _UNION):
            members = [struct.unpack_from("<III", data, at + 12 * i) for i in range(count)]
            named = [(strings[n : strings.index(b"\0", n)].decode(), t, o // 8) for n, t, o in members]
            structs[number] = _Struct(name, size, named)
        elif kind == _ENUM:
            for i in range(count):
                n, value = struct.unpack_from("<Ii", data, at + 8 * i)
                found.enumerators[strings[n : strings.index(b"\0", n)].decode()] = value
        at += _rest(kind, count)
        number += 1
    for each in structs.values():
        if each.name:
            found.sizes[each.name] = each.size
            found.offsets[each.name] = dict(_flat(each, structs, 0))
    return found


def _rest(kind: int, count: int) -> int:
    each = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}.get(kind, 0)
    return each * count + {1: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}.get(kind, 0)


def _flat(of: _Struct, structs: dict[int, _Struct], base: int) -> list[tuple[str, int]]:
    """Members with those of inner structs, as ``ipv4.src_be``."""
    found = []
    for name, kind, offset in of.members:
        inner = structs.get(kind)
        if name:
            found.append((name, base + offset))
        if inner is not None and not inner.name:
            prefix = f"{name}." if name else ""
            found += [(prefix + n, o) for n, o in _flat(inner, structs, base + offset)]
    return found
