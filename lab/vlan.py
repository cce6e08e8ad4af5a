"""Control traffic in a VLAN: rows of switches whose controller knows nothing of it and is behind a switch that tags.

Not every kernel has VLAN interfaces, so an Open vSwitch tags and untags.
"""

from __future__ import annotations

from dataclasses import replace

from lab.addressing import IPV4
from lab.net import Lab
from lab.ovs import OvsSwitch
from lab.topology import BridgePlan, Site, Topology, chain

VLAN = 10
_PRESENT = 0x1000


def row(lab: Lab, length: int) -> Topology:
    """T3 with all control traffic in a VLAN."""
    controller, between = lab.namespace("c"), lab.namespace("tagging")
    lab.link(controller, "eth0", between, "access")
    plain = chain(lab, between, "trunk", length, "", ("10.0.0.100",), IPV4)
    for namespace, interface in ((controller, "eth0"), (plain[0].namespace, "north")):
        namespace.run("ethtool", "-K", interface, "tx", "off")  # who tags cannot finish checksums
    controller.address("eth0", "10.0.0.100/24")
    tagging = OvsSwitch(lab, Site(between, (BridgePlan("br0", ("trunk", "access")),)))
    tagging.start(connect=False)
    tagging.ofctl("add-flow", f"in_port=trunk,dl_vlan={VLAN},actions=pop_vlan,output:access")
    tagging.ofctl(
        "add-flow", f"in_port=access,actions=push_vlan:0x8100,set_field:{_PRESENT | VLAN}->vlan_vid,output:trunk"
    )
    sites = tuple(replace(site, bridges=tuple(replace(each, vlan=VLAN) for each in site.bridges)) for site in plain)
    return Topology(f"T3 row of {length} in VLAN {VLAN}", lab, controller, "10.0.0.100", sites)
