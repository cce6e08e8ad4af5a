"""``inband run``: from options to a configuration, then into the switch until it ends.

The options' values are read here already, so that a misspelt one is wrong usage (exit code 2) with click's own help;
what does not fit together, or a file that is wrong, is refused (exit code 1) like everything else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inband.cli.verbs import run_dir_option
from inband.errors import UsageError


class _Value(click.ParamType[str, str]):
    """A value in the words of the configuration file; stays text, because ``reload`` reads it again."""

    def __init__(self, key: str, name: str) -> None:
        self.key = key
        self.name = name

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from inband.runtime.config_keys import KEYS

        try:
            KEYS[self.key].read([value])
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return value


class _Target(click.ParamType[str, str]):
    name = "target"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from inband.switch.targets import parse_target

        try:
            parse_target(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return value


class _Server(click.ParamType[str, str]):
    name = "addr"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from inband.runtime.dns_servers import parse_dns_server

        try:
            parse_dns_server(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return value


@click.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="A TOML file.")
@run_dir_option
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="What outlives a reboot is kept there.  [default: $STATE_DIRECTORY, else /var/lib/inband]",
)
@click.option("--pidfile", type=click.Path(path_type=Path), metavar="FILE", help="Write the process id there as well.")
@click.option("--bridge", metavar="NAME", help="The bridge that the options below are about.  [default: br0]")
@click.option("--port", type=_Value("port", "if"), multiple=True, help="An interface of the bridge; may be repeated.")
@click.option("--controller", type=_Target(), multiple=True, help="A controller; may be repeated.")
@click.option("--manager", type=_Target(), multiple=True, help="A manager to protect; may be repeated.")
@click.option(
    "--dns-server",
    type=_Server(),
    multiple=True,
    help="Whom to ask for names of controllers and managers; may be repeated.  [default: the system's servers]",
)
@click.option(
    "--fail-mode",
    type=click.Choice(["secure", "standalone"]),
    help="Without a controller: only in-band control, or forward as a learning switch.  [default: standalone]",
)
@click.option(
    "--datapath", type=click.Choice(["auto", "ebpf", "userspace"]), help="What moves the packets.  [default: auto]"
)
@click.option(
    "--address",
    type=_Value("address", "addr/len|dhcp|dhcpv6"),
    multiple=True,
    help="An address of the bridge's own interface, or dhcp, or dhcpv6; may be repeated.",
)
@click.option("--gateway", type=_Value("gateway", "addr"), help="The default gateway.")
@click.option("--queue", type=_Value("queue", "n"), help="The queue of control traffic.")
@click.option("--in-band/--no-in-band", "in_band", default=None, help="In-band control.  [default: --in-band]")
@click.option("--force", is_flag=True, help="Take ports although they carry addresses or the default route.")
@click.pass_context
def run(context: click.Context, /, **given: Any) -> int:
    """Run a switch in the foreground, until it gets SIGTERM or SIGINT.

    Options win over the file, key by key. With ports and no controller it is a learning switch.

    \b
    Example:
        inband run --port eth1 --port eth2 --address 192.0.2.2/24 --controller tcp:192.0.2.1 --fail-mode secure
        inband run --config /etc/inband.toml
    """
    from inband.runtime.config_load import load
    from inband.switch.config import RunOptions

    run_dir = given["run_dir"] or context.find_object(str)
    options = RunOptions(
        config_file=given["config_file"],
        run_dir=Path(run_dir) if run_dir else None,
        state_dir=given["state_dir"],
        pidfile=given["pidfile"],
        is_forced=given["force"],
        bridge=given["bridge"],
        managers=given["manager"],
        dns_servers=given["dns_server"],
        settings=_settings(given),
    )
    config = load(options)
    from inband.runtime.process import run as run_switch  # last: a refusal need not wait for the whole switch

    return run_switch(config)


def _settings(given: dict[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The options that are keys of a bridge and were given, as texts."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for key in ("port", "controller", "fail-mode", "datapath", "address", "gateway", "queue"):
        value = given[key.replace("-", "_")]
        if value:
            found.append((key, value if isinstance(value, tuple) else (value,)))
    if given["in_band"] is not None:
        found.append(("in-band", ("on" if given["in_band"] else "off",)))
    return tuple(found)
