"""When decisions that a cache has no more last sent on control traffic between two stations.

A frame that comes round is told by that (``pipeline.copies``), and what makes frames go round, a failure, removes the
decisions by which they went before.

Invariant: the latest MAX_PAIRS pairs of stations are remembered. Those of data are not: a cache has many.
"""

from __future__ import annotations

from collections.abc import Iterator

from inband.datapath.base import Megaflow
from inband.flow.ports import PortNo
from inband.pipeline.fdb import FdbKey
from inband.vocabulary.instant import Instant

# The channels of a thousand switches behind this one, in both directions.
MAX_PAIRS = 2048


class Removed:
    """The decisions of one bridge's cache that were removed."""

    def __init__(self) -> None:
        self._used: dict[tuple[FdbKey, FdbKey], dict[PortNo, Instant]] = {}

    def note(self, megaflow: Megaflow) -> None:
        """A decision is removed; ``megaflow.used`` is when it was used for the last time."""
        decision = megaflow.translation
        if decision.hidden is None or decision.source is None:
            return
        source, port = decision.source
        for destination in decision.fdb_keys:
            if destination != source:
                used = self._used.pop((source, destination), {})
                used[port] = max(megaflow.used, used.get(port, megaflow.used))
                self._used[source, destination] = used
        while len(self._used) > MAX_PAIRS:
            del self._used[next(iter(self._used))]

    def between(self, source: FdbKey, destination: FdbKey) -> Iterator[tuple[PortNo, Instant]]:
        """The ports by which packets from the first to the second came in, and when one last did."""
        yield from self._used.get((source, destination), {}).items()
