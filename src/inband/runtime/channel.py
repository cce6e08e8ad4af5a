"""One OpenFlow connection on a socket: asyncio outside, ``openflow.session`` inside.

It moves bytes, keeps one timer, and watches TCP for the first sign that the path is broken: data of ours that the
kernel had to send again. That shows within a fraction of a second what an inactivity probe shows in ten, and costs
nothing while nothing is sent.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol, cast

from inband.openflow.messages import Envelope
from inband.openflow.session import Notice, Session, SessionConfig

# Twice a LAN's worst round trip, and above Linux's shortest retransmission timeout (200 ms), so that one lost segment
# is seen as soon as the kernel itself has noticed it.
ACK_CHECK_S = 0.25
# struct tcp_info (linux/tcp.h): eight single bytes, the third is retransmits, then words, the fifth is unacked.
_TCP_INFO = struct.Struct("=2xB5x4x4x4x4xI")
# DSCP CS6, network control (RFC 4594, 3.2), as Open vSwitch marks its control traffic.
CONTROL_TOS = 0xC0


class ChannelUser(Protocol):
    """Who gets what a channel hears."""

    def negotiated(self, channel: Channel) -> None:
        """A version was agreed on."""

    def received(self, channel: Channel, envelopes: list[Envelope]) -> None:
        """Messages to act on."""

    def noticed(self, channel: Channel, notice: Notice) -> None:
        """The session found out something about the peer's silence."""

    def silent(self, channel: Channel, *, is_silent: bool) -> None:
        """What we sent is not being acknowledged (or is again)."""

    def closed(self, channel: Channel, reason: str) -> None:
        """The connection is over. Called once for every channel that was connected."""


class Channel(asyncio.Protocol):
    """A connection from the moment it is made. ``number`` identifies it to the agent."""

    _last_number = 0

    def __init__(self, user: ChannelUser, config: SessionConfig, loop: asyncio.AbstractEventLoop) -> None:
        Channel._last_number += 1
        self.number = Channel._last_number
        self.session = Session(loop.time(), config)
        self.peer = ""
        self._user = user
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ack_timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._is_silent = False
        self._was_negotiated = False

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say HELLO."""
        self._transport = cast(asyncio.Transport, transport)
        self.peer = peer_text(self._transport)
        sock = self._socket()
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            mark_as_control(sock)
        self.flush()
        self._plan()

    def data_received(self, data: bytes) -> None:
        """Feed the session and hand up what it read."""
        envelopes = self.session.receive(data, self._loop.time())
        if not self._was_negotiated and self.session.is_negotiated:
            self._was_negotiated = True
            self._user.negotiated(self)
        if envelopes:
            self._user.received(self, envelopes)
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the user, once."""
        for timer in (self._timer, self._ack_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._ack_timer = None
        if self._transport is not None:
            self._transport = None
            self._user.closed(self, self.session.closing or _reason(error))

    def pause_writing(self) -> None:
        """The socket's buffer is full: leave the rest in the session, where packet-ins can be dropped."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self._is_paused = False
        self.flush()

    # --- for the user -------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what the session has, close when it says so, stop or go on reading as it wants."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        while self.session.has_output and not self._is_paused:
            transport.write(self.session.take_output())
            self._watch_acknowledgements()
        if self.session.closing is not None:
            transport.close()
        elif self.session.wants_input != transport.is_reading():
            (transport.resume_reading if self.session.wants_input else transport.pause_reading)()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._transport is not None

    def close(self) -> None:
        """Hang up at once; ``closed`` is reported."""
        if self._transport is not None:
            self._transport.abort()

    # --- timers -------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        due = self.session.next_deadline()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        for notice in self.session.run(self._loop.time()):
            self._user.noticed(self, notice)
        self.flush()
        self._plan()

    def _watch_acknowledgements(self) -> None:
        if self._ack_timer is None and self._transport is not None:
            self._ack_timer = self._loop.call_later(ACK_CHECK_S, self._check_acknowledgements)

    def _check_acknowledgements(self) -> None:
        self._ack_timer = None
        sock = self._socket()
        if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
            return
        try:
            retransmits, unacknowledged = _TCP_INFO.unpack_from(
                sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            )
        except OSError:
            return
        is_silent = bool(unacknowledged and retransmits)
        if is_silent != self._is_silent:
            self._is_silent = is_silent
            self._user.silent(self, is_silent=is_silent)
        if unacknowledged:
            self._watch_acknowledgements()

    def _socket(self) -> socket.socket | None:
        if self._transport is None:
            return None
        found: socket.socket | None = self._transport.get_extra_info("socket")
        return found


def mark_as_control(sock: socket.socket) -> None:
    """Mark a connection's packets as network control; a kernel that will not is no reason to go without."""
    try:
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, CONTROL_TOS)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, CONTROL_TOS)
    except OSError:
        return


def peer_text(transport: asyncio.Transport) -> str:
    """Who is at the other end, for people."""
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple):
        host = f"[{name[0]}]" if ":" in str(name[0]) else name[0]
        return f"{host}:{name[1]}"
    return str(name) if name else "unix"


def _reason(error: Exception | None) -> str:
    if error is None:
        return "the peer closed the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
