"""Which masks the kernel tries: MAX_MASKS places, given out by use and taken back with the last entry.

The number of places in use bounds what a miss costs in the kernel, so low places are given out first.
"""

from __future__ import annotations

from collections.abc import Callable

from inband.datapath.ebpf.keys import words_of
from inband.datapath.ebpf.layout import MASK, MAX_MASKS

NO_MASK = bytes(MASK.size)


class MaskTable:
    """Masks by number, from 1. ``write`` puts a struct mask into the kernel's place (from 0)."""

    def __init__(self, write: Callable[[int, bytes], None], set_count: Callable[[int], None]) -> None:
        """``set_count`` tells the kernel how many places it has to look at."""
        self._write = write
        self._set_count = set_count
        self._numbers: dict[bytes, int] = {}
        self._masks: list[bytes | None] = [None] * MAX_MASKS
        self._uses = [0] * MAX_MASKS

    def __len__(self) -> int:
        return len(self._numbers)

    def take(self, mask: bytes) -> int | None:
        """The number of a mask for one more entry; None when all places are taken."""
        number = self._numbers.get(mask)
        if number is None:
            index = next((i for i, there in enumerate(self._masks) if there is None), None)
            if index is None:
                return None
            number = self._place(index, mask)
        self._uses[number - 1] += 1
        return number

    def adopt(self, index: int, mask: bytes, uses: int) -> None:
        """Take note of a mask that is in the kernel already."""
        self._numbers[mask] = index + 1
        self._masks[index] = mask
        self._uses[index] = uses
        self._count()

    def give_back(self, number: int, count: int = 1) -> None:
        """Entries of this mask are gone."""
        index = number - 1
        self._uses[index] -= count
        mask = self._masks[index]
        if self._uses[index] or mask is None:
            return
        del self._numbers[mask]
        self._masks[index] = None
        self._write(index, NO_MASK)
        self._count()

    def _place(self, index: int, mask: bytes) -> int:
        # Packets have all ones where a mask has its number, so what is left of a key under a mask has it too.
        self._write(index, MASK.pack(mask[:4] + (index + 1).to_bytes(2, "big") + mask[6:], words_of(mask), 0))
        self._numbers[mask] = index + 1
        self._masks[index] = mask
        self._count()
        return index + 1

    def _count(self) -> None:
        self._set_count(max((i + 1 for i, mask in enumerate(self._masks) if mask is not None), default=0))
