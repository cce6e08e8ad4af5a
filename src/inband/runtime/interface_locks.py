"""Which live switch has an interface: so that two processes never share a port or a bridge.

A lock is a listening unix socket with an abstract name (unix(7)). The kernel keeps such names apart per network
namespace, exactly as it does interfaces, and frees them when the process dies, however it dies. So there is no file to
clean up after kill -9, and a switch in another namespace is free to use the same interface names.

Any user may bind any abstract name. So a name ends in a random part, which cannot be taken beforehand, and a lock
counts only when its holder is root or our own user: the kernel says who made a socket (SO_PEERCRED). Who else has names
like ours is found in /proc/net/unix; other users' are passed over, and so are those that do not answer.

Invariants: of two switches that lock an interface at most one gets it (at the same instant: perhaps none). The run
directory does not do this: two switches may have two of them and still be given the same interface.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import struct
import time
from collections.abc import Container, Iterable
from pathlib import Path

from inband.errors import HostError, InbandError, UsageError

_PREFIX = "inband/interface/"
_SOCKETS = Path("/proc/net/unix")
_ROOT = 0
# Questions that wait for us, and how long we wait for who has as many: the longest pause of a switch is far below it.
BACKLOG, PATIENCE_S = 1024, 0.2


class InterfaceLocks:
    """The interfaces that this process has locked. While ``loop`` runs, questions about them are answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._held: dict[str, socket.socket] = {}

    def take(self, interface: str) -> None:
        """Lock an interface; locking one's own again does nothing.

        Raises UsageError naming the process of the live switch that has it, HostError when the kernel refuses.
        """
        for error in self.take_together([interface]).values():
            raise error

    def take_together(self, interfaces: Iterable[str]) -> dict[str, InbandError]:
        """Lock these interfaces, with one look at the names there are; says why some are not locked."""
        locks: dict[str, tuple[str, socket.socket]] = {}
        refused: dict[str, InbandError] = {}
        for interface in interfaces:
            if interface not in self._held and interface not in locks:
                try:
                    locks[interface] = _listen(interface)
                except OSError as error:
                    refused[interface] = _host_error(interface, error)
        try:
            others = _names_of(locks) if locks else {}
        except OSError as error:
            for _, lock in locks.values():
                lock.close()
            return refused | {interface: _host_error(interface, error) for interface in locks}
        for interface, (name, lock) in locks.items():
            try:
                for other in others.get(interface, ()):
                    if other != name:
                        _refuse_if_valid(interface, other)
            except (OSError, UsageError) as error:
                lock.close()
                refused[interface] = error if isinstance(error, UsageError) else _host_error(interface, error)
            else:
                self._held[interface] = lock
                self._loop.add_reader(lock, _answer, lock)
        return refused

    def __contains__(self, interface: str) -> bool:
        """Whether this process has locked an interface."""
        return interface in self._held

    def release(self, interface: str) -> None:
        """Let others have the interface; one that is not locked is ignored."""
        lock = self._held.pop(interface, None)
        if lock is not None:
            self._loop.remove_reader(lock)
            lock.close()

    def close(self) -> None:
        """Release everything."""
        for interface in list(self._held):
            self.release(interface)


def _answer(lock: socket.socket) -> None:
    """Let a process that asked go: the kernel has told it who we are."""
    try:
        asking, _ = lock.accept()
    except OSError:
        return
    asking.close()


def _listen(interface: str) -> tuple[str, socket.socket]:
    """A name that locks an interface, and the socket that has it. Raises OSError."""
    name = f"{_PREFIX}{interface}/{secrets.token_hex(16)}"
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        lock.bind(f"\0{name}")
        lock.listen(BACKLOG)
    except OSError:
        lock.close()
        raise
    return name, lock


def _names_of(interfaces: Container[str]) -> dict[str, list[str]]:
    """Abstract names that lock these, ours included: the last column of /proc/net/unix. Raises OSError.

    A first version's names had no random part. Connections that were accepted carry the name, too.
    """
    names: dict[str, list[str]] = {}
    for line in _SOCKETS.read_text(errors="replace").splitlines():
        _, found, rest = line.partition(f"@{_PREFIX}")
        interface, _, _ = rest.partition("/")
        if found and interface in interfaces:
            names.setdefault(interface, []).append(_PREFIX + rest)
    return names


def _host_error(interface: str, error: OSError) -> HostError:
    return HostError(f"lock {interface}", error.strerror or str(error), errno=error.errno or 0)


def _refuse_if_valid(interface: str, name: str) -> None:
    """Raise UsageError when a live process of a user who may have switches listens at an abstract name."""
    holder = _holder(name)
    if holder is not None and holder[1] in (_ROOT, os.geteuid()):
        raise _taken(interface, holder[0] or None)


def _holder(name: str) -> tuple[int, int] | None:
    """The pid (0: of another pid namespace) and user of who listens at an abstract name; None when there is no answer.

    Others may fill the queue of a live switch's lock with questions, which it empties at once; a queue that stays
    full is no switch's.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as asking:
            try:
                asking.connect(f"\0{name}")
            except BlockingIOError:
                if time.monotonic() >= end:
                    return None
                time.sleep(PATIENCE_S / 20)
                continue
            except OSError:
                return None
            pid, uid, _ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            return pid, uid


def _taken(interface: str, pid: int | None) -> UsageError:
    who = "another live switch" if pid is None else f"a live switch (pid {pid})"
    mine = " in this process" if pid == os.getpid() else ""
    return UsageError(f"interface {interface} is in use by {who}{mine}: take it out there first, or stop that switch")
