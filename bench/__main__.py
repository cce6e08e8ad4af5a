"""`python -m bench`: measure ours and peers side by side, print tables, write them as text and as JSON.

    python -m bench [--table inband|openflow|fairness|operations|ovsdb|rstp|fabric|throughput|kernel_path]...
                    [--only TEXT]...
                    [--quick] [--no-peer] [--seconds S] [--everything-seconds S] [--rounds N] [--name NAME]

Tables of rows (in-band control, OpenFlow, fairness, operation, ovsdb, rstp): the peer is measured where it is
installed. Rows go in their order, ours first, the peer right after; the table grows while they come. A row that fails
(a switch that does not start) says so in its cell and stops no other. Throughput and the path in the kernel, which
compare more than two switches, have tables of their own form (``throughput``, ``kernel_path``) and come last; they are
left out when there is ``--only`` or ``--no-peer``, which do not fit them.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    fabric_behind,
    fabric_figures,
    fabric_networks,
    fabric_protect,
    fabric_real,
    fabric_simulated,
    fairness_figures,
    inband_figures,
    ipv6_figures,
    kernel_path,
    openflow,
    operations,
    operations_system,
    ovsdb,
    rstp,
    throughput,
)
from bench.figures import Effort, Figure, Row
from lab import ovs
from lab.inband import InbandSwitch
from lab.switch import SwitchMaker

RESULTS = Path(__file__).with_name("results")
QUICK = Effort(rounds=2, peer_rounds=1, hostile_s=3.0, short_s=2.0, attack_s=4.0, everything_s=20.0)
THROUGHPUT, KERNEL_PATH = "throughput", "kernel_path"
TABLES: dict[str, tuple[str, tuple[Callable[[Effort], list[Row]], ...]]] = {
    "inband": ("In-band control, measured in one run", (inband_figures.rows, ipv6_figures.rows)),
    "openflow": ("OpenFlow, measured in one run", (openflow.rows,)),
    "operations": ("What happens around a switch, measured in one run", (operations.rows, operations_system.rows)),
    "ovsdb": ("Configured by ovs-vsctl, measured in one run", (ovsdb.rows,)),
    "rstp": ("The spanning tree, measured in one run", (rstp.rows,)),
    "fabric": (
        "Links and switches that fail, measured in one run",
        (
            fabric_networks.rows,
            fabric_figures.rows,
            fabric_behind.rows,
            fabric_protect.rows,
            fabric_real.rows,
            fabric_simulated.rows,
        ),
    ),
    "fairness": ("Fairness: what others suffer from one peer, measured in one run", (fairness_figures.rows,)),
}
"""Title and sections of each, by the name of its results' file."""
Line = tuple[Row, list[Figure]]


def main() -> int:
    """Measure, print and write; return 1 when a row of ours does not reach its goal."""
    given = _options().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through the laboratories' exits, which tidy up
    makes: list[SwitchMaker] = [InbandSwitch]
    if ovs.is_installed() and not given.no_peer:
        makes.append(ovs.OvsSwitch)
    wanted = given.table or [*TABLES, THROUGHPUT, KERNEL_PATH]
    reached = [_run_table(name, given, makes) for name in wanted if name in TABLES]
    if not given.only and not given.no_peer:
        if THROUGHPUT in wanted:
            throughput.measure(2 if given.quick else throughput.ROUNDS)
        if KERNEL_PATH in wanted:
            reached.append(kernel_path.measure(1 if given.quick else kernel_path.ROUNDS))
    return 0 if all(reached) else 1


def _run_table(name: str, given: argparse.Namespace, makes: list[SwitchMaker]) -> bool:
    """Measure a table's rows, print and write it; whether ours reaches all of its goals."""
    title, sections = TABLES[name]
    effort = _effort(given)
    lines: list[Line] = []
    for row in (row for section in sections for row in section(effort) if _is_wanted(row, given.only)):
        lines.append((row, [_measure(row, make) for make in makes]))
        print(f"{row.what}: {' | '.join(figure.text for figure in lines[-1][1])}", file=sys.stderr, flush=True)
    if lines:
        _write(title, given.name or name, makes, lines)
    return all(figures[0].reached for _, figures in lines)


def _effort(given: argparse.Namespace) -> Effort:
    effort = replace(QUICK if given.quick else Effort(), attack_rounds=given.rounds)
    if given.seconds is not None:
        effort = replace(effort, attack_s=given.seconds, everything_s=given.seconds)
    if given.everything_seconds is not None:
        effort = replace(effort, everything_s=given.everything_seconds)
    return effort


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m bench", description="Figures against peers, in one run.")
    options.add_argument("--only", action="append", default=[], help="rows whose text contains this; several if wanted")
    options.add_argument("--quick", action="store_true", help="fewer rounds and shorter, to see that everything runs")
    options.add_argument("--seconds", type=float, help="how long each attack of the table `fairness` lasts")
    options.add_argument("--everything-seconds", type=float, help="how long its last row lasts, where that differs")
    options.add_argument("--rounds", type=int, default=1, help="how often each of its rows is measured")
    options.add_argument("--no-peer", action="store_true", help="ours alone")
    options.add_argument("--name", help="the results' file name, instead of the table's")
    names = [*TABLES, THROUGHPUT, KERNEL_PATH]
    options.add_argument("--table", action="append", default=[], choices=names, help="one table; several if wanted")
    return options


def _is_wanted(row: Row, only: list[str]) -> bool:
    return not only or any(text in row.what for text in only)


def _measure(row: Row, make: SwitchMaker) -> Figure:
    try:
        return row.measure(make)
    except Exception as error:  # whatever goes wrong in one row is that row's result
        print(f"{row.what} ({make.name}): {error}\n{''.join(getattr(error, '__notes__', []))}", file=sys.stderr)
        return Figure("failed", False, {"error": str(error).splitlines()[0]})


def _write(title: str, name: str, makes: list[SwitchMaker], lines: list[Line]) -> None:
    RESULTS.mkdir(exist_ok=True)
    table = _table(title, makes, lines)
    Console().print(table)
    with (RESULTS / f"{name}.txt").open("w", encoding="utf-8") as out:
        Console(file=out, width=120).print(table)
    document = {
        "measured": time.strftime("%Y-%m-%d"),
        "kernel": platform.release(),
        "peer": ovs.version() if len(makes) > 1 else None,
        "rows": [_as_json(makes, row, figures) for row, figures in lines],
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _as_json(makes: list[SwitchMaker], row: Row, figures: list[Figure]) -> dict[str, object]:
    cells = {make.name: asdict(figure) for make, figure in zip(makes, figures, strict=True)}
    return {"what": row.what, "goal": row.goal, **cells}


def _table(title: str, makes: list[SwitchMaker], lines: list[Line]) -> Table:
    peer = [f"Open vSwitch {ovs.version()}"] if len(makes) > 1 else []
    table = Table("what", "to reach", "inband", *peer, "reached", title=title)
    for row, figures in lines:
        table.add_row(row.what, row.goal, *(each.text for each in figures), "yes" if figures[0].reached else "NO")
    return table


if __name__ == "__main__":
    sys.exit(main())
