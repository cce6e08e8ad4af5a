"""Switches behind access ports: the channel comes up through them, and no membership cuts it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inband.controller.behaviour import HOSTILE
from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.ports import PortNo
from inband.sim.network import Network
from inband.sim.topologies import Topology
from tests.unit.sim.scenes import SILENCE_S, UP_S, silences

TEN, TWENTY = VlanMembership(VlanMode.ACCESS, 10), VlanMembership(VlanMode.ACCESS, 20)
NATIVE = VlanMembership(VlanMode.NATIVE_UNTAGGED, 10, frozenset({20}))
P1, P2, P3 = PortNo(1), PortNo(2), PortNo(3)


def row(*, control_vlan: int | None) -> Topology:
    """c - s1 - s2: control is in a VLAN on s1 alone; the controller and s2 know of none."""
    net = Network()
    controller = net.controller("c", "10.0.0.100/24")
    first, second = (net.switch(f"s{n}", f"10.0.0.{n}/24", controllers=["10.0.0.100"]) for n in (1, 2))
    first.configure(replace(first.only.config, control_vlan=control_vlan))
    net.link(controller, first)
    net.link(first, second)
    return Topology(net, controller, [first, second], [])


@pytest.mark.parametrize("far", [TEN, NATIVE])
def test_a_switch_behind_an_access_port_of_controls_vlan_comes_up_and_stays(far: VlanMembership) -> None:
    made = row(control_vlan=10)
    made.net.start()
    made.switches[0].only.bridge.set_memberships({P1: TEN, P2: far})
    began = made.net.now

    assert made.net.run_until(lambda: made.net.are_up(made.controller), 30)
    took = made.net.now - began
    made.controller.behave(HOSTILE)

    assert took < UP_S
    assert max(silences(made, 10.0).values()) < SILENCE_S


def test_a_ring_of_access_ports_has_no_storm() -> None:
    net = Network()
    controller = net.controller("c", "10.0.0.100/24")
    switches = [net.switch(f"s{n}", f"10.0.0.{n}/24", controllers=["10.0.0.100"]) for n in (1, 2, 3)]
    net.link(controller, switches[0])
    for near, far in zip(switches, (*switches[1:], switches[0]), strict=True):
        net.link(near, far)
    for switch in switches:
        switch.configure(replace(switch.only.config, control_vlan=10))
    net.start()
    # The link between the second and the third is tagged, the others are not.
    for switch, ports in zip(switches, ((P1, P2, P3), (P1,), (P2,)), strict=True):
        switch.only.bridge.set_memberships(dict.fromkeys(ports, TEN))
    seen: list[bytes] = []
    for link in net.links:
        link.taps.append(lambda _, frame: seen.append(frame.data))

    assert net.run_until(lambda: net.are_up(controller), 30)
    net.run(5.0)

    assert len(seen) < 5_000


def test_the_switchs_own_channel_passes_a_port_that_is_put_into_another_vlan() -> None:
    made = row(control_vlan=None)
    made.net.start()
    assert made.net.run_until(lambda: made.net.are_up(made.controller), 30)
    first = made.switches[0].only

    first.bridge.set_memberships({P1: TWENTY})
    made.net.run(20.0)

    assert first.managed.connections.outgoing[0].is_connected
    assert made.net.channels(made.controller)["s1"].silence_s(made.net.now) < SILENCE_S
