"""A controller that has a name: found through the network that is yet to be opened, and through all that may change."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest

from inband.controller.behaviour import DELETE_AND_DROP, HOSTILE
from inband.controller.controller import Channel
from inband.sim import topologies
from inband.sim.host import Host
from inband.sim.names import NameServer
from inband.sim.network import Network
from inband.sim.switch import SwitchHost
from inband.sim.topologies import BOTH, IPV4, IPV6, Addressing, Topology
from tests.unit.sim.scenes import DETECTION_S, SILENCE_S, UP_S, come_up, silences

NAME = "ctl.example"
SERVER = {4: "10.0.0.53", 6: "fd00:a::53"}


def named(length: int, *addresses: str, on: Addressing = IPV4, ttl_s: int = 300) -> tuple[Topology, NameServer]:
    """A row whose controller is known by name; the server is on the controller's machine, at an address of its own."""
    made = topologies.row(length, on=on)
    host, version = made.controller.host, 6 if on is IPV6 else 4
    host.kernel.add_address(host.eth0, ip_interface(f"{SERVER[version]}/{64 if version == 6 else 24}"))
    server = NameServer(host, {NAME: addresses}, ttl_s)
    for switch in made.switches:
        switch.set_dns_servers(SERVER[version])
        switch.set_controllers(NAME)
    return made, server


def kinds(switch: SwitchHost) -> list[str]:
    """What happened to a switch, in words; who its neighbours are is another matter."""
    return [happened.kind for happened in switch.history if happened.kind != "neighbour-found"]


@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize(("on", "address"), [(IPV4, "10.0.0.100"), (IPV6, "fd00:a::100")], ids=["IPv4", "IPv6"])
def test_a_row_finds_its_controller_by_name_and_keeps_it_under_attack(
    length: int, on: Addressing, address: str
) -> None:
    made, _ = named(length, address, on=on)

    took = come_up(made)
    made.controller.behave(HOSTILE)

    assert took <= UP_S + (DETECTION_S if on is IPV6 else 0)
    assert max(silences(made, 10.0).values()) <= SILENCE_S
    assert set("mn") <= set(made.switches[-1].only.letters)


def test_both_families_of_a_name_are_protected() -> None:
    made, _ = named(2, "10.0.0.100", "fd00:a::100", on=BOTH)
    come_up(made)
    made.net.run(2.0)

    subjects = {flow.origin.subject for flow in made.switches[1].only.hidden_flows if flow.origin is not None}

    assert {"10.0.0.100:6653", "[fd00:a::100]:6653"} <= subjects


@pytest.mark.parametrize("dead", ["10.0.0.99", "10.0.0.1", "fd00:a::99"])
def test_a_dead_address_beside_the_right_one_costs_little(dead: str) -> None:
    made, _ = named(2, dead, "10.0.0.100", on=BOTH)

    assert come_up(made) <= UP_S


def move(host: Host, old: str, new: str) -> None:
    """Give a host another address in place of an old one."""
    host.kernel.add_address(host.eth0, ip_interface(f"{new}/24"))
    host.kernel.remove_address(host.eth0, ip_address(old))


def test_a_name_that_changes_its_address_is_followed_and_the_old_address_given_up() -> None:
    made, server = named(3, "10.0.0.100", ttl_s=3600)
    come_up(made)
    made.controller.behave(DELETE_AND_DROP)

    server.zone[NAME] = ["10.0.0.101"]
    move(made.controller.host, "10.0.0.100", "10.0.0.101")
    moved = made.net.now
    made.net.run(0.5)
    back = made.net.run_until(lambda: all(len(each.ups) == 2 for each in channels(made)), 60)

    assert back
    assert made.net.now - moved <= 20.0
    made.net.run(1.0)
    for switch in made.switches:
        subjects = {flow.origin.subject for flow in switch.only.hidden_flows if flow.origin is not None}
        assert "10.0.0.101:6653" in subjects
        assert "10.0.0.100:6653" not in subjects


def channels(made: Topology) -> list[Channel]:
    """All channels of the controller."""
    return list(made.net.channels(made.controller).values())


def test_the_server_says_addresses_in_the_order_of_its_zone() -> None:
    addresses = tuple(f"10.0.0.{number}" for number in range(100, 110))
    made, _ = named(1, *addresses)

    come_up(made)

    assert [str(known.address) for known in made.switches[0].memory[NAME]] == list(addresses)


def test_a_restart_while_no_server_answers_connects_to_what_was_known() -> None:
    made, server = named(2, "10.0.0.100")
    come_up(made)
    made.net.run(1.0)
    server.stop()

    for switch in made.switches:
        switch.kill()
    made.net.run(2.0)

    assert come_up(made) <= UP_S
    assert "name-problem" not in kinds(made.switches[0])


def test_without_a_server_a_new_switch_waits_and_connects_when_one_answers() -> None:
    made, server = named(2, "10.0.0.100")
    server.stop()
    made.net.start()
    made.net.run(60.0)
    waiting = kinds(made.switches[1])

    server.start()
    came = made.net.run_until(lambda: made.net.are_up(made.controller), 10.0)

    assert waiting == ["servers-chosen", "name-problem"]
    assert came


def test_a_name_that_does_not_exist_is_told_and_asked_for_again() -> None:
    made, server = named(1)
    del server.zone[NAME]
    made.net.start()
    made.net.run(10.0)
    (problem,) = [happened.report for happened in made.switches[0].history if happened.kind == "name-problem"]

    server.zone[NAME] = ["10.0.0.100"]
    came = made.net.run_until(lambda: made.net.are_up(made.controller), 120.0)

    assert "no such name" in str(problem)
    assert came


def test_what_a_dead_process_had_asked_for_does_not_reach_the_next_one() -> None:
    net = Network()
    controller = net.controller("c", "10.0.0.100/24")
    server = NameServer(controller.host, {NAME: ["10.0.0.100"]})
    switch = net.switch("s", "10.0.0.1/24", controllers=[NAME], dns_servers=["10.0.0.100"])
    net.link(controller, switch, latency_s=0.1)
    switch.start()
    net.run(0.35)
    switch.kill()
    asked = server.questions

    net.run(10.0)

    assert asked > 0
    assert server.questions == asked
    assert switch.memory == {}
    assert switch.host.tcp.connections == {}
