"""Keeps the eBPF datapath right about the ports that known unicast may skip (``datapath.ebpf.peer``).

A port that may be skipped now may not be a moment later: somebody adds a queueing discipline or a filter, or moves the
other end of the pair. Link events the bridge hears anyway and passes on. What tc(8) does sends none, so this listens
to RTNLGRP_TC, which costs nothing while nobody does anything, and is heard of within a millisecond.

What must stay true: what the kernel says was lost (ENOBUFS) may have been about any port. Without ears no port is
skipped. Work per wake-up is bounded by READS_PER_TURN looks of about 0.2 ms.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct

from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.userspace import UserspaceDatapath
from inband.errors import HostError, WireError
from inband.host import netlink_socket, rtnetlink, tc

log = logging.getLogger(__name__)

READS_PER_TURN = 16  # then other work of the loop has its turn
_RTNLGRP_TC = 4
_RECEIVE_BUFFER = 1 << 20


class PeerRedirect:
    """One bridge's. A userspace datapath skips nothing, whatever is allowed."""

    def __init__(
        self, bridge: str, datapath: EbpfDatapath | UserspaceDatapath, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._bridge = bridge
        self._datapath = datapath if isinstance(datapath, EbpfDatapath) else None
        self._loop = loop
        self._socket: socket.socket | None = None

    def apply(self, *, allowed: bool) -> None:
        """Whether ports may be skipped, from now on."""
        if self._datapath is None or allowed == (self._socket is not None):
            return
        if allowed and self._listen():
            self._datapath.set_peer_redirect(allowed=True)
        elif not allowed:
            self._datapath.set_peer_redirect(allowed=False)
            self.close()

    def link_changed(self, index: int) -> None:
        """An interface, which may be a port's, is not what it was."""
        if self._datapath is not None and self._socket is not None:
            self._datapath.look_at_interface(index)

    def close(self) -> None:
        """Stop listening. May be called twice."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _listen(self) -> bool:
        try:
            self._socket = netlink_socket.open_socket((_RTNLGRP_TC,), _RECEIVE_BUFFER)
        except HostError as error:
            log.warning("bridge %s: known unicast takes the longer way through its port: %s", self._bridge, error)
            return False
        self._loop.add_reader(self._socket, self._read)
        return True

    def _read(self) -> None:
        assert self._datapath is not None
        changed = self._changed()
        for index in [None] if None in changed else changed:
            self._datapath.look_at_interface(index)

    def _changed(self) -> set[int | None]:
        """What the notifications that wait are about, a bounded number of them."""
        assert self._socket is not None
        changed: set[int | None] = set()
        for _ in range(READS_PER_TURN):
            try:
                datagram = netlink_socket.receive(self._socket)
            except OSError:  # ENOBUFS
                return {None}
            if datagram is None:
                break
            changed |= changed_interfaces(datagram)
        return changed


def changed_interfaces(datagram: bytes) -> set[int | None]:
    """Indexes of the interfaces whose traffic control notifications are about; None: it may be any of them."""
    try:
        return {_index(message.body) for message in rtnetlink.split(datagram)}
    except (WireError, struct.error):
        return {None}


def _index(body: bytes) -> int | None:
    """None for a block of filters that interfaces share (TCM_IFINDEX_MAGIC_BLOCK)."""
    index = int(tc.TCMSG.unpack_from(body)[1])
    return index if index > 0 else None
