"""Controllers of other makers run the data traffic while their own channel crosses it; and no storm comes of it."""

from __future__ import annotations

import time

import pytest

from lab import special, topology
from lab.controllers import start_osken, start_testcontroller
from lab.journal import until
from lab.net import Lab
from lab.scene import scene
from lab.switch import SwitchMaker, at_all_sites

pytestmark = pytest.mark.root

STARTERS = {"os-ken": start_osken, "ovs-testcontroller": start_testcontroller}


@pytest.mark.parametrize("name", STARTERS)
def test_a_learning_controller_reached_in_band_carries_pings_between_hosts(make: SwitchMaker, name: str) -> None:
    with Lab(offloads=make.offloads) as lab:
        laid = topology.with_hosts(topology.row(lab, 2), 2)
        STARTERS[name](laid.controller, topology.PORT)
        for switch in at_all_sites(make, laid):
            switch.start()
        host, target = laid.hosts["h1"][0], laid.hosts["h2"][1]

        assert until(lambda: host.pings(target, count=1) == 1, 15.0)
        assert host.pings(target, count=20) == 20


def test_the_first_example_greets_each_switch_and_leaves_the_rest_to_it(make: SwitchMaker) -> None:
    with Lab(offloads=make.offloads) as lab:
        laid = topology.with_hosts(topology.row(lab, 2), 2)
        controller = start_osken(laid.controller, example="hello_controller")
        switches = at_all_sites(make, laid)
        for switch in switches:
            switch.start()
        host, target = laid.hosts["h1"][0], laid.hosts["h2"][1]

        assert until(lambda: host.pings(target, count=1) == 1, 15.0)
        for switch in switches:
            assert f"hello, switch {switch.dpid()}" in controller.tail(100)


def test_a_ring_without_a_spanning_tree_does_not_turn_control_traffic_into_a_storm(make: SwitchMaker) -> None:
    with scene(make, special.ring) as stage:
        site = stage.topology.sites[0].namespace
        stage.connect()
        assert stage.all_up(5.0)

        before = site.counter("left", "rx_packets")
        stage.topology.controller.pings("10.0.0.77", count=1)  # nobody has it: a broadcast ARP request, three times
        time.sleep(1.0)

        assert site.counter("left", "rx_packets") - before < 500
        assert stage.lost() == 0
