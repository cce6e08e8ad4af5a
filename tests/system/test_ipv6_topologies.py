"""The main job over IPv6: from an empty table, in every topology, against a mute and then a hostile controller.

Channels are told their controllers while duplicate address detection runs, as after a boot.
"""

from __future__ import annotations

import pytest

from lab import measure, measure_six, six, topology
from lab.addressing import BOTH, IPV6
from lab.inband import InbandSwitch, OnDatapath
from lab.scene import Layer, scene
from lab.switch import SwitchMaker

pytestmark = pytest.mark.root

UP_S = 12.0
"""Wide: ten switches share two busy cores, and duplicate address detection takes up to 1.3 s of it."""
SILENCE_S = 1.5

OVER_IPV6: dict[str, Layer] = {
    "T1": lambda lab: topology.same_subnet(lab, IPV6),
    "T2": lambda lab: topology.behind_gateway(lab, IPV6),
    "T3 row of 2": lambda lab: topology.row(lab, 2, IPV6),
    "T3 row of 4": lambda lab: topology.row(lab, 4, IPV6),
    "T3 row of 10": lambda lab: topology.row(lab, 10, IPV6),
    "T4": lambda lab: topology.between_switch_and_gateway(lab, IPV6),
    "T5": lambda lab: topology.guest_controller(lab, IPV6),
    "T6 segment": lambda lab: topology.guest_over_segment(lab, IPV6),
    "T6 router": lambda lab: topology.guest_over_router(lab, IPV6),
    "link-local controller": lambda lab: six.link_local_remote(lab, 2),
    "link-local gateway, T2": lambda lab: six.link_local_gateway(lab, 1),
    "link-local gateway, T4": lambda lab: six.link_local_gateway(lab, 2),
    "a router that announces itself": six.by_advertisement,
}
WITH_BOTH: dict[str, Layer] = {
    "T3 row of 2": lambda lab: topology.row(lab, 2, BOTH),
    "T5": lambda lab: topology.guest_controller(lab, BOTH),
    "T2, IPv6 by advertisement": lambda lab: six.by_advertisement(lab, BOTH),
}


@pytest.mark.parametrize("name", OVER_IPV6)
def test_over_ipv6_every_switch_comes_up_with_a_mute_controller_and_stays_up_under_a_hostile_one(
    make: SwitchMaker, name: str
) -> None:
    with scene(make, OVER_IPV6[name]) as stage:
        stage.connect()

        assert stage.all_up(UP_S)

        silence = stage.withstand("drop")

        assert stage.lost() == 0
        assert silence < SILENCE_S
        assert all(":" in each.details["peer"] for each in stage.controller.journal.entries("accept"))


@pytest.mark.parametrize("name", ["T3 row of 4", "T4", "a router that announces itself"])
def test_over_ipv6_every_switch_comes_up_and_stays_up_on_the_datapath_in_the_kernel(name: str) -> None:
    with scene(OnDatapath("ebpf"), OVER_IPV6[name]) as stage:
        stage.connect()

        assert stage.all_up(UP_S)

        silence = stage.withstand("drop")

        assert isinstance(stage.switch, InbandSwitch)
        assert stage.switch.status()["datapath"] == "ebpf"
        assert stage.lost() == 0
        assert silence < SILENCE_S


@pytest.mark.parametrize("name", ["T3 row of 4", "a router that announces itself"])
def test_over_ipv6_every_switch_comes_up_when_the_controller_is_hostile_from_the_start(
    make: SwitchMaker, name: str
) -> None:
    with scene(make, OVER_IPV6[name], "drop") as stage:
        stage.connect()

        assert stage.all_up(UP_S)

        assert stage.withstand() < SILENCE_S
        assert stage.lost() == 0


@pytest.mark.parametrize("name", WITH_BOTH)
def test_one_controller_is_reached_in_both_families_at_once(make: SwitchMaker, name: str) -> None:
    with scene(make, WITH_BOTH[name]) as stage:
        stage.connect()

        assert measure_six.in_both_families(stage, UP_S)

        silence = stage.withstand("drop")

        assert stage.lost() == 0
        assert silence < SILENCE_S


def test_over_ipv6_switches_that_tried_in_vain_come_up_as_soon_as_the_one_before_them_does(make: SwitchMaker) -> None:
    took = measure.nearest_last(make, OVER_IPV6["T3 row of 4"], 3.0, 10.0)

    assert took is not None
    assert took < 3.0


def test_the_local_port_gets_its_address_by_dhcpv6_under_a_hostile_controller_and_then_connects(
    make: SwitchMaker,
) -> None:
    with scene(make, six.address_by_dhcpv6, "drop") as stage:
        stage.switch.ofctl("add-flow", "priority=65535,actions=drop")
        stage.connect()

        assert stage.all_up(UP_S)
        assert all(each.details["peer"].startswith("fd00:a::1") for each in stage.controller.journal.entries("accept"))


def test_hidden_flows_of_ipv6_are_there_before_there_is_a_neighbour(make: SwitchMaker) -> None:
    with scene(make, OVER_IPV6["T1"]) as stage:
        stage.topology.controller.ip("link set dev eth0 down")
        stage.connect()

        there = {each.letter for each in stage.switch.hidden() if "6" in each.match.partition(",")[0]}

        assert there >= set("abcfghijkl")
