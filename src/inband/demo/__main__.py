"""The demo as a program: ``python -m inband.demo``, or ``make demo``.

It runs in namespaces of its own: as root in new ones, without root in those of an unprivileged user namespace, and
where the system allows neither it says so and plays the same story in the simulator. It ends by itself after about 25
seconds. Exit code 0: no channel was lost or silent for over a second, and data passed exactly while it should; 1: not
so; 130: interrupted.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace

import click
from rich.console import Console

from inband.demo.simulated import SimulatedStage
from inband.demo.story import ACTS, SETTLE_S, Act, Stage, failures, play
from inband.demo.view import print_summary, shown
from inband.demo.ways import INSIDE, ROOT, Way, choose, enter, probe, ways_of
from inband.errors import InbandError


@click.command()
@click.option("--simulate", is_flag=True, help="Play it in the simulator, which needs no privileges.")
@click.option("--pace", default=1.0, help="Real seconds per virtual second in the simulator.", show_default=True)
@click.option(
    "--act-seconds",
    type=click.FloatRange(min=2 * SETTLE_S),
    help="How long the controller behaves in one way.  [default: 4 to 6]",
)
def main(simulate: bool, pace: float, act_seconds: float | None) -> None:
    """Three switches in a row, and a controller that turns hostile. Ends by itself after about 25 seconds."""
    acts = ACTS if act_seconds is None else tuple(replace(act, seconds=act_seconds) for act in ACTS)
    # Wide enough for any line where nothing is folded anyway.
    console = Console() if sys.stdout.isatty() else Console(width=10_000)
    inside = os.environ.get(INSIDE)
    if not simulate and inside is None:
        way = choose(ways_of(os.geteuid()), probe)
        if isinstance(way, Way):
            enter(way, sys.argv[1:], os.environ)
        console.print(f"This system allows no network namespaces ({way}): simulating.", highlight=False, markup=False)
    make: Callable[[], Stage] = _real_stage
    if inside is None or simulate:
        make = lambda: SimulatedStage(pace)  # noqa: E731 (a stage is made inside the event loop)
    try:
        sys.exit(asyncio.run(_play(make, acts, console)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    except InbandError as error:
        console.print(f"demo: {error}", style="red", highlight=False, markup=False)
        sys.exit(1)


def _real_stage() -> Stage:
    from inband.demo.real import NamespaceStage

    return NamespaceStage("auto" if os.environ[INSIDE] == ROOT.name else "userspace")


async def _play(make: Callable[[], Stage], acts: tuple[Act, ...], console: Console) -> int:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: leave nothing behind
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    stage = make()
    try:
        await stage.start()
        with shown(console, stage) as show:
            scene = await play(stage, show, acts)
        print_summary(console, scene)
        return 1 if failures(scene) else 0
    finally:
        await stage.close()


if __name__ == "__main__":
    main()
