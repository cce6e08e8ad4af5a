"""A controller that the switch dials: one connection to its target, kept as well as it goes.

When to dial is decided by ``openflow.reconnect``, which of its addresses by ``switch.attempt``; this joins them. A
target with a name is not dialled before the name has an address.

Invariants: attempts or one channel at a time; an attempt that was given up never becomes a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, assert_never

from inband.openflow.reconnect import Command, Dial, DialAgain, Event, HangUp, Reconnect, State
from inband.switch.attempt import Attempt, in_dialling_order
from inband.switch.channel import Channel
from inband.switch.targets import Scheme, Target
from inband.switch.transport import Connecting, Network
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant, earliest


class OutgoingUser(Protocol):
    """Who keeps the connections: the connection manager."""

    def channel_for(self, owner: OutgoingConnection) -> Channel:
        """A channel for the stream that is about to be opened."""

    def forget(self, channel: Channel) -> None:
        """Its stream will not be opened."""

    def follow(self, connection: OutgoingConnection) -> None:
        """Its state, and its next deadline, may be another one."""


class OutgoingConnection:
    """Keeps one connection to a target."""

    def __init__(
        self,
        target: Target,
        network: Network,
        user: OutgoingUser,
        clock: Callable[[], Instant],
        *,
        max_backoff_s: float,
    ) -> None:
        self.target = target
        self.addresses: tuple[IpAddress, ...] = () if target.address is None else (target.address,)
        self.reconnect = Reconnect(max_backoff_s=max_backoff_s)
        self.channel: Channel | None = None
        self._network = network
        self._user = user
        self._clock = clock
        self._is_started = False
        self._last_good: IpAddress | None = None
        self._failures: dict[IpAddress | None, str] = {}
        self._attempts: list[Attempt] = []
        self._opening: tuple[Connecting, Channel] | None = None

    # --- configuration ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Dial now and whenever the connection is gone."""
        self._is_started = True
        if self.addresses or self.target.is_unix:
            self._tell(Event.ENABLED)

    def stop(self) -> None:
        """Hang up and stay away."""
        self._is_started = False
        self._tell(Event.DISABLED)

    def set_addresses(self, addresses: tuple[IpAddress, ...]) -> None:
        """Where the target is, as far as is known: what comes is dialled at once unless there is a connection."""
        new = set(addresses) - set(self.addresses)
        self.addresses = addresses
        if self._is_started and new:
            self._tell(Event.ENABLED if self.reconnect.state is State.VOID else Event.NETWORK_CHANGED)

    def configure(self, max_backoff_s: float) -> None:
        """What holds for the next attempts; the present connection is not touched."""
        self.reconnect.max_backoff_s = max_backoff_s

    # --- what people and others ask ---------------------------------------------------------------------------------

    @property
    def address(self) -> IpAddress | None:
        """Where the connection goes to, or the last one went, or the next one may."""
        return self._last_good or next(iter(self.addresses), None)

    @property
    def is_connected(self) -> bool:
        """Whether a version was agreed on and the connection is up."""
        return self.reconnect.is_connected

    def ways(self) -> Iterator[tuple[IpAddress, bool | None]]:
        """Each address, and whether the connection is up to there; None: it is not wanted."""
        for address in self.addresses:
            yield address, self.is_connected and address == self.address if self._is_started else None

    @property
    def is_failing(self) -> bool:
        """Whether it was dialled in vain and there is no connection."""
        return self.reconnect.backoff_s > 0 and not self.is_connected

    @property
    def failures(self) -> dict[IpAddress, str]:
        """Why each address could not be reached the last time."""
        return {address: reason for address, reason in self._failures.items() if address is not None}

    # --- what happens -----------------------------------------------------------------------------------------------

    def network_changed(self) -> None:
        """Something on the way got better: do not wait."""
        self._tell(Event.NETWORK_CHANGED)

    def opened(self, channel: Channel) -> None:
        """The stream is there."""
        self._opening = None
        self.channel = channel
        self._tell(Event.CONNECTED)

    def negotiated(self) -> None:
        """The channel's session agreed on a version."""
        self._tell(Event.NEGOTIATED)

    def idle(self) -> None:
        """The channel's session probes its peer."""
        self._tell(Event.WENT_IDLE)

    def heard(self) -> None:
        """The peer said something."""
        if self.reconnect.state is State.IDLE:
            self._tell(Event.HEARD)

    def closed(self, channel: Channel | None, reason: str) -> None:
        """The stream is over (``channel``), or could not be opened (None); one that was given up does not count."""
        if channel is None:
            if self._opening is not None:
                self._opening = None
                self._tell(Event.FAILED, reason)
        elif channel is self.channel:
            self.channel = None
            self._tell(Event.DISCONNECTED, reason)

    # --- time -------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        trying = (attempt.next_deadline() for attempt in self._attempts)
        return earliest(self.reconnect.next_deadline(), *trying)

    def run(self) -> None:
        """Dial, give up, or try the next address."""
        for attempt in tuple(self._attempts):
            attempt.run()
        self._obey(self.reconnect.run(self._clock()))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _tell(self, event: Event, reason: str = "") -> None:
        self._obey(self.reconnect.handle(event, self._clock(), reason))

    def _obey(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Dial():
                    self._dial()
                case DialAgain():
                    if self._attempts:  # else one has answered, and TLS is under way
                        self._dial()
                case HangUp():
                    self._hang_up()
                case _:
                    assert_never(command)
        self._user.follow(self)

    def _dial(self) -> None:
        is_unix = self.target.scheme is Scheme.UNIX
        places = (None,) if is_unix else in_dialling_order(self.addresses, self._last_good)
        if not places:
            self._tell(Event.FAILED, f"no address of {self.target.name} is known")
            return
        attempt = Attempt(
            self._network, self._clock, self.target, places, self._answered, lambda: self._in_vain(attempt)
        )
        self._attempts.append(attempt)
        attempt.start()

    def _answered(self, address: IpAddress | None, connecting: Connecting) -> None:
        self._cancel_attempts()
        self._last_good, self._failures = address, {}
        channel = self._user.channel_for(self)
        self._opening = connecting, channel
        self._network.open(connecting, self.target, channel)
        self._user.follow(self)

    def _in_vain(self, attempt: Attempt) -> None:
        self._failures = attempt.failures
        self._cancel_attempts()  # what one was told would be said to the others
        reasons = [reason if address is None else f"{address}: {reason}" for address, reason in self._failures.items()]
        self._tell(Event.FAILED, "; ".join(reasons) if len(reasons) > 1 else next(iter(self._failures.values())))

    def _hang_up(self) -> None:
        if self._attempts:
            self._failures = {}  # what was said before this attempt, which had no answer
        self._cancel_attempts()
        if self._opening is not None:
            (connecting, channel), self._opening = self._opening, None
            connecting.cancel()
            self._user.forget(channel)
        if self.channel is not None:
            channel, self.channel = self.channel, None
            channel.abort()

    def _cancel_attempts(self) -> None:
        for attempt in self._attempts:
            attempt.cancel()
        self._attempts.clear()
