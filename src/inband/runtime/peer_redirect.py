"""Keeps the eBPF datapath right about the ports that known unicast may skip (``datapath.ebpf.peer``).

A port that may be skipped now may not be a moment later: a queueing discipline or a filter is added, or the other end
of the pair is moved. Link events the bridge hears anyway and passes on. What tc(8) does sends none, so this listens
to RTNLGRP_TC, which costs nothing while nothing changes, and is heard of within a millisecond.

Invariants: what the kernel says was lost (ENOBUFS), or cannot be read, may have been about any port. No port is skipped
where notifications cannot be heard. Work per wake-up is bounded by READS_PER_TURN looks of about 0.2 ms.
"""

from __future__ import annotations

import asyncio
import logging

from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.userspace import UserspaceDatapath
from inband.errors import HostError, WireError
from inband.host import tc
from inband.host.codec import Message
from inband.host.listener import Listener
from inband.host.netlink_socket import Trouble

log = logging.getLogger(__name__)

READS_PER_TURN = 16  # then other work of the loop has its turn
_RTNLGRP_TC = 4
_RECEIVE_BUFFER = 1 << 20


class PeerRedirect:
    """One bridge's. A userspace datapath skips nothing, whatever is allowed."""

    def __init__(
        self,
        bridge: str,
        datapath: EbpfDatapath | UserspaceDatapath,
        loop: asyncio.AbstractEventLoop,
        trouble: Trouble,
    ) -> None:
        self._bridge = bridge
        self._datapath = datapath if isinstance(datapath, EbpfDatapath) else None
        self._loop = loop
        self._is_allowed = False
        self._held: asyncio.TimerHandle | None = None
        self._changed = ChangedInterfaces()
        self._listener = Listener(loop, trouble, self._changed.heard, self._changed.missed, self._look, READS_PER_TURN)

    def apply(self, *, allowed: bool) -> None:
        """Whether ports may be skipped, from now on, but while they are watched."""
        self._is_allowed = allowed
        self._follow()

    def hold(self, seconds: float) -> None:
        """Skip no port for so long: what leaves by them is to be seen there."""
        if self._held is not None:
            self._held.cancel()
        self._held = self._loop.call_later(seconds, self._let_go)
        self._follow()

    def _let_go(self) -> None:
        self._held = None
        self._follow()

    def _follow(self) -> None:
        allowed = self._is_allowed and self._held is None
        if self._datapath is None or allowed == self._listener.is_open:
            return
        if allowed and self._listen():
            self._datapath.set_peer_redirect(allowed=True)
        elif not allowed:
            self._datapath.set_peer_redirect(allowed=False)
            self._listener.close()

    def link_changed(self, index: int) -> None:
        """An interface, which may be a port's, is not what it was."""
        if self._datapath is not None and self._listener.is_open:
            self._datapath.look_at_interface(index)

    def close(self) -> None:
        """Stop listening. May be called twice."""
        self._is_allowed = False
        if self._held is not None:
            self._held.cancel()
            self._held = None
        self._listener.close()

    def _listen(self) -> bool:
        try:
            self._listener.open((_RTNLGRP_TC,), _RECEIVE_BUFFER)
        except HostError as error:
            log.warning("bridge %s: known unicast takes the longer way through its port: %s", self._bridge, error)
            return False
        return True

    def _look(self) -> None:
        assert self._datapath is not None
        changed = self._changed.take()
        for index in [None] if None in changed else changed:
            self._datapath.look_at_interface(index)


class ChangedInterfaces:
    """The indexes of the interfaces that notifications were about; None: it may be any of them."""

    def __init__(self) -> None:
        self._indexes: set[int | None] = set()

    def heard(self, message: Message) -> None:
        """A notification of traffic control; raises WireError.

        Filters at ingress are no concern of what leaves; each port gets two when it comes.
        """
        if not tc.is_about_ingress_filter(message):
            self._indexes.add(tc.interface_of(message))

    def missed(self, _: OSError | WireError) -> None:
        """One was lost, or cannot be read."""
        self._indexes.add(None)

    def take(self) -> set[int | None]:
        """What was heard since the last call."""
        indexes, self._indexes = self._indexes, set()
        return indexes
