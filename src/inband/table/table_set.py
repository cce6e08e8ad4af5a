"""All flow tables of a bridge and the commands on them, as OpenFlow 1.3.5, 6.4 defines flow table modification.

Two doors lead in. Commands of controllers (``add``, ``modify``, ``delete``, ``select``) see visible flows only;
in-band control uses ``install_hidden``, ``remove_hidden`` and ``replace_hidden``, for which no limit counts. Nothing a
controller can say reaches a hidden flow: the iteration behind every command yields visible flows.

Work: add and strict commands are independent of the number of flows (CHECK_OVERLAP is not: it asks each flow of the
table); non-strict commands ask each flow of the tables they name; expiry asks only flows that are due. What may ask
very many comes in steps (``table.steps``), and what changes very many is put in force at once (``table.bulk``); each
has a form that does it in one go, for callers that have the time.

No clock: ``now`` is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from inband.flow.actions import Action, ApplyActions, Group, Instruction, Output, WriteActions
from inband.flow.flow import Flow, FlowFlags
from inband.flow.match import ANY, Match
from inband.flow.ports import ANY as ANY_PORT
from inband.flow.ports import PortNo
from inband.flow.priority import HiddenPriority, OpenFlowPriority
from inband.table import bulk
from inband.table.changes import BadTable, Changes, Overlap, TableFull
from inband.table.classifier import Classifier, TupleSpaceClassifier
from inband.table.deadlines import Deadlines
from inband.table.flow_order import CHUNK
from inband.table.flow_set import FlowSet
from inband.table.flow_table import FlowTable, TableMiss
from inband.table.groups import GroupTable
from inband.table.meters import MeterTable
from inband.table.references import Needed, References
from inband.table.steps import Step, Steps, in_one_go
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import ALL_TABLES, ANY_GROUP, ConfigFlags, FlowRemovedReason

MAX_TABLES: Final = 254
"""OFPTT_MAX is 0xfe; 0xff names all tables. 254 is what Open vSwitch offers, and controllers expect no more."""

# Flows that time out in one turn: about two milliseconds.
MAX_EXPIRED: Final = 200

Credit = tuple[int, Flow | None]
"""One lookup that a packet went through: the table, and the flow that matched there (None: none did)."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which flows a command means besides match and priority (OpenFlow 1.3.5, 6.4).

    A flow passes when its cookie equals ``cookie`` under ``cookie_mask`` and when, unless ANY is given, it has an
    output to ``out_port`` and a reference to ``out_group``.
    """

    cookie: int = 0
    cookie_mask: int = 0
    out_port: PortNo = ANY_PORT
    out_group: int = ANY_GROUP

    def passes(self, flow: Flow) -> bool:
        """Whether the flow is meant."""
        if (flow.cookie ^ self.cookie) & self.cookie_mask:
            return False
        if self.out_port != ANY_PORT and not _outputs_to(flow, self.out_port):
            return False
        return self.out_group == ANY_GROUP or Group(self.out_group) in _actions(flow)


NO_FILTER = Filter()


# A flow that is gone is let go of twice, as an entry and by the classifier. So after a fifth as many additions all are.
FREED_PER_ADDITION = 10


class TableSet:
    """Tables 0 to n_tables-1. ``limit`` is how many visible flows one table may hold (None: no limit).

    ``groups`` and ``meters`` are what flows may use; ``users`` tells which do. ``fragments`` is how flows match
    fragments: normally, not at all (FRAG_DROP), or by what they carry (FRAG_NX_MATCH).
    """

    def __init__(
        self,
        n_tables: int = MAX_TABLES,
        *,
        limit: int | None = None,
        miss: TableMiss = TableMiss.DROP,
        make_classifier: Callable[[], Classifier] = TupleSpaceClassifier,
    ) -> None:
        self.limit = limit
        self.fragments = ConfigFlags.FRAG_NORMAL
        self.groups = GroupTable()
        self.meters = MeterTable()
        self._references = References()
        self._tables = [FlowTable(table_id, miss, make_classifier) for table_id in range(n_tables)]
        self.first = self._tables[0]
        """Table 0: where packets come first, and where in-band control's flows are."""
        self._deadlines = Deadlines()
        self._garbage: list[FlowSet] = []
        self._indexes = bulk.Indexes(self._references, self._deadlines, self._garbage)
        self.is_changing = False
        """Whether the steps of a change are under way: then no flow may time out, which would be another change."""

    def __len__(self) -> int:
        """How many tables there are."""
        return len(self._tables)

    def __getitem__(self, table_id: int) -> FlowTable:
        """One table; BadTable when there is none of this number."""
        if not 0 <= table_id < len(self._tables):
            raise BadTable(f"there is no table {table_id}: tables are 0 to {len(self._tables) - 1}")
        return self._tables[table_id]

    def asks_behind(self, table_id: int, bits: int) -> bool:
        """Whether a visible flow of a later table looks at one of these bits of a key. Work: a look at each mask."""
        return any(table.visible.asks(bits) for table in self._tables[table_id + 1 :] if table.active)

    # --- commands of controllers -------------------------------------------------------------------------------

    def add(self, flow: Flow, now: Instant) -> Changes:
        """OFPFC_ADD: the flow takes the place of a visible one with the same match and priority.

        Counters of a replaced flow carry over unless the new one says RESET_COUNTS; its duration does not. Raises
        BadTable, Overlap (only with CHECK_OVERLAP) or TableFull, and then changed nothing. A hidden flow does not
        belong here.
        """
        if flow.flags is not FlowFlags.NONE and flow.flags & FlowFlags.CHECK_OVERLAP:  # an & of flags is slow
            in_one_go(self.refuse_overlap(flow))
        return self.add_unchecked(flow, now)

    def add_unchecked(self, flow: Flow, now: Instant) -> Changes:
        """As ``add``, after ``refuse_overlap`` where that was asked for."""
        if isinstance(flow.priority, HiddenPriority) or flow.origin is not None:
            raise TypeError("add() is for flows of controllers; hidden ones come by install_hidden()")
        table = self[flow.table_id]
        if self.limit is not None and table.active >= self.limit and table.find(flow.match, flow.priority) is None:
            raise TableFull(f"table {flow.table_id} is full: it holds {table.active} flows")
        flow.created = flow.modified = flow.used = now
        replaced = table.visible.put(flow)
        if replaced is not None:
            if not flow.flags & FlowFlags.RESET_COUNTS:
                flow.packets, flow.bytes = replaced.packets, replaced.bytes
                replaced.heir = flow
            self._indexes.forget((replaced,))
        self._references.add(flow)
        self._deadlines.watch(flow)
        if self._garbage:  # or new flows could come faster than old ones go, and both would be there at once
            self.free_garbage(FREED_PER_ADDITION)
        return Changes((flow,)) if replaced is None else Changes((flow,), replaced=(replaced,))

    def refuse_overlap(self, flow: Flow) -> Steps[None]:
        """CHECK_OVERLAP, in steps. Raises BadTable, Overlap."""
        for flows in self[flow.table_id].walk():
            for other in flows:
                if other.priority == flow.priority and other.match.overlaps(flow.match):
                    raise Overlap(
                        f"a flow of priority {flow.priority} in table {flow.table_id} matches some of the same packets"
                    )
            yield Step.WORKED

    def modify_in_steps(
        self,
        table_id: int,
        match: Match,
        instructions: tuple[Instruction, ...],
        now: Instant,
        *,
        priority: OpenFlowPriority | None = None,
        cookie: int = 0,
        cookie_mask: int = 0,
        reset_counts: bool = False,
    ) -> Steps[Changes]:
        """OFPFC_MODIFY, or with a priority OFPFC_MODIFY_STRICT: give the flows that are meant other instructions.

        Cookie, timeouts, flags and, unless ``reset_counts``, counters stay. Nothing matching is no error; OpenFlow 1.0,
        which adds a flow then, sees empty Changes. Raises BadTable.
        """
        chosen = yield from bulk.choose(self._walk(table_id, match, priority, Filter(cookie, cookie_mask)))
        return (
            yield from bulk.give_instructions(chosen, instructions, self._references, now, reset_counts=reset_counts)
        )

    def modify(
        self,
        table_id: int,
        match: Match,
        instructions: tuple[Instruction, ...],
        now: Instant,
        *,
        priority: OpenFlowPriority | None = None,
        cookie: int = 0,
        cookie_mask: int = 0,
        reset_counts: bool = False,
    ) -> Changes:
        """``modify_in_steps`` in one go."""
        return in_one_go(
            self.modify_in_steps(
                table_id,
                match,
                instructions,
                now,
                priority=priority,
                cookie=cookie,
                cookie_mask=cookie_mask,
                reset_counts=reset_counts,
            )
        )

    def delete_in_steps(
        self,
        table_id: int,
        match: Match = ANY,
        *,
        priority: OpenFlowPriority | None = None,
        only: Filter = NO_FILTER,
    ) -> Steps[Changes]:
        """OFPFC_DELETE, or with a priority OFPFC_DELETE_STRICT; ``table_id`` may be ALL_TABLES. Raises BadTable."""
        chosen = yield from bulk.choose(self._walk(table_id, match, priority, only))
        return (yield from bulk.take_out(chosen, self._indexes))

    def delete(
        self,
        table_id: int,
        match: Match = ANY,
        *,
        priority: OpenFlowPriority | None = None,
        only: Filter = NO_FILTER,
    ) -> Changes:
        """``delete_in_steps`` in one go."""
        return in_one_go(self.delete_in_steps(table_id, match, priority=priority, only=only))

    def users(self, needed: Needed) -> tuple[Flow, ...]:
        """The flows that use a group or a meter."""
        return self._references.users(needed)

    def user_count(self, needed: Needed) -> int:
        """How many flows use a group or a meter."""
        return self._references.count(needed)

    def delete_users(self, needed: Iterable[Needed]) -> Steps[Changes]:
        """Remove the flows that use groups or meters which are gone (OpenFlow 1.3.5, 6.5 and 6.6)."""
        chosen: bulk.Chosen = {}
        for flow in dict.fromkeys(flow for each in needed for flow in self.users(each)):
            parts = chosen.setdefault(self._tables[flow.table_id], [[]])
            if len(parts[-1]) == CHUNK:
                parts.append([])
            parts[-1].append(flow)
        return (yield from bulk.take_out(chosen, self._indexes))

    def walk(
        self,
        table_id: int = ALL_TABLES,
        match: Match = ANY,
        priority: OpenFlowPriority | None = None,
        only: Filter = NO_FILTER,
    ) -> Iterator[list[Flow]]:
        """The visible flows that a command or a request for statistics means, some at a time; many lists are empty.

        Strict when it gives a priority. Flows that come later are not in it, nor those that go before the walk gets
        to them. Raises BadTable, at once.
        """
        return (flows for _, flows in self._walk(table_id, match, priority, only))

    def select(self, table_id: int = ALL_TABLES, match: Match = ANY, only: Filter = NO_FILTER) -> list[Flow]:
        """``walk`` in one go."""
        return [flow for flows in self.walk(table_id, match, None, only) for flow in flows]

    # --- in-band control ---------------------------------------------------------------------------------------

    def install_hidden(self, flow: Flow, now: Instant = 0.0) -> Changes:
        """Add a hidden flow, outside every limit; one with the same match and priority is replaced by it."""
        if not flow.is_hidden or flow.origin is None:
            raise TypeError("install_hidden() is for hidden flows, which have an origin; controllers use add()")
        table = self[flow.table_id]
        replaced = table.find(flow.match, flow.priority)
        if replaced is flow:
            return Changes()
        flow.created = flow.modified = flow.used = now
        if replaced is not None:
            self._take_out(table, replaced)
        table.insert_hidden(flow)
        self._references.add(flow)
        return Changes(added=(flow,), replaced=() if replaced is None else (replaced,))

    def remove_hidden(self, flow: Flow) -> Changes:
        """Take a hidden flow out; one that is not there is ignored."""
        if not flow.is_hidden or flow not in self[flow.table_id]:
            return Changes()
        self._remove(flow)
        return Changes(removed=(flow,))

    def replace_hidden(self, flow: Flow, instructions: tuple[Instruction, ...]) -> Changes:
        """Give a hidden flow other instructions in place: there is no moment without it."""
        if not flow.is_hidden or flow not in self[flow.table_id] or flow.instructions == instructions:
            return Changes()
        flow.instructions = instructions
        return Changes(modified=(flow,))

    def hidden(self) -> list[Flow]:
        """Every hidden flow, by table, oldest first."""
        return [flow for table in self._tables for flow in table.hidden()]

    # --- time and counters -------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """When ``expire`` can have something to do at the earliest."""
        return None if self.is_changing else self._deadlines.earliest()

    def expire(self, now: Instant, most: int = MAX_EXPIRED) -> list[tuple[Flow, FlowRemovedReason]]:
        """Remove flows whose time is up (their use must have been credited before), with the reason of each.

        No more than ``most`` are looked at: while ``next_deadline`` is not later than ``now`` there are more.
        """
        due = self._deadlines.take_due(now, most)
        for flow, _ in due:
            self._remove(flow)
        return due

    @property
    def has_garbage(self) -> bool:
        """Whether ``free_garbage`` has something to do."""
        return bool(self._garbage)

    def free_garbage(self, most: int) -> bool:
        """Let go of some of what big changes have left; whether there is more."""
        if self._garbage and not self._garbage[-1].free(most):
            self._garbage.pop()
        return bool(self._garbage)

    def credit(self, credits_: Iterable[Credit], packets: int, bytes_: int, now: Instant) -> None:
        """Count packets that a cached or fresh decision decided, to each table and flow it went through.

        A lookup that a hidden flow answered counts to that flow only. Flows that are gone meanwhile still count:
        their FLOW_REMOVED may be on its way.
        """
        for table_id, flow in credits_:
            if flow is not None:
                flow.credit(packets, bytes_, now)
                if flow.origin is not None:  # it is hidden
                    continue
                self._tables[table_id].matched += packets
            self._tables[table_id].lookups += packets

    # --- inside ------------------------------------------------------------------------------------------------

    def _remove(self, flow: Flow) -> None:
        self._take_out(self._tables[flow.table_id], flow)

    def _take_out(self, table: FlowTable, flow: Flow) -> None:
        table.remove(flow)
        self._references.remove(flow)
        self._deadlines.forget(flow)

    def _walk(
        self, table_id: int, match: Match, priority: OpenFlowPriority | None, only: Filter
    ) -> Iterator[tuple[FlowTable, list[Flow]]]:
        tables = self._tables if table_id == ALL_TABLES else (self[table_id],)
        if priority is not None:
            return _walk_strict(tables, match, priority, only)
        return _walk([(table, table.walk()) for table in tables if table.active], match, only)


def _walk_strict(
    tables: Iterable[FlowTable], match: Match, priority: OpenFlowPriority, only: Filter
) -> Iterator[tuple[FlowTable, list[Flow]]]:
    for table in tables:
        found = table.find(match, priority)
        if found is not None and only.passes(found):
            yield table, [found]


def _walk(
    walks: Iterable[tuple[FlowTable, Iterator[list[Flow]]]], match: Match, only: Filter
) -> Iterator[tuple[FlowTable, list[Flow]]]:
    for table, walk in walks:
        for flows in walk:
            if match != ANY:
                flows = [flow for flow in flows if match.covers(flow.match)]
            yield table, flows if only == NO_FILTER else list(filter(only.passes, flows))


def _outputs_to(flow: Flow, port: PortNo) -> bool:
    return any(isinstance(action, Output) and action.port == port for action in _actions(flow))


def _actions(flow: Flow) -> Iterator[Action]:
    """All actions of a flow, applied and written."""
    for instruction in flow.instructions:
        if isinstance(instruction, ApplyActions | WriteActions):
            yield from instruction.actions
