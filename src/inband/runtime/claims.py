"""Which live switch has an interface: so that two processes never share a port or a bridge.

A claim is a listening unix socket with an abstract name (unix(7)). The kernel keeps such names apart per network
namespace, exactly as it does interfaces, and frees them when the process dies, however it dies. So there is no file to
clean up after kill -9, and a switch in another namespace is free to use the same interface names.

The run directory does not do this: two switches may have two of them and still be given the same interface.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from inband.errors import HostError, UsageError

_PREFIX = "\0inband/interface/"


class Claims:
    """The interfaces that this process has claimed."""

    def __init__(self) -> None:
        self._held: dict[str, socket.socket] = {}

    def take(self, interface: str) -> None:
        """Claim an interface; claiming one's own again does nothing.

        Raises UsageError naming the process of the live switch that has it, HostError when the kernel refuses.
        """
        if interface in self._held:
            return
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            claim.bind(_PREFIX + interface)
            claim.listen()
        except OSError as error:
            claim.close()
            if error.errno == errno.EADDRINUSE:
                raise _taken(interface) from None
            raise HostError(f"claim {interface}", error.strerror or str(error), errno=error.errno or 0) from None
        self._held[interface] = claim

    def __contains__(self, interface: str) -> bool:
        """Whether this process has claimed an interface."""
        return interface in self._held

    def release(self, interface: str) -> None:
        """Let others have the interface; one that is not claimed is ignored."""
        claim = self._held.pop(interface, None)
        if claim is not None:
            claim.close()

    def close(self) -> None:
        """Release everything."""
        for interface in list(self._held):
            self.release(interface)


def _taken(interface: str) -> UsageError:
    pid = _holder(interface)
    who = "another live switch" if pid is None else f"a live switch (pid {pid})"
    mine = " in this process" if pid == os.getpid() else ""
    return UsageError(f"interface {interface} is in use by {who}{mine}: take it out there first, or stop that switch")


def _holder(interface: str) -> int | None:
    """The pid of who listens there, by SO_PEERCRED (unix(7)); None when it is gone or in another pid namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as asking:
        asking.setblocking(False)  # a full backlog must not make us wait
        try:
            asking.connect(_PREFIX + interface)
            pid, _, _ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        except OSError:
            return None
    return int(pid) or None
