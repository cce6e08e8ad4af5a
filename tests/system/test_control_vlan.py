"""Control traffic in a VLAN, or untagged beside VLANs that are the controller's, with real kernels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab import management, topology, vlan
from lab.inband import OnDatapath
from lab.management import call, serve
from lab.net import Lab
from lab.scene import Scene, scene

pytestmark = pytest.mark.root

DATAPATHS = pytest.mark.parametrize("datapath", ["userspace", "ebpf"])


def assert_withstands(stage: Scene) -> None:
    """A controller that drops everything cuts no channel, and none is silent for long."""
    silence = stage.withstand("drop")

    assert stage.lost() == 0
    assert silence < 1.5


@DATAPATHS
@pytest.mark.parametrize("name", [name for name in topology.MANY if name != "T3 row of 10"])
def test_in_every_topology_switches_whose_control_traffic_is_tagged_come_up_and_withstand_harm(
    datapath: str, name: str
) -> None:
    with scene(OnDatapath(datapath), vlan.tagged(topology.MANY[name])) as stage:
        if name != "T7":
            stage.connect()
        assert stage.all_up(10.0), stage.story()

        assert_withstands(stage)


@DATAPATHS
def test_a_manager_calls_into_the_last_switch_of_a_row_whose_control_traffic_is_tagged(datapath: str) -> None:
    with scene(OnDatapath(datapath), vlan.tagged(topology.MANY["T3 row of 4"])) as stage:
        stage.connect()
        assert stage.all_up(10.0), stage.story()
        stage.withstand("drop")

        for switch in stage.switches:
            switch.set_managers("from:tcp:10.0.0.100:22")
        serve(stage.topology.sites[3].namespace)
        assert call(stage.topology.controller, "10.0.0.4", count=20).failed == 0


@DATAPATHS
def test_a_gateway_with_one_mac_in_all_vlans_is_the_controllers_business_in_the_others(datapath: str) -> None:
    assert management.arp_in_another_vlan(OnDatapath(datapath)) == 1


def _first_in_vlan(lab: Lab) -> topology.Topology:
    """A row of two: control is in VLAN 10 on the first switch alone, and nobody else knows of it."""
    made = topology.row(lab, 2)
    first, *others = made.sites
    plans = tuple(replace(plan, vlan=10) for plan in first.bridges)
    return replace(made, sites=(replace(first, bridges=plans), *others))


@DATAPATHS
def test_a_switch_behind_an_access_port_of_controls_vlan_comes_up_and_withstands_harm(datapath: str) -> None:
    with scene(OnDatapath(datapath), _first_in_vlan) as stage:
        for port in stage.switch.site.bridges[0].ports:
            stage.switch.set_vlans(port, {"tag": "10"})
        stage.connect()
        assert stage.all_up(10.0), stage.story()

        assert_withstands(stage)


@DATAPATHS
def test_no_vlan_of_its_port_cuts_a_switchs_own_channel(datapath: str) -> None:
    with scene(OnDatapath(datapath), topology.same_subnet) as stage:
        stage.connect()
        assert stage.all_up(10.0), stage.story()

        stage.switch.set_vlans("north", {"tag": "20"})
        assert_withstands(stage)
