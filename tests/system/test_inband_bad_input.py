"""Mistakes, rubbish and refusals: each gets one clear line, nothing stops, nothing that worked is lost."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from lab import measure, topology
from lab.controllers import wait_listening
from lab.inband import COMMAND, InbandSwitch
from lab.net import Lab, Namespace
from lab.process import Process
from lab.scene import Scene

pytestmark = pytest.mark.root

BAD_COMMANDS = {
    "tcp:300.1.2.3": ("set-controller", "br0", "tcp:300.1.2.3"),
    "queue": ("set", "br0", "queue=many"),
    "br9": ("set", "br9", "queue=1"),
    "no/such": ("add-port", "br0", "no/such"),
}
"""Commands by the words that the refusal must name."""
RUBBISH = {
    "a web server": "485454502f312e3120343030204261642052657175657374 0d0a0d0a",
    "half a HELLO": "0400001000",
    "a wrong version": "0900000800000001",
    "a length below the header": "0400000400000001",
    "a HELLO, then a message that never ends": "0400000800000001 0413ffff00000002 0001",
    "nothing": "",
}
HANGS_UP = 6700
"""The port of one that ends each connection at once."""


def test_controllers_that_speak_rubbish_disturb_no_other_and_do_not_fill_the_log() -> None:
    with measure.up(InbandSwitch, topology.same_subnet) as stage:
        assert stage is not None
        speakers = [_speak(stage, 6660 + number, rubbish, "hold") for number, rubbish in enumerate(RUBBISH.values())]
        speakers.append(_speak(stage, HANGS_UP, "ff" * 64, "hang-up"))
        rude = [f"tcp:{stage.topology.remote}:{port}" for port in (*range(6660, 6660 + len(RUBBISH)), HANGS_UP)]
        stage.switch.set_controllers(stage.topology.target, *rude)

        silence = stage.watch(3.0)

        assert all("spoke" in each.tail() for each in speakers)
        assert speakers[-1].tail().count("spoke") > 2
        assert silence < 1.0
        assert stage.lost() == 0
        assert _log_lines(stage) < 60


def test_a_run_directory_in_use_is_refused_and_its_owner_goes_on() -> None:
    with measure.up(InbandSwitch, topology.same_subnet) as stage:
        assert stage is not None
        owner = stage.switch
        assert isinstance(owner, InbandSwitch)

        done = _run(stage.topology.sites[0].namespace, "--run-dir", str(owner.run_dir), "--bridge", "br7")

        _assert_one_clear_line(done, str(owner.run_dir))
        assert stage.watch(0.5) < 0.5


def test_a_refused_command_changes_nothing_and_cuts_nothing() -> None:
    with measure.up(InbandSwitch, topology.same_subnet) as stage:
        assert stage is not None
        switch = stage.switch
        assert isinstance(switch, InbandSwitch)
        before = switch.hidden()

        for about, words in BAD_COMMANDS.items():
            done = _inband(stage.topology.sites[0].namespace, "--run-dir", str(switch.run_dir), *words)
            _assert_one_clear_line(done, about)

        assert before <= switch.hidden()  # more may come meanwhile: the kernel takes its time with IPv6 addresses
        assert stage.watch(0.5) < 0.5


def test_an_interface_that_vanishes_and_comes_back_does_not_end_the_switch() -> None:
    def lay(lab: Lab) -> topology.Topology:
        return topology.with_hosts(topology.same_subnet(lab), 1)

    with measure.up(InbandSwitch, lay) as stage:
        assert stage is not None
        host, site = stage.topology.hosts["h1"][0], stage.topology.sites[0].namespace

        host.ip("link del dev eth0")
        time.sleep(0.5)
        stage.lab.link(host, "eth0", site, "host1")
        host.address("eth0", "10.0.0.201/24")

        assert stage.watch(1.0) < 0.5
        stage.switch.ofctl("add-flow", "priority=1,actions=NORMAL")
        assert host.pings(stage.topology.remote, count=20, interval_s=0.1) > 0


def _speak(stage: Scene, port: int, rubbish: str, end: str) -> Process:
    machine = stage.topology.controller
    words = ("-m", "lab.rubbish", str(port), rubbish.replace(" ", ""), end)
    speaker = machine.start(sys.executable, *words, label="rubbish")
    wait_listening(machine, speaker, port)
    return speaker


def _log_lines(stage: Scene) -> int:
    return sum(len(each.read_text(errors="replace").splitlines()) for each in stage.lab.folder.glob("*-inband.log"))


def _run(namespace: Namespace, *options: str) -> subprocess.CompletedProcess[str]:
    return _inband(namespace, "run", "--state-dir", "/dev/null/none", *options)


def _inband(namespace: Namespace, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["ip", "netns", "exec", namespace.name, COMMAND, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def _assert_one_clear_line(done: subprocess.CompletedProcess[str], about: str) -> None:
    lines = done.stderr.strip().splitlines()
    assert done.returncode in (1, 2), done
    assert "Traceback" not in done.stderr
    assert 1 <= len(lines) <= 4, done.stderr  # click adds its usage to wrong usage
    assert about in done.stderr
