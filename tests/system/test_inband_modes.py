"""In-band control off and on, and the fail modes, on a real network."""

from __future__ import annotations

import pytest

from lab import measure, topology
from lab.controllers import LabController
from lab.inband import InbandSwitch
from lab.journal import until
from lab.net import Lab
from lab.sampler import Sampler

pytestmark = pytest.mark.root


def test_turning_in_band_off_removes_its_rules_and_only_them_and_on_brings_them_back() -> None:
    with measure.up(InbandSwitch, topology.same_subnet) as stage:
        assert stage is not None
        switch = stage.switch
        before = switch.hidden()
        switch.ofctl("add-flow", "priority=5,actions=NORMAL")  # so that the channel lives meanwhile

        with switch.control() as control:
            control.call("inband/set", "br0", "in-band=off")
            without = switch.hidden()
            control.call("inband/set", "br0", "in-band=on")

        assert without == frozenset()
        assert until(lambda: before <= switch.hidden(), 3.0)
        assert "priority=5" in switch.ofctl("dump-flows")
        assert stage.lost() == 0


def test_standalone_forwards_without_a_controller_and_stops_when_one_is_back() -> None:
    def lay(lab: Lab) -> topology.Topology:
        return topology.with_hosts(topology.same_subnet(lab), 2)

    with measure.up(InbandSwitch, lay) as stage:
        assert stage is not None
        host, target = stage.topology.hosts["h1"][0], stage.topology.hosts["h2"][1]
        with stage.switch.control() as control:
            control.call("inband/set", "br0", "fail-mode=standalone", "inactivity-probe=0.3", "max-backoff=0.5")
        stage.controller.order("fill 1")
        connected = host.pings(target, wait_s=0.3)
        rules = stage.switch.hidden()

        with Sampler(stage.switch) as sampler:
            start = sampler.since(0.0)[0][0]
            stage.controller.process.kill9()
            assert until(lambda: host.pings(target, count=1, wait_s=0.3) == 1, 10.0)
            back = LabController(stage.topology.controller)
            assert back.journal.wait_up(stage.dpids, 5.0)
            back.order("fill 1")

            assert connected == 0
            assert until(lambda: host.pings(target, count=1, wait_s=0.3) == 0, 3.0)
            assert sampler.missing(rules, start) == frozenset()
