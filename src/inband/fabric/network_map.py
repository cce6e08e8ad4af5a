"""The network as its switches describe themselves: each one's record, passed on by all to all.

A switch gives its record a higher number with each change. Who hears a higher number than it knows keeps the record and
passes it on to its other neighbours; so all have the latest one, and none circles (RFC 2328, 13, floods so). A switch
that has started anew hears its old record, and outbids its number.

It is for people to look at: no path depends on it.

Invariants: MAX_NODES records, each as long as a message at most; others are refused and counted. Who is out of reach by
the links that records name is forgotten after KEEP_S. A switch tells anew of itself once in PACE_S at most, and when it
is outbid again and again (another one has its datapath id), once in MAX_PACE_S. No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from inband.fabric import description
from inband.fabric.description import Description
from inband.fabric.exchanges import Exchanges
from inband.fabric.hello import is_newer
from inband.fabric.map_message import MapMessage, NodeRecord, size_of
from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant, earliest

MAX_NODES = 512
# What happens together is told together, and no faster than a person looks.
COLLECT_S, PACE_S, MAX_PACE_S = 0.25, 0.25, 60.0
# Of messages to a neighbour: full ones in a large network, so that the map takes no time from what control needs.
MESSAGES_PER_S, BURST = 20.0, 3.0
LOOK_S, KEEP_S = 60.0, 300.0
# A restart is outbid once, or twice where records of it come late.
_RESTARTS = 3
_NUMBERS = 1 << 32


class NetworkMap:
    """What one switch knows. ``records`` are by datapath id, its own one too once it was told."""

    def __init__(self, switch: int) -> None:
        self.switch = switch
        self.records: dict[int, NodeRecord] = {}
        self.heard_at: dict[int, Instant] = {}
        self.refused = 0
        self._body = description.encode(Description())
        self._number = 0
        self._told_at: Instant = float("-inf")
        self._tell_at: Instant | None = None
        self._outbid = 0
        self._pace_s = PACE_S
        self._look_at: Instant | None = None
        self._gone: dict[int, Instant] = {}
        self._exchanges: Exchanges[int, NodeRecord] = Exchanges(self._size_of, per_s=MESSAGES_PER_S, burst=BURST)

    # --- what happens -----------------------------------------------------------------------------------------------

    def describe(self, own: Description, now: Instant) -> None:
        """This switch is like that now."""
        body = description.encode(own)
        if body != self._body:
            self._body = body
            self._plan(now)

    def meet(self, port: PortNo, boot: int) -> None:
        """A neighbour with this boot number is there both ways."""
        self._exchanges.meet(port, boot)

    def part(self, port: PortNo) -> None:
        """It is not any more."""
        self._exchanges.part(port)

    def has_met(self, port: PortNo, boot: int) -> bool:
        """Whether this neighbour, in this life, is there."""
        return self._exchanges.has_met(port, boot)

    def hear(self, port: PortNo, message: MapMessage, now: Instant) -> None:
        """A neighbour that is there tells."""
        for switch, record in self._exchanges.hear(port, message, self._everything, now):
            if switch == self.switch:
                self._hear_of_self(record, now)
            elif self._takes(switch, record):
                self.records[switch], self.heard_at[switch] = record, now
                self._exchanges.tell((switch,), but=port)
                self._look_at = self._look_at or now + LOOK_S

    @property
    def is_doubled(self) -> bool:
        """Whether another switch seems to have this one's datapath id: it was outbid again and again."""
        return self._outbid > _RESTARTS

    # --- time -------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return earliest(self._tell_at, self._look_at, self._exchanges.next_deadline())

    def run(self, boot: int, now: Instant) -> Iterator[tuple[PortNo, MapMessage]]:
        """Do what is due; returns what to send, and where. ``boot`` is this switch's boot number."""
        if self._tell_at is not None and self._tell_at <= now:
            self._tell_at, self._told_at = None, now
            self._number = (self._number + 1) % _NUMBERS
            self.records[self.switch] = NodeRecord(self._number, self._body)
            self.heard_at[self.switch] = now
            self._exchanges.tell((self.switch,))
        if self._look_at is not None and self._look_at <= now:
            self._forget(now)
        return self._exchanges.take(self.switch, boot, self.records.__getitem__, now)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _plan(self, now: Instant) -> None:
        if self._tell_at is None:
            self._tell_at = max(now + COLLECT_S, self._told_at + self._pace_s)

    def _takes(self, switch: int, record: NodeRecord) -> bool:
        known = self.records.get(switch)
        if known is not None:  # of two with one number, which two switches of one id have told, all keep the same one
            is_other = record.number == known.number and record.body > known.body
            return is_other or is_newer(record.number, known.number)
        if len(self.records) >= MAX_NODES:
            self.refused += 1
            return False
        return True

    def _hear_of_self(self, record: NodeRecord, now: Instant) -> None:
        """Others have a record of this switch, which it may have told in an earlier life."""
        if record == self.records.get(self.switch) or is_newer(self._number, record.number):
            return
        self._number = record.number
        self._outbid += 1
        if self.is_doubled:
            self._pace_s = min(2 * self._pace_s, MAX_PACE_S)
        self._plan(now)

    def _forget(self, now: Instant) -> None:
        """Let go who has been out of reach for long."""
        links = {each: description.decode(record.body).links for each, record in self.records.items()}
        near = {each: [link.peer for link in known if link.is_up] for each, known in links.items()}
        reached = reached_from(self.switch, near)
        self._gone = {switch: self._gone.get(switch, now) for switch in self.records if switch not in reached}
        for switch in [each for each, since in self._gone.items() if now - since >= KEEP_S]:
            self._exchanges.forget(switch)
            del self.records[switch], self.heard_at[switch], self._gone[switch]
        self._look_at = now + LOOK_S if self._gone or len(self.records) > 1 else None

    def _size_of(self, switch: int) -> int:
        return size_of(self.records[switch])

    def _everything(self) -> tuple[int, ...]:
        return tuple(self.records)


def reached_from(switch: int, near: Mapping[int, Iterable[int]]) -> set[int]:
    """The switches that a walk reaches; ``near`` are those next to each."""
    found, waiting = {switch}, [switch]
    while waiting:
        new = set(near.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found
