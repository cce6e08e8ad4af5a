"""What people and scripts are told of the network of switches."""

from __future__ import annotations

import re
from dataclasses import replace

from inband.runtime.map_documents import MapDocument, document, lines
from inband.sim import Network, topologies
from inband.sim.host import ControllerHost
from inband.sim.switch import SwitchHost, read_target
from inband.sim.topologies import Topology
from inband.switch.config import BridgeConfig

KEY = b"k" * 32
# A switch that starts takes no neighbour's word before.
KNOWN_S = 5.0


def network(made: Topology, *, keyed: bool = True) -> Topology:
    for switch in made.switches if keyed else ():
        switch.set_network_keys(KEY)
    made.net.start()
    made.net.run(KNOWN_S)
    return made


def look(made: Topology, at: int) -> MapDocument:
    return document(made.switches[at].only.bridge)


def text(made: Topology, at: int) -> list[str]:
    return lines(look(made, at))


def dpid(made: Topology, at: int) -> str:
    return f"{made.switches[at].only.datapath_id:016x}"


def test_each_switch_is_below_the_one_that_it_goes_by_and_alternatives_are_named() -> None:
    made = network(topologies.ring(4))

    assert text(made, 2) == [
        f"br0: switch {dpid(made, 2)}; a network-key; 4 switches, 4 links",
        "controller 10.0.0.100",
        "  10.0.0.1 by port 1: connected",
        "    10.0.0.2 by port 1: connected",
        "    10.0.0.4 by port 2: connected",
        "      10.0.0.3 (this switch) by port 2: connected; else port 1 to 10.0.0.2",
        "links that no switch goes by",
        "  10.0.0.2 port 2 - 10.0.0.3 port 1",
    ]


def test_all_switches_know_the_same() -> None:
    made = network(topologies.ring(5))

    maps = [look(made, at) for at in range(5)]
    for node in (node for found in maps for node in found["nodes"]):
        node["heard_s"] = None

    assert all((found["nodes"], found["links"]) == (maps[0]["nodes"], maps[0]["links"]) for found in maps)


def test_a_link_that_is_cut_is_lost_and_who_went_by_it_goes_by_another_one() -> None:
    made = network(topologies.ring(4))

    made.net.links[2].cut()
    made.net.run(1.0)

    assert text(made, 0) == [
        f"br0: switch {dpid(made, 0)}; a network-key; 4 switches, 4 links, 1 lost",
        "controller 10.0.0.100",
        "  10.0.0.1 (this switch) by port 1: connected",
        "    10.0.0.2 by port 1: connected",
        "    10.0.0.4 by port 2: connected",
        "      10.0.0.3 by port 2: connected",
        "links that are lost",
        "  10.0.0.2 port 2 - 10.0.0.3 port 1",
    ]


def test_a_switch_that_is_gone_is_out_of_reach_until_it_is_back() -> None:
    made = network(topologies.row(3))

    made.switches[2].kill()
    made.net.run(2.0)
    gone = text(made, 0)
    made.switches[2].start()
    made.net.run(KNOWN_S)

    assert gone[-4] == "out of reach"
    assert re.fullmatch(r"  10\.0\.0\.3, told this \d+\.\d s ago", gone[-3])
    assert gone[-2:] == ["links that are lost", "  10.0.0.2 port 2 - 10.0.0.3 port 1"]
    assert text(made, 0)[-1] == "      10.0.0.3 by port 1: connected"


def test_a_switch_that_is_plugged_in_is_on_the_map_a_second_later() -> None:
    made = network(topologies.row(3))
    new = made.net.switch("new", "10.0.0.9/24", controllers=["10.0.0.100"])
    new.set_network_keys(KEY)

    made.net.link(made.switches[2], new)
    new.start()
    made.net.run(1.5)

    assert "10.0.0.9" in {node["label"] for node in look(made, 0)["nodes"]}
    assert any(line.strip().startswith("10.0.0.9") and "connected" in line for line in text(made, 0))


def test_switches_whose_bridges_have_different_names_are_called_by_them() -> None:
    net = Network()
    made = Topology(net, net.controller("c", "10.0.0.100/24"))
    before: ControllerHost | SwitchHost = made.controller
    for number in (1, 2):
        switch = net.machine(f"m{number}")
        switch.add_bridge(BridgeConfig(f"s{number}", controllers=(read_target("10.0.0.100"),)), f"10.0.0.{number}/24")
        net.link(before, switch)
        made.switches.append(switch)
        before = switch
    network(made)

    assert text(made, 0)[2:] == [
        "  s1 (10.0.0.1, this switch) by port 1: connected",
        "    s2 (10.0.0.2) by port 1: connected",
    ]


def test_each_controller_has_a_tree_and_those_that_are_reached_alike_share_one() -> None:
    made = topologies.row(2)
    for number, at in ((101, 1), (102, 1)):
        made.net.link(made.net.controller(f"c{number}", f"10.0.0.{number}/24"), made.switches[at])
    for switch in made.switches:
        switch.set_controllers("10.0.0.100", "10.0.0.101", "10.0.0.102")
    network(made)
    apart = [line for line in text(made, 0) if line.startswith("controller")]

    made.switches[1].set_controllers("10.0.0.100")
    made.switches[0].set_controllers("10.0.0.101", "10.0.0.102")
    made.net.run(2.0)
    together = [line for line in text(made, 0) if line.startswith("controller")]

    assert apart == ["controller 10.0.0.100", "controller 10.0.0.101", "controller 10.0.0.102"]
    assert together == ["controllers 10.0.0.101, 10.0.0.102", "controller 10.0.0.100"]


def test_without_a_key_it_is_of_the_switch_and_its_neighbours() -> None:
    made = network(topologies.ring(4), keyed=False)

    assert text(made, 1) == [
        f"br0: switch {dpid(made, 1)}; no network-key; this switch and its neighbours",
        "controller 10.0.0.100",
        "  10.0.0.1: its way is not known",
        "    10.0.0.2 (this switch) by port 1: connected",
        "no way to a controller is known",
        "  10.0.0.3",
        "links that no switch goes by",
        "  10.0.0.2 port 2 - 10.0.0.3 port 1",
    ]


def test_where_neighbours_are_off_that_is_said() -> None:
    made = topologies.row(1)
    (switch,) = made.switches
    switch.configure(replace(switch.config.bridge("br0"), neighbours=False))
    made.net.start()

    assert text(made, 0) == ["br0: neighbours are off"]


def test_a_long_row_fits_a_terminal() -> None:
    made = network(topologies.row(24))

    assert max(map(len, text(made, 0))) <= 80
