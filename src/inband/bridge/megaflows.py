"""Every decision that the datapath has cached: what it counts for, and which of them a change makes wrong.

A change says what it touched; settling then removes the megaflows that could differ now. Small changes are looked up
one by one; many of them flush the cache, because one flush is cheaper than a thousand searches. (Open vSwitch has
revalidators for this: threads that translate each megaflow again, some time after the change.)

There can be a hundred thousand megaflows, so everything that looks at all of them is a generator of steps of about a
millisecond (``table.steps``): counting, forgetting what is idle, and comparing with changed flows.

Invariants:
- After ``settle``, and after the last step of ``settle_in_steps``, no megaflow differs because of the changes that were
  told before. When in doubt one is removed: an empty cache is correct. A change is followed by settling before the
  answer says that it is done. After ``settle`` that is so before the next frame.
- What the FDB has learned or forgotten need not be told: ``follow_fdb`` asks it. Where very many megaflows depend on
  one entry, ``tidy`` removes them in steps, for a moved host has no right to an answer.
- Each packet is credited once: those that the datapath moved by a megaflow here; the packet that was decided, by its
  caller. After a round of ``counting`` all are credited that had been moved before it began, also by
  megaflows that are gone.
- Nothing else installs megaflows in the datapath or removes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from inband.bridge.control_traffic import ControlTraffic
from inband.bridge.kernel_tables import KernelTables
from inband.bridge.removed import Removed
from inband.datapath.base import Datapath, Megaflow
from inband.datapath.rules import Told
from inband.errors import HostError
from inband.flow.actions import Meter
from inband.flow.fields import FlowKey
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.pipeline.fdb import FdbKey
from inband.pipeline.translate import Pipeline
from inband.pipeline.translation import Translation
from inband.table.steps import Step, Steps
from inband.vocabulary.instant import Instant

# Comparing one changed flow with one megaflow takes about 0.15 us: two milliseconds, which is what ``settle`` may take,
# and a step.
MAX_COMPARISONS = 12_000
# Learning anew takes about 100 us for each megaflow in use: past this many comparisons flushing is the smaller pause.
MAX_COMPARISONS_IN_STEPS = 1_000_000
# About 1.6 kB each; a network with more conversations at a time learns some of them again.
MAX_MEGAFLOWS = 100_000
# Megaflows that are removed, or credited, in one step: a millisecond.
AT_ONCE = 100
CREDITED_AT_ONCE = 500
# Those used so shortly ago stay if others can make room for new ones.
IN_USE_S = 2.0
# Open vSwitch's max-idle: what was not used for this long is not worth its place.
MAX_IDLE_S = 10.0
# How many megaflows are flushed in the time in which one is removed by itself.
FLUSH_GAIN = 6
_NONE: set[Megaflow] = set()


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
        credits_ = megaflow.translation.credits
        if len(credits_) == 1 and credits_[0][0] == 0:  # most looked into one table only
            if 0 in self.tables:
                return True
        else:
            looked_at = [table_id for table_id, _ in credits_]
            if not self.tables.isdisjoint(looked_at):
                return True
            if looked_at.count(0) != 1:
                return bool(self.matches)
        value, mask = megaflow.match.value, megaflow.match.mask
        return any(not (value ^ match.value) & mask & match.mask for match in self.matches)


@dataclass(slots=True)
class _Cached:
    """Megaflows since the last flush, each by what it is looked for by.

    ``to_look_at``: those that can be idle at the earliest in a certain second; ``due``: those whose second has come.
    """

    by_match: dict[Match, Megaflow] = field(default_factory=dict)
    by_fdb_key: dict[FdbKey, set[Megaflow]] = field(default_factory=dict)
    to_look_at: dict[int, list[Megaflow]] = field(default_factory=dict)
    due: list[Megaflow] = field(default_factory=list)

    def add(self, megaflow: Megaflow) -> None:
        """Take a new one in."""
        self.by_match[megaflow.match] = megaflow
        for key in megaflow.translation.fdb_keys:
            self.by_fdb_key.setdefault(key, set()).add(megaflow)
        self.look_later(megaflow)

    def forget(self, megaflow: Megaflow) -> None:
        """It is not one of these any more."""
        self.by_match.pop(megaflow.match, None)
        for key in megaflow.translation.fdb_keys:
            if (those := self.by_fdb_key.get(key)) is not None:
                those.discard(megaflow)
                if not those:
                    del self.by_fdb_key[key]

    def between(self, one: FdbKey, other: FdbKey) -> set[Megaflow]:
        """Those that depend on both."""
        return self.by_fdb_key.get(one, _NONE) & self.by_fdb_key.get(other, _NONE)

    def has(self, megaflow: Megaflow) -> bool:
        """Whether it is one of these."""
        return self.by_match.get(megaflow.match) is megaflow

    def look_later(self, megaflow: Megaflow) -> None:
        """Not before the second in which it will have been idle for long enough if no packet comes."""
        self.to_look_at.setdefault(int(megaflow.used + MAX_IDLE_S), []).append(megaflow)


class MegaflowCache:
    """The megaflows of one bridge."""

    def __init__(self, datapath: Datapath, pipeline: Pipeline) -> None:
        self.datapath = datapath
        self.pipeline = pipeline
        self.control = ControlTraffic()
        self._fdb = pipeline.fdb
        self._cached = _Cached()
        self._flushed: list[_Cached] = []
        self._removed = Removed()
        self._changes = _Changes()
        self._suspects: deque[Megaflow] = deque()
        self._round: Iterator[None] | None = None
        self._rounds_begun = 0
        self._rounds_done = 0
        self.tables = None if datapath.rules is None else KernelTables(datapath.rules, pipeline)
        pipeline.ask_cache(self.last_used_between)

    def __len__(self) -> int:
        """How many megaflows there are."""
        return len(self._cached.by_match)

    def hear_of_decisions(self, told: Told) -> None:
        """Have someone told of packets that the datapath decides by rules, if it does."""
        if self.datapath.rules is not None:
            self.datapath.rules.told = told

    def take_over_stations(self, port: PortNo) -> None:
        """Know what an earlier process knew of stations behind a new port."""
        if self.datapath.rules is not None:
            for key, used in self.datapath.rules.stations.take_left(port):
                self._fdb.learn(key, port, used)

    # --- caching ------------------------------------------------------------------------------------------------

    def install(self, packet: FlowKey, match: Match, translation: Translation, now: Instant) -> Megaflow:
        """Cache a decision that was made at ``now``; ``match``: what ``packet`` has under the translation's mask."""
        if len(self) >= MAX_MEGAFLOWS:
            self._evict(now)
        replaced = self._cached.by_match.get(match)
        if replaced is not None:
            self._remove([replaced])
        megaflow = Megaflow(match, translation, used=now)
        self._cached.add(megaflow)
        self.datapath.install(megaflow, packet)
        return megaflow

    def last_used_between(self, source: FdbKey, destination: FdbKey, besides: PortNo) -> Instant:
        """When a packet between two hosts was last sent on that came in by another port than this; -inf: none was.

        Decisions that are gone count unless the first host has been found behind this port since: then its packets
        come by it for that. Work: the decisions of the host that has fewer.
        """
        last = float("-inf")
        for cached in (self._cached, *self._flushed):
            for megaflow in cached.between(source, destination):
                teaches = megaflow.translation.source
                if teaches is not None and teaches[0] == source and teaches[1] != besides:
                    self.datapath.refresh(megaflow)
                    if cached is self._cached or not self._is_at(source, besides, megaflow.used):
                        last = max(last, megaflow.used)
        for port, used in self._removed.between(source, destination):
            if port != besides and not self._is_at(source, besides, used):
                last = max(last, used)
        return last

    def _is_at(self, host: FdbKey, port: PortNo, now: Instant) -> bool:
        return self._fdb.lookup(host, now) == port

    # --- counting -----------------------------------------------------------------------------------------------

    @property
    def owes_counts(self) -> bool:
        """Whether megaflows that are gone have packets to their account that ``counting`` has yet to credit."""
        if self._flushed or self._round is not None:
            return True
        return self.tables is not None and self.tables.owes_counts

    def counting(self) -> Steps[None]:
        """Pass on to flows and tables what the datapath has counted up to now. Many who want it share the work."""
        return self._count_until(self._rounds_begun + 1)

    def _count_until(self, wanted: int) -> Steps[None]:
        while True:
            for _ in range(2):
                self._count_some()
            if self._rounds_done >= wanted:
                return
            yield Step.WORKED

    def _count_some(self) -> None:
        if self._round is None:
            self._rounds_begun += 1
            self._round = self._count_in_parts()
        try:
            next(self._round)
        except StopIteration:
            self._rounds_done = self._rounds_begun
            self._round = None
        except BaseException:
            self._round = None  # the next one begins anew
            raise

    def _count_in_parts(self) -> Iterator[None]:
        for counted in self.datapath.count():
            self._credit_all(counted)
            yield
        if self.tables is not None:
            yield from self.tables.count()
        # Those of a flush that comes from here on have their last counts in the next round.
        flushed, self._flushed = self._flushed, []
        for cached in flushed:
            yield from self._bury(cached)

    def _bury(self, cached: _Cached) -> Iterator[None]:
        """Credit what was flushed, and let go of it in parts: to free the memory of all at once would be a pause."""
        while cached.by_match:
            part = [cached.by_match.popitem()[1] for _ in range(min(CREDITED_AT_ONCE, len(cached.by_match)))]
            self._credit_all(part)
            for megaflow in part:
                self._removed.note(megaflow)
            yield
        while cached.by_fdb_key:
            for _ in range(min(AT_ONCE, len(cached.by_fdb_key))):
                cached.by_fdb_key.popitem()
            yield
        for megaflows in [cached.due, *cached.to_look_at.values()]:
            while megaflows:
                del megaflows[-CREDITED_AT_ONCE:]
                yield

    # --- what is not needed any more ----------------------------------------------------------------------------

    @property
    def has_suspects(self) -> bool:
        """Whether ``tidy`` is called for."""
        return bool(self._suspects)

    def tidy(self, now: Instant) -> Steps[None]:
        """Remove what depends on moved hosts, and what no packet needed for MAX_IDLE_S.

        How long ago that was is known as of the last ``counting``. Each megaflow is looked at when it can be idle at
        the earliest, so once in MAX_IDLE_S.
        """
        cached = self._cached
        for second in [each for each in cached.to_look_at if each <= now]:
            cached.due += cached.to_look_at.pop(second)
        while self._suspects or (cached is self._cached and cached.due):
            part = [self._suspects.popleft() for _ in range(min(AT_ONCE, len(self._suspects)))]
            self._remove([megaflow for megaflow in part if self._cached.has(megaflow)])
            idle: list[Megaflow] = []
            looked_at = 0
            while cached.due and len(idle) < AT_ONCE and looked_at < CREDITED_AT_ONCE:
                megaflow = cached.due.pop()
                looked_at += 1
                if not cached.has(megaflow):
                    continue
                if megaflow.used + MAX_IDLE_S < now:
                    idle.append(megaflow)
                else:
                    cached.look_later(megaflow)
            self._remove(idle)
            yield Step.WORKED

    def _evict(self, now: Instant) -> None:
        """Make room: the megaflows that were made first go, before others those that are not in use."""
        first = list(islice(self._cached.by_match.values(), 2 * AT_ONCE))
        idle = [megaflow for megaflow in first if megaflow.used < now - IN_USE_S]
        self._remove((idle or first)[:AT_ONCE])

    # --- what changed -------------------------------------------------------------------------------------------

    def flows_changed(self, flows: Iterable[Flow]) -> None:
        """Flows were added, changed or removed."""
        flows = tuple(flows)
        if self.tables is not None and flows:
            self.tables.flows_changed(flows)
        for flow in flows:
            if flow.table_id == 0:
                self._changes.matches.append(flow.match)
            else:
                self._changes.tables.add(flow.table_id)

    def meter_changed(self, meter_id: int) -> None:
        """A meter came, went, or has other bands: tell the datapath, which removes what has to be compiled anew."""
        self.settle_cheaply()  # flows that lost their meter do nothing without it
        if self.tables is not None:
            self.tables.meter_changed(self.pipeline.tables.users(Meter(meter_id)))
        self.datapath.set_meter(meter_id, self.pipeline.tables.meters.get(meter_id))

    def everything_changed(self) -> None:
        """Ports or settings changed."""
        self._changes.everything = True
        if self.tables is not None:
            self.tables.everything_changed()

    def follow_fdb(self) -> None:
        """Remove what depends on entries that were learned, moved or forgotten: a few at once, of many most later."""
        if self.tables is not None:
            self.tables.follow_fdb()
        changed, by_key = self._fdb.take_changed(), self._cached.by_fdb_key
        if not by_key.keys().isdisjoint(changed):  # seldom, and each packet that no cache knows passes here
            self._suspect({each for key in changed if key in by_key for each in by_key[key]})

    def settle(self) -> None:
        """Remove what could be wrong, all at once: by MAX_COMPARISONS, or by a flush."""
        if not self.settle_cheaply():
            self._changes = _Changes()
            self._flush()

    def settle_cheaply(self) -> bool:
        """As ``settle`` if few megaflows are concerned, or all; whether it was done."""
        self.follow_fdb()
        changes = self._changes
        if not changes:
            return True
        if changes.everything or not len(self):
            self._changes = _Changes()
            self._flush()
            return True
        if self._comparisons(changes) > MAX_COMPARISONS:
            return False
        suspects = [megaflow for megaflow in self._cached.by_match.values() if changes.concern(megaflow)]
        if len(suspects) > AT_ONCE:
            return False
        self._changes = _Changes()
        self._remove(suspects)
        return True

    def settle_in_steps(self) -> Steps[None] | None:
        """As ``settle``, in steps if there is much to compare; None when it is done at once."""
        if self.settle_cheaply():
            return None
        changes, self._changes = self._changes, _Changes()
        if self._comparisons(changes) > MAX_COMPARISONS_IN_STEPS:
            self._flush()
            return None
        return self._compare_in_steps(changes)

    # --- inside -------------------------------------------------------------------------------------------------

    def _comparisons(self, changes: _Changes) -> int:
        return max(1, len(changes.matches)) * len(self)

    def _compare_in_steps(self, changes: _Changes) -> Steps[None]:
        cached = self._cached
        megaflows = list(cached.by_match.values())
        at_once = max(1, MAX_COMPARISONS // max(1, len(changes.matches)))
        suspects: list[Megaflow] = []
        for start in range(0, len(megaflows), at_once):
            suspects += filter(changes.concern, megaflows[start : start + at_once])
            yield Step.WORKED
            if cached is not self._cached:  # flushed meanwhile
                return
        if self._are_most(suspects):
            self._flush()
            return
        for start in range(0, len(suspects), AT_ONCE):
            self._remove([megaflow for megaflow in suspects[start : start + AT_ONCE] if self._cached.has(megaflow)])
            yield Step.WORKED

    def _suspect(self, megaflows: set[Megaflow]) -> None:
        if len(megaflows) <= AT_ONCE:
            self._remove(list(megaflows))
        elif self._are_most(megaflows):
            self._flush()
        else:
            self._suspects.extend(megaflows)

    def _are_most(self, megaflows: set[Megaflow] | list[Megaflow]) -> bool:
        """Whether a flush is the smaller pause."""
        return len(megaflows) > AT_ONCE and len(megaflows) * FLUSH_GAIN > len(self)

    def _remove(self, megaflows: list[Megaflow]) -> None:
        if not megaflows:
            return
        try:
            self.datapath.remove(megaflows)
        except HostError:
            self.everything_changed()  # what was not removed is as suspect as before
            raise
        for megaflow in megaflows:
            self._credit(megaflow)
            self._cached.forget(megaflow)
            self._removed.note(megaflow)

    def _flush(self) -> None:
        if not len(self):
            return
        try:
            self.datapath.flush()
        except HostError:
            self.everything_changed()
            raise
        self._flushed.append(self._cached)
        self._cached = _Cached()
        self._suspects.clear()

    def _credit_all(self, megaflows: Iterable[Megaflow]) -> None:
        for megaflow in megaflows:
            if megaflow.packets != megaflow.credited_packets:  # of very many few are in use
                self._credit(megaflow)

    def _credit(self, megaflow: Megaflow) -> None:
        packets = megaflow.packets - megaflow.credited_packets
        bytes_ = megaflow.bytes - megaflow.credited_bytes
        if packets:
            self.pipeline.credit(megaflow.translation, packets, bytes_, megaflow.used)
            self.control.count(megaflow, packets)
        megaflow.credited_packets, megaflow.credited_bytes = megaflow.packets, megaflow.bytes
