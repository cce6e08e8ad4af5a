"""Rows of Open vSwitch's database that cannot be had: each says so itself, and costs nothing beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab.controllers import LabController
from lab.journal import until
from tests.system.ovsdb_rig import OvsdbRig, with_database

pytestmark = pytest.mark.root


@pytest.fixture
def rig() -> Iterator[OvsdbRig]:
    with with_database() as rig:
        yield rig


def test_a_place_to_listen_at_that_cannot_be_had_costs_no_other_one(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "set-controller", "br0", "ptcp:6656")
    command = ("ovs-ofctl", "-OOpenFlow13", "monitor", "tcp:127.0.0.1:6656")
    caller = rig.box.start(*command, label="caller", env={**os.environ, "OVS_RUNDIR": str(rig.lab.folder)})
    assert until(lambda: rig.column("controller", "br0", "is_connected") == "true", 10.0)

    rig.vsctl("set-controller", "br0", "ptcp:6656", "ptcp:6655:192.0.2.99", "ptcp:6657")
    rig.vsctl("set", "bridge", "br0", "external_ids:note=x")

    bad, *good = (words(rig, target) for target in ("ptcp:6655:192.0.2.99", "ptcp:6656", "ptcp:6657"))
    assert bad == "last_error=Cannot assign requested address: choose another place, or stop who has it state=VOID"
    assert good == ["state=ACTIVE", "state=IDLE"]
    assert rig.column("bridge", "br0", "status") == "{}"
    assert caller.is_running
    assert "ptcp:6655:192.0.2.99: Cannot assign requested address" in rig.inband("show").stdout


def test_a_gateway_beside_another_default_route_costs_neither_bridge_nor_controller(rig: OvsdbRig) -> None:
    LabController(rig.h1, port=6653)
    rig.box.run("ip", "addr", "add", "192.0.2.1/24", "dev", "lo")
    rig.box.run("ip", "route", "add", "default", "dev", "lo")
    rig.follow()

    rig.vsctl(
        *("add-br", "br0", "--", "add-port", "br0", "p1", "--", "set-controller", "br0", "tcp:10.0.0.11:6653"),
        *("--", "set", "controller", "br0", "local_ip=10.0.0.2", "local_gateway=10.0.0.254"),
    )

    rig.vsctl("wait-until", "controller", "br0", "is_connected=true", timeout_s=15)
    assert "there is another default route" in rig.column("bridge", "br0", "status")
    rig.box.run("ip", "route", "del", "default", "dev", "lo")
    assert until(lambda: rig.column("bridge", "br0", "status") == "{}", 10.0)
    assert "default via 10.0.0.254" in rig.box.run("ip", "route")


def test_addresses_go_when_their_row_says_so_also_after_one_that_the_kernel_refused(rig: OvsdbRig) -> None:
    rig.box.run("ip", "link", "set", "p1", "mtu", "1000")  # too small for IPv6
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1")
    address(rig, "10.0.0.5/24")
    address(rig, "fd00::5/64,10.0.0.6/24")

    assert "fd00::5/64" in rig.column("bridge", "br0", "status")
    assert addresses(rig) == {"10.0.0.6/24"}
    address(rig, "10.0.0.7/24")

    assert addresses(rig) == {"10.0.0.7/24"}
    assert rig.column("bridge", "br0", "status") == "{}"


def words(rig: OvsdbRig, target: str) -> str:
    """The column ``status`` of a controller."""
    return rig.vsctl("--bare", "--no-headings", "--columns=status", "find", "controller", f'target="{target}"')


def address(rig: OvsdbRig, text: str) -> None:
    rig.vsctl("set", "bridge", "br0", f'other_config:inband-address="{text}"')


def addresses(rig: OvsdbRig) -> set[str]:
    """Those of the bridge's own interface, but link-local ones."""
    lines = rig.box.run("ip", "-o", "addr", "show", "dev", "br0").splitlines()
    return {line.split()[3] for line in lines if "scope link" not in line}
