"""What attackers share: sockets that are opened without waiting, and an end by SIGTERM with a last line of JSON."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable
from types import FrameType

NICE = 10
_LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER: a close is a reset, and leaves no port behind in TIME_WAIT: an attack takes minutes."""
READY = "attacking"
"""What an attacker prints once it has begun."""


def begin_opening(target: str) -> socket.socket | None:
    """Begin a connection to ``tcp:ADDRESS:PORT`` or ``unix:PATH``; None when there is no room for one now."""
    scheme, _, rest = target.partition(":")
    made = socket.socket(socket.AF_INET if scheme == "tcp" else socket.AF_UNIX)
    made.setblocking(False)
    address: tuple[str, int] | str = rest
    if scheme == "tcp":
        host, _, port = rest.rpartition(":")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        address = host, int(port)
    try:
        refused = made.connect_ex(address)
    except OSError as error:
        refused = error.errno or errno.EIO
    if refused not in (0, errno.EINPROGRESS):
        made.close()
        return None
    return made


def attack(turn: Callable[[], None], totals: Callable[[], dict[str, int]]) -> None:
    """Take turns until SIGTERM, then print the totals as one line of JSON."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit

    os.nice(NICE)
    signal.signal(signal.SIGTERM, stop)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(READY, flush=True)
    try:
        while True:
            turn()
    finally:
        print(json.dumps(totals()), flush=True)


def drop(selector: selectors.BaseSelector, sock: socket.socket) -> None:
    """Forget a socket and close it."""
    with contextlib.suppress(KeyError, ValueError):
        selector.unregister(sock)
    sock.close()


def arguments() -> list[str]:
    """Return what the command line says."""
    return sys.argv[1:]
