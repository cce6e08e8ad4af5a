"""A flow as it is in a table: what it matches, what it does, and what it has counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag

from inband.flow.actions import Instruction
from inband.flow.match import NO_SURPLUS, Match, Surplus
from inband.flow.origin import Origin
from inband.flow.priority import HiddenPriority, Priority
from inband.vocabulary.instant import Instant


class FlowFlags(IntFlag):
    """OFPFF_* (OpenFlow 1.3.5, 7.3.4.1)."""

    NONE = 0
    SEND_FLOW_REM = 1
    CHECK_OVERLAP = 2
    RESET_COUNTS = 4
    NO_PKT_COUNTS = 8
    NO_BYT_COUNTS = 16


@dataclass(slots=True, eq=False)
class NewInstructions:
    """Other instructions for very many flows: in force for all of them from one moment on."""

    instructions: tuple[Instruction, ...]
    in_force: bool = False


@dataclass(slots=True, eq=False)
class Flow:
    """One flow. Two flows are the same only if they are the same object.

    ``surplus`` is what else its match said when it was made, if that was in OpenFlow 1.0.
    ``idle_timeout_s`` and ``hard_timeout_s`` of 0 mean none. ``packets`` and ``bytes`` count what the caches below
    have reported so far. ``coming`` are instructions that it is about to have; who decides about packets asks
    ``present_instructions``. ``sequence`` is its number in its table. ``heir`` is the flow that took its place and has
    its counters, and those that come late.
    """

    match: Match
    priority: Priority
    instructions: tuple[Instruction, ...]
    table_id: int = 0
    cookie: int = 0
    idle_timeout_s: int = 0
    hard_timeout_s: int = 0
    flags: FlowFlags = FlowFlags.NONE
    importance: int = 0
    created: Instant = 0.0
    modified: Instant = 0.0
    used: Instant = 0.0
    packets: int = field(default=0)
    bytes: int = field(default=0)
    origin: Origin | None = None
    surplus: Surplus = NO_SURPLUS
    coming: NewInstructions | None = None
    sequence: int = 0
    heir: Flow | None = None

    @property
    def present_instructions(self) -> tuple[Instruction, ...]:
        """What it does to a packet now."""
        coming = self.coming
        return self.instructions if coming is None or not coming.in_force else coming.instructions

    @property
    def is_hidden(self) -> bool:
        """Whether controllers cannot know of this flow; decided by the type of its priority, by nothing else."""
        return isinstance(self.priority, HiddenPriority)

    def credit(self, packets: int, bytes_: int, now: Instant) -> None:
        """Count packets that this flow decided about; ``now`` is when the last of them passed."""
        if self.heir is not None:
            self._last_heir().credit(packets, bytes_, now)
            return
        flags = self.flags
        if flags is FlowFlags.NONE:  # nearly always, and an & of flags is slow
            self.packets += packets
            self.bytes += bytes_
        else:
            self.packets += 0 if flags & FlowFlags.NO_PKT_COUNTS else packets
            self.bytes += 0 if flags & FlowFlags.NO_BYT_COUNTS else bytes_
        self.used = max(self.used, now)

    def _last_heir(self) -> Flow:
        heir = self
        while heir.heir is not None:
            heir = heir.heir
        self.heir = heir  # a flow may be replaced by the thousand
        return heir
