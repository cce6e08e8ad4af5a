"""Rings of switches with a network-key: they come up, the key changes while they run, and a stranger is named."""

from __future__ import annotations

from inband.fabric.events import LinkState
from inband.sim import topologies
from inband.sim.switch import SwitchHost
from inband.sim.topologies import Topology
from inband.switch.reports import NeighbourFound, NeighbourLost, NeighbourRefused
from tests.unit.sim.scenes import UP_S, come_up

OLD, NEW = b"o" * 32, b"n" * 32


def ring(length: int, *secrets: bytes) -> Topology:
    made = topologies.ring(length)
    for switch in made.switches:
        switch.set_network_keys(*secrets)
    return made


def states(switch: SwitchHost) -> list[LinkState]:
    fabric = switch.only.bridge.neighbours.fabric
    assert fabric is not None
    return sorted(link.state for link in fabric.links.values())


def reports(made: Topology, kind: type) -> list[object]:
    return [happened.report for switch in made.switches for happened in switch.history if type(happened.report) is kind]


def test_a_key_changes_in_a_running_ring_and_no_neighbour_is_lost() -> None:
    made = ring(3, OLD)
    come_up(made)
    made.net.run(3.0)

    for secrets in ((OLD, NEW), (NEW, OLD), (NEW,)):
        for switch in made.switches:
            switch.set_network_keys(*secrets)
            made.net.run(0.5)

    assert states(made.switches[1]) == [LinkState.TWO_WAY, LinkState.TWO_WAY]
    assert len(reports(made, NeighbourFound)) == 6
    assert reports(made, NeighbourLost) == reports(made, NeighbourRefused) == []


def test_a_switch_with_another_key_comes_up_by_search_and_is_named_once_by_each() -> None:
    made = ring(3, OLD)
    made.switches[1].set_network_keys(NEW)

    assert come_up(made) <= UP_S
    made.net.run(20.0)

    assert states(made.switches[1]) == [LinkState.UNKNOWN, LinkState.UNKNOWN]
    assert len(reports(made, NeighbourRefused)) == 4
    assert "bad hash" in str(reports(made, NeighbourRefused)[0])


def test_a_killed_switch_is_known_again_by_its_key() -> None:
    made = ring(3, OLD)
    come_up(made)
    made.switches[2].kill()
    made.net.run(1.0)

    made.switches[2].start()
    made.net.run(2.0)

    assert states(made.switches[2]) == [LinkState.TWO_WAY, LinkState.TWO_WAY]
