"""An array of the kernel's, read through shared memory: piece by piece, as each is asked for.

The kernel counts what a process has mapped as its memory, and gives it all pages of a map at once. An array has room
for the largest switch; most have a few of its elements in use, the first ones.

Invariants: a piece that is mapped stays so until ``close``. Nothing is written here.
"""

from __future__ import annotations

import mmap
from struct import Struct
from typing import Any

# Of 32-byte counters it has those of 2,048 flows.
PIECE_BYTES = 1 << 16


class MappedArray:
    """One map. ``item`` is the layout of an element, whose size is a power of two."""

    def __init__(self, descriptor: int, item: Struct, count: int) -> None:
        """``count`` is how many elements the map has."""
        self._descriptor = descriptor
        self._item = item
        self._size = item.size * count
        self._pieces: list[mmap.mmap | None] = [None] * -(-self._size // PIECE_BYTES)

    def read(self, number: int) -> tuple[Any, ...]:
        """An element's values."""
        piece, at = divmod(number * self._item.size, PIECE_BYTES)
        return self._item.unpack_from(self._pieces[piece] or self._map(piece), at)

    def bytes(self, start: int, end: int) -> bytes:
        """The bytes from one to another, as far as there are any."""
        parts = []
        for piece in range(start // PIECE_BYTES, -(-min(end, self._size) // PIECE_BYTES)):
            first = piece * PIECE_BYTES
            parts.append((self._pieces[piece] or self._map(piece))[max(0, start - first) : end - first])
        return b"".join(parts)

    def close(self) -> None:
        """Unmap it."""
        for piece in self._pieces:
            if piece is not None:
                piece.close()
        self._pieces = [None] * len(self._pieces)

    def _map(self, piece: int) -> mmap.mmap:
        at = piece * PIECE_BYTES
        size = min(PIECE_BYTES, -(-(self._size - at) // mmap.PAGESIZE) * mmap.PAGESIZE)
        mapped = self._pieces[piece] = mmap.mmap(self._descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=at)
        return mapped
