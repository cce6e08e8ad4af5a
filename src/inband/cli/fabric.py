"""The verbs that show the network of switches: who is next to this one, and by which ways control goes."""

from __future__ import annotations

import click

from inband.cli import completion
from inband.cli.asking import ask, print_answer, run_dir_option


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
    print_answer(_look(run_dir, "neighbours", bridge, as_json=as_json))


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
    print_answer(_look(run_dir, "paths", bridge, as_json=as_json))


def _look(run_dir: str | None, verb: str, bridge: str | None, *, as_json: bool) -> str:
    return ask(run_dir, verb, [*([bridge] if bridge else []), *(["json"] if as_json else [])])
