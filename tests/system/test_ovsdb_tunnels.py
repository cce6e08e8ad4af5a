"""Tunnels and other interfaces of the kernel as ports: traffic between two namespaces, on both datapaths.

GRE and Geneve carry it where the kernel has them, and say that it has not where it has not.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.journal import until
from lab.net import Namespace
from tests.system.ovsdb_rig import OvsdbRig, with_database

pytestmark = pytest.mark.root

FAR_END = {
    "vxlan": "link add tun0 type vxlan id 5 remote 10.1.0.1 dstport 4789",
    "gre": "link add tun0 type gretap remote 10.1.0.1 local 10.1.0.2 key 5",
    "geneve": "link add tun0 type geneve id 5 remote 10.1.0.1",
}


@pytest.fixture
def rig() -> Iterator[OvsdbRig]:
    with with_database() as rig:
        yield rig


@pytest.fixture
def far(rig: OvsdbRig) -> Namespace:
    """A machine that is reached by IP, and the switch follows."""
    far = rig.lab.namespace("far")
    rig.lab.link(rig.box, "under", far, "eth0")
    rig.box.address("under", "10.1.0.1/24")
    far.address("eth0", "10.1.0.2/24")
    rig.follow()
    return far


def lay(far: Namespace, kind: str) -> bool:
    """Make the far end; whether this kernel has such tunnels."""
    if "Unknown device type" in far.run("ip", *FAR_END[kind].split(), check=False):
        return False
    far.address("tun0", "10.0.0.21/24")
    return True


def add_bridge(rig: OvsdbRig, datapath: str, kind: str, *options: str) -> None:
    rig.vsctl(
        "add-br", "br0", "--", "set", "bridge", "br0", f"datapath_type={datapath}", "--", "add-port", "br0", "p1",
        "--", "add-port", "br0", "t0", "--", "set", "interface", "t0", f"type={kind}", "options:remote_ip=10.1.0.2",
        *options,
    )  # fmt: skip


@pytest.mark.parametrize("datapath", ["system", "netdev"])
@pytest.mark.parametrize("kind", ["vxlan", "gre", "geneve"])
def test_a_tunnel_is_a_port(rig: OvsdbRig, far: Namespace, kind: str, datapath: str) -> None:
    is_known = lay(far, kind)

    add_bridge(rig, datapath, kind, "options:key=5")

    if not is_known:
        assert "make the tunnel t0" in rig.column("interface", "t0", "error")
        assert rig.column("interface", "t0", "ofport") == "-1"
        return
    assert rig.column("interface", "t0", "error") == "[]"
    assert until(lambda: rig.h1.pings("10.0.0.21") == 3, 10.0), rig.log()
    big = ("ping", "-c", "2", "-i", "0.2", "-W", "1", "-s", "1400", "10.0.0.21")
    assert " 0% packet loss" in rig.h1.run(*big, check=False)
    shown = rig.box.run("ovs-appctl", "-t", f"{rig.run_dir}/inband.ctl", "dpif/show")
    assert f"({kind}: key=5, remote_ip=10.1.0.2)" in shown


def test_a_tunnel_follows_its_row_and_goes_with_it(rig: OvsdbRig, far: Namespace) -> None:
    assert lay(far, "vxlan")
    add_bridge(rig, "system", "vxlan", "options:key=6")
    assert rig.h1.pings("10.0.0.21", wait_s=0.3) == 0, "another key is another network"

    rig.vsctl("set", "interface", "t0", "options:key=5")
    assert until(lambda: rig.h1.pings("10.0.0.21") == 3, 10.0)
    rig.box.ip("link del t0")
    assert until(lambda: rig.h1.pings("10.0.0.21") == 3, 10.0), "it is made again when others remove it"
    assert rig.process is not None
    rig.process.kill9()
    rig.follow()
    assert until(lambda: rig.h1.pings("10.0.0.21") == 3, 10.0), "and after a crash"

    rig.vsctl("del-port", "t0")
    assert "t0" not in rig.box.run("ls", "/sys/class/net").split()


def test_what_a_flow_would_have_to_say_is_refused_and_an_interface_of_others_is_left_alone(
    rig: OvsdbRig, far: Namespace
) -> None:
    add_bridge(rig, "system", "vxlan", "options:key=flow")
    assert rig.column("interface", "t0", "error") == "t0: options:key=flow is not supported: say a fixed value"

    rig.box.ip("link add t1 type vxlan id 9 remote 10.1.0.2 dstport 4790")
    rig.vsctl("add-port", "br0", "t1", "--", "set", "interface", "t1", "type=vxlan", "options:remote_ip=10.1.0.2")

    assert "t1 exists and is not the switch's" in rig.column("interface", "t1", "error")
    assert "id 9" in rig.box.run("ip", "-d", "link", "show", "t1")


@pytest.mark.parametrize("datapath", ["system", "netdev"])
def test_interfaces_that_ip_made_are_ports_without_a_type(rig: OvsdbRig, far: Namespace, datapath: str) -> None:
    assert lay(far, "vxlan")
    rig.box.ip("link add vx9 type vxlan id 5 remote 10.1.0.2 dstport 4789")
    far.ip("link add link eth0 name mac0 type macvlan mode bridge")
    far.address("mac0", "10.0.0.22/24")
    rig.vsctl("add-br", "br0", "--", "set", "bridge", "br0", f"datapath_type={datapath}", "--", "add-port", "br0", "p1")

    rig.vsctl("add-port", "br0", "vx9")
    assert until(lambda: rig.h1.pings("10.0.0.21") == 3, 10.0)
    rig.vsctl("del-port", "vx9")
    rig.box.ip("link add link under name mac0 type macvlan mode passthru")
    rig.vsctl("add-port", "br0", "mac0")
    far.ip("link del tun0")
    assert until(lambda: rig.h1.pings("10.0.0.22") == 3, 10.0)
