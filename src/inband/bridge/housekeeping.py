"""What a bridge does by itself as time passes: count, expire flows and FDB entries, and forget idle decisions.

All of it can mean a hundred thousand megaflows or flows, so it is done in steps, for SLICE_S at a time; then as long a
pause for everything else. Each second counters are passed on and idle megaflows forgotten, as long as there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inband.bridge.megaflows import MegaflowCache
from inband.flow.flow import Flow
from inband.pipeline.fdb import Fdb
from inband.table.steps import Step, Steps
from inband.table.table_set import TableSet
from inband.vocabulary.instant import Instant, earliest
from inband.vocabulary.openflow import FlowRemovedReason

# How often counters are passed on and idle decisions forgotten while there are cached decisions.
HOUSEKEEPING_S = 1.0
# How long it works at a time, and then pauses.
SLICE_S = 0.001
# Objects of a big change freed in one step: half a millisecond.
_FREED_AT_ONCE = 2000
# FDB entries forgotten in one step: half a millisecond.
_EXPIRED_AT_ONCE = 500

FlowsRemoved = Callable[[Iterable[tuple[Flow, FlowRemovedReason]], Instant], None]
"""Tells controllers of flows whose time was up: (flow, OFPRR_* reason) each."""


class Housekeeping:
    """The work of one bridge as time passes. Work per call is bounded by SLICE_S and one step."""

    def __init__(
        self,
        megaflows: MegaflowCache,
        tables: TableSet,
        fdb: Fdb,
        clock: Callable[[], Instant],
        flows_removed: FlowsRemoved,
    ) -> None:
        self._megaflows = megaflows
        self._tables = tables
        self._fdb = fdb
        self._clock = clock
        self._flows_removed = flows_removed
        self._due: Instant | None = None
        self._work: Steps[None] | None = None
        self._pause_until: Instant = 0.0

    def start(self, now: Instant) -> bool:
        """A decision was cached; whether ``next_deadline`` may be earlier now."""
        if self._due is not None:
            return False
        self._due = now + HOUSEKEEPING_S
        return True

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        if self._work is not None or self._megaflows.has_suspects or self._tables.has_garbage:
            return self._pause_until
        return earliest(self._due, self._tables.next_deadline(), self._fdb.next_deadline())

    def run(self, now: Instant) -> None:
        """Do what is due, or go on with it, for SLICE_S."""
        due = self.next_deadline()
        if due is None or due > now:
            return
        work = self._work = self._work or self._in_steps(now)
        end = now + SLICE_S
        try:
            for _ in work:
                if self._clock() >= end:
                    break
            else:
                self._work = None
        except BaseException:
            self._work = None  # a generator that raised is at its end: begin anew
            raise
        finally:
            self._pause_until = self._clock() + SLICE_S

    def _in_steps(self, now: Instant) -> Steps[None]:
        """One round. Flows and FDB entries that cached decisions use are in use as of its beginning."""
        if self._is_anything_due(now):
            yield from self._megaflows.counting()
            yield from self._expire_flows(now)
            while self._fdb.expire(now, _EXPIRED_AT_ONCE):
                self._megaflows.follow_fdb()
                yield Step.WORKED
            self._megaflows.follow_fdb()
        yield from self._megaflows.tidy(now)
        while self._tables.free_garbage(_FREED_AT_ONCE):
            yield Step.WORKED
        if self._due is not None and self._due <= now:
            self._due = now + HOUSEKEEPING_S if len(self._megaflows) or self._megaflows.owes_counts else None

    def _is_anything_due(self, now: Instant) -> bool:
        deadlines = (self._due, self._tables.next_deadline(), self._fdb.next_deadline())
        return any(due is not None and due <= now for due in deadlines)

    def _expire_flows(self, now: Instant) -> Steps[None]:
        """Flows whose time was up at ``now``; a message that is being carried out over them comes first."""
        while (due := self._tables.next_deadline()) is not None and due <= now:
            removed = self._tables.expire(now)
            self._megaflows.flows_changed(flow for flow, _ in removed)
            yield from self._megaflows.settle_in_steps() or ()
            if self._megaflows.owes_counts:
                yield from self._megaflows.counting()
            self._flows_removed(removed, now)
            yield Step.WORKED
