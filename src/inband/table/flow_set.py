"""The visible flows of one table: by entry, by packet, and in the order of their coming."""

from __future__ import annotations

from collections.abc import Iterator

from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.priority import Priority
from inband.table.classifier import Classifier
from inband.table.flow_order import FlowOrder

EntryKey = tuple[int, int, int]


def entry_key(flow: Flow) -> EntryKey:
    """What names a flow in its table: priority and match."""
    return flow.priority, flow.match.value, flow.match.mask


class FlowSet:
    """Flows of one table. ``classifier`` is empty at first; ``order`` may be that of a set which this one replaces."""

    def __init__(self, classifier: Classifier, order: FlowOrder) -> None:
        self.order = order
        self.lookup = classifier.lookup
        self.asks = classifier.asks
        self._classifier = classifier
        self._entries: dict[EntryKey, Flow] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Flow]:
        """Oldest first."""
        return iter(self._entries.values())

    def find(self, match: Match, priority: Priority) -> Flow | None:
        """The flow with exactly this match and priority."""
        return self._entries.get((priority, match.value, match.mask))

    def put(self, flow: Flow) -> Flow | None:
        """Add a flow in the place of the one with the same match and priority, if there is one: that is returned."""
        match = flow.match
        key = flow.priority, match.value, match.mask
        replaced = self._entries.get(key)
        if replaced is not None:
            self.remove(replaced)
        self._entries[key] = flow
        self._classifier.insert(flow)
        self.order.append(flow)
        return replaced

    def take_over(self, flow: Flow) -> None:
        """Add a flow that has its place in the order already."""
        self._entries[entry_key(flow)] = flow
        self._classifier.insert(flow)

    def remove(self, flow: Flow) -> None:
        """Take out a flow that is here."""
        self._classifier.remove(flow)
        del self._entries[entry_key(flow)]
        self.order.remove(flow)

    def __contains__(self, flow: Flow) -> bool:
        return self._entries.get(entry_key(flow)) is flow

    def free(self, most: int) -> bool:
        """Let go of some of what is in here, once the set is of no more use; whether there is more.

        To free a hundred thousand flows at once would be a pause of a tenth of a second.
        """
        entries = self._entries
        for _ in range(min(most, len(entries))):
            entries.popitem()
        return bool(entries) or self._classifier.free(most)
