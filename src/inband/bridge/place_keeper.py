"""Carries out what the places of stations ask for: questions, and what follows when a place is not proven any more.

``pipeline.places`` decides; the engine knows which next hops there are and on which interface; the bridge sends.

Invariant: when a proof came or went, cached decisions made by the old one are gone before another frame is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address

from inband.bridge.megaflows import MegaflowCache
from inband.bridge.questions import Questions
from inband.control.endpoints import network_of
from inband.control.engine import Engine
from inband.flow.fields import FlowKey
from inband.flow.ports import PortNo
from inband.host.events import AddressChanged
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.places import Lapse, Places
from inband.vocabulary.addresses import AddressKey, IpAddress, Mac, address_key
from inband.vocabulary.instant import Instant


class PlaceKeeper:
    """One bridge's."""

    def __init__(
        self,
        places: Places,
        engine: Engine,
        questions: Questions,
        megaflows: MegaflowCache,
        upcall: Callable[[PortNo, Frame, FlowKey], None],
        clock: Callable[[], Instant],
        wake: Callable[[], None],
    ) -> None:
        """``upcall`` decides about a frame; ``wake``: ``next_deadline`` may have become earlier."""
        self._places = places
        self._engine = engine
        self._questions = questions
        self._megaflows = megaflows
        self._upcall, self._clock, self._wake = upcall, clock, wake
        self._index = 0
        places.hops = engine.hops
        places.next_hop_of = self._next_hop_of

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

    def insist(self, address: IpAddress) -> None:
        """The engine asks for a next hop, which may be somewhere else."""
        self._places.insist(address_key(address), self._clock())
        self.follow()

    def hurry(self) -> None:
        """A link died somewhere."""
        self._places.hurry(self._clock())
        self.follow()

    def prove(self, address: IpAddress) -> None:
        """The kernel has said something of a next hop: ask it where it is, unless that is known.

        The kernel's own question may have been answered before it was known that this is a next hop.
        """
        key = address_key(address)
        hop = self._engine.hops.get(key)
        if hop is not None and hop.urgent and hop.mac is not None and self._places.station(key) is None:
            self._questions.ask(hop.index, hop.address, at=hop.mac)

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return self._places.next_deadline()

    def run(self, now: Instant) -> None:
        """Do what is due."""
        self._places.run(now)
        self.follow()

    def follow(self) -> None:
        """Carry out what there is."""
        places = self._places
        if not places.news:
            return
        places.news = False
        if places.has_changed:
            places.has_changed = False
            self._megaflows.everything_changed()
            self._megaflows.settle()
        for address, mac in places.take_questions():
            self._ask(address, mac)
        for in_port, frame in places.take_rumours():
            self._tell(in_port, frame)
        for lapse in places.take_lapsed():
            self._look_again(lapse)
        self._wake()

    def _look_again(self, lapse: Lapse) -> None:
        """What was held passes now, if it was true or not; and everybody is asked."""
        self._ask(lapse.address, None)
        if lapse.held is not None:
            in_port, frame = lapse.held
            self._upcall(in_port, frame, parse(frame.data, in_port))

    def _ask(self, address: AddressKey, mac: Mac | None) -> None:
        hop = self._engine.hops.get(address)
        if hop is not None:
            self._questions.ask(hop.index, hop.address, at=mac)
        elif mac is not None:
            self._questions.ask(self._index, _ip(address), at=mac)

    def _tell(self, in_port: PortNo, frame: Frame) -> None:
        """Send a frame that came in on a port to the switches behind other ports, to each by its MAC address."""
        for port, mac in self._places.peers():
            if port != in_port:
                self._questions.send(port, Frame(mac.packed + frame.data[6:]))

    def _next_hop_of(self, remote: AddressKey) -> AddressKey | None:
        found = self._engine.next_hop_of(_ip(remote))
        return None if found is None else address_key(found[0])


def _ip(key: AddressKey) -> IpAddress:
    version, number = key
    return IPv4Address(number) if version == 4 else IPv6Address(number)


def _network(each: AddressChanged) -> tuple[int, int, int]:
    network = network_of(each.address, each.prefix_length)
    return (network.version, int(network.network_address), int(network.netmask))
