"""By which port each destination of control is reached, and why that is believed: what ``inband paths`` says.

A destination is whoever this switch sends control traffic to, or passes it on for: remotes, DNS servers, the next hops
of both, and stations that neighbours or packets have told of, most of them LOCALs of other switches. It is read from
what the switch forwards by (``pipeline.places``, the FDB), so it holds with a key, without one, and without neighbours.

Invariant: to look changes nothing. Work: the destinations and the stations that are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from inband.bridge import map_view
from inband.bridge.bridge import Bridge
from inband.control.destinations import RemoteStatus
from inband.fabric.distances import Route
from inband.fabric.distances import Station as ToldStation
from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.fdb import FdbKey
from inband.pipeline.stations import Station
from inband.vocabulary.addresses import AddressKey, IpAddress, Mac, address_key, address_of
from inband.vocabulary.instant import Instant

SERVER, NEXT_HOP, SWITCH, STATION = "DNS server", "next hop", "switch", "station"
_ORDER = ("controller", "manager", SERVER, NEXT_HOP, SWITCH, STATION)


class Proof(StrEnum):
    """Why a destination is believed to be behind a port, in words for people."""

    ANSWER = "own question"
    """It answered a question of this switch there."""
    CHANNEL = "a controller's answer"
    """A controller has answered it there."""
    WORD = "a neighbour's word"
    """Neighbours with the network's key say so."""
    HEARD = "last heard there"
    """Nothing is proven."""
    NONE = "none"
    """Where it is is not known: frames for it are flooded."""


@dataclass(frozen=True, slots=True)
class Path:
    """One destination: ``place`` is its address, or that of a network that calls, as people write it.

    ``next_hop``: whose port this is, where that is another address. ``outside``: the interface by which the kernel
    reaches it, if that is not LOCAL. ``switch``: the datapath id of the switch whose LOCAL it is, as far as known.
    ``works``: whether a controller's channel does; None: it is no controller's. ``hops``: by neighbours' words.
    """

    place: str
    kinds: tuple[str, ...]
    works: bool | None = None
    next_hop: IpAddress | None = None
    mac: Mac | None = None
    outside: str | None = None
    switch: int | None = None
    port: PortNo | None = None
    proof: Proof = Proof.NONE
    since: Instant | None = None
    hops: int | None = None
    alternatives: tuple[PortNo, ...] = ()


@dataclass(slots=True)
class _Wanted:
    """Why a destination is one, and how the kernel reaches it."""

    status: RemoteStatus
    kinds: dict[str, None] = field(default_factory=dict)


class PathView:
    """A look at one bridge, good for one moment."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._places = bridge.pipeline.places
        fabric = bridge.neighbours.fabric
        ways = None if fabric is None else fabric.ways
        self._routes: dict[ToldStation, Route] = {} if ways is None else ways.distances.routes
        self._stations = {station.address: (port, station) for port, station in self._places.stations()}
        found = map_view.view(bridge)
        nodes = () if found is None else found.nodes
        self.labels = map_view.labels(nodes)
        """What people call switches, by datapath id."""
        self._switches = {address_key(each): node.switch for node in nodes for each in node.described.addresses}
        self._neighbours = {} if found is None else dict(_neighbours(found))

    def neighbour(self, port: PortNo) -> int | None:
        """The datapath id of the switch of this kind at a port."""
        return self._neighbours.get(port)

    def paths(self) -> list[Path]:
        """All: controllers first, then the other remotes, next hops, switches, and whoever else is known."""
        return sorted((*self._remotes(), *self._others()), key=lambda path: _ORDER.index(path.kinds[0]))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _remotes(self) -> Iterator[Path]:
        engine = self._bridge.in_band.engine
        wanted: dict[str, _Wanted] = {}
        for status in engine.remotes():
            kinds = wanted.setdefault(status.endpoint.place, _Wanted(status)).kinds
            kinds.update(dict.fromkeys(status.kinds))
        for status in engine.servers():
            wanted.setdefault(status.endpoint.place, _Wanted(status)).kinds[SERVER] = None
        for place, each in wanted.items():
            yield self._remote(place, each.status, tuple(sorted(each.kinds, key=_ORDER.index)))

    def _remote(self, place: str, status: RemoteStatus, kinds: tuple[str, ...]) -> Path:
        works = self._bridge.places.channels.get(status.address) if kinds[0] == _ORDER[0] else None
        next_hop = status.next_hop if status.next_hop != status.address or status.endpoint.length is not None else None
        path = Path(place, kinds, works, next_hop, status.next_hop_mac)
        if status.interface is not None and status.interface != self._local_name():
            return replace(path, outside=status.interface)
        return path if status.next_hop is None else self._at(path, address_key(status.next_hop))

    def _others(self) -> Iterator[Path]:
        """Next hops that are no remotes themselves, and stations that are neither."""
        engine, local = self._bridge.in_band.engine, self._local_name()
        remotes = {address_key(each.address) for each in (*engine.remotes(), *engine.servers()) if _is_host(each)}
        kinds = {address: STATION for (address, _), route in self._routes.items() if route.port is not None}
        kinds |= {address: SWITCH if each.is_peer else STATION for address, (_, each) in self._stations.items()}
        kinds |= dict.fromkeys(kinds.keys() & self._switches.keys(), SWITCH)
        hops = {address: hop for address, hop in engine.hops.items() if hop.urgent and hop.interface == local}
        kinds |= dict.fromkeys(hops, NEXT_HOP)
        for address in kinds.keys() - remotes:
            mac = hops[address].mac if address in hops else None
            yield self._at(Path(str(address_of(address)), (kinds[address],), mac=mac), address)

    def _at(self, path: Path, address: AddressKey) -> Path:
        """Where a destination is that is reached by this address."""
        path = replace(path, switch=self._switches.get(address))
        known = self._stations.get(address)
        if known is not None:
            port, station = known
            route = self._routes.get(ToldStation(address, station.mac))
            path = replace(path, mac=station.mac, port=port, proof=_proof(station), since=station.moved_at)
            if route is None or not station.has_word:
                return path
            return replace(path, hops=route.distance.metric, alternatives=route.others_than(port))
        if path.mac is None:
            return path
        heard = self._bridge.fdb.lookup(FdbKey(self._places.vlan, path.mac), self._bridge.now)
        return path if heard is None else replace(path, port=heard, proof=Proof.HEARD)

    def _local_name(self) -> str | None:
        port = self._bridge.ports.get(LOCAL)
        return None if port is None else port.name


def _neighbours(found: map_view.MapView) -> Iterator[tuple[int, int]]:
    for link in found.links:
        for one, two in (link.ends, link.ends[::-1]):
            if link.is_up and one.switch == found.switch:
                yield one.port, two.switch


def _proof(station: Station) -> Proof:
    if station.has_word:
        return Proof.WORD
    return Proof.CHANNEL if station.is_peer else Proof.ANSWER


def _is_host(status: RemoteStatus) -> bool:
    return status.endpoint.length is None
