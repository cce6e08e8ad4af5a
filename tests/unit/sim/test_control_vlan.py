"""Networks whose control traffic is in a VLAN: the controller, which knows nothing of it, is behind one that tags."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from inband.controller.behaviour import HOSTILE
from inband.packet.frame import Frame
from inband.sim.link import Nic
from inband.sim.network import Network
from inband.sim.topologies import Topology
from inband.testing import packets
from inband.vocabulary.addresses import NEAREST_BRIDGE
from tests.unit.sim.scenes import SILENCE_S, UP_S, come_up, silences

VLAN = 10


class Tagging:
    """Puts what comes in on ``access`` into the VLAN on ``trunk``, and takes it out the other way; drops the rest."""

    def __init__(self) -> None:
        self.access, self.trunk = Nic("access"), Nic("trunk")
        self.access.receive = lambda frame: self.trunk.transmit(Frame(packets.vlan(frame.data, VLAN)))
        self.trunk.receive = self._untag

    def _untag(self, frame: Frame) -> None:
        if frame.data[12:16] == b"\x81\x00" + VLAN.to_bytes(2, "big"):
            self.access.transmit(Frame(frame.data[:12] + frame.data[16:]))


def tagged_row(length: int) -> Topology:
    """A row of switches whose control is in the VLAN."""
    net, tagging = Network(), Tagging()
    controller = net.controller("c", "10.0.0.100/24")
    switches = [net.switch(f"s{n}", f"10.0.0.{n}/24", controllers=["10.0.0.100"]) for n in range(1, length + 1)]
    for switch in switches:
        switch.configure(replace(switch.only.config, control_vlan=VLAN))
    net.link(controller, tagging.access)
    net.link(tagging.trunk, switches[0])
    for near, far in itertools.pairwise(switches):
        net.link(near, far)
    return Topology(net, controller, switches, [])


@pytest.mark.parametrize("length", [1, 4])
def test_a_row_comes_up_as_fast_as_untagged_and_stays_up_under_a_hostile_controller(length: int) -> None:
    made = tagged_row(length)

    took = come_up(made)
    made.controller.behave(HOSTILE)

    assert took < UP_S
    assert max(silences(made, 10.0).values()) < SILENCE_S


def test_all_that_switches_send_but_to_their_neighbours_is_tagged() -> None:
    made = tagged_row(2)
    seen: list[bytes] = []
    made.net.links[-1].taps.append(lambda _, frame: seen.append(frame.data))

    come_up(made)
    made.net.run(2.0)

    of_the_network = [frame for frame in seen if frame[:6] != NEAREST_BRIDGE.packed]
    assert of_the_network
    assert {frame[12:16] for frame in of_the_network} == {b"\x81\x00\x00\x0a"}


def test_the_vlan_can_change_while_the_switch_runs() -> None:
    made = tagged_row(1)
    (switch,) = made.switches
    come_up(made)

    switch.configure(replace(switch.only.config, control_vlan=11))
    made.net.run(30.0)
    elsewhere = switch.only.managed.connections.outgoing[0].is_connected
    switch.configure(replace(switch.only.config, control_vlan=VLAN))

    assert not elsewhere
    assert made.net.run_until(lambda: switch.only.managed.connections.outgoing[0].is_connected, 30)
