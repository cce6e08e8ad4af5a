"""The contract with a datapath that has the flow tables and what NORMAL has learned, and decides by them.

It decides about packets that no megaflow fits, and tells afterwards. Whoever owns it (``bridge.kernel_tables``) makes
rules of flows and says when these are what the switch decides by.

Invariants: after ``suspend`` packets that no megaflow fits go up, until ``resume``. Rules change only in between. What
a datapath cannot say of a rule it asks about: more packets go up then, and none is decided otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from inband.flow.fields import FlowKey
from inband.flow.flow import Flow
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.pipeline.fdb import FdbKey
from inband.pipeline.rulings import Ruling
from inband.pipeline.visits import Share
from inband.table.classifier import exactness
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant

# A rank orders flows of all masks by one number, as ``table.classifier`` does: by priority, by exactness, by age.
_EXACTNESS_SHIFT = 33
_FIRST = (1 << _EXACTNESS_SHIFT) - 1
PRIORITY_SHIFT = 44
"""A rank's priority begins there."""

Told = Callable[[PortNo, Frame, FlowKey], None]
"""Hears of a packet that was decided by rules: its port, its headers with zeros behind them, its key."""


@dataclass(slots=True, eq=False, kw_only=True)
class Tally:
    """What a datapath counted of something that decides.

    ``packets`` (segments), ``bytes`` and ``used`` are totals, written by the datapath alone, as of the last round of
    ``RuleTable.count``; ``credited_packets`` and ``credited_bytes`` are the part of them that the switch has credited.
    """

    packets: int = 0
    bytes: int = 0
    used: Instant = 0.0
    credited_packets: int = 0
    credited_bytes: int = 0


@dataclass(slots=True, eq=False)
class Rule(Tally):
    """A flow as a datapath decides by it; of a table's that match, the one with the highest ``rank`` does (above 0)."""

    flow: Flow
    rank: int
    ruling: Ruling


@dataclass(slots=True, eq=False)
class BucketRule(Tally):
    """A bucket of a group as a datapath decides by it."""

    share: Share


@dataclass(slots=True, eq=False)
class MissRule(Tally):
    """That packets are dropped which no flow of a table matches."""

    table_id: int


@dataclass(frozen=True, slots=True)
class PortRoles:
    """Ports from which packets may be decided by rules, those NORMAL may send out of, and those it floods to.

    ``local_mac`` is the address of LOCAL, None while it is not known.
    """

    takes: frozenset[PortNo]
    sends: frozenset[PortNo]
    floods: tuple[PortNo, ...]
    local_mac: Mac | None


def rank_of(flow: Flow) -> int:
    """The rank of a flow among those of its table."""
    precedence = int(flow.priority) << PRIORITY_SHIFT | exactness(flow.match.mask) << _EXACTNESS_SHIFT
    return precedence | _FIRST - flow.sequence


class StationTable(Protocol):
    """What NORMAL knows, in a datapath; at first nothing, and no port has a role."""

    def clear(self) -> None:
        """Forget all."""

    def put(self, stations: Mapping[FdbKey, PortNo | None], pinned: Container[FdbKey]) -> None:
        """Where addresses are from now on; None: that is not known any more. ``pinned`` ones stay. At any time."""

    def take_left(self, port: PortNo) -> list[tuple[FdbKey, Instant]]:
        """What an earlier process knew behind a port that is the same interface, the longest unused first. Once."""

    def used_at(self, key: FdbKey) -> Instant:
        """When a packet from this address was decided last, or it was put; minus infinity: it is not known."""

    def set_roles(self, roles: PortRoles) -> None:
        """What ports are to rules. Only while the rules are suspended."""


class RuleTable(Protocol):
    """Rules in a datapath, at first none and suspended. Methods raise HostError when the kernel refuses."""

    stations: StationTable
    told: Told

    @property
    def is_valid(self) -> bool:
        """Whether packets are decided by the rules now."""

    def clear(self) -> None:
        """Suspend, and forget all rules and stations, with what they have counted."""

    def suspend(self) -> None:
        """The rules are not what the switch decides by."""

    def resume(self) -> None:
        """They are again."""

    def put(self, rule: Rule) -> None:
        """Have one more."""

    def remove(self, rule: Rule) -> None:
        """Have one less; its final counts are in it when this returns. One that is not there is ignored."""

    def put_group(self, group_id: int, buckets: Sequence[BucketRule]) -> bool:
        """Have a group of which each packet takes one bucket, in the place of what it was, before rules that name it.

        Whether the datapath can say what it does. If not it has none of that number, and rules that name it ask.
        """

    def remove_group(self, group_id: int) -> None:
        """Have no such group; the final counts of its buckets are in them when this returns."""

    def set_misses(self, misses: Sequence[MissRule]) -> None:
        """Drop packets that no flow matches of these tables, and no others; those that went have their final counts.

        Of a table of which the datapath has not ``all_of`` the rules packets go up nevertheless.
        """

    def all_of(self, table_id: int) -> bool:
        """Whether it has a place for all rules of a table."""

    def asks(self, rule: Rule) -> bool:
        """Whether packets of this rule go up: because it says so, or as the datapath cannot say what it does."""

    def read(self, rule: Rule) -> None:
        """Have one rule's counters say what it has counted up to now."""

    def write(self) -> None:
        """Do some of what ``resume`` would have to do."""

    def count(self) -> Iterator[list[Tally]]:
        """A round over all counters, in parts of a millisecond: what has counted packets since the last."""
