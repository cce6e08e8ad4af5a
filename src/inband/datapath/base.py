"""The contract between the switch and whatever moves its packets.

Ports come and go; a frame that no cached megaflow matches goes up with its port; the switch answers with actions
and, when the decision may be cached, with a megaflow: the bits that mattered and the actions. Counters come back.

All is done in one thread, and the datapath is called back from ``DatapathClient``'s methods alone. These may execute,
install, remove, flush, and add and remove ports: when they return, the port of the frame under way and the megaflow
that it matched may be gone.

Invariants, for every implementation:

- An empty cache is correct: with none of the megaflows installed every frame goes up, and nothing else changes.
- Cached megaflows never overlap with different actions; the pipeline's wildcard tracking guarantees it.
- A frame is never dropped without a named counter.
- Control frames (see ``ControlHints``) are taken before data frames and cannot be lost to a flood of them.
- ``remove`` and ``flush`` have taken effect when they return. The last counts are in the megaflows after ``remove`` at
  once, after ``flush`` at the end of the next round of ``count``.
- Nothing but ``remove`` of many takes longer than a millisecond or two because the cache is full.
- Results are values or copies: nothing that was returned changes later, but the counts in megaflows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from inband.datapath.rules import RuleTable
from inband.flow.actions import DatapathAction, ToController
from inband.flow.fields import FlowKey
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.pipeline.translation import Translation
from inband.table.meters import MeterEntry
from inband.vocabulary.instant import Instant


@dataclass(slots=True, eq=False)
class Megaflow:
    """One cached decision: every packet that matches gets exactly the actions of ``translation``.

    ``match`` is what the decided packet has under the translation's mask. ``packets`` (GSO segments, not frames),
    ``bytes`` and ``used`` are totals since the install, written by the datapath alone; ``credited_packets`` and
    ``credited_bytes`` are the part of them that the switch has passed on to its flows, written by the switch alone.
    Of the translation a datapath looks at ``actions`` and ``is_known_unicast``; the rest is the switch's.
    """

    match: Match
    translation: Translation
    packets: int = 0
    bytes: int = 0
    used: Instant = 0.0
    credited_packets: int = 0
    credited_bytes: int = 0

    @property
    def actions(self) -> tuple[DatapathAction, ...]:
        """What every packet that matches gets."""
        return self.translation.actions


@dataclass(frozen=True, slots=True)
class ControlHints:
    """What the in-band engine cares for besides ARP, neighbour discovery, DHCP and DNS: TCP and UDP with these ports.

    A datapath uses them to queue such frames apart from data. They decide nothing about where a frame goes.
    """

    ports: frozenset[int] = frozenset()


@dataclass(slots=True)
class PortCounters:
    """OpenFlow's port counters (1.3.5, 7.3.5.6), in packets and bytes."""

    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0
    rx_errors: int = 0
    tx_errors: int = 0


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue of a port: what it is promised and limited to (bit/s, 0: unknown), and what left by it.

    ``burst_bits`` may leave at once, and of two queues that could send the one with the lower ``priority`` does.
    """

    queue_id: int
    min_rate_bps: int = 0
    max_rate_bps: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    tx_errors: int = 0
    burst_bits: int = 0
    priority: int = 0


class DatapathClient(Protocol):
    """Who a datapath reports to: the switch."""

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        """Take a frame that no megaflow matched; the client calls ``install`` and ``execute`` as it decides.

        ``key`` has in_port set and the pipeline fields 0.
        """

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        """A frame whose actions said ToController, as it was at that point of the actions."""


class Datapath(Protocol):
    """Moves frames. Methods raise HostError when the kernel refuses, and nothing else."""

    kind: str
    """ "simulated", "userspace" or "ebpf"."""

    client: DatapathClient | None
    """Who is told; set once, before the first frame."""

    @property
    def rules(self) -> RuleTable | None:
        """What decides by flows where no megaflow fits; None: every such frame goes up."""

    @property
    def is_behind(self) -> bool:
        """Whether the frame under way is one of a backlog: more data frames wait than one turn takes.

        To be asked during ``DatapathClient.upcall``; at other times it is False.
        """

    def add_port(self, port: PortNo, interface: str) -> None:
        """Own an interface: from now on its frames come here and nowhere else."""

    def remove_port(self, port: PortNo) -> None:
        """Give an interface back. Unknown ports are ignored."""

    def execute(self, in_port: PortNo, frame: Frame, actions: Iterable[DatapathAction]) -> None:
        """Run actions on one frame now. An output to a port that is not there is counted, not an error.

        During ``DatapathClient.upcall`` outputs may wait until the turn is over, and leave with those of other frames;
        their order stays.
        """

    def install(self, megaflow: Megaflow, packet: FlowKey) -> None:
        """Cache a decision (the same match again replaces the old one). May silently not cache: that is correct.

        ``packet`` is one that it was made for, and matches. A datapath whose matches can say less than ours narrows the
        decision to packets more like this one. During ``upcall`` it may begin to cache when the upcall is over.
        """

    def remove(self, megaflows: Iterable[Megaflow]) -> None:
        """Forget decisions; their final counts are in the megaflows when this returns."""

    def flush(self) -> None:
        """Forget every decision at once."""

    def refresh(self, megaflow: Megaflow) -> None:
        """Have the counts of a decision as they are now, also of one that was flushed a moment ago."""

    def megaflows(self) -> list[Megaflow]:
        """Every cached decision, with counters as ``count`` found them last."""

    def count(self) -> Iterator[list[Megaflow]]:
        """A round over all counters, in parts of a millisecond at most: cached decisions that have counted packets.

        What was counted before it began is in the megaflows when it is over, also in those that were flushed or removed
        before its end; these it need not give. One round at a time.
        """

    def set_meter(self, meter_id: int, meter: MeterEntry | None) -> None:
        """There is this meter (again, with other bands), or none of this number any more.

        Who gives it leaves tokens and counters to the datapath, and finds counts there after a round of ``count``.
        """

    def set_control_hints(self, hints: ControlHints) -> None:
        """Say which TCP ports are control traffic."""

    def set_control_pace(self, per_s: int) -> None:
        """How many control frames that no cached decision matches go up from each port; ``pace.CONTROL`` at first."""

    def port_counters(self, port: PortNo) -> PortCounters:
        """Counters of a port (zeros for one that is not there)."""

    def counters(self) -> Mapping[str, int]:
        """Every named counter of verdicts and losses."""

    def close(self) -> None:
        """Give everything back."""


@dataclass(slots=True)
class Counters:
    """Named counters: ``add`` is the only way a frame may disappear."""

    values: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, count: int = 1) -> None:
        """Count an event."""
        self.values[name] = self.values.get(name, 0) + count
