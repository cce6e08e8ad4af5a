"""The network changes under a channel over IPv6: MAC addresses, routers, and hosts that claim the switch's address."""

from __future__ import annotations

import time

import pytest

from lab import measure, measure_six, six, topology
from lab.addressing import IPV4, IPV6, Addressing
from lab.inband import InbandSwitch
from lab.journal import until
from lab.net import Lab
from lab.scene import scene
from lab.switch import SwitchMaker

pytestmark = pytest.mark.root


@pytest.mark.parametrize(
    ("how", "rules_s", "silence_s"), [("announced", 1.0, 3.0), ("silent", 3.0, 6.0), ("mute", 3.0, 6.0)]
)
def test_over_ipv6_a_gateway_that_changes_its_mac_is_followed(
    make: SwitchMaker, how: str, rules_s: float, silence_s: float
) -> None:
    change = measure.gateway_mac(make, how, wait_s=15.0, on=IPV6)

    assert change is not None
    assert change.rules_s is not None
    assert change.rules_s < rules_s
    assert change.silence_s < silence_s


def test_over_ipv6_rules_follow_a_route_to_another_gateway(make: SwitchMaker) -> None:
    change = measure.route_moves(make, wait_s=10.0, on=IPV6)

    assert change is not None
    assert change.rules_s is not None
    assert change.rules_s < 1.0
    assert change.silence_s < 1.5


@pytest.mark.parametrize("on", [IPV4, IPV6], ids=lambda on: on.name)
def test_the_channel_is_back_after_somebody_set_the_interface_down_and_up(make: SwitchMaker, on: Addressing) -> None:
    with scene(make, lambda lab: topology.behind_gateway(lab, on)) as stage:
        stage.connect()
        assert stage.all_up(10.0)

        stage.topology.sites[0].namespace.ip("link set dev br0 down", "link set dev br0 up")
        back = time.monotonic()

        assert until(lambda: bool(stage.controller.journal.entries("echo", since=back + 0.2)), 6.0)


@pytest.mark.parametrize("how", ["preferred", "ended"])
def test_rules_follow_what_routers_say_of_themselves(make: SwitchMaker, how: str) -> None:
    change = measure_six.router_changes(make, how, wait_s=10.0)

    assert change is not None
    assert change.rules_s is not None
    assert change.rules_s < 1.5
    assert change.silence_s < 1.5


def test_over_ipv6_a_new_local_mac_never_takes_d_and_e_away(make: SwitchMaker) -> None:
    change = measure.local_mac(make, on=IPV6)

    assert change is not None
    assert change.rules_s is not None
    assert change.rules_s < 1.0
    assert change.absent_s == 0
    assert change.silence_s < 1.5


def test_a_segment_that_snoops_knows_where_the_switch_listens_and_goes_on_knowing(make: SwitchMaker) -> None:
    with scene(make, six.snooping_segment, "drop") as stage:
        lan = stage.topology.gateways[0]
        stage.connect()
        assert stage.all_up(10.0)
        time.sleep(4.0)  # longer than the segment remembers

        assert six.listens(lan, "s1", "ff02::1:ff00:1")

        stage.topology.controller.ip("neigh flush dev eth0")

        assert stage.watch(1.0) < 0.5


def test_the_switch_notices_that_a_host_has_its_address_already(make: SwitchMaker) -> None:
    with scene(make, six.same_address_elsewhere, "drop") as stage:
        stage.connect()
        site, (host, _) = stage.topology.sites[0].namespace, stage.topology.hosts["h1"]

        assert until(lambda: six.state_of(site, "br0", six.DUPLICATE) == "duplicate", 10.0)
        assert six.state_of(host, "eth0", six.DUPLICATE) == "usable"
        assert isinstance(stage.switch, InbandSwitch)
        assert any(f"address {six.DUPLICATE}: another host has it" in note for note in stage.switch.status()["notes"])


def test_a_leased_address_that_a_host_has_already_is_declined_for_another_one(make: SwitchMaker) -> None:
    with scene(make, six.leased_address_elsewhere) as stage:
        site = stage.topology.sites[0].namespace

        assert until(lambda: six.state_of(site, "br0", six.LEASES[1]) == "usable", 20.0)
        assert six.state_of(site, "br0", six.LEASES[0]) == "missing"


def test_a_host_that_wants_the_address_of_the_switch_is_told_that_it_is_taken(make: SwitchMaker) -> None:
    def lay(lab: Lab) -> topology.Topology:
        return topology.with_hosts(topology.same_subnet(lab, IPV6), 1, IPV6)

    with scene(make, lay, "drop") as stage:
        stage.connect()
        assert stage.all_up(10.0)
        time.sleep(1.0)  # the controller's first harm is done
        host, _ = stage.topology.hosts["h1"]
        host.sysctl(net__ipv6__conf__eth0__accept_dad=1)
        host.address("eth0", f"{six.DUPLICATE}/64")

        assert until(lambda: six.state_of(host, "eth0", six.DUPLICATE) == "duplicate", 10.0)
        assert six.state_of(stage.topology.sites[0].namespace, "br0", six.DUPLICATE) == "usable"
        assert stage.lost() == 0
