"""Processors: without them a simulated switch decides in no time, with them what it does takes time and waits its turn.

Where a failure has a hundred questions flooded through a network, what a switch must decide about waits behind other
frames, its timers are late, and so are its answers: that is when searches go on and on, for who gets no answer asks
again. A simulation without processors does not show it.

A *process* is a queue of things to do, in the order in which they became due: frames that no cached decision matches,
timers, what the kernel and TCP say. Each takes a time (``Costs``) and has its effect at the end of it; for each frame
that was sent by it the next one waits a little longer. Frames wait in a bounded queue, as in the rings of the eBPF
datapath. A *processor* does one thing at a time. Several processes share processors as a machine's: a process that has
something to do gets the first that is free, for SLICE_S at most if others wait.

What is not simulated: what kernels and controllers do takes no time, nor does a switch's start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from inband.sim.clock import Timer, VirtualClock
from inband.vocabulary.instant import Instant

# Linux's scheduler gives a process some milliseconds where others wait.
SLICE_S = 0.003


@dataclass(frozen=True, slots=True)
class Costs:
    """What a switch's process takes, seconds: as measured with real switches on two shared cores.

    ``frame_s``: to decide about a frame that came up; ``call_s``: a timer, a message, what the kernel says;
    ``send_s``: each frame that leaves. ``frames``: so many wait at most, more are lost.
    """

    frame_s: float = 150e-6
    call_s: float = 50e-6
    send_s: float = 15e-6
    frames: int = 4096


@dataclass(slots=True, eq=False)
class Processors:
    """``cores`` of one machine, for all processes that are made by it."""

    clock: VirtualClock
    costs: Costs = Costs()
    cores: int = 1
    _free: int = field(init=False)
    _ready: deque[Work] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._free = self.cores

    def process(self) -> Work:
        """A process on them, with nothing to do."""
        return Work(self)

    def is_ready(self, work: Work) -> None:
        """A process has something to do, and no core."""
        self._ready.append(work)
        self._give()

    def go_on(self, work: Work, until: Instant) -> None:
        """A process has done one thing: it goes on while it has its turn, else the next one gets the core."""
        if work.has_more and (self.clock.now < until or not self._ready):
            work.begin(until)
            return
        self._free += 1
        work.is_ready = work.has_more
        if work.has_more:
            self._ready.append(work)
        self._give()

    def _give(self) -> None:
        while self._free and self._ready:
            self._free -= 1
            self._ready.popleft().begin(self.clock.now + SLICE_S)


class Work:
    """What one process has to do. ``lost`` counts frames for which there was no room."""

    def __init__(self, on: Processors) -> None:
        self.is_ready = False
        self.lost = 0
        self._is_alive = True
        self._on = on
        self._clock, self._costs = on.clock, on.costs
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._frames = self._sent = 0

    @property
    def has_more(self) -> bool:
        """Whether something waits."""
        return bool(self._waiting)

    def call(self, action: Callable[[], None]) -> None:
        """Have something done after all that waits."""
        self._add(self._costs.call_s, action)

    def take_frame(self, action: Callable[[], None]) -> bool:
        """Have a frame decided about after all that waits; False: too many wait, and it is lost."""
        if self._frames >= self._costs.frames:
            self.lost += 1
            return False
        self._frames += 1

        def decide() -> None:
            self._frames -= 1
            action()

        self._add(self._costs.frame_s, decide)
        return True

    def sent(self) -> None:
        """A frame leaves by what is done at the moment."""
        self._sent += 1

    def end(self) -> None:
        """The process is dead: nothing is done any more, not even what is under way."""
        self._is_alive = False
        self._waiting.clear()

    def _add(self, cost_s: float, action: Callable[[], None]) -> None:
        if not self._is_alive:
            return
        self._waiting.append((cost_s, action))
        if not self.is_ready:
            self.is_ready = True
            self._on.is_ready(self)

    def begin(self, until: Instant) -> None:
        """Do what waits for longest; it has its effect when its time is over."""
        if not self._waiting:  # it died while it waited
            self._on.go_on(self, until)
            return
        cost_s, action = self._waiting.popleft()
        self._sent = 0
        self._clock.call_later(cost_s, lambda: self._do(action, until))

    def _do(self, action: Callable[[], None], until: Instant) -> None:
        if self._is_alive:
            action()
        self._clock.call_later(self._sent * self._costs.send_s, lambda: self._on.go_on(self, until))


@dataclass(slots=True)
class WorkingClock:
    """The clock of a process that takes time (``sim.clock.ProcessClock``): what is due waits its turn."""

    clock: VirtualClock
    work: Work

    def time(self) -> Instant:
        """Now."""
        return self.clock.now

    def call_at(self, when: Instant, action: Callable[[], None]) -> Timer:
        """As ``VirtualClock.call_at``; what is cancelled while it waits is not done."""
        timer = self.clock.call_at(when, lambda: self.work.call(do))

        def do() -> None:
            if timer.action is not None:
                action()

        return timer

    def call_soon(self, action: Callable[[], None]) -> Timer:
        """As ``VirtualClock.call_soon``."""
        return self.call_at(self.clock.now, action)
