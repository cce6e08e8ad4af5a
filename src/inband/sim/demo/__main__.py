"""The demo as a program: ``python -m inband.sim.demo``, or ``make demo``.

It runs in namespaces of its own: as root in new ones, without root in those of an unprivileged user namespace, and
where the system allows neither it says so and plays the same story in the simulator. It ends by itself after about 25
seconds. Exit code 0: no channel was lost or silent for over a second, and data passed exactly while it should; 1: not
so; 130: interrupted.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import click
from rich.console import Console

from inband.errors import HostError, InbandError
from inband.sim.demo.simulated import SimulatedStage
from inband.sim.demo.story import ACTS, SETTLE_S, Act, Stage, failures, play
from inband.sim.demo.view import print_summary, shown

_INSIDE = "INBAND_DEMO_INSIDE"
"""Set in the process that runs in its own namespaces: "root" or "user", for whoever made them."""
_ROOT = ("unshare", "--net", "--mount", "--propagation", "slave")
_USER = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--propagation", "slave")


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
    inside = os.environ.get(_INSIDE)
    reason = None
    if not simulate and inside is None:
        reason = _enter_namespaces(console)  # returns only where that is not allowed
    make: Callable[[], Stage] = _real_stage
    if inside is None or simulate:
        make = lambda: SimulatedStage(pace)  # noqa: E731 (a stage is made inside the event loop)
    if reason is not None:
        console.print(f"This system allows no network namespaces ({reason}): simulating.", highlight=False)
    try:
        sys.exit(asyncio.run(_play(make, acts, console)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    except InbandError as error:
        console.print(f"demo: {error}", style="red", highlight=False, markup=False)
        sys.exit(1)


def _real_stage() -> Stage:
    from inband.sim.demo.real import NamespaceStage

    return NamespaceStage("auto" if os.environ[_INSIDE] == "root" else "userspace")


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


def _enter_namespaces(console: Console) -> str:
    """Run this program again in namespaces of its own; returns why not, if the system forbids it."""
    ways = [("root", _ROOT)] if os.geteuid() == 0 else []
    reason = ""
    for who, way in [*ways, ("user", _USER)]:
        try:
            _probe(way)
        except HostError as error:
            reason = str(error)
            continue
        console.file.flush()
        os.execvpe(way[0], [*way, sys.executable, "-m", "inband.sim.demo", *sys.argv[1:]], {**os.environ, _INSIDE: who})
    return reason


def _probe(way: tuple[str, ...]) -> None:
    """Try what the demo will need; raises HostError with what the system says."""
    packet_socket = "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"
    needs = f"ip link add ib0 type veth peer name ib1 && {shlex.join([sys.executable, '-c', packet_socket])}"
    try:
        done = subprocess.run([*way, "sh", "-c", needs], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise HostError("make namespaces", f"{error.filename} is missing: install util-linux") from None
    if done.returncode:
        raise HostError("make namespaces", (done.stderr.strip().splitlines() or ["refused"])[-1])


if __name__ == "__main__":
    main()
