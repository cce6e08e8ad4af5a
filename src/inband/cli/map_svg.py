"""The map of a network as a drawing: switches on a circle, links between them, controllers outside beside their switch.

One file that needs nothing else, on light and dark backgrounds. A circle fits rings and meshes alike; neighbours stand
beside each other where a walk from the first one finds them so. Two maps of one network look the same.

Invariant: no word of the map is markup, whatever a switch calls itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from inband.runtime.map_documents import MapDocument, MapLinkDocument, MapNodeDocument

# Boxes hold two lines of so many letters; PITCH is the room that each has on the circle.
WIDTH, HEIGHT, LETTERS = 128, 38, 18
PITCH = 164
MIN_RADIUS, MARGIN = 150, 24
# How much farther out controllers are than switches, sideways and upwards: their boxes do not touch.
OUTSIDE_X, OUTSIDE_Y = WIDTH + 48, 100
# How far links between the same two switches are apart.
APART = 22

_STYLE = """
text{font:12px system-ui,sans-serif;text-anchor:middle;fill:#1b1f24}
.paper{fill:#ffffff}.box{fill:#f2f5f8;stroke:#57606a}.here{stroke-width:3}.gone{opacity:.45}
.controller{fill:#fff4d6;stroke:#9a6700}
.link,.way,.lost,.up{fill:none;stroke:#8c959f;stroke-width:1.5}
.way{stroke:#0a66c2;stroke-width:3.5}.lost{stroke:#cf222e;stroke-dasharray:6 5}.up{stroke:#9a6700}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.paper{fill:#0d1117}.box{fill:#1c2430;stroke:#8b949e}.controller{fill:#33270a;stroke:#d29922}
.link{stroke:#6e7681}.way{stroke:#58a6ff}.lost{stroke:#ff7b72}.up{stroke:#d29922}}
"""


class Point(NamedTuple):
    """A place in the drawing, in pixels from its middle."""

    x: float
    y: float


def svg(found: MapDocument) -> str:
    """The whole file."""
    places = _places(found)
    controllers = _controller_places(found, places)
    shapes = [*_link_shapes(found, places), *_controller_lines(found, places, controllers)]
    shapes += (_box(place, "box controller", address, "controller") for address, place in controllers.items())
    shapes += (_node(node, places[node["switch"]], found) for node in found["nodes"])
    return _page(found, [*places.values(), *controllers.values()], shapes)


def _page(found: MapDocument, points: Iterable[Point], shapes: Iterable[str]) -> str:
    known = [*points, Point(0, 0)]
    left, top = (min(each) for each in zip(*known, strict=True))
    right, bottom = (max(each) for each in zip(*known, strict=True))
    x, y = left - WIDTH / 2 - MARGIN, top - HEIGHT / 2 - MARGIN
    width, height = right - left + WIDTH + 2 * MARGIN, bottom - top + HEIGHT + 2 * MARGIN + 3 * MARGIN
    view = " ".join(map(_number, (x, y, width, height)))
    size = f'width="{_number(width)}" height="{_number(height)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" {size}>',
        f"<title>{escape(found['name'])}: the network of switches</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" x="{_number(x)}" y="{_number(y)}" {size}/>',
        *shapes,
        *_legend(Point(x + MARGIN, bottom + HEIGHT / 2 + 2 * MARGIN)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _legend(at: Point) -> Iterator[str]:
    for number, (kind, words) in enumerate((("way", "way to a controller"), ("link", "other link"), ("lost", "lost"))):
        x = at.x + 170 * number
        yield f'<path class="{kind}" d="M{_number(x)} {_number(at.y)}h36"/>'
        yield f'<text x="{_number(x + 44)}" y="{_number(at.y + 4)}" style="text-anchor:start">{words}</text>'


# --- where things are -----------------------------------------------------------------------------------------------


def _places(found: MapDocument) -> dict[str, Point]:
    """Switches around the circle, the first one on top."""
    order = _order(found)
    radius = max(MIN_RADIUS, len(order) * PITCH / math.tau) if len(order) > 1 else 0
    return {switch: _on_ellipse(number / len(order), radius, radius) for number, switch in enumerate(order)}


def _on_ellipse(turn: float, across: float, down: float) -> Point:
    angle = math.tau * (turn - 0.25)
    return Point(across * math.cos(angle), down * math.sin(angle))


def _order(found: MapDocument) -> list[str]:
    """Switches in the order of a walk that goes on from each to the first one beside it that was not met."""
    near: dict[str, set[str]] = {node["switch"]: set() for node in found["nodes"]}
    numbers = {switch: number for number, switch in enumerate(near)}
    for link in found["links"]:
        one, two = (end["switch"] for end in link["ends"])
        near[one].add(two)
        near[two].add(one)
    order: dict[str, None] = {}
    waiting = list(reversed(near))
    while waiting:
        switch = waiting.pop()
        if switch not in order:
            order[switch] = None
            waiting += sorted(near[switch] - order.keys(), key=numbers.__getitem__, reverse=True)
    return list(order)


def _controller_places(found: MapDocument, places: dict[str, Point]) -> dict[str, Point]:
    """Controllers outside the circle, beside the first switch that goes to each without another one."""
    made: dict[str, Point] = {}
    radius = max((math.hypot(*place) for place in places.values()), default=0)
    turn = 1 / max(1, len(places))
    beside: dict[str, list[str]] = {}
    for switch, address in _direct(found):
        if not any(address in known for known in beside.values()):
            beside.setdefault(switch, []).append(address)
    for switch, addresses in beside.items():
        at = list(places).index(switch) * turn
        for number, address in enumerate(addresses):
            aside = (number - (len(addresses) - 1) / 2) * turn * 0.7
            made[address] = _on_ellipse(at + aside, radius + OUTSIDE_X, radius + OUTSIDE_Y)
    return made


def _direct(found: MapDocument) -> Iterator[tuple[str, str]]:
    """Switches that go to a controller by no other switch."""
    for node in found["nodes"]:
        for way in node["controllers"]:
            if way["by"] is not None and way["by"]["next"] is None and node["reached"]:
                yield node["switch"], way["address"]


# --- shapes ---------------------------------------------------------------------------------------------------------


def _link_shapes(found: MapDocument, places: dict[str, Point]) -> Iterator[str]:
    """A line for each link; those between the same two switches bend apart."""
    used = {
        (node["switch"], way["by"]["port"])
        for node in found["nodes"]
        for way in node["controllers"]
        if way["by"] is not None and node["reached"]
    }
    between: dict[tuple[str, ...], list[MapLinkDocument]] = {}
    for link in found["links"]:
        between.setdefault(tuple(sorted(end["switch"] for end in link["ends"])), []).append(link)
    for ends, links in between.items():
        for number, link in enumerate(links):
            is_used = any((end["switch"], end["port"]) in used for end in link["ends"])
            kind = "lost" if not link["up"] else "way" if is_used else "link"
            bend = (number - (len(links) - 1) / 2) * APART
            yield _line(kind, places[ends[0]], places[ends[-1]], bend, _title(link, found))


def _title(link: MapLinkDocument, found: MapDocument) -> str:
    labels = {node["switch"]: node["label"] for node in found["nodes"]}
    ends = (f"{labels[end['switch']]} port {end['port']}" for end in link["ends"])
    return " - ".join(ends) + ("" if link["up"] else ": lost")


def _controller_lines(found: MapDocument, places: dict[str, Point], controllers: dict[str, Point]) -> Iterator[str]:
    for switch, address in _direct(found):
        yield _line("up", places[switch], controllers[address], 0, f"to {address}")


def _line(kind: str, one: Point, two: Point, bend: float, title: str) -> str:
    length = math.hypot(two.x - one.x, two.y - one.y) or 1
    x = (one.x + two.x) / 2 - 2 * bend * (two.y - one.y) / length
    y = (one.y + two.y) / 2 + 2 * bend * (two.x - one.x) / length
    way = f"M{_number(one.x)} {_number(one.y)}Q{_number(x)} {_number(y)} {_number(two.x)} {_number(two.y)}"
    return f'<path class="{kind}" d="{way}"><title>{escape(title)}</title></path>'


def _node(node: MapNodeDocument, place: Point, found: MapDocument) -> str:
    kind = "box" + (" here" if node["switch"] == found["switch"] else "") + ("" if node["reached"] else " gone")
    below = next((each for each in node["addresses"] if each != node["label"]), "")
    return _box(place, kind, node["label"], below)


def _box(place: Point, kind: str, above: str, below: str) -> str:
    x, y = place.x - WIDTH / 2, place.y - HEIGHT / 2
    whole = f"{above} {below}".strip()
    shape = f'<rect class="{kind}" x="{_number(x)}" y="{_number(y)}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    first = f'<text x="{_number(place.x)}" y="{_number(place.y - 3 if below else place.y + 4)}">{_short(above)}</text>'
    second = f'<text x="{_number(place.x)}" y="{_number(place.y + 13)}">{_short(below)}</text>' if below else ""
    return f"<g><title>{escape(whole)}</title>{shape}{first}{second}</g>"


def _short(text: str) -> str:
    return escape(text if len(text) <= LETTERS else text[: LETTERS - 1] + "…")


def _number(value: float) -> str:
    return f"{round(value, 1) + 0.0:g}"
