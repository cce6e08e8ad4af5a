"""The spanning tree of one bridge, joined to its ports: what happens to them goes in, and what the tree says is done.

LOCAL is not part of it: this host is no bridge. In-band control is independent of the tree, as of all port
configuration, and the storm guard keeps it from going round.

Invariants: a port that comes while the tree runs carries no data before the tree says so. Of a command list what closes
ports is in the caches before a message leaves (``stp.spanning_tree`` says why). BPDUs of a port beyond BPDUS_PER_S are
dropped and counted, so that a neighbour gone mad costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from inband.agent.agent import Agent
from inband.bridge.megaflows import MegaflowCache
from inband.datapath.base import Counters, Datapath
from inband.errors import WireError
from inband.flow.actions import Output
from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.ports import SwitchPort
from inband.pipeline.translate import Pipeline
from inband.stp import events as ev
from inband.stp.bpdu import AnyBpdu, decode, encode, is_bpdu
from inband.stp.settings import DEFAULT_PORT, PortTreeSettings, TreeSettings, path_cost
from inband.stp.spanning_tree import SpanningTree
from inband.stp.status import TreeStatus
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import PortConfig, PortFeatures, PortReason, PortState
from inband.vocabulary.rate_limit import RateLimit
from inband.vocabulary.spanning_tree import StpRole, StpState

# Some twenty bridges on one shared cable would send so many; a bridge alone sends one a second, and six at once.
BPDUS_PER_S, BPDU_BURST = 50, 100

_HALF_DUPLEX = PortFeatures.SPEED_10MB_HD | PortFeatures.SPEED_100MB_HD | PortFeatures.SPEED_1GB_HD
_STP_BITS = {
    StpState.DISCARDING: PortState.STP_BLOCK | PortState.BLOCKED,
    StpState.LEARNING: PortState.STP_LEARN | PortState.BLOCKED,
    StpState.FORWARDING: PortState.STP_FORWARD,
}


@dataclass(frozen=True, slots=True)
class TreeConfig:
    """What is configured; ports that are not named have the usual settings."""

    settings: TreeSettings = field(default_factory=TreeSettings)
    ports: Mapping[PortNo, PortTreeSettings] = field(default_factory=dict)


StateChanged = Callable[[SwitchPort, StpRole], None]
"""Is told what the tree has a port do, and what the port is for."""


def _no_one_asks(_: SwitchPort, __: StpRole) -> None:
    """Until someone wants to know."""


class BridgeTree:
    """Runs a spanning tree, or none: then every port forwards, and BPDUs are packets like others."""

    def __init__(
        self,
        pipeline: Pipeline,
        megaflows: MegaflowCache,
        datapath: Datapath,
        agent: Agent,
        counters: Counters,
        clock: Callable[[], Instant],
    ) -> None:
        self._pipeline = pipeline
        self._ports = pipeline.ports
        self._megaflows = megaflows
        self._datapath = datapath
        self._agent = agent
        self._counters = counters
        self._clock = clock
        self._config: TreeConfig | None = None
        self._tree: SpanningTree | None = None
        self.state_changed: StateChanged = _no_one_asks
        self._mac = Mac(0)
        self._known: dict[PortNo, ev.PortChanged] = {}
        self._limits: dict[PortNo, RateLimit] = {}

    @property
    def is_on(self) -> bool:
        """Whether there is a tree."""
        return self._tree is not None

    # --- configuration ----------------------------------------------------------------------------------------------

    def configure(self, config: TreeConfig | None) -> None:
        """Run a tree with these settings, or none."""
        if config == self._config:
            return
        before, self._config = self._config, config
        if config is None:
            self._tree = None
            self._known.clear()
            self._limits.clear()
            self._set_all(StpState.FORWARDING)
        elif self._tree is None:
            self._tree = SpanningTree(self._mac, config.settings)
            self._set_all(StpState.DISCARDING)
            self.follow_ports()
        else:
            if before is None or before.settings != config.settings:
                self._handle(ev.BridgeChanged(self._mac, config.settings))
            self.follow_ports()
            self._settle()

    def set_mac(self, mac: Mac | None) -> None:
        """The bridge's own address, which its identifier has."""
        if mac is None or mac == self._mac:
            return
        self._mac = mac
        if self._config is not None:
            self._handle(ev.BridgeChanged(mac, self._config.settings))

    def _set_all(self, state: StpState) -> None:
        self._pipeline.takes_bpdus = self.is_on
        for port in list(self._ports):
            self._set_state(port.number, state if self._is_in_tree(port.number) else StpState.FORWARDING)
        self._settle()

    def _is_in_tree(self, number: PortNo) -> bool:
        """Whether the tree, if there is one, decides about a port."""
        settings = DEFAULT_PORT if self._config is None else self._config.ports.get(number, DEFAULT_PORT)
        return number != LOCAL and settings.is_in_tree

    # --- ports ------------------------------------------------------------------------------------------------------

    def follow_ports(self) -> None:
        """Ports may have come, changed or gone."""
        if self._config is None:
            return
        settings = self._config.ports
        wanted = {
            port.number: _as_event(port, settings.get(port.number, DEFAULT_PORT))
            for port in self._ports
            if self._is_in_tree(port.number)
        }
        for number in [number for number in self._known if number not in wanted]:
            del self._known[number]
            self._limits.pop(number, None)
            self._handle(ev.PortRemoved(number))
            self._set_state(number, StpState.FORWARDING)
        for number, event in wanted.items():
            if number not in self._known:
                self._set_state(number, StpState.DISCARDING)
            if self._known.get(number) != event:
                self._known[number] = event
                self._handle(event)

    def first_state(self, number: PortNo) -> StpState:
        """What a port does with data that has just come."""
        return StpState.DISCARDING if self.is_on and self._is_in_tree(number) else StpState.FORWARDING

    def bits_of(self, number: PortNo, state: StpState, *, link_up: bool) -> PortState:
        """A port's state as OpenFlow has it."""
        if not self.is_on or number == LOCAL:
            return PortState.LIVE if link_up else PortState.LINK_DOWN
        is_live = link_up and state is StpState.FORWARDING
        return _STP_BITS[state] | (PortState.LIVE if is_live else PortState.NONE if link_up else PortState.LINK_DOWN)

    # --- frames and time --------------------------------------------------------------------------------------------

    def receive(self, in_port: PortNo, data: bytes) -> bool:
        """Take a frame if it is a BPDU; whether it was."""
        if self._tree is None or not is_bpdu(data):
            return False
        now = self._clock()
        limit = self._limits.get(in_port)
        if limit is None:
            limit = self._limits[in_port] = RateLimit(BPDUS_PER_S, BPDU_BURST, now)
        if not limit.take(now):
            self._counters.add("bpdus_over_rate")
            return True
        try:
            self._handle(ev.BpduReceived(in_port, decode(data)))
        except WireError:
            self._counters.add("bpdus_refused")
            self._handle(ev.RubbishReceived(in_port))
        return True

    def announce_change(self) -> bool:
        """Tell all bridges that the topology has changed; whether there is a tree."""
        if self._tree is not None:
            self._handle(ev.TopologyChangeAsked())
        return self._tree is not None

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return None if self._tree is None else self._tree.next_deadline()

    def run(self, now: Instant) -> None:
        """Do what is due."""
        due = self.next_deadline()
        if due is not None and due <= now:
            self._handle(ev.TimePassed())

    def status(self) -> TreeStatus | None:
        """What the tree is like; None where there is none."""
        return None if self._tree is None else self._tree.status()

    def _handle(self, event: ev.Event) -> None:
        if self._tree is not None:
            self._carry_out(self._tree.handle(event, self._clock()))

    def _carry_out(self, commands: Iterable[ev.Command]) -> None:
        is_settled = True
        for command in commands:
            match command:
                case ev.SetState(number, state):
                    self._set_state(number, state)
                    self._tell(number)
                    is_settled = False
                case ev.ForgetAddresses(number):
                    self._pipeline.fdb.flush_port(number)
                    is_settled = False
                case ev.SendBpdu(number, bpdu):
                    if not is_settled:
                        self._settle()
                        is_settled = True
                    self._send(number, bpdu)
                case _:
                    assert_never(command)
        if not is_settled:
            self._settle()

    def _set_state(self, number: PortNo, state: StpState) -> None:
        """Have a port do this with data from ``_settle`` on."""
        port = self._ports.get(number)
        if port is None:
            return
        bits = self.bits_of(number, state, link_up=not port.state & PortState.LINK_DOWN)
        if self._ports.put(changed := replace(port, tree=state, state=bits)):
            self._agent.port_changed(PortReason.MODIFY, changed, self._clock())

    def _tell(self, number: PortNo) -> None:
        port = self._ports.get(number)
        if self._tree is not None and port is not None:
            self.state_changed(port, self._tree.role_of(number))

    def _settle(self) -> None:
        """Have the caches follow."""
        self._megaflows.everything_changed()
        self._megaflows.settle()

    def _send(self, number: PortNo, bpdu: AnyBpdu) -> None:
        """Past flows and port configuration."""
        port = self._ports.get(number)
        if port is not None:
            self._datapath.execute(LOCAL, encode(bpdu, port.mac), (Output(number),))


def _as_event(port: SwitchPort, settings: PortTreeSettings) -> ev.PortChanged:
    is_down = port.config & PortConfig.PORT_DOWN or port.state & PortState.LINK_DOWN
    return ev.PortChanged(
        port.number,
        not is_down,
        path_cost(port.link.current_speed_kbps),
        not port.link.current & _HALF_DUPLEX,
        settings,
    )
