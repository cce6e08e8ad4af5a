"""``inband run``: from options to a configuration, then into the switch until it ends.

The options' values are read here already, so that a misspelt one is wrong usage (exit code 2) with click's own help;
what does not fit together, or a file that is wrong, is refused (exit code 1) like everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from inband.cli.asking import run_dir_option
from inband.errors import UsageError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from inband.runtime.front import Front
    from inband.runtime.state_dir import StateDir

    _Type: TypeAlias = click.ParamType[str, str]
else:
    _Type = click.ParamType  # which takes no parameters before click 8.5

_Decorated = TypeVar("_Decorated", bound=Callable[..., object])


class _Value(_Type):
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


class _Word(_Type):
    """A word that one of the switch's own readers takes; they are looked for late, for `inband --help` is fast."""

    def __init__(self, name: str, module: str, reader: str) -> None:
        self.name = name
        self._module, self._reader = module, reader

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            getattr(import_module(self._module), self._reader)(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return value


_MANAGER = _Word("target", "inband.switch.manager_targets", "parse_manager")
_PLACE = _Word("address:port", "inband.switch.config", "parse_place")
_SERVER = _Word("addr", "inband.runtime.dns_servers", "parse_dns_server")


_METAVARS = {"port": "if", "controller": "target", "address": "addr/len", "gateway": "addr", "queue": "n"}


def _settings_options(function: _Decorated) -> _Decorated:
    """An option for each key of a bridge in the configuration file."""
    from inband.runtime.config_keys import KEYS

    for key in reversed(list(KEYS.values())):
        repeated = "; may be repeated" if key.many else ""
        about = f"{key.about} Values: {key.allowed}{repeated}.  [default: {key.default}]"
        if key.name == "in-band":
            function = click.option("--in-band/--no-in-band", "in_band", default=None, help=about)(function)
            continue
        parse = key.parse
        if isinstance(parse, type) and issubclass(parse, StrEnum):
            kind: click.Choice[str] | _Value = click.Choice([word.value for word in parse])
        else:
            kind = _Value(key.name, _METAVARS.get(key.name, "value"))
        function = click.option(f"--{key.name}", type=kind, multiple=key.many, help=about)(function)
    return function


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
@click.option(
    "--metrics", metavar="ADDRESS:PORT", type=_PLACE, help="Answer Prometheus there: http://ADDRESS:PORT/metrics."
)
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How lines are logged.  [default: text]")
@click.option(
    "--ovs-run-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Have Open vSwitch's tools find this switch there by name, as in /run/openvswitch.",
)
@click.option("--bridge", metavar="NAME", help="The bridge that the options below are about.  [default: br0]")
@click.option("--manager", type=_MANAGER, multiple=True, help="A manager to protect; may be repeated.")
@click.option(
    "--dns-server",
    type=_SERVER,
    multiple=True,
    help="Whom to ask for names of controllers and managers; may be repeated.  [default: the system's servers]",
)
@click.option(
    "--ovsdb",
    type=_Word("remote", "inband.runtime.ovsdb_remote", "parse_remote"),
    metavar="REMOTE",
    help="Follow the database of Open vSwitch there, as in unix:/run/openvswitch/db.sock.",
)
@_settings_options
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
    from inband.switch.config import LogFormat, RunOptions

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
        metrics=given["metrics"],
        log_format=LogFormat(given["log_format"]) if given["log_format"] else None,
        ovs_run_dir=given["ovs_run_dir"],
        ovsdb=given["ovsdb"],
        settings=_settings(given),
    )
    config = load(options)
    from inband.runtime.descriptors import take_descriptors
    from inband.runtime.program_ahead import load_ahead

    take_descriptors()
    spare = load_ahead(config)
    from inband.runtime.process import run as run_switch  # last: a refusal need not wait for the whole switch

    return run_switch(config, spare, None if config.ovsdb is None else partial(_make_front, config.ovsdb))


def _make_front(remote: str, state_dir: StateDir, loop: AbstractEventLoop) -> Front:
    from inband.ovsdb.front import OvsdbFront

    return OvsdbFront(remote, state_dir, loop)


def _settings(given: dict[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The options that are keys of a bridge and were given, as texts."""
    from inband.runtime.config_keys import KEYS

    found: list[tuple[str, tuple[str, ...]]] = []
    for key in KEYS:
        value = given[key.replace("-", "_")]
        if isinstance(value, bool):
            value = "on" if value else "off"
        if value:
            found.append((key, value if isinstance(value, tuple) else (value,)))
    return tuple(found)
