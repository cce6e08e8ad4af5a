"""What a failure costs in questions: who lost no way, or is told of another one, does not search."""

from __future__ import annotations

from pathlib import Path

from inband.bridge.repeating import AGAIN_S
from inband.fabric.ways import LISTEN_S
from inband.flow.ports import LOCAL
from inband.packet.dhcp import is_request
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.sim.graphs import GraphNetwork, build, read_graph
from inband.sim.link import Nic
from inband.testing import packets
from inband.vocabulary.addresses import BROADCAST
from inband.vocabulary.numbers import ETH_ARP
from tests.unit.sim.scenes import UP_S

B4 = Path(__file__).parents[2] / "examples" / "topologies" / "b4.txt"
SETTLE_S, HEALED_S = 2.5, 0.5
_ARP = BROADCAST.packed, ETH_ARP.to_bytes(2, "big")


KEY = b"k" * 32


def searches_after_each_cut(made: GraphNetwork) -> list[int]:
    """How many distinct ARP requests to everybody follow when each link in turn goes down."""
    searches: set[bytes] = set()

    def tap(_: Nic, frame: Frame) -> None:
        if (frame.data[:6], frame.data[12:14]) == _ARP:
            searches.add(frame.data)

    for link in made.links:
        link.taps.append(tap)
    counts = []
    for edge in made.graph.between_switches:
        searches.clear()
        link = made.links[made.graph.edges.index(edge)]
        link.cut()
        made.net.run(HEALED_S)
        counts.append(len(searches))
        assert made.are_up()
        link.mend()
        made.net.run(SETTLE_S)
    return counts


def test_after_a_link_went_down_only_those_search_whose_way_it_was() -> None:
    made = build(read_graph(B4.read_text()))
    made.net.start()
    made.net.run(UP_S + SETTLE_S)

    counts = searches_after_each_cut(made)

    # One search of each switch for each controller is what everyone would cost, if none had to be repeated.
    everyone = len(made.graph.switches) * len(made.graph.hosts)
    assert sum(counts) / len(counts) <= 0.6 * everyone, counts


def test_who_has_the_word_of_neighbours_where_next_hops_are_does_not_search() -> None:
    made = build(read_graph(B4.read_text()))
    for switch in made.switches.values():
        switch.set_network_keys(KEY)
    made.net.start()
    made.net.run(LISTEN_S + UP_S + SETTLE_S)

    counts = searches_after_each_cut(made)

    assert sum(counts) / len(counts) <= 3.0, counts


def test_a_failure_repeats_no_question_for_an_address() -> None:
    """LOCAL asks a DHCP server that is not there; the copies of that are for switches that have come since."""
    made = build(read_graph(B4.read_text()))
    for switch in made.switches.values():
        switch.set_network_keys(KEY)
    made.net.start()
    made.net.run(LISTEN_S + UP_S)
    copies: list[Frame] = []
    for link in made.links:
        link.taps.append(lambda _, frame: copies.append(frame) if is_request(parse(frame.data, LOCAL)) else None)
    for switch in made.switches.values():
        local = switch.only.local
        local.nic.transmit(Frame(packets.dhcp_request(chaddr=str(local.mac), src=str(local.mac))))
    made.net.run(SETTLE_S)
    asked = len(copies)

    made.links[made.graph.edges.index(made.graph.between_switches[0])].cut()
    made.net.run(AGAIN_S[-1] + HEALED_S)

    assert made.are_up()
    assert len(copies) == asked > 0
