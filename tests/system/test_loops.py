"""A loop outside a switch without a spanning tree, with real frames: named, limited, and released."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from lab.inband import InbandSwitch, OnDatapath
from lab.journal import until
from lab.net import Lab, Namespace
from lab.topology import BridgePlan, Site

pytestmark = pytest.mark.root

FOUND_S = 5.0
# Both ports of the loop flood twenty a second, and a round of probes is sent: far from a storm, which has 10,000s.
LIMITED_PER_S = 200
DATAPATHS = ["userspace", "ebpf"]


@dataclass
class Scene:
    """A learning switch with a host, whose other two ports lead to a bridge of Linux without a spanning tree."""

    switch: InbandSwitch
    machine: Namespace
    far: Namespace
    host: Namespace

    def joined(self) -> list[list[str]]:
        """What `show` says is joined outside."""
        return list(self.switch.status()["loops"])

    def ask(self) -> None:
        """Send a broadcast."""
        self.host.pings("10.77.0.99", count=1)

    def heard_per_s(self) -> int:
        """How many frames the host hears in a second."""
        before = self.host.counter("eth0", "rx_packets")
        time.sleep(1.0)
        return self.host.counter("eth0", "rx_packets") - before


@contextmanager
def laid(datapath: str) -> Iterator[Scene]:
    with Lab() as lab:
        machine, far, host = (lab.namespace(name) for name in ("sw", "far", "host"))
        for port in ("e1", "e2"):
            lab.link(machine, port, far, port)
        lab.link(machine, "p", host, "eth0")
        far.ip("link add br0 type bridge stp_state 0", "link set e1 master br0", "link set br0 up")
        host.address("eth0", "10.77.0.1/24")
        switch = OnDatapath(datapath)(lab, Site(machine, (BridgePlan("br0", ("p", "e1", "e2")),)))
        switch.start(connect=False)
        switch.set_fail_mode("standalone")
        yield Scene(switch, machine, far, host)
        switch.stop()


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_a_loop_is_named_limited_and_released(datapath: str) -> None:
    with laid(datapath) as scene:
        scene.ask()
        assert scene.joined() == []

        scene.far.ip("link set e2 master br0")
        scene.ask()
        assert until(lambda: scene.joined() == [["e1", "e2"]], FOUND_S)
        scene.ask()
        assert scene.heard_per_s() < LIMITED_PER_S
        assert "port e1 and port e2 are joined outside this switch" in scene.switch.log()

        scene.far.ip("link set e2 nomaster")
        assert until(lambda: scene.joined() == [], 10.0)
        assert "no longer: port e1 and port e2 are joined" in scene.switch.log()
