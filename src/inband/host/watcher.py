"""Everything the kernel tells about links, addresses, routes, rules and neighbours, complete also after a loss.

Notifications and dumps come on one socket, so that their order is the kernel's order. When the kernel could not
deliver (ENOBUFS) everything is read again, what is gone gets its removal event, and then comes ``Resynchronised``.
Between the loss and that event the picture may be old, never invented.

IPv4 routes die in silence with their link or address, so such a change also says ``RoutesChanged(None)``.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from inband.errors import HostError, WireError
from inband.host import codec, rtnetlink
from inband.host.codec import Message
from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    Resynchronised,
    RoutesChanged,
)
from inband.host.listener import Listener
from inband.host.netlink_socket import Trouble
from inband.host.notifications import decode
from inband.host.state import KernelState

# RTNLGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE, NEXTHOP
_GROUPS = (1, 3, 5, 7, 8, 9, 11, 19, 32)
_DUMPS = (
    (rtnetlink.RTM_GETLINK, rtnetlink.link_question()),
    (rtnetlink.RTM_GETADDR, rtnetlink.all_addresses()),
    (rtnetlink.RTM_GETNEIGH, rtnetlink.all_neighbours()),
)

_DUMP_TIMEOUT_S = 3.0  # a dump takes milliseconds; one that hangs has lost its end
_RESYNC_DELAYS_S = (0.0, 0.05, 0.2, 1.0)  # a second loss in a row waits: reading faster does not help against a flood


@dataclass(slots=True)
class _Dump:
    """A full dump under way: what is still to be asked, and the question that is out (0: none, a new try waits).

    ``damaged``: parts are missing, so it is made again. ``unreadable``: a part cannot be read and never will be.
    """

    announce: bool
    questions: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(_DUMPS))
    sequence: int = 0
    damaged: bool = False
    unreadable: bool = False


class Watcher:
    """Delivers HostEvents, each noted in ``state`` just before. Used by KernelHost alone."""

    def __init__(
        self,
        deliver: Callable[[HostEvent], None],
        state: KernelState,
        trouble: Trouble,
        loop: asyncio.AbstractEventLoop,
        receive_buffer: int,
    ) -> None:
        self._deliver = deliver
        self._state = state
        self._trouble = trouble
        self._loop = loop
        self._receive_buffer = receive_buffer
        self._listener = Listener(loop, trouble, self._take_message, self._missed, self._end_turn)
        self._dump: _Dump | None = None
        self._sequence = 0
        self._losses_in_a_row = 0
        self._routes_uncertain = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch, and deliver everything there is before this returns. Raises HostError."""
        self._listener.open(_GROUPS, self._receive_buffer)
        self._begin_dump(announce=False)
        deadline = self._loop.time() + _DUMP_TIMEOUT_S
        while self._dump is not None and self._dump.sequence and self._loop.time() < deadline:
            self._listener.wait(0.1)  # the kernel answers within the system call

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._listener.close()

    def _end_turn(self) -> None:
        if self._routes_uncertain:
            self._routes_uncertain = False
            self._tell(RoutesChanged(None))

    def _take_message(self, message: Message) -> None:
        dump = self._dump
        if dump is not None and message.sequence == dump.sequence:
            dump.damaged |= bool(message.flags & codec.NLM_F_DUMP_INTR)
            if message.kind in (codec.NLMSG_DONE, codec.NLMSG_ERROR):
                dump.damaged |= codec.error_number(message.body) != 0
                self._next_dump(dump)
                return
        decoded = decode(message)
        if decoded is not None:
            event, neighbour_state = decoded if isinstance(decoded, tuple) else (decoded, 0)
            self._take_event(event, neighbour_state)

    def _take_event(self, event: HostEvent, neighbour_state: int) -> None:
        self._routes_uncertain |= self._changes_routes_silently(event)
        if isinstance(event, RoutesChanged) and event.destination is None:
            self._routes_uncertain = True  # told once per turn: a thousand rules are one reason to ask again
        else:
            self._tell(event, neighbour_state)

    def _tell(self, event: HostEvent, neighbour_state: int = 0) -> None:
        self._state.note(event, neighbour_state)
        self._deliver(event)

    def _changes_routes_silently(self, event: HostEvent) -> bool:
        match event:
            case LinkChanged():
                old = self._state.link(event.index)
                return old is not None and (old.up, old.running) != (event.up, event.running)
            case AddressChanged():
                return not event.present
            case _:
                return isinstance(event, LinkRemoved)

    def _missed(self, error: OSError | WireError) -> None:
        if isinstance(error, WireError):
            if self._dump is not None:
                self._dump.unreadable = True
            return
        if error.errno == errno.ENOBUFS:
            self._trouble.count("overruns")
        else:
            self._trouble.refused("read rtnetlink", error.errno or 0)
        if self._dump is not None:
            self._dump.damaged = True
        else:
            self._begin_dump(announce=True)

    def _begin_dump(self, *, announce: bool) -> None:
        self._trouble.count("dumps")
        self._state.begin_dump()
        self._dump = _Dump(announce)
        self._next_dump(self._dump)

    def _next_dump(self, dump: _Dump) -> None:
        if not dump.questions:
            self._end_dump(dump)
            return
        kind, body = dump.questions.popleft()
        self._sequence = dump.sequence = self._sequence % 0xFFFFFFFF + 1
        self._arm_timer(_DUMP_TIMEOUT_S, self._start_over)
        try:
            self._listener.send(codec.message(kind, codec.NLM_F_REQUEST | codec.NLM_F_DUMP, dump.sequence, body))
        except OSError as error:  # the timer starts over
            self._trouble.refused("dump", error.errno or 0)

    def _end_dump(self, dump: _Dump) -> None:
        if dump.damaged:
            delay = _RESYNC_DELAYS_S[min(self._losses_in_a_row, len(_RESYNC_DELAYS_S) - 1)]
            self._losses_in_a_row += 1
            dump.sequence = 0
            self._arm_timer(delay, lambda: self._begin_dump(announce=True))
            return
        self._losses_in_a_row = 0
        self._dump = None
        if self._timer is not None:
            self._timer.cancel()
        gone = self._state.end_dump()
        if not dump.unreadable:  # else it may just not be readable any more: old is better than invented
            for event in gone:
                self._tell(event)
        if dump.announce:
            self._tell(Resynchronised())

    def _arm_timer(self, delay_s: float, action: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, action)

    def _start_over(self) -> None:
        """Take a fresh socket: the kernel runs one dump per socket, and this one never ended."""
        self._trouble.count("dump_timeouts")
        self._listener.close()
        try:
            self._listener.open(_GROUPS, self._receive_buffer)
        except HostError as error:
            self._trouble.refused(error.operation, error.errno)
            self._arm_timer(_DUMP_TIMEOUT_S, self._start_over)
            return
        self._begin_dump(announce=True)
