"""The forwarding database: on which port an address was last heard, per VLAN (IEEE 802.1Q, 8.8).

A port's entries are in the order in which they were last confirmed, so the one to age out or to evict is the first of
its port. Work per call is constant, but for flushing and ageing, which touch what they remove, and for the first
entries of a port in a full table, which look at each port.

Invariants:
- Packets that a datapath cache forwards confirm the entry of their source too (``confirm``), or an entry in use would
  age out.
- An entry that is pinned does not move, nor makes room for others. It goes with its port, or when it is too old, and
  then it is pinned no more.
- Each entry that was learned, moved or forgotten is in ``take_changed`` until it is taken: decisions that were
  made by it are stale. That an entry makes room for another one is no change, for packets to it still go the right way
  until its host sends, which is learned anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant

MAX_AGE_S = 300.0  # IEEE 802.1Q, table 8-6
# By a packet of in-band control no address moves to another port that was confirmed on its own this shortly before: in
# a ring that is a copy that came round, not a host that moved. Real moves are believed half a second later.
MOVE_HOLD_S = 0.5
MAX_ENTRIES = 8192  # what Open vSwitch allows; a host that invents addresses must not eat the memory


class FdbKey(NamedTuple):
    """What an entry is found by: an address in a VLAN; vlan 0 is untagged."""

    vlan: int
    mac: Mac


UsedAt = Callable[[FdbKey], Instant]
"""When whoever has a copy of the entries has forwarded a packet with this source last, and did not tell."""


def _never(_: FdbKey) -> Instant:
    return float("-inf")


class Learned(Enum):
    """What a packet taught."""

    KNOWN = auto()  # nothing: there is an entry, of this port
    NEW = auto()  # a new entry
    MOVED = auto()  # the entry was of another port
    HELD = auto()  # of another port, but confirmed there too recently, or pinned: not believed


@dataclass(slots=True)
class FdbCounters:
    """What became of entries since the start: learned (moved ones too), too old, given up for others, moved."""

    learned: int = 0
    expired: int = 0
    evicted: int = 0
    moved: int = 0


class Fdb:
    """(VLAN, MAC) to port, bounded in age and number.

    Who invents addresses loses addresses: when the table is full, room is made among those of the port that has most.
    A host that floods one port with sources cannot make the switch forget hosts behind others, whose packets would
    then be flooded to it.
    """

    def __init__(self, *, max_age_s: float = MAX_AGE_S, max_entries: int = MAX_ENTRIES) -> None:
        self._max_age_s = max_age_s
        self.max_entries = max_entries
        self.counters = FdbCounters()
        self.pinned: dict[FdbKey, PortNo] = {}
        """Entries that no packet moves, for it was proven where they are (``places``)."""
        self.unwritten: dict[FdbKey, PortNo | None] | None = None
        """Where entries that changed are now, until a copy of them is brought up to date; None: there is no copy."""
        self.used_elsewhere: UsedAt = _never
        self._entries: dict[FdbKey, tuple[PortNo, Instant]] = {}
        # A plain dictionary looks for its first entry among all that were removed before it.
        self._by_port: dict[PortNo, OrderedDict[FdbKey, None]] = {}
        self._changed: set[FdbKey] = set()
        self._doubted_at: Instant = float("-inf")
        # Each decision that is cached holds the keys of two hosts: those of the same host are one object.
        self._keys: dict[tuple[int, int], FdbKey] = {}

    def key(self, vlan: int, mac: int) -> FdbKey:
        """What an address is found by."""
        found = self._keys.get((vlan, mac))
        if found is None:
            if len(self._keys) >= 2 * self.max_entries:
                self._keys.clear()
            found = self._keys[vlan, mac] = FdbKey(vlan, Mac(mac))
        return found

    def learn(self, key: FdbKey, port: PortNo, now: Instant, *, hold_s: float = 0.0) -> Learned:
        """Note that a packet with this source came in on ``port``.

        Within ``hold_s`` of having been confirmed on another port the entry stays there. When the table is full the
        entry that was confirmed longest ago, of the port with most, makes room.
        """
        old = self._entries.get(key)
        if old is None:
            outcome = Learned.NEW
        elif old[0] == port and now - old[1] <= self._max_age_s:
            outcome = Learned.KNOWN
        else:
            outcome = self.would_learn(key, port, now, hold_s=hold_s)
        if outcome is Learned.HELD:
            return outcome
        if old is not None and old[0] != port:
            self.counters.moved += 1
            self._forget(key, old[0])
        elif old is None and len(self._entries) >= self.max_entries:
            self._make_room(port)
        if outcome is not Learned.KNOWN:
            self.counters.learned += 1
            self._changed.add(key)
            if self.unwritten is not None:
                self.unwritten[key] = port
        self._entries[key] = (port, now)
        on_port = self._by_port.get(port)
        if on_port is None:
            on_port = self._by_port[port] = OrderedDict()
        on_port[key] = None
        on_port.move_to_end(key)
        return outcome

    def would_learn(self, key: FdbKey, port: PortNo, now: Instant, *, hold_s: float = 0.0) -> Learned:
        """What ``learn`` would answer, without changing anything."""
        entry = self._entries.get(key)
        if entry is None or now - entry[1] > self._max_age_s:
            return Learned.NEW
        if entry[0] == port:
            return Learned.KNOWN
        # By the kernel's clock it may have been confirmed after ``now``, which is no reason to hold it at all.
        is_fresh = hold_s > 0 and self._doubted_at < entry[1] > now - hold_s
        return Learned.HELD if is_fresh or key in self.pinned else Learned.MOVED

    def pin(self, key: FdbKey, port: PortNo, now: Instant) -> None:
        """An address is at this port, and stays there until it is unpinned or forgotten."""
        self.pinned.pop(key, None)
        self.learn(key, port, now)
        self.pinned[key] = port
        if self.unwritten is not None:
            self.unwritten[key] = port

    def forget(self, key: FdbKey) -> None:
        """It is not known any more where an address is."""
        entry = self._entries.get(key)
        if entry is not None:
            self._forget(key, entry[0])
            self._changed.add(key)

    def disown(self, key: FdbKey) -> None:
        """Have a copy of the entries forget an address that it may have learned by itself, and that is not here."""
        if self.unwritten is not None and key not in self._entries:
            self.unwritten[key] = None

    def confirm(self, key: FdbKey, port: PortNo, now: Instant) -> None:
        """Note that cached decisions forwarded packets with this source, the last at ``now``; teaches nothing new."""
        entry = self._entries.get(key)
        if entry is not None and entry[0] == port and entry[1] < now:
            self._entries[key] = (port, now)
            self._by_port[port].move_to_end(key)

    def doubt(self, now: Instant) -> None:
        """Hold no entry that was not confirmed after this instant: a link died somewhere, and hosts may have moved."""
        self._doubted_at = now

    def is_in_doubt(self, now: Instant) -> bool:
        """Whether a link died somewhere a moment ago."""
        return now - self._doubted_at < MOVE_HOLD_S

    def lookup(self, key: FdbKey, now: Instant) -> PortNo | None:
        """The port of an address, or None if it is not known (any more)."""
        entry = self._entries.get(key)
        return entry[0] if entry is not None and now - entry[1] <= self._max_age_s else None

    def confirmed_at(self, key: FdbKey) -> Instant | None:
        """When a packet with this source was last seen, as far as that is known; None: there is no entry."""
        entry = self._entries.get(key)
        return None if entry is None else entry[1]

    def flush_port(self, port: PortNo) -> None:
        """Forget the entries of a port (it went away or down)."""
        gone = self._by_port.pop(port, ())
        for key in gone:
            del self._entries[key]
            self.pinned.pop(key, None)
        self._changed.update(gone)
        if self.unwritten is not None:
            self.unwritten.update(dict.fromkeys(gone))

    def flush(self) -> None:
        """Forget every entry."""
        self._changed.update(self._entries)
        if self.unwritten is not None:
            self.unwritten.update(dict.fromkeys(self._entries))
        self._entries.clear()
        self._by_port.clear()
        self.pinned.clear()

    def expire(self, now: Instant, limit: int = MAX_ENTRIES) -> bool:
        """Forget entries that were not confirmed for too long, ``limit`` at most; whether there may be more.

        What cached decisions have forwarded must be credited before, for it confirms entries.
        """
        for port, on_port in list(self._by_port.items()):
            while on_port and now - self._entries[first := next(iter(on_port))][1] > self._max_age_s:
                if limit <= 0:
                    return True
                limit -= 1
                if now - (used := self.used_elsewhere(first)) <= self._max_age_s:
                    self.confirm(first, port, used)
                    continue
                self.counters.expired += 1
                self._changed.add(first)
                self._forget(first, port)
        return False

    @property
    def has_changed(self) -> bool:
        """Whether ``take_changed`` has something to say."""
        return bool(self._changed)

    def take_changed(self) -> set[FdbKey]:
        """The entries that were learned, moved or forgotten since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def next_deadline(self) -> Instant | None:
        """When the next entry can be too old at the earliest."""
        first = [self._entries[next(iter(on_port))][1] for on_port in self._by_port.values()]
        return min(first) + self._max_age_s if first else None

    def entries(self) -> list[tuple[FdbKey, PortNo, Instant]]:
        """(key, port, last confirmed) of every entry, oldest first."""
        return sorted(((key, *entry) for key, entry in self._entries.items()), key=_confirmed)

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def _forget(self, key: FdbKey, port: PortNo) -> None:
        if self.unwritten is not None:
            self.unwritten[key] = None
        del self._entries[key]
        self.pinned.pop(key, None)
        on_port = self._by_port[port]
        del on_port[key]
        if not on_port:
            del self._by_port[port]

    def _make_room(self, port: PortNo) -> None:
        """Forget one entry: of ``port`` if it has its share, else of the port that has most (then it has more)."""
        on_port = self._by_port.get(port)
        if on_port is None or len(on_port) * len(self._by_port) < self.max_entries:
            port, on_port = max(self._by_port.items(), key=_size)
        self.counters.evicted += 1
        while (first := next(iter(on_port))) in self.pinned and len(on_port) > len(self.pinned):
            on_port.move_to_end(first)  # it is not the first one that the next call looks at
        self._forget(first, port)


def _confirmed(entry: tuple[FdbKey, PortNo, Instant]) -> Instant:
    return entry[2]


def _size(port: tuple[PortNo, OrderedDict[FdbKey, None]]) -> int:
    return len(port[1])
