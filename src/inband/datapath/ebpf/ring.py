"""A ring buffer of the kernel's, read through shared memory: record by record, as many as the reader wants.

libbpf has a reader too, but it empties the whole ring by calling back; here the work of one wake-up must be bounded
and control come before data, so the reader asks for one record at a time. The kernel's rules (its
Documentation/bpf/ringbuf.rst): two counters that only grow, the consumer's writable on the first page, the producer's
on the second, then the data, mapped twice so that no record is ever split. A record starts with its length, whose top
bits say "not ready" and "void".

The process sees the data through a window that moves along, for the kernel counts what is mapped as its memory, and a
switch may have many rings that are hardly used.

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
# To move the window takes 10 us; so many bytes of frames are decided in a millisecond or more.
WINDOW_BYTES = 1 << 16


class Ring:
    """One ring. ``descriptor`` is readable (epoll) while records wait."""

    def __init__(self, descriptor: int, size: int) -> None:
        """Map the ring of ``size`` bytes (a power of two, as in the map's definition)."""
        page = mmap.PAGESIZE
        self.descriptor = descriptor
        self._mask = size - 1
        self._consumer = mmap.mmap(descriptor, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self._producer = mmap.mmap(descriptor, page, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._consumed = memoryview(self._consumer).cast("Q")
        self._position = self._consumed[0]
        self._window: mmap.mmap | None = None
        self._start = self._end = 0

    def read(self) -> bytes | None:
        """The next record, or None when no finished one waits."""
        while True:
            (end,) = _POSITION.unpack_from(self._producer)
            if self._position >= end:
                return None
            at = self._position & self._mask
            head, _ = _HEADER.unpack_from(*self._see(at, _HEADER.size))
            if head & _BUSY:
                return None
            length = head & _LENGTH
            record = None
            if not head & _DISCARDED:
                window, first = self._see(at + _HEADER.size, length)
                record = window[first : first + length]
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
        self._close_window()
        self._consumed.release()
        self._producer.close()
        self._consumer.close()

    def _see(self, at: int, length: int) -> tuple[mmap.mmap, int]:
        """A window with these bytes of the data, and where in it they begin."""
        window = self._window
        if window is None or at < self._start or at + length > self._end:
            self._close_window()
            self._start = at & -mmap.PAGESIZE
            size = max(WINDOW_BYTES, at + length - self._start)
            size = min(size + mmap.PAGESIZE - 1 & -mmap.PAGESIZE, 2 * (self._mask + 1) - self._start)
            self._end = self._start + size
            offset = 2 * mmap.PAGESIZE + self._start
            window = mmap.mmap(self.descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)
            self._window = window
        return window, at - self._start

    def _close_window(self) -> None:
        if self._window is not None:
            self._window.close()
            self._window = None
