"""Loops where no spanning tree runs: found by a frame of our own that comes back, named, and given up when it does not.

In a switch that learns, a loop shows as hosts that move from port to port without end. That is the sign on which each
port sends one small frame (a probe); one that comes back proves which ports are joined outside. So an idle switch sends
nothing. While a loop is there probes go each PROBE_S, and without an answer for GONE_S it is over.

A probe has a number that nobody can guess, so a host can only send back what it was sent. It can pretend that its own
port leads back to itself; what follows (broadcasts that *arrive* there are limited) costs no other port anything. To
pretend more it must hear another port, and then it could join the two for real.

A probe is an Ethernet frame to a group address of local use with the EtherType that IEEE 802 leaves to experiments
(IEEE 802-2014, 9.2.3), so that every other switch on the way floods it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant

# A host moves now and then, and in a loop with each of its packets.
MOVES, MOVES_WITHIN_S = 5, 1.0
PROBE_S = 1.0
GONE_S = 3.5

ETH_PROBE = 0x88B5
PROBE_GROUP = Mac(0x03696E626164)
_MAGIC = b"inband loop probe\0"
_NUMBER_BYTES = 8
_SIZE = 60
_TYPE_AT, _MAGIC_AT = 12, 14
_NUMBER_AT = _MAGIC_AT + len(_MAGIC)


@dataclass(frozen=True, slots=True)
class Loop:
    """What left by one port came in on the other, or on the same."""

    sent: PortNo
    received: PortNo

    @property
    def ports(self) -> frozenset[PortNo]:
        """Both."""
        return frozenset((self.sent, self.received))


def probe_frame(number: bytes, source: Mac) -> bytes:
    """A probe."""
    frame = PROBE_GROUP.packed + source.packed + ETH_PROBE.to_bytes(2, "big") + _MAGIC + number
    return frame.ljust(_SIZE, b"\0")


def probe_number(data: bytes) -> bytes | None:
    """The number of a probe, of whatever switch; None for any other frame."""
    if data[_TYPE_AT:_NUMBER_AT] != ETH_PROBE.to_bytes(2, "big") + _MAGIC:
        return None
    return data[_NUMBER_AT : _NUMBER_AT + _NUMBER_BYTES]


class LoopWatch:
    """One bridge's. ``random_bytes`` makes numbers that cannot be guessed; ``probes`` may come back, by number."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._moves: list[Instant] = []
        self.probes: dict[bytes, tuple[PortNo, Instant]] = {}
        self._seen: dict[Loop, Instant] = {}
        self._probe_at: Instant | None = None
        self._last_round: Instant | None = None

    @property
    def loops(self) -> frozenset[Loop]:
        """The loops that are there."""
        return frozenset(self._seen)

    def host_moved(self, now: Instant) -> None:
        """A host was heard on another port than before."""
        self._moves = [*[at for at in self._moves if now - at < MOVES_WITHIN_S][-MOVES:], now]
        if len(self._moves) >= MOVES and self._probe_at is None:
            self._probe_at = now if self._last_round is None else max(now, self._last_round + PROBE_S)

    def send(self, ports: Iterable[PortNo], now: Instant) -> list[tuple[PortNo, bytes]]:
        """A round of probes is due: the number that each of these ports sends."""
        self.probes = {number: each for number, each in self.probes.items() if now - each[1] < GONE_S}
        sent = [(port, self._random_bytes(_NUMBER_BYTES)) for port in ports]
        self.probes.update({number: (port, now) for port, number in sent})
        self._last_round, self._moves = now, []
        self._probe_at = now + PROBE_S if self._seen else None
        return sent

    def receive(self, port: PortNo, number: bytes, now: Instant) -> bool:
        """A probe came in; whether it was one of ours, and so is to go no further."""
        probe = self.probes.get(number)
        if probe is None:
            return False
        self._seen[Loop(probe[0], port)] = now
        if self._probe_at is None:
            self._probe_at = now + PROBE_S
        return True

    def expire(self, now: Instant) -> None:
        """Give up loops that were not seen for a while."""
        self._seen = {loop: at for loop, at in self._seen.items() if now - at < GONE_S}

    def next_deadline(self) -> Instant | None:
        """When ``expire``, then ``send`` are due."""
        return self._probe_at

    def forget(self) -> None:
        """Watch no longer."""
        self._moves, self.probes, self._seen, self._probe_at = [], {}, {}, None
