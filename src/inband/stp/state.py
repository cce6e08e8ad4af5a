"""The variables of the state machines (IEEE 802.1D-2004, 17.15 to 17.19), and the conditions over them (17.20).

Names are the standard's, with words apart. Timers are the instants at which they run out; a timer that the standard
calls zero is one whose instant has come. What the standard has one second's tick for needs none so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from inband.flow.ports import PortNo
from inband.stp.bpdu import Bpdu
from inband.stp.settings import PortTreeSettings, TreeSettings
from inband.stp.values import DEFAULT_TIMES, BridgeId, PriorityVector, Times, port_id
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant
from inband.vocabulary.spanning_tree import StpRole, StpState

# Table 17-1.
MIGRATE_S = 3.0
TX_HOLD_COUNT = 6

_ROOT_AND_DESIGNATED = (StpRole.ROOT, StpRole.DESIGNATED)


class InfoIs(Enum):
    """Where a port's information is from (17.19.10)."""

    DISABLED = auto()
    AGED = auto()
    MINE = auto()
    RECEIVED = auto()


class Migration(Enum):
    """States of the port protocol migration machine (17.24)."""

    CHECKING_RSTP = auto()
    SELECTING_STP = auto()
    SENSING = auto()


class Topology(Enum):
    """States of the topology change machine in which it waits (17.31)."""

    INACTIVE = auto()
    LEARNING = auto()
    ACTIVE = auto()


@dataclass(slots=True, eq=False)
class TreePort:
    """One port. ``edge`` is what the bridge detection machine found; vectors and times as in 17.19."""

    number: PortNo
    port_number: int
    """The twelve bits of its identifier."""
    priority_vector: PriorityVector
    settings: PortTreeSettings = field(default_factory=PortTreeSettings)
    speed_cost: int = 0
    is_point_to_point: bool = True
    is_enabled: bool = False

    designated_priority: PriorityVector = field(init=False)
    designated_times: Times = DEFAULT_TIMES
    times: Times = DEFAULT_TIMES
    message: Bpdu | None = None
    said: PriorityVector | None = None
    """What was sent last, which a neighbour may have agreed to; none before anything was."""
    info_is: InfoIs = InfoIs.DISABLED
    role: StpRole = StpRole.DISABLED
    selected_role: StpRole = StpRole.DISABLED
    migration: Migration = Migration.CHECKING_RSTP
    topology: Topology = Topology.INACTIVE

    agree: bool = False
    agreed: bool = False
    disputed: bool = False
    edge: bool = False
    flush: bool = False
    forward: bool = False
    forwarding: bool = False
    learn: bool = False
    learning: bool = False
    new_info: bool = False
    proposed: bool = False
    proposing: bool = False
    rcvd_rstp: bool = False
    rcvd_stp: bool = False
    rcvd_tc: bool = False
    rcvd_tc_ack: bool = False
    rcvd_tcn: bool = False
    re_root: bool = True
    selected: bool = False
    send_rstp: bool = True
    sync: bool = True
    synced: bool = False
    tc_ack: bool = False
    tc_prop: bool = False
    updt_info: bool = False
    tx_count: int = 0

    edge_delay_until: Instant = 0.0
    fd_until: Instant = 0.0
    hello_at: Instant = 0.0
    mdelay_until: Instant = 0.0
    rb_until: Instant = 0.0
    rcvd_info_until: Instant = 0.0
    rr_until: Instant = 0.0
    tc_until: Instant = 0.0

    # Whether something happened to it that its machines have not seen, and when a timer is the next thing that does.
    is_touched: bool = True
    look_at: Instant = 0.0

    # What the caller was told last.
    told: StpState = StpState.DISCARDING
    rx_count: int = 0
    tx_total: int = 0
    errors: int = 0
    since: Instant = 0.0

    def __post_init__(self) -> None:
        self.designated_priority = self.priority_vector

    @property
    def id(self) -> int:
        """The port identifier."""
        return port_id(self.settings.priority, self.port_number)

    @property
    def cost(self) -> int:
        """The path cost."""
        return self.speed_cost if self.settings.path_cost is None else self.settings.path_cost

    @property
    def state(self) -> StpState:
        """What the port does with data."""
        if self.forwarding:
            return StpState.FORWARDING
        return StpState.LEARNING if self.learning else StpState.DISCARDING

    @property
    def forward_delay(self) -> float:
        """How long listening and learning take where nobody agrees (17.20.5): RSTP neighbours need a greeting's."""
        return self.designated_times.hello_time if self.send_rstp else self.designated_times.forward_delay

    @property
    def edge_delay(self) -> float:
        """How long a bridge may take to show itself (17.20.4)."""
        return MIGRATE_S if self.is_point_to_point else self.designated_times.max_age

    @property
    def has_said_what_holds(self) -> bool:
        """Whether what was sent last is as bad as what holds now: an agreement to it is one to this, too."""
        return self.said is not None and self.priority_vector <= self.said

    @property
    def is_in_tree(self) -> bool:
        """Whether the tree passes here, if it forwards."""
        return self.role in _ROOT_AND_DESIGNATED

    def has_better_or_same(self, info: InfoIs) -> bool:
        """betterorsameinfo (17.21.1)."""
        if self.info_is is not info:
            return False
        if info is InfoIs.MINE:
            return self.designated_priority <= self.priority_vector
        return self.message is not None and self.message.vector <= self.priority_vector


@dataclass(slots=True, eq=False)
class Tree:
    """One bridge. ``now`` is the time of the event under way."""

    mac: Mac
    settings: TreeSettings = field(default_factory=TreeSettings)
    now: Instant = 0.0
    ports: dict[PortNo, TreePort] = field(default_factory=dict)
    root_priority: PriorityVector = field(init=False)
    reselect: bool = False
    root_port: PortNo | None = None
    root_times: Times = DEFAULT_TIMES
    tick_at: Instant | None = None

    def __post_init__(self) -> None:
        self.root_priority = self.own_priority

    @property
    def id(self) -> BridgeId:
        """The bridge identifier."""
        return BridgeId(self.settings.priority, self.mac)

    @property
    def own_priority(self) -> PriorityVector:
        """The bridge priority vector (17.18.2)."""
        return PriorityVector(self.id, 0, self.id, 0)

    @property
    def own_times(self) -> Times:
        """What this bridge gives the tree where it is the root."""
        return Times(max_age=float(self.settings.max_age_s), forward_delay=float(self.settings.forward_delay_s))

    def __iter__(self) -> Iterator[TreePort]:
        return iter(self.ports.values())

    @property
    def all_synced(self) -> bool:
        """Whether every port has the role that was selected, and is synced or the root's (17.20.3)."""
        return all(
            port.selected and port.role is port.selected_role and (port.synced or port.role is StpRole.ROOT)
            for port in self
        )

    def is_re_rooted(self, root: TreePort) -> bool:
        """Whether no other port was the root's of late (17.20.10)."""
        return all(self.now >= port.rr_until for port in self if port is not root)

    def ask_for_roles(self, *ports: TreePort) -> None:
        """Have roles selected anew; until then these ports do nothing."""
        self.reselect = True
        for port in ports:
            port.selected = False
            port.is_touched = True

    def set_sync(self) -> None:
        """setSyncTree (17.21.14)."""
        for port in self:
            port.sync = port.is_touched = True

    def set_re_root(self) -> None:
        """setReRootTree (17.21.13)."""
        for port in self:
            port.re_root = port.is_touched = True

    def propagate_change(self, origin: TreePort) -> None:
        """setTcPropTree (17.21.18): tell all other ports of a topology change."""
        for port in self:
            if port is not origin:
                port.tc_prop = port.is_touched = True
