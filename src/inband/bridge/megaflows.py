"""The cache of decisions: which there are, what they count for, and which of them a change makes wrong.

A change says what it touched; ``settle`` then removes the decisions that could differ now, before anything else is
processed (the caller settles before it lets the next frame or a BARRIER_REPLY through). Small changes are looked up
one by one; many of them flush the cache, because one flush is cheaper than a thousand searches.

What must stay true: after ``settle`` no cached decision differs from what the pipeline would decide now. When in doubt
a decision is removed: an empty cache is correct.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from inband.datapath.base import Datapath, Megaflow
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.pipeline.fdb import Fdb, FdbKey
from inband.table.groups import Counter
from inband.table.table_set import Credit, TableSet
from inband.vocabulary.instant import Instant

# Comparing one changed flow with one megaflow takes about 0.2 us, a flush and learning anew about 100 us per flow in
# use: past this many comparisons (10 ms) flushing is the smaller pause.
MAX_COMPARISONS = 50_000
# About 1.6 kB each; a network with more conversations at a time learns some of them again.
MAX_DECISIONS = 100_000
# Decisions that make room for new ones: a millisecond's work. Those used so shortly ago stay if others can go.
EVICTED_AT_ONCE = 200
IN_USE_S = 2.0
# Open vSwitch's max-idle: what was not used for this long is not worth its place.
MAX_IDLE_S = 10.0
# Idle decisions removed in one turn: about 5 ms. All of a full cache would be a pause of half a second, for the control
# channel too.
AT_ONCE = 1_000
# How many decisions are flushed in the time in which one is removed by itself.
FLUSH_GAIN = 6


class Decision(NamedTuple):
    """What a megaflow came from.

    ``credits`` are the lookups that its packets count to, ``counted`` the groups and buckets, ``fdb_keys`` the stations
    it depends on, ``station`` the one that each packet confirms, with its port.
    """

    credits: tuple[Credit, ...]
    fdb_keys: tuple[FdbKey, ...]
    station: tuple[FdbKey, PortNo] | None
    counted: tuple[Counter, ...] = ()

    @property
    def tables(self) -> frozenset[int]:
        """The tables it went through."""
        return frozenset(table for table, _ in self.credits)

    @property
    def is_simple(self) -> bool:
        """Whether it looked into table 0 once, with the packet as it came: then matches can be compared."""
        return sum(table == 0 for table, _ in self.credits) == 1


@dataclass(slots=True)
class MegaflowCache:
    """Cached decisions of one bridge."""

    datapath: Datapath
    tables: TableSet
    fdb: Fdb
    _by_fdb_key: dict[FdbKey, set[Megaflow]] = field(default_factory=dict)
    _cached: dict[Match, Megaflow] = field(default_factory=dict)
    _matches: list[Match] = field(default_factory=list)
    _tables: set[int] = field(default_factory=set)
    _fdb_keys: set[FdbKey] = field(default_factory=set)
    _everything: bool = False
    _to_look_at: dict[int, list[Megaflow]] = field(default_factory=dict)
    _due: list[Megaflow] = field(default_factory=list)
    _flushed: list[Megaflow] = field(default_factory=list)

    def __len__(self) -> int:
        """How many decisions are cached."""
        return len(self._cached)

    # --- caching ------------------------------------------------------------------------------------------------

    def install(self, megaflow: Megaflow) -> None:
        """Cache a decision whose ``origin`` is a Decision and whose ``used`` is now."""
        if len(self._cached) >= MAX_DECISIONS:
            self._evict(megaflow.used)
        replaced = self._cached.get(megaflow.match)
        if replaced is not None:
            self._remove([replaced])
        self._cached[megaflow.match] = megaflow
        for key in _fdb_keys_of(megaflow):
            self._by_fdb_key.setdefault(key, set()).add(megaflow)
        self._look_later(megaflow)
        self.datapath.install(megaflow)

    def decisions(self) -> list[tuple[Megaflow, Decision]]:
        """Every cached decision with its origin, counters up to date."""
        return [(m, m.origin) for m in self.datapath.megaflows() if isinstance(m.origin, Decision)]

    def credit(self) -> None:
        """Pass on to flows and tables what the datapath has counted since the last time."""
        self._credit_all(self.datapath.counted())

    def forget_idle(self, now: Instant) -> bool:
        """Remove decisions that no packet needed for MAX_IDLE_S, at most AT_ONCE of them; whether there is more to do.

        How long ago that was is known as of the last ``credit``. Each decision is looked at when it can be idle at the
        earliest, so once in MAX_IDLE_S.
        """
        for second in [each for each in self._to_look_at if each <= now]:
            self._due += self._to_look_at.pop(second)
        idle: list[Megaflow] = []
        while self._due and len(idle) < AT_ONCE:
            megaflow = self._due.pop()
            if self._cached.get(megaflow.match) is not megaflow:
                continue
            if megaflow.used + MAX_IDLE_S < now:
                idle.append(megaflow)
            else:
                self._look_later(megaflow)
        self._remove(idle)
        del self._flushed[-AT_ONCE:]
        return bool(self._due or self._flushed)

    # --- what changed -------------------------------------------------------------------------------------------

    def flows_changed(self, flows: Iterable[Flow]) -> None:
        """Flows were added, changed or removed."""
        for flow in flows:
            if flow.table_id == 0:
                self._matches.append(flow.match)
            else:
                self._tables.add(flow.table_id)

    def fdb_changed(self, stations: Iterable[FdbKey]) -> None:
        """Stations were learned, moved or forgotten."""
        self._fdb_keys.update(stations)

    def everything_changed(self) -> None:
        """Ports or settings changed."""
        self._everything = True

    def settle(self) -> None:
        """Remove what could be wrong. Work: changes times megaflows, bounded by MAX_COMPARISONS, or one flush."""
        if not (self._everything or self._matches or self._tables or self._fdb_keys):
            return
        if self._is_nothing_but_news():
            self._fdb_keys.clear()
            return
        comparisons = len(self._matches) * len(self._cached)
        if self._everything or comparisons > MAX_COMPARISONS or self._is_most_by_fdb_key():
            self._flush()
        else:
            self._remove(self._suspects())
        self._matches.clear()
        self._tables.clear()
        self._fdb_keys.clear()
        self._everything = False

    # --- inside -------------------------------------------------------------------------------------------------

    def _look_later(self, megaflow: Megaflow) -> None:
        """Not before the second in which it will have been idle for long enough if no packet comes."""
        self._to_look_at.setdefault(int(megaflow.used + MAX_IDLE_S), []).append(megaflow)

    def _is_nothing_but_news(self) -> bool:
        """Whether all that changed are stations on which no decision depends, as with each frame of a flood of them."""
        if self._everything or self._matches or self._tables:
            return False
        return self._by_fdb_key.keys().isdisjoint(self._fdb_keys)

    def _is_most_by_fdb_key(self) -> bool:
        """Whether so many decisions depend on the stations that changed that a flush is the smaller pause."""
        count = sum(len(self._by_fdb_key.get(key, ())) for key in self._fdb_keys)
        return count > AT_ONCE and count * FLUSH_GAIN > len(self._cached)

    def _suspects(self) -> list[Megaflow]:
        suspects = {megaflow for key in self._fdb_keys for megaflow in self._by_fdb_key.get(key, ())}
        if self._matches or self._tables:
            suspects.update(megaflow for megaflow in self._cached.values() if self._is_suspect(megaflow))
        return list(suspects)

    def _is_suspect(self, megaflow: Megaflow) -> bool:
        decision = megaflow.origin
        if not isinstance(decision, Decision) or decision.tables & self._tables:
            return True
        if not self._matches:
            return False
        return not decision.is_simple or any(megaflow.match.overlaps(match) for match in self._matches)

    def _remove(self, megaflows: list[Megaflow]) -> None:
        if not megaflows:
            return
        self.datapath.remove(megaflows)
        for megaflow in megaflows:
            self._credit(megaflow)
            self._cached.pop(megaflow.match, None)
            for key in _fdb_keys_of(megaflow):
                if (those := self._by_fdb_key.get(key)) is not None:
                    those.discard(megaflow)
                    if not those:
                        del self._by_fdb_key[key]

    def _evict(self, now: Instant) -> None:
        """Make room: the decisions that were made first go, before others those that are not in use."""
        first = list(islice(self._cached.values(), 2 * EVICTED_AT_ONCE))
        idle = [megaflow for megaflow in first if megaflow.used < now - IN_USE_S]
        self._remove((idle or first)[:EVICTED_AT_ONCE])

    def _flush(self) -> None:
        self.datapath.flush()
        self._credit_all(self._cached.values())
        # To free the memory of all at once would be a pause of a tenth of a second.
        self._flushed += self._cached.values()
        self._cached.clear()
        self._by_fdb_key.clear()
        self._to_look_at.clear()
        self._due.clear()

    def _credit_all(self, megaflows: Iterable[Megaflow]) -> None:
        for megaflow in megaflows:
            if megaflow.packets != megaflow.credited_packets:  # of very many few are in use
                self._credit(megaflow)

    def _credit(self, megaflow: Megaflow) -> None:
        packets = megaflow.packets - megaflow.credited_packets
        bytes_ = megaflow.bytes - megaflow.credited_bytes
        decision = megaflow.origin
        if packets and isinstance(decision, Decision):
            self.tables.credit(decision.credits, packets, bytes_, megaflow.used)
            for counter in decision.counted:
                counter.credit(packets, bytes_)
            if decision.station is not None:
                self.fdb.confirm(*decision.station, megaflow.used)
        megaflow.credited_packets, megaflow.credited_bytes = megaflow.packets, megaflow.bytes


def _fdb_keys_of(megaflow: Megaflow) -> tuple[FdbKey, ...]:
    """The stations a megaflow depends on."""
    return megaflow.origin.fdb_keys if isinstance(megaflow.origin, Decision) else ()
