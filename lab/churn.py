"""A switch to which everything happens that happens to switches, for as long as one likes.

The network: the switch on the eBPF datapath, an in-band controller that only asks for echoes, a second one with a name
whose address moves, a DNS server, two hosts whose addresses come and go, and a spare interface. What happens, in
turn: flows by the hundred are added and deleted; the second controller dies and comes back; the name gets another
address; the spare interface becomes a port, is none any more, vanishes and comes back; the configuration is reloaded;
management connections open and close with each command.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from lab import name_servers, topology
from lab.controllers import LabController
from lab.inband import InbandSwitch
from lab.journal import until
from lab.net import Lab
from lab.process import Process
from lab.switch import memory_mb
from lab.topology import Topology
from lab.unixctl import ControlError

SERVER, NAMED = "10.0.0.53", ("10.0.0.101", "10.0.0.102")
SPARE = "spare0"
FLOWS_AT_ONCE, MANAGERS = 300, 20
STATIONS_PER_S = 20.0
UP_S = 20.0
TTL_S = 1  # the name is asked for again as often as the switch allows, every 5 s
_MEMLOCK = re.compile(r"^memlock:\s*(\d+)", re.MULTILINE)
_MAP = re.compile(r"^map_type:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """What the switch has at one moment; echoes are those since the sample before, in ms."""

    at_s: float
    memory_mb: float
    map_memory_mb: float
    descriptors: int
    threads: int
    tasks: int
    megaflows: int
    echo_median_ms: float
    echo_longest_ms: float


def lay(lab: Lab) -> Topology:
    """One switch, its controller's machine, two hosts, and the machine of the controller with a name."""
    made = topology.with_hosts(topology.same_subnet(lab), 3)
    made.controller.address("eth0", f"{SERVER}/24")
    made.hosts["h3"][0].address("eth0", *(f"{address}/24" for address in NAMED))
    (site,) = made.sites
    plan = replace(site.bridges[0], controller=f"{made.remote},{name_servers.NAME}")
    return replace(made, sites=(replace(site, bridges=(plan,)),))


class Churn:
    """The network, and what happens in it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._made = made = lay(lab)
        self._site = made.sites[0]
        self._hosts = [made.hosts[name][0] for name in ("h1", "h2")]
        self._controller = LabController(made.controller)
        self._second: LabController | None = None
        self._server: Process | None = None
        self._switch = InbandSwitch(lab, self._site)
        self._switch.datapath, self._switch.dns_servers = "ebpf", (SERVER,)
        self._rounds = itertools.count()
        self._began = self._sampled_at = 0.0
        self._make_spare()
        self._events: tuple[Callable[[int], None], ...] = (
            self._add_flows, self._add_port, self._delete_flows, self._kill_second, self._remove_port, self._add_flows,
            self._reload, self._start_second, self._delete_flows, self._move_name, self._vanish,
        )  # fmt: skip

    def start(self) -> None:
        """Have everything running and connected."""
        self._move_name(0)
        self._start_second(0)
        self._switch.start()
        self._forward()
        if not until(lambda: bool(self._controller.journal.entries("echo")), UP_S):
            raise AssertionError("the controller hears nothing of the switch")
        for side, host in enumerate(self._hosts):
            host.start(sys.executable, "-m", "lab.stations", "eth0", str(side), str(STATIONS_PER_S), label="stations")
        self._began = self._sampled_at = time.monotonic()

    def happen(self) -> None:
        """The next thing happens."""
        number = next(self._rounds)
        self._events[number % len(self._events)](number // len(self._events))

    def sample(self) -> Sample:
        """Look at the switch."""
        (pid,) = self._switch.pids()
        counters = self._switch.counters()
        since, self._sampled_at = self._sampled_at, time.monotonic()
        echoes = [each.details["rtt"] * 1e3 for each in self._controller.journal.entries("echo", since=since)]
        status = Path(f"/proc/{pid}/status").read_text()
        return Sample(
            at_s=round(self._sampled_at - self._began, 1),
            memory_mb=round(memory_mb((pid,)), 2),
            map_memory_mb=round(_map_memory(pid) / 1e6, 3),
            descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            threads=int(status.split("Threads:")[1].split()[0]),
            tasks=counters["tasks"],
            megaflows=counters["megaflows"],
            echo_median_ms=round(median(echoes), 2) if echoes else 0.0,
            echo_longest_ms=round(max(echoes), 2) if echoes else 0.0,
        )

    def lost(self) -> int:
        """How often the in-band controller that never dies lost its channel."""
        return len(self._controller.journal.entries("disconnect"))

    def complaints(self) -> list[str]:
        """Lines of the switch's log that tell of a defect."""
        return [line for line in self._switch.log().splitlines() if "Traceback" in line or "defect" in line]

    # --- what happens -----------------------------------------------------------------------------------------------

    def _forward(self) -> None:
        self._switch.ofctl("add-flow", "priority=1,actions=NORMAL")

    def _add_flows(self, number: int) -> None:
        flows = (
            f"cookie=7,priority={100 + at % 50},ip,nw_dst=10.{number % 200}.{at // 250}.{at % 250},actions=NORMAL\n"
            for at in range(FLOWS_AT_ONCE)
        )
        file = self._lab.folder / "flows"
        file.write_text("".join(flows))
        self._switch.ofctl("add-flows", str(file))

    def _delete_flows(self, _: int) -> None:
        self._switch.ofctl("del-flows", "cookie=7/-1")

    def _start_second(self, _: int) -> None:
        if self._second is None:
            self._second = LabController(self._made.hosts["h3"][0])

    def _kill_second(self, _: int) -> None:
        if self._second is not None:
            self._second.process.kill9()
            self._second = None

    def _move_name(self, number: int) -> None:
        if self._server is not None:
            self._server.kill9()
        record = name_servers.record(NAMED[number % len(NAMED)], TTL_S)
        self._server = name_servers.dnsmasq(self._made.controller, SERVER, record)

    def _add_port(self, _: int) -> None:
        with contextlib.suppress(ControlError):  # it is one already
            self._switch.call("inband/add-port", "br0", SPARE)

    def _remove_port(self, _: int) -> None:
        with contextlib.suppress(ControlError):  # it is none already
            self._switch.call("inband/del-port", "br0", SPARE)

    def _vanish(self, number: int) -> None:
        """The spare interface, which is a port every other time, is gone and comes back."""
        if number % 2:
            self._add_port(number)
        self._site.namespace.ip(f"link del dev {SPARE}")
        self._make_spare()

    def _make_spare(self) -> None:
        self._lab.link(self._site.namespace, SPARE, self._hosts[0], "spare1")

    def _reload(self, number: int) -> None:
        """Managers come by a command and go with the file, which has one DNS server or two."""
        self._switch.set_managers(*(f"tcp:10.0.9.{1 + at}:6640" for at in range(MANAGERS)))
        self._switch.dns_servers = (SERVER, "10.0.0.54")[: 1 + number % 2]
        self._switch.reload()


def _map_memory(pid: int) -> int:
    """Bytes that the kernel keeps for the BPF maps of a process."""
    total = 0
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = path.read_text()
        except OSError:  # closed meanwhile
            continue
        found = _MEMLOCK.search(text)
        if found and _MAP.search(text):
            total += int(found[1])
    return total
