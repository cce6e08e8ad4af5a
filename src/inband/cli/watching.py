"""The verbs with which people watch a switch: ``events``, ``capture``, ``top``."""

from __future__ import annotations

import json
import os
import sys
from functools import partial

import click

from inband.cli import completion
from inband.cli.asking import Seconds, ask, ask_plainly, print_answer, run_dir_option, wait_for_reader

# A capture gives way to the switch that it watches.
CAPTURE_NICENESS = 5


# How often a switch is asked for what is new.
FOLLOW_S = 0.5


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; with --follow one for each event.")
@click.option("--follow", is_flag=True, help="Go on with what happens from now on, until the switch ends.")
@run_dir_option
def events(as_json: bool, follow: bool, run_dir: str | None) -> None:
    """Say what happened: controllers connected and lost, why, and who forwarded meanwhile. The last 1,000 events.

    \b
    Example:
        inband events
        inband events --follow --json | jq -r .text
    """
    if not follow:
        print_answer(ask(run_dir, "events", ["json"] if as_json else []))
        return
    from inband.runtime.event_documents import clock_of

    last = 0
    while True:
        news = json.loads(ask(run_dir, "events", ["json", str(last)]))
        last = news["last"]
        for event in news["events"]:
            click.echo(json.dumps(event) if as_json else f"{clock_of(event['time'])}  {event['text']}")
        sys.stdout.flush()
        wait_for_reader(FOLLOW_S)


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
@click.option("--port", "ports", multiple=True, metavar="PORT", shell_complete=completion.ports, help="Only this port.")
@click.option("--write", "file", metavar="FILE", help="Into a pcapng file for Wireshark; - is standard output.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N packets.")
@click.option("--seconds", type=Seconds(0), metavar="S", help="End after S seconds.")
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
    limits = Limits(count, seconds, None if file else partial(wait_for_reader, 0.0))
    click.echo(run(bridge, ports, partial(ask_plainly, run_dir), limits, click.echo, file), err=True)


@click.command()
@click.option("--once", is_flag=True, help="Print one picture, over one interval, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document a line instead, each interval one.")
@click.option("--every", type=Seconds(0.1), default=1.0, show_default=True, metavar="S", help="The interval.")
@run_dir_option
def top(once: bool, as_json: bool, every: float, run_dir: str | None) -> None:
    """Show ports, channels, flows and upcalls of all bridges, with rates, until Ctrl-C.

    \b
    Example:
        inband top
        inband top --once --json | jq '.bridges[].ports[] | {name, rates}'
    """
    from inband.cli.top import samples, show

    found = samples(partial(ask, run_dir, "top"), every)
    if not as_json:
        show(found, once=once)
        return
    for document in found:
        click.echo(json.dumps(document))
        if once:
            return
