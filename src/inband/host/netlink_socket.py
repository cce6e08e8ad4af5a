"""A non-blocking rtnetlink socket, and the book of what the kernel refused.

pyroute2's own sockets are not used: its IPRoute runs an event loop of its own in a thread, and we live in one already.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from inband.errors import HostError

_LOG = logging.getLogger(__name__)

_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_SO_RCVBUFFORCE = 33
_DATAGRAM = 1 << 16  # the kernel sends dumps in pieces of at most 32 kB
_LOG_AGAIN_S = 60.0


@dataclass(slots=True)
class Refusals:
    """Counts every refusal of the kernel; logs each cause once a minute. ``now`` gives seconds of any steady clock."""

    now: Callable[[], float]
    counters: dict[str, int] = field(default_factory=dict)
    _logged: dict[tuple[str, int], float] = field(default_factory=dict)

    def count(self, name: str) -> None:
        """Count something by name."""
        self.counters[name] = self.counters.get(name, 0) + 1

    def note(self, operation: str, number: int, reason: str = "") -> None:
        """Count, and perhaps log, that ``operation`` failed with errno ``number`` (0: none) or for ``reason``."""
        self.count(f"refused: {operation}")
        now = self.now()
        last = self._logged.get((operation, number))
        if last is None or now - last >= _LOG_AGAIN_S:
            self._logged[operation, number] = now
            text = reason or os.strerror(number)
            _LOG.warning("the kernel refused to %s: %s; it is tried again at the next event", operation, text)


def open_socket(groups: tuple[int, ...], receive_buffer: int) -> socket.socket:
    """Open an rtnetlink socket that hears multicast ``groups`` (RTNLGRP_*); raises HostError."""
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    except OSError as error:
        raise _host_error("open rtnetlink", error) from error
    try:
        _set_receive_buffer(sock, receive_buffer)
        sock.bind((0, 0))
        for group in groups:
            sock.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
    except OSError as error:
        sock.close()
        raise _host_error("listen to rtnetlink", error) from error
    return sock


def receive(sock: socket.socket) -> bytes | None:
    """Read the next datagram; None when there is none. Raises OSError (ENOBUFS: some were lost).

    A datagram that did not come from the kernel (some process plays it) reads as empty.
    """
    try:
        datagram, (sender, _groups) = sock.recvfrom(_DATAGRAM)
    except BlockingIOError:
        return None
    return bytes(datagram) if sender == 0 else b""


def _set_receive_buffer(sock: socket.socket, size: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except PermissionError:  # in a user namespace: as much as the system allows
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def _host_error(operation: str, error: OSError) -> HostError:
    number = error.errno or 0
    return HostError(operation, os.strerror(number), errno=number)
