"""Whoever adds a verb, a setting or a datapath is told of every place to touch.

They are what operators see: the control socket, the command line, its help and docs/guide.md must have the same.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import cast

import click
import pytest

from inband.cli.main import cli, main
from inband.cli.run import run
from inband.cli.verbs import set_
from inband.errors import UsageError
from inband.runtime import config_load
from inband.runtime.commands import make_registry
from inband.runtime.config_keys import KEYS, SETTABLE
from inband.runtime.process_view import Process
from inband.switch.config import BridgeConfig, DatapathKind, RunOptions, SwitchConfig
from tests.packets.columns import COLUMNS

HERE = "tests/meta/test_operators_words.py"
ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guide.md").read_text()
REGISTERED = make_registry(cast(Process, object())).commands
"""Commands of the control socket; their handlers are not called here."""


def rows(head: str) -> list[list[str]]:
    """The cells of the guide's table with this head."""
    lines = GUIDE.partition(head)[2].splitlines()[2:]
    table = lines[: next(i for i, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


# Verbs --------------------------------------------------------------------------------------------------------------

OF_THE_COMMAND_ALONE = {"run", "version", "check", "completion", "health", "mininet", "save"}
"""Verbs that ask no running switch, or ask it by another verb."""


def test_every_verb_is_a_command_of_the_control_socket() -> None:
    registered = {name.removeprefix("inband/") for name in REGISTERED if name.startswith("inband/")}
    verbs = cli.commands.keys() - OF_THE_COMMAND_ALONE

    assert registered - verbs == set(), "src/inband/cli/verbs.py: write the verb, and put it into VERBS"
    assert verbs - registered == set(), "src/inband/runtime/commands.py: make_registry, or changes.py: CHANGES"


@pytest.mark.parametrize("verb", cli.commands)
def test_a_verb_is_in_the_guide(verb: str) -> None:
    words = {
        word for command, *_ in rows("| command | does |") for word in re.findall(r"`(?:inband )?([a-z-]+)", command)
    }

    assert verb in words, "docs/guide.md, Commands: give it a row"


@pytest.mark.parametrize("name", [name for name in REGISTERED if not name.startswith("inband/")])
def test_what_only_ovs_appctl_can_ask_is_in_the_guide(name: str) -> None:
    assert re.search(rf"`[^`]*{name}\b", GUIDE), "docs/guide.md, behind the table of commands: say what it is for"


# Settings -----------------------------------------------------------------------------------------------------------

NOT_KEYS = {"name": "`[[bridge]]` has it", "dhcp": "an `address`", "dhcpv6": "an `address`", "port_numbers": "a `port`"}
NOT_KEYS["port_vlans"] = NOT_KEYS["port_trees"] = "a `port`"
NOT_KEYS |= dict.fromkeys(("port_qos", "made_ports", "mirrors", "rstp_times_s"), "only Open vSwitch's database has it")
"""Fields of BridgeConfig that are not settings of their own, and what they are."""

VERBS_OF_THEIR_OWN = {
    "port": "`add-port`, `set-port`, `del-port`",
    "controller": "`set-controller`",
    "datapath": "no: restart",
}
VERBS_OF_THEIR_OWN["adopt"] = "`adopt`, `release`"
"""Settings that ``inband set`` does not change, and what the guide says instead."""

OPTIONS = {
    "port": "eth1",
    "controller": "tcp:192.0.2.1",
    "fail-mode": "secure",
    "datapath": "userspace",
    "address": "192.0.2.2/24",
    "gateway": "192.0.2.254",
    "queue": "1",
    "control-vlan": "10",
    "rstp": "on",
    "rstp-priority": "4096",
    "adopt": "eth1",
    "datapath-id": "1",
    "mac": "02:00:00:00:00:01",
    "inactivity-probe": "3",
    "max-backoff": "2",
    "flow-limit": "7",
    "peer-redirect": "off",
    "neighbours": "off",
    "network-key": "/nk",
    "protect": "alternative",
    "private-key": "/k",
    "certificate": "/c",
    "ca-cert": "/ca",
    "openflow-version": "1.3",
}
"""Settings that are options of ``inband run`` with a value, each with one."""


WRITING = ("config.py", "config_keys.py", "config_load.py", "changes.py")
OBEYING = "\n".join(
    path.read_text()
    for package in ("runtime", "switch")
    for path in sorted((ROOT / "src/inband" / package).glob("*.py"))
    if path.name not in WRITING
)
"""What acts on settings, without what reads and writes them down."""


def test_every_field_of_a_bridge_has_a_key() -> None:
    names = {field.name for field in fields(BridgeConfig)} - NOT_KEYS.keys()
    keys = {key.field for key in KEYS.values()}

    assert names - keys == set(), "src/inband/runtime/config_keys.py: give it a Key in _ROWS"
    assert keys - names == set(), "src/inband/switch/config.py: give BridgeConfig the field"


@pytest.mark.parametrize("field", sorted({field.name for field in fields(BridgeConfig)}))
def test_every_setting_is_obeyed(field: str) -> None:
    assert re.search(rf"\bconfig\.{field}\b", OBEYING), "src/inband/runtime or switch: nothing asks for it"


def test_every_setting_is_in_the_guide_with_how_it_is_changed() -> None:
    by_set = {name.strip("` "): cell for names, _, _, cell, _ in rows("| key | values |") for name in names.split(",")}

    assert by_set.keys() == {*KEYS, "name"}, "docs/guide.md, Configuration file: a row for each key"
    for name in KEYS:
        expected = "yes" if name in SETTABLE else VERBS_OF_THEIR_OWN[name]
        assert by_set[name].startswith(expected), f"docs/guide.md, Configuration file, {name}"


def test_the_help_of_set_names_what_it_sets() -> None:
    named = re.sub(r"\([^)]*\)", "", (set_.help or "").partition("Keys:")[2].partition(".")[0])

    assert {word.strip() for word in named.split(",")} == set(SETTABLE), "src/inband/cli/verbs.py: the help of set"


def test_every_setting_that_is_an_option_of_run_reaches_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {option.name.replace("_", "-") for option in run.params if option.name} & KEYS.keys()
    assert options - {"in-band"} == OPTIONS.keys(), f"{HERE}: OPTIONS"
    seen: list[RunOptions] = []

    def load(options: RunOptions) -> SwitchConfig:
        seen.append(options)
        raise UsageError("seen")

    monkeypatch.setattr(config_load, "load", load)
    main(["run", "--no-in-band", *(word for name, value in OPTIONS.items() for word in (f"--{name}", value))])

    where = "src/inband/cli/run.py: _settings"
    assert dict(seen[0].settings) == {**{key: (value,) for key, value in OPTIONS.items()}, "in-band": ("off",)}, where


# Datapaths ----------------------------------------------------------------------------------------------------------

KINDS = [kind for kind in DatapathKind if kind is not DatapathKind.AUTO]


@pytest.mark.parametrize("kind", KINDS)
def test_a_datapath_has_words_and_a_column_of_the_table_of_packets(kind: DatapathKind) -> None:
    (choice,) = (each.type for each in run.params if each.name == "datapath")
    assert isinstance(choice, click.Choice)

    assert kind in choice.choices, "src/inband/cli/run.py: the choices of --datapath"
    assert kind in KEYS["datapath"].allowed, "src/inband/runtime/config_keys.py: what is allowed for datapath"
    assert kind in next(values for key, values, *_ in rows("| key | values |") if key == "`datapath`"), (
        "docs/guide.md, Configuration file, datapath"
    )
    assert kind in COLUMNS, "tests/packets/columns.py: put frames on its ports and see what leaves, in COLUMNS"


def test_every_datapath_there_is_carries_the_table_of_packets() -> None:
    written = re.findall(
        r"^class (\w+)Datapath\b(?!\(Protocol)",
        "\n".join(path.read_text() for path in (ROOT / "src/inband/datapath").rglob("*.py")),
        re.MULTILINE,
    )

    assert {name.lower() for name in written} == COLUMNS.keys(), "tests/packets/columns.py: COLUMNS"
