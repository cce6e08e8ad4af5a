"""The verbs that talk to a running switch. Each is one call over its control socket.

What a verb means is decided by the switch; here are only its words, its help and how the answer is printed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from inband import __version__
from inband.runtime.unixctl_client import CONTROL_SOCKET, call, find_run_dir

_Decorated = TypeVar("_Decorated", bound=Callable[..., object])


def run_dir_option(function: _Decorated) -> _Decorated:
    """``--run-dir``, which stands before or behind the verb."""
    return click.option("--run-dir", metavar="DIR", help="The switch's run directory.")(function)


def ask(run_dir: str | None, method: str, arguments: Sequence[str] = ()) -> str:
    """Run a command in the switch; ``run_dir`` is what stood behind the verb. Raises InbandError."""
    before_the_verb: str | None = click.get_current_context().find_object(str)
    path = find_run_dir(run_dir or before_the_verb) / CONTROL_SOCKET
    return call(path, f"inband/{method}", arguments)


def _print(text: str) -> None:
    if text:
        click.echo(text, nl=not text.endswith("\n"))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@run_dir_option
def show(as_json: bool, run_dir: str | None) -> None:
    """Show bridges, ports, controllers and the state of in-band control.

    \b
    Example:
        inband show
        inband show --json | jq '.bridges[].controllers[].connected'
    """
    answer = ask(run_dir, "show", ["json"])
    if as_json:
        _print(json.dumps(json.loads(answer), indent=2))
        return
    from inband.cli.render import print_show  # rich: a tenth of a second

    print_show(json.loads(answer))


@click.command()
@click.argument("bridge")
@click.option("--hidden", is_flag=True, help="Also the flows of in-band control, each with letter and remote.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@run_dir_option
def dump_flows(bridge: str, hidden: bool, as_json: bool, run_dir: str | None) -> None:
    """Print the flows of BRIDGE in the syntax of ovs-ofctl.

    \b
    Example:
        inband dump-flows br0 --hidden
    """
    arguments = [bridge, *(["hidden"] if hidden else []), *(["json"] if as_json else [])]
    _print(ask(run_dir, "dump-flows", arguments))


@click.command()
@click.argument("bridge")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@run_dir_option
def dump_datapath(bridge: str, as_json: bool, run_dir: str | None) -> None:
    """Print the decisions that the datapath of BRIDGE has cached, with the flows that they came from.

    \b
    Example:
        inband dump-datapath br0
    """
    _print(ask(run_dir, "dump-datapath", [bridge, *(["json"] if as_json else [])]))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@run_dir_option
def events(as_json: bool, run_dir: str | None) -> None:
    """Say what happened: controllers connected and lost, why, and who forwarded meanwhile. The last 1,000 events.

    \b
    Example:
        inband events
    """
    _print(ask(run_dir, "events", ["json"] if as_json else []))


@click.command()
@click.argument("bridge")
@click.argument("flow", required=False)
@click.option("--hex", "frame", metavar="FRAME", help="The packet's bytes as hexadecimal digits; then no FLOW.")
@click.option("--in-port", metavar="PORT", help="With --hex: the port it comes in by, number or LOCAL.")
@run_dir_option
def trace(bridge: str, flow: str | None, frame: str | None, in_port: str | None, run_dir: str | None) -> None:
    """Say what BRIDGE would do with a packet, step by step, and why.

    FLOW describes the packet in the syntax of ovs-ofctl. Nothing is sent, learned or counted.

    \b
    Example:
        inband trace br0 in_port=1,tcp,nw_src=192.0.2.7,nw_dst=192.0.2.1,tp_dst=6653
    """
    if (flow is None) == (frame is None):
        raise click.UsageError("say either FLOW or --hex FRAME")
    if in_port is not None and frame is None:
        raise click.UsageError("--in-port goes with --hex; in FLOW write in_port=PORT")
    packet = [flow] if flow is not None else ["hex", frame or "", *([in_port] if in_port else [])]
    _print(ask(run_dir, "trace", [bridge, *packet]))


@click.command()
@click.argument("bridge")
@click.argument("settings", metavar="[KEY=VALUE]...", nargs=-1)
@run_dir_option
def add_bridge(bridge: str, settings: tuple[str, ...], run_dir: str | None) -> None:
    """Add BRIDGE, with the settings that `inband set` takes.

    \b
    Example:
        inband add-bridge br1 fail-mode=secure
    """
    _print(ask(run_dir, "add-bridge", [bridge, *settings]))


@click.command()
@click.argument("bridge")
@run_dir_option
def del_bridge(bridge: str, run_dir: str | None) -> None:
    """Remove BRIDGE: its ports go back to the system, its own interface goes away.

    \b
    Example:
        inband del-bridge br1
    """
    _print(ask(run_dir, "del-bridge", [bridge]))


@click.command()
@click.argument("bridge")
@click.argument("interface")
@run_dir_option
def add_port(bridge: str, interface: str, run_dir: str | None) -> None:
    """Give INTERFACE to BRIDGE: from now on its frames belong to the switch alone.

    \b
    Example:
        inband add-port br0 eth2
    """
    _print(ask(run_dir, "add-port", [bridge, interface]))


@click.command()
@click.argument("bridge")
@click.argument("interface")
@run_dir_option
def del_port(bridge: str, interface: str, run_dir: str | None) -> None:
    """Take INTERFACE out of BRIDGE.

    \b
    Example:
        inband del-port br0 eth2
    """
    _print(ask(run_dir, "del-port", [bridge, interface]))


@click.command()
@click.argument("bridge")
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@run_dir_option
def set_controller(bridge: str, targets: tuple[str, ...], run_dir: str | None) -> None:
    """Make TARGETs the controllers of BRIDGE, instead of those it has.

    \b
    Example:
        inband set-controller br0 tcp:192.0.2.1:6653 tcp:192.0.2.2,out-of-band
    """
    _print(ask(run_dir, "set-controller", [bridge, *targets]))


@click.command()
@click.argument("bridge")
@run_dir_option
def del_controller(bridge: str, run_dir: str | None) -> None:
    """Take all controllers from BRIDGE.

    \b
    Example:
        inband del-controller br0
    """
    _print(ask(run_dir, "del-controller", [bridge]))


@click.command()
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@run_dir_option
def set_manager(targets: tuple[str, ...], run_dir: str | None) -> None:
    """Make TARGETs the managers: every bridge protects the way to them, nothing dials them.

    \b
    Example:
        inband set-manager tcp:192.0.2.9:22
    """
    _print(ask(run_dir, "set-manager", targets))


@click.command()
@run_dir_option
def del_manager(run_dir: str | None) -> None:
    """Forget all managers.

    \b
    Example:
        inband del-manager
    """
    _print(ask(run_dir, "del-manager"))


@click.command()
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@run_dir_option
def set_dns_server(addresses: tuple[str, ...], run_dir: str | None) -> None:
    """Ask the DNS servers at ADDRESSes for names of controllers and managers, best first.

    \b
    Example:
        inband set-dns-server 192.0.2.53
    """
    _print(ask(run_dir, "set-dns-server", addresses))


@click.command()
@run_dir_option
def del_dns_server(run_dir: str | None) -> None:
    """Ask the DNS servers of a lease and of the system again.

    \b
    Example:
        inband del-dns-server
    """
    _print(ask(run_dir, "del-dns-server"))


@click.command(name="set")
@click.argument("bridge")
@click.argument("settings", metavar="KEY=VALUE...", nargs=-1, required=True)
@run_dir_option
def set_(bridge: str, settings: tuple[str, ...], run_dir: str | None) -> None:
    """Change settings of BRIDGE; all of them or, when one is refused, none.

    Keys: fail-mode, in-band (on, off), queue (N, none), datapath-id, mac, address, gateway, inactivity-probe,
    max-backoff, flow-limit, peer-redirect, openflow-version, private-key, certificate, ca-cert.

    \b
    Example:
        inband set br0 fail-mode=secure queue=1
    """
    _print(ask(run_dir, "set", [bridge, *settings]))


@click.command()
@run_dir_option
def reload(run_dir: str | None) -> None:
    """Read the configuration file again; a file that is refused changes nothing.

    \b
    Example:
        inband reload
    """
    _print(ask(run_dir, "reload"))


@click.command()
def version() -> None:
    """Print the version of this command.

    \b
    Example:
        inband version
    """
    click.echo(f"inband {__version__}")


VERBS: tuple[click.Command, ...] = (
    show,
    dump_flows,
    dump_datapath,
    trace,
    events,
    add_bridge,
    del_bridge,
    add_port,
    del_port,
    set_controller,
    del_controller,
    set_manager,
    del_manager,
    set_dns_server,
    del_dns_server,
    set_,
    reload,
    version,
)
"""Every verb but ``run``."""
