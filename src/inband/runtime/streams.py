"""Streams of bytes on sockets: ``switch.transport`` by asyncio, with TLS where a target says so."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import struct
from collections.abc import Mapping
from typing import cast

from inband.runtime.connecting import connect, connect_unix, kernel_words, mark_as_control, send_at_once
from inband.runtime.peer_names import complaint
from inband.runtime.tls_clock import TlsClock
from inband.switch.targets import Target
from inband.switch.transport import Connecting, ConnectUser, StreamUser, TcpProgress
from inband.vocabulary.addresses import IpAddress

# struct tcp_info (linux/tcp.h): eight single bytes, the third is retransmits, then words, the fifth is unacked and the
# 24th total_retrans, then two of 64 bits, and bytes_acked.
_TCP_INFO = struct.Struct("=2xB5x16xI72xI16xQ")
# How long TLS may take from the first byte to the last of its handshake.
HANDSHAKE_S = 5.0


class SocketStream(asyncio.Protocol):
    """One stream: asyncio's protocol on one side, ``Transport`` on the other.

    ``peer_name`` is what the certificate of a TLS peer must be for (``runtime.peer_names``).
    """

    def __init__(self, user: StreamUser, clock: TlsClock, peer_name: str | None = None) -> None:
        self.peer = ""
        self._user = user
        self._clock = clock
        self._peer_name = peer_name
        self._is_refused = False
        self._seen = (0, 0)
        self._transport: asyncio.Transport | None = None

    # --- asyncio.Protocol -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tell the user."""
        self._transport = cast(asyncio.Transport, transport)
        self.peer = _peer_text(self._transport)
        sock = self._socket()
        if sock is not None:
            mark_as_control(sock)
            send_at_once(sock)
        tls = transport.get_extra_info("ssl_object")
        wrong = None if tls is None else self._clock.complaint(tls)
        if wrong is None and self._peer_name is not None and tls is not None:
            wrong = complaint(self._peer_name, tls)
        if wrong is not None:
            self._is_refused = True
            self._transport.abort()
            self._user.closed(wrong)
            return
        self._user.opened(self)

    def data_received(self, data: bytes) -> None:
        """Hand bytes up."""
        if not self._is_refused:
            self._user.received(data)

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._user.set_writable(False)

    def resume_writing(self) -> None:
        """The socket takes more.

        The user writes at once; the transport, which is in the middle of writing, would not survive a reset then.
        """
        asyncio.get_running_loop().call_soon(self._resume_user)

    def _resume_user(self) -> None:
        if self._transport is not None:
            self._user.set_writable(True)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the user, once."""
        self._transport = None
        if not self._is_refused:
            self._user.closed("the peer closed the connection" if error is None else reason_of(error))

    # --- Transport --------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """As ``Transport.write``; what is written after the end is lost."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def set_reading(self, wanted: bool) -> None:
        """As ``Transport.set_reading``."""
        transport = self._transport
        if transport is not None and not transport.is_closing() and transport.is_reading() != wanted:
            (transport.resume_reading if wanted else transport.pause_reading)()

    def close(self) -> None:
        """As ``Transport.close``."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """As ``Transport.abort``."""
        if self._transport is not None:
            self._transport.abort()

    def progress(self) -> TcpProgress | None:
        """As ``Transport.progress``: TCP_INFO."""
        sock = self._socket()
        if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        try:
            retransmits, unacknowledged, resent, acknowledged = _TCP_INFO.unpack_from(
                sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
            )
        except OSError:
            return None
        # What TCP sends again first, before its timer (a loss probe, RFC 8985, 7), counts as no retransmission there.
        # It does so for little, so it counts only while nothing is acknowledged.
        before, self._seen = self._seen, (resent, acknowledged)
        probes = resent - before[0] if acknowledged == before[1] else 0
        return TcpProgress(unacknowledged, max(retransmits, probes))

    def _socket(self) -> socket.socket | None:
        if self._transport is None:
            return None
        found: socket.socket | None = self._transport.get_extra_info("socket")
        return found


class SocketConnecting:
    """A connection that is being made, or that waits to be used: a task, and what it has come to."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.sock: socket.socket | None = None

    def cancel(self) -> None:
        """As ``Connecting.cancel``."""
        if self.task is not None:
            self.task.cancel()
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class SocketNetwork:
    """Makes connections by sockets (``switch.transport.Network``); ``contexts`` is for targets that use TLS."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: TlsClock) -> None:
        self.contexts: Mapping[Target, ssl.SSLContext] = {}
        self._loop = loop
        self._clock = clock

    def connect(self, target: Target, address: IpAddress | None, user: ConnectUser) -> SocketConnecting:
        """As ``Network.connect``."""
        connecting = SocketConnecting()
        connecting.task = self._loop.create_task(self._connect(connecting, target, address, user))
        return connecting

    def open(self, connecting: Connecting, target: Target, user: StreamUser) -> None:
        """As ``Network.open``."""
        assert isinstance(connecting, SocketConnecting)
        connecting.task = self._loop.create_task(self._open(connecting, target, user))

    async def _connect(
        self, connecting: SocketConnecting, target: Target, address: IpAddress | None, user: ConnectUser
    ) -> None:
        try:
            if address is None:
                connecting.sock = await connect_unix(self._loop, target.path)
            else:
                connecting.sock = await connect(self._loop, address, target.port)
        except OSError as error:
            user.failed(address, reason_of(error))
        else:
            user.connected(address)

    async def _open(self, connecting: SocketConnecting, target: Target, user: StreamUser) -> None:
        sock, connecting.sock = connecting.sock, None
        context = self.contexts.get(target)
        if context is not None:
            self._clock.prepare(context)
        try:
            await self._loop.create_connection(
                lambda: SocketStream(user, self._clock, target.peer_name),
                sock=sock,
                ssl=context,
                # Said, so that a peer with many names knows which is meant, and not checked: that is peer-name's.
                server_hostname=None if context is None else target.name or "",
                ssl_handshake_timeout=None if context is None else HANDSHAKE_S,
            )
        except OSError as error:  # ssl.SSLError and ConnectionAbortedError are such
            error.__traceback__ = None  # a cycle with all that was tried: as in ``runtime.listening``
            user.closed(reason_of(error))


def reason_of(error: Exception) -> str:
    """An error in the words people search for."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate was refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, OSError):
        # EEXIST is ours, and the numbers of gaierror are not the kernel's.
        if error.errno == errno.EEXIST or isinstance(error, socket.gaierror):
            return error.strerror or str(error)
        return kernel_words(error)
    return str(error) or type(error).__name__


def _peer_text(transport: asyncio.Transport) -> str:
    """Who is at the other end, for people."""
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple):
        host = f"[{name[0]}]" if ":" in str(name[0]) else name[0]
        return f"{host}:{name[1]}"
    return str(name) if name else "unix"
