"""Real networks, three controllers each: they come up at once, and a link that goes down costs next to nothing."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from inband.fabric.ways import LISTEN_S
from inband.sim.graphs import Edge, Graph, GraphNetwork, build, read_graph
from inband.sim.link import Link
from tests.unit.sim.scenes import UP_S

TOPOLOGIES = Path(__file__).parents[2] / "examples" / "topologies"
ECHO_S, SETTLE_S, WATCH_S, REPAIRED_S = 0.01, 2.5, 0.6, 1.2
# What was lost with a link TCP sends again after three more echoes; a search is begun within 7 ms.
DOWN_S, KEYED_DOWN_S, REPAIR_S = 0.06, 0.05, 0.05


def _built(name: str) -> GraphNetwork:
    return build(read_graph((TOPOLOGIES / f"{name}.txt").read_text()))


@pytest.mark.parametrize("name", ["b4", "clos", "telstra", "ebone"])
def test_a_real_network_comes_up_from_empty_tables_within_a_second(name: str) -> None:
    made = _built(name)

    made.net.start()
    made.net.run(UP_S)

    assert made.are_up()


def test_a_hundred_and_fifty_switches_behind_one_port_come_up_within_a_second() -> None:
    hosts, others = (("s1", f"h{number}") for number in (1, 2, 3)), (("s2", f"s{number}") for number in range(3, 151))
    made = build(Graph((*hosts, ("s1", "s2"), *others)))

    made.net.start()
    made.net.run(UP_S)

    assert made.are_up()


class Silence(NamedTuple):
    """The longest of any channel after a link went down, and after it came up again, seconds."""

    down: float
    up: float


def _cut_one_after_the_other(made: GraphNetwork, settle_s: float) -> dict[Edge, Silence]:
    """Take each link between switches down, and up again."""
    made.net.start()
    made.net.run(settle_s)
    for controller in made.controllers.values():
        controller.controller.echo_interval_s = ECHO_S
    made.net.run(0.2)
    return {edge: _cut(made, made.links[made.graph.edges.index(edge)]) for edge in made.graph.between_switches}


def _cut(made: GraphNetwork, link: Link) -> Silence:
    link.cut()
    down = _longest(made, WATCH_S)
    link.mend()
    return Silence(down, _longest(made, REPAIRED_S))


def _longest(made: GraphNetwork, seconds: float) -> float:
    channels = [each for controller in made.controllers.values() for each in made.net.channels(controller).values()]
    for channel in channels:
        channel.forget_silence(made.net.now)
    made.net.run(seconds)
    return max(channel.silence_s(made.net.now) for channel in channels)


@pytest.mark.timeout(300)
def test_with_a_key_any_link_of_b4_may_go_down() -> None:
    made = _built("b4")
    for switch in made.switches.values():
        switch.set_network_keys(b"k" * 32)

    silences = _cut_one_after_the_other(made, LISTEN_S + SETTLE_S)

    assert {edge: each for edge, each in silences.items() if each.down > KEYED_DOWN_S} == {}
    assert {edge: each for edge, each in silences.items() if each.up > REPAIR_S} == {}


@pytest.mark.timeout(300)
def test_without_a_key_any_link_of_b4_may_go_down() -> None:
    silences = _cut_one_after_the_other(_built("b4"), SETTLE_S)

    assert {edge: each for edge, each in silences.items() if each.down > DOWN_S} == {}
    assert {edge: each for edge, each in silences.items() if each.up > REPAIR_S} == {}
