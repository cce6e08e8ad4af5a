"""Everything the kernel tells about links, addresses, routes, rules and neighbours, complete also after a loss.

Notifications and dumps come on one socket, so that their order is the kernel's order. When the kernel could not
deliver (ENOBUFS) everything is read again, what is gone gets its removal event, and then comes ``Resynchronised``.
Between the loss and that event the picture may be old, never invented.

IPv4 routes die in silence with their link or address, so such a change also says ``RoutesChanged(None)``.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from inband.errors import HostError, WireError
from inband.host import netlink_socket, rtnetlink
from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    Resynchronised,
    RoutesChanged,
)
from inband.host.mirror import Mirror

# RTNLGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE, NEXTHOP
_GROUPS = (1, 3, 5, 7, 8, 9, 11, 19, 32)
_DUMPS = (rtnetlink.RTM_GETLINK, rtnetlink.RTM_GETADDR, rtnetlink.RTM_GETNEIGH)

READS_PER_TURN = 64  # then other work of the loop has its turn
_DUMP_TIMEOUT_S = 3.0  # a dump takes milliseconds; one that stands still has lost its end
_RESYNC_DELAYS_S = (0.0, 0.05, 0.2, 1.0)  # a second loss in a row waits: reading faster does not help against a flood


@dataclass(slots=True)
class _Dump:
    """A full dump under way: what is still to be asked, and the question that is out (0: none, a new try waits)."""

    announce: bool
    kinds: deque[int] = field(default_factory=lambda: deque(_DUMPS))
    sequence: int = 0
    damaged: bool = False


class Watcher:
    """Delivers HostEvents and keeps the mirror. Used by KernelHost alone."""

    def __init__(
        self,
        deliver: Callable[[HostEvent], None],
        mirror: Mirror,
        refusals: netlink_socket.Refusals,
        loop: asyncio.AbstractEventLoop,
        receive_buffer: int,
    ) -> None:
        self._deliver = deliver
        self._mirror = mirror
        self._refusals = refusals
        self._loop = loop
        self._receive_buffer = receive_buffer
        self._socket: socket.socket | None = None
        self._dump: _Dump | None = None
        self._sequence = 0
        self._losses_in_a_row = 0
        self._routes_uncertain = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch, and deliver everything there is before this returns. Raises HostError."""
        self._watch()
        self._begin_dump(announce=False)
        self._read_until_dumped()

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unwatch()

    def _watch(self) -> None:
        self._socket = netlink_socket.open_socket(_GROUPS, self._receive_buffer)
        self._loop.add_reader(self._socket, self._read)

    def _unwatch(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _read_until_dumped(self) -> None:
        assert self._socket is not None
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        deadline = self._loop.time() + _DUMP_TIMEOUT_S
        while self._dump is not None and self._dump.sequence and self._loop.time() < deadline:
            poll.poll(100)  # milliseconds; the kernel answers within the system call
            self._read()

    def _read(self) -> None:
        for _ in range(READS_PER_TURN):
            if self._socket is None:
                return
            try:
                datagram = netlink_socket.receive(self._socket)
            except OSError as error:
                self._lost_messages(error)
                continue
            if datagram is None:
                break
            self._take_datagram(datagram)
        if self._routes_uncertain:
            self._routes_uncertain = False
            self._deliver(RoutesChanged(None))

    def _take_datagram(self, datagram: bytes) -> None:
        try:
            for message in rtnetlink.split(datagram):
                self._take_message(message)
        except WireError as error:
            self._refusals.note("send proper messages", 0, str(error))

    def _take_message(self, message: rtnetlink.Message) -> None:
        dump = self._dump
        if dump is not None and message.sequence == dump.sequence:
            dump.damaged |= bool(message.flags & rtnetlink.NLM_F_DUMP_INTR) or message.kind == rtnetlink.NLMSG_ERROR
            if message.kind in (rtnetlink.NLMSG_DONE, rtnetlink.NLMSG_ERROR):
                self._next_dump(dump)
                return
        try:
            decoded = rtnetlink.decode(message)
        except WireError as error:
            self._refusals.note("send proper messages", message.kind, str(error))
            return
        if decoded is not None:
            event, state = decoded if isinstance(decoded, tuple) else (decoded, 0)
            self._take_event(event, state)

    def _take_event(self, event: HostEvent, neighbour_state: int) -> None:
        self._routes_uncertain |= self._changes_routes_silently(event)
        self._mirror.note(event, neighbour_state)
        if isinstance(event, RoutesChanged) and event.destination is None:
            self._routes_uncertain = True  # told once per turn: a thousand rules are one reason to ask again
        else:
            self._deliver(event)

    def _changes_routes_silently(self, event: HostEvent) -> bool:
        match event:
            case LinkChanged():
                old = self._mirror.link(event.index)
                return old is not None and (old.up, old.running) != (event.up, event.running)
            case AddressChanged():
                return not event.present
            case _:
                return isinstance(event, LinkRemoved)

    def _lost_messages(self, error: OSError) -> None:
        if error.errno == errno.ENOBUFS:
            self._refusals.count("overruns")
        else:
            self._refusals.note("read rtnetlink", error.errno or 0)
        if self._dump is not None:
            self._dump.damaged = True
        else:
            self._begin_dump(announce=True)

    def _begin_dump(self, *, announce: bool) -> None:
        self._refusals.count("dumps")
        self._mirror.begin_dump()
        self._dump = _Dump(announce)
        self._next_dump(self._dump)

    def _next_dump(self, dump: _Dump) -> None:
        if not dump.kinds:
            self._end_dump(dump)
            return
        self._sequence = dump.sequence = self._sequence % 0xFFFFFFFF + 1
        self._arm_timer(_DUMP_TIMEOUT_S, self._start_over)
        try:
            if self._socket is not None:
                self._socket.send(rtnetlink.dump_request(dump.kinds.popleft(), dump.sequence))
        except OSError as error:  # the timer starts over
            self._refusals.note("dump", error.errno or 0)

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
        for event in self._mirror.end_dump():
            self._deliver(event)
        if dump.announce:
            self._deliver(Resynchronised())

    def _arm_timer(self, delay_s: float, action: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, action)

    def _start_over(self) -> None:
        """Take a fresh socket: the kernel runs one dump per socket, and this one never ended."""
        self._refusals.count("dump_timeouts")
        self._unwatch()
        try:
            self._watch()
        except HostError as error:
            self._refusals.note(error.operation, error.errno)
            self._arm_timer(_DUMP_TIMEOUT_S, self._start_over)
            return
        self._begin_dump(announce=True)
