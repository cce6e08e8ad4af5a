"""Rows and rings whose switches have differing controllers and gateways, which their neighbours tell each other of."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from inband.controller.behaviour import HOSTILE
from inband.sim.host import ControllerHost, Host
from inband.sim.network import Network
from inband.sim.switch import SwitchHost
from tests.unit.sim.scenes import SILENCE_S, UP_S

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


def behind(*, is_ring: bool = False, seed: int = 0) -> Behind:
    net = Network(seed)
    remotes = ["10.0.0.101", "10.2.0.102", "10.3.0.103", "10.0.0.104"]
    gateways = ["", "10.0.0.252", "10.0.0.253", ""]
    switches = [
        net.switch(f"s{at + 1}", f"10.0.0.{at + 1}/24", gateways[at], controllers=[remotes[at]]) for at in range(4)
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
