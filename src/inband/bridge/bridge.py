"""One bridge: tables, pipeline, in-band control and OpenFlow agent joined around a datapath.

No socket and no timer here; the clock is a function given by the owner of the bridge (asyncio's in the switch, a
virtual one in the simulator). Frames come in through ``upcall``, messages through ``receive``, the kernel's events
through ``host_event``, time through ``run``; messages to send wait in ``take``. ``wake`` is called whenever something
new waits or ``next_deadline`` may have become earlier.

The order that everything relies on: a change is written to the tables, then cached decisions that it makes wrong are
removed (``megaflows.settle``), and only then another frame is looked at or a reply sent. That is what makes a barrier
honest and why no control packet can be decided by a stale decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from inband.agent.agent import Agent
from inband.agent.connection import Kind
from inband.agent.effects import Execute, FlowsChanged, MeterChanged, SettingsChanged
from inband.agent.switch import Identity, Switch
from inband.agent.tasks import needs_tables
from inband.bridge.fail_mode_flows import FailModeFlows
from inband.bridge.housekeeping import Housekeeping
from inband.bridge.in_band import InBand
from inband.bridge.lease_keeper import LeaseKeeper
from inband.bridge.link_protocols import LinkProtocols
from inband.bridge.loops import BridgeLoops
from inband.bridge.megaflows import MegaflowCache
from inband.bridge.neighbours import Neighbours, Surroundings
from inband.bridge.place_keeper import PlaceKeeper
from inband.bridge.questions import Questions
from inband.bridge.reading import ReadLink, ReadQueues, no_queues, unknown_link
from inband.bridge.slow_path import SlowPath
from inband.bridge.tree import BridgeTree, TreeConfig
from inband.control import events as ev
from inband.control.endpoints import network_of
from inband.datapath.base import ControlHints, Counters, Datapath, PortCounters, QueueState
from inband.flow.actions import ToController
from inband.flow.fields import FlowKey
from inband.flow.membership import VlanMembership
from inband.flow.ports import LOCAL, PortNo
from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    NeighbourChanged,
    NextHopFound,
    Resynchronised,
    RoutesChanged,
)
from inband.host.state import Host
from inband.openflow.messages import Envelope, PacketOut
from inband.packet.frame import Frame
from inband.pipeline.fdb import Fdb
from inband.pipeline.mirrors import Mirror
from inband.pipeline.ports import PortTable, SwitchPort
from inband.pipeline.translate import Pipeline
from inband.table.steps import Steps
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.instant import Instant, earliest
from inband.vocabulary.openflow import PortReason


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """What does not change while a bridge lives. ``flow_limit`` is per table."""

    name: str
    identity: Identity
    flow_limit: int | None = None


class Bridge:
    """A switch in the sense of OpenFlow: one datapath id, one set of ports and tables. Implements DatapathClient."""

    def __init__(
        self,
        settings: BridgeSettings,
        datapath: Datapath,
        host: Host,
        clock: Callable[[], Instant],
        wake: Callable[[], None],
    ) -> None:
        self.name, self.datapath = settings.name, datapath
        self.tables = TableSet(limit=settings.flow_limit)
        self.ports, self.fdb, self.counters = PortTable(), Fdb(), Counters()
        self.pipeline = Pipeline(self.tables, self.ports, self.fdb)
        self.megaflows = MegaflowCache(datapath, self.pipeline)
        self.in_band = InBand(
            self.tables, self.megaflows, host, self._probe, lambda asked: self.places.look_after(asked)
        )
        self.agent = Agent(Switch(settings.identity, self.tables, self.ports, self))
        self._clock, self._wake = clock, wake
        self.questions = Questions(self.in_band.engine, host.state, self.upcall)
        self.leases = LeaseKeeper(self.pipeline.lease_servers, self.megaflows, wake)
        self.places = PlaceKeeper(
            *(self.pipeline.places, self.leases, self.in_band.engine, self.questions, self.megaflows),
            *(self.upcall, self.control, clock, wake),
        )
        self._slow_path = SlowPath(
            self.pipeline, self.megaflows, datapath, self.counters, self._place_lost, self.places.follow
        )
        self._housekeeping = Housekeeping(self.megaflows, self.tables, self.fdb, clock, self.agent.flows_removed)
        self.tree = BridgeTree(self.pipeline, self.megaflows, datapath, self.agent, self.counters, clock)
        self.loops, self._flood_limits = BridgeLoops(self.pipeline, self.megaflows, datapath), self.pipeline.loops
        self._settling: tuple[int, Steps[None]] | None = None
        self.megaflows.hear_of_decisions(self._told)
        self._fail_mode_flows = FailModeFlows(self.tables)
        self.read_queues: ReadQueues = no_queues
        self.read_link: ReadLink = unknown_link
        self._hinted_ports: frozenset[int] = frozenset()
        self._kernel = host.state
        around = (datapath, self.ports, self.pipeline, self.megaflows, self.in_band.engine, host.state, self.upcall)
        self.neighbours = Neighbours(Surroundings(*around, self.questions.inject, self.places, self.control, wake))
        self._links = LinkProtocols(self.pipeline, self.tree, self.loops, self.neighbours, wake)

    @property
    def now(self) -> Instant:
        """The clock by which everything here is timed."""
        return self._clock()

    # --- frames (DatapathClient) --------------------------------------------------------------------------------

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        """Decide about a frame, carry the decision out, and cache it if it holds for more than this frame."""
        now = self._clock()
        if self._links.take(in_port, frame, key, now):
            return
        if self._slow_path.receive(in_port, frame, key, now) and self._housekeeping.start(now):
            self._wake()
        if self._flood_limits.moves != self.loops.moved and self.loops.look(now):
            self._wake()

    def _told(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        """The datapath has decided about a frame by the tables."""
        now = self._clock()
        if self._slow_path.told(in_port, frame, key, now) and self._housekeeping.start(now):
            self._wake()

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        """A frame is for the controllers."""
        self.agent.packet_in(in_port, frame, action, self._clock())
        self._wake()

    # --- OpenFlow -----------------------------------------------------------------------------------------------

    def connect(self, connection: int, kind: Kind, version: int) -> None:
        """A session agreed on a version."""
        self.agent.connect(connection, kind, version, self._clock())
        self._carry_out_effects(self._clock())
        self.megaflows.settle()

    def disconnect(self, connection: int) -> None:
        """A session ended."""
        self.agent.disconnect(connection)
        self._carry_out_effects(self._clock())
        self.megaflows.settle()

    def receive(self, connection: int, envelopes: Iterable[Envelope], until: Instant | None = None) -> int:
        """Carry out messages, until then; returns how many. The next one may have to wait for long work.

        When this returns the datapath does what they say, and replies wait in ``take``, but for one that is long work
        itself.
        """
        now, done = self._clock(), 0
        agent = self.agent
        for envelope in envelopes:
            if self.must_wait(connection, envelope) or (done and until is not None and self._clock() >= until):
                break
            agent.handle(connection, envelope, now)
            if type(envelope.message) is PacketOut:  # its packet must not see what messages behind it change
                self._carry_out_effects(now)
            done += 1
        self._carry_out_effects(now)
        self._settle(connection)
        self._wake()
        return done

    def must_wait(self, connection: int, envelope: Envelope) -> bool:
        """Whether a message cannot be carried out before long work is done (``work``, ``is_replying``)."""
        if self._settling is not None and (connection == self._settling[0] or needs_tables(envelope)):
            return True
        return self.agent.has_long_work and self.agent.must_wait(connection, envelope)

    def _settle(self, connection: int) -> None:
        """Have caches follow what this connection changed; its replies wait for it."""
        steps = self.megaflows.settle_in_steps()
        if steps is not None:
            self._settling = (connection, steps)

    def waiting(self) -> Sequence[int]:
        """The connections that have messages in ``take``."""
        return [connection for connection in self.agent.waiting() if not self._is_settling(connection)]

    def take(self, connection: int) -> list[Envelope]:
        """Messages to send now."""
        return [] if self._is_settling(connection) else self.agent.take(connection)

    def _is_settling(self, connection: int) -> bool:
        return self._settling is not None and self._settling[0] == connection

    # Long work: a message that means very many flows, and long replies

    @property
    def is_busy(self) -> bool:
        """Whether a message is being carried out in steps: call ``work`` when there is time."""
        return self._settling is not None or self.agent.is_busy

    def work(self, until: Instant) -> bool:
        """Go on with that message until then; whether there is more to do. Its reply waits in ``take`` at the end."""
        while self.is_busy:
            self._work_a_little()
            if self._clock() >= until:
                break
        return self.is_busy

    def _work_a_little(self) -> None:
        if self._settling is None:
            connection = self.agent.go_on()
            self._carry_out_effects(self._clock())
            if connection is not None:
                self._settle(connection)
            return
        try:
            next(self._settling[1])
        except StopIteration:
            self._settling = None
            self._wake()
        except BaseException:
            self._settling = None
            raise

    def is_replying(self, connection: int) -> bool:
        """Whether a long reply to this connection is under way: call ``go_on_with_reply`` while the peer reads."""
        return self.agent.is_replying(connection)

    def go_on_with_reply(self, connection: int) -> None:
        """Make one part of it."""
        self.agent.go_on_with_reply(connection)

    def _carry_out_effects(self, now: Instant) -> None:
        for effect in self.agent.take_effects():
            match effect:
                case FlowsChanged(changes):
                    self.megaflows.flows_changed((*changes.added, *changes.modified, *changes.removed))
                case MeterChanged(meter_id):
                    self.megaflows.meter_changed(meter_id)
                case SettingsChanged():
                    self.megaflows.everything_changed()
                    self.tree.follow_ports()
                case Execute(in_port, frame, actions):
                    self.megaflows.settle_cheaply()
                    self._slow_path.packet_out(in_port, frame, actions, now)
                case _:
                    assert_never(effect)

    # --- statistics (agent.switch.Statistics) -------------------------------------------------------------------

    def counting(self) -> Steps[None]:
        """Pass on what the datapath has counted up to now."""
        return self.megaflows.counting()

    @property
    def owes_counts(self) -> bool:
        """Whether flows that are gone may have counts to come by ``counting``."""
        return self.megaflows.owes_counts

    def port_counters(self, port: PortNo) -> PortCounters:
        """A port's counters."""
        return self.datapath.port_counters(port)

    def queues(self, port: PortNo) -> Sequence[QueueState]:
        """A port's queues, by number. LOCAL has none: what is sent there is on this host already."""
        found = self.ports.get(port)
        return () if found is None or port == LOCAL else self.read_queues(found.name)

    # --- ports --------------------------------------------------------------------------------------------------

    def add_port(self, number: PortNo, name: str, mac: Mac, *, link_up: bool = True) -> None:
        """A port that the datapath has already; it replaces one of the same number."""
        old = self.ports.get(number)
        tree = self.tree.first_state(number) if old is None else old.tree
        state = self.tree.bits_of(number, tree, link_up=link_up)
        port = SwitchPort(number, name, mac, state=state, link=self.read_link(name), tree=tree)
        if old is not None:
            port = replace(port, config=old.config)
        if old is None and link_up:
            self.megaflows.take_over_stations(number)
        if self.ports.put(port):
            self._port_changed(PortReason.ADD if old is None else PortReason.MODIFY, port)

    def remove_port(self, number: PortNo) -> None:
        """A port that the datapath does not have any more."""
        port = self.ports.remove(number)
        if port is not None:
            self.fdb.flush_port(number)
            self._port_changed(PortReason.DELETE, port)

    def rename_port(self, number: PortNo, name: str) -> None:
        """A port's interface has another name."""
        port = self.ports.get(number)
        if port is not None and self.ports.put(renamed := replace(port, name=name)):
            self._port_changed(PortReason.MODIFY, renamed)

    def set_memberships(self, memberships: Mapping[PortNo, VlanMembership]) -> None:
        """In which VLANs ports are; those that are not named carry all. Nothing else of a port is touched.

        What was learned behind a port was in the VLANs that it had before, so that is forgotten.
        """
        old = self.ports.memberships
        changed = {number for number in {*old, *memberships} if old.get(number) != memberships.get(number)}
        if not changed:
            return
        self.ports.memberships = dict(memberships)
        for number in changed:
            self.fdb.flush_port(number)
        self.megaflows.everything_changed()
        self.megaflows.settle()
        self._wake()

    def set_mirrors(self, mirrors: tuple[Mirror, ...]) -> None:
        """Which ports get copies of what; with none all is as if there were no such thing."""
        old = self.ports.mirror_outputs
        if mirrors == self.ports.mirrors:
            return
        self.ports.set_mirrors(mirrors)
        for number in old ^ self.ports.mirror_outputs:
            self.fdb.flush_port(number)
        self.megaflows.everything_changed()
        self.megaflows.settle()
        self._wake()

    def link_changed(self, number: PortNo, *, link_up: bool, mac: Mac) -> None:
        """A port's link came up or went down, or it has another MAC address."""
        port = self.ports.get(number)
        if port is None:
            return
        state = self.tree.bits_of(number, port.tree, link_up=link_up)
        changed = replace(port, state=state, mac=mac, link=self.read_link(port.name))
        if not self.ports.put(changed):
            return
        if not link_up:
            # Hosts behind a dead link may come back behind another one.
            self.fdb.flush_port(number)
        self._port_changed(PortReason.MODIFY, changed)

    def _port_changed(self, reason: PortReason, port: SwitchPort) -> None:
        self.agent.port_changed(reason, port, self._clock())
        self.megaflows.everything_changed()
        self.megaflows.settle()
        self._links.port_changed(reason, port, self._clock())
        self._wake()

    def configure_tree(self, config: TreeConfig | None) -> None:
        """Run a spanning tree with these settings, or none."""
        self._links.configure_tree(config)
        self._wake()

    # --- in-band control ----------------------------------------------------------------------------------------

    def control(self, event: ev.Event) -> None:
        """Tell the in-band engine something. Whatever fails on the way, the caches follow what was done."""
        try:
            self.in_band.handle(event, self._clock())
        finally:
            self._follow_engine()

    def set_dns(self, servers: frozenset[IpAddress], names: frozenset[str]) -> None:
        """Let DNS pass between anybody and these servers, for these names (lower case) and no others."""
        self.pipeline.dns_names = names
        self.control(ev.ServersChanged(servers))

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """The kernel said something and has it in its state; of ports the caller tells ``link_changed``."""
        match event:
            case LinkChanged(index=index, mac=mac) if index == self.questions.local_index:
                self.set_local(index, mac)
            case AddressChanged(index=index) if index == self.questions.local_index:
                self._address_changed(event)
            case NeighbourChanged(address=address):
                self.control(event)
                self.places.prove(address)
            case NextHopFound(next_hop=next_hop):
                self.control(event)
                if next_hop is not None:
                    self.places.prove(next_hop.address)
            case RoutesChanged():
                self.control(event)
            case Resynchronised():
                self.control(RoutesChanged(None))
            case LinkChanged() | LinkRemoved() | AddressChanged():
                pass  # of another interface
            case _:
                assert_never(event)
        if isinstance(event, AddressChanged) and event.index in self._kernel.local_ports:
            self.follow_networks()

    def follow_networks(self) -> None:
        """The networks of local ports, of this bridge or of another one of the process, may have changed."""
        own = (each for index in self._kernel.local_ports for each in self._kernel.addresses_of(index))
        self.control(ev.NetworksChanged(frozenset(network_of(each.address, each.prefix_length) for each in own)))

    def _address_changed(self, event: AddressChanged) -> None:
        self.places.follow_local(event.index, self._kernel.addresses_of(event.index))
        own = frozenset(each.address for each in self._kernel.addresses_of(event.index))
        self.control(ev.LocalAddressesChanged(own))
        if event.present and not event.tentative:
            self.control(ev.LocalAddressReady(event.address.version))
        self.neighbours.local_changed(event.index, self._clock())

    def set_local(self, index: int, mac: Mac | None) -> None:
        """The local port's interface and MAC address."""
        if self.questions.local_index is not None:
            self._kernel.local_ports.discard(self.questions.local_index)
        self._kernel.local_ports.add(index)
        self.questions.local_index = index
        self.places.follow_local(index, self._kernel.addresses_of(index))
        if mac != self.in_band.engine.local_mac or mac != self.pipeline.local_mac:
            self.pipeline.local_mac = mac or None
            self.tree.set_mac(mac)
            self.megaflows.everything_changed()
            self.control(ev.LocalMacChanged(mac))
        self.neighbours.local_changed(index, self._clock())

    def _follow_engine(self) -> None:
        engine = self.in_band.engine
        pipeline, wanted = self.pipeline, (engine.is_enabled, engine.uses_ipv6, engine.vlan)
        if (pipeline.in_band, pipeline.ipv6, pipeline.control_vlan) != wanted:
            if (pipeline.in_band, pipeline.control_vlan) != (engine.is_enabled, engine.vlan):
                self.places.start_anew(engine.vlan)
                self.neighbours.places_forgotten(self._clock())
            pipeline.in_band, pipeline.ipv6, pipeline.control_vlan = wanted
            self.megaflows.everything_changed()
        self.megaflows.settle()
        if engine.ports is not self._hinted_ports:
            self._hinted_ports = engine.ports
            self.datapath.set_control_hints(ControlHints(engine.ports))
        self.neighbours.engine_changed(self._clock())
        self._wake()

    def forget_places(self) -> None:
        """Forget where hosts were heard, and all decisions made by it."""
        self.fdb.flush()
        self.megaflows.settle()

    def _place_lost(self, mac: Mac) -> None:
        self.control(ev.PlaceLost(mac))

    def _probe(self, index: int, address: IpAddress) -> None:
        """Ask all for a next hop, which the engine is not sure of."""
        self.questions.ask(index, address)
        self.places.insist(address)

    # --- fail mode ----------------------------------------------------------------------------------------------

    def set_standalone(self, *, active: bool) -> None:
        """Forward by learning, whatever the flows say, or by the flows."""
        changes = self._fail_mode_flows.set_standalone(self._clock(), active=active)
        if changes.added or changes.removed:
            self.megaflows.everything_changed()
            self.megaflows.settle()

    def set_default_flow(self, *, active: bool) -> None:
        """Have or not have the flow of a bridge without controllers: priority 0, NORMAL, which dumps show."""
        changes = self._fail_mode_flows.set_default_flow(self._clock(), active=active)
        self.megaflows.flows_changed((*changes.added, *changes.removed))
        self.megaflows.settle()

    # --- time ---------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return earliest(
            self.in_band.engine.next_deadline(),
            self._housekeeping.next_deadline(),
            self.places.next_deadline(),
            self._links.next_deadline(),
            None if self.megaflows.tables is None else self.megaflows.tables.next_deadline(self._clock()),
        )

    def run(self) -> None:
        """Do what is due."""
        now = self._clock()
        if _is_due(self.in_band.engine.next_deadline(), now):
            self.control(ev.TimePassed())
        if _is_due(self.places.next_deadline(), now):
            self.places.run(now)
        self._housekeeping.run(now)
        self._links.run(now)
        if self.megaflows.tables is not None:
            self.megaflows.tables.run(self._clock)
        self._wake()


def _is_due(deadline: Instant | None, now: Instant) -> bool:
    return deadline is not None and deadline <= now
