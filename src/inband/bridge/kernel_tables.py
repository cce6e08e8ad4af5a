"""Has a datapath decide by the flow tables itself, where it can: compiles flows, and says when they are right.

Whatever changes first suspends the rules: from then on frames that no megaflow fits go up, as to a datapath without
rules. When changes have paused for QUIET_S what changed is compiled, in slices of SLICE_S, and the rules are resumed.
So a burst of FLOW_MODs costs one store and a list, and a barrier is as honest as without rules.

What was decided by rules is told afterwards (``Bridge``), and its counters are credited by the rounds of counting.

Invariants:
- While the rules are valid each rule is a flow in its table and says what the pipeline says of its packets. Flows of
  in-band control whose packets never come to rules have none.
- A flow that has gone has the counts of its rule, which decides nothing any more.
- Stations are the FDB's: ``follow_fdb`` writes what changed, before a frame is sent by it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from inband.datapath.rules import BucketRule, MissRule, PortRoles, Rule, RuleTable, Tally, rank_of
from inband.errors import HostError
from inband.flow.fields import FIELDS
from inband.flow.flow import Flow
from inband.flow.origin import Owner
from inband.flow.ports import LOCAL
from inband.pipeline.rulings import ASK, Decider
from inband.pipeline.translate import Pipeline
from inband.pipeline.visits import groups_among
from inband.table.flow_set import entry_key
from inband.table.flow_table import TableMiss
from inband.table.groups import Counter as PacketCounter
from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import ETH_ARP, REDIRECT, ROUTER_SOLICITATION

# Controllers send changes in bursts, and in between there is little to gain.
QUIET_S = 0.01
# How long it works at a time, and then pauses.
SLICE_S = 0.002
# Compiled flows are about a kilobyte each here and 400 bytes in the kernel.
MAX_FLOWS = 100_000
# Flows compiled between two looks at the clock.
_AT_ONCE = 16
# After the kernel has refused something.
_AGAIN_S = 10.0

_GroupId = int
_Place = tuple[int, int, int, int]
"""Of a flow: its table, and what names it there."""


class KernelTables:
    """The rules of one bridge."""

    def __init__(self, rules: RuleTable, pipeline: Pipeline, max_flows: int = MAX_FLOWS) -> None:
        self._rules = rules
        self._pipeline = pipeline
        self._fdb = pipeline.fdb
        self._tables = pipeline.tables
        self._in_use = {0}
        """Tables that have had flows."""
        self._max_flows = max_flows
        self._by_entry: dict[_Place, Rule] = {}
        self._by_flow: dict[Flow, Rule] = {}
        self._groups: dict[_GroupId, tuple[BucketRule, ...]] = {}
        """Those that rules name, of which each packet takes one bucket; none where the datapath cannot say it."""
        self._misses: dict[int, MissRule] = {}
        """Of tables whose packets are dropped that no flow matches."""
        self._regrouped: set[_GroupId] = set()
        """Of these, what has come to be sayable, or has ceased to be: rules that name it are to be compiled anew."""
        self._changed: deque[Flow | _GroupId] = deque()
        self._all_changed = True
        self._due: Instant | None = None
        self.trouble = ""
        """Why frames that no megaflow fits all go up, and will go on to."""
        rules.clear()
        self._fdb.unwritten = {}
        self._fdb.used_elsewhere = rules.stations.used_at

    @property
    def is_valid(self) -> bool:
        """Whether the datapath decides by the flows now; if not it will shortly, unless there is ``trouble``."""
        return self._rules.is_valid

    def deciders(self) -> Counter[Decider]:
        """How many flows, hidden ones too, have who say what becomes of their packets."""
        return Counter(rule.ruling.decider for rule in self._by_entry.values())

    def drops_missed(self, table_id: int) -> bool:
        """Whether packets that no flow of this table matches are dropped without asking the switch."""
        return table_id in self._misses and self._rules.all_of(table_id)

    def asks(self, flow: Flow) -> bool:
        """Whether the switch is asked about packets that come to this flow."""
        rule = self._by_flow.get(flow)
        return rule is None or self._rules.asks(rule)

    # Changes

    def flows_changed(self, flows: Sequence[Flow]) -> None:
        """Flows came, went, or say something else."""
        self._suspend()
        for flow in flows:
            self._in_use.add(flow.table_id)
            if (rule := self._by_flow.get(flow)) is not None:
                self._rules.read(rule)
                self._credit(rule)
        self._changed.extend(flows)
        if len(self._changed) > self._max_flows:
            self._changed.clear()
            self._all_changed = True

    def everything_changed(self) -> None:
        """Ports, groups or settings changed, or very many flows."""
        self._suspend()
        self._all_changed = True

    def meter_changed(self, users: Sequence[Flow]) -> None:
        """A meter came, went, or has other bands; ``users`` are the flows that name it."""
        self.flows_changed(users)
        for flow in users:
            if (rule := self._by_flow.get(flow)) is not None:
                rule.ruling = ASK  # what was compiled of it may be wrong, though the flow says the same

    def follow_fdb(self) -> None:
        """Write what the FDB has learned and forgotten."""
        if self._fdb.unwritten:
            changed, self._fdb.unwritten = self._fdb.unwritten, {}
            self._rules.stations.put(changed, self._fdb.pinned)

    def _suspend(self) -> None:
        if self._rules.is_valid:
            self._rules.suspend()
        self._due = None

    # Compiling

    @property
    def owes_counts(self) -> bool:
        """Whether flows that are gone may have counts to come: those that changed one by one have them already."""
        return self._all_changed and bool(self._by_entry)

    def next_deadline(self, now: Instant) -> Instant | None:
        """When ``run`` is due, asked at ``now``."""
        if self._rules.is_valid:
            return None
        if self._has_too_many:
            self.trouble = f"there are more than {self._max_flows} flows"
            if not self._by_entry:
                return None
        if self._due is None:
            self._due = now + QUIET_S
        return self._due

    def run(self, clock: Callable[[], Instant]) -> None:
        """Go on with compiling for SLICE_S; decide by the rules when all is done."""
        now = clock()
        due = self.next_deadline(now)
        if due is None or due > now or self._pipeline.tables.is_changing:
            return
        try:
            is_done = (self._give_up if self._has_too_many else self._compile)(clock, now + SLICE_S)
            self._rules.write()
            if is_done:
                self.follow_fdb()
                self._rules.resume()
                self.trouble = ""
        except HostError as error:
            self._all_changed, self._due, self.trouble = True, now + _AGAIN_S, str(error)
            return
        self._due = clock() + SLICE_S

    def finish(self, clock: Callable[[], Instant]) -> None:
        """Compile all that is to be compiled, now."""
        while not self._rules.is_valid:
            self._due = clock()
            self.run(clock)
            if self._due is not None and self._due > clock() + SLICE_S:
                return

    @property
    def _has_too_many(self) -> bool:
        return sum(self._tables[table_id].active for table_id in self._in_use) > self._max_flows

    def _give_up(self, clock: Callable[[], Instant], until: Instant) -> bool:
        """Keep no rules while there are too many flows: they would take memory, and be of no use."""
        self._all_changed = True
        while self._by_entry and clock() < until:
            for entry in list(islice(self._by_entry, _AT_ONCE)):
                self._forget(entry, self._by_entry[entry])
        if not self._by_entry:
            for group_id in list(self._groups):
                self._forget_group(group_id)
        return False

    def _compile(self, clock: Callable[[], Instant], until: Instant) -> bool:
        if self._all_changed:
            self._begin_anew()
        while self._changed:
            for _ in range(min(_AT_ONCE, len(self._changed))):
                changed = self._changed.popleft()
                if isinstance(changed, Flow):
                    self._follow(changed)
                else:
                    self._follow_group(changed)
            if clock() >= until:
                break
        if not self._changed:
            self._regrouped.clear()
        return not self._changed

    def _begin_anew(self) -> None:
        self._all_changed = False
        self._rules.stations.set_roles(self._roles())
        self._follow_misses()
        self._changed = deque(self._groups)
        self._changed.extend(rule.flow for rule in self._by_entry.values())
        self._in_use |= {table_id for table_id in range(len(self._tables)) if self._tables[table_id].active}
        for table_id in sorted(self._in_use):
            self._changed.extend(self._tables[table_id].hidden())
            self._changed.extend(self._tables[table_id])

    def _roles(self) -> PortRoles:
        pipeline, ports = self._pipeline, self._pipeline.ports
        special = ports.closed | ports.outside_tree | ports.mirror_outputs | pipeline.loops.left.keys()
        special |= ports.memberships.keys()
        if pipeline.control_vlan is not None:
            special |= {LOCAL}
        sends = frozenset(port.number for port in ports if port.sends_data)
        takes = ports.numbers - special if not ports.mirrors else frozenset()
        return PortRoles(takes, sends, ports.flooded, pipeline.local_mac)

    def _follow(self, flow: Flow) -> None:
        """Have the rule of a flow's priority and match be what the table has there now."""
        if _needs_no_rule(flow):
            return
        entry = (flow.table_id, *entry_key(flow))
        now, before = self._tables[flow.table_id].find(flow.match, flow.priority), self._by_entry.get(entry)
        if now is None:
            if before is not None:
                self._forget(entry, before)
            return
        rule = Rule(now, rank_of(now), self._pipeline.ruling_of(now))
        groups = rule.ruling.visit.groups if rule.ruling.visit is not None else frozenset()
        if before is not None:
            is_same = before.flow is now and (before.rank, before.ruling) == (rule.rank, rule.ruling)
            if is_same and self._regrouped.isdisjoint(groups):
                return
            self._forget(entry, before)
        for group_id in groups - self._groups.keys():
            self._put_group(group_id)
        self._by_entry[entry] = self._by_flow[now] = rule
        self._rules.put(rule)

    def _forget(self, entry: _Place, rule: Rule) -> None:
        self._rules.remove(rule)
        self._credit(rule)
        del self._by_entry[entry], self._by_flow[rule.flow]

    def _follow_misses(self) -> None:
        """Have packets without a flow dropped where the tables say so."""
        tables, before = self._tables, self._misses
        dropping = [number for number in range(len(tables)) if tables[number].miss is TableMiss.DROP]
        self._misses = {table_id: before.get(table_id) or MissRule(table_id) for table_id in dropping}
        self._rules.set_misses(tuple(self._misses.values()))
        for table_id in before.keys() - self._misses.keys():
            self._credit(before[table_id])

    def _follow_group(self, group_id: _GroupId) -> None:
        """Have what rules know of a group be what it says now."""
        shares, before = self._pipeline.shares_of(group_id), self._groups[group_id]
        is_same = shares == tuple(bucket.share for bucket in before)
        if is_same and self._regrouped.isdisjoint(_named_by(before)):
            return
        self._forget_group(group_id)
        if bool(shares is not None and self._put_group(group_id)) is bool(before):
            return
        self._regrouped.add(group_id)
        self._changed.extendleft(
            other for other, buckets in self._groups.items() if not buckets or group_id in _named_by(buckets)
        )

    def _put_group(self, group_id: _GroupId) -> bool:
        """Whether rules may name it; those that its buckets lead to come first."""
        buckets = tuple(BucketRule(share) for share in self._pipeline.shares_of(group_id) or ())
        for other in _named_by(buckets) - self._groups.keys():
            self._put_group(other)
        self._groups[group_id] = ()  # until the kernel has it; what it refuses is tried again
        self._groups[group_id] = buckets if self._rules.put_group(group_id, buckets) else ()
        return bool(self._groups[group_id])

    def _forget_group(self, group_id: _GroupId) -> None:
        self._rules.remove_group(group_id)
        for bucket in self._groups.pop(group_id):
            self._credit(bucket)

    # Counting

    def count(self) -> Iterator[None]:
        """Credit flows with what was decided by their rules, in parts of about a millisecond."""
        for tallies in self._rules.count():
            for tally in tallies:
                self._credit(tally)
            yield

    def _credit(self, tally: Tally) -> None:
        packets, bytes_ = tally.packets - tally.credited_packets, tally.bytes - tally.credited_bytes
        tally.credited_packets, tally.credited_bytes = tally.packets, tally.bytes
        if not packets:
            return
        counters: Iterable[PacketCounter] = ()
        if isinstance(tally, Rule):
            flow, visit = tally.flow, tally.ruling.visit
            self._tables.credit(((flow.table_id, flow),), packets, bytes_, tally.used)
            counters = visit.counters if visit is not None else ()
        elif isinstance(tally, BucketRule):
            counters = tally.share.counters
        elif isinstance(tally, MissRule):
            self._tables.credit(((tally.table_id, None),), packets, bytes_, tally.used)
        for counter in counters:
            counter.credit(packets, bytes_)


def _named_by(buckets: Iterable[BucketRule]) -> frozenset[_GroupId]:
    return groups_among(step for bucket in buckets for step in bucket.share.applied)


_TYPE, _ICMPV6 = FIELDS["eth_type"], FIELDS["icmpv6_type"]
_PORTS = tuple(FIELDS[name].mask for name in ("tcp_src", "tcp_dst", "udp_src", "udp_dst"))


def _needs_no_rule(flow: Flow) -> bool:
    """Whether all packets of a flow are control frames by their headers, which go up before rules are asked.

    So are most of in-band control's flows, of which thousands of remotes have many. Their ports are told to the
    datapath (``ControlHints``) as they come.
    """
    if flow.origin is None or flow.origin.owner is not Owner.IN_BAND:
        return False
    value, mask = flow.match.value, flow.match.mask
    if any(mask & port == port for port in _PORTS) or (mask & _TYPE.mask and _TYPE.get(value) == ETH_ARP):
        return True
    return mask & _ICMPV6.mask == _ICMPV6.mask and ROUTER_SOLICITATION <= _ICMPV6.get(value) <= REDIRECT
