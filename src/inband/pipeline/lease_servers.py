"""Which DHCP server LOCAL listens to: the one whose lease led to a controller, while that one answers.

Any host can answer DHCP, and a client takes what comes first: another address, another router, or a DHCPNAK that takes
the lease away. So the server that gave the lease with which a channel came up is remembered, by its identifier and the
port that it answered from. What others say is withheld from LOCAL, unless LOCAL has asked everybody for ``SILENT_S``
without an answer of that one: then it is gone, or has moved.

Not here: which of two servers is right at the first start, before any channel came up. Then all are heard.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.flow.ports import PortNo
from inband.packet.dhcp import DhcpReply
from inband.vocabulary.instant import Instant

# Three tries of a client that asks each second.
SILENT_S = 3.0


class LeaseServer(NamedTuple):
    """A server, by its identifier (RFC 2132, 9.7; 0: it says none), and the port behind which it is."""

    identifier: int
    port: PortNo


class LeaseServers:
    """``proven`` is the server whose lease led to a controller, None: there is none."""

    def __init__(self) -> None:
        self.proven: LeaseServer | None = None
        self._leased: LeaseServer | None = None
        self._asked_since: Instant | None = None
        self._xid = b""

    @property
    def is_asked(self) -> bool:
        """Whether LOCAL waits for a lease."""
        return self._asked_since is not None

    def asks(self, xid: bytes, now: Instant) -> None:
        """LOCAL asks for a lease."""
        self._xid = xid
        if self._asked_since is None:
            self._asked_since = now

    def may_answer(self, reply: DhcpReply, port: PortNo, now: Instant) -> bool:
        """Whether LOCAL gets this reply."""
        if self.proven is None or LeaseServer(reply.server, port) == self.proven:
            return True
        return self._asked_since is not None and now - self._asked_since >= SILENT_S

    def answered(self, reply: DhcpReply, port: PortNo) -> None:
        """LOCAL gets this reply; it counts if LOCAL has asked."""
        if self._asked_since is None or reply.xid != self._xid:
            return
        server = LeaseServer(reply.server, port)
        if reply.is_lease:
            self._leased = server
        if reply.is_lease or server == self.proven:
            self._asked_since = None

    def channel_works(self) -> bool:
        """A controller is reached with what LOCAL has; whether that proves another server than before."""
        before, self.proven = self.proven, self._leased
        return self.proven != before
