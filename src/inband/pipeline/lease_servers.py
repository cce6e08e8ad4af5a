"""Which DHCP server LOCAL listens to: the one whose lease led to a controller, while that one answers.

Any host can answer DHCP, and a client takes what comes first: another address, another router, or a DHCPNAK that takes
the lease away. So the server that gave the lease with which a channel came up is remembered, by its identifier and the
port that it answered from. What others say is withheld from LOCAL, unless LOCAL has asked everybody for ``SILENT_S``
without an answer of that one: then it is gone, or has moved.

Before any channel came up all are heard, and the first may be the wrong one. Its lease is doubted when no channel comes
up by it and another server offers another network or router. Then LOCAL shall ask anew, and what the first says is
withheld as above. So each server gets its turn, for longer each round; servers of one network that agree are one.

Invariants: memory is bounded. While no other server answers, no lease is doubted.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.flow.ports import PortNo
from inband.packet.dhcp import DhcpReply, LeasedNetwork
from inband.vocabulary.instant import Instant

# Three tries of a client that asks each second.
SILENT_S = 3.0
# How long a lease has for a channel to come up: two tries of a channel, and twice as long each round.
DOUBT_FIRST_S, DOUBT_MAX_S = 10.0, 640.0
# Servers whose answers to one question are compared, and that are withheld.
MAX_SERVERS = 8


class LeaseServer(NamedTuple):
    """A server, by its identifier (RFC 2132, 9.7; 0: it says none), and the port behind which it is."""

    identifier: int
    port: PortNo


class LeaseServers:
    """``proven`` is the server whose lease led to a controller, None: there is none.

    ``is_used``: LOCAL has asked for a lease, so replies matter. ``news``: it became so, or there is a doubt to plan.
    """

    def __init__(self) -> None:
        self.proven: LeaseServer | None = None
        self.is_used = False
        self.news = False
        self.leased: LeaseServer | None = None
        self._leased_at: Instant = 0.0
        self._offers: dict[LeaseServer, LeasedNetwork] = {}
        self._withheld: dict[LeaseServer, None] = {}
        self._patience_s = DOUBT_FIRST_S
        self._asked_since: Instant | None = None
        self._xid = b""

    @property
    def is_asked(self) -> bool:
        """Whether LOCAL waits for a lease."""
        return self._asked_since is not None

    def remember(self, server: LeaseServer) -> None:
        """An earlier run knew this one to lead to a controller."""
        if self.proven is None and self.leased is None:
            self.proven = server

    def asks(self, xid: bytes, now: Instant) -> None:
        """LOCAL asks for a lease."""
        if xid != self._xid:
            self._offers.clear()
        self._xid = xid
        self.news |= not self.is_used
        self.is_used = True
        if self._asked_since is None:
            self._asked_since = now

    def may_answer(self, reply: DhcpReply, port: PortNo, now: Instant) -> bool:
        """Whether LOCAL gets this reply."""
        server = LeaseServer(reply.server, port)
        if server == self.proven or (self.proven is None and not self._is_withheld(server)):
            return True
        return self._asked_since is not None and now - self._asked_since >= SILENT_S

    def _is_withheld(self, server: LeaseServer) -> bool:
        """Whether it had its turn, or refuses what it has not offered, from the same port."""
        if server in self._withheld:
            return True
        return server not in self._offers and any(each.port == server.port for each in self._withheld)

    def heard(self, reply: DhcpReply, port: PortNo) -> None:
        """A server says this to LOCAL, which may not get it."""
        if reply.xid != self._xid or reply.network is None:
            return
        server = LeaseServer(reply.server, port)
        if server in self._offers or len(self._offers) < MAX_SERVERS:
            self._offers[server] = reply.network
            self.news |= self.is_doubtful

    def answered(self, reply: DhcpReply, port: PortNo, now: Instant) -> None:
        """LOCAL gets this reply; it counts if LOCAL has asked."""
        if self._asked_since is None or reply.xid != self._xid:
            return
        server = LeaseServer(reply.server, port)
        if reply.is_lease:
            self.leased, self._leased_at = server, now
            self.news |= self.is_doubtful
        if reply.is_lease or server == self.proven:
            self._asked_since = None

    def channel_works(self) -> bool:
        """A controller is reached with what LOCAL has; whether that proves another server than before."""
        before, self.proven = self.proven, self.leased or self.proven
        self._withheld.clear()
        self._patience_s = DOUBT_FIRST_S
        return self.proven != before

    @property
    def is_doubtful(self) -> bool:
        """Whether another server's lease could lead to a controller where the present one does not."""
        if self.leased is None or self.leased == self.proven:
            return False
        if self.proven is not None:
            return True
        return any(network != self._offers.get(self.leased) for network in self._offers.values())

    def next_deadline(self) -> Instant | None:
        """When a doubt is due, should no channel work until then."""
        return self._leased_at + self._patience_s if self.is_doubtful and self._asked_since is None else None

    def wait(self, now: Instant) -> None:
        """A channel works, maybe past LOCAL's lease: there is time."""
        self._leased_at = now

    def doubt(self, now: Instant) -> None:
        """No channel came up: LOCAL asks anew, and does not get what this server says unless no other one answers."""
        if self.leased is not None and len(self._withheld) < MAX_SERVERS:
            self._withheld[self.leased] = None
        self._leased_at = now
        if self._withheld.keys() >= self._offers.keys():  # each had its turn
            self._withheld = {} if self.leased is None else {self.leased: None}
            self._patience_s = min(2 * self._patience_s, DOUBT_MAX_S)
