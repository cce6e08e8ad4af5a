"""Networks from lists of links: what is read, what is drawn, and what is made of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from inband.errors import UsageError
from inband.sim.graphs import Graph, build, random_graph, reachable, read_graph

TOPOLOGIES = Path(__file__).parents[3] / "examples" / "topologies"
SIZES = {"b4": (12, 19), "clos": (20, 32), "telstra": (57, 57), "att": (95, 108), "ebone": (172, 254)}
LINE = "s1 h1\ns1 s2\ns2 s3\n"


def test_a_graph_is_read_with_comments_and_empty_lines() -> None:
    graph = read_graph("# three in a row\n\ns1 h1\ns2 s10 # far\n s1\ts2 \n")

    assert graph.edges == (("s1", "h1"), ("s2", "s10"), ("s1", "s2"))
    assert graph.switches == ["s1", "s2", "s10"]
    assert graph.hosts == ["h1"]
    assert graph.between_switches == [("s2", "s10"), ("s1", "s2")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s1 h1\ns1", "line 2"),
        ("s1 h1\ns1 s2 s3", "line 2"),
        ("s1 h1\ns1 s1", "line 2"),
        ("s1 x1", "line 1"),
        ("s1 s-1", "line 1"),
        ("s1 s2", "a host"),
        ("", "a switch"),
        ("\n".join(f"s1 h{number}" for number in range(300)), "250 hosts"),
    ],
)
def test_what_is_no_network_is_refused_and_named(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_graph(text)


@pytest.mark.parametrize("name", SIZES)
def test_the_real_networks_are_connected_and_as_large_as_published(name: str) -> None:
    graph = read_graph((TOPOLOGIES / f"{name}.txt").read_text())

    assert (len(graph.switches), len(graph.between_switches)) == SIZES[name]
    assert graph.hosts == ["h1", "h2", "h3"]
    assert reachable(graph.edges, "h1") == {*graph.switches, *graph.hosts}


@pytest.mark.parametrize("switches", [3, 4, 30, 1000])
def test_a_random_network_is_connected_and_as_dense_as_real_ones(switches: int) -> None:
    graph = random_graph(switches, seed=1)
    degrees = Counter(end for edge in graph.between_switches for end in edge)

    assert reachable(graph.edges, "h1") == {*graph.switches, *graph.hosts}
    assert len(graph.switches) == switches
    assert len(graph.between_switches) == min(switches * 3 // 2, switches * (switches - 1) // 2)
    assert len(set(map(frozenset, graph.between_switches))) == len(graph.between_switches)
    assert switches < 1000 or max(degrees.values()) > 20 > sum(degrees.values()) / switches


def test_a_random_network_is_the_same_for_the_same_seed_only() -> None:
    assert random_graph(20, seed=1) == random_graph(20, seed=1) != random_graph(20, seed=2)


def test_a_walk_does_not_pass_what_is_not_there() -> None:
    edges = read_graph(LINE).edges

    assert reachable(edges, "s3", without={"s2"}) == {"s3"}
    assert reachable(edges, "h1", without={"s3"}) == {"h1", "s1", "s2"}


def test_every_switch_of_a_network_is_connected_to_every_controller() -> None:
    made = build(read_graph("s1 h1\ns3 h2\ns1 s2\ns2 s3\n"))
    made.net.start()

    assert not made.are_up()
    assert made.net.run_until(made.are_up, 1.0)
    assert {name: len(made.net.channels(each)) for name, each in made.controllers.items()} == {"h1": 3, "h2": 3}


def test_a_link_of_the_network_is_found_by_its_place_among_the_edges() -> None:
    graph = Graph((("s1", "h1"), ("s1", "s2")))

    made = build(graph, latency_s=0.002)

    assert [(link.one.name, link.two.name) for link in made.links] == [("s1-1", "h1-eth0"), ("s1-2", "s2-1")]
    assert {link.faults.delay_s for link in made.links} == {0.002}


RUN = """
import hashlib
from inband.sim.graphs import build, read_graph
made, digest = build(read_graph("s1 h1\\ns1 h2\\ns1 h3\\ns1 s2\\ns2 s3\\ns3 s1")), hashlib.sha256()
for link in made.links:
    link.taps.append(lambda nic, frame: digest.update(f"{made.net.now} {nic.name}".encode() + frame.data))
made.net.start()
made.net.run(0.5)
print(digest.hexdigest())
"""


def test_a_network_sends_the_same_in_every_process() -> None:
    hashes = ("1", "2", "3")

    runs = {
        subprocess.run(
            [sys.executable, "-c", RUN], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in hashes
    }

    assert len(runs) == 1
