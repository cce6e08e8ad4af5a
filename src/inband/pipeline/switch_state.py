"""What decisions are made from besides the packet: tables, ports, FDB, and what the slow path remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from inband.flow.ports import PortNo
from inband.pipeline.budget import PortBudgets
from inband.pipeline.callers import Callers
from inband.pipeline.clients import Clients
from inband.pipeline.dns_hook import DnsWatch
from inband.pipeline.duplicate_guard import Duplicates
from inband.pipeline.fdb import Fdb, FdbKey
from inband.pipeline.lease_servers import LeaseServers
from inband.pipeline.loops import LoopLimits
from inband.pipeline.places import Places
from inband.pipeline.ports import PortTable
from inband.pipeline.storm import SentOn, StormGuard
from inband.pipeline.waiting import Waiting
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant

LastCached = Callable[[FdbKey, FdbKey, PortNo], Instant]
"""When a cached decision last sent on a packet from the first to the second that came by another port than this."""


@dataclass(slots=True)
class SwitchState:
    """One bridge's state, as translations see it. ``counters`` are named events of the slow path.

    With a ``control_vlan`` LOCAL is a port of that VLAN: what it sends gets the tag, and what it gets loses it.
    """

    tables: TableSet
    ports: PortTable
    fdb: Fdb
    storm_guard: StormGuard = field(default_factory=StormGuard)
    duplicates: Duplicates = field(default_factory=Duplicates)
    sent_on: SentOn = field(default_factory=SentOn)
    dns: DnsWatch = field(default_factory=DnsWatch)
    budgets: PortBudgets = field(default_factory=PortBudgets)
    callers: Callers = field(default_factory=Callers)
    clients: Clients = field(default_factory=Clients)
    lease_servers: LeaseServers = field(default_factory=LeaseServers)
    loops: LoopLimits = field(default_factory=LoopLimits)
    waiting: Waiting = field(default_factory=Waiting)
    local_mac: Mac | None = None
    control_vlan: int | None = None
    counters: dict[str, int] = field(default_factory=dict)
    last_cached: LastCached = field(default=lambda *_: float("-inf"))
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        self.places = Places(self.fdb)
