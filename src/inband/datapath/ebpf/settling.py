"""Gives ports their tcx links, one after the other, while nothing waits for it (``attachments`` says why).

The kernel takes 14 ms for a link, in a thread; in between there are pauses, for it holds the lock meanwhile that every
change of an interface needs, the system's and ours.

Invariants: one link is made at a time. A port that goes waits for its own link, so that its interface is never given
back with the program on it. What the kernel refuses leaves the port with its filter, which works as well.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from inband.datapath.base import Counters
from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.attachments import Attachments
from inband.errors import HostError

# From the last port that came to the first link: those of one change have come by then.
QUIET_S = 1.0
PAUSE_S = 0.1


class Settling:
    """One bridge's. ``attach`` it to an event loop, and tell it ``began`` when a port has come."""

    def __init__(self, attachments: Attachments, counters: Counters, notes: list[str]) -> None:
        """What is refused is counted; that there are no links here is told to people in ``notes``."""
        self._attachments = attachments
        self._counters = counters
        self._notes = notes
        self._loop: AbstractEventLoop | None = None
        self._next: TimerHandle | None = None
        self._making: _Making | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._is_possible = True

    def attach(self, loop: AbstractEventLoop) -> None:
        """Work in this loop from now on."""
        self._loop = loop
        self.began()

    def detach(self) -> None:
        """End; a link that is being made is there when this returns, after at most some 20 ms."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self.finish()
        self._end_thread()
        self._loop = None

    def began(self) -> None:
        """A port has come: begin when no other one does for a while."""
        if self._next is not None:
            self._next.cancel()
        self._plan(QUIET_S)

    def finish(self, slot: int | None = None) -> None:
        """Wait for the link that is being made, if it is that of this slot, or (None) whose it is."""
        making = self._making
        if making is not None and slot in (None, making.slot):
            self._making = None
            self._take(making)

    def step(self) -> bool:
        """Make one link now, and wait for it; whether there was one to make."""
        self.finish()
        is_one = self._begin_one() is not None
        self.finish()
        return is_one

    def _plan(self, seconds: float) -> None:
        self._next = None if self._loop is None else self._loop.call_later(seconds, self._begin)

    def _begin(self) -> None:
        self._next = None
        loop, making = self._loop, self._begin_one() if self._making is None else None
        if loop is not None and making is not None:
            making.link.add_done_callback(lambda _: _tell(loop, self._made, making))

    def _begin_one(self) -> _Making | None:
        """Have the next link made; None when all have theirs: then the thread ends."""
        found = self._attachments.next_filtered() if self._is_possible else None
        if found is None:
            self._end_thread()
            return None
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "inband-links")
        slot, index = found
        link = self._thread.submit(libbpf.link_tcx, self._attachments.program, index)
        self._making = _Making(slot, index, link)
        return self._making

    def _made(self, making: _Making) -> None:
        if making is self._making:  # else it was waited for
            self.finish()
        if self._next is None:
            self._plan(PAUSE_S)

    def _take(self, making: _Making) -> None:
        try:
            self._attachments.settle(making.slot, making.index, making.link.result())
        except HostError as error:
            if error.errno in libbpf.NO_TCX:
                self._is_possible = False
                self._notes.append("tcx is missing (Linux 6.6): attached by clsact")
            else:
                self._counters.add("link_refused")
            self._attachments.keep_filter(making.slot)

    def _end_thread(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None


def _tell(loop: AbstractEventLoop, made: Callable[[_Making], None], making: _Making) -> None:
    """From the thread."""
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(made, making)


@dataclass(frozen=True, slots=True)
class _Making:
    """A link on its way to a slot's interface."""

    slot: int
    index: int
    link: Future[int]
