"""A place where peers call, and who of them gets a connection.

A peer that calls has a place among those that are *opening* (TCP is up; TLS and HELLO are still to come) until its
session has agreed on a version, and then one among the *sessions*. The two do not compete: who fills the first
keeps no one out of the second, and when the first is full the one that has waited longest goes, of the address that
has most. So a peer that is what it says gets through in the few milliseconds that it needs, however many others only
hold the door.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from inband.switch.channel import Channel
from inband.switch.targets import Target

# As many sessions as the control socket has clients. Each costs a descriptor, and the channel to the controller needs
# one too. One address may have half of them.
MAX_SESSIONS = 64
MAX_SESSIONS_OF_ONE = 32
# At 500 strangers a second each stays for a tenth of a second; TLS between neighbours takes a hundredth.
MAX_OPENING = 64


@dataclass(slots=True, eq=False)
class Listener:
    """One place. Addresses are text; those of unix sockets are all the same."""

    target: Target
    turned_away: int = 0
    handshakes_failed: int = 0
    _opening: dict[Channel, str] = field(default_factory=dict)  # oldest first
    _sessions: dict[Channel, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Channel]:
        """All who have called, with a session or without."""
        yield from (*self._opening, *self._sessions)

    @property
    def has_sessions(self) -> bool:
        """Whether anybody has got as far as a session."""
        return bool(self._sessions)

    def add(self, channel: Channel, address: str) -> Channel | None:
        """A peer called; who has to make room, if anyone."""
        crowded_out = self._longest_of_most() if len(self._opening) >= MAX_OPENING else None
        if crowded_out is not None:
            del self._opening[crowded_out]
            self.turned_away += 1
        self._opening[channel] = address
        return crowded_out

    def agreed(self, channel: Channel) -> bool:
        """A peer's session agreed on a version: whether there is a place for it."""
        address = self._opening.pop(channel, "")
        share = MAX_SESSIONS if self.target.is_unix else MAX_SESSIONS_OF_ONE
        of_this = sum(other == address for other in self._sessions.values())
        if len(self._sessions) >= MAX_SESSIONS or of_this >= share:
            self.turned_away += 1
            return False
        self._sessions[channel] = address
        return True

    def discard(self, channel: Channel) -> None:
        """A peer is gone."""
        self._opening.pop(channel, None)
        self._sessions.pop(channel, None)

    def _longest_of_most(self) -> Channel:
        (most, _), *_ = Counter(self._opening.values()).most_common(1)
        return next(channel for channel, address in self._opening.items() if address == most)
