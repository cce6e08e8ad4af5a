"""Every topology of in-band control, from an empty table and fail mode secure, against mute and hostile controllers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest

from inband.controller.behaviour import DELETE_AND_DROP, FRIENDLY, HOSTILE, PORTS_DOWN, Behaviour
from inband.sim import topologies
from inband.sim.network import Attachable, Network
from inband.sim.topologies import BOTH, IPV4, IPV6, Topology
from tests.unit.sim.scenes import DETECTION_S, SILENCE_S, UP_S, come_up, silences

MAKERS: dict[str, Callable[..., Topology]] = {
    "T1": partial(topologies.row, 1),
    "T2": partial(topologies.row_behind_gateway, 1),
    "T3 row of 2": partial(topologies.row, 2),
    "T3 row of 4": partial(topologies.row, 4),
    "T3 row of 10": partial(topologies.row, 10),
    "T4": partial(topologies.row_behind_gateway, 2),
    "T5": topologies.guest_controller,
    "T6 segment": topologies.guest_over_segment,
    "T6 router": topologies.guest_over_router,
    "ring of 2": partial(topologies.ring, 2),
    "ring of 5": partial(topologies.ring, 5),
}
FAMILIES = {"IPv4": (IPV4, UP_S), "IPv6": (IPV6, UP_S + DETECTION_S), "both": (BOTH, UP_S)}
TOPOLOGIES = {
    f"{name}, {family}": (partial(make, on=on), up_s)
    for name, make in MAKERS.items()
    for family, (on, up_s) in FAMILIES.items()
}
each_topology = pytest.mark.parametrize(("make", "up_s"), TOPOLOGIES.values(), ids=TOPOLOGIES.keys())


@each_topology
def test_every_switch_comes_up_within_a_second_with_a_mute_controller(
    make: Callable[[], Topology], up_s: float
) -> None:
    made = make()

    took = come_up(made)

    assert took <= up_s
    assert all(bridge.letters >= "abc" for switch in made.switches for bridge in switch.bridges.values())


@each_topology
def test_no_channel_is_silent_while_the_controller_deletes_drops_and_closes_all_ports(
    make: Callable[[], Topology], up_s: float
) -> None:
    made = make()
    assert come_up(made) <= up_s

    made.controller.behave(HOSTILE)
    longest = silences(made, 10.0)

    assert max(longest.values()) <= SILENCE_S


@each_topology
def test_every_switch_comes_up_under_a_controller_that_is_hostile_from_the_start(
    make: Callable[[], Topology], up_s: float
) -> None:
    made = make()
    made.controller.behave(HOSTILE)

    took = come_up(made)

    assert took <= up_s
    assert max(silences(made, 2.0).values()) <= SILENCE_S


def test_a_row_whose_controller_has_a_link_local_address_comes_up_and_stays_up_under_attack() -> None:
    net = Network()
    controller = net.controller("c", "fe80::100/64")
    switches = [net.switch(f"s{n}", f"fe80::{n}/64", controllers=["fe80::100%br0"]) for n in (1, 2, 3)]
    nodes: list[Attachable] = [controller, *switches]
    for near, far in itertools.pairwise(nodes):
        net.link(near, far)
    made = Topology(net, controller, switches)

    took = come_up(made)
    made.controller.behave(HOSTILE)

    assert took <= UP_S + DETECTION_S
    assert max(silences(made, 10.0).values()) <= SILENCE_S


@pytest.mark.parametrize("order", [1, -1], ids=["nearest first", "farthest first"])
def test_a_row_comes_up_within_a_second_after_the_last_switch_starts(order: int) -> None:
    made = topologies.row(10)
    for number, switch in enumerate(made.switches[::order]):
        made.net.at(number * 3.0, switch.start)
    made.net.run(27.0)

    took = come_up(made)

    assert took <= UP_S


def test_a_row_of_fifty_comes_up_and_stays_up_under_a_hostile_controller() -> None:
    made = topologies.row(50)

    took = come_up(made)
    made.controller.behave(HOSTILE)
    longest = silences(made, 1.5)

    assert took <= UP_S
    assert max(longest.values()) <= SILENCE_S


def test_a_row_comes_up_when_its_controller_comes_minutes_late() -> None:
    made = topologies.row(4)
    made.net.links[0].cut()
    made.net.start()
    made.net.run(300)
    made.net.links[0].mend()

    took = come_up(made)

    assert took <= UP_S


@pytest.mark.parametrize("behaviour", [DELETE_AND_DROP, PORTS_DOWN], ids=lambda behaviour: behaviour.name)
def test_data_does_stop_while_control_goes_on(behaviour: Behaviour) -> None:
    made = topologies.row(3)
    near, far = made.net.host("near", "10.0.0.201/24"), made.net.host("far", "10.0.0.202/24")
    made.net.link(near, made.switches[0])
    made.net.link(far, made.switches[2])
    come_up(made)
    made.controller.behave(FRIENDLY)
    pings = near.pinging("10.0.0.202")
    made.net.run(2.0)
    answered_before = pings.answered

    made.controller.behave(behaviour)
    longest = silences(made, 5.0)

    assert answered_before >= 19
    assert pings.answered <= answered_before + 1
    assert max(longest.values()) <= SILENCE_S


def test_before_the_controller_installs_anything_no_data_passes() -> None:
    made = topologies.row(2)
    near, far = made.net.host("near", "10.0.0.201/24"), made.net.host("far", "10.0.0.202/24")
    made.net.link(near, made.switches[0])
    made.net.link(far, made.switches[1])
    come_up(made)

    pings = near.pinging("10.0.0.202")
    made.net.run(2.0)

    assert pings.answered == 0


@pytest.mark.parametrize("length", [2, 5])
def test_control_traffic_starts_no_storm_in_a_ring(length: int) -> None:
    row, ring = topologies.row(length), topologies.ring(length)

    for made in (row, ring):
        made.controller.behave(HOSTILE)
        come_up(made)
        made.net.run(10.0)

    # Some floods go both ways round: a few frames more, not a multiple in each round.
    assert ring.net.frames <= 2 * row.net.frames
