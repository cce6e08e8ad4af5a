"""The reader of the kernel's ring, on memory that looks like one."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inband.datapath.ebpf.ring import WINDOW_BYTES, Ring

PAGE = mmap.PAGESIZE
SIZE = PAGE
RECORD = 8
BUSY, VOID = 1 << 31, 1 << 30

WATCH = """
import mmap, sys
word = memoryview(mmap.mmap(int(sys.argv[1]), mmap.PAGESIZE)).cast("Q")
print("watching", flush=True)
last, looks = word[0], 0
while last < int(sys.argv[2]):
    now = word[0]
    if now < last:
        sys.exit(f"{last} became {now}")
    last = now
"""


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = os.memfd_create("ring")
    os.truncate(descriptor, 2 * PAGE + 2 * SIZE)
    yield descriptor
    os.close(descriptor)


def produce(memory: int, *records: tuple[int, bytes]) -> None:
    """Write records, flags and bytes, from the start, and say how far they go."""
    data = b"".join(
        (struct.pack("=II", len(body) | flags, 0) + body).ljust(8 + len(body) + -len(body) % 8, b"\0")
        for flags, body in records
    )
    os.pwrite(memory, data, 2 * PAGE)
    advance(memory, len(data))


def advance(memory: int, position: int) -> None:
    os.pwrite(memory, struct.pack("=Q", position), PAGE)


def test_records_come_in_order_and_then_none(memory: int) -> None:
    produce(memory, (0, b"first"), (0, b"second one"))
    ring = Ring(memory, SIZE)

    found = [ring.read() for _ in range(3)]

    assert found == [b"first", b"second one", None]
    ring.close()


def test_a_void_record_is_passed_over_and_one_that_is_not_ready_waited_for(memory: int) -> None:
    produce(memory, (VOID, b"void"), (0, b"good"), (BUSY, b"busy"), (0, b"later"))
    ring = Ring(memory, SIZE)

    found = [ring.read() for _ in range(2)]

    assert found == [b"good", None]
    ring.close()


def test_records_of_all_sizes_come_through_a_window_that_moves_round_and_round() -> None:
    size = 4 * WINDOW_BYTES
    memory = os.memfd_create("ring")
    os.truncate(memory, 2 * PAGE + 2 * size)
    ring = Ring(memory, size)
    position = 0

    for number in range(200):
        body = bytes([number]) * (number * 997 % (WINDOW_BYTES * 2))
        record = (struct.pack("=II", len(body), 0) + body).ljust(8 + len(body) + -len(body) % 8, b"\0")
        for at, byte in ((position % size, record), (position % size + size, record[: size - position % size])):
            os.pwrite(memory, byte[: 2 * size - at], 2 * PAGE + at)
        if position % size + len(record) > size:  # the second copy begins anew where the first one ends
            os.pwrite(memory, record[size - position % size :], 2 * PAGE)
        position += len(record)
        advance(memory, position)

        assert ring.read() == body
        assert ring.read() is None
        assert mapped(memory) <= 2 * PAGE + max(WINDOW_BYTES, len(record)) + 2 * PAGE
    ring.close()
    os.close(memory)


def mapped(memory: int) -> int:
    """Bytes of the ring that this process has mapped."""
    inode = f" {os.fstat(memory).st_ino} "
    ranges = [line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines() if inode in line]
    return sum(int(end, 16) - int(start, 16) for start, end in ranges)


def test_the_position_that_the_kernel_sees_never_goes_back(memory: int) -> None:
    laps = 100
    end = laps * SIZE
    os.pwrite(memory, struct.pack("=II", RECORD, 0) * (SIZE // 8), 2 * PAGE)
    advance(memory, end)
    ring = Ring(memory, SIZE)
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCH, str(memory), str(end)], stdout=subprocess.PIPE, pass_fds=[memory]
    )
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == b"watching\n"

    while ring.read() is not None:
        pass

    assert watcher.wait(20) == 0
    watcher.stdout.close()
    ring.close()
