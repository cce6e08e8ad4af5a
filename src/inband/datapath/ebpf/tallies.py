"""What rules and buckets count in the kernel: memory that this process reads, in which each has a slot.

Invariants: slots rest before they are used again, since a packet on another CPU may be at it still. A slot's numbers
never become less; what a tally gets of them is what was counted since it has the slot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.layout import MAX_RULES, STATS
from inband.datapath.rules import Tally

# Slots that rest before they are used again; a packet on another CPU is done within microseconds.
_RESTING = 1024
# Counters compared at a time; a part of a round is over after so many such blocks, or tallies that have counted.
_BLOCK = 128
_BLOCKS_PER_PART = 256
_COUNTED_PER_PART = 256
_NANOSECONDS = 1e-9


@dataclass(slots=True, eq=False)
class _Counting:
    """Of a slot in use: whose it is, and what of its numbers that has."""

    tally: Tally
    packets: int
    bytes: int


class Tallies:
    """The slots of one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._by_slot: dict[int, _Counting] = {}
        self._free: deque[int] = deque()
        self._unused_from = 1
        self._seen: dict[int, bytes] = {}

    def take(self, tally: Tally) -> int:
        """A slot for a tally; 0: there is none."""
        if len(self._free) > _RESTING or (self._free and self._unused_from >= MAX_RULES):
            slot = self._free.popleft()
        elif self._unused_from >= MAX_RULES:
            return 0
        else:
            slot = self._unused_from
            self._unused_from += 1
        packets, bytes_, _, _ = self._kernel.rule_stats.read(slot)
        self._by_slot[slot] = _Counting(tally, packets, bytes_)
        return slot

    def give_back(self, slot: int) -> None:
        """The slot's tally needs it no more, and has its final counts."""
        self.read(slot)
        del self._by_slot[slot]
        self._free.append(slot)

    def read(self, slot: int) -> None:
        """Bring a slot's tally up to date."""
        self._read(slot, self._by_slot[slot])

    def count(self) -> Iterator[list[Tally]]:
        """As ``RuleTable.count``."""
        size = _BLOCK * STATS.size
        counted: list[Tally] = []
        for blocks, start in enumerate(range(0, self._unused_from * STATS.size, size), start=1):
            now = self._kernel.rule_stats.bytes(start, start + size)
            if now != self._seen.get(start):
                self._seen[start] = now
                first = start // STATS.size
                used = [(slot, self._by_slot[slot]) for slot in range(first, first + _BLOCK) if slot in self._by_slot]
                counted += [counting.tally for slot, counting in used if self._read(slot, counting)]
            if blocks % _BLOCKS_PER_PART == 0 or len(counted) >= _COUNTED_PER_PART:
                yield counted
                counted = []
        yield counted

    def _read(self, slot: int, counting: _Counting) -> bool:
        """Bring a tally up to date; whether there was anything new."""
        packets, bytes_, used_ns, _ = self._kernel.rule_stats.read(slot)
        if packets == counting.packets:
            return False
        tally = counting.tally
        tally.packets += packets - counting.packets
        tally.bytes += bytes_ - counting.bytes
        tally.used = max(tally.used, used_ns * _NANOSECONDS)
        counting.packets, counting.bytes = packets, bytes_
        return True
