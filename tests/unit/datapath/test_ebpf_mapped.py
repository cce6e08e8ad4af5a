"""An array that is mapped in pieces reads as one that is mapped whole."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from inband.datapath.ebpf.mapped import PIECE_BYTES, MappedArray

ITEM = struct.Struct("=QQ")
COUNT = 3 * PIECE_BYTES // ITEM.size + 256


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = os.memfd_create("array")
    os.write(descriptor, b"".join(ITEM.pack(number, number + 1) for number in range(COUNT)))
    yield descriptor
    os.close(descriptor)


def pieces() -> int:
    return sum("memfd:array" in line for line in Path("/proc/self/maps").read_text().splitlines())


def test_every_element_is_read(memory: int) -> None:
    array = MappedArray(memory, ITEM, COUNT)

    assert [array.read(number) for number in range(COUNT)] == [(number, number + 1) for number in range(COUNT)]
    array.close()


@pytest.mark.parametrize("start", [0, 16, PIECE_BYTES - 32, PIECE_BYTES, 3 * PIECE_BYTES])
@pytest.mark.parametrize("length", [0, 32, PIECE_BYTES, 2 * PIECE_BYTES + 64, 1 << 30])
def test_spans_are_what_a_whole_mapping_has(memory: int, start: int, length: int) -> None:
    array = MappedArray(memory, ITEM, COUNT)

    assert array.bytes(start, start + length) == os.pread(memory, length, start)
    array.close()


def test_only_what_is_read_is_mapped_and_nothing_after_the_end(memory: int) -> None:
    array = MappedArray(memory, ITEM, COUNT)
    assert pieces() == 0

    array.read(0)
    assert pieces() == 1
    array.read(COUNT - 1)
    assert pieces() == 2

    array.close()
    assert pieces() == 0


def test_all_of_a_large_array_takes_few_descriptors() -> None:
    memory = os.memfd_create("array")
    os.truncate(memory, 64 * PIECE_BYTES)
    array = MappedArray(memory, ITEM, 64 * PIECE_BYTES // ITEM.size)
    before = len(os.listdir("/proc/self/fd"))

    for number in range(0, 64 * PIECE_BYTES // ITEM.size, 256):
        array.read(number)

    assert len(os.listdir("/proc/self/fd")) - before == pieces() == 7
    array.close()
    os.close(memory)
