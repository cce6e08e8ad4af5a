"""One flow table: its flows, the classifiers that find them, and its counters.

In-band control's flows have a classifier of their own that is asked first: their priorities are above all others, so
the order is the same as in one classifier, and leaving them out ("what would happen without in-band?") is not asking
it. Those whose match does not say all (DNS) have another one before it, which only who can look at the payload asks,
and so have those beside which all other flows decide too.
The flow of a fail mode comes after in-band control's and before those of controllers.

Invariant: ``active``, ``lookups`` and ``matched`` never include a hidden flow or a packet that one decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.origin import Owner
from inband.flow.priority import OpenFlowPriority, Priority
from inband.table.classifier import Classifier
from inband.table.flow_order import FlowOrder
from inband.table.flow_set import EntryKey, FlowSet, entry_key


class TableMiss(Enum):
    """What becomes of a packet that no flow of a table matches."""

    DROP = "drop"  # OpenFlow 1.3 (5.4)
    CONTROLLER = "controller"  # OpenFlow 1.0 (3.4)


@dataclass(slots=True, eq=False)
class HiddenFlows:
    """Hidden flows of one kind; most often there are none, and then it is faster not to ask the classifier."""

    classifier: Classifier
    count: int = 0


class FlowTable:
    """Flows of one table. Callers (TableSet) check limits and overlaps; this only keeps and finds.

    ``visible`` are those of controllers: a change of very many of them puts another set in its place.
    """

    def __init__(self, table_id: int, miss: TableMiss, make_classifier: Callable[[], Classifier]) -> None:
        self.table_id = table_id
        self.miss = miss
        self.lookups = 0
        self.matched = 0
        self.visible = FlowSet(make_classifier(), FlowOrder())
        self.is_tidy = True
        self._make_classifier = make_classifier
        self.conditional = HiddenFlows(make_classifier())
        self.beside = HiddenFlows(make_classifier())
        self._in_band = HiddenFlows(make_classifier())
        self._fail_mode = HiddenFlows(make_classifier())
        self._hidden: dict[EntryKey, Flow] = {}

    @property
    def active(self) -> int:
        """How many visible flows there are."""
        return len(self.visible)

    def __iter__(self) -> Iterator[Flow]:
        """Visible flows, oldest first."""
        return iter(self.visible)

    def empty_set(self, order: FlowOrder | None = None) -> FlowSet:
        """A set without flows; with the order of ``visible`` for flows that stay, else with one of its own."""
        return FlowSet(self._make_classifier(), FlowOrder() if order is None else order)

    def replace(self, flows: FlowSet) -> FlowSet:
        """Let other flows decide from now on; returns the old set.

        Flows that are gone and are in an order that both sets share must be taken out of it by ``tidy``.
        """
        old, self.visible = self.visible, flows
        self.is_tidy = old.order is not flows.order
        return old

    def tidy(self, gone: Iterable[Flow]) -> None:
        """Take flows that are gone out of the order, if they are in it; when all are, set ``is_tidy``."""
        if not self.is_tidy:
            for flow in gone:
                self.visible.order.remove(flow)

    def walk(self) -> Iterator[list[Flow]]:
        """The visible flows that are here now, some at a time, without those that went meanwhile."""
        order = self.visible.order
        return self._walk(order, order.walk())

    def _walk(self, order: FlowOrder, walk: Iterator[list[Flow]]) -> Iterator[list[Flow]]:
        for flows in walk:
            if self.visible.order is not order:
                return
            yield flows if self.is_tidy else [flow for flow in flows if flow in self.visible]

    def hidden(self) -> Iterable[Flow]:
        """Hidden flows, oldest first."""
        return self._hidden.values()

    def find(self, match: Match, priority: Priority) -> Flow | None:
        """The flow with exactly this match and priority; hidden ones are found by hidden priorities only."""
        if isinstance(priority, OpenFlowPriority):
            return self.visible.find(match, priority)
        return self._hidden.get((priority, match.value, match.mask))

    def insert_hidden(self, flow: Flow) -> None:
        """Add a hidden flow; there must be none with the same match and priority."""
        self._hidden[entry_key(flow)] = flow
        kind = self._kind(flow)
        kind.classifier.insert(flow)
        kind.count += 1

    def remove(self, flow: Flow) -> None:
        """Take out a flow that is here."""
        if not flow.is_hidden:
            self.visible.remove(flow)
        else:
            kind = self._kind(flow)
            kind.classifier.remove(flow)
            kind.count -= 1
            del self._hidden[entry_key(flow)]

    def __contains__(self, flow: Flow) -> bool:
        return flow in self.visible if not flow.is_hidden else self._hidden.get(entry_key(flow)) is flow

    def lookup_conditional(self, key: int) -> tuple[Flow | None, int]:
        """The flow of in-band control that decides if the payload is right, and the key bits that this depends on."""
        return self.conditional.classifier.lookup(key)

    def lookup_beside(self, key: int) -> tuple[Flow | None, int]:
        """The flow of in-band control that works beside the others, if one does, and the key bits that mattered."""
        return self.beside.classifier.lookup(key)

    def lookup_in_band(self, key: int) -> tuple[Flow | None, int]:
        """The flow of in-band control that decides by the key alone, if one does, and the key bits that mattered."""
        return self._in_band.classifier.lookup(key)

    def lookup(self, key: int, *, in_band: bool = True) -> tuple[Flow | None, int]:
        """The deciding flow and the key bits that the decision depends on; without in-band's flows on demand.

        Flows whose match does not say all, and those beside, are not asked: ``lookup_conditional``, ``lookup_beside``.
        """
        asked = 0
        if in_band and self._in_band.count:
            flow, asked = self._in_band.classifier.lookup(key)
            if flow is not None:
                return flow, asked
        if self._fail_mode.count:
            flow, mattered = self._fail_mode.classifier.lookup(key)
            asked |= mattered
            if flow is not None:
                return flow, asked
        flow, mattered = self.visible.lookup(key)
        return flow, asked | mattered

    def _kind(self, flow: Flow) -> HiddenFlows:
        origin = flow.origin
        if origin is None or origin.owner is Owner.FAIL_MODE:
            return self._fail_mode
        if origin.beside:
            return self.beside
        return self._in_band if origin.check is None else self.conditional
