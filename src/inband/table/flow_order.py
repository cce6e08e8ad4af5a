"""Visible flows of a table in the order of their coming, for walks that take long and that changes do not disturb.

Statistics of a hundred thousand flows are sent for as long as their peer takes to read them. A list of the flows would
be a megabyte a request. A walk is a position: it costs nothing to begin, sees no flow that came after it began and none
that has gone before it got there, each flow once, and in order.

How: flows are numbered as they come and kept in chunks of CHUNK numbers, which are linked. A walk is at a chunk. A
chunk without flows is unlinked, and keeps its own link, so that a walk that is at it finds the way on.
"""

from __future__ import annotations

from collections.abc import Iterator

from inband.flow.flow import Flow

# A step of a walk: small enough to be nothing (30 us of comparing), large enough that steps cost little.
CHUNK_BITS = 7
CHUNK = 1 << CHUNK_BITS


class _Chunk:
    """Flows whose numbers begin alike, by number."""

    __slots__ = ("before", "flows", "next", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.flows: dict[int, Flow] = {}
        self.before: _Chunk | None = None
        self.next: _Chunk | None = None


class FlowOrder:
    """The flows of one table; ``Flow.sequence`` is the number of a flow in here."""

    def __init__(self) -> None:
        self._chunks: dict[int, _Chunk] = {}
        self._first: _Chunk | None = None
        self._last: _Chunk | None = None
        self._next = 0

    def append(self, flow: Flow) -> None:
        """Add a flow behind all others."""
        flow.sequence = sequence = self._next
        self._next += 1
        chunk = self._last
        if chunk is None or chunk.number != sequence >> CHUNK_BITS:
            chunk = self._link(_Chunk(sequence >> CHUNK_BITS))
        chunk.flows[sequence] = flow

    def remove(self, flow: Flow) -> None:
        """Take a flow out; KeyError when it is not in here (a defect of the caller)."""
        chunk = self._chunks[flow.sequence >> CHUNK_BITS]
        del chunk.flows[flow.sequence]
        if not chunk.flows:
            self._unlink(chunk)

    def walk(self) -> Iterator[list[Flow]]:
        """The flows that are here now, some at a time; go on with the iterator whenever there is time."""
        return self._walk(self._next, self._first)

    def _walk(self, end: int, chunk: _Chunk | None) -> Iterator[list[Flow]]:
        while chunk is not None and chunk.number << CHUNK_BITS < end:
            if chunk.number == end - 1 >> CHUNK_BITS:
                yield [flow for sequence, flow in chunk.flows.items() if sequence < end]
            else:
                yield list(chunk.flows.values())
            chunk = chunk.next

    def _link(self, chunk: _Chunk) -> _Chunk:
        self._chunks[chunk.number] = chunk
        chunk.before = self._last
        if self._last is None:
            self._first = chunk
        else:
            self._last.next = chunk
        self._last = chunk
        return chunk

    def _unlink(self, chunk: _Chunk) -> None:
        del self._chunks[chunk.number]
        if chunk.before is None:
            self._first = chunk.next
        else:
            chunk.before.next = chunk.next
        if chunk.next is None:
            self._last = chunk.before
        else:
            chunk.next.before = chunk.before
