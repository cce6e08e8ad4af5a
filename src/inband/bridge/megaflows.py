"""Every decision that the datapath has cached: what it counts for, and which of them a change makes wrong.

A change says what it touched; ``settle`` then removes the megaflows that could differ now. Small changes are looked up
one by one; many of them flush the cache, because one flush is cheaper than a thousand searches. (Open vSwitch has
revalidators for this: threads that translate each megaflow again, some time after the change.)

Invariants:
- After ``settle`` no megaflow differs from what the pipeline would decide now. When in doubt one is removed: an empty
  cache is correct. Whoever changes something settles before it lets the next frame or a BARRIER_REPLY through.
- What the FDB has learned or forgotten need not be told: ``settle`` asks it.
- Each packet is credited once: those that the datapath moved by a megaflow here, the last of them before it is gone;
  the packet that was decided by whoever had it decided.
- Nothing else installs megaflows in the datapath or removes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from inband.datapath.base import Datapath, Megaflow
from inband.errors import HostError
from inband.flow.fields import FlowKey
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.pipeline.fdb import FdbKey
from inband.pipeline.translate import Pipeline
from inband.pipeline.translation import Translation
from inband.vocabulary.instant import Instant

# Comparing one changed flow with one megaflow takes about 0.2 us, a flush and learning anew about 100 us per flow in
# use: past this many comparisons (10 ms) flushing is the smaller pause.
MAX_COMPARISONS = 50_000
# About 1.6 kB each; a network with more conversations at a time learns some of them again.
MAX_MEGAFLOWS = 100_000
# Megaflows that make room for new ones: a millisecond's work. Those used so shortly ago stay if others can go.
EVICTED_AT_ONCE = 200
IN_USE_S = 2.0
# Open vSwitch's max-idle: what was not used for this long is not worth its place.
MAX_IDLE_S = 10.0
# Idle megaflows removed in one turn: about 5 ms. All of a full cache would be a pause of half a second, for the control
# channel too.
AT_ONCE = 1_000
# How many megaflows are flushed in the time in which one is removed by itself.
FLUSH_GAIN = 6


@dataclass(slots=True)
class _Changes:
    """What has changed since the last ``settle``, beside the FDB: matches of table 0, later tables, or all."""

    matches: list[Match] = field(default_factory=list)
    tables: set[int] = field(default_factory=set)
    everything: bool = False

    def __bool__(self) -> bool:
        return bool(self.everything or self.matches or self.tables)

    def concern(self, megaflow: Megaflow) -> bool:
        """Whether a flow that changed may have a part in a megaflow's decision.

        Matches can be compared if it looked into table 0 once, with the packet as it came.
        """
        looked_at = [table_id for table_id, _ in megaflow.translation.credits]
        if not self.tables.isdisjoint(looked_at):
            return True
        if not self.matches:
            return False
        return looked_at.count(0) != 1 or any(megaflow.match.overlaps(match) for match in self.matches)


@dataclass(slots=True)
class MegaflowCache:
    """The megaflows of one bridge."""

    datapath: Datapath
    pipeline: Pipeline
    _cached: dict[Match, Megaflow] = field(default_factory=dict)
    _by_fdb_key: dict[FdbKey, set[Megaflow]] = field(default_factory=dict)
    _changes: _Changes = field(default_factory=_Changes)
    _to_look_at: dict[int, list[Megaflow]] = field(default_factory=dict)
    _due: list[Megaflow] = field(default_factory=list)
    _flushed: list[Megaflow] = field(default_factory=list)

    def __len__(self) -> int:
        """How many megaflows there are."""
        return len(self._cached)

    # --- caching ------------------------------------------------------------------------------------------------

    def install(self, packet: FlowKey, match: Match, translation: Translation, now: Instant) -> Megaflow:
        """Cache a decision that was made at ``now``; ``match``: what ``packet`` has under the translation's mask."""
        if len(self._cached) >= MAX_MEGAFLOWS:
            self._evict(now)
        replaced = self._cached.get(match)
        if replaced is not None:
            self._remove([replaced])
        megaflow = self._cached[match] = Megaflow(match, translation, used=now)
        for key in translation.fdb_keys:
            self._by_fdb_key.setdefault(key, set()).add(megaflow)
        self._look_later(megaflow)
        self.datapath.install(megaflow, packet)
        return megaflow

    def credit(self) -> None:
        """Pass on to flows and tables what the datapath has counted since the last time."""
        self._credit_all(self.datapath.counted())

    def forget_idle(self, now: Instant) -> bool:
        """Remove megaflows that no packet needed for MAX_IDLE_S, at most AT_ONCE of them; whether there is more to do.

        How long ago that was is known as of the last ``credit``. Each megaflow is looked at when it can be idle at the
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
                self._changes.matches.append(flow.match)
            else:
                self._changes.tables.add(flow.table_id)

    def everything_changed(self) -> None:
        """Ports or settings changed."""
        self._changes.everything = True

    def settle(self) -> None:
        """Remove what could be wrong. Work: changes times megaflows, bounded by MAX_COMPARISONS, or one flush."""
        fdb, changes = self.pipeline.fdb, self._changes
        if not (changes or fdb.has_changed):
            return
        if changes:
            self._changes = _Changes()
        keys = fdb.take_changed()
        try:
            if changes.everything or self._are_many(changes) or self._depend_mostly_on(keys):
                self._flush()
            else:
                self._remove(self._suspects(changes, keys))
        except HostError:
            self.everything_changed()  # what was not removed is as suspect as before
            raise

    # --- inside -------------------------------------------------------------------------------------------------

    def _look_later(self, megaflow: Megaflow) -> None:
        """Not before the second in which it will have been idle for long enough if no packet comes."""
        self._to_look_at.setdefault(int(megaflow.used + MAX_IDLE_S), []).append(megaflow)

    def _are_many(self, changes: _Changes) -> bool:
        return len(changes.matches) * len(self._cached) > MAX_COMPARISONS

    def _depend_mostly_on(self, keys: set[FdbKey]) -> bool:
        """Whether so many megaflows depend on these entries that a flush is the smaller pause."""
        count = sum(len(self._by_fdb_key.get(key, ())) for key in keys)
        return count > AT_ONCE and count * FLUSH_GAIN > len(self._cached)

    def _suspects(self, changes: _Changes, keys: set[FdbKey]) -> list[Megaflow]:
        suspects = {megaflow for key in keys for megaflow in self._by_fdb_key.get(key, ())}
        if changes:
            suspects.update(megaflow for megaflow in self._cached.values() if changes.concern(megaflow))
        return list(suspects)

    def _remove(self, megaflows: list[Megaflow]) -> None:
        if not megaflows:
            return
        self.datapath.remove(megaflows)
        for megaflow in megaflows:
            self._credit(megaflow)
            self._cached.pop(megaflow.match, None)
            for key in megaflow.translation.fdb_keys:
                if (those := self._by_fdb_key.get(key)) is not None:
                    those.discard(megaflow)
                    if not those:
                        del self._by_fdb_key[key]

    def _evict(self, now: Instant) -> None:
        """Make room: the megaflows that were made first go, before others those that are not in use."""
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
        if packets:
            self.pipeline.credit(megaflow.translation, packets, bytes_, megaflow.used)
        megaflow.credited_packets, megaflow.credited_bytes = megaflow.packets, megaflow.bytes
