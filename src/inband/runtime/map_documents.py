"""The network of switches as ``inband map`` prints it: a document for scripts; for people a tree for each controller.

In a tree each switch is below the one that it goes by to the controller. Lines are as narrow as a terminal: beyond
MAX_INDENT they are not indented further, however deep the tree is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypedDict

from inband.bridge.bridge import Bridge
from inband.bridge.map_view import End, MapLink, MapNode, MapView, addresses, labels, view
from inband.runtime.bridge_documents import folded, key_words, natural

MAX_INDENT = 32


class MapPortDocument(TypedDict):
    """A port of a switch: ``next`` is the switch that it leads to, None where there is none of this kind.

    Not ``up``: that one is lost, and what goes by this port will go elsewhere.
    """

    port: int
    next: str | None
    up: bool


class MapWayDocument(TypedDict):
    """How a switch reaches a controller: ``by`` is None where that is not known."""

    address: str
    connected: bool
    by: MapPortDocument | None
    alternatives: list[MapPortDocument]


class MapNodeDocument(TypedDict):
    """A switch, by its datapath id. ``label``: its bridge's name where all have different ones, else its address or id.

    ``reached``: from this switch, by links that are up. ``heard_s``: how long ago it told this, None for this switch,
    and for neighbours without a key.
    """

    switch: str
    label: str
    name: str
    addresses: list[str]
    reached: bool
    heard_s: float | None
    controllers: list[MapWayDocument]


class MapEndDocument(TypedDict):
    """One end of a link."""

    switch: str
    port: int


class MapLinkDocument(TypedDict):
    """A link between switches; not ``up``: an end has lost the other one."""

    ends: list[MapEndDocument]
    up: bool


class MapDocument(TypedDict):
    """One bridge's map. ``switch`` is its datapath id, None where neighbours are off; ``keys``: how many are accepted.

    Without a key it is of this switch and its neighbours alone. ``problems``: what is odd, in words.
    """

    name: str
    switch: str | None
    keys: int
    problems: list[str]
    nodes: list[MapNodeDocument]
    links: list[MapLinkDocument]


def document(bridge: Bridge) -> MapDocument:
    """Everything that is known now."""
    found, fabric = view(bridge), bridge.neighbours.fabric
    if found is None or fabric is None:
        return {"name": bridge.name, "switch": None, "keys": 0, "problems": [], "nodes": [], "links": []}
    called, peers = labels(found.nodes), _peers(found.links)
    order = {switch: natural(label) for switch, label in called.items()}
    nodes = sorted(found.nodes, key=lambda node: (order[node.switch], node.switch))
    links = [(sorted(link.ends, key=lambda end: (order[end.switch], end)), link.is_up) for link in found.links]
    return {
        "name": bridge.name,
        "switch": _id(found.switch),
        "keys": 0 if fabric.keys is None else len(fabric.keys.keys),
        "problems": list(_problems(found)),
        "nodes": [_node(node, called[node.switch], peers, bridge.now) for node in nodes],
        "links": [
            {"ends": [_end(end) for end in ends], "up": is_up}
            for ends, is_up in sorted(links, key=lambda each: [(order[end.switch], end) for end in each[0]])
        ],
    }


def _id(switch: int) -> str:
    return f"{switch:016x}"


def _end(end: End) -> MapEndDocument:
    return {"switch": _id(end.switch), "port": end.port}


def _peers(links: Iterable[MapLink]) -> dict[End, tuple[int, bool]]:
    """The switch at the other end of each port, and whether the link is up; of two at one port the one that is."""
    found: dict[End, tuple[int, bool]] = {}
    for link in sorted(links, key=lambda each: each.is_up):
        found[link.one], found[link.two] = (link.two.switch, link.is_up), (link.one.switch, link.is_up)
    return found


def _problems(found: MapView) -> Iterator[str]:
    if found.refused:
        yield f"there are more switches than the {len(found.nodes)} that are kept"
    if found.is_doubled:
        yield f"another switch has the datapath id of this one: {_id(found.switch)}"


def _node(node: MapNode, label: str, peers: dict[End, tuple[int, bool]], now: float) -> MapNodeDocument:
    def port(number: int) -> MapPortDocument:
        peer, is_up = peers.get(End(node.switch, number), (None, True))
        return {"port": number, "next": None if peer is None else _id(peer), "up": is_up}

    return {
        "switch": _id(node.switch),
        "label": label,
        "name": node.described.name,
        "addresses": [str(each) for each in addresses(node)],
        "reached": node.is_reached,
        "heard_s": None if node.heard_at is None else round(max(0.0, now - node.heard_at), 3),
        "controllers": [
            {
                "address": str(way.address),
                "connected": way.is_connected,
                "by": port(way.port) if way.port else None,
                "alternatives": [port(each) for each in way.alternatives],
            }
            for way in node.described.ways
        ],
    }


# --- for people -----------------------------------------------------------------------------------------------------


def lines(found: MapDocument) -> list[str]:
    """A heading, a tree for each controller, and what is in none of them."""
    if found["switch"] is None:
        return [f"{found['name']}: neighbours are off"]
    return [line for text, indent in _texts(found) for line in folded(text, indent)]


def _texts(found: MapDocument) -> Iterator[tuple[str, str]]:
    """Lines of any width, each with the indent of what does not fit."""
    yield _head(found), "  "
    yield from ((problem, "  ") for problem in found["problems"])
    nodes, called = found["nodes"], {node["switch"]: node["label"] for node in found["nodes"]}
    shown: set[str] = set()
    for together in _controllers(nodes):
        yield f"controller{'s' if len(together) > 1 else ''} {', '.join(together)}", "  "
        for depth, node in _tree(nodes, together[0]):
            shown.add(node["switch"])
            indent = " " * min(2 * depth, MAX_INDENT)
            yield f"{indent}{_line(node, together[0], called, found)}", f"{indent}    "
    others = [node for node in nodes if node["switch"] not in shown and node["reached"]]
    yield from _section("no way to a controller is known", [_who(node, found) for node in others])
    gone = [f"{_who(node, found)}{_last_heard(node)}" for node in nodes if not node["reached"]]
    yield from _section("out of reach", gone)
    yield from _section("links that are lost", [_link(each, called) for each in found["links"] if not each["up"]])
    ways = _links_in_use(nodes)
    spare = [each for each in found["links"] if each["up"] and not ways & _ports_of(each)]
    yield from _section("links that no switch goes by", [_link(each, called) for each in spare])


def _head(found: MapDocument) -> str:
    words = f"{found['name']}: switch {found['switch']}; {key_words(found['keys'])}; "
    if not found["keys"]:
        return f"{words}this switch and its neighbours"
    switches, links = len(found["nodes"]), len(found["links"])
    words += f"{switches} switch{'' if switches == 1 else 'es'}, {links} link{'' if links == 1 else 's'}"
    lost = sum(not link["up"] for link in found["links"])
    return words + (f", {lost} lost" if lost else "")


def _section(title: str, rows: list[str]) -> Iterator[tuple[str, str]]:
    if rows:
        yield title, ""
        yield from ((f"  {row}", "      ") for row in rows)


def _controllers(nodes: Iterable[MapNodeDocument]) -> list[list[str]]:
    """Addresses of controllers; those that all switches reach in the same way are together."""
    ways: dict[str, list[tuple[str, str]]] = {}
    for node in nodes:
        for way in node["controllers"] if node["reached"] else ():
            ways.setdefault(way["address"], []).append((node["switch"], repr({**way, "address": ""})))
    together: dict[str, list[str]] = {}
    for address, told in ways.items():
        together.setdefault(repr(told), []).append(address)
    return list(together.values())


def _tree(nodes: Iterable[MapNodeDocument], address: str) -> Iterator[tuple[int, MapNodeDocument]]:
    """The switches on the way to this controller, each with its depth, below the one that it goes by.

    First stands who goes by no other switch, or does not say by which one. Those of which records say that they go
    round are in no tree.
    """
    below: dict[str | None, list[MapNodeDocument]] = {}
    known, leads = {node["switch"]: node for node in nodes if node["reached"]}, set[str | None]()
    for node in known.values():
        way = _way(node, address)
        if way is not None and way["by"] is not None and way["by"]["up"]:
            below.setdefault(way["by"]["next"], []).append(node)
            leads.add(node["switch"])
    first = [*below.pop(None, []), *(known[each] for each in below if each not in leads and each in known)]
    waiting = [(1, node) for node in reversed(first)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting += [(depth + 1, each) for each in reversed(below.pop(node["switch"], []))]


def _way(node: MapNodeDocument, address: str) -> MapWayDocument | None:
    return next((way for way in node["controllers"] if way["address"] == address), None)


def _line(node: MapNodeDocument, address: str, labels: dict[str, str], found: MapDocument) -> str:
    way = _way(node, address)
    if way is None or way["by"] is None or not way["by"]["up"]:
        return f"{_who(node, found)}: its way is not known"
    state = "connected" if way["connected"] else "not connected"
    others = "".join(f"; else port {each['port']}{_to(each, labels)}" for each in way["alternatives"])
    return f"{_who(node, found)} by port {way['by']['port']}: {state}{others}"


def _to(port: MapPortDocument, labels: dict[str, str]) -> str:
    return "" if port["next"] is None else f" to {labels[port['next']]}"


def _who(node: MapNodeDocument, found: MapDocument) -> str:
    address = node["addresses"][:1] if node["addresses"][:1] != [node["label"]] else []
    words = ", ".join([*address, *(["this switch"] if node["switch"] == found["switch"] else [])])
    return node["label"] + (f" ({words})" if words else "")


def _last_heard(node: MapNodeDocument) -> str:
    return "" if node["heard_s"] is None else f", told this {node['heard_s']:.1f} s ago"


def _link(link: MapLinkDocument, labels: dict[str, str]) -> str:
    return " - ".join(f"{labels[end['switch']]} port {end['port']}" for end in link["ends"])


def _ports_of(link: MapLinkDocument) -> set[tuple[str, int]]:
    return {(end["switch"], end["port"]) for end in link["ends"]}


def _links_in_use(nodes: Iterable[MapNodeDocument]) -> set[tuple[str, int]]:
    """The ports by which switches go to their controllers."""
    ways = ((node["switch"], way["by"]) for node in nodes for way in node["controllers"])
    return {(switch, by["port"]) for switch, by in ways if by is not None}
