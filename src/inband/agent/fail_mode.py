"""Who decides about data traffic while no controller does (docs/in-band.md, "Fail modes"), sans-IO.

*Secure*: none; only what is in the tables counts. *Standalone*: after three probe intervals without a controller the
switch forwards as a learning switch until one is back. One is back when it has shown that it manages the switch
(FLOW_MOD, GROUP_MOD, a role, PACKET_OUT) or has stayed for STAYING_S, not at its HELLO; and a session that did neither
does not restart the patience. So a controller that crashes every second costs no data traffic. While one is connected
the switch does not begin to forward by itself. A
bridge without any controller configured is a learning switch at once, by an ordinary flow (priority 0, NORMAL) that
people see and may delete, as with Open vSwitch, unless its fail mode is secure.

This machine knows which of three policies is wanted; the commands are the difference to the one in force, the new one
first, so that there is no moment without either. It touches no flow of in-band control or of a controller.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from inband.vocabulary.instant import Instant

PROBE_INTERVALS = 3
"""Silence in probe intervals that makes a switch forward by itself: the same number as Open vSwitch's."""


STAYING_S = 30.0
"""A controller that has nothing to say and stays this long is one: its flows may be there from an earlier session."""


class Forwarding(Enum):
    """Who decides about data traffic; the values are those of ``inband show --json``."""

    SECURE = "secure"
    STANDALONE = "standalone"
    CONTROLLER = "controller"


class FailModeCommand(Enum):
    """What the bridge has to do.

    STANDALONE is a hidden flow below in-band control's and above every controller's; DEFAULT_FLOW is a visible flow
    of priority 0 in table 0. Both say NORMAL.
    """

    ENTER_STANDALONE = "enter standalone"
    LEAVE_STANDALONE = "leave standalone"
    ADD_DEFAULT_FLOW = "add default flow"
    REMOVE_DEFAULT_FLOW = "remove default flow"


class _Policy(Enum):
    FLOWS = 0  # what the tables say
    STANDALONE = 1
    DEFAULT_FLOW = 2


_ENTER = {
    _Policy.FLOWS: (),
    _Policy.STANDALONE: (FailModeCommand.ENTER_STANDALONE,),
    _Policy.DEFAULT_FLOW: (FailModeCommand.ADD_DEFAULT_FLOW,),
}
_LEAVE = {
    _Policy.FLOWS: (),
    _Policy.STANDALONE: (FailModeCommand.LEAVE_STANDALONE,),
    _Policy.DEFAULT_FLOW: (FailModeCommand.REMOVE_DEFAULT_FLOW,),
}


@dataclass(frozen=True, slots=True)
class FailModeConfig:
    """What is configured. ``probe_interval_s`` of 0 (no probes) counts as the usual 5 s here."""

    is_secure: bool
    has_controllers: bool
    probe_interval_s: float = 5.0

    @property
    def patience_s(self) -> float:
        """How long the switch waits for a controller before it forwards by itself."""
        return PROBE_INTERVALS * (self.probe_interval_s or 5.0)


class FailMode:
    """The fail mode of one bridge. Call ``configure`` first: nothing is in force before."""

    def __init__(self) -> None:
        self._config = FailModeConfig(is_secure=True, has_controllers=False)
        self._policy = _Policy.FLOWS
        self._is_connected = False
        self.is_managed = False
        self._connected_since: Instant = 0.0
        self._alone_since: Instant = 0.0

    @property
    def forwarding(self) -> Forwarding:
        """Who decides now. While the switch still waits for a controller to come back, nothing new does: SECURE."""
        if self._policy is not _Policy.FLOWS:
            return Forwarding.STANDALONE
        return Forwarding.CONTROLLER if self._is_connected else Forwarding.SECURE

    def configure(self, config: FailModeConfig, now: Instant) -> list[FailModeCommand]:
        """Take a configuration. Patience starts anew when there were no controllers before."""
        if config.has_controllers and not self._config.has_controllers:
            self._alone_since = now
        self._config = config
        return self.run(now)

    def set_connected(self, is_connected: bool, now: Instant) -> list[FailModeCommand]:
        """Say whether any controller is connected (management connections do not count)."""
        if is_connected and not self._is_connected:
            self._connected_since = now
        if not is_connected and self._has_managed(now):
            self._alone_since = now
        self._is_connected = is_connected
        self.is_managed &= is_connected
        return self.run(now)

    def set_managed(self, now: Instant) -> list[FailModeCommand]:
        """Say that a controller that is connected has shown that it manages the switch."""
        self.is_managed = self._is_connected
        return self.run(now)

    def _has_managed(self, now: Instant) -> bool:
        """Whether controllers are connected, and one manages or they have stayed long enough to count."""
        return self._is_connected and (self.is_managed or now >= self._connected_since + STAYING_S)

    def next_deadline(self) -> Instant | None:
        """When ``run`` would enter standalone or leave it; None: time alone changes nothing."""
        config = self._config
        if config.is_secure or not config.has_controllers:
            return None
        if self._policy is _Policy.STANDALONE:
            return self._connected_since + STAYING_S if self._is_connected else None
        if self._is_connected:
            return None
        return self._alone_since + config.patience_s

    def run(self, now: Instant) -> list[FailModeCommand]:
        """Put the wanted policy in force: the new one before the old one goes."""
        wanted = self._wanted(now)
        if wanted is self._policy:
            return []
        commands = [*_ENTER[wanted], *_LEAVE[self._policy]]
        self._policy = wanted
        return commands

    def _wanted(self, now: Instant) -> _Policy:
        config = self._config
        if config.is_secure or self._has_managed(now):
            return _Policy.FLOWS
        if not config.has_controllers:
            return _Policy.FLOWS if self._is_connected else _Policy.DEFAULT_FLOW
        if self._is_connected:
            return self._policy if self._policy is _Policy.STANDALONE else _Policy.FLOWS
        if now >= self._alone_since + config.patience_s or self._policy is _Policy.STANDALONE:
            return _Policy.STANDALONE
        return _Policy.FLOWS
