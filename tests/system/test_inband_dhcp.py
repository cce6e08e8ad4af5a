"""DHCP for the local port, whatever the flow table says, and for nobody else."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest

from lab import measure, topology
from lab.inband import OnDatapath
from lab.journal import until
from lab.net import Lab
from lab.scene import Scene, scene
from lab.switch import SwitchMaker

pytestmark = pytest.mark.root


@pytest.mark.parametrize("policy", ["drop", "controller"])
def test_the_local_port_gets_a_lease_whatever_the_flow_table_says(make: SwitchMaker, policy: str) -> None:
    assert measure.lease(make, policy) is not None


def test_replies_for_another_hardware_address_do_not_reach_the_local_port(make: SwitchMaker) -> None:
    assert measure.other_chaddr(make) == 0


@pytest.mark.slow  # the shortest lease of the server is two minutes, and half of it has to pass
@pytest.mark.timeout(180)
def test_a_lease_is_renewed_by_a_server_that_is_neither_remote_nor_gateway() -> None:
    with ExitStack() as opened:
        # Both wait at the same time.
        stages = [
            opened.enter_context(scene(OnDatapath(datapath), served_by_a_third_host))
            for datapath in ("userspace", "ebpf")
        ]
        for stage in stages:
            assert stage.all_up(10.0), stage.story()
            stage.withstand("drop")
            stage.topology.hosts["h1"][0].ip("neigh flush dev eth0")

        for stage, before in [(stage, leases_told(stage)) for stage in stages]:
            assert until(partial(renewed, stage, before), 75.0), stage.story()
            assert leases_told(stage)[1] == before[1], "renewed, not begun anew"
            assert stage.lost() == 0


def renewed(stage: Scene, before: tuple[int, int]) -> bool:
    """Whether the server has given a lease since."""
    return leases_told(stage)[0] > before[0]


def leases_told(stage: Scene) -> tuple[int, int]:
    """How often the server has given a lease, and how often it was looked for."""
    (dnsmasq,) = (each for each in stage.lab.processes if "dnsmasq" in each.argv)
    said = dnsmasq.tail(5000)
    return said.count("DHCPACK"), said.count("DHCPDISCOVER")


def served_by_a_third_host(lab: Lab) -> topology.Topology:
    """One switch whose address comes from a host on another port than the controller's."""
    made = topology.with_hosts(topology.same_subnet(lab), 1)
    (site,) = made.sites
    topology.dhcp_server(made.hosts["h1"][0], "eth0", "10.0.0.10,10.0.0.90")
    plan = replace(site.bridges[0], address=topology.DHCP)
    return replace(made, sites=(replace(site, bridges=(plan,)),))
