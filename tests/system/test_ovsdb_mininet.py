"""Mininet's own OVSSwitch, unmodified: it finds the database by ovs-vsctl, and this switch behind it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from lab.journal import until
from tests.system.ovsdb_rig import OvsdbRig, with_database

pytestmark = pytest.mark.root


@pytest.fixture
def rig() -> Iterator[OvsdbRig]:
    with with_database() as rig:
        rig.box.ip("link set lo up")
        rig.follow()
        yield rig


@pytest.mark.parametrize(
    "options",
    [
        ("--topo", "linear,3", "--switch", "ovsk", "--controller", "ovsc"),
        ("--topo", "tree,2", "--switch", "ovsk,failMode=standalone", "--controller", "none"),
        ("--topo", "single,3", "--switch", "ovsk,datapath=user,protocols=OpenFlow10", "--controller", "ovsc"),
    ],
)
def test_pingall_loses_nothing_and_nothing_is_left(rig: OvsdbRig, options: tuple[str, ...]) -> None:
    environment = {**os.environ, "OVS_RUNDIR": str(rig.database.folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    command = ["ip", "netns", "exec", rig.box.name, "mn", *options, "--test", "pingall"]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)

    assert "Results: 0% dropped" in done.stderr, done.stderr + rig.log()
    assert done.returncode == 0
    assert until(lambda: rig.vsctl("--no-wait", "list-br") == "", 5.0)
    assert until(lambda: "s1" not in rig.box.run("ls", "/sys/class/net").split(), 5.0)


def test_with_stp_a_circle_of_switches_is_a_tree(rig: OvsdbRig) -> None:
    environment = {**os.environ, "OVS_RUNDIR": str(rig.database.folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    command = ["ip", "netns", "exec", rig.box.name, "/usr/bin/python3", "-c", CIRCLE]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)

    assert done.returncode == 0, done.stderr + rig.log()
    assert "Discarding" in done.stdout
    assert "dropped 0.0" in done.stdout


CIRCLE = """
from mininet.net import Mininet
from mininet.node import OVSSwitch
from mininet.topo import Topo
import time
class Circle(Topo):
    def build(self):
        switches = [self.addSwitch(f"s{n}", stp=True, failMode="standalone") for n in (1, 2, 3)]
        for left, right in zip(switches, switches[1:] + switches[:1]):
            self.addLink(left, right)
        for switch in switches[:2]:
            self.addLink(self.addHost(f"h{switch}"), switch)
net = Mininet(Circle(), switch=OVSSwitch, controller=None)
net.start()
for _ in range(100):
    said = net["s1"].cmd("ovs-vsctl --columns=rstp_status list port")
    if net.pingAll() == 0 and "Discarding" in said:
        break
    time.sleep(0.2)
print(said)
print("dropped", net.pingAll())
net.stop()
"""
