"""When flows time out: a heap of the earliest moments at which each may be due.

A flow in use moves its idle deadline with every packet. Moving heap entries along would cost work per packet, so an
entry is only a moment at which to look: if the flow was used since, it goes back with its new deadline. Entries of
flows that are gone are skipped, and swept out when they are the majority.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from inband.flow.flow import Flow
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import FlowRemovedReason

# Sweeping a heap smaller than this is not worth the code path.
_SWEEP_FROM = 64


class Deadlines:
    """Flows with timeouts. ``is_there`` tells whether a flow is still in its table."""

    def __init__(self, is_there: Callable[[Flow], bool]) -> None:
        self._is_there = is_there
        self._heap: list[tuple[Instant, int, Flow]] = []
        self._pushed = 0
        self._sweep_at = _SWEEP_FROM

    def watch(self, flow: Flow) -> None:
        """Look after a flow from now on; one without timeouts is ignored."""
        due = _due(flow)
        if due is None:
            return
        self._push(due[0], flow)
        if len(self._heap) >= self._sweep_at:
            self._heap = [entry for entry in self._heap if self._is_there(entry[2])]
            heapify(self._heap)
            self._sweep_at = max(_SWEEP_FROM, 2 * len(self._heap))

    def earliest(self) -> Instant | None:
        """When the next flow can be due at the earliest."""
        while self._heap and not self._is_there(self._heap[0][2]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: Instant) -> list[tuple[Flow, FlowRemovedReason]]:
        """Flows whose time is up at ``now``; they are not watched any more."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            _, _, flow = heappop(self._heap)
            due = _due(flow)
            if due is None or not self._is_there(flow):
                continue
            if due[0] <= now:
                taken.append((flow, due[1]))
            else:
                self._push(due[0], flow)
        return taken

    def _push(self, at: Instant, flow: Flow) -> None:
        self._pushed += 1  # breaks ties: flows have no order
        heappush(self._heap, (at, self._pushed, flow))


def _due(flow: Flow) -> tuple[Instant, FlowRemovedReason] | None:
    """When a flow is due and why, as far as is known now (OpenFlow 1.3.5, 6.5)."""
    due = None
    if flow.hard_timeout_s:
        due = flow.created + flow.hard_timeout_s, FlowRemovedReason.HARD_TIMEOUT
    if flow.idle_timeout_s:
        idle = flow.used + flow.idle_timeout_s, FlowRemovedReason.IDLE_TIMEOUT
        due = idle if due is None or idle[0] < due[0] else due
    return due
