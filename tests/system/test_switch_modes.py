"""Fail modes on real traffic, and that no change of mode ever takes a hidden flow away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from lab.controllers import LabController
from lab.journal import until
from lab.net import Lab, run
from lab.unixctl import Control
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root

PLAIN = ("--bridge", "br0", "--port", "p1", "--port", "p2", "--address", "10.0.0.1/24")


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Lab("ihk") as lab:
        made = Rig(lab)
        # Rules of IPv6 come by themselves while addresses are new; here no rule may come or go.
        made.box.sysctl(net__ipv6__conf__default__disable_ipv6=1)
        yield made


class RuleWatch:
    """Looks at the hidden flows as often as it can, and notes each rule that is missing in a look."""

    def __init__(self, rig: Rig) -> None:
        self.missing: set[str] = set()
        self.looks = 0
        self._control = rig.lab.hold(Control(rig.run_dir / "inband.ctl"))
        self._wanted = self._rules()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.is_set():
            self.missing |= self._wanted - self._rules()
            self.looks += 1

    def _rules(self) -> set[str]:
        lines = self._control.call("bridge/dump-flows", "br0").splitlines()
        return {line.split("letter=", 1)[1] for line in lines if "remote=10." in line}


def flows(rig: Rig) -> str:
    return run("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", f"unix:{rig.run_dir}/br0.mgmt")


def test_without_controllers_it_is_a_learning_switch_by_a_flow_that_everybody_sees(rig: Rig) -> None:
    rig.start(*PLAIN)

    assert rig.h1.pings("10.0.0.12") == 3
    assert "priority=0 actions=NORMAL" in flows(rig)
    assert rig.show()["forwarding"] == "standalone"


def test_secure_without_controllers_forwards_nothing(rig: Rig) -> None:
    rig.start(*PLAIN, "--fail-mode", "secure")

    assert rig.h1.pings("10.0.0.12", wait_s=0.2) == 0
    assert "actions" not in flows(rig)
    assert rig.show()["forwarding"] == "secure"
    assert rig.counter("dropped: no flow in table 0 matches") > 0


def test_standalone_begins_after_three_probe_intervals_and_ends_with_the_controllers_return(rig: Rig) -> None:
    rig.start(*PLAIN)
    rig.call("inband/set", "br0", "inactivity-probe=300ms", "max-backoff=200ms")
    rig.call("inband/set-controller", "br0", "tcp:10.0.0.11:6653")
    watch = RuleWatch(rig)
    assert rig.show()["forwarding"] == "secure"
    assert "NORMAL" not in flows(rig)
    assert rig.h1.pings("10.0.0.12", count=1, wait_s=0.2) == 0

    assert until(lambda: rig.show()["forwarding"] == "standalone", 2.5)
    assert rig.h1.pings("10.0.0.12") == 3
    assert "NORMAL" not in flows(rig)  # hidden from controllers, and above what they left

    controller = LabController(rig.h1)
    assert until(lambda: bool(rig.controller()["connected"]), 3.0)
    assert rig.show()["forwarding"] == "standalone"  # it has said HELLO and no more
    controller.order("fill 1")
    assert until(lambda: rig.show()["forwarding"] == "controller", 3.0)
    assert rig.h1.pings("10.0.0.12", count=1, wait_s=0.2) == 0

    controller.process.kill9()
    assert until(lambda: rig.show()["forwarding"] == "secure", 2.0)
    assert until(lambda: rig.show()["forwarding"] == "standalone", 2.5)
    assert rig.h1.pings("10.0.0.12") == 3
    watch.stop()
    assert watch.looks > 20
    assert watch.missing == set()


def test_secure_waits_for_its_controller_however_long(rig: Rig) -> None:
    rig.start(*PLAIN, "--fail-mode", "secure")
    rig.call("inband/set", "br0", "inactivity-probe=100ms")
    rig.call("inband/set-controller", "br0", "tcp:10.0.0.11:6653")

    assert not until(lambda: rig.show()["forwarding"] != "secure", 0.6)
    assert rig.h1.pings("10.0.0.12", count=1, wait_s=0.2) == 0


def test_a_change_of_the_fail_mode_holds_at_once(rig: Rig) -> None:
    rig.start(*PLAIN)
    rig.call("inband/set", "br0", "inactivity-probe=100ms")
    rig.call("inband/set-controller", "br0", "tcp:10.0.0.11:6653")
    assert until(lambda: rig.show()["forwarding"] == "standalone", 2.0)
    watch = RuleWatch(rig)

    for mode, answers in (("secure", 0), ("standalone", 1)) * 2:
        rig.call("inband/set", "br0", f"fail-mode={mode}")
        assert until(partial(_forwards, rig, mode), 2.0)
        assert rig.h1.pings("10.0.0.12", count=1, wait_s=0.3) == answers

    watch.stop()
    assert watch.missing == set()


def _forwards(rig: Rig, mode: str) -> bool:
    return bool(rig.show()["forwarding"] == mode)
