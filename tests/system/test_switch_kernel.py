"""A kernel that says more than can be heard, and hosts that make it: counted, made good, and the channel stays."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from lab.controllers import LabController
from lab.journal import until
from lab.net import Lab
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root


class Stage:
    """A switch whose controller is the host h1, connected."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.controller = LabController(rig.h1)
        options = ("--bridge", "br0", "--port", "p1", "--port", "p2", "--address", "10.0.0.1/24")
        self.process = rig.start(*options, "--controller", "tcp:10.0.0.11", "--fail-mode", "secure")
        self.dpid = rig.show()["datapath_id"]
        assert self.controller.journal.wait_up([self.dpid], 5.0)

    def silence(self, since: float) -> float:
        """The longest time since then without an answer of the switch to its controller."""
        time.sleep(0.3)
        return self.controller.journal.silence(self.dpid, since, time.monotonic())

    def lost(self) -> int:
        """How many sessions ended."""
        return self.controller.journal.count("disconnect")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Lab("ihk") as lab:
        yield Stage(Rig(lab))


def test_lost_notifications_are_counted_and_everything_is_read_again(stage: Stage) -> None:
    rig = stage.rig
    # Few neighbours that change often: the kernel has one table for all namespaces, and others use this machine too.
    changes = [
        f"neigh replace 10.0.0.{n} lladdr 02:00:00:00:00:{m:02x} dev br0" for m in range(160) for n in range(50, 150)
    ]
    os.kill(stage.process.pid, signal.SIGSTOP)
    try:
        rig.box.ip(
            *changes,
            "link set p2 down",
            "link set p2 name q2",
        )
    finally:
        os.kill(stage.process.pid, signal.SIGCONT)

    assert until(lambda: rig.counter("overruns") > 0, 3.0)
    assert until(lambda: rig.ports() == {"p1": 1, "q2": 2}, 3.0)  # which happened in what was lost
    assert stage.silence(time.monotonic() - 0.1) < 1.0
    assert stage.lost() == 0
    assert len(rig.log().splitlines()) < 20


def test_interfaces_that_come_and_go_by_the_hundred_disturb_no_channel(stage: Stage) -> None:
    since = time.monotonic()

    stage.rig.box.ip(*(f"link add d{number} type veth peer name e{number}" for number in range(100)))
    stage.rig.box.ip(*(f"link set d{number} up" for number in range(100)))
    stage.rig.box.ip(*(f"link del d{number}" for number in range(100)))

    assert stage.silence(since) < 1.0
    assert stage.lost() == 0
    assert len(stage.rig.log().splitlines()) < 20


def test_a_port_that_flaps_is_followed_without_a_flood_in_the_log(stage: Stage) -> None:
    since = time.monotonic()

    stage.rig.box.ip(*(f"link set p2 {word}" for _ in range(100) for word in ("down", "up")))

    assert stage.silence(since) < 1.0
    assert stage.lost() == 0
    assert stage.rig.ports() == {"p1": 1, "p2": 2}
    assert until(lambda: all(port["link_up"] for port in stage.rig.show()["ports"]), 2.0)
    assert len(stage.rig.log().splitlines()) < 20


def test_neighbours_of_the_controller_that_come_and_go_keep_its_rules(stage: Stage) -> None:
    since = time.monotonic()

    for _ in range(20):
        stage.rig.box.ip("neigh flush dev br0")
        assert "letter=d" in stage.rig.call("bridge/dump-flows", "br0")
        assert "letter=e" in stage.rig.call("bridge/dump-flows", "br0")

    assert stage.silence(since) < 1.0
    assert stage.lost() == 0


def test_a_local_interface_that_is_set_down_and_up_costs_no_session(stage: Stage) -> None:
    stage.rig.box.ip("link set br0 down")
    assert until(lambda: not all(port["link_up"] for port in stage.rig.show()["ports"]), 2.0)
    stage.rig.box.ip("link set br0 up")
    since = time.monotonic()

    assert until(lambda: bool(stage.controller.journal.entries("echo", stage.dpid, since=since)), 3.0)
    assert stage.lost() == 0


def test_a_bridges_interface_that_somebody_removes_is_back_before_tcp_gives_up(stage: Stage) -> None:
    stage.rig.box.ip("link del br0")
    since = time.monotonic()

    assert until(lambda: bool(stage.controller.journal.entries("echo", stage.dpid, since=since + 0.5)), 4.0)
    assert stage.lost() == 0


def test_an_interface_that_outlived_a_killed_switch_gets_its_route_again_when_it_was_down() -> None:
    with Lab("ihk") as lab:
        rig = Rig(lab)
        options = ("--bridge", "br0", "--port", "p1", "--address", "10.0.0.1/24", "--gateway", "10.0.0.11")
        killed = rig.start(*options)
        killed.kill9()
        rig.start(*options)
        assert "default via 10.0.0.11" in rig.box.run("ip", "route")

        rig.box.ip("link set br0 down", "link set br0 up")

        assert until(lambda: "default via 10.0.0.11" in rig.box.run("ip", "route"), 3.0)
