"""The network of switches as one of them knows it: nodes, links, and who leads whom to the controllers.

With a key it is put together from what all switches say of themselves (``fabric.network_map``). Without one a switch
knows itself and its neighbours.

Records come from different moments, so two may contradict each other: a link is up while neither end says otherwise.

Invariant: to look changes nothing. Work: the records and the links in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

from inband.bridge.bridge import Bridge
from inband.fabric import description
from inband.fabric.description import Description
from inband.fabric.events import LinkState
from inband.fabric.fabric import Fabric
from inband.fabric.map_message import NodeRecord
from inband.fabric.network_map import reached_from
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant


class End(NamedTuple):
    """One end of a link: a switch by its datapath id, and its port."""

    switch: int
    port: int


@dataclass(frozen=True, slots=True)
class MapLink:
    """Two switches that share a link, the lower end first. Not ``is_up``: one of them says that the other is lost."""

    one: End
    two: End
    is_up: bool

    @property
    def ends(self) -> tuple[End, End]:
        """Both."""
        return self.one, self.two


@dataclass(frozen=True, slots=True)
class MapNode:
    """A switch. ``heard_at``: when what is known of it came, None: now. ``is_reached``: by links that are up."""

    switch: int
    described: Description
    heard_at: Instant | None
    is_reached: bool


@dataclass(frozen=True, slots=True)
class MapView:
    """All that is known, by datapath id. ``is_whole``: there is a key, so switches that are no neighbours are known.

    ``refused`` counts records of more switches than are kept; ``is_doubled``: another switch has this one's id.
    """

    switch: int
    is_whole: bool
    nodes: tuple[MapNode, ...]
    links: tuple[MapLink, ...]
    refused: int = 0
    is_doubled: bool = False


def view(bridge: Bridge) -> MapView | None:
    """What a bridge knows now; None where neighbours are off."""
    fabric = bridge.neighbours.fabric
    if fabric is None:
        return None
    control, network = bridge.neighbours.described(bridge.now), fabric.map
    described = _neighbours(fabric) if network is None else _records(network.records)
    described[fabric.switch] = replace(fabric.describe(), name=control.name, ways=control.ways)
    links = tuple(sorted(_links(described), key=attrgetter("ends")))
    for link in links:
        described.setdefault(link.one.switch, Description())
        described.setdefault(link.two.switch, Description())
    reached = _reached(fabric.switch, links)
    heard_at = {} if network is None else {**network.heard_at, fabric.switch: None}
    nodes = (MapNode(each, described[each], heard_at.get(each), each in reached) for each in sorted(described))
    if network is None:
        return MapView(fabric.switch, False, tuple(nodes), links)
    return MapView(fabric.switch, True, tuple(nodes), links, network.refused, network.is_doubled)


def labels(nodes: Iterable[MapNode]) -> dict[int, str]:
    """What people call each: its name, if each has one of its own, else its first address, else its datapath id."""
    known = tuple(nodes)
    names = [node.described.name for node in known]
    if all(names) and len(set(names)) == len(names):
        return {node.switch: node.described.name for node in known}
    return {node.switch: str(next(iter(addresses(node)), f"{node.switch:016x}")) for node in known}


def addresses(node: MapNode) -> list[IpAddress]:
    """LOCAL's, those first that others on the network use: IPv4, and no link-local ones before they must."""
    return sorted(node.described.addresses, key=_use)


def _use(address: IpAddress) -> tuple[bool, int, int]:
    return address.is_link_local, address.version, int(address)


def _records(records: dict[int, NodeRecord]) -> dict[int, Description]:
    return {switch: description.decode(record.body) for switch, record in records.items()}


def _neighbours(fabric: Fabric) -> dict[int, Description]:
    there = (link for link in fabric.links.values() if link.state is LinkState.TWO_WAY)
    return {
        link.peer.switch: Description(addresses=() if link.introduced is None else link.introduced.addresses)
        for link in there
        if link.peer is not None
    }


def _links(described: dict[int, Description]) -> Iterator[MapLink]:
    """Each once, whoever tells of it."""
    found: dict[tuple[End, End], bool] = {}
    for switch, each in described.items():
        for link in each.links:
            one, two = sorted((End(switch, link.port), End(link.peer, link.peer_port)))
            found[one, two] = found.get((one, two), True) and link.is_up
    return (MapLink(one, two, is_up) for (one, two), is_up in found.items())


def _reached(start: int, links: tuple[MapLink, ...]) -> set[int]:
    near: dict[int, list[int]] = {}
    for link in links:
        if link.is_up:
            near.setdefault(link.one.switch, []).append(link.two.switch)
            near.setdefault(link.two.switch, []).append(link.one.switch)
    return reached_from(start, near)
