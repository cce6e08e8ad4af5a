"""From a TOML file and the options of ``inband run`` to one SwitchConfig.

The file uses the words of the options::

    manager = "from:tcp:192.0.2.9:22"
    dns-server = ["192.0.2.53"]

    [[bridge]]
    name = "br0"
    port = ["eth1", "eth2"]
    controller = ["tcp:192.0.2.1:6653"]
    fail-mode = "secure"
    address = "192.0.2.2/24"

Options win over the file, key by key, for the bridge they name (``--bridge``), else for the file's only bridge.

Invariant: a refusal names the file and the line or key, and comes before anything was changed.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from inband.errors import UsageError
from inband.runtime.config_keys import KEYS, find_key, suggestion, with_values
from inband.runtime.dns_servers import parse_dns_server
from inband.runtime.ovsdb_remote import parse_remote
from inband.runtime.unixctl_client import find_run_dir
from inband.switch.config import (
    DEFAULT_BRIDGE,
    BridgeConfig,
    LogFormat,
    RunOptions,
    SwitchConfig,
    Watching,
    check_interface_name,
    checked,
    parse_place,
)
from inband.switch.manager_targets import parse_manager

# A thousand bridges with fifty lines each; a larger "file" is a mistake such as /dev/zero.
MAX_FILE_BYTES = 4 << 20

_WATCHING_KEYS = ("metrics", "log-format", "ovs-run-dir")
_TOP_KEYS = ("bridge", "manager", "dns-server", "run-dir", "state-dir", "ovsdb", *_WATCHING_KEYS)
_BRIDGE_KEYS = ("name", *KEYS)

Value = TypeVar("Value")


def load(options: RunOptions, environment: Mapping[str, str] = os.environ) -> SwitchConfig:
    """The configuration that options, file and environment ask for; raises UsageError for the first thing wrong."""
    config = read_file(options.config_file) if options.config_file else SwitchConfig(run_dir=Path())
    run_dir = options.run_dir or (config.run_dir if config.run_dir != Path() else find_run_dir(None, environment))
    config = replace(config, run_dir=run_dir, state_dir=options.state_dir or config.state_dir, options=options)
    config = replace(config, watching=_watching(config.watching, options))
    if options.ovsdb is not None:
        config = replace(config, ovsdb=options.ovsdb)
    if options.managers:
        config = replace(config, managers=tuple(dict.fromkeys(map(parse_manager, options.managers))))
    if options.dns_servers:
        config = replace(config, dns_servers=tuple(dict.fromkeys(map(parse_dns_server, options.dns_servers))))
    return checked(_with_options(config, options))


def _watching(given: Watching, options: RunOptions) -> Watching:
    return Watching(
        given.metrics if options.metrics is None else parse_place(options.metrics),
        options.log_format or given.log_format,
        options.ovs_run_dir or given.ovs_run_dir,
    )


def _with_options(config: SwitchConfig, options: RunOptions) -> SwitchConfig:
    if options.bridge is None and not options.settings:
        return config
    name = options.bridge
    if name is None:
        if len(config.bridges) > 1:
            raise UsageError(f"{options.config_file} has several bridges: say with --bridge which one is meant")
        name = config.bridges[0].name if config.bridges else DEFAULT_BRIDGE
    values = {KEYS[key].field: KEYS[key].read(texts) for key, texts in options.settings}
    there = {bridge.name: bridge for bridge in config.bridges}
    there[name] = with_values(there.get(name) or BridgeConfig(check_interface_name(name)), values)
    return replace(config, bridges=tuple(there.values()))


def read_file(path: Path) -> SwitchConfig:
    """What a configuration file says, checked; ``run_dir`` is ``Path()`` when it says nothing of it."""
    text = _read_text(path)
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UsageError(f"{path}: not valid TOML: {reason}") from None
    return read_document(document, path, text)


def read_document(document: Mapping[str, object], path: Path, text: str = "") -> SwitchConfig:
    """What a parsed file says, checked; ``text`` is for the lines to blame. Raises UsageError."""
    config = _Reader(path, text).switch(document)
    try:
        return checked(config)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise UsageError(f"{path}: larger than {MAX_FILE_BYTES} bytes: is it a configuration file?")
        return data.decode()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except ValueError as error:  # a path with a NUL byte
        raise UsageError(f"cannot read {str(path)!r}: {error}") from None


def _as_list(value: object) -> list[object]:
    """A list as it is, anything else as a list of one: the file may leave brackets away."""
    return value if isinstance(value, list) else [value]


class _Reader:
    """Turns a parsed document into values, and knows which line to blame."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def switch(self, document: Mapping[str, object]) -> SwitchConfig:
        for key in document:
            if key not in _TOP_KEYS:
                hint = f"it belongs under [[bridge]], or is misspelt: {suggestion(key, (*_TOP_KEYS, *KEYS))}"
                raise self._refusal(key, f"unknown key {key!r}: {hint}")
        tables = [table for table in _as_list(document.get("bridge", [])) if isinstance(table, dict)]
        if tables != _as_list(document.get("bridge", [])):
            raise self._refusal("bridge", "bridge: allowed are tables: write [[bridge]], then name = ... below it")
        run_dir, state_dir = (self._directory(key, document) for key in ("run-dir", "state-dir"))
        bridges = tuple(self._bridge(table, number) for number, table in enumerate(tables, 1))
        managers = self._several("manager", document, parse_manager, "a target or a list of targets")
        servers = self._several("dns-server", document, parse_dns_server, "an address or a list of addresses")
        ovsdb = ",".join(self._several("ovsdb", document, parse_remote, "the remote of a database")) or None
        return SwitchConfig(bridges, managers, servers, run_dir or Path(), state_dir, self._watching(document), ovsdb)

    def _watching(self, document: Mapping[str, object]) -> Watching:
        place, form = (self._word(key, document) for key in ("metrics", "log-format"))
        if form not in (None, *LogFormat):
            raise self._refusal("log-format", f"log-format: {form!r} is none of {', '.join(LogFormat)}")
        try:
            metrics = None if place is None else parse_place(place)
        except UsageError as error:
            raise self._refusal("metrics", str(error)) from None
        return Watching(metrics, LogFormat(form or LogFormat.TEXT), self._directory("ovs-run-dir", document))

    def _word(self, key: str, document: Mapping[str, object]) -> str | None:
        given = document.get(key)
        if given is not None and not isinstance(given, str):
            raise self._refusal(key, f"{key}: allowed is a string")
        return given

    def _directory(self, key: str, document: Mapping[str, object]) -> Path | None:
        given = document.get(key, "")
        if not isinstance(given, str) or "\0" in given:
            raise self._refusal(key, f"{key}: allowed is a string with the path of a directory")
        return Path(given) if given else None

    def _several(
        self, key: str, document: Mapping[str, object], parse: Callable[[str], Value], allowed: str
    ) -> tuple[Value, ...]:
        given = _as_list(document.get(key, []))
        texts = [text for text in given if isinstance(text, str)]
        if texts != given:
            raise self._refusal(key, f"{key}: allowed is {allowed}")
        try:
            return tuple(dict.fromkeys(map(parse, texts)))
        except UsageError as error:
            raise self._refusal(key, f"{key}: {str(error).removeprefix(f'{key}: ')}") from None

    def _bridge(self, table: Mapping[str, object], number: int) -> BridgeConfig:
        name = table.get("name")
        if not isinstance(name, str):
            raise self._refusal("name", f"bridge number {number} has no name: write name = {DEFAULT_BRIDGE!r}")
        values: dict[str, object] = {}
        for word, value in table.items():
            try:
                if word == "name":
                    check_interface_name(name)
                    continue
                key = find_key(word, _BRIDGE_KEYS)
                if key.field in values:
                    raise UsageError(f"{word} says again what {key.name} says")
                values[key.field] = key.read_toml(value)
            except UsageError as error:
                raise self._refusal(word, f"bridge {name}: {error}") from None
        return with_values(BridgeConfig(name), values)

    def _refusal(self, key: str, complaint: str) -> UsageError:
        """Blame a line when exactly one defines such a key; otherwise the complaint's own words must do."""
        pattern = re.compile(rf"""\s*(?:\[\[?\s*)?["']?{re.escape(key)}["']?\s*[=\]]""")
        lines = [number for number, line in enumerate(self._lines, 1) if pattern.match(line)]
        where = f"{self._path}:{lines[0]}" if len(lines) == 1 else str(self._path)
        return UsageError(f"{where}: {complaint}")
