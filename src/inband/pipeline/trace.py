"""A record of a packet's way through the tables, for people (``inband trace``): which flow, what it did, and why not.

Tracing changes nothing: with a Trace the pipeline learns no address, remembers no flood and counts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from inband.flow.actions import Action
from inband.flow.flow import Flow


@dataclass(frozen=True, slots=True)
class TableStep:
    """A lookup: the flow that matched in a table, or None. ``depth`` counts the lookups that led here."""

    depth: int
    table_id: int
    flow: Flow | None


@dataclass(frozen=True, slots=True)
class ActionStep:
    """An action begins."""

    depth: int
    action: Action


@dataclass(frozen=True, slots=True)
class Note:
    """What the pipeline has to say of the step before: an address found, a port closed, a copy suppressed."""

    depth: int
    text: str


Step = TableStep | ActionStep | Note


@dataclass(slots=True)
class Trace:
    """Steps in the order in which they happened."""

    steps: list[Step] = field(default_factory=list)

    def flows(self) -> list[Flow]:
        """The flows that matched, in order."""
        return [step.flow for step in self.steps if isinstance(step, TableStep) and step.flow is not None]
