"""Changes of very many flows, in steps of a millisecond or so, each of which packets see whole or not at all.

A command that means a few flows changes them at once. One that means more than AT_ONCE is prepared beside the tables
while packets go on to be decided by them, put in force by one assignment, and tidied up after that:

- Other instructions are noted at each flow, come into force for all of them together (``NewInstructions``), and
  then become the flow's own.
- For a deletion a set of the flows that stay is made, and takes the place of the old set. What stays is nothing when
  everything goes, and then there is nothing to prepare.

Invariant: while the steps of one change are under way no other command changes or counts visible flows; the owner sees
to that (``agent.agent``). In-band control's flows may change all the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inband.flow.actions import Instruction
from inband.flow.flow import Flow, NewInstructions
from inband.table.changes import Changes
from inband.table.deadlines import Deadlines
from inband.table.flow_set import FlowSet
from inband.table.flow_table import FlowTable
from inband.table.references import References
from inband.table.steps import Step, Steps
from inband.vocabulary.instant import Instant

# So many flows are changed without a pause: a millisecond's work, or five where they are deleted.
AT_ONCE = 500

_LEAVING = NewInstructions(())
"""Notes at a flow that it is about to go; until then it does what it did."""

Parts = list[list[Flow]]
"""Many flows. One list of a million would cost Python's search for cycles 40 ms each time that it comes by."""

Chosen = dict[FlowTable, Parts]
"""Flows by their table."""


@dataclass(frozen=True, slots=True)
class Indexes:
    """What is kept of flows beside their tables. Sets that are of no more use go to ``garbage``."""

    references: References
    deadlines: Deadlines
    garbage: list[FlowSet]

    def forget(self, flows: Iterable[Flow]) -> None:
        """Forget flows that are gone."""
        for flow in flows:
            self.references.remove(flow)
            self.deadlines.forget(flow)


def choose(parts: Iterable[tuple[FlowTable, list[Flow]]]) -> Steps[Chosen]:
    """The flows of a walk, all of them."""
    chosen: Chosen = {}
    for table, flows in parts:
        if flows:
            chosen.setdefault(table, []).append(flows)
        yield Step.WORKED
    return chosen


def give_instructions(
    chosen: Chosen,
    instructions: tuple[Instruction, ...],
    references: References,
    now: Instant,
    *,
    reset_counts: bool,
) -> Steps[Changes]:
    """Give flows other instructions, together."""
    parts = [flows for those in chosen.values() for flows in those]
    is_bulk = _count(chosen) > AT_ONCE
    if is_bulk:
        coming = NewInstructions(instructions)
        for flows in parts:
            for flow in flows:
                flow.coming = coming
            yield Step.WORKED
        coming.in_force = True
        yield Step.CHANGED
    for flows in parts:
        for flow in flows:
            references.remove(flow)
            flow.instructions, flow.coming = instructions, None
            references.add(flow)
            flow.modified = now
            if reset_counts:
                flow.packets = flow.bytes = 0
        if is_bulk:
            yield Step.WORKED
    return Changes(bulk=parts) if is_bulk else Changes(modified=tuple(flow for flows in parts for flow in flows))


def take_out(chosen: Chosen, indexes: Indexes) -> Steps[Changes]:
    """Take flows out of their tables, together."""
    if _count(chosen) <= AT_ONCE:
        removed = [(table, flow) for table, parts in chosen.items() for flows in parts for flow in flows]
        for table, flow in removed:
            table.remove(flow)
        indexes.forget(flow for _, flow in removed)
        return Changes(removed=tuple(flow for _, flow in removed))
    stay: dict[FlowTable, FlowSet] = {}
    for table, parts in chosen.items():
        stay[table] = yield from _without(table, parts)
    for table, rest in stay.items():
        indexes.garbage.append(table.replace(rest))
    yield Step.CHANGED
    for table, parts in chosen.items():
        for flows in parts:
            table.tidy(flows)
            indexes.forget(flows)
            yield Step.WORKED
        table.is_tidy = True
    return Changes(bulk=[flows for parts in chosen.values() for flows in parts])


def _count(chosen: Chosen) -> int:
    return sum(len(flows) for parts in chosen.values() for flows in parts)


def _without(table: FlowTable, gone: Parts) -> Steps[FlowSet]:
    """The set of a table's flows that stay."""
    if sum(map(len, gone)) == len(table.visible):
        return table.empty_set()
    stay = table.empty_set(table.visible.order)
    for flows in gone:
        for flow in flows:
            flow.coming = _LEAVING
        yield Step.WORKED
    for flows in table.walk():
        for flow in flows:
            if flow.coming is not _LEAVING:
                stay.take_over(flow)
        yield Step.WORKED
    return stay
