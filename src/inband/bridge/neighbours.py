"""The fabric at work in one bridge: its frames leave by the datapath, and what it learns becomes questions.

Questions here differ from the engine's in that no two are the same to the bit, for the storm guard of each switch on
the way drops what it has flooded a moment ago, and after a failure a fifth of a second is long. A next hop that has
been heard since it was asked is not asked again, if its place is proven.

Control passes where next hops are: that is looked at when something happens, at most every LOOK_S.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import assert_never

from inband.bridge.megaflows import MegaflowCache
from inband.bridge.needs import BridgeNeeds
from inband.bridge.paths import Paths
from inband.bridge.place_keeper import PlaceKeeper
from inband.bridge.repeating import Repeating
from inband.control.engine import Engine
from inband.control.events import Event
from inband.control.questions import question
from inband.datapath.base import Datapath
from inband.datapath.pace import CONTROL
from inband.fabric import events as ev
from inband.fabric.description import MAX_WAYS, ControlWay
from inband.fabric.distances import Station
from inband.fabric.events import LinkState
from inband.fabric.fabric import Fabric
from inband.fabric.keys import NetworkKeys
from inband.fabric.need import Need, NeedKind
from inband.fabric.needs import Word
from inband.flow.actions import Output
from inband.flow.fields import FIELDS, FlowKey
from inband.flow.ports import LOCAL, PortNo
from inband.host.state import KernelState
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.duplicate_guard import UNCACHED_PER_S
from inband.pipeline.fdb import FdbKey
from inband.pipeline.ports import PortTable, SwitchPort
from inband.pipeline.translate import Pipeline
from inband.vocabulary.addresses import IpAddress, Mac, address_key
from inband.vocabulary.instant import Instant, earliest
from inband.vocabulary.name_hash import name_hash
from inband.vocabulary.openflow import PortState
from inband.vocabulary.rate_limit import RateLimit

LOOK_S = 0.1
# Next hops that are looked for and asked for: more have no place in one round.
MAX_HOPS = 16
# Remotes that are gone through for them: a tenth of a millisecond.
_MAX_REMOTES = 64
# Everybody is asked for a next hop so often at most.
SEARCH_S = 0.02
_MIN_FRAME = 60
# How often people are told of each port: a neighbour that flaps fills no log.
_TOLD_PER_S, _TOLD_AT_ONCE = 0.2, 10.0
_NUMBER_BYTES = 4
_ETH_DST = FIELDS["eth_dst"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of its bridge the fabric sees and does."""

    datapath: Datapath
    ports: PortTable
    pipeline: Pipeline
    megaflows: MegaflowCache
    engine: Engine
    kernel: KernelState
    upcall: Callable[[PortNo, Frame, FlowKey], None]
    inject: Callable[[bytes], None]
    places: PlaceKeeper
    control: Callable[[Event], None]
    wake: Callable[[], None]


class Neighbours:
    """A bridge's fabric: ``fabric`` is None while it is off. ``tell`` hears of neighbours found and lost."""

    def __init__(self, around: Surroundings) -> None:
        self.fabric: Fabric | None = None
        self.tell: Callable[[ev.TellNeighbour | ev.TellRefused], None] = _no_one
        self.needs_changed: Callable[[], None] = _no_needs
        """Called when neighbours use other controllers than before, or tell of them otherwise."""
        self.has_own_driver = False
        self._wake = around.wake
        self._keys: NetworkKeys | None = None
        self._around = around
        self._fdb = around.pipeline.fdb
        self._waiting = around.pipeline.waiting
        self._paths = Paths(around.pipeline.places, self._waiting)
        self._known_needs: set[Need] = set()
        self._needs = BridgeNeeds(around.engine, around.pipeline, around.megaflows, around.control)
        self._repeating = Repeating(around.inject)
        around.places.proofs_changed = self.places_changed
        self._local_index: int | None = None
        self._control_ports = frozenset[PortNo](), frozenset[PortNo]()
        self._look_at: Instant = 0.0
        self._asked_at: Instant = 0.0
        self._searched: dict[IpAddress, Instant] = {}
        self._questions = 0
        self._told: dict[PortNo, RateLimit] = {}
        self._proven: frozenset[Station] = frozenset()
        self._described: ev.ControlDescribed | None = None

    # --- what happens -----------------------------------------------------------------------------------------------

    def drive_apart(self, look: Callable[[], None]) -> None:
        """Have ``run`` called at ``next_deadline`` by someone else than the rest of the bridge, who is told of changes.

        With each hello, a hundred times a second, to look at the rest as well would cost as much as the hello.
        """
        self.has_own_driver, self._wake = True, look

    def set_switch(self, switch: int | None, random: Random, now: Instant) -> None:
        """Speak to neighbours from now on as the switch with this datapath id; None: say nothing any more.

        The others take the links for dead then, or the neighbour for one without this protocol.
        """
        if (None if self.fabric is None else self.fabric.switch) == switch:
            return
        around = self._around
        around.pipeline.neighbours = switch is not None
        around.megaflows.everything_changed()
        around.megaflows.settle()
        self.fabric = None if switch is None else Fabric(switch, random)
        self._follow_paths((), now)
        self._follow_needs()
        self._tell_needs(now)
        self._control_ports = frozenset(), frozenset()
        self._proven, self._described = frozenset(), None
        self._handle(ev.KeysChanged(self._keys), now)
        self._follow_trusted(now)
        self.places_changed(now)
        self._tell_local(now)
        for port in around.ports:
            self.port_changed(port, now)
        self._wake()

    def set_keys(self, keys: NetworkKeys | None, now: Instant) -> None:
        """Sign messages with these keys from now on, and believe no others; None: there is no key."""
        if keys != self._keys:
            self._keys, self._proven = keys, frozenset()
            self._handle(ev.KeysChanged(keys), now)
            self._follow_trusted(now)
            self.places_changed(now)

    def receive(self, port: PortNo, frame: Frame, now: Instant) -> None:
        """Take a frame of a neighbour."""
        self._look(now)
        self._handle(ev.FrameReceived(port, frame.data), now)

    def port_changed(self, port: SwitchPort, now: Instant) -> None:
        """A port came, or its link or MAC address changed."""
        if port.number != LOCAL:
            is_up = not port.state & PortState.LINK_DOWN
            self._handle(ev.PortChanged(port.number, is_up, port.mac), now)

    def port_removed(self, number: PortNo, now: Instant) -> None:
        """A port is gone."""
        self._handle(ev.PortRemoved(number), now)
        self._told.pop(number, None)

    def local_changed(self, index: int, now: Instant) -> None:
        """LOCAL, which is this interface, has another MAC or IP address."""
        self._local_index = index
        self._tell_local(now)

    def protect(self, *, by_all_ways: bool) -> None:
        """Send segments of channels by all ways between neighbours at once, or by the best one."""
        duplicates = self._around.pipeline.duplicates
        if by_all_ways != duplicates.is_on:
            duplicates.is_on = by_all_ways
            self._around.datapath.set_control_pace(UNCACHED_PER_S if by_all_ways else CONTROL.per_s)
            self._around.megaflows.everything_changed()
            self._around.megaflows.settle()

    def set_controllers(self, controllers: tuple[Need, ...], now: Instant) -> None:
        """This switch is configured with these controllers; neighbours are told."""
        if controllers != self._needs.controllers:
            self._needs.controllers = controllers
            self._tell_needs(now)

    def set_dns(self, servers: frozenset[IpAddress], names: frozenset[str], now: Instant) -> None:
        """This switch asks these servers for these names."""
        dns = (
            *(Need(NeedKind.SERVER, each) for each in sorted(map(address_key, servers))),
            *(Need(NeedKind.NAME, (0, each)) for each in sorted(map(name_hash, names))),
        )
        if dns != self._needs.dns:
            self._needs.dns = dns
            self._tell_needs(now)

    def local_asks(self, frame: Frame, key: FlowKey, now: Instant) -> None:
        """LOCAL asks for its addresses and routes: neighbours shall let that pass, and the answers."""
        if self._keys is None or not self._repeating.asks(frame.data, key, now):
            return
        if not self._needs.is_client:
            self._needs.is_client = True
            self._tell_needs(now)
            self._repeating.begin(now)
            self._wake()

    def found_controllers(self) -> dict[Need, Word]:
        """The controllers that neighbours use, the nearest first."""
        needs = None if self.fabric is None else self.fabric.needs
        known = () if needs is None else needs.in_force.items()
        found = [(word.hops, need, word) for need, word in known if need.kind is NeedKind.CONTROLLER]
        return {need: word for _, need, word in sorted(found, key=lambda each: each[:2])}

    def engine_changed(self, now: Instant) -> None:
        """The next hops of this switch may be others."""
        if self._needs.have_changed(self._local_index):
            self._tell_needs(now)

    def places_changed(self, now: Instant) -> None:
        """A station has proven itself, or its proof is void: neighbours are told of those that are here."""
        if self._keys is not None:
            proven = self._paths.proven()
            if proven != self._proven:
                self._proven = proven
                self._handle(ev.StationsProven(proven), now)

    def places_forgotten(self, now: Instant) -> None:
        """All places were forgotten: what neighbours say of them holds all the same."""
        if self.fabric is not None and self.fabric.ways is not None:
            self._paths.refresh(self.fabric.ways, now)
            self.places_changed(now)
            self._wake()

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        fabric = None if self.fabric is None else self.fabric.next_deadline()
        return earliest(fabric, self._paths.refresh_at, self._repeating.due, self._waiting.next_deadline())

    def run(self, now: Instant) -> None:
        """Do what is due."""
        due = self.next_deadline()
        if due is None or due > now:
            return
        self._look(now)
        if self._paths.refresh_at is not None and self._paths.refresh_at <= now:
            self._paths.refresh_at = None
            self.places_forgotten(now)
        if not self._around.pipeline.lease_servers.is_asked:
            self._repeating.has_lease()
        self._repeating.run(now)
        self._waiting.run(now)
        self._pass_on_waiting()
        self._handle(ev.TimePassed(), now)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _look(self, now: Instant) -> None:
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._follow_control(now)
            self._describe(now)

    def _handle(self, event: ev.Event, now: Instant) -> None:
        fabric = self.fabric
        if fabric is None:
            return
        planned = self.next_deadline()
        for command in fabric.handle(event, now):
            self._carry_out(command, now)
        if self.next_deadline() != planned:  # a later one too, or the timer wakes the switch for nothing
            self._wake()

    def _carry_out(self, command: ev.Command, now: Instant) -> None:
        if isinstance(command, ev.Send):
            self._around.datapath.execute(LOCAL, Frame(command.data), (Output(command.port),))
            return
        self._around.wake()
        match command:
            case ev.ForgetPlaces(port):
                self._fdb.flush_port(port)
                self._around.megaflows.settle()
            case ev.FollowPaths(stations):
                self._follow_paths(stations, now)
            case ev.FollowNeeds():
                if self._follow_needs():
                    self._repeating.begin(now)
                    self._wake()
            case ev.DoubtPlaces():
                self._fdb.doubt(now)
                self._around.places.hurry()
            case ev.AskNextHops(is_first):
                self._ask(now, is_first=is_first)
            case ev.TellNeighbour(port) | ev.TellRefused(port):
                self._follow_trusted(now)
                if self._told.setdefault(port, RateLimit(_TOLD_PER_S, _TOLD_AT_ONCE)).take(now):
                    self.tell(command)
            case _:
                assert_never(command)

    def _follow_paths(self, stations: Sequence[Station], now: Instant) -> None:
        """Place stations where neighbours say, at once, and forget what was decided by their places before."""
        self._paths.follow(stations, None if self.fabric is None else self.fabric.ways, now)
        self._around.megaflows.settle()
        self._around.places.follow()
        self._pass_on_waiting()
        self._look_at = now

    def _pass_on_waiting(self) -> None:
        """Decide about what has waited for a way. It may lead back: who sent it here has another one by now."""
        for in_port, frame in self._waiting.take_released():
            key = parse(frame.data, in_port)
            if in_port != LOCAL and self._fdb.pinned.get(self._place_key(Mac(_ETH_DST.get(key)))) == in_port:
                self._around.datapath.execute(LOCAL, frame, (Output(in_port),))
            else:
                self._around.upcall(in_port, frame, key)

    def _follow_needs(self) -> bool:
        """Have rules for what neighbours need; whether they need something new, as when a switch has come."""
        needs = None if self.fabric is None else self.fabric.needs
        in_force = {} if needs is None else needs.in_force
        before, self._known_needs = self._known_needs, in_force.keys() | ()
        self._needs.follow(in_force)
        self.needs_changed()
        return not self._known_needs <= before

    def _tell_needs(self, now: Instant) -> None:
        self._handle(ev.NeedsChanged(self._needs.own(self._local_index)), now)

    def _follow_trusted(self, now: Instant) -> None:
        """Take what comes in by a neighbour of the network's key for what it says, as far as a word covers it."""
        links = () if self.fabric is None else self.fabric.links.values()
        switches = frozenset(link.port for link in links if link.state is LinkState.TWO_WAY)
        trusted = frozenset[PortNo]() if self._keys is None else switches
        places = self._around.pipeline.places
        if (trusted, switches) != (places.trusted, places.switches):
            places.trust(trusted, switches)
            self._around.places.follow()
            self.places_changed(now)

    def _tell_local(self, now: Instant) -> None:
        if self._local_index is not None:
            known = self._around.kernel.addresses_of(self._local_index)
            addresses = tuple(each.address for each in known if not each.tentative)
            self._handle(ev.LocalChanged(self._around.engine.local_mac, addresses), now)

    def _hops(self) -> Iterator[tuple[IpAddress, Mac | None]]:
        """The next hops of remotes by LOCAL, MAX_HOPS at most."""
        link = None if self._local_index is None else self._around.kernel.link(self._local_index)
        found: dict[IpAddress, Mac | None] = {}
        for status in islice(self._around.engine.remotes(), _MAX_REMOTES):
            if status.next_hop is not None and link is not None and status.interface == link.name:
                found[status.next_hop] = status.next_hop_mac
        return islice(found.items(), MAX_HOPS)

    def _place_key(self, mac: Mac) -> FdbKey:
        return FdbKey(self._around.engine.vlan or 0, mac)

    def _follow_control(self, now: Instant) -> None:
        macs = [mac for _, mac in self._hops() if mac is not None]
        macs += islice(self._needs.hop_macs(), _MAX_REMOTES)
        places = (self._fdb.lookup(self._place_key(mac), now) for mac in macs)
        ports = frozenset(port for port in places if port is not None).union(self._around.pipeline.places.heard_by)
        quiet = frozenset[PortNo]()
        if not self._around.pipeline.duplicates.is_on:  # those are not cached, so no one counts them
            quiet = self._around.megaflows.control.quiet(ports, now)
        if (ports, quiet) != self._control_ports:
            self._control_ports = ports, quiet
            self._handle(ev.ControlPortsChanged(ports, quiet), now)

    def described(self, now: Instant) -> ev.ControlDescribed:
        """What this switch is called, and its ways to its controllers."""
        local = self._around.ports.get(LOCAL)
        return ev.ControlDescribed("" if local is None else local.name, tuple(self._control_ways(now)))

    def _describe(self, now: Instant) -> None:
        """Have the map say what is new of this switch."""
        if self._keys is not None and (described := self.described(now)) != self._described:
            self._described = described
            self._handle(described, now)

    def _control_ways(self, now: Instant) -> Iterator[ControlWay]:
        ways = None if self.fabric is None else self.fabric.ways
        for address, works in islice(self._around.places.channels.items(), MAX_WAYS):
            hop, mac = self._around.engine.next_hop_of(address) or (None, None)
            port = None if mac is None else self._fdb.lookup(self._place_key(mac), now)
            alternatives: tuple[PortNo, ...] = ()
            if ways is not None and hop is not None and mac is not None:
                route = ways.distances.routes.get(Station(address_key(hop), mac))
                alternatives = () if route is None else route.others_than(port)
            yield ControlWay(address, works, int(port or 0), tuple(map(int, alternatives)))

    def _ask(self, now: Instant, *, is_first: bool) -> None:
        """Ask everybody for next hops, but not for one that has answered at its known place since the change.

        Of a network's switches most lose no way by one failure; if each of them searched, every link would carry that.
        """
        places, searched = self._around.pipeline.places, self._searched
        self._searched = {}
        for address, mac in self._hops():
            key = address_key(address)
            last = searched.get(address, float("-inf"))
            self._searched[address] = last
            is_expected = mac is not None and self._waiting.expects(mac, now)
            if is_expected or now - last < SEARCH_S or not places.is_lost(key, now):
                continue
            heard_at = None if mac is None else self._fdb.confirmed_at(self._place_key(mac))
            if is_first or places.station(key) is None or heard_at is None or heard_at < self._asked_at:
                self._ask_for(address)
                self._searched[address] = now
        if is_first:
            self._asked_at = now
        self._look_at = now

    def _ask_for(self, address: IpAddress) -> None:
        mac, index = self._around.engine.local_mac, self._local_index
        if mac is None or index is None:
            return
        frame = question(address, mac, self._around.kernel.addresses_of(index))
        if frame is not None:
            self._questions += 1
            number = (self._questions % (1 << 8 * _NUMBER_BYTES)).to_bytes(_NUMBER_BYTES, "big")
            self._around.inject(frame.ljust(_MIN_FRAME - _NUMBER_BYTES, b"\0") + number)


def _no_needs() -> None:
    """No one wants to know."""


def _no_one(_: ev.TellNeighbour | ev.TellRefused) -> None:
    """No one wants to know."""
