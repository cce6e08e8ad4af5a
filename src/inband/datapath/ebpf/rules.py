"""The flows in the kernel: rules by masked key, a table's masks in the order of their best rule (``bpf/rules.h``).
What no rule's hash is like shows in a few bits before the map is searched (``rule_filter``).

Of all rules with one mask and value the kernel has the best, the others wait here. What a rule is for that the kernel's
key cannot say goes up, by as much of its match as can be said. For rules of table 0 that there is no place for at all
one stands in that sends everything up, as high as the highest of them; a later table that has such is not there for the
kernel, and packets that get to it go up.

Invariant: the kernel's maps change only while the rules are suspended (generation 0); a frame that began before sees
another generation at its end and goes up.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct

from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.groups import KernelGroups
from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.keys import KeyCompiler, field_words_of, hash_of, with_mask_id, words_of
from inband.datapath.ebpf.layout import (
    ENTRY_HEAD,
    FIELDS_SIZE,
    KEY_SIZE,
    MAX_RULE_MASKS,
    MAX_RULES,
    MAX_TABLES,
    OP,
    RULE_HEAD,
    RULE_MASK,
    RULE_SIZE,
    RuleDecision,
)
from inband.datapath.ebpf.ops import SEND_UP, compile_ops
from inband.datapath.ebpf.rule_filter import RuleFilter
from inband.datapath.ebpf.stations import Stations
from inband.datapath.ebpf.tallies import Tallies
from inband.datapath.ebpf.visits import Known, compile_visit
from inband.datapath.rules import PRIORITY_SHIFT, BucketRule, MissRule, Rule, StationTable, Tally, Told
from inband.errors import HostError
from inband.flow.fields import FlowKey
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.pipeline.rulings import Decider

# Elements written in one call: 0.2 ms.
_AT_ONCE = 256
_NO_MASK = bytes(KEY_SIZE)
_WORD = Struct("=Q")


_Key = tuple[int, int]
"""A masked key and pipeline fields."""


@dataclass(slots=True, eq=False)
class _Mask:
    """A mask, its rules by masked key and fields, best first, and how many there are of each priority."""

    number: int
    table_id: int
    bits: bytes
    fields: int
    words: int
    field_words: int
    rules: dict[_Key, list[_Placed]] = field(default_factory=dict)
    priorities: Counter[int] = field(default_factory=Counter)

    @property
    def bound(self) -> int:
        """No rule in here has a higher rank."""
        return (max(self.priorities) + 1 << PRIORITY_SHIFT) - 1


@dataclass(slots=True, eq=False)
class _Placed:
    """A rule that the kernel has or would have, were there no better one; ``slot`` 0: it counts nothing."""

    rank: int
    decision: RuleDecision
    ops: bytes
    mask: _Mask
    key: _Key
    slot: int = 0
    rule: Rule | None = None


class KernelRules:
    """The rules of one kernel."""

    def __init__(
        self, kernel: Kernel, stations: Stations, slot_of: Callable[[PortNo], int], meters: Mapping[int, bool]
    ) -> None:
        """``meters``: those that the program knows."""
        self.stations: StationTable = stations
        self.told: Told = _no_one_asks
        self._kernel = kernel
        self._slot_of = slot_of
        self._meters = meters
        self._tallies = Tallies(kernel)
        self._groups = KernelGroups(kernel, self._tallies, slot_of)
        self._keys = KeyCompiler()
        self._map = kernel.map("rules")
        self._masks: dict[tuple[int, bytes, int], _Mask] = {}
        self._numbers = list(range(MAX_RULE_MASKS, 0, -1))
        self._hashes: dict[bytes, bytes] = {}
        self._unwritten: dict[bytes, bytes | None] = {}
        self._filter = RuleFilter()
        self._placed: dict[Rule, _Placed] = {}
        self._misses: dict[MissRule, int] = {}
        self._unfit: dict[Rule, None] = {}
        self._catch_all: _Placed | None = None
        self._generation = 0

    def __len__(self) -> int:
        return len(self._placed)

    @property
    def unfit(self) -> int:
        """Rules for which the kernel has no place; all packets that no better one decides go up."""
        return len(self._unfit)

    # Validity

    @property
    def is_valid(self) -> bool:
        """Whether the kernel decides by the rules."""
        return self._kernel.generation != 0

    def suspend(self) -> None:
        """As ``RuleTable.suspend``: one store."""
        self._kernel.set_generation(0)

    def resume(self) -> None:
        """As ``RuleTable.resume``."""
        self._follow_unfit()
        self.write()
        absent = {rule.flow.table_id for rule in self._unfit if rule.flow.table_id}
        masks = [mask for mask in self._masks.values() if mask.table_id not in absent]
        masks.sort(key=lambda mask: (mask.table_id, -mask.bound))
        for place, mask in enumerate(masks):
            marked = mask.bits[:4] + mask.number.to_bytes(2, "big") + mask.bits[6:]
            fields = mask.fields.to_bytes(FIELDS_SIZE, "little")
            value = RULE_MASK.pack(marked, mask.words, 0, mask.bound, mask.field_words, fields)
            libbpf.update(self._kernel.map("rule_masks"), place.to_bytes(4, "little"), value)
        self._kernel.set_rule_masks(Counter(mask.table_id for mask in masks))
        misses = {rule.table_id: slot for rule, slot in self._misses.items() if rule.table_id not in absent}
        self._kernel.set_misses(misses)
        self._generation = self._generation % 0xFFFFFFFF + 1
        self._kernel.set_generation(self._generation)

    def clear(self) -> None:
        """As ``RuleTable.clear``."""
        self.suspend()
        for rule in [*self._placed, *self._unfit]:
            self.remove(rule)
        self._groups.clear()
        self.set_misses(())
        self.write()
        self.stations.clear()

    # Changes

    def put(self, rule: Rule) -> None:
        """As ``RuleTable.put``."""
        table_id = rule.flow.table_id
        if table_id >= MAX_TABLES:
            return  # what would lead there goes up
        compiled, is_exact = self._keys.widen(rule.flow.match, has_fields=table_id > 0)
        if compiled is None:
            return  # no packet is like that
        key = (compiled.key, compiled.fields)
        mask = self._mask(table_id, compiled.mask, compiled.fields_mask)
        if mask is None or not self._claim(mask, key):
            self._unfit[rule] = None
            self._give_back(mask)
            return
        decision, ops = self._compile(rule) if is_exact else (RuleDecision.UP, b"")
        slot = self._tallies.take(rule) if decision is not RuleDecision.UP else 0
        placed = _Placed(rule.rank, decision if slot else RuleDecision.UP, ops, mask, key, slot, rule)
        self._placed[rule] = placed
        self._insert(placed)

    def remove(self, rule: Rule) -> None:
        """As ``RuleTable.remove``."""
        self._unfit.pop(rule, None)
        placed = self._placed.pop(rule, None)
        if placed is None:
            return
        self._take_out(placed)
        if placed.slot:
            self._tallies.give_back(placed.slot)

    def put_group(self, group_id: int, buckets: Sequence[BucketRule]) -> bool:
        """As ``RuleTable.put_group``."""
        return self._groups.put(group_id, buckets)

    def remove_group(self, group_id: int) -> None:
        """As ``RuleTable.remove_group``."""
        self._groups.remove(group_id)

    def set_misses(self, misses: Sequence[MissRule]) -> None:
        """As ``RuleTable.set_misses``."""
        for rule in set(self._misses).difference(misses):
            if slot := self._misses.pop(rule):
                self._tallies.give_back(slot)
        for rule in misses:
            if rule not in self._misses and rule.table_id < MAX_TABLES:
                self._misses[rule] = self._tallies.take(rule)

    def all_of(self, table_id: int) -> bool:
        """As ``RuleTable.all_of``."""
        return table_id < MAX_TABLES and not any(rule.flow.table_id == table_id for rule in self._unfit)

    def asks(self, rule: Rule) -> bool:
        """As ``RuleTable.asks``."""
        placed = self._placed.get(rule)
        return placed is None or placed.decision is RuleDecision.UP

    def write(self) -> None:
        """Write what has changed into the kernel's map. What is refused, and what follows, is written next time."""
        words = {number.to_bytes(4, "little"): _WORD.pack(bits) for number, bits in self._filter.unwritten.items()}
        self._put(self._kernel.map("rule_filter"), list(words.items()))
        self._filter.unwritten.clear()
        unwritten = self._unwritten
        gone = [hashed for hashed, value in unwritten.items() if value is None]
        libbpf.delete_many(self._map, gone)
        there = [(hashed, value) for hashed, value in unwritten.items() if value is not None]
        self._put(self._map, there)
        unwritten.clear()

    def _put(self, descriptor: int, elements: Sequence[tuple[bytes, bytes]]) -> None:
        for start in range(0, len(elements), _AT_ONCE):
            part = elements[start : start + _AT_ONCE]
            done = libbpf.update_many(descriptor, [each for each, _ in part], [value for _, value in part])
            for key, value in part[done:]:
                libbpf.update(descriptor, key, value)

    # Counting

    def read(self, rule: Rule) -> None:
        """As ``RuleTable.read``."""
        placed = self._placed.get(rule)
        if placed is not None and placed.slot:
            self._tallies.read(placed.slot)

    def count(self) -> Iterator[list[Tally]]:
        """As ``RuleTable.count``."""
        return self._tallies.count()

    # Inside

    def _compile(self, rule: Rule) -> tuple[RuleDecision, bytes]:
        decider, actions, visit = rule.ruling
        if decider is Decider.NORMAL:
            return RuleDecision.NORMAL, b""
        if decider is Decider.SWITCH:
            return RuleDecision.UP, b""
        if visit is not None:
            visited = compile_visit(visit, Known(self._slot_of, self._meters, rule.flow.match), self._groups)
            return (RuleDecision.UP, b"") if visited is None else (RuleDecision.VISIT, visited)
        ops = compile_ops(actions, self._slot_of)
        return (RuleDecision.UP, b"") if ops == SEND_UP else (RuleDecision.OPS, ops)

    def _mask(self, table_id: int, bits: bytes, fields: int = 0) -> _Mask | None:
        which = (table_id, bits, fields)
        mask = self._masks.get(which)
        # One number is for the rule that stands in for those that have no place.
        if mask is None and len(self._numbers) > (0 if which == (0, _NO_MASK, 0) else 1):
            words, field_words = words_of(bits), field_words_of(fields)
            mask = self._masks[which] = _Mask(self._numbers.pop(), table_id, bits, fields, words, field_words)
        return mask

    def _give_back(self, mask: _Mask | None) -> None:
        if mask is not None and not mask.rules:
            del self._masks[mask.table_id, mask.bits, mask.fields]
            self._numbers.append(mask.number)

    def _claim(self, mask: _Mask, key: _Key) -> bool:
        """Whether the place of this key in the kernel's map can be had; not if another key has the same hash."""
        hashed, whole = self._hash(mask, key)
        if hashed not in self._hashes and len(self._hashes) >= MAX_RULES - 1:
            return False
        if hashed not in self._hashes:
            self._filter.add(hashed)
        return self._hashes.setdefault(hashed, whole) == whole

    def _hash(self, mask: _Mask, key: _Key) -> tuple[bytes, bytes]:
        """The hash by which the kernel finds a rule, and all of its key, the pipeline fields behind it."""
        masked, fields = key
        whole = with_mask_id(masked, mask.number)
        hashed = hash_of(whole, mask.words, self._kernel.secret, fields, mask.field_words)
        return hashed, whole + fields.to_bytes(FIELDS_SIZE, "little")

    def _insert(self, placed: _Placed) -> None:
        mask = placed.mask
        mask.priorities[placed.rank >> PRIORITY_SHIFT] += 1
        rules = mask.rules.setdefault(placed.key, [])
        insort(rules, placed, key=lambda each: -each.rank)
        if rules[0] is placed:
            self._note(mask, placed.key)

    def _take_out(self, placed: _Placed) -> None:
        mask, priority = placed.mask, placed.rank >> PRIORITY_SHIFT
        rules = mask.rules[placed.key]
        was_best = rules[0] is placed
        rules.remove(placed)
        mask.priorities[priority] -= 1
        if not mask.priorities[priority]:
            del mask.priorities[priority]
        if was_best:
            self._note(mask, placed.key)
        if not rules:
            del mask.rules[placed.key]
            hashed, _ = self._hash(mask, placed.key)
            del self._hashes[hashed]
            self._filter.remove(hashed)
        self._give_back(mask)

    def _note(self, mask: _Mask, key: _Key) -> None:
        hashed, whole = self._hash(mask, key)
        rules = mask.rules[key]
        self._unwritten[hashed] = _value(rules[0], whole) if rules else None

    def _follow_unfit(self) -> None:
        """Have everything go up that a rule without a place might decide."""
        if self._catch_all is not None:
            self._take_out(self._catch_all)
            self._catch_all = None
        ranks = [rule.rank for rule in self._unfit if rule.flow.table_id == 0]
        if not ranks:
            return
        mask = self._mask(0, _NO_MASK)
        if mask is None or not self._claim(mask, (0, 0)):
            raise HostError("write rules", "another key has the hash of the rule for all packets")
        self._catch_all = _Placed(max(ranks), RuleDecision.UP, b"", mask, (0, 0))
        self._insert(self._catch_all)


def _no_one_asks(in_port: PortNo, frame: Frame, key: FlowKey) -> None:
    """Until someone owns the rules."""


def _value(placed: _Placed, whole: bytes) -> bytes:
    visit = placed.rule.ruling.visit if placed.rule is not None and placed.decision is RuleDecision.VISIT else None
    bits, mask = visit.metadata if visit is not None else (0, 0)
    next_table = visit.next_table or 0 if visit is not None else 0
    head = RULE_HEAD.pack(placed.rank, placed.decision, next_table, whole[KEY_SIZE:], bits, mask)
    entry = ENTRY_HEAD.pack(0, placed.slot, len(placed.ops) // OP.size, 0, whole[:KEY_SIZE])
    return (head + entry + placed.ops).ljust(RULE_SIZE, b"\0")
