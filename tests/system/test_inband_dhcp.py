"""DHCP for the local port, whatever the flow table says, and for nobody else."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest

from inband.pipeline.lease_servers import DOUBT_FIRST_S
from lab import measure, topology
from lab.inband import InbandSwitch, OnDatapath
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


@pytest.mark.slow  # a lease has ten seconds for a channel to come up
@pytest.mark.timeout(120)
@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_a_lease_of_the_wrong_server_is_left_for_one_that_leads_to_the_controller(datapath: str) -> None:
    with scene(OnDatapath(datapath), beside_a_quicker_server_of_another_network) as stage:
        switch = stage.switch
        assert isinstance(switch, InbandSwitch)
        assert until(lambda: "10.66.0." in addresses(stage), 5.0), stage.story()
        assert stage.all_up(DOUBT_FIRST_S + 5.0), stage.story()
        assert until(lambda: "10.66.0." not in addresses(stage), 5.0), stage.story()
        assert "no controller is reached by the lease of DHCP server 10.66.0.1 on port host1" in switch.log()
        before = leases_told(stage, "h1")[0]

        switch.kill9()
        stage.topology.sites[0].namespace.ip("address flush dev br0")
        switch.start_again()

        assert until(lambda: "connected to" in switch.log(), 8.0), switch.log()
        assert leases_told(stage, "h1")[0] == before


def addresses(stage: Scene) -> str:
    """Those of LOCAL, as ip shows them."""
    return stage.topology.sites[0].namespace.run("ip", "-4", "-o", "address", "show", "dev", "br0")


def beside_a_quicker_server_of_another_network(lab: Lab) -> topology.Topology:
    """One switch that gets its address by DHCP; a host on another port answers sooner than the controller's machine."""
    made = topology.with_hosts(topology.same_subnet(lab), 1)
    (site,), host = made.sites, made.hosts["h1"][0]
    host.address("eth0", "10.66.0.1/24")
    topology.dhcp_server(host, "eth0", "10.66.0.10,10.66.0.90")
    topology.dhcp_server(made.controller, "eth0", "10.0.0.10,10.0.0.90", delay_s=1)
    plan = replace(site.bridges[0], address=topology.DHCP)
    return replace(made, sites=(replace(site, bridges=(plan,)),))


def renewed(stage: Scene, before: tuple[int, int]) -> bool:
    """Whether the server has given a lease since."""
    return leases_told(stage)[0] > before[0]


def leases_told(stage: Scene, host: str = "") -> tuple[int, int]:
    """How often the server, or that of one host, has given a lease, and how often it was looked for."""
    (dnsmasq,) = (each for each in stage.lab.processes if "dnsmasq" in each.argv and f"leases-{host}" in str(each.argv))
    said = dnsmasq.tail(5000)
    return said.count("DHCPACK"), said.count("DHCPDISCOVER")


def served_by_a_third_host(lab: Lab) -> topology.Topology:
    """One switch whose address comes from a host on another port than the controller's."""
    made = topology.with_hosts(topology.same_subnet(lab), 1)
    (site,) = made.sites
    topology.dhcp_server(made.hosts["h1"][0], "eth0", "10.0.0.10,10.0.0.90")
    plan = replace(site.bridges[0], address=topology.DHCP)
    return replace(made, sites=(replace(site, bridges=(plan,)),))
