"""The state of one packet's translation (Open vSwitch: xlate_ctx): what is decided from, and what is decided so far.

A context lives for one packet. It does nothing by itself; each module beside this one does a part of the work on it:

- ``tables``: lookups, instructions, the action set; ``actions``: lists of actions, resubmit; ``edits``: header edits.
- ``outputs``, ``normal``, ``groups``, ``metering``, ``packet_in``: what single actions and instructions mean.
- ``packet_state`` (``packet``): the packet as it is now, and the bits of it that decisions depended on.
- ``translate`` makes the context, and of what it has collected the Translation.

Control before data: while the actions of a flow of in-band control run (``overrides_ports``), port configuration does
not count.

Invariants:
- With a ``trace`` nothing outside the context changes. Without one the FDB, the storm guard, the DNS connections, the
  meters and the named counters do, and nothing else.
- Work is bounded by MAX_LOOKUPS lookups, as many buckets, MAX_WORK actions, and MAX_DEPTH resubmits and groups within
  one another.
- A packet whose decision depends on more than its bits (its payload, what was flooded of late) is not
  ``packet.cacheable``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from inband.flow.actions import Action
from inband.flow.flow import Flow
from inband.flow.membership import VlanMembership
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.pipeline.action_set import ActionSet
from inband.pipeline.fdb import FdbKey
from inband.pipeline.packet_state import PacketState
from inband.pipeline.program import Program
from inband.pipeline.switch_state import SwitchState
from inband.pipeline.trace import Note, Trace
from inband.table.groups import Counter
from inband.table.table_set import Credit
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant

# Resubmits and groups within one another, and lookups or buckets for one packet; more is a loop, or groups of groups
# that multiply without end. Open vSwitch has the same bounds for lookups.
MAX_DEPTH = 64
MAX_LOOKUPS = 4096
# Actions for one packet, each output of a flood among them: 20 us each. One that changes a header counts as several,
# for the packet is read again behind it. Open vSwitch drops packets with more than 64 kB of actions.
MAX_WORK = 4096
EDIT_WORK = 4


class Missed(NamedTuple):
    """A table in which no flow matched."""

    table_id: int


Place = Flow | Missed | None
"""Where in the tables actions run: in a flow, behind a table without a match, or outside (a PACKET_OUT's own)."""


@dataclass(slots=True, eq=False)
class XlateContext:
    """One packet that came in on ``in_port``. ``in_band`` False leaves out in-band control's flows.

    ``list_ended``: the list of actions under way has come to an early end, and its flow's instructions with it.
    ``went_beside``: a rule beside the flow table applies, which ``shows_place`` as in ``Origin``. ``is_copy``: in-band
    control has flooded this frame a moment ago. ``is_data_closed``: the port takes in nothing but in-band control.
    ``member`` says in which VLANs the port is, None: it carries all. ``only_local``: a rule runs past the port's
    membership, and for LOCAL alone (``members``). ``is_withheld``: LOCAL does not get it (``lease_servers``).
    """

    switch: SwitchState
    packet: PacketState
    in_port: PortNo
    frame: Frame
    now: Instant
    in_band: bool = True
    trace: Trace | None = None
    member: VlanMembership | None = None

    # Where the work is.
    place: Place = field(default=None, init=False)
    depth: int = field(default=0, init=False)
    work: int = field(default=0, init=False)
    overrides_ports: bool = field(default=False, init=False)
    list_ended: bool = field(default=False, init=False)
    is_stopped: bool = field(default=False, init=False)
    is_exhausted: bool = field(default=False, init=False)
    action_set: ActionSet | None = field(default=None, init=False)
    went_beside: bool = field(default=False, init=False)
    shows_place: bool = field(default=False, init=False)
    is_copy: bool = field(default=False, init=False)
    is_data_closed: bool = field(default=False, init=False)
    only_local: bool = field(default=False, init=False)
    is_withheld: bool = field(default=False, init=False)

    # What the Translation is made of.
    program: Program = field(default_factory=Program, init=False)
    credits: list[Credit] = field(default_factory=list, init=False)
    counters: list[Counter] = field(default_factory=list, init=False)
    fdb_keys: dict[FdbKey, None] = field(default_factory=dict, init=False)
    source: tuple[FdbKey, PortNo] | None = field(default=None, init=False)
    unicast_port: PortNo | None = field(default=None, init=False)
    hidden: Flow | None = field(default=None, init=False)
    lost: Mac | None = field(default=None, init=False)
    waits_for: Mac | None = field(default=None, init=False)
    drop_reason: str | None = field(default=None, init=False)

    @property
    def table_id(self) -> int:
        """The table in which actions run; 0 outside of any."""
        return 0 if self.place is None else self.place.table_id

    def stop(self, why: str) -> None:
        """End this packet, or this copy of it."""
        self.is_stopped = True
        self.drop(why)

    def give_up(self, why: str) -> None:
        """End the packet and every copy of it."""
        self.is_exhausted = True
        self.stop(why)

    def has_done(self, work: int) -> None:
        """Note actions; too many end the packet and every copy of it."""
        self.work += work
        if self.work > MAX_WORK:
            self.give_up("over 4,096 actions for one packet")

    def drop(self, why: str) -> None:
        """Note why an action sends nothing; the actions behind it run."""
        self.drop_reason = why
        self.note(why)

    def note(self, text: str) -> None:
        """Tell whoever traces."""
        if self.trace is not None:
            self.trace.steps.append(Note(self.depth, text))

    def count(self, name: str) -> None:
        """Count a named event."""
        if self.trace is None:
            self.switch.counters[name] = self.switch.counters.get(name, 0) + 1


RunActions = Callable[[XlateContext, Iterable[Action]], None]
"""Runs a list of actions in order, until one ends the list or the packet.

Instructions and buckets hold actions, and actions lead to tables and groups again. So that each can be read and tested
without the others, the modules of tables and groups are told what runs a list.
"""
