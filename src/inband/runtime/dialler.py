"""Who connects: one dialler per controller that the switch calls, one listener per place where it is called.

When to dial is decided by ``openflow.reconnect``; this carries it out. An attempt that was given up is cancelled, so a
late answer to it cannot become a second connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable
from pathlib import Path

from inband.errors import HostError
from inband.openflow.reconnect import Command, Dial, Event, HangUp, Reconnect, State
from inband.runtime.channel import Channel
from inband.runtime.targets import Scheme, Target

MakeChannel = Callable[["Dialler | Listener"], Channel]


class Dialler:
    """Keeps one connection to a target, as well as it goes."""

    def __init__(
        self,
        target: Target,
        make_channel: MakeChannel,
        loop: asyncio.AbstractEventLoop,
        *,
        max_backoff_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.target = target
        self.reconnect = Reconnect(max_backoff_s=max_backoff_s)
        self.channel: Channel | None = None
        self._make_channel = make_channel
        self._loop = loop
        self._tls = tls
        self._attempt: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Dial now and whenever the connection is gone."""
        self._tell(Event.ENABLED)

    def stop(self) -> None:
        """Hang up and stay away."""
        self._tell(Event.DISABLED)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def network_changed(self) -> None:
        """Something on the way got better: do not wait."""
        self._tell(Event.NETWORK_CHANGED)

    def negotiated(self) -> None:
        """The channel's session agreed on a version (which it may do before the attempt's task hears of it)."""
        if self.channel is not None:
            self._tell(Event.NEGOTIATED)

    def idle(self) -> None:
        """The channel's session probes its peer."""
        self._tell(Event.WENT_IDLE)

    def heard(self) -> None:
        """The peer said something."""
        if self.reconnect.state is State.IDLE:
            self._tell(Event.HEARD)

    def lost(self, reason: str) -> None:
        """The channel is closed."""
        self.channel = None
        if self.reconnect.state in (State.NEGOTIATING, State.ACTIVE, State.IDLE):
            self._tell(Event.DISCONNECTED, reason)

    # --- carrying out -------------------------------------------------------------------------------------------

    def _tell(self, event: Event, reason: str = "") -> None:
        self._obey(self.reconnect.handle(event, self._loop.time(), reason))

    def _obey(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Dial():
                    self._attempt = self._loop.create_task(self._dial())
                case HangUp():
                    self._hang_up()
        self._plan()

    def _hang_up(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        if self.channel is not None:
            channel, self.channel = self.channel, None
            channel.close()

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.reconnect.next_deadline()
        self._timer = None if due is None else self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._obey(self.reconnect.run(self._loop.time()))

    async def _dial(self) -> None:
        task = asyncio.current_task()
        try:
            channel = await self._connect()
        except asyncio.CancelledError:
            return
        except OSError as error:  # ssl.SSLError is one too
            if self._attempt is task:
                self._attempt = None
                self._tell(Event.FAILED, reason_of(error))
            return
        if self._attempt is not task:
            channel.close()
            return
        self._attempt = None
        if not channel.is_open:
            self._tell(Event.FAILED, "the peer closed the connection at once")
            return
        self.channel = channel
        self._tell(Event.CONNECTED)
        if channel.session.is_negotiated:
            self.negotiated()

    async def _connect(self) -> Channel:
        target = self.target
        if target.scheme is Scheme.UNIX:
            _, channel = await self._loop.create_unix_connection(lambda: self._make_channel(self), target.path)
            return channel
        _, channel = await self._loop.create_connection(
            lambda: self._make_channel(self), str(target.address), target.port, ssl=self._tls
        )
        return channel


class Listener:
    """Accepts connections at one place."""

    def __init__(self, target: Target, make_channel: MakeChannel, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.channels: set[Channel] = set()
        self._make_channel = make_channel
        self._tls = tls
        self._server: asyncio.AbstractServer | None = None

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen; raises HostError when the place is taken or not allowed."""
        target = self.target
        try:
            if target.scheme is Scheme.PUNIX:
                # A file left over by a dead process would be "address in use" for ever.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(target.path)
                self._server = await loop.create_unix_server(self._accepted, target.path)
            else:
                host = None if target.address is None else str(target.address)
                self._server = await loop.create_server(
                    self._accepted, host, target.port, ssl=self._tls, reuse_address=True
                )
        except OSError as error:
            raise HostError(
                f"listen at {target}",
                f"{reason_of(error)}: choose another place, or stop who has it",
                errno=error.errno or 0,
            ) from None

    def stop(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for channel in list(self.channels):
            channel.close()
        if self.target.scheme is Scheme.PUNIX:
            Path(self.target.path).unlink(missing_ok=True)

    def _accepted(self) -> Channel:
        channel = self._make_channel(self)
        self.channels.add(channel)
        return channel


def reason_of(error: OSError) -> str:
    """An error in the words people search for."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate was refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    # asyncio puts a sentence of its own in strerror; the kernel's words are those that people know.
    return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
