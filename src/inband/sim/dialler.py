"""One control channel of a simulated switch: when to dial (Reconnect), the connection (TCP), the session on it.

The same parts in the same order as the switch process joins them with sockets; only the clock and the TCP are others.
So what is found out here about coming up, silence and loss holds there.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Protocol

from inband.openflow.messages import Envelope
from inband.openflow.reconnect import Command, Dial, Event, HangUp, Reconnect, State
from inband.openflow.session import Notice, Session, SessionConfig
from inband.sim.clock import Timer, VirtualClock
from inband.sim.tcp import Connection
from inband.sim.tcp_host import TcpHost

# As in the switch process: twice a LAN's worst round trip, above the shortest retransmission timeout.
ACK_CHECK_S = 0.25


class DiallerUser(Protocol):
    """Who gets what a channel hears: the bridge's runner."""

    def negotiated(self, dialler: Dialler, version: int) -> None:
        """A version was agreed on."""

    def received(self, dialler: Dialler, envelopes: list[Envelope]) -> None:
        """Messages to carry out."""

    def silent(self, dialler: Dialler, *, is_silent: bool) -> None:
        """What was sent is not being acknowledged, or is again."""

    def closed(self, dialler: Dialler) -> None:
        """A connection on which a version had been agreed on is over."""


class Dialler:
    """Keeps one connection to (address, port), as well as it goes. ``number`` identifies it to the agent."""

    def __init__(
        self,
        number: int,
        target: tuple[IPv4Address, int],
        user: DiallerUser,
        tcp: TcpHost,
        clock: VirtualClock,
        config: SessionConfig,
    ) -> None:
        self.number = number
        self.target = target
        self.reconnect = Reconnect()
        self._user = user
        self._tcp = tcp
        self._clock = clock
        self._config = config
        self._connection: Connection | None = None
        self._session: Session | None = None
        self._was_negotiated = False
        self._is_silent = False
        self._timer: Timer | None = None
        self._ack_timer: Timer | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the channel stands."""
        return self.reconnect.is_connected

    def start(self) -> None:
        """Dial now and whenever the connection is gone."""
        self._tell(Event.ENABLED)

    def stop(self) -> None:
        """Hang up and stay away."""
        self._tell(Event.DISABLED)
        self._cancel_timers()

    def network_changed(self) -> None:
        """Something on the way got better: do not wait."""
        self._tell(Event.NETWORK_CHANGED)

    def send(self, envelope: Envelope, *, is_droppable: bool) -> None:
        """Queue a message; ``flush`` writes it."""
        if self._session is not None:
            self._session.send(envelope, is_droppable=is_droppable)

    def flush(self) -> None:
        """Write what the session has, and close when it says so."""
        session, connection = self._session, self._connection
        if session is None or connection is None:
            return
        while session.has_output:
            self._tcp.send(connection, session.take_output())
            self._watch_acknowledgements()
        if session.closing is not None:
            self._tcp.abort(connection)
            self.closed(session.closing)

    # --- sim.tcp.ConnectionUser ---------------------------------------------------------------------------------

    def opened(self) -> None:
        """TCP is up: say HELLO."""
        self._session = Session(self._clock.now, self._config)
        self._was_negotiated = False
        self._tell(Event.CONNECTED)
        self.flush()

    def received(self, data: bytes) -> None:
        """Feed the session and hand up what it read."""
        session = self._session
        if session is None:
            return
        envelopes = session.receive(data, self._clock.now)
        if session.is_negotiated and not self._was_negotiated and session.version is not None:
            self._was_negotiated = True
            self._tell(Event.NEGOTIATED)
            self._user.negotiated(self, session.version)
        if self.reconnect.state is State.IDLE:
            self._tell(Event.HEARD)
        if envelopes:
            self._user.received(self, envelopes)
        self.flush()
        self._plan()

    def closed(self, reason: str) -> None:
        """The connection, or the attempt, is over."""
        was_negotiated = self._forget_connection()
        if self.reconnect.state is State.CONNECTING:
            self._tell(Event.FAILED, reason)
        else:
            self._tell(Event.DISCONNECTED, reason)
        if was_negotiated:
            self._user.closed(self)

    # --- carrying out -------------------------------------------------------------------------------------------

    def _tell(self, event: Event, reason: str = "") -> None:
        self._obey(self.reconnect.handle(event, self._clock.now, reason))

    def _obey(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Dial():
                    self._dial()
                case HangUp():
                    self._hang_up()
        self._plan()

    def _dial(self) -> None:
        address, port = self.target
        self._connection = self._tcp.connect(address, port, self)
        if self._connection is None:
            # Later, as a socket says it: the state machine is in the middle of its step.
            self._clock.call_soon(self._unreachable)

    def _unreachable(self) -> None:
        if self.reconnect.state is State.CONNECTING and self._connection is None:
            self._tell(Event.FAILED, "network is unreachable")

    def _hang_up(self) -> None:
        connection = self._connection
        was_negotiated = self._forget_connection()
        if connection is not None:
            self._tcp.abort(connection)
        if was_negotiated:
            self._user.closed(self)

    def _forget_connection(self) -> bool:
        was_negotiated = self._was_negotiated
        self._connection = self._session = None
        self._was_negotiated = False
        return was_negotiated

    # --- time ---------------------------------------------------------------------------------------------------

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._ack_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._ack_timer = None

    def _plan(self) -> None:
        session_due = self._session.next_deadline() if self._session is not None else None
        due = min((d for d in (session_due, self.reconnect.next_deadline()) if d is not None), default=None)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else self._clock.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        if self._session is not None:
            for notice in self._session.run(self._clock.now):
                if notice is Notice.PROBED:
                    self._tell(Event.WENT_IDLE)
            self.flush()
        self._obey(self.reconnect.run(self._clock.now))

    def _watch_acknowledgements(self) -> None:
        if self._ack_timer is None:
            self._ack_timer = self._clock.call_later(ACK_CHECK_S, self._check_acknowledgements)

    def _check_acknowledgements(self) -> None:
        self._ack_timer = None
        connection = self._connection
        if connection is None:
            return
        is_silent = connection.has_unacknowledged and connection.retries > 0
        if is_silent != self._is_silent:
            self._is_silent = is_silent
            self._user.silent(self, is_silent=is_silent)
        if connection.has_unacknowledged:
            self._watch_acknowledgements()
