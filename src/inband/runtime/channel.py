"""One OpenFlow connection on a socket: asyncio outside, ``openflow.session`` inside.

It moves bytes, keeps one timer, and watches TCP for the first sign that the path is broken: data of ours that the
kernel had to send again. That shows within a fraction of a second what an inactivity probe shows in ten, and costs
nothing while nothing is sent.

What must stay true: a peer gets a few milliseconds at a time, however much it sends at once, and nothing of its own is
read while what it sent before is not carried out; so one busy or hostile peer delays others by that much and no more.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections import deque
from typing import Protocol, cast

from inband.openflow.messages import Envelope
from inband.openflow.session import Notice, Session, SessionConfig

# Twice a LAN's worst round trip, and above Linux's shortest retransmission timeout (200 ms), so that one lost segment
# is seen as soon as the kernel itself has noticed it.
ACK_CHECK_S = 0.25
# struct tcp_info (linux/tcp.h): eight single bytes, the third is retransmits, then words, the fifth is unacked.
_TCP_INFO = struct.Struct("=2xB5x4x4x4x4xI")
# One turn of a peer that sent much: messages between two looks at the clock, and the time after which others are due.
MESSAGES_AT_ONCE = 16
TURN_S = 0.005
# How long a peer may take to read our last words (an ERROR that says why) before the connection is cut.
LAST_WORDS_S = 1.0
# DSCP CS6, network control (RFC 4594, 3.2), as Open vSwitch marks its control traffic.
CONTROL_TOS = 0xC0


class ChannelUser(Protocol):
    """Who gets what a channel hears."""

    def negotiated(self, channel: Channel) -> None:
        """A version was agreed on."""

    def heard(self, channel: Channel) -> None:
        """The peer said something, if only an answer to a probe."""

    def received(self, channel: Channel, envelopes: list[Envelope]) -> None:
        """Messages to act on."""

    def writable(self, channel: Channel) -> None:
        """The peer has read what waited for it."""

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
        self._cut_timer: asyncio.TimerHandle | None = None
        self._inbox: deque[Envelope] = deque()
        self._next_turn: asyncio.Handle | None = None
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
        self._inbox += self.session.receive(data, self._loop.time())
        self._user.heard(self)
        due = self.session.next_deadline()
        if self._timer is None or (due is not None and due < self._timer.when()):
            self._plan()
        if not self._was_negotiated and self.session.is_negotiated:
            self._was_negotiated = True
            self._user.negotiated(self)
        if not self._was_negotiated:
            self._inbox.clear()  # a HELLO and then rubbish: nobody we know
        self._take_turn()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the user, once."""
        for handle in (self._timer, self._ack_timer, self._cut_timer, self._next_turn):
            if handle is not None:
                handle.cancel()
        self._timer = self._ack_timer = self._cut_timer = self._next_turn = None
        self._inbox.clear()
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
        self._user.writable(self)

    # --- turns -------------------------------------------------------------------------------------------------------

    def _take_turn(self) -> None:
        """Hand up messages for a few milliseconds, then let others have their turn."""
        self._next_turn = None
        end = self._loop.time() + TURN_S
        while self._inbox and self._transport is not None and not self.session.has_backlog:
            portion = [self._inbox.popleft() for _ in range(min(len(self._inbox), MESSAGES_AT_ONCE))]
            self._user.received(self, portion)
            if self._loop.time() >= end:
                break
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
        if self.session.closing is not None and self.session.has_backlog:
            self._inbox.clear()  # it reads no answers: what it asked meanwhile is not answered
        if self.session.closing is not None and not self._inbox:
            transport.close()
            self._cut_timer = self._loop.call_later(LAST_WORDS_S, transport.abort)
            return
        if self._inbox and self._next_turn is None and not self.session.has_backlog:
            self._next_turn = self._loop.call_soon(self._take_turn)
        wants_input = self.session.wants_input and not self._inbox
        if wants_input != transport.is_reading():
            (transport.resume_reading if wants_input else transport.pause_reading)()

    def configure(self, config: SessionConfig) -> None:
        """Probe, and bound what waits, as ``config`` says from now on; versions are those of the next connection."""
        self.session.config = config
        self._plan()

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
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
