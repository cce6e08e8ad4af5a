"""Control traffic in a VLAN, or untagged beside VLANs that are the controller's, with real kernels."""

from __future__ import annotations

import pytest

from lab import frames, topology, vlan
from lab.inband import OnDatapath
from lab.journal import until
from lab.management import call, serve
from lab.net import Lab
from lab.scene import scene
from lab.wire import Wire

pytestmark = pytest.mark.root

DATAPATHS = pytest.mark.parametrize("datapath", ["userspace", "ebpf"])


@DATAPATHS
def test_a_row_whose_control_traffic_is_tagged_comes_up_and_withstands_harm(datapath: str) -> None:
    with scene(OnDatapath(datapath), lambda lab: vlan.row(lab, 4)) as stage:
        stage.connect()
        assert stage.all_up(10.0), stage.story()

        silence = stage.withstand("drop")

        assert stage.lost() == 0
        assert silence < 1.5
        for switch in stage.switches:
            switch.set_managers("from:tcp:10.0.0.100:22")
        serve(stage.topology.sites[3].namespace)
        assert call(stage.topology.controller, "10.0.0.4", count=20).failed == 0


@DATAPATHS
def test_a_gateway_with_one_mac_in_all_vlans_is_the_controllers_business_in_the_others(datapath: str) -> None:
    with scene(OnDatapath(datapath), lay) as stage:
        stage.connect()
        assert stage.all_up(10.0), stage.story()
        gateway, (host, _) = stage.topology.gateways[0], stage.topology.hosts["h1"]
        stage.switch.ofctl("add-flow", "priority=9,dl_vlan=100,arp,actions=pop_vlan,output:host1")
        trunk, access = stage.lab.hold(Wire(gateway, "eth1")), stage.lab.hold(Wire(host, "eth0"))
        asked = frames.arp_request(gateway.mac("eth1"), "10.7.0.254", "10.7.0.7")
        access.take(0.2)

        trunk.send(asked[:12] + b"\x81\x00\x00\x64" + asked[12:])

        assert until(lambda: asked in access.take(0.2), 3.0), "untagged, as the flow says"
        assert stage.lost() == 0


def lay(lab: Lab) -> topology.Topology:
    """T2 with a host on an access port."""
    return topology.with_hosts(topology.behind_gateway(lab), 1)
