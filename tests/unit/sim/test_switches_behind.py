"""Rows and rings whose switches have differing controllers and gateways, which their neighbours tell each other of."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from inband.controller.behaviour import HOSTILE
from inband.packet.frame import Frame
from inband.sim.advertisements import Advertiser
from inband.sim.dhcp import DhcpServer
from inband.sim.host import ControllerHost, Host
from inband.sim.network import Network
from inband.sim.switch import SwitchHost
from inband.testing import packets
from inband.vocabulary.numbers import ROUTER_ADVERTISEMENT
from tests.unit.sim.scenes import DETECTION_S, SILENCE_S, UP_S

KEY = b"k" * 32


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


def solicitation(switch: SwitchHost) -> Frame:
    return Frame(packets.router_solicitation(src=str(switch.only.local.mac)))
