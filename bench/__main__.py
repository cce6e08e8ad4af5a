"""`python -m bench`: measure ours and the peer side by side, print one table, write it as text and as JSON.

    python -m bench [--only TEXT]... [--quick] [--no-peer] [--name NAME]

The peer is measured where it is installed. Rows go in their order, ours first, the peer right after; the table grows
while they come. A row that fails (a switch that does not start) says so in its cell and stops no other.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.system.lab.inband import InbandSwitch
from tests.system.lab.switch import SwitchMaker

from bench import inband_figures, ipv6_figures, ovs
from bench.figures import Effort, Figure, Row

RESULTS = Path(__file__).with_name("results")
QUICK = Effort(rounds=2, peer_rounds=1, hostile_s=3.0, short_s=2.0)
Line = tuple[Row, list[Figure]]


def main() -> int:
    """Measure, print and write; return 1 when a row of ours does not reach its goal."""
    given = _options().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through the laboratories' exits, which tidy up
    makes: list[SwitchMaker] = [InbandSwitch]
    if ovs.is_installed() and not given.no_peer:
        makes.append(ovs.OvsSwitch)
    effort = QUICK if given.quick else Effort()
    rows = [*inband_figures.rows(effort), *ipv6_figures.rows(effort)]
    chosen = [row for row in rows if _is_wanted(row, given.only)]
    lines: list[Line] = []
    for row in chosen:
        lines.append((row, [_measure(row, make) for make in makes]))
        print(f"{row.what}: {' | '.join(figure.text for figure in lines[-1][1])}", file=sys.stderr, flush=True)
    _write(given.name, makes, lines)
    return 0 if all(figures[0].reached for _, figures in lines) else 1


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m bench", description="Figures against peers, in one run.")
    options.add_argument("--only", action="append", default=[], help="rows whose text contains this; several if wanted")
    options.add_argument("--quick", action="store_true", help="fewer rounds and shorter, to see that everything runs")
    options.add_argument("--no-peer", action="store_true", help="ours alone")
    options.add_argument("--name", default="inband", help="the results' file name")
    return options


def _is_wanted(row: Row, only: list[str]) -> bool:
    return not only or any(text in row.what for text in only)


def _measure(row: Row, make: SwitchMaker) -> Figure:
    try:
        return row.measure(make)
    except Exception as error:  # whatever goes wrong in one row is that row's result
        print(f"{row.what} ({make.name}): {error}\n{''.join(getattr(error, '__notes__', []))}", file=sys.stderr)
        return Figure("failed", False, {"error": str(error).splitlines()[0]})


def _write(name: str, makes: list[SwitchMaker], lines: list[Line]) -> None:
    RESULTS.mkdir(exist_ok=True)
    table = _table(makes, lines)
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


def _table(makes: list[SwitchMaker], lines: list[Line]) -> Table:
    peer = [f"Open vSwitch {ovs.version()}"] if len(makes) > 1 else []
    table = Table("what", "to reach", "inband", *peer, "reached", title="In-band control, measured in one run")
    for row, figures in lines:
        table.add_row(row.what, row.goal, *(each.text for each in figures), "yes" if figures[0].reached else "NO")
    return table


if __name__ == "__main__":
    sys.exit(main())
