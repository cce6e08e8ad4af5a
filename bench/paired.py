"""`python -m bench.paired OTHER [--rounds N] [--only TEXT]`: this checkout beside another one, as of a release.

Each figure is taken of one and of the other in turn, as often as there are rounds, with the same Python and the same
libraries: what the machine does meanwhile meets both. The ratio of the medians is what counts. Beside the time there is
the processor time of the switch, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import openflow_load
from bench.openflow_client import Client, additions
from lab.journal import until
from lab.net import Lab, Namespace
from lab.process import Process

RESULTS = Path(__file__).with_name("results")
HERE = Path(__file__).parent.parent
ALLOWED = 1.03
"""How much worse than the other the median may be."""
FRAMES, FLOWS, SEVERAL = 4000, 20_000, 64
START_S = 30.0


@dataclass(frozen=True, slots=True)
class Taken:
    """One measurement: how long, and how much of a processor the switch used. Microseconds each, of one of them."""

    us: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Running:
    """A switch with two ports; ``hosts`` has their other ends."""

    hosts: Namespace
    process: Process
    management: Path


@contextmanager
def running(checkout: Path, datapath: str) -> Iterator[Running]:
    """A switch of a checkout; options are those that older ones have too."""
    with Lab("ihp") as lab:
        hosts, switch = lab.namespace("hosts"), lab.namespace("switch")
        for number in (1, 2):
            lab.link(hosts, f"h{number}", switch, f"p{number}")
            hosts.sysctl(**{f"net__ipv6__conf__h{number}__disable_ipv6": 1})
            hosts.ip(f"link set dev h{number} up")
        run_dir = lab.folder / "run"
        process = switch.start(
            sys.executable, "-m", "inband.cli.main", "run", "--run-dir", str(run_dir), "--bridge", "br0",
            "--port", "p1", "--port", "p2", "--datapath", datapath, label="switch",
            env={"PYTHONPATH": str(checkout / "src"), "STATE_DIRECTORY": str(lab.folder / "state")},
        )  # fmt: skip
        control = run_dir / "inband.ctl"
        if not until(control.exists, START_S):
            raise AssertionError(f"the switch of {checkout} did not start:\n{process.tail()}")
        time.sleep(0.5)  # for what it does when it has started
        yield Running(hosts, process, run_dir / "br0.mgmt")


def first_frames(window: int, datapath: str) -> Callable[[Path], Taken]:
    """Frames from new hosts, NORMAL, so many under way at a time."""

    def take(checkout: Path) -> Taken:
        with running(checkout, datapath) as switch:
            before = cpu_s(switch.process)
            command = (sys.executable, "-m", "bench.openflow_misses", "h1", "h2", str(FRAMES), str(window), "sources")
            rate, way = map(float, switch.hosts.run(*command, timeout_s=60.0).split())
            cpu = (cpu_s(switch.process) - before) / FRAMES * 1e6
        return Taken(way if window == 1 else 1e6 / rate, cpu)

    return take


def flow_mods(checkout: Path) -> Taken:
    """Additions of flows and a barrier, by the management socket."""
    messages = additions(openflow_load.additions(FLOWS))
    with running(checkout, "userspace") as switch, Client(switch.management) as client:
        client.clear()
        before = cpu_s(switch.process)
        seconds = client.carry_out(messages)
        return Taken(seconds / FLOWS * 1e6, (cpu_s(switch.process) - before) / FLOWS * 1e6)


def cpu_s(process: Process) -> float:
    """Processor time that a process has used, in seconds (proc(5), schedstat)."""
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9


FIGURES: dict[str, Callable[[Path], Taken]] = {
    **{
        f"first frame of a new host, {words}, {datapath}": first_frames(window, datapath)
        for datapath in ("ebpf", "userspace")
        for window, words in ((1, "one at a time"), (SEVERAL, f"{SEVERAL} under way"))
    },
    f"one of {FLOWS:,} FLOW_MODs": flow_mods,
}


def main() -> int:
    """Measure, print, write."""
    options = argparse.ArgumentParser(prog="python -m bench.paired", description="This checkout beside another one.")
    options.add_argument("other", type=Path)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--only", default="", help="figures whose text contains this")
    given = options.parse_args()
    found = {}
    for what, take in FIGURES.items():
        if given.only in what:
            pairs = [(take(HERE), take(given.other.resolve())) for _ in range(given.rounds)]
            found[what] = pairs
            print(line(what, pairs), flush=True)
    head = f"{given.rounds} rounds; this one, the other, ratio of medians"
    text = "\n".join([head, *map(line, found, found.values())])
    if not given.only:
        (RESULTS / "paired.txt").write_text(text + "\n")
        document = {
            "measured": time.strftime("%Y-%m-%d"),
            "kernel": platform.release(),
            "rounds": {what: [[asdict(each) for each in pair] for pair in pairs] for what, pairs in found.items()},
        }
        (RESULTS / "paired.json").write_text(json.dumps(document, indent=1) + "\n")
    # Either may be disturbed, both at once hardly.
    worst = max(min(ratio(pairs, "us"), ratio(pairs, "cpu_us")) for pairs in found.values())
    return 0 if worst <= ALLOWED else 1


def medians(pairs: list[tuple[Taken, Taken]], of: str) -> tuple[float, float]:
    """Those of this checkout and of the other."""
    ours, others = zip(*pairs, strict=True)
    return statistics.median(asdict(each)[of] for each in ours), statistics.median(asdict(each)[of] for each in others)


def ratio(pairs: list[tuple[Taken, Taken]], of: str) -> float:
    """The median of this checkout by that of the other."""
    ours, others = medians(pairs, of)
    return ours / others


def line(what: str, pairs: list[tuple[Taken, Taken]]) -> str:
    """A figure for people."""
    parts = []
    for of, words in (("us", "time"), ("cpu_us", "processor")):
        ours, others = medians(pairs, of)
        parts.append(f"{words} {ours:.1f} us, {others:.1f} us, {ours / others:.2f}")
    return f"{what}: {'; '.join(parts)}"


if __name__ == "__main__":
    sys.exit(main())
