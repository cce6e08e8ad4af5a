"""Who connects: one dialler per controller that the switch calls, one listener per place where it is called.

When to dial is decided by ``openflow.reconnect``; this carries it out. An attempt that was given up is cancelled, so a
late answer to it cannot become a second connection. A target with a name is dialled at all the addresses that the name
has (``runtime.connecting``), and not before it has one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

from inband.errors import HostError
from inband.openflow.reconnect import Command, Dial, Event, HangUp, Reconnect, State
from inband.runtime.channel import Channel
from inband.runtime.connecting import UnreachableError, connect_first, in_dialling_order, kernel_words
from inband.runtime.targets import Scheme, Target
from inband.vocabulary.addresses import IpAddress

log = logging.getLogger(__name__)

# As many clients as the control socket takes. Each costs a descriptor, and the channel to the controller needs one too.
MAX_CHANNELS = 64

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
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """``changed`` is called whenever the connection's state may have."""
        self.target = target
        self.addresses: tuple[IpAddress, ...] = () if target.address is None else (target.address,)
        self.failures: dict[IpAddress, str] = {}
        self.reconnect = Reconnect(max_backoff_s=max_backoff_s)
        self.channel: Channel | None = None
        self._make_channel = make_channel
        self._loop = loop
        self._tls = tls
        self._changed = changed
        self._is_started = False
        self._last_good: IpAddress | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Dial now and whenever the connection is gone."""
        self._is_started = True
        if self.addresses or self.target.is_unix:
            self._tell(Event.ENABLED)

    def stop(self) -> None:
        """Hang up and stay away."""
        self._is_started = False
        self._tell(Event.DISABLED)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def set_addresses(self, addresses: tuple[IpAddress, ...]) -> None:
        """Where the target is, as far as is known: what comes is dialled at once unless there is a connection."""
        new = set(addresses) - set(self.addresses)
        self.addresses = addresses
        if not (self._is_started and new):
            return
        self._tell(Event.ENABLED if self.reconnect.state is State.VOID else Event.NETWORK_CHANGED)

    @property
    def address(self) -> IpAddress | None:
        """Where the connection goes to, or the last one that stood did, or the next one may."""
        return self._last_good or next(iter(self.addresses), None)

    @property
    def is_failing(self) -> bool:
        """Whether it was dialled in vain and there is no connection."""
        return self.reconnect.backoff_s > 0 and not self.reconnect.is_connected

    def configure(self, max_backoff_s: float, tls: ssl.SSLContext | None) -> None:
        """What holds for the next attempts; the connection that stands is not touched."""
        self.reconnect.max_backoff_s = max_backoff_s
        self._tls = tls

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

    def lost(self, channel: Channel, reason: str) -> None:
        """A channel is closed; one that was given up before does not count."""
        if channel is not self.channel:
            return
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
        self._changed()
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
        self.failures = {}
        order = in_dialling_order(self.addresses, self._last_good)
        try:
            self._last_good, sock = await connect_first(self._loop, order, target.port)
        except UnreachableError as error:
            self.failures = {address: reason_of(reason) for address, reason in error.failures.items()}
            raise
        name = None if self._tls is None else ""  # nothing to check: names of peers are not
        _, channel = await self._loop.create_connection(
            lambda: self._make_channel(self), sock=sock, ssl=self._tls, server_hostname=name
        )
        return channel


class Listener:
    """Accepts connections at one place."""

    def __init__(self, target: Target, make_channel: MakeChannel, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.channels: set[Channel] = set()
        self.turned_away = 0
        self._make_channel = make_channel
        self._tls = tls
        self._server: asyncio.AbstractServer | None = None

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen; raises HostError when the place is taken or not allowed."""
        target = self.target
        try:
            if target.scheme is Scheme.PUNIX:
                _remove_dead_socket(Path(target.path))
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
            if self.target.scheme is Scheme.PUNIX:  # else it is somebody else's, or was never made
                Path(self.target.path).unlink(missing_ok=True)
        for channel in list(self.channels):
            channel.close()

    def _accepted(self) -> asyncio.Protocol:
        if len(self.channels) >= MAX_CHANNELS:
            self.turned_away += 1
            log.warning("%s has %d connections already: another one was turned away", self.target, MAX_CHANNELS)
            return _TurnAway()
        channel = self._make_channel(self)
        self.channels.add(channel)
        return channel


class _TurnAway(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hang up."""
        transport.close()


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
    raise OSError(errno.EADDRINUSE, "somebody listens there already")


def reason_of(error: OSError) -> str:
    """An error in the words people search for."""
    if isinstance(error, UnreachableError) and len(error.failures) > 1:
        return "; ".join(f"{address}: {reason_of(reason)}" for address, reason in error.failures.items())
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate was refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if error.errno == errno.EEXIST or isinstance(error, socket.gaierror):  # its numbers are not the kernel's
        return error.strerror or str(error)
    return kernel_words(error)
