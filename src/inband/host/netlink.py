"""The kernel as the switch sees it: events from rtnetlink, and the two questions we ask it.

What: ``KernelHost`` tells one function about every change of links, addresses, routes, rules and neighbours, and
answers route lookups. It implements ``host.state.Host`` inside an asyncio loop, and never blocks it.

Why a socket of its own for questions: a flood of notifications cannot lose an answer.

Invariants: nothing the kernel sends or refuses raises into the loop; it is counted, and logged once per cause and
minute. ``deliver`` is never called from inside a question.

Not here: what to do about any of it (``inband.control``), and changes to the host (``inband.host.interfaces``).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping

from inband.errors import WireError
from inband.host import codec, rtnetlink
from inband.host.codec import Message
from inband.host.events import HostEvent, NextHopFound
from inband.host.listener import Listener
from inband.host.netlink_socket import Trouble
from inband.host.route_lookup import RouteLookups
from inband.host.state import KernelState
from inband.host.watcher import Watcher
from inband.vocabulary.addresses import IpAddress

_UNICAST_PATIENCE_S = 0.2  # a neighbour that is there answers within this; then ask by broadcast
RECEIVE_BUFFER = 4 << 20  # bytes, about 4,000 notifications: a full neighbour table that flaps fits


class KernelHost:
    """Watches the network namespace in which ``start`` was called. Implements ``host.state.Host``.

    ``state`` is what it has said so far, ``trouble`` counts what goes wrong.
    """

    def __init__(
        self, deliver: Callable[[HostEvent | NextHopFound], None], *, receive_buffer: int = RECEIVE_BUFFER
    ) -> None:
        """``deliver`` takes every event and answer; ``receive_buffer`` is in bytes, for each of two sockets."""
        self._deliver = deliver
        self._receive_buffer = receive_buffer
        self.state = KernelState()
        self._lookups = RouteLookups(self._name_of)
        self.trouble = Trouble(self._now)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watcher: Watcher | None = None
        self._listener: Listener | None = None
        self._probed_at: dict[tuple[int, IpAddress], float] = {}
        self._ask_handle: asyncio.Handle | None = None
        self._expire_handle: asyncio.TimerHandle | None = None

    @property
    def counters(self) -> Mapping[str, int]:
        """Overruns, dumps, route lookups given up, refusals by operation, and messages that cannot be read by type."""
        return {**self.trouble.counters, "route_lookups_lost": self._lookups.lost}

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver all links, addresses and neighbours, then watch. Raises HostError when there is no rtnetlink.

        Takes milliseconds (10 us per neighbour entry), and everything is delivered when it returns.
        """
        self._loop = loop
        self._listener = Listener(loop, self.trouble, self._take_answer, self._missed, self._schedule)
        self._listener.open((), self._receive_buffer)
        self._watcher = Watcher(self._deliver, self.state, self.trouble, loop, self._receive_buffer)
        self._watcher.start()
        self._schedule()

    def close(self) -> None:
        """Stop watching; questions asked are not answered any more. May be called twice."""
        for handle in (self._ask_handle, self._expire_handle):
            if handle is not None:
                handle.cancel()
        if self._watcher is not None:
            self._watcher.close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def look_up_next_hop(self, destination: IpAddress) -> None:
        """Ask where the kernel would send TCP to ``destination``; NextHopFound follows, None when nothing would leave.

        A question that still waits is not asked twice.
        """
        self._lookups.ask(destination)
        self._schedule()

    def solicit(self, index: int, address: IpAddress) -> None:
        """Find out a neighbour's MAC now; NeighbourChanged follows when the kernel learns something.

        Not resolved: ask by broadcast. Resolved: ask that neighbour by unicast, at once instead of when the entry has
        aged. Asked by unicast without an answer for 0.2 s: forget its MAC and ask by broadcast. Permanent: nothing.
        """
        state = self.state.neighbour_state(index, address)
        if state & (rtnetlink.NUD_PERMANENT | rtnetlink.NUD_NOARP):
            return
        if state & rtnetlink.NUD_PROBE:
            self._give_up_unicast(index, address)
        elif state & rtnetlink.NUD_VALID:
            self._probed_at[index, address] = self._now()
            self._send(_neighbour_request(index, address, rtnetlink.NUD_PROBE), "ask for a neighbour")
        else:
            self._send(_neighbour_request(index, address, 0, use=True), "ask for a neighbour")

    def _give_up_unicast(self, index: int, address: IpAddress) -> None:
        # The kernel may have begun to probe by itself: then its neighbour has its time from now on.
        begun = self._probed_at.setdefault((index, address), self._now())
        if self._now() - begun >= _UNICAST_PATIENCE_S:
            del self._probed_at[index, address]
            requests = _neighbour_request(index, address, rtnetlink.NUD_FAILED)
            self._send(requests + _neighbour_request(index, address, 0, use=True), "ask for a neighbour")

    def _schedule(self) -> None:
        if self._listener is not None and self._loop is not None and self._ask_handle is None:
            self._ask_handle = self._loop.call_soon(self._ask)

    def _ask(self) -> None:
        self._ask_handle = None
        self._lookups.expire(self._now())
        requests = self._lookups.requests(self._now())
        if requests:
            self._send(requests, "look up a route")
        for answer in self._lookups.settled():
            self._deliver(answer)
        self._arm_expiry()

    def _arm_expiry(self) -> None:
        if self._expire_handle is not None:
            self._expire_handle.cancel()
            self._expire_handle = None
        deadline = self._lookups.next_deadline()
        if deadline is not None and self._loop is not None:
            self._expire_handle = self._loop.call_at(deadline, self._schedule)

    def _take_answer(self, message: Message) -> None:
        answer = self._lookups.receive(message)
        if answer is not None:
            self._deliver(answer)
        elif message.kind == codec.NLMSG_ERROR:
            self._note_refusal(codec.error_number(message.body))

    def _missed(self, error: OSError | WireError) -> None:
        if isinstance(error, OSError):  # ENOBUFS: answers were lost; those questions are asked again when they expire
            self.trouble.refused("answer", error.errno or 0)

    def _note_refusal(self, number: int) -> None:
        # Only asking for neighbours gets here. The entry may have gone, or lost its MAC, since we last heard of it.
        if number not in (0, errno.ENOENT, errno.EINVAL):
            self.trouble.refused("ask for a neighbour", number)

    def _send(self, requests: bytes, operation: str) -> None:
        try:
            if self._listener is not None:
                self._listener.send(requests)
        except OSError as error:
            self.trouble.refused(operation, error.errno or 0)

    def _name_of(self, index: int) -> str:
        link = self.state.link(index)
        if link is not None:
            return link.name
        try:
            return socket.if_indextoname(index)
        except OSError:
            return ""

    def _now(self) -> float:
        return 0.0 if self._loop is None else self._loop.time()


def _neighbour_request(index: int, address: IpAddress, state: int, *, use: bool = False) -> bytes:
    return rtnetlink.neighbour_request(index, address, 0, state=state, use=use)  # 0 is never a route lookup's sequence
