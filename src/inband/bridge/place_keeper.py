"""Carries out what the places of stations ask for: questions, and what follows when a place is not proven any more.

``pipeline.places`` decides; the engine knows which next hops there are and on which interface; the bridge sends.

Invariant: when a proof came or went, cached decisions made by the old one are gone before another frame is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from inband.bridge.lease_keeper import LeaseKeeper
from inband.bridge.megaflows import MegaflowCache
from inband.bridge.questions import Questions
from inband.control.endpoints import network_of
from inband.control.engine import Engine
from inband.control.events import ChannelAlive, ConfirmPlace, Event
from inband.flow.fields import FlowKey
from inband.flow.ports import PortNo
from inband.host.events import AddressChanged
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.fdb import MAX_AGE_S
from inband.pipeline.places import Places
from inband.pipeline.stations import Lapse
from inband.vocabulary.addresses import AddressKey, IpAddress, Mac, address_key, address_of
from inband.vocabulary.instant import Instant, earliest

# A next hop that was not heard for so long is asked for: there is time for a second question, should it get lost.
PLACE_AGE_S = MAX_AGE_S * 0.4
# While a channel does not come up: how long after it was wanted everybody is asked for its next hop, and how often.
FAILING_FIRST_S, FAILING_MAX_S = 1.0, 4.0


class PlaceKeeper:
    """One bridge's."""

    def __init__(
        self,
        places: Places,
        leases: LeaseKeeper,
        engine: Engine,
        questions: Questions,
        megaflows: MegaflowCache,
        upcall: Callable[[PortNo, Frame, FlowKey], None],
        control: Callable[[Event], None],
        clock: Callable[[], Instant],
        wake: Callable[[], None],
    ) -> None:
        """``upcall`` decides about a frame; ``control`` tells the engine; ``wake``: ``next_deadline`` has changed."""
        self._places, self._leases = places, leases
        self._engine = engine
        self._questions = questions
        self._megaflows = megaflows
        self._upcall, self._control, self._clock, self._wake = upcall, control, clock, wake
        self.proofs_changed: Callable[[Instant], None] = _no_one
        self._index = 0
        self._channels: dict[IpAddress, bool] = {}
        leases.channels = self._channels
        self._ask_at: Instant | None = None
        self._pause_s = FAILING_FIRST_S
        places.hops = engine.hops
        places.next_hop_of = self._next_hop_of
        places.hops_towards = self._hops_towards

    def start_anew(self, vlan: int | None) -> None:
        """Control traffic is in this VLAN from now on, or none is: nothing is known."""
        self._places.clear()
        self._places.vlan = vlan or 0

    def follow_local(self, index: int, addresses: Collection[AddressChanged]) -> None:
        """LOCAL is the interface with this index, which has these addresses."""
        self._index = index
        usable = [each for each in addresses if not each.tentative]
        self._places.own = frozenset(address_key(each.address) for each in usable)
        self._places.networks = frozenset(map(_network, usable))

    def look_after(self, asked: ConfirmPlace) -> None:
        """Ask for a next hop that was not heard for a while, before its place is forgotten."""
        if self._places.is_unheard(asked.mac, PLACE_AGE_S, self._clock()):
            self._questions.ask(asked.index, asked.address)
            self.insist(asked.address)

    def insist(self, address: IpAddress) -> None:
        """The engine asks for a next hop, which may be somewhere else."""
        self._places.insist(address_key(address), self._clock())
        self.follow()

    def hurry(self) -> None:
        """A link died somewhere."""
        self._places.hurry(self._clock())
        self.follow()

    @property
    def channels(self) -> Mapping[IpAddress, bool]:
        """The controllers that are wanted, and whether a channel to each works."""
        return self._channels

    def channel_is(self, address: IpAddress, *, works: bool | None) -> None:
        """A channel to this address works, does not (yet), or is not wanted any more (None)."""
        if works is None:
            self._channels.pop(address, None)
            return
        is_new, self._channels[address] = works and not self._channels.get(address), works
        if is_new:  # the one before may have fallen silent and never recovered
            self._control(ChannelAlive(address))
            self._leases.channel_works()
        hop = self._next_hop_of(address_key(address))
        if works and hop is not None:
            self._places.set_failing(hop, is_failing=False)
        elif self._ask_at is None:
            self._plan(FAILING_FIRST_S)

    def _plan(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._ask_at = self._clock() + pause_s

    def _look_at_channels(self) -> None:
        """Ask everybody for next hops through which no channel works: others may have answered in their place.

        Work: the controllers of the bridge.
        """
        self._ask_at = None
        hops = {self._next_hop_of(address_key(address)): False for address in self._channels}
        for address, works in self._channels.items():
            hops[self._next_hop_of(address_key(address))] |= works
        for hop, works in hops.items():
            if hop is not None and not works and self._places.set_failing(hop, is_failing=True):
                self._ask(hop, None)
        if not all(self._channels.values()):
            self._plan(min(2 * self._pause_s, FAILING_MAX_S))

    def prove(self, address: IpAddress) -> None:
        """The kernel has said something of a next hop: ask it where it is, unless that is known.

        The kernel's own question may have been answered before it was known that this is a next hop.
        """
        key = address_key(address)
        hop = self._engine.hops.get(key)
        is_needed = hop is not None and (hop.urgent or hop.address in self._engine.neighbours_hops)
        if hop is not None and is_needed and hop.mac is not None and self._places.station(key) is None:
            self._questions.ask(hop.index, hop.address, at=hop.mac)

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return earliest(self._places.next_deadline(), self._ask_at, self._leases.next_deadline())

    def run(self, now: Instant) -> None:
        """Do what is due."""
        if self._ask_at is not None and self._ask_at <= now:
            self._look_at_channels()
        self._places.run(now)
        self._leases.run(now)
        self.follow()

    def follow(self) -> None:
        """Carry out what there is."""
        self._leases.follow()
        places = self._places
        if not places.news:
            return
        places.news = False
        if places.has_changed:
            places.has_changed = False
            self._megaflows.everything_changed()
            self._megaflows.settle()
            self.proofs_changed(self._clock())
        for address, mac, tells, is_known in places.take_questions():
            self._ask(address, mac, is_known=is_known)
            if tells:
                self._tell(address)
        for lapse in places.take_lapsed():
            self._look_again(lapse)
        self._wake()

    def _look_again(self, lapse: Lapse) -> None:
        """What was held passes now, if it was true or not; and everybody is asked."""
        self._ask(lapse.address, None)
        if lapse.held is not None:
            in_port, frame = lapse.held
            self._upcall(in_port, frame, parse(frame.data, in_port))

    def _ask(self, address: AddressKey, mac: Mac | None, *, is_known: bool = False) -> None:
        hop = self._engine.hops.get(address)
        if hop is not None:
            self._questions.ask(hop.index, hop.address, at=mac)
        elif mac is not None:
            self._questions.ask(self._index, address_of(address), at=mac)
            if not is_known:
                self._have_it_ask(mac, address[0])

    def _have_it_ask(self, mac: Mac, version: int) -> None:
        """Ask a switch behind this one for a next hop, past switches between that drop a question for its own address.

        It does not answer, but sees a doubt, and asks the next hop itself (``Places.asks``). Where that question comes
        in, the switch is. Rule (j) lets both of them pass. Work: the next hops of the bridge, which are few.
        """
        for hop in self._engine.hops.values():
            if hop.urgent and hop.index == self._index and hop.address.version == version:
                self._questions.ask(hop.index, hop.address, at=mac)

    def _tell(self, address: AddressKey) -> None:
        """Ask the switches behind this one for a next hop, to show them that there is a doubt."""
        station = self._places.station(address)
        here = None if station is None else self._places.port_of(station)
        for port, mac in list(self._places.peers()):
            if port != here:
                self._ask(address, mac)

    def _next_hop_of(self, remote: AddressKey) -> AddressKey | None:
        found = self._engine.next_hop_of(address_of(remote))
        return None if found is None else address_key(found[0])

    def _hops_towards(self, remote: AddressKey) -> list[AddressKey]:
        return [address_key(each) for each in self._engine.hops_towards(address_of(remote))]


def _no_one(_: Instant) -> None:
    """No one wants to know."""


def _network(each: AddressChanged) -> tuple[int, int, int]:
    network = network_of(each.address, each.prefix_length)
    return (network.version, int(network.network_address), int(network.netmask))
