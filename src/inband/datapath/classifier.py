"""How the datapaths in this process find a megaflow: for each mask, a dictionary from masked key to decision (Open
vSwitch has the same as dpcls).

A key and a mask are one integer each (``flow.fields``), so finding a decision is one ``&`` and one dictionary lookup
per mask. Masks are few, because the pipeline makes megaflows as wide as it can, and those that hit most often
come first: the order is free, since megaflows never overlap with different actions.

It is bounded: when it is full it takes no more, and frames without a megaflow go up, slower and
just as right. It has no clock and counts nothing by itself; datapaths write hits into the megaflows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from inband.datapath.base import Megaflow

# About 1 kB each. Who installs them has a bound of its own, this one only keeps a defect there from eating the memory.
MAX_MEGAFLOWS = 131_072

# Megaflows looked at for packets in one part: half a millisecond at most, and as much for who credits them.
_COUNTED_AT_ONCE = 256

# The order of masks is looked at once in so many hits found behind the first mask: often enough to follow traffic,
# seldom enough to cost nothing.
_REORDER_EVERY = 1024


class _Subtable:
    """The megaflows of one mask, by masked key."""

    __slots__ = ("flows", "hits", "mask")

    def __init__(self, mask: int) -> None:
        self.mask = mask
        self.flows: dict[int, Megaflow] = {}
        self.hits = 0


class DatapathClassifier:
    """Decisions by mask and masked key."""

    def __init__(self, limit: int = MAX_MEGAFLOWS) -> None:
        """``limit`` bounds the number of megaflows."""
        self._limit = limit
        self._tables: dict[int, _Subtable] = {}
        self._order: list[_Subtable] = []
        self._count = 0
        self._late_hits = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Megaflow]:
        for table in self._order:
            yield from table.flows.values()

    @property
    def mask_count(self) -> int:
        """How many dictionaries a miss has to look into."""
        return len(self._order)

    def find(self, key: int) -> Megaflow | None:
        """The megaflow that decides about a packet, or None. Work: one dictionary lookup per mask."""
        for table in self._order:
            megaflow = table.flows.get(key & table.mask)
            if megaflow is not None:
                table.hits += 1
                if table is not self._order[0]:
                    self._note_late_hit()
                return megaflow
        return None

    def count(self) -> Iterator[list[Megaflow]]:
        """Those with packets that are not credited yet, in parts. Work: a look at each."""
        for table in list(self._order):
            megaflows = list(table.flows.values())
            for start in range(0, len(megaflows), _COUNTED_AT_ONCE):
                part = megaflows[start : start + _COUNTED_AT_ONCE]
                yield [megaflow for megaflow in part if megaflow.packets != megaflow.credited_packets]

    def install(self, megaflow: Megaflow) -> tuple[bool, Megaflow | None]:
        """Take a megaflow in. Returns whether it was taken, and the one with the same match that it replaced."""
        match = megaflow.match
        table = self._tables.get(match.mask)
        replaced = table.flows.get(match.value) if table else None
        if replaced is None and self._count >= self._limit:
            return False, None
        if table is None:
            table = self._tables[match.mask] = _Subtable(match.mask)
            self._order.append(table)
        table.flows[match.value] = megaflow
        self._count += replaced is None
        return True, replaced

    def remove(self, megaflows: Iterable[Megaflow]) -> list[Megaflow]:
        """Forget megaflows; returns those that were there. One that was replaced is not there any more."""
        removed = []
        for megaflow in megaflows:
            table = self._tables.get(megaflow.match.mask)
            if table is None or table.flows.get(megaflow.match.value) is not megaflow:
                continue
            del table.flows[megaflow.match.value]
            removed.append(megaflow)
            if not table.flows:
                del self._tables[table.mask]
                self._order.remove(table)
        self._count -= len(removed)
        return removed

    def flush(self) -> None:
        """Forget everything."""
        self._tables.clear()
        self._order.clear()
        self._count = 0

    def _note_late_hit(self) -> None:
        """Now and then put the masks with most hits first; halving lets old traffic fade."""
        self._late_hits += 1
        if self._late_hits < _REORDER_EVERY:
            return
        self._late_hits = 0
        self._order.sort(key=lambda table: -table.hits)
        for table in self._order:
            table.hits //= 2
