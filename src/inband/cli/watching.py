"""The verbs with which people watch a switch: ``capture``, ``top``."""

from __future__ import annotations

import os
from functools import partial

import click

from inband.cli import completion
from inband.cli.asking import ask_plainly, run_dir_option

# A capture gives way to the switch that it watches.
CAPTURE_NICENESS = 5


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
@click.option("--port", "ports", multiple=True, metavar="PORT", shell_complete=completion.ports, help="Only this port.")
@click.option("--write", "file", metavar="FILE", help="Into a pcapng file for Wireshark; - is standard output.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N packets.")
@click.option("--seconds", type=click.FloatRange(0), metavar="S", help="End after S seconds.")
@run_dir_option
def capture(
    bridge: str,
    ports: tuple[str, ...],
    file: str | None,
    count: int | None,
    seconds: float | None,
    run_dir: str | None,
) -> None:
    """Show the packets that go in and out of BRIDGE, each with the verdict and the rule that decided.

    In a file they are comments of the packets, which Wireshark shows and finds (frame.comment).

    \b
    Example:
        inband capture br0 --port eth1 --seconds 10
        inband capture br0 --write br0.pcapng --count 1000
    """
    from inband.runtime.capture.session import Limits
    from inband.runtime.capture.session import capture as run

    os.nice(CAPTURE_NICENESS)
    limits = Limits(count, seconds)
    click.echo(run(bridge, ports, partial(ask_plainly, run_dir), limits, click.echo, file), err=True)
