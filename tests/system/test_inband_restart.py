"""Crashes, orderly stops, and a thousand managers."""

from __future__ import annotations

import pytest

from lab import measure, topology
from lab.journal import until
from lab.scene import scene
from lab.switch import SwitchMaker

pytestmark = pytest.mark.root


def test_the_channel_is_back_after_a_crash_and_a_restart(make: SwitchMaker) -> None:
    took = measure.crash(make)

    assert took is not None
    assert took < 6.0


def test_a_switch_in_the_middle_that_crashes_brings_the_ones_behind_it_back(make: SwitchMaker) -> None:
    with measure.up(make, lambda lab: topology.row(lab, 3)) as stage:
        assert stage is not None
        first, *behind = stage.dpids

        stage.switches[0].kill9()
        start = stage.since = stage.controller.journal.entries("echo")[-1].t
        stage.switches[0].restart()

        assert stage.controller.journal.wait_up([first], 10.0, since=start)
        journal = stage.controller.journal
        back = max(each.t for each in journal.entries("features_reply", first))
        assert until(lambda: all(journal.entries("echo", dpid, since=back) for dpid in behind), 10.0)


def test_an_orderly_stop_leaves_the_ports_usable_for_whoever_comes_next(make: SwitchMaker) -> None:
    with scene(make, topology.same_subnet) as stage:
        site = stage.topology.sites[0]

        stage.switch.stop()

        site.namespace.ip("addr add 10.0.0.9/24 dev north")
        assert site.namespace.pings(stage.topology.remote) == 3


@pytest.mark.slow
def test_a_thousand_managers_are_protected_and_disturb_nobody(make: SwitchMaker) -> None:
    found = measure.managers(make, 1000, 0.5)

    assert found is not None
    assert found.installed_s is not None
    assert found.silence_s < 2.0
