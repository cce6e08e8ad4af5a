"""One flow table: its flows, the two classifiers that find them, and its counters.

In-band control's flows have a classifier of their own that is asked first: their priorities are above all others, so
the order is the same as in one classifier, and leaving them out ("what would happen without in-band?") is not asking
it. Those whose match does not say all (DNS) have another one before it, which only who can look at the payload asks.

What must stay true: ``active``, ``lookups`` and ``matched`` never include a hidden flow or a packet that one decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum

from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.origin import Owner
from inband.flow.priority import OpenFlowPriority, Priority
from inband.table.classifier import Classifier

_EntryKey = tuple[int, int, int]


class TableMiss(Enum):
    """What becomes of a packet that no flow of a table matches."""

    DROP = "drop"  # OpenFlow 1.3 (5.4)
    CONTROLLER = "controller"  # OpenFlow 1.0 (3.4)


class FlowTable:
    """Flows of one table. Callers (TableSet) check limits and overlaps; this only keeps and finds."""

    def __init__(self, table_id: int, miss: TableMiss, make_classifier: Callable[[], Classifier]) -> None:
        self.table_id = table_id
        self.miss = miss
        self.lookups = 0
        self.matched = 0
        self._conditional = make_classifier()
        self._in_band = make_classifier()
        self._others = make_classifier()
        self._visible: dict[_EntryKey, Flow] = {}
        self._hidden: dict[_EntryKey, Flow] = {}

    @property
    def active(self) -> int:
        """How many visible flows there are."""
        return len(self._visible)

    def __iter__(self) -> Iterator[Flow]:
        """Visible flows, oldest first."""
        return iter(self._visible.values())

    def hidden(self) -> Iterable[Flow]:
        """Hidden flows, oldest first."""
        return self._hidden.values()

    def find(self, match: Match, priority: Priority) -> Flow | None:
        """The flow with exactly this match and priority; hidden ones are found by hidden priorities only."""
        entry_key = (priority, match.value, match.mask)
        return (self._visible if isinstance(priority, OpenFlowPriority) else self._hidden).get(entry_key)

    def insert(self, flow: Flow) -> None:
        """Add a flow; there must be none with the same match and priority."""
        self._entries(flow)[_entry_key(flow)] = flow
        self._classifier(flow).insert(flow)

    def remove(self, flow: Flow) -> None:
        """Take out a flow that is here."""
        self._classifier(flow).remove(flow)
        del self._entries(flow)[_entry_key(flow)]

    def __contains__(self, flow: Flow) -> bool:
        return self._entries(flow).get(_entry_key(flow)) is flow

    def lookup_conditional(self, key: int) -> tuple[Flow | None, int]:
        """The flow of in-band control that decides if the payload is right, and the key bits that this depends on."""
        return self._conditional.lookup(key)

    def lookup_in_band(self, key: int) -> tuple[Flow | None, int]:
        """The flow of in-band control that decides by the key alone, if one does, and the key bits that mattered."""
        return self._in_band.lookup(key)

    def lookup(self, key: int, *, in_band: bool = True) -> tuple[Flow | None, int]:
        """The deciding flow and the key bits that the decision depends on; without in-band's flows on demand.

        Flows whose match does not say all are not asked: see ``lookup_conditional``.
        """
        asked = 0
        if in_band:
            flow, asked = self._in_band.lookup(key)
            if flow is not None:
                return flow, asked
        flow, mattered = self._others.lookup(key)
        return flow, asked | mattered

    def _entries(self, flow: Flow) -> dict[_EntryKey, Flow]:
        return self._hidden if flow.is_hidden else self._visible

    def _classifier(self, flow: Flow) -> Classifier:
        origin = flow.origin
        if origin is None or origin.owner is not Owner.IN_BAND:  # nearly all are
            return self._others
        return self._in_band if origin.check is None else self._conditional


def _entry_key(flow: Flow) -> _EntryKey:
    return flow.priority, flow.match.value, flow.match.mask
