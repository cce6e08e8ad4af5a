"""The map as a drawing: a file that needs nothing else, with everything in it, the same each time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from inband.cli.main import main
from inband.cli.map_svg import HEIGHT, WIDTH, svg
from inband.runtime.map_documents import MapDocument, MapLinkDocument, MapNodeDocument, MapPortDocument
from tests.unit.cli.fake_switch import FakeSwitch, fake_switch

SVG = "{http://www.w3.org/2000/svg}"


def port(number: int, leads_to: str | None) -> MapPortDocument:
    return {"port": number, "next": leads_to, "up": True}


def ring(length: int, *, lost: int | None = None) -> MapDocument:
    """Switches s1, s2, ... each of which goes by the one before it; a link between the last and the first, too."""
    names = [f"s{number}" for number in range(1, length + 1)]
    nodes: list[MapNodeDocument] = [
        {
            "switch": name,
            "label": name,
            "name": name,
            "addresses": [f"10.0.0.{number}"],
            "reached": True,
            "heard_s": None,
            "controllers": [
                {
                    "address": "10.0.0.100",
                    "connected": True,
                    "by": port(1, names[number - 2] if number > 1 else None),
                    "alternatives": [],
                }
            ],
        }
        for number, name in enumerate(names, 1)
    ]
    ends = [(names[at], names[(at + 1) % length]) for at in range(length)] if length > 1 else []
    links: list[MapLinkDocument] = [
        {"ends": [{"switch": one, "port": 2}, {"switch": two, "port": 1 if two != "s1" else 3}], "up": at != lost}
        for at, (one, two) in enumerate(ends)
    ]
    return {"name": "br0", "switch": "s1", "keys": 1, "problems": [], "nodes": nodes, "links": links}


def drawn(found: MapDocument) -> ElementTree.Element:
    return ElementTree.fromstring(svg(found))


def boxes(found: MapDocument) -> list[tuple[float, float]]:
    shapes = [each for each in drawn(found).iter(f"{SVG}rect") if "box" in each.attrib["class"]]
    return [(float(each.attrib["x"]), float(each.attrib["y"])) for each in shapes]


def kinds(found: MapDocument) -> list[str]:
    """Of lines, those of the legend too."""
    return sorted(each.attrib["class"] for each in drawn(found).iter(f"{SVG}path"))


@pytest.mark.parametrize("length", [1, 2, 3, 8, 16])
def test_no_box_lies_on_another_one_and_all_are_within_the_page(length: int) -> None:
    found = ring(length)

    placed = boxes(found)
    left, top, width, height = map(float, drawn(found).attrib["viewBox"].split())

    assert len(placed) == length + 1, "the switches, and the controller"
    for (x, y), (other_x, other_y) in combinations(placed, 2):
        assert abs(x - other_x) >= WIDTH or abs(y - other_y) >= HEIGHT
    assert all(left <= x <= left + width - WIDTH and top <= y <= top + height - HEIGHT for x, y in placed)


def test_ways_to_the_controller_other_links_and_lost_ones_look_different() -> None:
    whole, broken = kinds(ring(5)), kinds(ring(5, lost=4))

    legend = ["link", "lost", "way"]
    assert whole == sorted([*legend, "link", *["way"] * 4, "up"])
    assert broken == sorted([*legend, "lost", *["way"] * 4, "up"])


def test_two_links_between_two_switches_are_two_lines() -> None:
    lines = [each.attrib["d"] for each in drawn(ring(2)).iter(f"{SVG}path") if "Q" in each.attrib["d"]]

    assert len(set(lines)) == len(lines) == 3


def test_it_is_the_same_each_time_and_needs_nothing_else() -> None:
    first, second = (svg(ring(4)) for _ in range(2))

    assert first == second
    assert re.findall(r"(?:https?://|url\(|@import|xlink|<image|<script)[^\"]*", first) == [
        "http://www.w3.org/2000/svg"
    ]
    assert "prefers-color-scheme:dark" in first


def test_what_switches_call_themselves_is_no_markup_and_long_words_are_cut() -> None:
    found = ring(2)
    found["nodes"][0]["label"], found["nodes"][1]["label"] = "</svg><b>&", "x" * 40

    words = [each.text for each in drawn(found).iter(f"{SVG}text")]

    assert "</svg><b>&" in words
    assert "x" * 17 + "…" in words


def test_a_switch_whose_neighbours_are_off_is_a_page_all_the_same() -> None:
    found: MapDocument = {"name": "br0", "switch": None, "keys": 0, "problems": [], "nodes": [], "links": []}

    assert all(math.isfinite(float(each)) for each in drawn(found).attrib["viewBox"].split())


@pytest.fixture
def switch() -> Iterator[FakeSwitch]:
    with fake_switch() as fake:
        yield fake


def test_the_verb_writes_the_file(switch: FakeSwitch, tmp_path: Path) -> None:
    found = ring(2)
    switch.answers["map"] = json.dumps({"bridges": [found]})

    code = main(["--run-dir", str(switch.run_dir), "map", "--svg", str(tmp_path / "map.svg")])

    assert code == 0
    assert switch.asked == [["map", "json"]]
    assert (tmp_path / "map.svg").read_text() == svg(found)


def test_a_dash_is_standard_output(
    switch: FakeSwitch, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    switch.answers["map"] = json.dumps({"bridges": [ring(2)]})

    code = main(["--run-dir", str(switch.run_dir), "map", "--svg", "-"])

    assert code == 0
    assert capsys.readouterr().out == svg(ring(2))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("bridges", "file", "said"),
    [
        (2, "map.svg", "there are 2 bridges: write `inband map BRIDGE --svg "),
        (1, "none/map.svg", "map.svg cannot be written: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_is_refused(
    switch: FakeSwitch, tmp_path: Path, capsys: pytest.CaptureFixture[str], bridges: int, file: str, said: str
) -> None:
    found = ring(1)
    switch.answers["map"] = json.dumps({"bridges": [found] * bridges})

    code = main(["--run-dir", str(switch.run_dir), "map", "--svg", str(tmp_path / file)])

    assert code == 1
    assert said in capsys.readouterr().err
