"""When flows time out: flows by the eighth of a second in which each may be due.

A flow in use moves its idle deadline with every packet. Moving it along here would cost work per packet, so where a
flow is kept is only a moment at which to look: if it was used since, it is put where it is due now. OpenFlow's timeouts
are whole seconds, so an eighth late is soon enough.

Work: constant for watching and forgetting a flow; of those that are due no more are looked at than the caller has time
for.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from math import ceil

from inband.flow.flow import Flow
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import FlowRemovedReason

SLOTS_PER_S = 8


class Deadlines:
    """Flows with timeouts."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[Flow, None]] = {}
        self._slot_of: dict[Flow, int] = {}
        self._heap: list[int] = []  # slots, among them some that are empty now
        self._due_slot = 0
        self._due: deque[Flow] = deque()  # those of a slot whose time has come

    def watch(self, flow: Flow) -> None:
        """Look after a flow from now on; one without timeouts is ignored."""
        due = _due(flow) if flow.idle_timeout_s or flow.hard_timeout_s else None
        if due is None:
            return
        slot = ceil(due[0] * SLOTS_PER_S)
        if slot not in self._slots:
            self._slots[slot] = {}
            heappush(self._heap, slot)
        self._slots[slot][flow] = None
        self._slot_of[flow] = slot

    def forget(self, flow: Flow) -> None:
        """Look after a flow no more; one that is not watched is ignored."""
        slot = self._slot_of.pop(flow, None)
        if slot is None or (flows := self._slots.get(slot)) is None:
            return
        flows.pop(flow, None)
        if not flows:
            del self._slots[slot]

    def earliest(self) -> Instant | None:
        """When the next flow can be due at the earliest."""
        if self._due:
            return self._due_slot / SLOTS_PER_S
        heap = self._heap
        while heap and heap[0] not in self._slots:
            heappop(heap)
        return heap[0] / SLOTS_PER_S if heap else None

    def take_due(self, now: Instant, most: int) -> list[tuple[Flow, FlowRemovedReason]]:
        """Flows whose time is up at ``now``, after looking at no more than ``most``; they are not watched any more.

        While ``earliest`` is not later than ``now`` there are more to look at.
        """
        taken: list[tuple[Flow, FlowRemovedReason]] = []
        for _ in range(most):
            if not self._due and not self._next_slot(now):
                break
            flow = self._due.popleft()
            if self._slot_of.get(flow) != self._due_slot:
                continue  # gone since, or watched anew
            del self._slot_of[flow]
            due = _due(flow)
            if due is not None and due[0] <= now:
                taken.append((flow, due[1]))
            else:
                self.watch(flow)
        return taken

    def _next_slot(self, now: Instant) -> bool:
        earliest = self.earliest()
        if earliest is None or earliest > now:
            return False
        self._due_slot = heappop(self._heap)
        self._due.extend(self._slots.pop(self._due_slot))
        return True


def _due(flow: Flow) -> tuple[Instant, FlowRemovedReason] | None:
    """When a flow is due and why, as far as is known now (OpenFlow 1.3.5, 6.5)."""
    due = None
    if flow.hard_timeout_s:
        due = flow.created + flow.hard_timeout_s, FlowRemovedReason.HARD_TIMEOUT
    if flow.idle_timeout_s:
        idle = flow.used + flow.idle_timeout_s, FlowRemovedReason.IDLE_TIMEOUT
        due = idle if due is None or idle[0] < due[0] else due
    return due
