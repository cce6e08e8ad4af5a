"""Sockets of netlink: how one is opened and read, and what is noted of trouble with it.

Invariants: only what the kernel sends is read. Trouble is counted always, and logged once per cause and minute.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from inband.errors import HostError, WireError
from inband.host import rtnetlink

_LOG = logging.getLogger(__name__)

_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_SO_RCVBUFFORCE = 33
_DATAGRAM = 1 << 16  # the kernel sends dumps in pieces of at most 32 kB
_LOG_AGAIN_S = 60.0
_FIRST_BYTES = 32  # of what cannot be read: its struct and the first attributes
_TEMPORARY = frozenset({errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENOBUFS, errno.ENOMEM, errno.ETIMEDOUT})


@dataclass(slots=True)
class Trouble:
    """Counts what goes wrong; logs each cause once a minute. ``now`` gives seconds of any steady clock.

    There are as many causes as operations and message types in this program's code, whatever the kernel sends.
    """

    now: Callable[[], float]
    counters: dict[str, int] = field(default_factory=dict)
    _logged: dict[tuple[str, int], float] = field(default_factory=dict)

    def count(self, name: str) -> None:
        """Count something by name."""
        self.counters[name] = self.counters.get(name, 0) + 1

    def refused(self, operation: str, number: int) -> None:
        """The kernel refused to do something, with this errno."""
        self.count(f"refused: {operation}")
        if self._is_news(operation, number):
            text = os.strerror(number)
            _LOG.warning("the kernel refused to %s: %s; it is tried again at the next event", operation, text)

    def malformed(self, kind: int, body: bytes, error: WireError) -> None:
        """A message of a type that we read cannot be read."""
        self._malformed(rtnetlink.kind_name(kind), body, error)

    def malformed_datagram(self, datagram: bytes, error: WireError) -> None:
        """A datagram cannot be cut into messages."""
        self._malformed("datagram", datagram, error)

    def _malformed(self, what: str, data: bytes, error: WireError) -> None:
        self.count(f"malformed: {what}")
        if self._is_news(what, 0):
            begin = data[:_FIRST_BYTES].hex(" ")
            text = "a netlink message from the kernel is skipped: %s with %d bytes (%s%s) cannot be read: %s"
            _LOG.warning(text, what, len(data), begin, " ..." if len(data) > _FIRST_BYTES else "", error)

    def _is_news(self, cause: str, number: int) -> bool:
        now = self.now()
        last = self._logged.get((cause, number))
        if last is not None and now - last < _LOG_AGAIN_S:
            return False
        self._logged[cause, number] = now
        return True


def open_socket(groups: tuple[int, ...] = (), receive_buffer: int = 0) -> socket.socket:
    """Open a non-blocking rtnetlink socket that hears multicast ``groups`` (RTNLGRP_*); raises HostError.

    ``receive_buffer`` is in bytes, 0 for the system's default.
    """
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    except OSError as error:
        raise refused("open rtnetlink", error.errno or 0) from error
    try:
        if receive_buffer:
            _set_receive_buffer(sock, receive_buffer)
        sock.bind((0, 0))
        for group in groups:
            sock.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
    except OSError as error:
        sock.close()
        raise refused("listen to rtnetlink", error.errno or 0) from error
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


def refused(operation: str, number: int, words: str = "") -> HostError:
    """The kernel refused an operation with this errno, and perhaps with words of its own."""
    reason = os.strerror(number) + (f" ({words})" if words else "")
    if number == errno.EPERM:
        reason += ": this needs CAP_NET_ADMIN, so run it as root or in a user namespace of your own"
    return HostError(operation, reason, errno=number, temporary=number in _TEMPORARY)


def _set_receive_buffer(sock: socket.socket, size: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except PermissionError:  # in a user namespace: as much as the system allows
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
