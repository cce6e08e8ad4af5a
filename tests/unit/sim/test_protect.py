"""Channels by all ways at once (``protect = "duplicate"``): one failure costs no echo, and copies end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from inband.controller.behaviour import DELETE_AND_DROP
from inband.datapath.wrappers import Faults
from inband.packet.frame import Frame
from inband.sim import topologies
from inband.sim.link import Link, Nic
from inband.sim.topologies import IPV4, IPV6, Topology
from inband.switch.config import Protection
from inband.vocabulary.numbers import ETH_IPV4, ETH_IPV6
from tests.unit.sim.test_neighbours import between_switches, mesh
from tests.unit.sim.test_paths import DOWN_S, keyed, silences

ECHO_S = 0.01
# Where one echo is lost the silence is twice as long.
NONE_LOST_S = 1.5 * ECHO_S


def protected(made: Topology) -> Topology:
    """All switches, with echoes each ECHO_S."""
    for switch in made.switches:
        switch.configure(replace(switch.config.bridges[0], protect=Protection.DUPLICATE))
    return keyed(made, ECHO_S)


@pytest.mark.parametrize(("length", "on"), [(8, IPV4), (4, IPV6)])
def test_a_link_that_goes_down_or_dies_silently_costs_no_echo(length: int, on: topologies.Addressing) -> None:
    made = protected(topologies.ring(length, on=on))

    for link in between_switches(made)[::3]:
        link.cut()
        assert max(silences(made, 0.3)) <= NONE_LOST_S
        link.mend()
        assert max(silences(made, 0.3)) <= NONE_LOST_S
        link.spoil(Faults(loss=1.0))
        assert max(silences(made, 0.3)) <= NONE_LOST_S
        link.spoil(Faults())
        assert max(silences(made, 0.3)) <= NONE_LOST_S


def test_a_switch_that_is_killed_costs_the_others_no_echo() -> None:
    made = protected(topologies.ring(6))

    made.switches[3].kill()
    assert max(silences(made, 0.3, without=made.switches[3].name)) <= NONE_LOST_S
    made.switches[3].start()
    assert max(silences(made, 0.3, without=made.switches[3].name)) <= NONE_LOST_S


def test_without_it_the_same_failure_costs_echoes() -> None:
    made = keyed(topologies.ring(8), ECHO_S)

    made.net.links[4].spoil(Faults(loss=1.0))

    assert max(silences(made, 0.3)) > NONE_LOST_S


def test_a_switch_that_has_it_alone_harms_none() -> None:
    made = topologies.ring(8)
    alone = made.switches[3]
    alone.configure(replace(alone.config.bridges[0], protect=Protection.DUPLICATE))
    keyed(made, ECHO_S)

    assert max(silences(made, 1.0)) <= NONE_LOST_S
    between_switches(made)[1].cut()
    assert max(silences(made, 0.3)) <= DOWN_S


def test_a_mesh_passes_each_segment_once_by_each_link_and_direction() -> None:
    made = protected(mesh(4))
    made.controller.behave(DELETE_AND_DROP)
    made.net.run(0.5)
    seen: Counter[tuple[Link, Nic, bytes]] = Counter()

    def watch(link: Link) -> None:
        link.taps.append(lambda nic, frame: seen.update([(link, nic, frame.data)] if _is_tcp(frame) else []))

    for link in made.net.links:
        watch(link)
    made.net.run(0.1)

    to_controller = {key[2]: count for key, count in seen.items() if key[0] is made.net.links[0]}
    assert len(to_controller) > 20
    assert set(seen.values()) == {1}
    assert max(silences(made, 0.3)) <= NONE_LOST_S


def test_what_is_more_than_a_switch_decides_about_goes_by_the_best_way() -> None:
    made = protected(topologies.ring(4))
    made.controller.controller.echo_interval_s = 0.001

    found = silences(made, 0.3)
    made.controller.controller.echo_interval_s = ECHO_S
    made.net.run(0.5)

    assert max(found) <= NONE_LOST_S
    bridge = made.switches[1].only.bridge
    assert len(bridge.megaflows) > 0


def _is_tcp(frame: Frame) -> bool:
    kind = int.from_bytes(frame.data[12:14], "big")
    return (kind == ETH_IPV4 and frame.data[23] == 6) or (kind == ETH_IPV6 and frame.data[20] == 6)
