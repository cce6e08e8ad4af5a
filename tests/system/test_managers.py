"""Managers reach the switches that they configure, and switches reach whom they tell, whatever a controller does."""

from __future__ import annotations

import pytest

from lab import measure, topology
from lab.addressing import IPV6
from lab.inband import OnDatapath
from lab.management import MANAGER, OTHER, address_of, call, come_up_with, row_with_hosts, serve
from lab.net import Lab
from lab.scene import scene

pytestmark = pytest.mark.root

DATAPATHS = pytest.mark.parametrize("make", [OnDatapath("userspace"), OnDatapath("ebpf")], ids=["userspace", "ebpf"])


@DATAPATHS
def test_ssh_from_a_manager_comes_in_and_from_another_host_it_does_not(make: OnDatapath) -> None:
    with scene(make, row_with_hosts) as stage:
        assert come_up_with(stage, lambda address: f"from:tcp:{address}:22")
        stage.withstand("drop")
        manager, other = (stage.topology.hosts[name][0] for name in (MANAGER, OTHER))

        first, third = (call(manager, address_of(stage, place), count=100) for place in (0, 2))
        strange = call(other, address_of(stage, 0), count=2, timeout_s=0.5)
        wrong = call(manager, address_of(stage, 0), 23, count=2, timeout_s=0.5)

        assert (first.failed, third.failed) == (0, 0), stage.story()
        assert max(first.longest_s, third.longest_s) < 1.0
        assert (strange.failed, wrong.failed) == (2, 2)
        assert manager.pings(address_of(stage, 2)) == 3
        assert other.pings(address_of(stage, 0), wait_s=0.5) == 0
        assert stage.lost() == 0


def test_over_ipv6_a_manager_comes_in_too() -> None:
    with scene(OnDatapath("ebpf"), lambda lab: row_with_hosts(lab, 2, IPV6)) as stage:
        assert come_up_with(stage, lambda address: f"from:tcp:[{address}]:22")
        stage.withstand("drop")
        manager, _ = stage.topology.hosts[MANAGER]

        outcome = call(manager, address_of(stage, 1), count=50)

        assert outcome.failed == 0, stage.story()
        assert manager.pings(address_of(stage, 1)) == 3


@DATAPATHS
def test_datagrams_of_several_frames_pass_both_ways(make: OnDatapath) -> None:
    with scene(make, row_with_hosts) as stage:
        manager, address = stage.topology.hosts[MANAGER]
        assert come_up_with(stage, lambda address: f"udp:{address}:514")
        for switch in stage.switches:
            switch.set_managers(f"udp:{address}:514", f"from:udp:{address}:161")
        serve(manager, 514, udp=True)
        serve(stage.topology.sites[2].namespace, 161, udp=True)
        stage.withstand("drop")

        told = call(stage.topology.sites[2].namespace, address, 514, count=20, udp=True)
        asked = call(manager, address_of(stage, 2), 161, count=20, udp=True)

        assert (told.failed, asked.failed) == (0, 0), stage.story()


@DATAPATHS
def test_a_manager_behind_the_gateway_and_its_whole_network_come_in(make: OnDatapath) -> None:
    with scene(make, topology.between_switch_and_gateway) as stage:
        stage.connect()
        assert stage.all_up(10.0)
        for switch in stage.switches:
            switch.set_managers("from:tcp:10.9.0.0/24:22")
            serve(switch.site.namespace)
        stage.withstand("drop")

        outcome = call(stage.topology.controller, address_of(stage, 1), count=50)

        assert outcome.failed == 0, stage.story()
        assert measure.has_letters(stage.switch.hidden(), "qrstu")


@DATAPATHS
def test_whoever_has_to_answer_this_switch_finds_it(make: OnDatapath) -> None:
    with scene(make, with_two_hosts) as stage:
        stage.connect()
        assert stage.all_up(10.0)
        stage.withstand("drop")
        host, _ = stage.topology.hosts["h2"]

        host.pings(address_of(stage, 0), wait_s=0.5)

        neighbour = host.run("ip", "neigh", "show", address_of(stage, 0))
        assert stage.topology.sites[0].namespace.mac("br0") in neighbour


def with_two_hosts(lab: Lab) -> topology.Topology:
    """One switch with a controller and two hosts."""
    return topology.with_hosts(topology.same_subnet(lab), 2)
