"""Spanning trees under in-band control: the channel does not care for closed ports, and data does not go in circles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inband.controller.behaviour import HOSTILE
from inband.sim import topologies
from inband.sim.switch import SwitchHost
from inband.sim.topologies import Topology
from inband.testing import packets
from inband.vocabulary.spanning_tree import StpState
from tests.unit.sim.scenes import SILENCE_S, UP_S, come_up, silences

MAX_FRAMES_PER_SWITCH_AND_SECOND = 1000


@pytest.fixture
def ring() -> Topology:
    """Four switches in a ring, each with a spanning tree, and a controller at the first."""
    made = topologies.ring(4)
    for switch in made.switches:
        switch.configure(replace(switch.config.bridge("br0"), rstp=True))
    return made


def closed_ports(made: Topology) -> int:
    """How many ports of the ring the trees keep from forwarding."""
    return sum(port.tree is not StpState.FORWARDING for switch in made.switches for port in switch.only.bridge.ports)


def test_channels_come_up_before_the_tree_does_and_stay_under_a_hostile_controller(ring: Topology) -> None:
    ring.controller.behave(HOSTILE)

    took = come_up(ring)
    at_first = closed_ports(ring)
    ring.net.run(10.0)  # the controller sets all ports down, and the tree has no ports then
    before = ring.net.frames
    longest = silences(ring, 5.0)

    assert took <= UP_S
    assert at_first > 1
    assert closed_ports(ring) > 1
    assert max(longest.values()) <= SILENCE_S
    assert ring.net.frames - before <= 5 * MAX_FRAMES_PER_SWITCH_AND_SECOND * len(ring.switches)


def test_a_broadcast_of_data_reaches_each_switch_once(ring: Topology) -> None:
    come_up(ring)
    ring.net.run(10.0)
    for switch in ring.switches:
        switch.only.bridge.set_standalone(active=True)
    data = packets.udp(src="02:00:00:00:00:77", dst="ff:ff:ff:ff:ff:ff", dst_port=7777)
    seen = [received_by_local(switch) for switch in ring.switches]

    ring.switches[1].only.bridge.questions.inject(data)
    ring.net.run(1.0)

    assert closed_ports(ring) == 1
    assert [frames.count(data) for frames in seen] == [1, 0, 1, 1]


def received_by_local(switch: SwitchHost) -> list[bytes]:
    """What the bridge's own interface hears from now on."""
    frames: list[bytes] = []
    switch.only.local.taps.append(frames.append)
    return frames
