"""The storm guard: what in-band control floods may not go round in circles.

In-band control floods ARP and packets to unknown addresses over ports that no spanning tree has blocked: a row of
switches could not start otherwise. In a ring every switch would send every copy on for ever (measured on Open vSwitch:
one ARP request became 7,700 packets per port in a second). So a switch remembers for a moment what it has flooded;
the same frame again, on whatever port, is neither flooded nor learned from. The first copy wins, which is also the one
that came the shortest way.

A retransmission that is the same to the bit within the moment is lost with it; senders of ARP wait a second (RFC 1122,
2.3.2.1), TCP's retransmissions differ in the IP identification, DHCP's in their seconds. What this is not: a protection
for data traffic, whose loops are the controller's matter.

What in-band control sends to one port is remembered as well (``SentOn``): see ``copies``.
"""

from __future__ import annotations

from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant

# Longer than a frame takes around any ring of switches (ten hops of slow path: 10 ms), shorter than any retry: the
# bridge's own interface asks for neighbours each 250 ms, and timers are not exact.
WINDOW_S = 0.2

# More than the budgets of a dozen ports let through at once (``budget``). There is room beyond that for what proven
# stations send, which a storm of others' frames does not take away.
MAX_FRAMES, MAX_PROVEN = 4096, 6144

# What is flooded somewhere because a place is not known comes round for a moment, until the station has answered.
RING_S = 0.02
# As many stations' frames come round at a time, at most, or some are looked at later.
MAX_RINGS = 256


class StormGuard:
    """Digests of the frames flooded of late, oldest first.

    ``hash`` of bytes is keyed anew in each process, so two frames cannot be made to collide on purpose.
    """

    def __init__(self) -> None:
        self._flooded: dict[int, Instant] = {}

    def has_flooded(self, frame: bytes, now: Instant) -> bool:
        """Whether this frame was flooded within the window."""
        at = self._flooded.get(hash(frame))
        return at is not None and now - at < WINDOW_S

    def remember(self, frame: bytes, now: Instant, *, is_proven: bool = False) -> bool:
        """Note that a frame is about to be flooded at ``now``; False if there is no room, and then it may not be.

        ``is_proven``: it is from a station whose place was proven, or from LOCAL.
        """
        flooded = self._flooded
        while flooded and now - flooded[oldest := next(iter(flooded))] >= WINDOW_S:
            del flooded[oldest]
        if len(flooded) >= (MAX_PROVEN if is_proven else MAX_FRAMES):
            return False
        digest = hash(frame)
        flooded.pop(digest, None)
        flooded[digest] = now
        return True


class SentOn:
    """Digests of the frames to one station that were sent on of late, each with the port by which it came in."""

    def __init__(self) -> None:
        self._sent: dict[int, tuple[PortNo, Instant]] = {}
        self._rings: dict[int, Instant] = {}

    def is_ring(self, station: int, heard_at: Instant, now: Instant) -> bool:
        """A frame to a station came round, which was heard last then: whether frames did for RING_S, and it was not.

        Told once: then it begins anew.
        """
        since = self._rings.pop(station, now)
        if since < heard_at or now - since >= WINDOW_S:
            since = now
        elif now - since >= RING_S:
            return True
        self._rings[station] = since
        if len(self._rings) > MAX_RINGS:
            del self._rings[next(iter(self._rings))]
        return False

    def came_by_another(self, frame: bytes, port: PortNo, now: Instant, within_s: float) -> bool:
        """Whether this frame came in by another port than this one, and was sent on, so shortly ago."""
        by, at = self._sent.get(hash(frame), (port, now))
        return by != port and now - at < within_s

    def remember(self, frame: bytes, port: PortNo, now: Instant) -> None:
        """Note that a frame that came in by a port is sent on; of MAX_FRAMES the oldest one makes room."""
        digest = hash(frame)
        self._sent.pop(digest, None)
        self._sent[digest] = (port, now)
        if len(self._sent) > MAX_FRAMES:
            del self._sent[next(iter(self._sent))]
