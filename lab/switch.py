"""What a scenario needs of a switch, whoever made it.

Two implementations: :class:`lab.inband.InbandSwitch` (ours) and :class:`lab.ovs.OvsSwitch` (the peer).
Scenarios name neither, so each runs on both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.net import Lab
from lab.topology import Site, Topology
from lab.unixctl import Control

FIRST_HIDDEN = 180000
"""The priority of letter (a), here and in Open vSwitch; (b) is one more, and so on."""
_HIDDEN_LINE = re.compile(r"priority=(\d+)(\S*)\s*,?\s*actions=(\S+)")


@dataclass(frozen=True, slots=True, order=True)
class Hidden:
    """A hidden flow as a dump shows it: its letter, its match and its actions as ovs-ofctl text."""

    letter: str
    match: str
    actions: str


class Switch(Protocol):
    """One switch process at one site. Commands raise CommandError or ControlError when the switch refuses."""

    name: str
    site: Site

    def start(self, *, connect: bool = True) -> None:
        """Start, make the bridges with ports and addresses, and be ready; ``connect``: with their controllers."""

    def stop(self) -> None:
        """End it in an orderly way."""

    def kill9(self) -> None:
        """Crash it."""

    def restart(self) -> None:
        """Start again what was killed, with all its configuration; it need not be ready on return."""

    def dpid(self, bridge: str = "br0") -> str:
        """Return the datapath ID as 16 hex digits."""

    def set_controllers(self, *targets: str, bridge: str = "br0") -> None:
        """Replace the controllers."""

    def set_rstp(self, priority: int) -> None:
        """Have its first bridge run a spanning tree."""

    def set_managers(self, *targets: str) -> None:
        """Replace the managers."""

    def reload(self, *managers: str) -> None:
        """Have a whole configuration read, with these managers and the controllers that were set."""

    def set_queue(self, queue: int | None, bridge: str = "br0") -> None:
        """Set or take away the control queue."""

    def set_flow_limit(self, limit: int, bridge: str = "br0") -> None:
        """Let table 0 hold at most this many flows and refuse others."""

    def set_fail_mode(self, mode: str, bridge: str = "br0") -> None:
        """Say what is done without a controller: secure or standalone."""

    def set_vlans(self, port: str, vlans: Mapping[str, str], bridge: str = "br0") -> None:
        """Have a port be a member of VLANs by Open vSwitch's columns: tag, trunks (as in 10+20), vlan_mode."""

    def set_mac(self, mac: str, bridge: str = "br0") -> None:
        """Give the local port another MAC address."""

    def hidden(self, bridge: str = "br0") -> frozenset[Hidden]:
        """Return the hidden flows that are installed now."""

    def control(self) -> Control:
        """Return a connection of its own to the control socket, for whoever asks from a thread of its own."""

    def management(self, bridge: str = "br0") -> Path:
        """Return the socket that takes OpenFlow without being a controller's."""

    def ofctl(self, command: str, *arguments: str, bridge: str = "br0") -> str:
        """Run ovs-ofctl (OpenFlow 1.3) on the bridge's management socket."""

    def pids(self) -> tuple[int, ...]:
        """Return the processes whose CPU and memory are the switch's."""


class SwitchMaker(Protocol):
    """Makes a switch at a site; ``offloads``: it copes with partial checksums."""

    name: str
    offloads: bool

    def __call__(self, lab: Lab, site: Site) -> Switch:
        """Make one; it is not started yet."""


def hidden_in(dump: str) -> frozenset[Hidden]:
    """Return the hidden flows in the text of `bridge/dump-flows`: those with a priority that no controller can name."""
    found = set()
    for line in dump.splitlines():
        match = _HIDDEN_LINE.search(line)
        if match and int(match[1]) >= FIRST_HIDDEN:
            letter = chr(ord("a") + int(match[1]) - FIRST_HIDDEN)
            found.add(Hidden(letter, match[2].strip(","), match[3]))
    return frozenset(found)


def letters(flows: Iterable[Hidden]) -> str:
    """Return the letters that occur, in order and once each."""
    return "".join(sorted({each.letter for each in flows}))


def at_all_sites(make: SwitchMaker, topology: Topology) -> list[Switch]:
    """Make one switch for each site, nearest to the controller first."""
    return [make(topology.lab, site) for site in topology.sites]


def memory_mb(pids: Iterable[int]) -> float:
    """Return the resident memory of processes, in megabytes."""
    pages = 0
    for pid in pids:
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
            pages += int(statm.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def reset_peak(pids: Iterable[int]) -> None:
    """Let the peak of processes' memory begin anew at what they have now (proc_pid_clear_refs(5))."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mb(pids: Iterable[int]) -> float:
    """Return the peak of processes' resident memory, in megabytes: VmHWM."""
    lines = (line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processor time that processes have used so far, in seconds, user and system."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
