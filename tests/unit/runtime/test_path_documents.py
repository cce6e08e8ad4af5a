"""What people and scripts are told of the ways by which control goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inband.runtime.path_documents import BridgeDocument, PathDocument, document, lines
from inband.sim import topologies
from inband.sim.topologies import BOTH, IPV4, Topology

KEY = b"k" * 32
# A switch that starts takes no neighbour's word before.
KNOWN_S = 4.5
CONTROLLER = "10.0.0.100"


def run(made: Topology, seconds: float = KNOWN_S, *, keyed: bool = False) -> Topology:
    for switch in made.switches if keyed else ():
        switch.set_network_keys(KEY)
    made.net.start()
    made.net.run(seconds)
    return made


def look(made: Topology, at: int, bridge: str = "br0") -> BridgeDocument:
    return document(made.switches[at].bridges[bridge].bridge, {CONTROLLER: ["ctl.example.net"]})


def path_to(made: Topology, at: int, address: str = CONTROLLER, bridge: str = "br0") -> PathDocument:
    (found,) = (path for path in look(made, at, bridge)["paths"] if path["address"] == address)
    return found


def dpid(made: Topology, at: int) -> str:
    return f"{made.switches[at].only.datapath_id:016x}"


def test_with_a_key_the_ways_are_neighbours_words_and_there_are_alternatives() -> None:
    made = run(topologies.ring(4), keyed=True)

    near, far = path_to(made, 0), path_to(made, 2)

    assert (near["proof"], near["by"], near["hops"]) == (
        "own question",
        {"port": 1, "interface": "s1-1", "neighbour": None, "label": None},
        None,
    )
    assert (far["kinds"], far["names"], far["connected"]) == (["controller"], ["ctl.example.net"], True)
    assert (far["proof"], far["hops"]) == ("a neighbour's word", 3)
    assert far["by"] == {"port": 2, "interface": "s3-2", "neighbour": dpid(made, 3), "label": "10.0.0.4"}
    assert far["alternatives"] == [{"port": 1, "interface": "s3-1", "neighbour": dpid(made, 1), "label": "10.0.0.2"}]


def test_a_way_that_is_lost_gives_place_to_its_alternative_and_the_time_begins_anew() -> None:
    made = run(topologies.ring(4), 10.0, keyed=True)
    before = path_to(made, 2)

    made.net.links[3].cut()
    made.net.run(0.5)
    after = path_to(made, 2)

    assert before["for_s"] is not None
    assert before["for_s"] > 4
    assert (after["by"], after["alternatives"]) == (before["alternatives"][0], [])
    assert after["for_s"] == pytest.approx(0.5, abs=0.1)


def test_other_switches_are_destinations_by_the_id_that_they_told() -> None:
    made = run(topologies.row(3), keyed=True)

    (first, third) = (path_to(made, 1, f"10.0.0.{number}") for number in (1, 3))

    assert [(each["kinds"], each["switch"]) for each in (first, third)] == [
        (["switch"], dpid(made, 0)),
        (["switch"], dpid(made, 2)),
    ]
    assert [each["by"] and each["by"]["port"] for each in (first, third)] == [1, 2]


def test_without_a_key_the_ways_are_those_that_were_proven() -> None:
    made = run(topologies.row(3))

    controller, behind = path_to(made, 1), path_to(made, 1, "10.0.0.3")

    assert controller["proof"] == "own question"
    assert controller["by"] == {"port": 1, "interface": "s2-1", "neighbour": dpid(made, 0), "label": "10.0.0.1"}
    assert controller["alternatives"] == []
    assert (behind["kinds"], behind["proof"]) == (["switch"], "a controller's answer")


def test_without_neighbours_the_ways_are_known_all_the_same() -> None:
    made = topologies.row(2)
    for switch in made.switches:
        switch.configure(replace(switch.config.bridge("br0"), neighbours=False))
    run(made)

    found = look(made, 1)

    assert (found["switch"], found["keys"]) == (None, 0)
    assert lines(found)[0] == "br0: neighbours are off"
    assert path_to(made, 1)["by"] == {"port": 1, "interface": "s2-1", "neighbour": None, "label": None}


def test_a_remote_behind_a_router_is_reached_by_its_next_hop_which_is_a_destination_too() -> None:
    made = run(topologies.row_behind_gateway(2))

    remote, hop = path_to(made, 1, "10.9.0.100"), path_to(made, 1, "10.0.0.254")

    assert (remote["next_hop"], remote["by"]) == ("10.0.0.254", hop["by"])
    assert (hop["kinds"], hop["next_hop"], hop["connected"]) == (["next hop"], None, None)


def test_a_destination_that_is_not_found_is_flooded_and_that_is_said() -> None:
    made = topologies.row(1)
    made.switches[0].set_controllers("10.0.0.77")
    run(made)

    found = path_to(made, 0, "10.0.0.77")

    assert (found["by"], found["proof"], found["connected"]) == (None, "none", False)
    assert lines(look(made, 0))[1:] == [
        "  10.0.0.77 (controller, not connected)",
        "      no port is known: frames for it are flooded",
    ]


def test_a_remote_that_another_bridge_leads_to_is_not_this_bridges() -> None:
    made = run(topologies.guest_over_segment())

    found = path_to(made, 0, bridge="br1")

    assert (found["outside"], found["by"]) == ("br0", None)
    assert "      br0, which is not this bridge's: by the kernel's routes" in lines(look(made, 0, "br1"))


# Both ways are as long. Neighbours' words counted after 3.5 s.
_WAYS = ("port 1 (s3-1) to 10.0.0.2", "port 2 (s3-2) to 10.0.0.4")


@pytest.mark.parametrize(("on", "way", "other"), [(IPV4, *_WAYS[::-1]), (BOTH, *_WAYS)])
def test_a_destination_has_its_lines_which_fit_a_terminal(on: topologies.Addressing, way: str, other: str) -> None:
    made = run(topologies.ring(4, on=on), 6.0, keyed=True)

    text = lines(look(made, 2))

    assert text[:4] == [
        f"br0: switch {dpid(made, 2)}; a network-key",
        "  10.0.0.100 (controller, ctl.example.net, connected)",
        f"      {way}, 3 hops: a neighbour's word, for 2.5 s",
        f"      else {other}",
    ]
    assert max(map(len, text)) <= 80
