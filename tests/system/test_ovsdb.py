"""`ovs-vsctl` as people type it, against a switch that follows a real ovsdb-server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.controllers import LabController
from lab.journal import until
from lab.net import Lab
from lab.ovsdb import Database
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root


class OvsdbRig(Rig):
    """A rig whose switch follows a database."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.database = Database(lab, self.box)
        self.vsctl = self.database.vsctl

    def follow(self, *options: str) -> None:
        """Start a switch that follows."""
        self.start("--ovsdb", self.database.remote, *options)


@pytest.fixture
def rig() -> Iterator[OvsdbRig]:
    with Lab("ovx") as lab:
        rig = OvsdbRig(lab)
        rig.database.start()
        yield rig


def test_add_br_and_add_port_return_without_no_wait_and_packets_flow(rig: OvsdbRig) -> None:
    rig.follow()

    rig.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
    rig.vsctl("add-port", "br0", "p1")
    rig.vsctl("add-port", "br0", "p2", "--", "set", "interface", "p2", "ofport_request=7")

    assert rig.vsctl("get", "interface", "p1", "ofport") == "1"
    assert rig.vsctl("get", "interface", "p2", "ofport") == "7"
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)


def test_a_controller_of_the_database_is_dialled_and_its_columns_say_so(rig: OvsdbRig) -> None:
    LabController(rig.h1, port=6653)
    rig.follow()

    rig.vsctl(
        *("add-br", "br0", "--", "add-port", "br0", "p1", "--", "set-controller", "br0", "tcp:10.0.0.11:6653"),
        *("--", "set-fail-mode", "br0", "secure", "--", "set", "controller", "br0", "connection_mode=in-band"),
        *("local_ip=10.0.0.2", "local_netmask=255.255.255.0"),
    )
    rig.vsctl("wait-until", "controller", "br0", "is_connected=true", timeout_s=15)

    assert rig.show()["in_band"]["enabled"]
    assert rig.vsctl("get", "controller", "br0", "role") == "other"
    assert rig.vsctl("get", "controller", "br0", "status:state") == "ACTIVE"
    assert rig.vsctl("get-fail-mode", "br0") == "secure"
