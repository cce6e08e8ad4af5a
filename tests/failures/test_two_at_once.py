"""Two links that go down at the same time: the news of the second one comes while stations answer because of the first.

Five pairs of switches in two rings, each pair linked, with a controller at the first one and no key; two processors for
all ten switches, so that answers take as long as news do. Before, what had been answered in between was believed, and
the places of a station could form a ring: 0.6 s.
"""

from __future__ import annotations

import pytest

from inband.sim.graphs import Edge, Graph, build
from inband.sim.processor import Costs

PAIRS, SETTLE_S, ECHO_S, APART_S, WATCH_S = 5, 3.0, 0.01, 0.002, 0.7
DOWN_S = 0.15
LADDER = Graph(
    (
        ("s1", "h1"),
        *((f"s{n}", f"s{n % PAIRS + 1}") for n in range(1, PAIRS + 1)),
        *((f"s{n}", f"s{n + PAIRS}") for n in range(1, PAIRS + 1)),
        *((f"s{n + PAIRS}", f"s{n % PAIRS + 1 + PAIRS}") for n in range(1, PAIRS + 1)),
    )
)


@pytest.mark.parametrize(
    "edges",
    [(("s2", "s3"), ("s2", "s7")), (("s6", "s7"), ("s10", "s6"))],
    ids=["at s2", "at s6"],
)
def test_no_channel_waits_for_tcp_when_two_links_go_down_at_once(edges: tuple[Edge, Edge]) -> None:
    made = build(LADDER, seed=1, costs=Costs(), cores=2)
    made.net.start()
    made.net.run(1.0)
    controller = made.controllers["h1"]
    controller.controller.echo_interval_s = ECHO_S
    made.net.run(SETTLE_S - 1.0)
    channels = made.net.channels(controller)
    for channel in channels.values():
        channel.forget_silence(made.net.now)

    for edge in edges:
        made.links[LADDER.edges.index(edge)].cut()
        made.net.run(APART_S)
    made.net.run(WATCH_S)

    silences = {name: channel.silence_s(made.net.now) for name, channel in channels.items()}
    assert {name: each for name, each in silences.items() if each > DOWN_S} == {}
