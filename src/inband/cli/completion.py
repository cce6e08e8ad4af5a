"""What a shell completes: verbs and options by click's own means, names of bridges and ports by asking the switch.

Pressing Tab shows no error and takes a second at most: where no switch answers, there is nothing to complete.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import click
from click.shell_completion import get_completion_class

from inband.errors import InbandError
from inband.runtime.unixctl_client import CONTROL_SOCKET, call, find_run_dir

PATIENCE_S = 1.0


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what SHELL has to run to complete this command's words.

    \b
    Example:
        eval "$(inband completion bash)"
        inband completion fish | source
    """
    made = get_completion_class(shell)
    assert made is not None, "click knows each shell that this verb takes"
    click.echo(made(context.find_root().command, {}, "inband", "_INBAND_COMPLETE").source())


def bridges(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Bridges of the running switch."""
    return [name for each in _bridges(context) if (name := str(each["name"])).startswith(begun)]


def ports(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Ports of the bridge that is named before."""
    bridge = context.params.get("bridge")
    names = [str(port["name"]) for each in _bridges(context) if each["name"] == bridge for port in each["ports"]]
    return [name for name in names if name.startswith(begun) and name != bridge]


def interfaces(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Interfaces of this machine."""
    return [name for _, name in socket.if_nameindex() if name.startswith(begun)]


def settings(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Keys that `inband set` takes, with their equals sign."""
    from inband.runtime.config_keys import SETTABLE

    return [f"{key}=" for key in SETTABLE if key.startswith(begun)]


def _bridges(context: click.Context) -> list[dict[str, Any]]:
    run_dir = context.params.get("run_dir") or context.find_root().params.get("run_dir")
    try:
        document = json.loads(call(find_run_dir(run_dir) / CONTROL_SOCKET, "inband/show", ["json"], PATIENCE_S))
    except InbandError:
        return []
    return list(document["bridges"])
