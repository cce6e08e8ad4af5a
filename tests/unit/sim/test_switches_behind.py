"""Rows and rings whose switches have differing controllers and gateways, which their neighbours tell each other of."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_interface

import pytest

from inband.controller.behaviour import HOSTILE
from inband.fabric.needs import HOLD_S
from inband.flow.ports import PortNo
from inband.packet.arp import build_arp
from inband.packet.frame import Frame
from inband.sim.advertisements import Advertiser
from inband.sim.dhcp import DhcpServer
from inband.sim.host import ControllerHost, Host
from inband.sim.names import NameServer
from inband.sim.network import Network
from inband.sim.switch import SwitchHost
from inband.switch.core import MAX_FOUND
from inband.testing import packets
from inband.vocabulary.addresses import BROADCAST
from inband.vocabulary.numbers import ARP_REPLY, ROUTER_ADVERTISEMENT
from tests.unit.sim.scenes import DETECTION_S, SILENCE_S, UP_S
from tests.unit.sim.test_neighbours import ECHO_S
from tests.unit.sim.test_paths import DOWN_S, KEY, KNOWN_S, WATCH_S


@dataclass
class Behind:
    """A row of four, each switch with a controller of its own; two of them are behind two gateways.

    c1 and gw3 (to c3) hang on the last switch, c4 and gw2 (to c2) on the first one: so each switch's way leads through
    others that know nothing of it.
    """

    net: Network
    switches: list[SwitchHost]
    controllers: list[ControllerHost]

    def start(self, *secrets: bytes) -> None:
        for switch in self.switches:
            switch.set_network_keys(*secrets)
        for controller in self.controllers:
            controller.behave(HOSTILE)
        self.net.start()

    def is_up(self, number: int) -> bool:
        channel = self.controllers[number - 1].channel(self.switches[number - 1].only.datapath_id)
        return channel is not None and channel.is_up

    def ups(self) -> list[bool]:
        return [self.is_up(number) for number in range(1, len(self.switches) + 1)]

    def silences(self, seconds: float) -> list[float]:
        channels = [
            controller.channel(switch.only.datapath_id)
            for controller, switch in zip(self.controllers, self.switches, strict=True)
        ]
        for channel in channels:
            assert channel is not None
            channel.forget_silence(self.net.now)
        self.net.run(seconds)
        return [0.0 if channel is None else channel.silence_s(self.net.now) for channel in channels]


def behind(*, is_ring: bool = False, by_dhcp: bool = False, seed: int = 0) -> Behind:
    net = Network(seed)
    remotes = ["10.0.0.101", "10.2.0.102", "10.3.0.103", "10.0.0.104"]
    gateways = ["", "10.0.0.252", "10.0.0.253", ""]
    switches = [
        net.switch(
            f"s{at + 1}",
            "" if by_dhcp else f"10.0.0.{at + 1}/24",
            "" if by_dhcp else gateways[at],
            controllers=[remotes[at]],
        )
        for at in range(4)
    ]
    controllers = [
        net.controller("c1", "10.0.0.101/24"),
        net.controller("c2", "10.2.0.102/24", "10.2.0.252"),
        net.controller("c3", "10.3.0.103/24", "10.3.0.253"),
        net.controller("c4", "10.0.0.104/24"),
    ]
    first, last = switches[0], switches[-1]
    net.link(controllers[0], last)
    net.link(controllers[3], first)
    for number, at in ((2, first), (3, last)):
        router = gateway(net, number)
        net.link(router.kernel.interfaces[0].nic, at)
        net.link(router.kernel.interfaces[1].nic, controllers[number - 1])
        if by_dhcp and number == 2:
            server = DhcpServer(router, "10.0.0.1")
            macs = [switch.only.local.mac for switch in switches]
            server.routers = {mac: IPv4Address(each) for mac, each in zip(macs, gateways, strict=True) if each}
    for left, right in zip(switches, switches[1:] + switches[:1] if is_ring else switches[1:], strict=is_ring):
        net.link(left, right)
    return Behind(net, switches, controllers)


def gateway(net: Network, number: int) -> Host:
    router = net.router(f"gw{number}")
    router.interface(f"10.0.0.25{number}/24")
    router.interface(f"10.{number}.0.25{number}/24")
    return router


@pytest.mark.parametrize("is_ring", [False, True])
def test_switches_with_differing_controllers_and_gateways_come_up_past_hostile_ones(is_ring: bool) -> None:
    made = behind(is_ring=is_ring)

    made.start(KEY)
    made.net.run(UP_S)
    at_once = made.ups()
    made.net.run(5.0)

    assert at_once == [True] * 4
    assert max(made.silences(10.0)) <= SILENCE_S


def test_hellos_are_frequent_where_only_neighbours_control_passes() -> None:
    made = behind()

    made.start(KEY)
    made.net.run(5.0)

    for switch, port in zip(made.switches[:3], (3, 2, 2), strict=True):  # towards the next one
        fabric = switch.only.bridge.neighbours.fabric
        assert fabric is not None
        assert fabric.links[PortNo(port)].carries_control(made.net.now)


def test_links_of_a_ring_with_differing_controllers_may_go_down() -> None:
    made = behind(is_ring=True)
    made.start(KEY)
    made.net.run(KNOWN_S)
    for controller in made.controllers:
        controller.controller.echo_interval_s = ECHO_S
    made.net.run(WATCH_S)
    found = []

    for link in made.net.links[-len(made.switches) :]:
        link.cut()
        found.append(max(made.silences(WATCH_S)))
        link.mend()
        made.net.run(WATCH_S)

    assert max(found) <= DOWN_S


@pytest.mark.parametrize("sha", ["the controller's", "its own"])
def test_a_lie_about_a_controller_that_only_another_switch_uses_costs_no_channel(sha: str) -> None:
    made = behind()
    host = made.net.host("h", "10.0.0.66/24")
    made.net.link(host, made.switches[1])
    made.start(KEY)
    made.net.run(KNOWN_S)
    mac = made.controllers[0].host.eth0.mac if sha == "the controller's" else host.eth0.mac
    c1, s1 = IPv4Address("10.0.0.101"), IPv4Address("10.0.0.1")

    for number in range(50):
        lie = Frame(build_arp(ARP_REPLY, mac, c1, BROADCAST, s1, BROADCAST, mac))
        made.net.at(made.net.now + number / 10, lambda lie=lie: host.eth0.nic.transmit(lie))  # type: ignore[misc]

    assert max(made.silences(6.0)) <= SILENCE_S


def test_without_a_key_a_switch_passes_what_it_is_configured_with_and_nothing_else() -> None:
    made = behind()

    made.start()
    made.net.run(15.0)

    assert made.ups() == [False] * 4
    assert {flow.origin.subject for flow in made.switches[0].only.hidden_flows if flow.origin is not None}.isdisjoint(
        {"10.0.0.104", "10.0.0.104:6653", "10.0.0.252"}
    )


@pytest.mark.parametrize("is_ring", [False, True])
def test_switches_behind_get_addresses_and_gateways_by_dhcp_through_their_neighbours(is_ring: bool) -> None:
    made = behind(is_ring=is_ring, by_dhcp=True)

    made.start(KEY)
    clients = [switch.get_address() for switch in made.switches]
    made.net.run(UP_S)
    at_once = made.ups()
    made.net.run(2.0)
    locals_ = [switch.only.local for switch in made.switches]
    for switch, local in zip(made.switches, locals_, strict=True):  # past the hostile policy, too
        switch.host.kernel.remove_address(local, *local.addresses)
    clients += [switch.get_address() for switch in made.switches]
    made.net.run(UP_S)

    assert at_once == [True] * 4
    assert all(local.addresses for local in locals_)
    assert sum(client.seen_for_others for client in clients) == 0


def test_without_a_key_no_switch_behind_gets_an_address() -> None:
    made = behind(by_dhcp=True)

    made.start()
    for switch in made.switches:
        switch.get_address()
    made.net.run(15.0)

    assert [bool(switch.only.local.addresses) for switch in made.switches] == [True, False, False, False]


@pytest.mark.parametrize("is_ring", [False, True])
def test_switches_behind_get_addresses_and_gateways_by_router_advertisements_through_their_neighbours(
    is_ring: bool,
) -> None:
    net = Network()
    switches = [net.switch(f"s{at + 1}", controllers=[f"[fd00:9::{at + 100}]"]) for at in range(4)]
    controllers = [net.controller(f"c{at}", f"fd00:9::{at + 100}/64", "fd00:9::254") for at in range(4)]
    router, far = net.router("gw"), net.switch("far", is_secure=False)
    net.link(router.interface("fd00:a::254/64").nic, switches[0])
    net.link(router.interface("fd00:9::254/64").nic, far)
    host = net.host("h", "fd00:a::7/64")
    net.link(host, switches[2])
    seen: list[bytes] = []
    host.eth0.taps.append(seen.append)
    for controller in controllers:
        net.link(controller, far)
    for left, right in zip(switches, switches[1:] + switches[:1] if is_ring else switches[1:], strict=is_ring):
        net.link(left, right)
    made = Behind(net, switches, controllers)

    made.start(KEY)
    for switch in switches:
        switch.listen_to_routers()
        switch.host.kernel.interfaces[0].nic.transmit(solicitation(switch))
    net.run(1.0)
    Advertiser(router.kernel, router.kernel.interfaces[0], "fd00:a::/64")
    before = net.frames
    net.run(0.2)
    frames = net.frames - before
    net.run(DETECTION_S + UP_S)

    assert made.ups() == [True] * 4
    assert not [data for data in seen if data[54:55] == bytes((ROUTER_ADVERTISEMENT,))]
    assert frames < 400


def test_a_switch_behind_finds_its_controller_by_a_name_that_no_other_switch_asks_for() -> None:
    made = behind()
    host = made.controllers[0].host
    host.kernel.add_address(host.eth0, ip_interface("10.0.0.53/24"))
    NameServer(host, {"ctl.example": ["10.0.0.101"]})
    made.switches[0].set_dns_servers("10.0.0.53")
    made.switches[0].set_controllers("ctl.example")

    made.start(KEY)
    made.net.run(UP_S)

    assert made.ups() == [True] * 4


def plugged_in(made: Behind, name: str, address: str, at: SwitchHost, *, secret: bytes = KEY) -> SwitchHost:
    """A new switch that has a key, its port and nothing else, and is linked to another one."""
    switch = made.net.switch(name, address, controllers=["auto"])
    switch.set_network_keys(secret)
    switch.start()
    made.net.link(at, switch)
    return switch


def connected(switch: SwitchHost) -> dict[str, bool]:
    """The controllers that a switch dials, and whether it is connected."""
    return {str(each.target): each.is_connected for each in switch.only.managed.outgoing()}


@pytest.mark.parametrize("address", ["10.0.0.5/24", ""])
def test_a_switch_that_is_plugged_in_takes_its_neighbours_controllers_within_a_second(address: str) -> None:
    made = behind(by_dhcp=not address)
    made.start(KEY)
    for switch in made.switches:
        switch.get_address()
    made.net.run(5.0)

    fifth = plugged_in(made, "s5", address, made.switches[2])
    if not address:
        fifth.get_address()
    made.net.run(UP_S)
    at_once = connected(fifth)
    sixth = plugged_in(made, "s6", "10.0.0.6/24", fifth)
    made.net.run(UP_S)

    assert at_once == {f"tcp:10.0.0.{number}:6653": True for number in (101, 104)} | {
        f"tcp:10.{number}.0.10{number}:6653": False for number in (2, 3)
    }
    assert connected(sixth) == at_once
    assert made.ups() == [True] * 4


def test_switches_that_only_took_a_controller_do_not_keep_it_alive_for_each_other() -> None:
    net = Network()
    controller, source = (
        net.controller("c", "10.0.0.100/24"),
        net.switch("s", "10.0.0.1/24", controllers=["10.0.0.100"]),
    )
    takers = [net.switch(f"a{number}", f"10.0.0.{number}/24", controllers=["auto"]) for number in (2, 3, 4)]
    nodes = [source, *takers]
    to_controller = net.link(controller, source)
    links = [net.link(one, two) for one, two in zip(nodes, [*nodes[1:], source], strict=True)]
    net.link(takers[0], takers[2])
    made = Behind(net, nodes, [controller] * 4)
    made.start(KEY)
    net.run(2.0)
    before = made.ups()

    to_controller.cut()
    source.set_controllers()
    net.run(HOLD_S / 2)
    held = [connected(switch) for switch in takers]
    takers[1].kill()
    takers[1].start()
    links[0].cut()
    net.run(1.0)
    links[0].mend()
    net.run(HOLD_S)
    let_go = [connected(switch) for switch in takers]
    net.run(HOLD_S + 1.0)  # that it was a next hop of theirs holds for as long

    assert before == [True] * 4
    assert held == [{"tcp:10.0.0.100:6653": False}] * 3
    assert let_go == [{}] * 3
    assert not any("10.0.0.100" in str(flow.origin) for switch in nodes for flow in switch.only.hidden_flows)


def test_the_channel_of_a_switch_outlives_the_start_of_the_one_that_it_has_its_controller_from() -> None:
    net = Network()
    controller, source = (
        net.controller("c", "10.0.0.100/24"),
        net.switch("s", "10.0.0.1/24", controllers=["10.0.0.100"]),
    )
    taker = net.switch("a", "10.0.0.2/24", controllers=["auto"])
    lan = net.switch("lan", is_secure=False)
    for node in (controller, source, taker):
        net.link(node, lan)
    net.link(source, taker)
    made = Behind(net, [source, taker], [controller] * 2)
    made.start(KEY)
    net.run(2.0)
    channel = controller.channel(taker.only.datapath_id)

    source.kill()
    net.run(5.0)
    source.start()
    net.run(2.0)

    assert channel is not None
    assert channel is controller.channel(taker.only.datapath_id)
    assert made.ups() == [True] * 2


def test_with_another_key_or_without_one_no_controller_is_taken() -> None:
    made = behind()
    made.start(KEY)
    made.net.run(2.0)

    fifth = plugged_in(made, "s5", "10.0.0.5/24", made.switches[2], secret=b"o" * 32)
    made.net.run(5.0)

    assert connected(fifth) == {}


def test_the_nearest_controllers_are_taken_and_no_more_than_a_few() -> None:
    net = Network()
    remotes = [f"10.0.0.{100 + number}" for number in range(MAX_FOUND + 4)]
    near = net.switch("s1", "10.0.0.1/24", controllers=remotes[:4])
    far = net.switch("s2", "10.0.0.2/24", controllers=remotes[4:])
    net.link(near, far)
    made = Behind(net, [near, far], [])
    made.start(KEY)

    fifth = plugged_in(made, "s5", "10.0.0.5/24", near)
    net.run(1.0)

    assert list(connected(fifth)) == [f"tcp:{remote}:6653" for remote in remotes[:MAX_FOUND]]
    fifth.set_controllers()
    assert connected(fifth) == {}


def solicitation(switch: SwitchHost) -> Frame:
    return Frame(packets.router_solicitation(src=str(switch.only.local.mac)))
