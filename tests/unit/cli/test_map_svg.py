"""The map as a drawing: a file that needs nothing else, with everything in it, the same each time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from inband.cli.main import main
from inband.cli.map_svg import HEIGHT, WIDTH, svg
from inband.runtime.map_documents import MapDocument, document
from inband.sim import topologies
from inband.sim.topologies import Topology
from tests.unit.cli.fake_switch import FakeSwitch, fake_switch

SVG = "{http://www.w3.org/2000/svg}"
KEY = b"k" * 32


def network(made: Topology) -> Topology:
    for switch in made.switches:
        switch.set_network_keys(KEY)
    made.net.start()
    made.net.run(6.0)
    return made


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
    found = document(network(topologies.ring(length) if length > 1 else topologies.row(1)).switches[0].only.bridge)

    placed = boxes(found)
    left, top, width, height = map(float, drawn(found).attrib["viewBox"].split())

    assert len(placed) == length + 1, "the switches, and the controller"
    for (x, y), (other_x, other_y) in combinations(placed, 2):
        assert abs(x - other_x) >= WIDTH or abs(y - other_y) >= HEIGHT
    assert all(left <= x <= left + width - WIDTH and top <= y <= top + height - HEIGHT for x, y in placed)


def test_ways_to_the_controller_other_links_and_lost_ones_look_different() -> None:
    made = network(topologies.ring(5))
    before = kinds(document(made.switches[0].only.bridge))

    made.net.links[2].cut()
    made.net.run(1.0)
    after = kinds(document(made.switches[0].only.bridge))

    legend = ["link", "lost", "way"]
    assert before == sorted([*legend, "link", *["way"] * 4, "up"])
    assert after == sorted([*legend, "lost", *["way"] * 4, "up"])


def test_two_links_between_two_switches_are_two_lines() -> None:
    found = document(network(topologies.ring(2)).switches[0].only.bridge)

    lines = [each.attrib["d"] for each in drawn(found).iter(f"{SVG}path") if "Q" in each.attrib["d"]]

    assert len(set(lines)) == len(lines) == 3


def test_it_is_the_same_each_time_and_needs_nothing_else() -> None:
    made = network(topologies.ring(4))

    first, second = (svg(document(made.switches[0].only.bridge)) for _ in range(2))

    assert first == second
    assert re.findall(r"(?:https?://|url\(|@import|xlink|<image|<script)[^\"]*", first) == [
        "http://www.w3.org/2000/svg"
    ]
    assert "prefers-color-scheme:dark" in first


def test_what_switches_call_themselves_is_no_markup_and_long_words_are_cut() -> None:
    found = document(network(topologies.row(2)).switches[0].only.bridge)
    found["nodes"][0]["label"], found["nodes"][1]["label"] = "</svg><b>&", "x" * 40

    words = [each.text for each in drawn(found).iter(f"{SVG}text")]

    assert "</svg><b>&" in words
    assert "x" * 17 + "…" in words


def test_a_switch_whose_neighbours_are_off_is_a_page_all_the_same() -> None:
    made = topologies.row(1)
    (switch,) = made.switches
    switch.configure(replace(switch.config.bridge("br0"), neighbours=False))
    made.net.start()

    assert all(math.isfinite(float(each)) for each in drawn(document(switch.only.bridge)).attrib["viewBox"].split())


@pytest.fixture
def switch() -> Iterator[FakeSwitch]:
    with fake_switch() as fake:
        yield fake


def test_the_verb_writes_the_file(switch: FakeSwitch, tmp_path: Path) -> None:
    found = document(network(topologies.row(2)).switches[0].only.bridge)
    switch.answers["map"] = json.dumps({"bridges": [found]})

    code = main(["--run-dir", str(switch.run_dir), "map", "--svg", str(tmp_path / "map.svg")])

    assert code == 0
    assert switch.asked == [["map", "json"]]
    assert (tmp_path / "map.svg").read_text() == svg(found)


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
    found = document(network(topologies.row(1)).switches[0].only.bridge)
    switch.answers["map"] = json.dumps({"bridges": [found] * bridges})

    code = main(["--run-dir", str(switch.run_dir), "map", "--svg", str(tmp_path / file)])

    assert code == 1
    assert said in capsys.readouterr().err
