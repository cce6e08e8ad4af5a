"""Interfaces of the types internal and patch, made for rows of a real database."""

from __future__ import annotations

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


def internal(name: str, *columns: str, bridge: str = "br0", port: str = "") -> tuple[str, ...]:
    """Words that add an internal port."""
    access = (port,) if port else ()
    return ("add-port", bridge, name, *access, "--", "set", "interface", name, "type=internal", *columns)


def patch(bridge: str, name: str, peer: str) -> tuple[str, ...]:
    return ("add-port", bridge, name, "--", "set", "interface", name, "type=patch", f"options:peer={peer}")


def interfaces(rig: OvsdbRig) -> set[str]:
    return set(rig.box.run("ls", "/sys/class/net").split())


def test_an_internal_port_has_an_address_in_its_vlan(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "tag=10", "--", "add-port", "br0", "p2", "tag=20")

    rig.vsctl(*internal("vlan10", port="tag=10"))
    rig.box.address("vlan10", "10.0.0.9/24")

    assert rig.vsctl("get", "interface", "vlan10", "ofport") == "3"
    assert until(lambda: rig.h1.pings("10.0.0.9") > 0, 5.0)
    assert rig.h2.pings("10.0.0.9", wait_s=0.3) == 0
    rig.vsctl("set", "port", "vlan10", "tag=20")
    assert until(lambda: rig.h2.pings("10.0.0.9") > 0, 5.0)


def test_its_columns_are_its_own_and_its_state_is_the_users(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1")

    rig.vsctl(*internal("in1", 'mac="02:00:00:00:00:77"', "mtu_request=1400", "ofport_request=9"))

    assert rig.column("interface", "in1", "mac_in_use") == "02:00:00:00:00:77"
    assert rig.column("interface", "in1", "mtu") == "1400"
    assert rig.column("interface", "in1", "ofport") == "9"
    assert rig.column("interface", "in1", "admin_state") == "down"
    assert rig.box.run("cat", "/sys/class/net/br0/mtu").strip() == "1500"
    rig.box.ip("link set in1 up")
    rig.vsctl("wait-until", "interface", "in1", "link_state=up", timeout_s=5)
    rig.vsctl("set", "interface", "in1", "mtu_request=1300", "mac=02\\:00\\:00\\:00\\:00\\:78")
    assert rig.box.run("cat", "/sys/class/net/in1/mtu").strip() == "1300"
    assert rig.box.mac("in1") == "02:00:00:00:00:78"
    assert rig.column("interface", "in1", "ofport") == "9"


def test_it_goes_with_its_row_and_at_the_end(rig: OvsdbRig) -> None:
    before = interfaces(rig)
    rig.follow()
    rig.vsctl("add-br", "br0", "--", *internal("in1"), "--", *internal("in2"))
    assert interfaces(rig) - before == {"br0", "br0-in", "in1", "in1-in", "in2", "in2-in"}

    rig.vsctl("del-port", "in1")
    assert interfaces(rig) - before == {"br0", "br0-in", "in2", "in2-in"}

    assert rig.process is not None
    rig.process.stop()
    assert interfaces(rig) == before


def test_it_goes_on_in_another_namespace_and_after_a_kill(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", *internal("in1"), "--", *internal("in2"))
    rig.box.address("in2", "10.0.0.8/24")
    guest = rig.lab.namespace("guest")
    rig.box.ip(f"link set in1 netns {guest.name}")
    guest.address("in1", "10.0.0.9/24")
    assert until(lambda: rig.h1.pings("10.0.0.9") > 0, 5.0)
    assert rig.process is not None
    rig.process.kill9()

    rig.follow()

    assert until(lambda: rig.h1.pings("10.0.0.9") > 0, 5.0)
    assert until(lambda: rig.h1.pings("10.0.0.8") > 0, 5.0)
    assert set(rig.ports()) == {"p1", "in1", "in2"}


def test_it_is_made_again_when_others_remove_it(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", *internal("in1"))

    rig.box.ip("link del in1")

    assert until(lambda: "in1" in interfaces(rig), 5.0)
    rig.box.address("in1", "10.0.0.9/24")
    assert until(lambda: rig.h1.pings("10.0.0.9") > 0, 5.0)
    assert rig.ports() == {"p1": 2, "in1": 1}


def test_in_band_control_goes_on_beside_an_internal_port_with_an_address(rig: OvsdbRig) -> None:
    LabController(rig.h1, port=6653)
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "set-fail-mode", "br0", "secure")
    rig.vsctl("set-controller", "br0", "tcp:10.0.0.11:6653", "--", "set", "controller", "br0", "local_ip=10.0.0.2")
    rig.vsctl("wait-until", "controller", "br0", "is_connected=true", timeout_s=15)
    since = rig.controller()["since"]

    rig.vsctl(*internal("in1"))
    rig.box.address("in1", "10.9.0.9/24")
    rig.vsctl("wait-until", "interface", "in1", "link_state=up", timeout_s=5)

    assert "10.9." not in rig.inband("dump-flows", "br0", "--hidden").stdout
    rig.vsctl("del-port", "in1")
    assert rig.controller()["since"] == pytest.approx(since, abs=0.1)


def test_a_controller_in_the_network_of_an_internal_port_is_reached_with_no_flow_of_its_own(rig: OvsdbRig) -> None:
    rig.h1.address("eth0", "10.9.0.11/24")
    LabController(rig.h1, port=6653)
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "set-fail-mode", "br0", "secure")
    rig.vsctl(*internal("in1"))
    rig.box.address("in1", "10.9.0.9/24")

    rig.vsctl("set-controller", "br0", "tcp:10.9.0.11:6653")

    rig.vsctl("wait-until", "controller", "br0", "is_connected=true", timeout_s=15)
    assert "its addresses belong on" not in rig.inband("show").stdout


def test_a_patch_joins_two_bridges_while_both_its_ends_are_there(rig: OvsdbRig) -> None:
    before = interfaces(rig)
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "add-br", "br1", "--", "add-port", "br1", "p2")

    rig.vsctl(*patch("br0", "pa", "pb"))
    assert rig.column("interface", "pa", "error") == "No usable peer 'pb' exists in 'system' datapath."
    assert rig.column("interface", "pa", "ofport") == "2"
    rig.vsctl(*patch("br1", "pb", "pa"))

    assert rig.column("interface", "pa", "error") == "[]"
    assert rig.ports("br0") == {"p1": 1, "pa": 2}
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)
    rig.vsctl("del-port", "pa")
    assert rig.h1.pings("10.0.0.12", wait_s=0.3) == 0
    assert "No usable peer" in rig.column("interface", "pb", "error")
    rig.vsctl(*patch("br0", "pa", "pb"))
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)
    assert rig.process is not None
    rig.process.stop()
    assert interfaces(rig) == before


def test_patches_of_a_killed_switch_are_taken_over_or_away(rig: OvsdbRig) -> None:
    before = interfaces(rig)
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "add-br", "br1", "--", "add-port", "br1", "p2")
    rig.vsctl(*patch("br0", "pa", "pb"), "--", *patch("br1", "pb", "pa"))
    assert rig.process is not None
    rig.process.kill9()

    rig.follow()
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)

    rig.process.kill9()
    rig.vsctl("--no-wait", "del-port", "pa", "--", "del-port", "pb")
    rig.follow()
    rig.vsctl("set", "bridge", "br0", "external_ids:note=x")
    assert until(lambda: interfaces(rig) == before | {"br0", "br0-in", "br1", "br1-in"}, 8.0)


def test_bad_rows_say_so_and_the_rest_takes_effect(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1")

    rig.vsctl(
        *internal("p2"), "--", *internal("odd", 'mac="01:00:00:00:00:01"', "mtu_request=9"),
        *("--", "add-port", "br0", "alone", "--", "set", "interface", "alone", "type=patch"),
        *("--", *patch("br0", "self", "self"), "--", *patch("br0", "taken", "p2")),
        *("--", *internal("good")),
    )  # fmt: skip

    assert "p2 exists and is not the switch's" in rig.column("interface", "p2", "error")
    assert rig.column("interface", "p2", "ofport") == "-1"
    assert "is not the address of one host" in rig.column("interface", "odd", "error")
    assert "alone: patch type requires valid 'peer' argument" in rig.column("interface", "alone", "error")
    assert "No usable peer 'self'" in rig.column("interface", "self", "error")
    assert "No usable peer 'p2'" in rig.column("interface", "taken", "error")
    assert {"p1", "good", "odd"} <= set(rig.ports())
    assert rig.box.run("cat", "/sys/class/net/p2/operstate").strip() == "up"
