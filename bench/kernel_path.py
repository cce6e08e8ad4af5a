"""The figures of the path in the kernel: every switch in one run, round after round, beside its peers.

    python -m bench.kernel_path [--rounds N] [--only TEXT]...

Networks (``kernel_networks``) stay up while all their rounds are measured; each round takes one figure of every
network, one network right after the other, then the next figure, so that whatever else the machine does hits all alike.
Then come rounds of situations (``kernel_situations``). A figure is the median of its rounds; a ratio is the median of
the rounds' ratios, not the ratio of medians. What could not be measured is left out, with a line on standard error.

Written as a table for people, as a document with every sample for programs, and as a picture:
``results/kernel_path.*``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from bench import kernel_figures, kernel_goals, kernel_picture, kernel_situations
from bench.kernel_figures import Figures
from bench.kernel_goals import Goal, Samples
from bench.kernel_networks import MAKES, PREFIX, Network, networks
from lab import ovs
from lab.net import CommandError, Lab

RESULTS = Path(__file__).with_name("results")
ROUNDS = 5
WIDTH = 120
# Figure: what it is called, and how it is written.
STANDING = {
    "tcp_gbit_s": ("TCP Gbit/s", "{:.2f}"),
    "kpps": ("64-byte kpps", "{:.0f}"),
    "rr_per_s": ("RR/s", "{:,.0f}"),
    "connect_p50_us": ("connect p50 us", "{:.0f}"),
    "connects_per_s": ("connects /s", "{:,.0f}"),
    "misses_per_connect": ("misses each", "{:.4f}"),
    "first_p50_us": ("first frame p50 us", "{:.0f}"),
    "first_p99_us": ("p99 us", "{:,.0f}"),
    "misses_per_s": ("new flows/s", "{:,.0f}"),
    "misses_lost": ("lost", "{:.0f}"),
}
SITUATIONS = {
    "metered_per_s": ("metered at 10,000/s, 60,000 offered: passed, 1/s", "{:,.0f}"),
    "metered_gbit_s": ("metered at 2 Gbit/s: TCP, Gbit/s", "{:.2f}"),
    "flood_silence_s": ("flood of new flows: longest silence of the channel, s", "{:.2f}"),
    "flood_echo_p99_ms": ("flood of new flows: echo p99, ms", "{:.1f}"),
    "flood_forwarded_per_s": ("flood of new flows: forwarded, 1/s", "{:,.0f}"),
    "masks_kept": ("a host makes masks: part of others' frames that still pass", "{:.2f}"),
    "crash_lost": ("kill -9 and restart: lost of 60,000 datagrams", "{:,.0f}"),
    "crash_back_s": ("kill -9 and restart: channel back, s after the start", "{:.2f}"),
    "idle_cpu_percent": ("100,000 megaflows: idle CPU, %", "{:.1f}"),
    "memory_mb": ("100,000 megaflows: memory of the process, MB", "{:.0f}"),
    "kernel_mb": ("100,000 megaflows: memory of the kernel, MB", "{:.0f}"),
    "revalidated_ms": ("100,000 megaflows: invalidated by a FLOW_MOD, ms", "{:.0f}"),
    "forgotten_ms": ("100,000 megaflows: longest pause while forgotten, ms", "{:.0f}"),
}


def measure(rounds: int = ROUNDS, only: tuple[str, ...] = ()) -> bool:
    """Measure, print and write; whether every goal that was measured is reached."""
    samples = run(rounds, only)
    goals = kernel_goals.judge(samples)
    _write(samples, goals, rounds)
    return all(goal.reached for goal in goals)


def run(rounds: int, only: tuple[str, ...] = ()) -> Samples:
    """Measure networks and switches whose names contain one of ``only`` (all when there is none)."""
    samples: Samples = {}
    with contextlib.ExitStack() as stack:
        standing = _build(stack, only)
        for number in range(1, rounds + 1):
            for take in kernel_figures.ALL:
                for name, network in standing.items():
                    if take in kernel_figures.OF_ACTIONS or not network.is_of_actions:
                        _add(samples, name, number, partial(take, network))
    for number in range(1, rounds + 1):
        for make in MAKES:
            for situation in kernel_situations.ALL if _is_wanted(make.name, only) else ():
                _add(samples, make.name, number, partial(situation, make))
    return samples


def _is_wanted(name: str, only: tuple[str, ...]) -> bool:
    return not only or any(text in name for text in only)


def _build(stack: contextlib.ExitStack, only: tuple[str, ...]) -> dict[str, Network]:
    standing = {}
    for name, build in networks().items():
        if not _is_wanted(name, only):
            continue
        lab = stack.enter_context(Lab(PREFIX))
        try:
            network = build(lab)
            kernel_figures.prepare(name, network)
        except (RuntimeError, CommandError, AssertionError) as error:
            print(f"{name}: {error}\n{lab.story()}", file=sys.stderr)
        else:
            standing[name] = network
    return standing


def _add(samples: Samples, name: str, number: int, take: Callable[[], Figures]) -> None:
    try:
        figures = take()
    except (RuntimeError, CommandError, AssertionError) as error:
        print(f"{name}, round {number}: {error}\n{''.join(getattr(error, '__notes__', []))}", file=sys.stderr)
        return
    shown = ", ".join(f"{figure} {value:.4g}" for figure, value in figures.items())
    print(f"{name}, round {number}: {shown}", file=sys.stderr, flush=True)
    for figure, value in figures.items():
        samples.setdefault(name, {}).setdefault(figure, []).append(value)


# Output


def _write(samples: Samples, goals: list[Goal], rounds: int) -> None:
    RESULTS.mkdir(exist_ok=True)
    tables = [
        _table(f"Two hosts and what is between them, medians of {rounds} rounds", STANDING, samples),
        _turned(f"A network of its own each round, medians of {rounds} rounds", SITUATIONS, samples),
        _goals(goals),
    ]
    with (RESULTS / "kernel_path.txt").open("w", encoding="utf-8") as out:
        for console in (Console(width=WIDTH), Console(file=out, width=WIDTH)):
            for table in tables:
                console.print(table)
    document = {
        "measured": time.strftime("%Y-%m-%d"),
        "kernel": platform.release(),
        "peer": ovs.version() if ovs.is_installed() else None,
        "rounds": rounds,
        "goals": [asdict(goal) for goal in goals],
        "samples": samples,
    }
    (RESULTS / "kernel_path.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "kernel_path.svg").write_text(_picture(samples, rounds), encoding="utf-8")


def _table(title: str, figures: Mapping[str, tuple[str, str]], samples: Samples) -> Table:
    """A line for each network, a column for each figure."""
    table = Table(Column("", no_wrap=True), *(heading for heading, _ in figures.values()), title=title, padding=0)
    for name, found in samples.items():
        cells = [_cell(found.get(figure), form) for figure, (_, form) in figures.items()]
        if any(cells):
            table.add_row(name, *cells)
    return table


def _turned(title: str, figures: Mapping[str, tuple[str, str]], samples: Samples) -> Table:
    """A line for each figure, a column for each switch."""
    names = [name for name, found in samples.items() if found.keys() & figures.keys()]
    table = Table("", *names, title=title)
    for figure, (heading, form) in figures.items():
        cells = [_cell(samples[name].get(figure), form) for name in names]
        if any(cells):
            table.add_row(heading, *cells)
    return table


def _cell(values: list[float] | None, form: str) -> str:
    return form.format(statistics.median(values)) if values else ""


def _goals(goals: list[Goal]) -> Table:
    table = Table("what, eBPF datapath", "to reach", "is at", "reached", title="What is to be reached")
    for goal in goals:
        table.add_row(goal.what, goal.to_reach, goal.is_at, "yes" if goal.reached else "NO")
    return table


def _picture(samples: Samples, rounds: int) -> str:
    panels: dict[str, dict[str, tuple[float, str]]] = {}
    for figure in ("tcp_gbit_s", "kpps", "rr_per_s", "misses_per_s"):
        heading, form = STANDING[figure]
        found = {name: each[figure] for name, each in samples.items() if figure in each}
        panels[heading] = {name: (statistics.median(values), _cell(values, form)) for name, values in found.items()}
    names = [name for name, found in samples.items() if "tcp_gbit_s" in found]
    return kernel_picture.draw(f"Two hosts and what is between them, medians of {rounds} rounds", names, panels)


def main() -> int:
    """Measure, print and write; return 1 when a goal is not reached."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--only", action="append", default=[], help="networks whose names contain this")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through the laboratories' exits, which tidy up
    return 0 if measure(given.rounds, tuple(given.only)) else 1


if __name__ == "__main__":
    sys.exit(main())
