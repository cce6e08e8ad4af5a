"""How much two hosts get through a switch: TCP, small frames, and request and response, all switches in one run.

    python -m bench.throughput [--rounds N] [--only NAME]...

Each switch has a network of its own (two hosts, and a namespace for the switch), and all of them are up from beginning
to end; each round measures every switch once, one after the other, so that whatever else the machine does hits all
alike. Compare the columns of one run; figures of two runs or two machines say nothing.

- TCP: iperf3, one stream, Gbit/s.
- kpps: 64-byte UDP frames of one flow, as many as the sender gets out; what arrives at the other host counts.
- RR: one byte there and back over TCP, per second; client and server on one CPU, the switch where it likes.

Linux bridge and direct veth pair are the limits that a switch in user space has above it. Open vSwitch is its
userspace datapath with userspace-tso, the fastest it has without a kernel module. "inband datapath" is our userspace
datapath under a learning switch of a few lines (``learning_switch``), "inband eBPF datapath" the eBPF
datapath under the same, "inband" and "inband eBPF" the whole switch with either.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab import ovs
from lab.net import CommandError, Lab, Namespace
from lab.net import run as run_command

RESULTS = Path(__file__).with_name("results")
SECONDS = 2.0
ROUNDS = 5
LEFT_IP, RIGHT_IP = "10.9.0.1", "10.9.0.2"
PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class Hosts:
    """The two ends of a network."""

    left: Namespace
    right: Namespace


@dataclass(frozen=True, slots=True)
class Row:
    """One switch's medians: Gbit/s, thousand frames a second, transactions a second."""

    name: str
    tcp_gbit_s: float
    kpps: float
    rr_per_s: float


def measure(rounds: int, only: tuple[str, ...] = ()) -> None:
    """Measure, print and write."""
    _write(run(rounds, only), rounds)


def run(rounds: int = ROUNDS, only: tuple[str, ...] = ()) -> list[Row]:
    """Measure all switches that are installed (or those named), medians of so many rounds.

    A switch that does not start is left out, with a line on standard error; it stops no other.
    """
    samples: dict[str, list[tuple[float, float, float]]] = {}
    with contextlib.ExitStack() as stack:
        networks = _build(stack, [name for name in SWITCHES if name in only or not only])
        for _ in range(rounds):
            for name, hosts in networks.items():
                samples.setdefault(name, []).append((tcp_gbit_s(hosts), kilo_frames_s(hosts), transactions_s(hosts)))
    return [Row(name, *map(statistics.median, zip(*rows, strict=True))) for name, rows in samples.items()]


def _build(stack: contextlib.ExitStack, names: list[str]) -> dict[str, Hosts]:
    networks = {}
    for name in names:
        lab = stack.enter_context(Lab("ihe"))
        try:
            hosts = SWITCHES[name](lab)
            prepare(name, hosts)
        except (RuntimeError, CommandError) as error:
            print(f"{name}: {error}\n{lab.story()}", file=sys.stderr)
        else:
            networks[name] = hosts
    return networks


# Switches: each builds a network in a laboratory and returns its hosts.


def direct(lab: Lab) -> Hosts:
    """Two hosts on one veth pair."""
    hosts = _hosts(lab)
    lab.link(hosts.left, "eth0", hosts.right, "eth0")
    return hosts


def bridge(lab: Lab) -> Hosts:
    """Two hosts on a Linux bridge, without the detour through netfilter that a machine may have switched on."""
    hosts, switch = with_switch(lab)
    switch.run("sysctl", "-qew", *(f"net.bridge.bridge-nf-call-{tables}=0" for tables in ("iptables", "ip6tables")))
    switch.ip("link add br0 type bridge", "link set br0 up", "link set p1 master br0", "link set p2 master br0")
    return hosts


def _ovs_tso(lab: Lab) -> Hosts:
    hosts, switch = with_switch(lab)
    _keep_stack_off(switch)
    folder = str(lab.folder)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OVS_RUNDIR": folder, "OVS_LOGDIR": folder, "OVS_DBDIR": folder}
    database = f"unix:{folder}/db.sock"
    vsctl = ("ovs-vsctl", f"--db={database}", "--timeout=20")
    run_command("ovsdb-tool", "create", f"{folder}/conf.db", str(ovs.SCHEMA))
    switch.start(
        "ovsdb-server", f"{folder}/conf.db", f"--remote=punix:{folder}/db.sock", f"--unixctl={folder}/db.ctl", env=env
    )
    wait_until(Path(f"{folder}/db.sock").exists)
    # The offloads are decided at start.
    run_command(*vsctl, "--no-wait", "init")
    run_command(*vsctl, "--no-wait", "set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true")
    switch.start("ovs-vswitchd", database, f"--unixctl={folder}/vs.ctl", "-vsyslog:off", env=env)
    run_command(*vsctl, "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
    run_command(*vsctl, "add-port", "br0", "p1", "--", "add-port", "br0", "p2")
    return hosts


def _datapath(lab: Lab) -> Hosts:
    hosts, switch = with_switch(lab)
    switch.start(PYTHON, "-m", "lab.learning_switch", "p1", "p2", env={"PYTHONPATH": "src"})
    return hosts


def _ebpf_datapath(lab: Lab) -> Hosts:
    hosts, switch = with_switch(lab)
    switch.start(PYTHON, "-m", "lab.learning_switch", "p1", "p2", "--ebpf", env={"PYTHONPATH": "src"})
    return hosts


def _inband(lab: Lab, datapath: str = "userspace") -> Hosts:
    hosts, switch = with_switch(lab)
    command = [PYTHON, "-c", "from inband.cli.main import main; main()", "run", "--run-dir", str(lab.folder / "run")]
    command += ["--state-dir", str(lab.folder / "state")]
    ports = ["--bridge", "br0", "--port", "p1", "--port", "p2", "--datapath", datapath]
    switch.start(*command, *ports, env={"PYTHONPATH": "src"})
    return hosts


SWITCHES: dict[str, Callable[[Lab], Hosts]] = {
    "direct veth": direct,
    "Linux bridge": bridge,
    "inband datapath": _datapath,
    "inband eBPF datapath": _ebpf_datapath,
    "inband": _inband,
    "inband eBPF": lambda lab: _inband(lab, "ebpf"),
}
if ovs.is_installed():
    SWITCHES["Open vSwitch userspace-tso"] = _ovs_tso


def _hosts(lab: Lab) -> Hosts:
    return Hosts(lab.namespace("left"), lab.namespace("right"))


def with_switch(lab: Lab) -> tuple[Hosts, Namespace]:
    """Two hosts, and between them a namespace with ports p1 and p2 that no switch has yet."""
    hosts, switch = _hosts(lab), lab.namespace("switch")
    lab.link(hosts.left, "eth0", switch, "p1")
    lab.link(hosts.right, "eth0", switch, "p2")
    return hosts, switch


def _keep_stack_off(switch: Namespace) -> None:
    for port in ("p1", "p2"):
        conf = f"net.ipv4.conf.{port}"
        switch.run(
            "sysctl", "-qw", f"{conf}.rp_filter=1", f"{conf}.arp_ignore=8", f"net.ipv6.conf.{port}.disable_ipv6=1"
        )


def prepare(name: str, hosts: Hosts) -> None:
    """Addresses and servers; a first ping, so that neighbours are known before anything is measured."""
    hosts.left.address("eth0", f"{LEFT_IP}/24")
    hosts.right.address("eth0", f"{RIGHT_IP}/24")
    hosts.right.start("iperf3", "-s", "-B", RIGHT_IP)
    hosts.right.start(PYTHON, "-m", "bench.traffic", "sink", RIGHT_IP)
    hosts.right.start("taskset", "-c", "0", PYTHON, "-m", "bench.traffic", "rr-server", RIGHT_IP)
    wait_until(lambda: hosts.left.pings(RIGHT_IP, count=2) == 2, f"no ping gets through {name}")
    time.sleep(1)  # the servers' interpreters start


def wait_until(condition: Callable[[], object], failure: str = "a switch does not start", seconds: float = 20) -> None:
    """Wait until something is so; raise RuntimeError when it does not become so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(failure)
        time.sleep(0.05)


# Measurements


def tcp_gbit_s(hosts: Hosts) -> float:
    """One stream of TCP, from left to right."""
    report = json.loads(hosts.left.run("iperf3", "-J", "-c", RIGHT_IP, "-t", f"{SECONDS}"))
    return float(report["end"]["sum_received"]["bits_per_second"]) / 1e9


def kilo_frames_s(hosts: Hosts) -> float:
    """Small frames that arrive, in thousands a second."""
    mac = hosts.right.mac("eth0")
    with _counting(lambda: hosts.right.counter("eth0", "rx_packets")) as rate:
        hosts.left.run(PYTHON, "-m", "bench.traffic", "flood", "eth0", mac, LEFT_IP, RIGHT_IP, f"{SECONDS}")
    return rate() / SECONDS / 1000


@contextlib.contextmanager
def _counting(counter: Callable[[], int]) -> Iterator[Callable[[], int]]:
    """How much a counter grew within the block."""
    before = counter()
    after = [before]
    yield lambda: after[0] - before
    after[0] = counter()


def transactions_s(hosts: Hosts) -> float:
    """One byte there and back, times a second."""
    return float(
        hosts.left.run("taskset", "-c", "0", PYTHON, "-m", "bench.traffic", "rr-client", RIGHT_IP, f"{SECONDS}")
    )


def _write(rows: list[Row], rounds: int) -> None:
    """One table for people, on the screen and in a file, and one document for programs."""
    title = f"Two hosts through a switch, medians of {rounds} rounds"
    table = Table("switch", "TCP Gbit/s", "kpps", "RR/s", title=title)
    for row in rows:
        table.add_row(row.name, f"{row.tcp_gbit_s:.2f}", f"{row.kpps:.0f}", f"{row.rr_per_s:.0f}")
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "throughput.txt").open("w", encoding="utf-8") as out:
        Console(file=out, width=100).print(table)
    document = {
        "measured": time.strftime("%Y-%m-%d"),
        "kernel": platform.release(),
        "rounds": rounds,
        "rows": [asdict(row) for row in rows],
    }
    (RESULTS / "throughput.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--only", action="append", default=[], choices=sorted(SWITCHES))
    given = options.parse_args()
    measure(given.rounds, tuple(given.only))


if __name__ == "__main__":
    main()
