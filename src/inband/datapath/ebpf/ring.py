"""A ring buffer of the kernel's, read through shared memory: record by record, as many as the reader wants.

libbpf has a reader too, but it empties the whole ring by calling back; here the work of one wake-up must be bounded
and control come before data, so the reader asks for one record at a time. The kernel's rules (its
Documentation/bpf/ringbuf.rst): two counters that only grow, the consumer's writable on the first page, the producer's
on the second, then the data, mapped twice so that no record is ever split. A record starts with its length, whose top
bits say "not ready" and "void".

Invariants: what is returned is a copy; the kernel may overwrite the record once the counter has moved on. Each
counter is read and written by one access: the kernel looks while it is written. ``Struct.pack_into`` fills its place
with zeros first, and a counter that is 0 for an instant is a full ring to the kernel, which then drops a frame.
"""

from __future__ import annotations

import mmap
from struct import Struct

_POSITION = Struct("=Q")
_HEADER = Struct("=II")
_BUSY, _DISCARDED = 1 << 31, 1 << 30
_LENGTH = _DISCARDED - 1


class Ring:
    """One ring. ``descriptor`` is readable (epoll) while records wait."""

    def __init__(self, descriptor: int, size: int) -> None:
        """Map the ring of ``size`` bytes (a power of two, as in the map's definition)."""
        page = mmap.PAGESIZE
        self.descriptor = descriptor
        self._mask = size - 1
        self._consumer = mmap.mmap(descriptor, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self._producer = mmap.mmap(descriptor, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._data = memoryview(self._producer)[page:]
        self._consumed = memoryview(self._consumer).cast("Q")
        self._position = self._consumed[0]

    def read(self) -> bytes | None:
        """The next record, or None when no finished one waits."""
        while True:
            (end,) = _POSITION.unpack_from(self._producer)
            if self._position >= end:
                return None
            at = self._position & self._mask
            head, _ = _HEADER.unpack_from(self._data, at)
            if head & _BUSY:
                return None
            length = head & _LENGTH
            record = None if head & _DISCARDED else bytes(self._data[at + _HEADER.size : at + _HEADER.size + length])
            self._position += length + _HEADER.size + 7 & ~7
            self._consumed[0] = self._position
            if record is not None:
                return record

    @property
    def has_more(self) -> bool:
        """Whether another record waits, or is about to."""
        (end,) = _POSITION.unpack_from(self._producer)
        return bool(self._position < end)

    def close(self) -> None:
        """Unmap it."""
        self._data.release()
        self._consumed.release()
        self._producer.close()
        self._consumer.close()
