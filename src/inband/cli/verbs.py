"""The verbs that talk to a running switch. Each is one call over its control socket.

What a verb means is decided by the switch; here are only its words, its help and how the answer is printed.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from inband import __version__
from inband.cli import completion
from inband.cli.asking import ask, ask_plainly, ask_to_change, changing, print_answer, run_dir_option
from inband.cli.fabric import map_, neighbours, paths
from inband.cli.port_options import with_port_words
from inband.cli.save import save
from inband.cli.session import ssh_session
from inband.cli.watching import capture, events, top
from inband.errors import InbandError, UsageError


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
        print_answer(json.dumps(json.loads(answer), indent=2))
        return
    from inband.cli.render import print_show  # rich: a tenth of a second

    print_show(json.loads(answer))


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
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
    print_answer(ask(run_dir, "dump-flows", arguments))


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@run_dir_option
def dump_datapath(bridge: str, as_json: bool, run_dir: str | None) -> None:
    """Print the decisions that the datapath of BRIDGE has cached, with the flows that they came from.

    \b
    Example:
        inband dump-datapath br0
    """
    print_answer(ask(run_dir, "dump-datapath", [bridge, *(["json"] if as_json else [])]))


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
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
    print_answer(ask(run_dir, "trace", [bridge, *packet]))


@click.command()
@click.argument("bridge")
@click.argument("settings", metavar="[KEY=VALUE]...", nargs=-1, shell_complete=completion.settings)
@run_dir_option
@changing
def add_bridge(bridge: str, settings: tuple[str, ...], run_dir: str | None) -> None:
    """Add BRIDGE, with the settings that `inband set` takes.

    \b
    Example:
        inband add-bridge br1 fail-mode=secure
    """
    ask_to_change(run_dir, "add-bridge", [bridge, *settings])


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
@run_dir_option
@changing
def del_bridge(bridge: str, run_dir: str | None) -> None:
    """Remove BRIDGE: its ports go back to the system, its own interface goes away.

    \b
    Example:
        inband del-bridge br1
    """
    ask_to_change(run_dir, "del-bridge", [bridge])


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
@click.argument("interface", shell_complete=completion.interfaces)
@run_dir_option
@changing
@with_port_words
def add_port(bridge: str, interface: str, run_dir: str | None) -> None:
    """Give INTERFACE to BRIDGE: from now on its frames belong to the switch alone.

    \b
    Example:
        inband add-port br0 eth2
        inband add-port br0 eth3 --tag 10
    """
    ask_to_change(run_dir, "add-port", [bridge, interface])


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
@click.argument("interface", shell_complete=completion.ports)
@run_dir_option
@changing
@with_port_words
def set_port(bridge: str, interface: str, run_dir: str | None) -> None:
    """Have port INTERFACE of BRIDGE carry these VLANs and no others; what is not said is as for a new port.

    \b
    Example:
        inband set-port br0 eth3 --trunks 10-19+30
        inband set-port br0 eth3
    """
    ask_to_change(run_dir, "set-port", [bridge, interface])


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
@click.argument("interface", shell_complete=completion.ports)
@run_dir_option
@changing
def del_port(bridge: str, interface: str, run_dir: str | None) -> None:
    """Take INTERFACE out of BRIDGE.

    \b
    Example:
        inband del-port br0 eth2
    """
    ask_to_change(run_dir, "del-port", [bridge, interface])


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@run_dir_option
@changing
def set_controller(bridge: str, targets: tuple[str, ...], run_dir: str | None) -> None:
    """Make TARGETs the controllers of BRIDGE, instead of those it has.

    \b
    Example:
        inband set-controller br0 tcp:192.0.2.1:6653 tcp:192.0.2.2,out-of-band
    """
    ask_to_change(run_dir, "set-controller", [bridge, *targets])


@click.command()
@click.argument("bridge", shell_complete=completion.bridges)
@run_dir_option
@changing
def del_controller(bridge: str, run_dir: str | None) -> None:
    """Take all controllers from BRIDGE.

    \b
    Example:
        inband del-controller br0
    """
    ask_to_change(run_dir, "del-controller", [bridge])


@click.command()
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@run_dir_option
@changing
def set_manager(targets: tuple[str, ...], run_dir: str | None) -> None:
    """Make TARGETs the managers: every bridge protects the way to them, nothing dials them.

    from:tcp:HOST:PORT and from:udp:HOST:PORT are hosts or networks (HOST/LEN) that call PORT of this switch, as ssh
    does; tcp:HOST:PORT and udp:HOST:PORT are those that this switch calls.

    \b
    Example:
        inband set-manager from:tcp:192.0.2.9:22 udp:192.0.2.7:514
    """
    ask_to_change(run_dir, "set-manager", targets)


@click.command()
@run_dir_option
@changing
def del_manager(run_dir: str | None) -> None:
    """Forget all managers.

    \b
    Example:
        inband del-manager
    """
    ask_to_change(run_dir, "del-manager")


@click.command()
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@run_dir_option
@changing
def set_dns_server(addresses: tuple[str, ...], run_dir: str | None) -> None:
    """Ask the DNS servers at ADDRESSes for names of controllers and managers, best first.

    \b
    Example:
        inband set-dns-server 192.0.2.53
    """
    ask_to_change(run_dir, "set-dns-server", addresses)


@click.command()
@run_dir_option
@changing
def del_dns_server(run_dir: str | None) -> None:
    """Ask the DNS servers of a lease and of the system again.

    \b
    Example:
        inband del-dns-server
    """
    ask_to_change(run_dir, "del-dns-server")


@click.command(name="set")
@click.argument("bridge", shell_complete=completion.bridges)
@click.argument("settings", metavar="KEY=VALUE...", nargs=-1, required=True, shell_complete=completion.settings)
@run_dir_option
@changing
def set_(bridge: str, settings: tuple[str, ...], run_dir: str | None) -> None:
    """Change settings of BRIDGE; all of them or, when one is refused, none.

    Keys: fail-mode, in-band (on, off), queue (N, none), control-vlan (N, none), rstp (on, off), rstp-priority,
    datapath-id, mac, address, gateway, inactivity-probe, max-backoff, flow-limit, peer-redirect, neighbours,
    network-key, protect, openflow-version, private-key, certificate, ca-cert.

    \b
    Example:
        inband set br0 fail-mode=secure queue=1
    """
    ask_to_change(run_dir, "set", [bridge, *settings])


@click.command()
@run_dir_option
@changing
def reload(run_dir: str | None) -> None:
    """Read the configuration file again; a file that is refused changes nothing.

    What only commands made, bridges too, goes away: `inband check` says what that is, and `inband save` keeps it.

    \b
    Example:
        inband reload
    """
    ask_to_change(run_dir, "reload")


@click.command()
@click.argument("bridge")
@click.argument("interface")
@run_dir_option
@changing
def adopt(bridge: str, interface: str, run_dir: str | None) -> None:
    """Make INTERFACE a port of BRIDGE, whose own interface gets its addresses, routes, neighbours and DHCP lease.

    No TCP session ends by it. It lasts until the switch ends, which gives everything back; to have it again after a
    reboot, `inband save`.

    \b
    Example:
        inband adopt br0 eth0 --confirm 30
        inband confirm
    """
    ask_to_change(run_dir, "adopt", [bridge, interface])


@click.command()
@click.argument("bridge")
@click.argument("interface")
@run_dir_option
@changing
def release(bridge: str, interface: str, run_dir: str | None) -> None:
    """Give INTERFACE back what `inband adopt` took: it is no port of BRIDGE any more.

    \b
    Example:
        inband release br0 eth0
    """
    ask_to_change(run_dir, "release", [bridge, interface])


@click.command()
@run_dir_option
def confirm(run_dir: str | None) -> None:
    """Keep the change that was made with --confirm.

    \b
    Example:
        inband confirm
    """
    print_answer(ask(run_dir, "confirm"))


@click.command()
@run_dir_option
def rollback(run_dir: str | None) -> None:
    """Undo the change that was made with --confirm, now.

    \b
    Example:
        inband rollback
    """
    print_answer(ask(run_dir, "rollback"))


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--config", "named", type=click.Path(path_type=Path), metavar="FILE", help="The same, as `run` has it.")
@run_dir_option
def check(file: Path | None, named: Path | None, run_dir: str | None) -> int:
    """Say what FILE, or the switch's own file, would do, without doing it: who would be cut off, what is missing.

    Exit code 0 when nothing is worth a word, 1 when something is.

    \b
    Example:
        inband check
        inband check /etc/new.toml
    """
    from inband.runtime.checking import findings
    from inband.switch.cutting import parse_session

    try:
        running = json.loads(ask_plainly(run_dir, "config/show"))
    except InbandError:
        running = None
    known = running.pop("file") if running else None
    if running:
        running.pop("waiting")
    path = file or named or (Path(known) if known else None)
    if path is None:
        raise UsageError("no file is given, and no switch runs that has one: write inband check FILE")
    found = list(findings(path, running, parse_session(ssh_session() or "")))
    print_answer("\n".join(found) or f"{path}: no problem found")
    return 1 if found else 0


@click.command()
@run_dir_option
def health(run_dir: str | None) -> int:
    """Say in one line whether all is well, for monitoring. Exit code 0: yes, 1: something is wrong, 2: no control.

    \b
    Example:
        inband health
    """
    from inband.cli.health import CRITICAL, health_of

    try:
        code, line = health_of(json.loads(ask(run_dir, "show", ["json"])))
    except InbandError as error:
        code, line = CRITICAL, f"CRITICAL: {error}"
    print_answer(line)
    return code


@click.command()
def version() -> None:
    """Print the version of this command.

    \b
    Example:
        inband version
    """
    click.echo(f"inband {__version__}")


@click.command()
def mininet() -> None:
    """Print where the classes for Mininet are: a switch, in-band controllers and topologies.

    \b
    Example:
        mn --custom $(inband mininet) --switch inband --test pingall
        mn --custom $(inband mininet) --switch inband,inband=True --topo inbandline,4 --controller inband
    """
    from inband.mininet import CUSTOM_FILE

    click.echo(CUSTOM_FILE)


VERBS: tuple[click.Command, ...] = (
    show,
    dump_flows,
    dump_datapath,
    trace,
    events,
    neighbours,
    paths,
    map_,
    capture,
    top,
    add_bridge,
    del_bridge,
    add_port,
    set_port,
    del_port,
    set_controller,
    del_controller,
    set_manager,
    del_manager,
    set_dns_server,
    del_dns_server,
    set_,
    save,
    reload,
    adopt,
    release,
    confirm,
    rollback,
    check,
    health,
    completion.completion,
    mininet,
    version,
)
"""Every verb but ``run``."""
