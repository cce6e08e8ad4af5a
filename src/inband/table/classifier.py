"""Which flow decides about a packet, and which bits of the packet that depended on.

Two implementations of one contract. :class:`LinearClassifier` asks every flow; it is obviously right.
:class:`TupleSpaceClassifier` keeps the flows of each mask together, so that a packet costs one dictionary access per
mask, and visits masks from the highest priority down until nothing better can follow.

The second answer, the mask, is what makes a datapath cache correct: every packet that agrees with the one looked up
on the bits of the mask is decided by the same flow. The fewer bits, the more packets one cached decision serves, so a
mask that has no flow for a packet must show that with as few bits as it can. For this each mask keeps its values
sorted, with its fields in an order of their own (``_ORDER``: what tells most traffic apart first, addresses before
ports). A sorted list is a binary trie: the value that shares most leading bits with a missing one is its neighbour, and
the bits up to the first difference prove the absence. That covers what others do with staged lookup (L2 before L3
before L4) and address tries, in one structure: traffic to other addresses than a remote's does not depend on ports at
all, and of its address only on leading bytes.

Invariant: both classifiers always give the same flow (tests/property/test_table_classifier.py). What this is
not: it knows nothing of hidden or visible flows, of timeouts or of counters.
"""

from __future__ import annotations

from bisect import bisect_left
from heapq import heappop, heappush
from typing import Protocol

from inband.flow.fields import FIELDS, KEY_BITS, Field
from inband.flow.flow import Flow


class Classifier(Protocol):
    """Flows of one table, found by key. A flow's match and priority must not change while it is in here."""

    def insert(self, flow: Flow) -> None:
        """Add a flow that is not in here yet."""

    def remove(self, flow: Flow) -> None:
        """Take a flow out; KeyError when it is not in here (a defect of the caller)."""

    def asks(self, bits: int) -> bool:
        """Whether a flow's match looks at one of these bits of a key."""

    def free(self, most: int) -> bool:
        """Let go of some of the flows, in no order, once it is of no more use; whether there are more."""

    def lookup(self, key: int) -> tuple[Flow | None, int]:
        """The matching flow of highest priority, and the bits that mattered.

        Of equals the first inserted, after those that OpenFlow 1.0 would call exact (see ``exactness``).
        """


class LinearClassifier:
    """The obvious twin: asks flow after flow, best first. Its mask is every bit that any flow asked for."""

    def __init__(self) -> None:
        self._flows: list[Flow] = []

    def insert(self, flow: Flow) -> None:
        """Add a flow behind its equals."""
        index = 0
        while index < len(self._flows) and _precedence(self._flows[index]) >= _precedence(flow):
            index += 1
        self._flows.insert(index, flow)

    def remove(self, flow: Flow) -> None:
        """Take a flow out; KeyError when it is not in here."""
        for index, other in enumerate(self._flows):
            if other is flow:
                del self._flows[index]
                return
        raise KeyError(flow)

    def asks(self, bits: int) -> bool:
        """As :meth:`Classifier.asks`."""
        return any(flow.match.mask & bits for flow in self._flows)

    def free(self, most: int) -> bool:
        """As :meth:`Classifier.free`."""
        del self._flows[-most:]
        return bool(self._flows)

    def lookup(self, key: int) -> tuple[Flow | None, int]:
        """The first flow that matches, and the masks of all that were asked."""
        asked = 0
        for flow in self._flows:
            asked |= flow.match.mask
            if flow.match.matches(key):
                return flow, asked
        return None, asked


# What a flow of OpenFlow 1.0 without any wildcard matches in any case.
_EXACT = sum(FIELDS[name].mask for name in ("in_port", "eth_src", "eth_dst", "eth_type", "vlan_vid"))


def exactness(mask: int) -> int:
    """How flows of one priority are ordered: "no wildcards is always the highest priority" (OpenFlow 1.0, 3.4).

    The codec gives such a flow the highest priority; here it comes before others of this priority.
    """
    return mask.bit_count() if mask & _EXACT == _EXACT else 0


def _precedence(flow: Flow) -> tuple[int, int]:
    return flow.priority, exactness(flow.match.mask)


# A rank orders flows of all masks by one number: priority first, then exactness, then who came first.
_SEQUENCE_BITS = 48
_FIRST = (1 << _SEQUENCE_BITS) - 1
_EXACTNESS_BITS = KEY_BITS.bit_length()
_BELOW_PRIORITY = _EXACTNESS_BITS + _SEQUENCE_BITS

_ETH_TYPE = FIELDS["eth_type"]
_ETH_TYPE_SHIFT = _ETH_TYPE.shift

# What tells most traffic apart at least cost comes first: a mask without a flow for a packet usually says so in the
# first field or two. Ports come last, because they differ from connection to connection. Fields not named here follow.
_ORDER_FIRST = (
    *("eth_type", "ip_proto", "in_port", "in_phy_port", "metadata", "tunnel_id", *(f"reg{i}" for i in range(8))),
    *("vlan_vid", "vlan_pcp", "eth_dst", "eth_src", "arp_op", "icmpv4_type", "icmpv4_code"),
    *("icmpv6_type", "icmpv6_code", "ipv4_dst", "ipv4_src", "ipv6_dst", "ipv6_src"),
)
_PORTS = ("tcp_dst", "tcp_src", "udp_dst", "udp_src", "sctp_dst", "sctp_src")
_ORDER: tuple[Field, ...] = tuple(
    FIELDS[name] for name in (*_ORDER_FIRST, *(n for n in FIELDS if n not in _ORDER_FIRST and n not in _PORTS), *_PORTS)
)

# Bits by which a proof of absence grows within a field; other fields are taken whole. One bit would be the widest
# cache entry, but then entries come in as many different masks as there are prefix lengths of two addresses, and
# every mask costs a datapath one more lookup (an eBPF one has room for 32).
_STEPS = {
    **dict.fromkeys(("ipv4_src", "ipv4_dst", "arp_spa", "arp_tpa"), 8),
    **dict.fromkeys(("ipv6_src", "ipv6_dst", "ipv6_nd_target"), 16),
    **dict.fromkeys(_PORTS, 4),
}

# Repairing the sorted list of a mask value by value moves half of it in memory each time; sorting it anew costs about
# as much as this fraction of its length in single repairs.
_REPAIRS_PER_SORT = 64

# So much that is gone, priorities in a heap or values in a list, may stay beside as much as is there.
_GONE = 64

_Entry = tuple[int, Flow]


class _MaskTable:
    """The flows of one mask. ``bound`` is above the rank of every flow in here and of no higher priority's.

    ``best`` maps a packet's bits under the mask to the flow that decides, ``_others`` to further flows that match them,
    best first: few have any. What is sorted are these bits put together in the order of ``_ORDER`` (``gather``).
    ``eth_types`` counts flows by ethertype when the mask has it: a packet of another ethertype, which most masks of
    in-band control see most of the time, then costs one small dictionary access.
    """

    __slots__ = (
        "_changed",
        "_fields",
        "_highest",
        "_is_sorted",
        "_others",
        "_priorities",
        "_proofs",
        "_sorted",
        "best",
        "bound",
        "eth_types",
        "exactness",
        "mask",
    )

    def __init__(self, mask: int) -> None:
        self.mask = mask
        self.exactness = exactness(mask)
        self.bound = 0
        self.best: dict[int, _Entry] = {}
        self._others: dict[int, list[_Entry]] = {}
        self.eth_types: dict[int, int] | None = {} if _ETH_TYPE.get(mask) == _ETH_TYPE.all_ones else None
        self._fields = _pieces(mask)
        self._proofs = _proofs_of_absence(mask)
        self._priorities: dict[int, int] = {}
        self._highest: list[int] = []  # a heap of negated priorities, among them some that are gone
        self._sorted: list[int] = []
        self._is_sorted = True  # but for ``_changed``
        self._changed: list[int] = []

    def gather(self, key: int) -> int:
        """The bits of ``key`` under this mask, in the order of ``_ORDER`` from the top."""
        value = 0
        for shift, bits, width in self._fields:
            value = value << width | key >> shift & bits
        return value

    def insert(self, rank: int, flow: Flow) -> None:
        value, priority = flow.match.value, flow.priority
        entry, best = (rank, flow), self.best.get(value)
        if best is None:
            self.best[value] = entry
            self._note_change(value)
        elif rank > best[0]:
            self.best[value] = entry
            self._others.setdefault(value, []).insert(0, best)
        else:
            others = self._others.setdefault(value, [])
            index = 0
            while index < len(others) and others[index][0] > rank:
                index += 1
            others.insert(index, entry)
        of_priority = self._priorities.get(priority, 0)
        self._priorities[priority] = of_priority + 1
        if not of_priority:
            heappush(self._highest, -priority)
            if len(self._highest) > 2 * len(self._priorities) + _GONE:
                self._highest = sorted(-each for each in self._priorities)
            self.bound = max(self.bound, priority + 1 << _BELOW_PRIORITY)
        if self.eth_types is not None:
            eth_type = value >> _ETH_TYPE_SHIFT & 0xFFFF
            self.eth_types[eth_type] = self.eth_types.get(eth_type, 0) + 1

    def remove(self, flow: Flow) -> None:
        value = flow.match.value
        if value not in self._others:
            if self.best[value][1] is not flow:
                raise KeyError(flow)
            del self.best[value]
            self._note_change(value)
        else:
            self._remove_of_several(value, flow)
        if self.eth_types is not None:
            _discount(self.eth_types, value >> _ETH_TYPE_SHIFT & 0xFFFF)
        _discount(self._priorities, flow.priority)
        while self._highest and -self._highest[0] not in self._priorities:
            heappop(self._highest)
            self.bound = 1 - self._highest[0] << _BELOW_PRIORITY if self._highest else 0

    def _remove_of_several(self, value: int, flow: Flow) -> None:
        entries = [self.best[value], *self._others[value]]
        kept = [entry for entry in entries if entry[1] is not flow]
        if len(kept) == len(entries):
            raise KeyError(flow)
        self.best[value], *others = kept
        if others:
            self._others[value] = others
        else:
            del self._others[value]

    def free(self, most: int) -> bool:
        for flows in (self.best, self._others):
            for _ in range(min(most, len(flows))):
                flows.popitem()
        del self._sorted[-most:], self._changed[-most:], self._highest[-most:]
        return bool(self.best or self._others or self._sorted or self._changed or self._highest)

    def prove_absent(self, key: int) -> int:
        """The bits of ``key`` that show that no flow in here matches it, which is so."""
        if self._changed or not self._is_sorted:
            self._settle()
        values, value = self._sorted, self.gather(key)
        index = bisect_left(values, value)
        if index == len(values):
            difference = value ^ values[-1]
        elif index == 0:
            difference = value ^ values[0]
        else:
            above, below = value ^ values[index], value ^ values[index - 1]
            difference = above if above < below else below
        return self._proofs[difference.bit_length()]

    def _note_change(self, value: int) -> None:
        """Note that a value came or went. Where no packet ever asks, flows that come and go are not to pile up here."""
        if self._is_sorted:
            self._changed.append(value)
            if len(self._changed) > len(self.best) + len(self._sorted) + _GONE:
                self._is_sorted = False  # all anew, when a packet asks
                self._changed.clear()
                self._sorted.clear()

    def _settle(self) -> None:
        """Bring the sorted list up to date with the flows; lazily, so that many changes in a row cost one sort."""
        values, best = self._sorted, self.best
        if not self._is_sorted:
            self._sorted, self._is_sorted = _side_by_side(sorted(map(self.gather, best))), True
            return
        are_here = {self.gather(value): value in best for value in self._changed}
        if len(are_here) * _REPAIRS_PER_SORT > len(values):
            stay = [value for value in values if value not in are_here]
            self._sorted = _side_by_side(
                sorted(stay + sorted(value for value, is_here in are_here.items() if is_here))  # two runs
            )
        else:
            for value, is_here in are_here.items():
                index = bisect_left(values, value)
                is_listed = index < len(values) and values[index] == value
                if is_here and not is_listed:
                    values.insert(index, value)
                elif is_listed and not is_here:
                    del values[index]
        self._changed.clear()


class TupleSpaceClassifier:
    """The fast twin. Insert and remove cost the fields of one mask; a lookup costs one access per mask at most."""

    def __init__(self) -> None:
        self._tables: dict[int, _MaskTable] = {}
        self._best_first: list[_MaskTable] = []
        self._inserted = 0

    def insert(self, flow: Flow) -> None:
        """Add a flow that is not in here yet."""
        mask = flow.match.mask
        table = self._tables.get(mask)
        if table is None:
            table = self._tables[mask] = _MaskTable(mask)
        self._inserted += 1
        bound = table.bound
        precedence = flow.priority << _EXACTNESS_BITS | table.exactness
        table.insert(precedence << _SEQUENCE_BITS | _FIRST - self._inserted, flow)
        if table.bound != bound:
            self._best_first = []

    def remove(self, flow: Flow) -> None:
        """Take a flow out; KeyError when it is not in here."""
        table = self._tables[flow.match.mask]
        bound = table.bound
        table.remove(flow)
        if not table.best:
            del self._tables[flow.match.mask]
            self._best_first = []
        elif table.bound != bound:
            self._best_first = []

    def asks(self, bits: int) -> bool:
        """As :meth:`Classifier.asks`. Work: a look at each mask."""
        return any(mask & bits for mask in self._tables)

    def free(self, most: int) -> bool:
        """As :meth:`Classifier.free`."""
        if self._tables:
            mask, table = next(iter(self._tables.items()))
            if not table.free(most):
                del self._tables[mask]
        return bool(self._tables)

    def lookup(self, key: int) -> tuple[Flow | None, int]:
        """The deciding flow and the bits that mattered; see :class:`Classifier`."""
        if not self._tables:  # of each table's three classifiers two mostly are empty
            return None, 0
        tables = self._best_first or self._sort()
        eth_type = key >> _ETH_TYPE_SHIFT & 0xFFFF
        best: Flow | None = None
        best_rank = mattered = 0
        for table in tables:
            if table.bound <= best_rank:
                break
            if table.eth_types is not None and eth_type not in table.eth_types:
                mattered |= _ETH_TYPE.mask
                continue
            entry = table.best.get(key & table.mask)
            if entry is None:
                mattered |= table.prove_absent(key)
                continue
            mattered |= table.mask
            if entry[0] > best_rank:
                best_rank, best = entry
        return best, mattered

    def _sort(self) -> list[_MaskTable]:
        self._best_first = sorted(self._tables.values(), key=lambda table: -table.bound)
        return self._best_first


def _side_by_side(values: list[int]) -> list[int]:
    """The same numbers, made anew in their order: so a search reads memory that is together, and is a tenth faster."""
    return [value + 0 for value in values]


def _pieces(mask: int) -> list[tuple[int, int, int]]:
    """(shift, bits, width) of what ``gather`` puts together: fields, or several that are side by side in a key, too."""
    pieces: list[tuple[int, int, int]] = []
    for field in _ORDER:
        bits = field.get(mask)
        if not bits:
            continue
        if pieces and pieces[-1][0] == field.shift + field.bits:
            _, above, width = pieces.pop()
            pieces.append((field.shift, above << field.bits | bits, width + field.bits))
        else:
            pieces.append((field.shift, bits, field.bits))
    return pieces


def _proofs_of_absence(mask: int) -> list[int]:
    """For a gathered value that differs from every stored one at bit n-1 at the latest: the key bits to look at.

    Entry n holds the mask's bits from the first field of ``_ORDER`` down to that bit, rounded to the field's step.
    """
    fields = [f for f in _ORDER if f.get(mask)]
    proofs = [0] * (sum(f.bits for f in fields) + 1)
    position, above = len(proofs) - 1, 0
    for field in fields:
        step = _STEPS.get(field.name, field.bits)
        for low in range(field.bits - step, -1, -step):
            above |= mask & field.mask & ~0 << field.shift + low
            for _ in range(step):
                proofs[position] = above
                position -= 1
    return proofs


def _discount(counts: dict[int, int], what: int) -> None:
    """Count one less; what is left of 0 is forgotten."""
    counts[what] -= 1
    if not counts[what]:
        del counts[what]
