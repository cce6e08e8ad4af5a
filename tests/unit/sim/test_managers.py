"""Managers reach the switches they configure, in rows and behind gateways, whatever the controller does."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from inband.controller.behaviour import HOSTILE
from inband.sim import topologies
from inband.sim.host import Host
from inband.sim.switch import SwitchHost
from inband.sim.topologies import Topology
from inband.switch.transport import Transport
from tests.unit.sim.scenes import come_up

CALLS_S = 0.01


@dataclass
class Greeted:
    """Calls a port, and notes what became of it."""

    opened_at: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def opened(self, transport: Transport) -> None:
        self.opened_at.append(0.0)

    def received(self, data: bytes) -> None:
        pass

    def set_writable(self, is_writable: bool) -> None:
        pass

    def closed(self, reason: str) -> None:
        self.reasons.append(reason)


def hostile(made: Topology, *managers: str) -> Topology:
    """Every switch has these managers, and a controller that does all that it can."""
    for switch in made.switches:
        switch.set_managers(*managers)
        switch.host.tcp.listeners[22] = Greeted
    come_up(made)
    made.controller.behave(HOSTILE)
    made.net.run(2.0)
    return made


def calls(made: Topology, caller: Host, switch: SwitchHost, count: int = 100) -> int:
    """How many calls of so many are answered within a second each."""
    address = next(each for each in switch.only.local.addresses if not each.is_link_local)
    greeted = Greeted()
    for _ in range(count):
        caller.tcp.connect(address, 22, greeted)
        made.net.run(CALLS_S)
    made.net.run(1.0)
    return len(greeted.opened_at)


@pytest.mark.parametrize("place", [0, 2])
def test_a_manager_at_the_controllers_end_of_a_row_calls_every_switch(place: int) -> None:
    made = topologies.row(3)
    manager = made.net.host("m", "10.0.0.101/24")
    made.net.link(manager, made.switches[0])
    hostile(made, "from:tcp:10.0.0.101:22")

    pings = manager.pinging("10.0.0.3")

    assert calls(made, manager, made.switches[place]) == 100
    assert pings.answered >= pings.sent - 2


def test_over_ipv6_a_manager_and_a_network_of_managers_call_too() -> None:
    for target in ("from:tcp:[fd00:a::101]:22", "from:tcp:[fd00:a::]/64:22"):
        made = topologies.row(3, on=topologies.IPV6)
        manager = made.net.host("m", "fd00:a::101/64")
        made.net.link(manager, made.switches[0])
        hostile(made, target)

        assert calls(made, manager, made.switches[2]) == 100


def test_a_manager_at_the_far_end_of_a_row_calls_too() -> None:
    made = topologies.row(3)
    manager = made.net.host("m", "10.0.0.101/24")
    made.net.link(manager, made.switches[2])
    hostile(made, "from:tcp:10.0.0.101:22")

    assert calls(made, manager, made.switches[0]) == 100


@pytest.mark.parametrize("target", ["from:tcp:10.9.0.100:22", "from:tcp:10.9.0.0/24:22", "from:tcp:10.8.0.0/15:22"])
def test_a_manager_behind_the_gateway_calls_the_second_switch(target: str) -> None:
    made = hostile(topologies.row_behind_gateway(2), target)

    assert calls(made, made.controller.host, made.switches[1]) == 100


def test_a_network_on_the_same_segment_calls_without_a_rule_for_each_host() -> None:
    made = topologies.row(3)
    manager = made.net.host("m", "10.0.0.101/24")
    made.net.link(manager, made.switches[0])
    hostile(made, "from:tcp:10.0.0.0/24:22")

    assert calls(made, manager, made.switches[2]) == 100


def test_who_is_no_manager_and_what_is_another_port_stay_out() -> None:
    made = topologies.row(2)
    manager, other = made.net.host("m", "10.0.0.101/24"), made.net.host("o", "10.0.0.102/24")
    for host in (manager, other):
        made.net.link(host, made.switches[0])
    hostile(made, "from:tcp:10.0.0.101:23")

    assert calls(made, manager, made.switches[0], 5) == 0
    assert calls(made, other, made.switches[0], 5) == 0
    assert other.eth0.neighbours.table() != {}, "ARP for the switch's own address passes"
