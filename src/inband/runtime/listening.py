"""Places where peers call: listening sockets of one bridge, and the streams that are accepted there.

Whether one more connection is taken is ``switch.connections``' decision. A connection counts from its first packet on,
so a peer that does not finish TLS holds a place for ``streams.HANDSHAKE_S`` and no longer.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import stat
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path

from inband.errors import HostError
from inband.runtime.connecting import family_of, socket_address
from inband.runtime.streams import HANDSHAKE_S, SocketStream, reason_of
from inband.runtime.tls_clock import TlsClock
from inband.switch.channel import Channel
from inband.switch.connections import ConnectionManager
from inband.switch.listener import Listener
from inband.switch.targets import Scheme, Target
from inband.vocabulary.addresses import IpAddress

log = logging.getLogger(__name__)

# Connections that the kernel holds until we have time for them.
BACKLOG = 100
# Where is listened without an address: who calls from elsewhere may change all flows, so that has to be said
# (docs/decisions/12).
LOOPBACK = (ip_address("127.0.0.1"), ip_address("::1"))
# After an error of accept that will not go away by itself (no descriptors, no memory): others must close something.
ACCEPT_AGAIN_S = 1.0


class ListeningSocket:
    """One place; ``start`` and ``stop`` it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connections: ConnectionManager,
        target: Target,
        clock: TlsClock,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.target = target
        self._loop = loop
        self._connections = connections
        self._clock = clock
        self._tls = tls
        self._listener: Listener | None = None
        self._sockets: list[socket.socket] = []
        self._handshakes: dict[Channel, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Listen; raises HostError when the place is taken or not allowed."""
        try:
            self._sockets = _unix_socket(self.target.path) if self.target.is_unix else _tcp_sockets(self.target)
        except OSError as error:
            raise HostError(
                f"listen at {self.target}",
                f"{reason_of(error)}: choose another place, or stop who has it",
                errno=error.errno or 0,
            ) from None
        self._listener = self._connections.add_listener(self.target)
        for sock in self._sockets:
            self._loop.add_reader(sock, self._accept, sock)

    def stop(self) -> None:
        """Stop listening and hang up. May be called twice."""
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()
        if self._sockets and self.target.scheme is Scheme.PUNIX:  # else it is another's, or was never made
            Path(self.target.path).unlink(missing_ok=True)
        self._sockets.clear()
        for task in self._handshakes.values():
            task.cancel()
        if self._listener is not None:
            self._connections.remove_listener(self._listener)
            self._listener = None

    def _accept(self, listening: socket.socket) -> None:
        """Accept one connection: the loop calls again while more wait, after everything else had its turn."""
        try:
            sock, name = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("%s: a connection cannot be accepted: %s", self.target, reason_of(error))
            self._loop.remove_reader(listening)
            self._loop.call_later(ACCEPT_AGAIN_S, self._accept_again, listening)
            return
        assert self._listener is not None
        address = None if self.target.is_unix else ip_address(name[0].partition("%")[0])
        channel, crowded_out = self._connections.accept(self._listener, address)
        if channel is None:
            sock.close()
            return
        if crowded_out is not None:
            self._hang_up(crowded_out)
        sock.setblocking(False)
        task = self._loop.create_task(self._open(sock, channel))
        self._handshakes[channel] = task
        task.add_done_callback(lambda _: self._handshakes.pop(channel, None))

    def _hang_up(self, channel: Channel) -> None:
        if channel in self._handshakes:
            self._handshakes[channel].cancel()
        else:
            channel.abort()

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    async def _open(self, sock: socket.socket, channel: Channel) -> None:
        if self._tls is not None:
            self._clock.prepare(self._tls)
        try:
            await self._loop.connect_accepted_socket(
                lambda: SocketStream(channel, self._clock, self.target.peer_name),
                sock,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
            )
        except (OSError, asyncio.CancelledError) as error:
            # Its frames refer to it, and to the buffer of TLS: a cycle, and the collector comes once an hour.
            error.__traceback__ = None
            if not channel.is_open:
                sock.close()
                channel.closed(reason_of(error) if isinstance(error, OSError) else "it was given up")


def _tcp_sockets(target: Target) -> list[socket.socket]:
    """One for the address, or one of each family that the kernel has for loopback. Raises OSError."""
    if target.address is not None:
        return [_tcp_socket(target.address, target.port)]
    sockets: list[socket.socket] = []
    try:
        for address in LOOPBACK:
            try:
                sockets.append(_tcp_socket(address, target.port))
            except OSError as error:
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _tcp_socket(address: IpAddress, port: int) -> socket.socket:
    sock = socket.socket(family_of(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.version == 6:
            # [::] takes both families, as people expect and Open vSwitch does.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not address.is_unspecified)
        sock.bind(socket_address(address, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _unix_socket(path: str) -> list[socket.socket]:
    """A listening unix socket at a path where no other process listens. Raises OSError."""
    _remove_dead_socket(Path(path))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return [sock]


def _remove_dead_socket(path: Path) -> None:
    """Remove what a dead process left at a socket's place; raises OSError when it is alive or no socket at all."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, f"there is a file, and it is not a socket: {path}")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as asking:
        asking.setblocking(False)  # a full backlog must not make us wait, and is a sign of life
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, "another process listens there already")


class ListeningSockets:
    """All places where peers may call one bridge."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: ConnectionManager, clock: TlsClock) -> None:
        self._loop = loop
        self._connections = connections
        self._clock = clock
        self._management: ListeningSocket | None = None
        self._sockets: list[ListeningSocket] = []

    def manage(self, path: Path) -> None:
        """Listen for management connections, which never count as controllers. Raises HostError."""
        management = ListeningSocket(
            self._loop, self._connections, Target(Scheme.PUNIX, None, 0, str(path)), self._clock
        )
        management.start()
        self._management = management

    def release(self, wanted: Iterable[Target]) -> None:
        """Stop listening at all other places, so that another bridge may."""
        keep = set(wanted)
        for each in [one for one in self._sockets if one.target not in keep]:
            each.stop()
            self._sockets.remove(each)

    def apply(
        self,
        contexts: dict[Target, ssl.SSLContext],
        wanted: Iterable[Target],
        refused: Callable[[Target, HostError], None] | None = None,
        *,
        renew_tls: bool,
    ) -> None:
        """Listen at exactly these places; ``renew_tls``: certificates changed.

        A place that cannot be had is told to ``refused``; without that HostError is raised for the first one.
        """
        targets = [target for target in wanted if target.listens]
        self.release(target for target in targets if not (renew_tls and target.uses_tls))
        there = {each.target for each in self._sockets}
        for target in targets:
            if target not in there:
                added = ListeningSocket(self._loop, self._connections, target, self._clock, contexts.get(target))
                try:
                    added.start()
                except HostError as error:
                    if refused is None:
                        raise
                    refused(target, error)
                else:
                    self._sockets.append(added)

    def stop(self) -> None:
        """Stop listening everywhere."""
        self.release(())
        if self._management is not None:
            self._management.stop()
