"""The test bed: a target switch, a tester switch, three links between them, and the tester's application.

    target namespace                       tester namespace
    +---------------+  p1 ---------- p1  +---------------+
    | target switch |  p2 ---------- p2  | Open vSwitch  |
    +---------------+  p3 ---------- p3  +---------------+
      192.0.2.1        ctl -------- ctl    192.0.2.2: the application

The tester switch is always an Open vSwitch of our own (userspace datapath, own database). The target is either another
such, or ours, with in-band control switched on: what is measured is the switch as it runs at its users.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.inband import InbandSwitch
from lab.net import Lab, run
from lab.ovs import OvsSwitch
from lab.process import Process
from lab.switch import Switch
from lab.topology import BridgePlan, Site
from tests.conformance.cases import Case, write
from tests.conformance.results import Outcome, read

PORT = 6653
PORTS = ("p1", "p2", "p3")
TARGETS = ("inband", "ovs", "ebpf")
"""Ours on its userspace datapath, Open vSwitch on its own, and ours on its eBPF datapath."""
_STALL_S = 15.0
"""Beyond the tester's own time-outs and a switch's back-off to reconnect; a throughput case sends for longer."""
_THROUGHPUT_STALL_S = 60.0


class Bed:
    """Two switches that dial the application, which is started anew for each run."""

    def __init__(self, lab: Lab, target: str) -> None:
        self._lab = lab
        near, far = lab.namespace("target"), lab.namespace("tester")
        for name in PORTS:
            lab.link(near, name, far, name)
        lab.link(near, "ctl", far, "ctl")
        near.address("ctl", "192.0.2.1/24")
        far.address("ctl", "192.0.2.2/24")
        self._far = far
        plan = BridgePlan("br0", PORTS, controller="192.0.2.2")
        self._kind = target
        self._target: Switch = _target(lab, target, Site(near, (plan,)))
        self._tester: Switch = OvsSwitch(lab, Site(far, (plan,)))
        self._runs = 0
        for switch in (self._target, self._tester):
            switch.start(connect=False)
            # The tester's packets must be all there are: no neighbour discovery, no MLD reports of the hosts' stacks.
            for name in PORTS:
                switch.site.namespace.sysctl(**{f"net__ipv6__conf__{name}__disable_ipv6": 1})
            run("ip", "-n", switch.site.namespace.name, "link", "set", "dev", "br0", "down", check=False)

    def run(self, cases: Sequence[Case], seconds: int | None = None) -> list[Outcome]:
        """Run cases of one OpenFlow version; return one outcome each, also when the tester dies of some."""
        outcomes: list[Outcome] = []
        while len(outcomes) < len(cases):
            left = cases[len(outcomes) :]
            outcomes += self._run_once(left, seconds)
        for case, outcome in zip(cases, outcomes, strict=True):
            assert case.name.strip() == outcome.name, (case.key, outcome)
        return outcomes

    def _run_once(self, cases: Sequence[Case], seconds: int | None) -> list[Outcome]:
        """Run until the tester ends or stalls; at least one outcome, for a case that it cannot live with fails."""
        self._runs += 1
        folder = self._lab.folder / f"cases{self._runs}"
        write(cases, folder, seconds)
        process = self._start(folder, "openflow10" if cases[0].suite.startswith("of10") else "openflow13")
        outcomes = _watch(process, cases)
        process.kill9()
        if len(outcomes) < len(cases):
            name = cases[len(outcomes)].name.strip()
            outcomes.append(Outcome(name, False, f"the tester stopped: {_last_words(process)}"))
        return outcomes

    def _start(self, folder: Path, version: str) -> Process:
        for switch in (self._target, self._tester):
            switch.set_controllers()
        script = Path(__file__).with_name("os_ken_tester.py")
        process = self._far.start(
            sys.executable, str(script), self._kind, str(folder), version,
            self._target.dpid(), self._tester.dpid(), str(PORT),
            label="tester", env={**os.environ, "OSKEN_HUB_TYPE": "eventlet"},
        )  # fmt: skip
        _wait_until_it_listens(self._far.name, process)
        for switch in (self._target, self._tester):
            switch.set_controllers(f"tcp:192.0.2.2:{PORT}")
        return process


def _target(lab: Lab, kind: str, site: Site) -> Switch:
    if kind == "ovs":
        return OvsSwitch(lab, site)
    switch = InbandSwitch(lab, site)
    switch.neighbours = False  # the tester takes any frame for its own
    if kind == "ebpf":
        switch.datapath = "ebpf"
    return switch


def _watch(process: Process, cases: Sequence[Case]) -> list[Outcome]:
    """Return the outcomes once the tester has ended, has done all, or has got no further for too long."""
    outcomes: list[Outcome] = []
    since = time.monotonic()
    while process.is_running and len(outcomes) < len(cases):
        time.sleep(0.1)
        found = read(process.log.read_text(errors="replace"))
        if len(found) > len(outcomes):
            outcomes, since = found, time.monotonic()
        patience = _THROUGHPUT_STALL_S if cases[len(outcomes) - len(cases)].is_throughput else _STALL_S
        if time.monotonic() - since > patience:
            break
    time.sleep(0.1)  # the reason of a last failure is on a line of its own
    return read(process.log.read_text(errors="replace"))


def _last_words(process: Process) -> str:
    lines = [line.strip() for line in process.log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _wait_until_it_listens(namespace: str, process: Process) -> None:
    listens = f":{PORT:04X} 00000000:0000 0A"
    deadline = time.monotonic() + 30.0
    while listens not in run("ip", "netns", "exec", namespace, "cat", "/proc/net/tcp"):
        if not process.is_running or time.monotonic() > deadline:
            raise AssertionError(f"the switch tester does not listen:\n{process.tail()}")
        time.sleep(0.1)
