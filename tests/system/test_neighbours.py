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
from lab.scene import Scene, scene

pytestmark = [pytest.mark.root, pytest.mark.slow]

LENGTH = 8
UP_S = 20.0
KNOWN_S = 4.0
BOUND_S = {Failure.BOTH_ENDS: 0.5, Failure.SILENT: 0.7}


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
