"""Bridges of other makes, without a controller, in place of a switch of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.net import Lab
from lab.ovs import OvsSwitch
from lab.topology import Site


@dataclass(frozen=True, slots=True)
class Other:
    """A bridge of another make: how it is started, and whether it bears checksums that are left to the interface."""

    start: Callable[[Lab, Site], object]
    offloads: bool = True


def linux_bridge(lab: Lab, site: Site) -> None:
    """A bridge of the kernel without a spanning tree, in place of a switch."""
    del lab
    ports = site.bridges[0].ports
    site.namespace.ip("link add br0 type bridge", *(f"link set {port} master br0" for port in ports), "link set br0 up")


def open_vswitch(lab: Lab, site: Site) -> None:
    """Open vSwitch as a learning bridge, in place of a switch."""
    other = OvsSwitch(lab, site)
    other.start(connect=False)
    other.set_fail_mode("standalone")


OTHERS = {"a Linux bridge": Other(linux_bridge), "Open vSwitch": Other(open_vswitch, OvsSwitch.offloads)}
