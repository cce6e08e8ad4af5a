"""A ring of bridges of any make, with a host at each: switches of ours, Open vSwitch, and bridges of Linux.

Each bridge is alone in its namespace; its ports are ``next`` and ``back`` in the ring, and ``host``. All run a spanning
tree; whoever has the lowest priority is its root.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from lab import ovs
from lab.inband import OnDatapath
from lab.journal import until
from lab.net import Lab, Namespace
from lab.topology import BridgePlan, Site

PORTS = ("next", "back", "host")
INTERVAL_S = 0.01
"""Between the pings by which an outage is measured."""


class TreeBridge(Protocol):
    """A bridge that runs a spanning tree."""

    def set_rstp(self, priority: int) -> None:
        """Run it, with this priority."""

    def forwarding(self) -> frozenset[str]:
        """The interfaces that it lets forward."""


class LinuxBridge:
    """A bridge of the kernel, whose own spanning tree is that of 1998 (STP)."""

    # Seconds. The kernel's shortest, for tests: they hold where it is the root.
    HELLO_S, MAX_AGE_S, FORWARD_DELAY_S = 1, 6, 2

    def __init__(self, machine: Namespace) -> None:
        self._machine = machine
        machine.ip("link add br0 type bridge", *(f"link set {port} master br0" for port in PORTS))

    def set_rstp(self, priority: int) -> None:
        """Run STP, for it knows nothing else."""
        times = f"hello_time {self.HELLO_S}00 max_age {self.MAX_AGE_S}00 forward_delay {self.FORWARD_DELAY_S}00"
        self._machine.ip(f"link set br0 type bridge {times} priority {priority} stp_state 1", "link set br0 up")

    def forwarding(self) -> frozenset[str]:
        """The ports in state 3 (include/uapi/linux/if_bridge.h)."""
        states = self._machine.run("grep", "", *(f"/sys/class/net/{port}/brport/state" for port in PORTS))
        return frozenset(line.split("/")[4] for line in states.splitlines() if line.endswith(":3"))


@dataclass
class Ring:
    """Bridges in the order of the ring, each with its machine and its host."""

    bridges: list[TreeBridge]
    machines: list[Namespace]
    hosts: list[Namespace]

    def open_links(self) -> int:
        """How many links of the ring data passes: both ends forward."""
        forwarding = [bridge.forwarding() for bridge in self.bridges]
        size = len(forwarding)
        return sum("next" in forwarding[i] and "back" in forwarding[(i + 1) % size] for i in range(size))

    def is_converged(self, links: int) -> bool:
        """Whether data passes so many links, and all hosts may speak."""
        return self.open_links() == links and all("host" in bridge.forwarding() for bridge in self.bridges)

    def wait(self, links: int, timeout_s: float) -> None:
        """Return when it is converged; raises AssertionError with what there is."""
        if not until(lambda: self.is_converged(links), timeout_s):
            raise AssertionError(f"no tree of {links} links: {[sorted(each.forwarding()) for each in self.bridges]}")

    def cut(self, index: int) -> None:
        """Cut the link from one bridge to the next."""
        self.machines[index].ip("link set next down")

    def mend(self, index: int) -> None:
        """Join them again."""
        self.machines[index].ip("link set next up")

    def outage(self, index: int) -> float:
        """Cut a link; how long a host is not heard by the one opposite, in seconds."""
        ping = self.hosts[0].start(
            *("ping", "-n", "-q", "-i", str(INTERVAL_S), "-w", "4", self.address(2)),
            label="ping",
        )
        time.sleep(1.0)
        self.cut(index)
        ping.wait(10.0)
        sent, received = map(int, re.findall(r"(\d+) (?:packets transmitted|received)", ping.tail()))
        return (sent - received) * INTERVAL_S

    def address(self, index: int) -> str:
        """A host's address."""
        return f"10.77.0.{index + 1}"

    def received(self) -> list[int]:
        """How many packets each host has received."""
        return [host.counter("eth0", "rx_packets") for host in self.hosts]


@contextmanager
def laid(makes: list[str], priorities: Mapping[int, int]) -> Iterator[Ring]:
    """A ring of these makes, closed once every bridge runs its tree; priorities of some, by place."""
    with Lab() as lab, ExitStack() as stack:
        machines = [lab.namespace(f"s{i}") for i in range(len(makes))]
        hosts = [lab.namespace(f"h{i}") for i in range(len(makes))]
        ring = Ring([], machines, hosts)
        for index, (machine, host) in enumerate(zip(machines, hosts, strict=True)):
            lab.link(machine, "next", machines[(index + 1) % len(makes)], "back")
            lab.link(machine, "host", host, "eth0")
            machine.ip("link set next down")
            host.address("eth0", f"{ring.address(index)}/24")
        for index, make in enumerate(makes):
            bridge = _made(lab, stack, make, machines[index])
            bridge.set_rstp(priorities.get(index, 32768))
            ring.bridges.append(bridge)
        for machine in machines:
            machine.ip("link set next up")
        yield ring


def _made(lab: Lab, stack: ExitStack, make: str, machine: Namespace) -> TreeBridge:
    if make == "Linux":
        return LinuxBridge(machine)
    site = Site(machine, (BridgePlan("br0", PORTS),))
    switch = ovs.OvsSwitch(lab, site) if make == "Open vSwitch" else OnDatapath(make)(lab, site)
    switch.start(connect=False)
    stack.callback(switch.stop)
    switch.set_fail_mode("standalone")
    return switch
