"""The main job: in every topology every switch comes up from an empty table, and no controller can cut it off."""

from __future__ import annotations

import pytest

from lab import measure, topology
from lab.scene import scene
from lab.switch import SwitchMaker, letters

pytestmark = pytest.mark.root

UP_S = 10.0
"""Wide: ten switches share two busy cores. What is to be reached is measured by the benchmark."""
SILENCE_S = 1.5
MANY = [name for name in topology.MANY if name != "T7"]


@pytest.mark.parametrize("name", MANY)
def test_every_switch_comes_up_with_a_mute_controller_and_stays_up_under_a_hostile_one(
    make: SwitchMaker, name: str
) -> None:
    with scene(make, topology.MANY[name]) as stage:
        stage.connect()

        assert stage.all_up(UP_S)

        silence = stage.withstand("drop")

        assert stage.lost() == 0
        assert silence < SILENCE_S


@pytest.mark.parametrize("name", ["T1", "T3 row of 4", "T4"])
def test_every_switch_comes_up_when_the_controller_is_hostile_from_the_start(make: SwitchMaker, name: str) -> None:
    with scene(make, topology.MANY[name], "drop") as stage:
        stage.connect()

        assert stage.all_up(UP_S)

        assert stage.withstand() < SILENCE_S
        assert stage.lost() == 0


@pytest.mark.parametrize("name", ["T3 row of 4", "T4"])
def test_switches_that_tried_in_vain_come_up_as_soon_as_the_one_before_them_does(make: SwitchMaker, name: str) -> None:
    took = measure.nearest_last(make, topology.MANY[name], 3.0, 10.0)

    assert took is not None
    assert took < 3.0


def test_the_local_port_gets_its_address_by_dhcp_and_then_connects(make: SwitchMaker) -> None:
    with scene(make, topology.address_by_dhcp) as stage:
        assert stage.all_up(UP_S)


def test_all_rules_that_need_no_neighbour_are_there_before_there_is_a_neighbour(make: SwitchMaker) -> None:
    with scene(make, topology.same_subnet) as stage:
        stage.topology.controller.ip("link set dev eth0 down")
        stage.connect()

        there = letters(stage.switch.hidden())

        assert set("abcfghijk") <= set(there)
        assert not set("de") & set(there)


def test_an_echo_is_answered_at_once_while_nothing_else_happens(make: SwitchMaker) -> None:
    with measure.up(make, topology.same_subnet) as stage:
        assert stage is not None

        silence = stage.watch(1.0)

        assert silence < 0.5
