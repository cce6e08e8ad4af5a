"""Route lookups on their way: who was asked, what is still unanswered, when to ask again.

The kernel answers RTM_GETROUTE one by one, and at once; what can go wrong is a full socket buffer. So at most
``IN_FLIGHT`` questions are out at a time, each is asked up to ``TRIES`` times, and each gets exactly one answer in
the end: also "no route" when the kernel never said a word. Many questions travel in one datagram.
Sans-IO: time is an argument, bytes go out and come in. Not a cache: every question is asked of the kernel.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from inband.errors import WireError
from inband.host import codec, rtnetlink
from inband.host.codec import Message
from inband.host.events import NextHop, NextHopFound
from inband.vocabulary.addresses import IpAddress

IN_FLIGHT = 64  # answers take about 1 kB of socket buffer each; the smallest default buffer has 208 kB
TRIES = 3
TIMEOUT_S = 1.0  # the kernel answers within the system call, so this only ever passes when the answer was lost


@dataclass(frozen=True, slots=True)
class _Question:
    destination: IpAddress
    tries: int
    deadline: float


@dataclass(slots=True)
class RouteLookups:
    """``name_of(index)`` gives an interface's name, "" when it is not known."""

    name_of: Callable[[int], str]
    lost: int = 0
    _waiting: dict[IpAddress, int] = field(default_factory=dict)  # destination -> how often it was asked
    _settled: deque[NextHopFound] = field(default_factory=deque)
    _asked: dict[int, _Question] = field(default_factory=dict)
    _sequence: int = 0

    def ask(self, destination: IpAddress) -> None:
        """Queue a question; one that waits already is not queued twice, one that is out is asked again."""
        if destination.is_loopback:  # with the loopback interface down the kernel would name the default gateway
            self._settled.append(NextHopFound(destination, None))
        else:
            self._waiting.setdefault(destination, 0)

    def requests(self, now: float) -> bytes:
        """The questions to send now in one datagram, empty when there is nothing to ask or enough is out."""
        datagram = []
        while self._waiting and len(self._asked) < IN_FLIGHT:
            destination = next(iter(self._waiting))
            tries = self._waiting.pop(destination)
            index = _scope_index(destination)
            if index < 0:
                self._settled.append(NextHopFound(destination, None))
                continue
            self._sequence = self._sequence % 0xFFFFFFFF + 1
            self._asked[self._sequence] = _Question(destination, tries + 1, now + TIMEOUT_S)
            datagram.append(rtnetlink.route_request(destination, index, self._sequence))
        return b"".join(datagram)

    def receive(self, message: Message) -> NextHopFound | None:
        """Take a message from the kernel; gives the answer if it is one. Raises WireError (the question is over)."""
        if message.kind not in (codec.NLMSG_ERROR, rtnetlink.RTM_NEWROUTE):
            return None
        question = self._asked.pop(message.sequence, None)
        if question is None:
            return None
        try:
            return NextHopFound(question.destination, self._next_hop(question.destination, message))
        except WireError:
            self._settled.append(NextHopFound(question.destination, None))
            raise

    def settled(self) -> list[NextHopFound]:
        """Answers that needed no kernel or that never came; each is given once."""
        answers = list(self._settled)
        self._settled.clear()
        return answers

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do: questions are asked in order, so the first is the oldest."""
        first = next(iter(self._asked.values()), None)
        return None if first is None else first.deadline

    def expire(self, now: float) -> None:
        """Ask again what stayed unanswered, and give up what was asked often enough."""
        for sequence, question in list(self._asked.items()):
            if question.deadline > now:
                return
            del self._asked[sequence]
            if question.tries < TRIES:
                self._waiting.setdefault(question.destination, question.tries)
            else:
                self.lost += 1
                self._settled.append(NextHopFound(question.destination, None))

    def _next_hop(self, destination: IpAddress, message: Message) -> NextHop | None:
        if message.kind == codec.NLMSG_ERROR:  # unreachable, prohibited, blackhole: all mean that nothing leaves
            return None
        route = rtnetlink.read_route(message.body)
        if route.kind != rtnetlink.RTN_UNICAST or not route.interface_index:  # to this host, a group, nowhere
            return None
        index = route.interface_index
        # A neighbour is known by interface and address: the scope that the destination was written with is the index.
        on_link = destination if destination.version == 4 else IPv6Address(int(destination))
        return NextHop(index, self.name_of(index), route.gateway or on_link, route.source)


def _scope_index(destination: IpAddress) -> int:
    """The interface a link-local address names (0: none named, -1: it is not there)."""
    if destination.version == 4 or not destination.scope_id:
        return 0
    try:
        return socket.if_nametoindex(destination.scope_id)
    except OSError:
        return -1
