"""What happens to a network while channels are up: MAC addresses, routes, links, processes and remotes change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inband.agent.fail_mode import Forwarding
from inband.controller.behaviour import DELETE_AND_DROP, HOSTILE, Behaviour
from inband.datapath.wrappers import Faults
from inband.flow.actions import ApplyActions, SetQueue
from inband.flow.flow import Flow
from inband.sim import topologies
from inband.sim.advertisements import INTERVAL_S, Advertiser
from inband.sim.network import Network
from inband.sim.switch import SwitchBridge, read_target
from inband.sim.topologies import IPV4, IPV6, Addressing, Topology
from inband.switch.config import BridgeConfig
from inband.vocabulary.addresses import Mac
from tests.unit.sim.scenes import DETECTION_S, SILENCE_S, UP_S, come_up, silences

each_family = pytest.mark.parametrize("on", [IPV4, IPV6], ids=["IPv4", "IPv6"])
NEW_MAC = Mac(0x0200000099AA)


def hostile(made: Topology) -> Topology:
    """Up, and under attack for two seconds already."""
    come_up(made)
    made.controller.behave(HOSTILE)
    made.net.run(2.0)
    return made


def subjects(bridge: SwitchBridge, letters: str) -> set[str]:
    """What the hidden flows of these letters are about."""
    origins = (flow.origin for flow in bridge.hidden_flows)
    return {str(origin.subject) for origin in origins if origin is not None and origin.letter in letters}


@each_family
def test_a_gateway_that_announces_its_new_mac_costs_no_silence(on: Addressing) -> None:
    made = hostile(topologies.row_behind_gateway(2, on=on))
    gateway = made.routers[0].kernel
    inside = gateway.interfaces[1]

    gateway.set_mac(inside, NEW_MAC)
    gateway.announce(inside)
    longest = silences(made, 3.0)

    assert max(longest.values()) <= SILENCE_S
    assert all(subjects(switch.only, "de") == {str(NEW_MAC)} for switch in made.switches)


@each_family
def test_a_gateway_that_says_nothing_of_its_new_mac_is_found_within_three_seconds(on: Addressing) -> None:
    made = hostile(topologies.row_behind_gateway(2, on=on))
    gateway = made.routers[0].kernel

    # Not by ``set_mac``: another box took over, which knows its neighbours already and so asks no one.
    gateway.interfaces[1].mac = NEW_MAC
    longest = silences(made, 10.0)

    assert max(longest.values()) <= 3.0
    assert all(subjects(switch.only, "de") == {str(NEW_MAC)} for switch in made.switches)


def test_a_route_to_another_gateway_moves_the_rules_and_the_session() -> None:
    made = hostile(topologies.row_behind_gateway(1))
    switch, other = made.switches[0], made.net.router("gw2")
    inside, outside = other.interface("10.0.0.253/24"), other.interface("10.8.0.254/24")
    made.net.link(inside.nic, switch)
    far = made.controller.host.interface("10.8.0.100/24")
    made.net.link(outside.nic, far.nic)
    other.route("10.8.0.100")

    switch.host.route("10.0.0.253")
    made.net.run(0.1)

    assert subjects(switch.only, "de") == {str(inside.mac)}
    assert "10.0.0.253" in subjects(switch.only, "fgjk")


@each_family
def test_a_new_local_mac_costs_no_rule_for_the_next_hop(on: Addressing) -> None:
    made = hostile(topologies.row(3, on=on))
    switch = made.switches[1]
    next_hop_rules = subjects(switch.only, "de")

    switch.set_mac(NEW_MAC)
    made.net.run(0.0)
    at_once = subjects(switch.only, "de")
    longest = silences(made, 10.0)

    assert at_once == next_hop_rules != set()
    assert subjects(switch.only, "abc") == {str(NEW_MAC)}
    assert max(longest.values()) <= 1.0


@each_family
def test_a_cut_link_is_survived_where_there_is_another_path(on: Addressing) -> None:
    made = hostile(topologies.ring(5, on=on))

    made.net.links[1].cut()
    after_cut = silences(made, 10.0)
    made.net.links[1].mend()
    after_mend = silences(made, 10.0)

    assert max(after_cut.values()) <= 1.0
    assert max(after_mend.values()) <= SILENCE_S


@each_family
def test_a_killed_switch_is_back_within_a_second_of_its_start(on: Addressing) -> None:
    made = hostile(topologies.row(3, on=on))
    middle = made.switches[1]
    middle.kill()
    made.net.run(5.0)

    middle.start()
    started = made.net.now
    made.net.run(1.0)

    channel = made.net.channels(made.controller)[middle.name]
    assert channel.is_up
    assert channel.ups[-1] - started <= 1.0


@each_family
def test_lossy_links_delay_channels_and_do_not_cut_them(on: Addressing) -> None:
    made = topologies.row(4, seed=5, on=on)
    for link in made.net.links:
        link.spoil(Faults(loss=0.02))

    took = come_up(made)
    made.controller.behave(HOSTILE)
    silences(made, 60.0)

    assert took <= 5.0


def test_a_second_controller_comes_and_goes_without_touching_other_rules() -> None:
    made = topologies.row(2)
    second = made.net.controller("c2", "10.0.0.101/24")
    made.net.link(second, made.switches[0])
    hostile(made)
    switch = made.switches[0]
    before: list[Flow] = switch.only.hidden_flows

    switch.set_controllers("10.0.0.100", "10.0.0.101")
    made.net.run(1.0)
    came_up = second.channel(switch.only.datapath_id)
    during = switch.only.hidden_flows
    switch.set_controllers("10.0.0.100")
    longest = silences(made, 1.0)

    assert came_up is not None
    assert all(any(flow is each for each in during) for flow in before)
    assert switch.only.hidden_flows == before
    assert max(longest.values()) <= SILENCE_S


def test_a_queue_is_set_in_place() -> None:
    made = hostile(topologies.row(1))
    bridge = made.switches[0].only
    before = bridge.hidden_flows

    made.switches[0].configure(replace(bridge.config, queue=7))

    assert bridge.hidden_flows == before
    first = {flow.instructions[0] for flow in before}
    assert all(isinstance(each, ApplyActions) and each.actions[0] == SetQueue(7) for each in first)


def test_a_full_flow_table_still_takes_the_rules_for_a_new_controller() -> None:
    net = Network()
    first, second = net.controller("c", "10.0.0.100/24"), net.controller("c2", "10.0.0.101/24")
    switch = net.switch("s", "10.0.0.1/24", controllers=["10.0.0.100"], flow_limit=1)
    net.link(first, switch)
    net.link(second, switch)
    net.start()
    first.behave(DELETE_AND_DROP)
    net.run(1.0)

    switch.set_controllers("10.0.0.100", "10.0.0.101")
    net.run(1.0)

    assert set(net.channels(second)) == {"s"}


def test_a_link_that_comes_up_on_any_bridge_of_a_machine_has_all_of_them_dial_again() -> None:
    net = Network()
    controller, guest = net.controller("c", "10.0.0.100/24"), net.host("guest", "10.1.0.1/24")
    machine = net.machine("m")
    waiting = machine.add_bridge(BridgeConfig("br0", controllers=(read_target("10.0.0.100"),)), "10.0.0.1/24")
    net.link(controller, waiting)
    others = net.link(guest, machine.add_bridge(BridgeConfig("br1")))
    others.cut()
    controller.stop()
    net.start()
    net.run(40.0)
    controller.start()
    before = net.are_up(controller)

    others.mend()
    net.run(0.1)

    assert not before
    assert net.are_up(controller)


@pytest.mark.parametrize("is_secure", [True, False])
def test_without_its_controller_a_switch_does_as_its_fail_mode_says(is_secure: bool) -> None:
    net = Network()
    controller = net.controller("c", "10.0.0.100/24")
    switch = net.switch("s", "10.0.0.1/24", controllers=["10.0.0.100"], is_secure=is_secure)
    uplink = net.link(controller, switch)
    one, two = net.host("one", "10.0.0.51/24"), net.host("two", "10.0.0.52/24")
    net.link(one, switch)
    net.link(two, switch)
    pings = one.pinging("10.0.0.52")
    net.start()
    net.run(1.0)
    connected = switch.only.forwarding

    uplink.cut()
    net.run(40.0)
    alone, answered = switch.only.forwarding, pings.answered
    uplink.mend()
    net.run(32.0)  # this controller has nothing to say, and is one when it has stayed

    assert connected is Forwarding.CONTROLLER
    assert alone is (Forwarding.SECURE if is_secure else Forwarding.STANDALONE)
    assert (answered > 0) is not is_secure
    assert switch.only.forwarding is Forwarding.CONTROLLER


def test_a_manager_that_dials_us_is_protected_without_being_dialled() -> None:
    net = Network()
    controller, manager = net.controller("c", "10.0.0.100/24"), net.host("m", "10.0.0.101/24")
    switch = net.switch("s", "10.0.0.1/24", controllers=["10.0.0.100"], managers=["tcp:10.0.0.101:22"])
    net.link(controller, switch)
    net.link(manager, switch)
    net.start()
    controller.behave(HOSTILE)
    net.run(1.0)

    pings = manager.pinging("10.0.0.1")
    net.run(1.0)

    assert "tcp:10.0.0.101:22" in subjects(switch.only, "op")
    assert pings.answered == 0  # only what was configured: ARP and TCP from port 22
    assert manager.eth0.neighbours.table() != {}


def test_a_switch_that_a_router_configures_comes_up_and_stays_up_under_attack() -> None:
    made = topologies.row_behind_gateway(1, on=IPV6)
    switch, gateway = made.switches[0], made.routers[0].kernel
    local = switch.only.local
    for ip in [ip for ip in local.addresses if not ip.is_link_local]:
        switch.host.kernel.remove_address(local, ip)
    switch.listen_to_routers()
    made.controller.behave(HOSTILE)
    Advertiser(gateway, gateway.interfaces[1], "fd00:a::/64")

    took = come_up(made)
    longest = silences(made, 10.0)

    assert took <= UP_S + INTERVAL_S + DETECTION_S
    assert max(longest.values()) <= SILENCE_S
    assert [str(ip) for ip in local.addresses if not ip.is_link_local] == ["fd00:a::ff:fe00:4"]


def test_the_same_seed_gives_the_same_run() -> None:
    behaviour = Behaviour("nothing much", lambda _: (), None)

    def frames() -> list[bytes]:
        made, seen = topologies.row(3, seed=11), list[bytes]()
        for link in made.net.links:
            link.spoil(Faults(loss=0.1, jitter_s=0.001))
            link.taps.append(lambda _, frame: seen.append(frame.data))
        made.controller.behave(behaviour)
        come_up(made)
        return seen

    assert frames() == frames()
