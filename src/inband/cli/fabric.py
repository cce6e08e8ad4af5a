"""The verbs that show the network of switches: who is next to this one, and by which ways control goes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from inband.cli import completion
from inband.cli.asking import ask, print_answer, print_fitting, run_dir_option
from inband.cli.map_svg import svg
from inband.errors import UsageError


@click.command()
@click.argument("bridge", required=False, shell_complete=completion.bridges)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@run_dir_option
def neighbours(bridge: str | None, as_json: bool, run_dir: str | None) -> None:
    """Say which switches of this kind are on the ports of BRIDGE, or of all bridges, and how well they are heard.

    \b
    Example:
        inband neighbours
        inband neighbours br0 --json | jq '.bridges[].ports[].state'
    """
    _print(_look(run_dir, "neighbours", bridge, as_json=as_json), as_json=as_json)


@click.command()
@click.argument("bridge", required=False, shell_complete=completion.bridges)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@run_dir_option
def paths(bridge: str | None, as_json: bool, run_dir: str | None) -> None:
    """Say by which port BRIDGE, or each bridge, reaches each destination of control, why, and what else it could take.

    \b
    Example:
        inband paths
        inband paths br0 --json | jq '.bridges[].paths[] | {address, by, alternatives}'
    """
    _print(_look(run_dir, "paths", bridge, as_json=as_json), as_json=as_json)


@click.command(name="map")
@click.argument("bridge", required=False, shell_complete=completion.bridges)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--svg",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw it; - is standard output.",
)
@run_dir_option
def map_(bridge: str | None, as_json: bool, file: Path | None, run_dir: str | None) -> None:
    """Show the network of switches as BRIDGE, or each bridge, knows it: who leads whom to the controllers, and links.

    Without a network-key that is the switch and its neighbours.

    \b
    Example:
        inband map
        inband map br0 --svg network.svg
    """
    if file is None:
        _print(_look(run_dir, "map", bridge, as_json=as_json), as_json=as_json)
        return
    if as_json:
        raise click.UsageError("say either --json or --svg FILE")
    found = json.loads(_look(run_dir, "map", bridge, as_json=True))["bridges"]
    if len(found) != 1:
        raise UsageError(f"there are {len(found)} bridges: write `inband map BRIDGE --svg {file}`")
    if str(file) == "-":
        print_answer(svg(found[0]))
        return
    try:
        file.write_text(svg(found[0]))
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error


def _print(text: str, *, as_json: bool) -> None:
    """A document stays as it is, whoever reads it."""
    (print_answer if as_json else print_fitting)(text)


def _look(run_dir: str | None, verb: str, bridge: str | None, *, as_json: bool) -> str:
    return ask(run_dir, verb, [*([bridge] if bridge else []), *(["json"] if as_json else [])])
