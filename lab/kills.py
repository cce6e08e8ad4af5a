"""A switch that is killed at random instants, again and again, while data and others' control traffic pass through.

The machine has two bridges on the eBPF datapath. ``br0`` has an uplink to the controller, a port to another switch
whose in-band channel passes through it, two hosts, and now and then a spare port; ``br1`` gets its address by DHCP. The
switch enters the network namespace alone, so that its pins are in a bpffs that outlives it.

Three in five kills hit it while it starts, the others while it works. Each CHECK_EVERY starts it is left alone until it
works, and what is found then must be what is configured, and nothing else. After the last start it is told to end; then
the machine must be as it was before the first.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab import topology
from lab.controllers import LabController
from lab.datagrams import Arrived, Stream
from lab.inband import InbandSwitch
from lab.journal import until
from lab.net import CommandError, Lab, NetworkOnly, run
from lab.remains import mounts, processes, remains
from lab.topology import DHCP, BridgePlan, Site, Topology
from lab.unixctl import ControlError

CHECK_EVERY = 10
SPARE = "spare0"
PER_SECOND = 500
# A start takes about so long on two busy cores; then the switch works.
START_S, WORK_S = 0.8, 3.0
WHILE_STARTING = 0.6
# A flow that is added makes what is cached uncertain. The slowest stream here, echoes, is cached again after this.
KNOWN_S = 0.3
UP_S = 20.0
# Entries of a process that died are good for 5 s more: then only what the new one decided holds.
ADOPTION_S = 6.0


@dataclass(slots=True)
class Outcome:
    """What became of it. ``faults`` are sentences about what must not be; ``left`` is what the end left behind.

    ``silence_s``: the longest time without an echo of the switch behind; ``sessions_lost``: how often it was cut off.
    ``data`` are datagrams between the two hosts, ``to_local`` those from one to an address of ``br0``.
    """

    kills: int = 0
    kills_while_starting: int = 0
    checks: int = 0
    slowest_start_s: float = 0.0
    data: Arrived = field(default_factory=Arrived)
    to_local: Arrived = field(default_factory=Arrived)
    silence_s: float = 0.0
    sessions_lost: int = 0
    faults: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def lay(lab: Lab) -> Topology:
    """A row of two switches with two hosts on the first, and a DHCP server on another interface of its machine."""
    made = topology.with_hosts(topology.row(lab, 2), 2)
    first, second = made.sites
    lease = lab.namespace("lease")
    lab.link(lease, "eth0", first.namespace, "lease0")
    lab.link(lease, "eth1", first.namespace, SPARE)
    lease.address("eth0", "10.1.0.1/24")
    topology.dhcp_server(lease, "eth0", "10.1.0.10,10.1.0.90")
    bridges = (*first.bridges, BridgePlan("br1", ("lease0",), DHCP))
    return replace(made, sites=(Site(first.namespace, bridges), second))


def measure(kills: int, seed: int) -> Outcome:
    """Kill it so many times."""
    with Lab() as lab:
        made = lay(lab)
        controller = LabController(made.controller)
        behind = InbandSwitch(lab, made.sites[1])
        behind.start()
        killing = Killing(lab, made, controller, behind.dpid(), seed)
        return killing.run(kills)


class Killing:
    """The network, and what is done in it."""

    def __init__(self, lab: Lab, made: Topology, controller: LabController, behind: str, seed: int) -> None:
        """``behind`` is the datapath ID of the switch that has its channel through the one that is killed."""
        self._made = made
        self._controller = controller
        self._behind = behind
        self._rng = random.Random(seed)
        self._outcome = Outcome()
        self._machine = made.sites[0].namespace
        self._plain = replace(made.sites[0], namespace=NetworkOnly(self._machine))
        self._switch = InbandSwitch(lab, self._plain)
        self._switch.datapath = "ebpf"
        lab.hold(_Mounts(self._switch.run_dir))
        self._interfaces = [*(port for plan in self._plain.bridges for port in plan.ports), SPARE]
        self._has_spare = False

    def run(self, kills: int) -> Outcome:
        """Do all of it."""
        outcome, before = self._outcome, self._look()
        self._start()
        self._wait_ready()
        if not self._is_behind_up(0.0):
            raise AssertionError("the switch behind did not connect")
        (h1, _), (h2, to) = self._made.hosts["h1"], self._made.hosts["h2"]
        streams = Stream(h1, h2, to, PER_SECOND), Stream(h1, self._machine, "10.0.0.1", PER_SECOND)
        began = time.monotonic()
        time.sleep(1.0)
        for number in range(kills):
            self._kill_and_start(is_checked=number % CHECK_EVERY == CHECK_EVERY - 1)
        self._wait_ready()
        self._check()
        outcome.silence_s = self._controller.journal.silence(self._behind, began, time.monotonic())
        outcome.sessions_lost = len(self._controller.journal.entries("disconnect", self._behind, since=began))
        outcome.data, outcome.to_local = (stream.end() for stream in streams)
        self._switch.stop()
        after = self._look()
        outcome.left = [f"+ {line}" for line in sorted(after - before)] + [f"- {line}" for line in before - after]
        return outcome

    def _look(self) -> frozenset[str]:
        return remains(self._machine, self._interfaces, self._switch.run_dir)

    # --- a life -----------------------------------------------------------------------------------------------------

    def _kill_and_start(self, *, is_checked: bool) -> None:
        """Kill it at a random instant of its start or of its work, then start it again, as whatever it is now."""
        if is_checked:
            self._wait_ready()
            self._check()
        if self._rng.random() < WHILE_STARTING and not is_checked:
            self._outcome.kills_while_starting += 1
            time.sleep(self._rng.uniform(0.0, START_S))
        else:
            self._wait_ready()
            time.sleep(self._rng.uniform(0.0, WORK_S))
        self._switch.kill9()
        self._outcome.kills += 1
        self._start()

    def _start(self) -> None:
        """Start it, with the spare port or without."""
        first, *others = self._plain.bridges
        self._has_spare = self._rng.random() < 0.5
        ports = (*first.ports, SPARE) if self._has_spare else first.ports
        self._switch.site = replace(self._plain, bridges=(replace(first, ports=ports), *others))
        self._switch.restart()

    def _wait_ready(self) -> None:
        """Until it answers; then it is told to forward, and whatever passes becomes known again."""
        began = time.monotonic()
        if not until(self._answers, UP_S):
            raise AssertionError("the switch does not answer")
        self._outcome.slowest_start_s = max(self._outcome.slowest_start_s, time.monotonic() - began)
        self._switch.ofctl("add-flow", "priority=1,actions=NORMAL")
        time.sleep(KNOWN_S)

    def _answers(self) -> bool:
        try:
            return self._switch.is_ready()
        except CommandError:
            return False

    # --- what must be so --------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """It works, as it is configured, and nothing of those before it is left."""
        self._outcome.checks += 1
        began = time.monotonic()
        self._expect(until(self._is_connected, UP_S), "the switch has no channel to its controller")
        self._expect(self._is_behind_up(began), "the switch behind has no channel")
        time.sleep(max(0.0, began + ADOPTION_S - time.monotonic()))
        for plan in self._switch.site.bridges:
            ports = {each["name"] for each in self._switch.status(plan.name)["ports"]}
            self._expect(ports == {*plan.ports, plan.name}, f"{plan.name} has the ports {sorted(ports)}")
            pins = list((self._switch.run_dir / "bpf" / plan.name).rglob("link-*"))
            self._expect(len(pins) == len(plan.ports) + 1, f"{plan.name} has the pins {[pin.name for pin in pins]}")
        self._expect(len(mounts(self._switch.run_dir)) == 2, f"there are {mounts(self._switch.run_dir)}")
        clients = [each for each in processes(self._machine) if "-i br1" in each and "udhcpc" in each]
        self._expect(len(clients) == 1, f"there are {len(clients)} DHCP clients: {clients}")
        if not self._has_spare:
            filters = self._machine.run("tc", "filter", "show", "dev", SPARE, "ingress")
            self._expect(not filters, f"{SPARE} is no port, and has {filters}")

    def _is_connected(self) -> bool:
        try:
            (controller,) = self._switch.status()["controllers"]
            return bool(controller["connected"])
        except (OSError, ControlError):
            return False

    def _is_behind_up(self, since: float) -> bool:
        return until(lambda: bool(self._controller.journal.entries("echo", self._behind, since=since)), UP_S)

    def _expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self._outcome.faults.append(f"after {self._outcome.kills} kills {otherwise}")


@dataclass
class _Mounts:
    """What is mounted in a folder, gone at the end whoever was killed."""

    folder: Path

    def close(self) -> None:
        for line in mounts(self.folder):
            run("umount", "--lazy", line.removeprefix("mount "), check=False)
