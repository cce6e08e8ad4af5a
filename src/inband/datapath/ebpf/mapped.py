"""An array of the kernel's, read through shared memory: piece by piece, as each is asked for.

The kernel counts what a process has mapped as its memory, and gives it all pages of a map at once. An array has room
for the largest switch; most have a few of its elements in use, the first ones. So the first pieces are small, and each
is as large as all before it: for every piece Python keeps a descriptor, of which a process has not many.

Invariants: a piece that is mapped stays so until ``close``. Nothing is written here.
"""

from __future__ import annotations

import mmap
from struct import Struct
from typing import Any

# Of the first piece. Of 32-byte counters it has those of 2,048 flows.
PIECE_BYTES = 1 << 16


class MappedArray:
    """One map. ``item`` is the layout of an element, whose size is a power of two."""

    def __init__(self, descriptor: int, item: Struct, count: int) -> None:
        """``count`` is how many elements the map has."""
        self._descriptor = descriptor
        self._item = item
        self._size = item.size * count
        self._pieces: list[mmap.mmap | None] = [None] * (_piece_of(self._size - 1) + 1)

    def read(self, number: int) -> tuple[Any, ...]:
        """An element's values."""
        at = number * self._item.size
        piece = _piece_of(at)
        return self._item.unpack_from(self._pieces[piece] or self._map(piece), at - _start_of(piece))

    def bytes(self, start: int, end: int) -> bytes:
        """The bytes from one to another, as far as there are any."""
        end = min(end, self._size)
        if start >= end:
            return b""
        parts = []
        for piece in range(_piece_of(start), _piece_of(end - 1) + 1):
            first = _start_of(piece)
            parts.append((self._pieces[piece] or self._map(piece))[max(0, start - first) : end - first])
        return b"".join(parts)

    def close(self) -> None:
        """Unmap it."""
        for piece in self._pieces:
            if piece is not None:
                piece.close()
        self._pieces = [None] * len(self._pieces)

    def _map(self, piece: int) -> mmap.mmap:
        at, end = _start_of(piece), min(_start_of(piece + 1), self._size)
        size = -(-(end - at) // mmap.PAGESIZE) * mmap.PAGESIZE
        mapped = self._pieces[piece] = mmap.mmap(self._descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=at)
        return mapped


def _piece_of(at: int) -> int:
    """In which piece a byte is."""
    return (at // PIECE_BYTES).bit_length()


def _start_of(piece: int) -> int:
    return PIECE_BYTES << piece >> 1 if piece else 0
