"""The switch as the agent sees it: what its messages read and change, shared by all connections.

Handlers (``flow_mods``, ``statistics``, ...) are functions of this state, the connection and the request. They return
the replies, or raise RefusalError and then have changed nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from inband.agent.connection import Connection
from inband.agent.effects import Effect
from inband.datapath.base import PortCounters, QueueState
from inband.flow.ports import PortNo
from inband.pipeline.ports import PortTable
from inband.table.steps import Steps
from inband.table.table_set import TableSet
from inband.vocabulary.instant import Instant


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the switch says it is (OpenFlow 1.3.5, 7.3.1 and 7.3.5.1)."""

    datapath_id: int
    manufacturer: str = "inband"
    hardware: str = "Linux"
    software: str = ""
    serial_number: str = "None"  # what Open vSwitch says, and what scripts compare with
    datapath: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what connections may cost.

    ``packet_in_rate`` (per second) and ``packet_in_burst`` hold for each connection: a controller written in Python
    digests about so many, and what is above only makes it later.
    """

    packet_in_rate: float = 2000.0
    packet_in_burst: float = 1000.0


class Statistics(Protocol):
    """Where current numbers come from: the bridge."""

    def counting(self) -> Steps[None]:
        """Credit what the datapath has counted so far to flows and tables."""

    @property
    def owes_counts(self) -> bool:
        """Whether flows that are gone may have packets to come by ``counting``."""

    def port_counters(self, port: PortNo) -> PortCounters:
        """A port's counters now; zeros for a port the datapath does not have."""

    def queues(self, port: PortNo) -> Sequence[QueueState]:
        """A port's queues as they are now, by number."""


@dataclass(slots=True, eq=False)
class Switch:
    """All that connections share.

    ``generation_id`` is that of the last master election, None before the first; ``port_since`` is when each port
    was added, for the durations in port statistics.
    """

    identity: Identity
    tables: TableSet
    ports: PortTable
    statistics: Statistics
    limits: Limits = field(default_factory=Limits)
    connections: dict[int, Connection] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    generation_id: int | None = None
    port_since: dict[PortNo, Instant] = field(default_factory=dict)
