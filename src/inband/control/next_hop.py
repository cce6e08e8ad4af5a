"""Next hops: who uses them, what their MAC was last, and when to ask for it again.

A next hop is (interface, IP address). Its MAC is kept after the kernel's entry goes, for a bounded hold time, because a
kernel forgets neighbours for reasons of its own (garbage collection, a link that flaps) while the path still works.

Asking has two speeds. A next hop that a controller needs is *urgent*: asked at once and then at most HALF a second
apart, because in a row of switches nothing tells the last one that the first is up. One that only managers need is
paced: those dial us, ARP from them passes by (f), (g), (j), (k), and ten thousand of them must not become a flood.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.instant import Instant

# A path can outlive the kernel's memory of it (entries are collected after 60 s of disuse); then nothing is there.
HOLD_S = 60.0
# The first question may be lost in a switch that is not up yet; half a second is the kernel's own pace, halved.
URGENT_FIRST_S, URGENT_MAX_S = 0.1, 0.5
PACED_FIRST_S, PACED_MAX_S = 1.0, 60.0
# At most 200 questions a second for next hops that are not urgent, however many there are.
PACE_S = 0.005
# After this many urgent questions in a suspicion, the slow pace: the peer is gone, not moved.
SUSPICION_QUESTIONS, SUSPICION_SLOW_S = 20, 5.0

# How often places are looked after: twice within the time in which a switch forgets one, and once more.
PLACES_S = 60.0

HopKey = tuple[int, IpAddress]


@dataclass(slots=True, eq=False)
class Hop:
    """One next hop in use. ``mac`` is the last one known; ``resolved`` whether the kernel still vouches for it."""

    index: int
    interface: str
    address: IpAddress
    users: int = 0
    urgent_users: int = 0
    mac: Mac | None = None
    resolved: bool = False
    resolved_at: Instant | None = None
    hold_until: Instant | None = None
    ask_at: Instant | None = None
    ask_interval: float = 0.0
    questions: int = 0
    suspected: bool = False
    place_asked_at: Instant = float("-inf")

    @property
    def key(self) -> HopKey:
        """What identifies it."""
        return (self.index, self.address)

    @property
    def urgent(self) -> bool:
        """Whether a controller needs it."""
        return self.urgent_users > 0


@dataclass(slots=True)
class Agenda:
    """When which hop is to be asked for or forgotten: a heap of (due, number, hop); stale entries are skipped."""

    _heap: list[tuple[Instant, int, Hop]] = field(default_factory=list)
    _number: int = 0
    _next_slot: Instant = 0.0

    def ask_soon(self, hop: Hop, now: Instant) -> None:
        """Start asking for a hop: now when it is urgent, else in the next free slot."""
        if hop.urgent:
            hop.ask_interval = URGENT_FIRST_S
            due = now
        else:
            hop.ask_interval = PACED_FIRST_S
            due = self._next_slot = max(now, self._next_slot + PACE_S)
        hop.questions = 0
        self._ask_at(hop, due)

    def ask_again(self, hop: Hop, now: Instant) -> None:
        """A question was sent; plan the next one, with back-off."""
        hop.questions += 1
        self._ask_at(hop, now + hop.ask_interval)
        limit = URGENT_MAX_S if hop.urgent else PACED_MAX_S
        hop.ask_interval = min(hop.ask_interval * 2, limit)
        if hop.suspected and hop.resolved and hop.questions >= SUSPICION_QUESTIONS:
            hop.ask_interval = SUSPICION_SLOW_S

    def stop_asking(self, hop: Hop) -> None:
        """The answer is there."""
        hop.ask_at = None

    def hold(self, hop: Hop, now: Instant) -> None:
        """The kernel has forgotten the hop's MAC: keep it for a bounded time."""
        hop.hold_until = now + HOLD_S
        self._push(hop.hold_until, hop)

    def due(self, now: Instant) -> list[Hop]:
        """Hops whose question or hold time is due, each once, taken off the agenda."""
        found: dict[Hop, None] = {}
        while self._heap and self._heap[0][0] <= now:
            when, _, hop = heapq.heappop(self._heap)
            if hop.users and when in (hop.ask_at, hop.hold_until):
                found[hop] = None
        return list(found)

    def next_deadline(self) -> Instant | None:
        """When something is due next."""
        heap = self._heap
        while heap and not (heap[0][2].users and heap[0][0] in (heap[0][2].ask_at, heap[0][2].hold_until)):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def _ask_at(self, hop: Hop, due: Instant) -> None:
        hop.ask_at = due
        self._push(due, hop)

    def _push(self, due: Instant, hop: Hop) -> None:
        self._number += 1
        heapq.heappush(self._heap, (due, self._number, hop))
