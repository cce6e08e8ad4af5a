"""Faucet runs a network of two VLANs on the switch, with an access list and routing, its own channel in-band.

Faucet is the best gate there is for a switch: it uses several tables, VLAN push and pop, packets to and from itself,
strict deletes and (as "GenericTFM") table features, and it believes none of the switch's promises. What is checked is
what its operator would: who can ping whom.
"""

from __future__ import annotations

import time

import pytest

from lab import faucet, topology
from lab.frames import arp_request
from lab.journal import until
from lab.net import Lab, Namespace
from lab.ovs import OvsSwitch
from lab.switch import SwitchMaker, at_all_sites
from lab.topology import BridgePlan, Site, Topology
from lab.wire import Wire

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(360)]  # the first run installs Faucet

HOSTS = {"h1": "10.0.1.1/24", "h2": "10.0.1.2/24", "h3": "10.0.2.3/24", "h4": "10.0.1.4/24"}
"""h1 and h2 in the office, h3 a guest, h4 in the office behind a tagged port; h2 may not ping h3."""
GATEWAYS = {"10.0.1": "10.0.1.254", "10.0.2": "10.0.2.254"}


def lay(lab: Lab) -> Topology:
    """Lay one switch with the controller on port 1 and the hosts on ports 2 to 5."""
    controller, site = lab.namespace("c"), lab.namespace("s1")
    lab.link(controller, "eth0", site, "north")
    controller.address("eth0", "10.0.0.100/24")
    hosts = {name: (_host(lab, site, name, address), address.split("/")[0]) for name, address in HOSTS.items()}
    plan = BridgePlan("br0", ("north", *hosts), "10.0.0.1/24", controller="10.0.0.100")
    return Topology("Faucet", lab, controller, "10.0.0.100", (Site(site, (plan,)),), hosts=hosts)


def _host(lab: Lab, site: Namespace, name: str, address: str) -> Namespace:
    made = lab.namespace(name)
    if name == "h4":
        _tagging_switch(lab, site, made)
    else:
        lab.link(made, "eth0", site, name)
    made.address("eth0", address)
    made.route("default", GATEWAYS[address.rpartition(".")[0]])
    return made


def _tagging_switch(lab: Lab, site: Namespace, host: Namespace) -> None:
    """Put an Open vSwitch before a host that tags for it: not every kernel has VLAN interfaces."""
    between = lab.namespace("tagging")
    lab.link(between, "trunk", site, host.short)
    lab.link(between, "access", host, "eth0")
    switch = OvsSwitch(lab, Site(between, (BridgePlan("br0", ("trunk", "access")),)))
    switch.start(connect=False)
    switch.ofctl("add-flow", "in_port=trunk,dl_vlan=100,actions=pop_vlan,output:access")
    switch.ofctl("add-flow", "in_port=access,actions=push_vlan:0x8100,set_field:4196->vlan_vid,output:trunk")


@pytest.mark.parametrize(
    ("name", "hardware"),
    [("faucet", "Open vSwitch"), ("faucet", "GenericTFM"), ("c65faucet", "GenericTFM")],
)
def test_hosts_reach_each_other_as_faucet_is_configured_and_not_otherwise(
    make: SwitchMaker, name: str, hardware: str
) -> None:
    with Lab("ihl", offloads=make.offloads) as lab:
        laid = lay(lab)
        (switch,) = at_all_sites(make, laid)
        switch.start(connect=False)
        faucet.start_faucet(laid.controller, name, switch.dpid(), hardware)
        switch.set_controllers(laid.target)

        def reaches(source: str, target: str, count: int = 3) -> bool:
            host, address = laid.hosts[source][0], laid.hosts[target][1]
            return host.pings(address, count=count, wait_s=0.5) == count

        office = until(lambda: reaches("h1", "h2", 1), 15.0)
        assert office, faucet.said(laid.controller)
        assert reaches("h1", "h4"), "untagged to tagged"
        assert reaches("h4", "h2"), "tagged to untagged"
        # Faucet's router asks for a host's address when the first packet to it arrives, and drops that packet.
        assert until(lambda: reaches("h1", "h3", 1), 5.0), faucet.said(laid.controller)
        assert until(lambda: reaches("h3", "h4", 1), 5.0), faucet.said(laid.controller)
        assert reaches("h3", "h4"), "routed to a tagged port"
        assert not reaches("h2", "h3", 2), "the access list forbids it"
        assert reaches("h2", "h1"), "the access list forbids nothing else"
        laid.hosts["h1"][0].ip("addr add 10.0.2.77/24 dev eth0")
        assert not reaches("h1", "h3", 2), "a guest's address in the office VLAN is not in the guests' VLAN"


@pytest.mark.parametrize("text", [faucet.SWITCHING, faucet.ANSWERING], ids=["switching", "answering"])
def test_hosts_that_share_the_switchs_gateway_are_faucets_hosts_in_its_native_vlan(
    make: SwitchMaker, text: str
) -> None:
    with Lab("ihl", offloads=make.offloads) as lab:
        laid = topology.with_hosts(topology.behind_gateway(lab), 2)
        (switch,) = at_all_sites(make, laid)
        switch.start(connect=False)
        faucet.start_faucet(laid.controller, "faucet", switch.dpid(), "Open vSwitch", text)
        switch.set_controllers(laid.target)
        (h1, _), (h2, address) = laid.hosts["h1"], laid.hosts["h2"]
        h1.route("default", "10.0.0.254")
        assert until(lambda: h1.pings(address, count=1) == 1, 15.0), faucet.said(laid.controller)

        assert h1.pings("10.0.0.254") == 3, "the gateway of both"
        assert h1.pings(laid.remote) == 3, "by the gateway to the controller's machine"
        witness, asking = lab.hold(Wire(h2, "eth0")), lab.hold(Wire(h1, "eth0"))
        question = arp_request("02:5f:00:00:00:01", "10.0.0.77", "10.0.0.254")
        witness.take(0.2)
        asking.send(question)
        assert witness.take(1.0).count(question) == 1, "a broadcast comes once"
        if text is faucet.ANSWERING:
            assert h1.pings("10.0.0.253") == 3, "Faucet answers for its own address"
        else:
            assert until(lambda: "02:5f:00:00:00:01" in faucet.said(laid.controller), 5.0), "Faucet learns who asks"


def test_faucet_started_again_does_not_lose_the_switch(make: SwitchMaker) -> None:
    with Lab("ihl", offloads=make.offloads) as lab:
        laid = lay(lab)
        (switch,) = at_all_sites(make, laid)
        switch.start(connect=False)
        process = faucet.start_faucet(laid.controller, "c65faucet", switch.dpid(), "Open vSwitch")
        switch.set_controllers(laid.target)
        host, target = laid.hosts["h1"][0], laid.hosts["h2"][1]
        assert until(lambda: host.pings(target, count=1) == 1, 15.0), faucet.said(laid.controller)

        process.kill9()
        started = time.monotonic()
        faucet.start_faucet(laid.controller, "c65faucet", switch.dpid(), "Open vSwitch")

        assert until(lambda: host.pings(target, count=3) == 3, 15.0), faucet.said(laid.controller)
        assert time.monotonic() - started < 20.0
