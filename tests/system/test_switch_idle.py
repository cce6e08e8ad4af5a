"""What a switch costs that has nothing to do, and one that has much to hold."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from lab.controllers import LabController
from lab.journal import until
from lab.net import Lab
from lab.switch import cpu_s
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root

WATCHED_S = 3.0


def test_an_idle_switch_with_a_mute_controller_hardly_ever_wakes_up() -> None:
    with Lab("ihk") as lab:
        rig = Rig(lab)
        for namespace in (rig.box, rig.h1, rig.h2):  # whose stacks would chatter for a while after the start
            namespace.sysctl(net__ipv6__conf__all__disable_ipv6=1, net__ipv6__conf__default__disable_ipv6=1)
        LabController(rig.h1, echo_s=1000.0)
        options = ("--bridge", "br0", "--port", "p1", "--port", "p2", "--address", "10.0.0.1/24")
        process = rig.start(*options, "--controller", "tcp:10.0.0.11", "--fail-mode", "secure")
        assert until(lambda: bool(rig.controller()["connected"]), 5.0)
        time.sleep(1.0)

        spent, woken = cpu_s([process.pid]), _wake_ups(process.pid)
        time.sleep(WATCHED_S)

        assert cpu_s([process.pid]) - spent <= 0.01 * WATCHED_S
        assert _wake_ups(process.pid) - woken < 10 * WATCHED_S


def _wake_ups(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def test_many_bridges_start_and_stop_and_leave_nothing() -> None:
    with Lab("ihk") as lab:
        rig = Rig(lab)
        rig.run_dir.mkdir(mode=0o700)
        before = rig.state()
        text = "".join(f'[[bridge]]\nname = "b{n}"\nfail-mode = "secure"\n' for n in range(16))

        process = rig.start("--config", rig.config(text))

        assert len(rig.show("b15")["ports"]) == 1
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(8.0) == 0
        assert rig.state() == before
