"""Has LOCAL ask for another lease when by the one that it has no controller is reached (``pipeline.lease_servers``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from inband.bridge.megaflows import MegaflowCache
from inband.flow.ports import PortNo
from inband.pipeline.lease_servers import LeaseServer, LeaseServers
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant


class LeaseKeeper:
    """One bridge's. ``ask_anew``: have LOCAL's DHCP client ask everybody; it gets the server that is doubted.

    ``channels``: the controllers that are wanted, and whether one works.
    """

    def __init__(self, servers: LeaseServers, megaflows: MegaflowCache, wake: Callable[[], None]) -> None:
        """``wake``: ``next_deadline`` changed."""
        self.ask_anew: Callable[[LeaseServer], None] = _no_client
        self.channels: Mapping[IpAddress, bool] = {}
        self._servers, self._megaflows, self._wake = servers, megaflows, wake

    def remember(self, identifier: int, port: PortNo) -> None:
        """The server that an earlier run knew to lead to a controller."""
        self._servers.remember(LeaseServer(identifier, port))

    def follow(self) -> None:
        """There is news of servers."""
        if self._servers.news:
            self._servers.news = False
            self._what_is_heard_changed()
            self._wake()

    def channel_works(self) -> None:
        """A controller is reached with what LOCAL has."""
        if self._servers.channel_works():
            self._what_is_heard_changed()

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return self._servers.next_deadline() if self.channels else None

    def run(self, now: Instant) -> None:
        """Do what is due."""
        due, doubted = self.next_deadline(), self._servers.leased
        if due is None or due > now or doubted is None:
            return
        if any(self.channels.values()):
            self._servers.wait(now)
            return
        self._servers.doubt(now)
        self._what_is_heard_changed()
        self.ask_anew(doubted)

    def _what_is_heard_changed(self) -> None:
        """Cached decisions do not show what servers say from now on, or hide it."""
        self._megaflows.everything_changed()
        self._megaflows.settle()


def _no_client(_: LeaseServer) -> None:
    """LOCAL has no DHCP client that this knows of."""
