"""Neighbours on real links: a ring of eight switches in namespaces, on both datapaths, whose links fail.

The bounds are wide: eight switches share this machine's processors. The benchmark has the figures.
"""

from __future__ import annotations

import json
import time

import pytest

from lab import fabric
from lab.fabric import Failure
from lab.inband import InbandSwitch, OnDatapath
from lab.net import Lab
from lab.scene import Scene, scene
from lab.topology import Site

pytestmark = [pytest.mark.root, pytest.mark.slow]

LENGTH = 8
UP_S = 20.0
KNOWN_S = 4.0
# Without it a silent death costs 60 ms and more on a quiet machine, and waits for hellos that were lost in any case.
PROTECTED_S = 0.2
BOUND_S = {Failure.BOTH_ENDS: 0.5, Failure.SILENT: 0.7}


class Protected(OnDatapath):
    """Makes switches with one key, that send segments of channels by all ways."""

    def __call__(self, lab: Lab, site: Site) -> InbandSwitch:
        switch = super().__call__(lab, site)
        switch.network_key, switch.protects = lab.folder / "key", True
        switch.network_key.write_bytes(b"k" * 32)
        switch.network_key.chmod(0o600)
        return switch


def states(stage: Scene) -> list[str]:
    """What each switch of the ring knows of each port but the controller's."""
    found: list[str] = []
    for switch in stage.switches:
        assert isinstance(switch, InbandSwitch)
        (bridge,) = json.loads(switch.call("inband/neighbours", "json"))["bridges"]
        found += [port["state"] for port in bridge["ports"]]
    return found


@pytest.mark.parametrize("datapath", ["ebpf", "userspace"])
def test_a_ring_heals_when_a_link_goes_down_or_dies_silently(datapath: str) -> None:
    with scene(OnDatapath(datapath), lambda lab: fabric.ring(lab, LENGTH), echo_s=0.02) as stage:
        stage.connect()
        assert stage.all_up(UP_S), stage.story()
        time.sleep(KNOWN_S)
        before = states(stage)
        wire = fabric.wires_of(stage.topology)[1]

        outages = {how: fabric.fail_link(stage, wire, how) for how in BOUND_S}

        assert sorted(before) == ["two-way"] * 2 * LENGTH + ["unknown"]
        for how, outage in outages.items():
            assert max(outage.silences) <= BOUND_S[how], f"{how}: {outage}\n{stage.story()}"
        assert sorted(states(stage)) == sorted(before)


@pytest.mark.parametrize("datapath", ["ebpf", "userspace"])
def test_channels_by_all_ways_at_once_bear_a_failure(datapath: str) -> None:
    with scene(Protected(datapath), lambda lab: fabric.ring(lab, 4), echo_s=0.02) as stage:
        stage.connect()
        assert stage.all_up(UP_S), stage.story()
        stage.controller.order("drop")
        time.sleep(KNOWN_S)
        first = stage.switch
        assert isinstance(first, InbandSwitch)

        outage = fabric.fail_link(stage, fabric.wires_of(stage.topology)[1], Failure.SILENT)

        assert max(outage.silences) <= PROTECTED_S, stage.story()
        assert first.counters()["duplicate_dropped"] > 0
        assert first.counters().get("control_flood", 0) == 0
