"""Topologies whose control traffic is in a VLAN: the same wires, and who is no switch knows nothing of the VLAN.

Not every kernel has VLAN interfaces, so an Open vSwitch tags and untags, on each link between a switch and a machine
that is none.
"""

from __future__ import annotations

from dataclasses import replace

from lab.net import Lab, Namespace
from lab.ovs import OvsSwitch
from lab.scene import Layer
from lab.topology import BridgePlan, Site, Topology

VLAN = 10
_PRESENT = 0x1000
_UNTAGGED = {"c", "gw", "guest", "router"}
"""The machines of the topologies that are no switch, nor a segment between switches."""


def tagged(lay: Layer) -> Layer:
    """Return how to lay the same topology with its control traffic in the VLAN."""

    def lay_tagged(lab: Lab) -> Topology:
        plain = lay(_TaggingLab(lab))
        sites = [
            replace(site, bridges=tuple(replace(each, vlan=VLAN) for each in site.bridges)) for site in plain.sites
        ]
        return replace(plain, name=f"{plain.name} in VLAN {VLAN}", lab=lab, sites=tuple(sites))

    return lay_tagged


class _TaggingLab(Lab):
    """The same laboratory, all that it has included, which puts what tags between a switch and who is none."""

    def __init__(self, lab: Lab) -> None:
        self.__dict__ = lab.__dict__

    def link(self, left: Namespace, left_if: str, right: Namespace, right_if: str) -> None:
        """As ``Lab.link``."""
        untagged = [each.short in _UNTAGGED for each in (left, right)]
        if untagged[0] == untagged[1]:
            super().link(left, left_if, right, right_if)
            return
        access, trunk = ((left, left_if), (right, right_if)) if untagged[0] else ((right, right_if), (left, left_if))
        between = self.namespace(f"tag-{access[0].short}-{access[1]}")
        super().link(*access, between, "access")
        super().link(*trunk, between, "trunk")
        for namespace, interface in (access, trunk):
            namespace.run("ethtool", "-K", interface, "tx", "off")  # who tags cannot finish checksums
        _tag(self, between)


def _tag(lab: Lab, between: Namespace) -> None:
    tagging = OvsSwitch(lab, Site(between, (BridgePlan("br0", ("trunk", "access")),)))
    tagging.start(connect=False)
    tagging.ofctl("add-flow", f"in_port=trunk,dl_vlan={VLAN},actions=pop_vlan,output:access")
    tagging.ofctl(
        "add-flow", f"in_port=access,actions=push_vlan:0x8100,set_field:{_PRESENT | VLAN}->vlan_vid,output:trunk"
    )
