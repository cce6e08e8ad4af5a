"""A controller of OpenFlow 1.0 runs the data traffic, its own channel in-band."""

from __future__ import annotations

import pytest

from lab import topology
from lab.controllers import start_testcontroller
from lab.inband import InbandSwitch
from lab.journal import until
from lab.net import Lab

pytestmark = pytest.mark.root


def test_a_learning_controller_of_openflow_1_0_carries_pings_between_hosts() -> None:
    with Lab("ihl") as lab:
        laid = topology.with_hosts(topology.row(lab, 2), 2)
        start_testcontroller(laid.controller, protocol="OpenFlow10")
        switches = [InbandSwitch(lab, site) for site in laid.sites]
        for switch in switches:
            switch.start()
        host, target = laid.hosts["h1"][0], laid.hosts["h2"][1]

        assert until(lambda: host.pings(target, count=1) == 1, 15.0)
        assert host.pings(target, count=20) == 20
        # The second switch is behind the first, and what it says to the controller crosses the first's table.
        assert until(lambda: all(each.status()["controllers"][0]["connected"] for each in switches), 5.0)
        assert {each.status()["controllers"][0]["version"] for each in switches} == {"1.0"}
