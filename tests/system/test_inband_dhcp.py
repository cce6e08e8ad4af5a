"""DHCP for the local port, whatever the flow table says, and for nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab import measure, topology
from lab.inband import OnDatapath
from lab.journal import until
from lab.net import Lab
from lab.scene import scene
from lab.switch import SwitchMaker

pytestmark = pytest.mark.root


@pytest.mark.parametrize("policy", ["drop", "controller"])
def test_the_local_port_gets_a_lease_whatever_the_flow_table_says(make: SwitchMaker, policy: str) -> None:
    assert measure.lease(make, policy) is not None


def test_replies_for_another_hardware_address_do_not_reach_the_local_port(make: SwitchMaker) -> None:
    assert measure.other_chaddr(make) == 0


@pytest.mark.slow  # the shortest lease of the server is two minutes, and half of it has to pass
@pytest.mark.timeout(180)
@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_a_lease_is_renewed_by_a_server_that_is_neither_remote_nor_gateway(datapath: str) -> None:
    with scene(OnDatapath(datapath), served_by_a_third_host) as stage:
        server, _ = stage.topology.hosts["h1"]
        (dnsmasq,) = (each for each in stage.lab.processes if "dnsmasq" in each.argv)
        assert stage.all_up(10.0), stage.story()
        stage.withstand("drop")
        server.ip("neigh flush dev eth0")
        given, asked = (dnsmasq.tail(5000).count(word) for word in ("DHCPACK", "DHCPDISCOVER"))

        assert until(lambda: dnsmasq.tail(5000).count("DHCPACK") > given, 75.0), dnsmasq.tail()
        assert dnsmasq.tail(5000).count("DHCPDISCOVER") == asked, "renewed, not begun anew"
        assert stage.lost() == 0


def served_by_a_third_host(lab: Lab) -> topology.Topology:
    """One switch whose address comes from a host on another port than the controller's."""
    made = topology.with_hosts(topology.same_subnet(lab), 1)
    (site,) = made.sites
    topology.dhcp_server(made.hosts["h1"][0], "eth0", "10.0.0.10,10.0.0.90")
    plan = replace(site.bridges[0], address=topology.DHCP)
    return replace(made, sites=(replace(site, bridges=(plan,)),))
