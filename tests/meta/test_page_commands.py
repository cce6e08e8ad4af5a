"""Commands on the pages and in the help are ones that there are, with arguments that they take.

What needs no root is run: traces on a simulated switch, the configuration file by its reader. The rest is parsed by the
command line itself. Examples of docs/simulator.md are run by tests/unit/sim/test_docs.py.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import cast

import click
import pytest

from inband.cli.main import cli
from inband.runtime.commands import make_registry
from inband.runtime.config_load import read_file
from inband.runtime.process_view import Process
from inband.runtime.tracing import explain
from inband.sim import DELETE_AND_DROP, Network

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in PAGES}
HELP = {f"help of {verb}": command.help or "" for verb, command in cli.commands.items()}

FILLED_IN = {
    "BRIDGE": "br0",
    "INTERFACE": "eth1",
    "TARGET": "tcp:192.0.2.1",
    "ADDRESS": "192.0.2.53",
    "KEY=VALUE": "queue=1",
    "FLOW": "tcp",
    "BYTES": "ffff",
    "PORT": "1",
    "SHELL": "bash",
    "N": "7",
    "S": "2",
}
"""A word for each that stands for words."""


def code_of(text: str) -> list[str]:
    """Lines of blocks, whose continuations are joined, and inline code."""
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    inline = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return [*re.sub(r"\\\n\s*", "", blocks).splitlines(), *(" ".join(code.split()) for code in inline)]


CODE = "\n".join(line for text in TEXTS.values() for line in code_of(text))
"""All code of all pages."""


def commands_of(code: list[str]) -> list[str]:
    """What follows ``inband`` in each, up to what the shell takes from there."""
    # Not the ``inband`` behind Mininet's ``--switch`` and ``--controller``.
    found = (re.search(r"(?:^|(?<!--switch)(?<!--controller)[\s=/])inband (?!runs\b)([a-z-].*)", line) for line in code)
    return sorted(
        {re.split(r" [|&](?: |$)", each[1])[0].strip() for each in found if each and ": " not in each[0][:30]}
    )


def variants(command: str) -> list[list[str]]:
    """The words of a command with what stands for words filled in: without what is optional, and with it."""
    command = re.sub(r"\]?\.\.\.", lambda found: found[0][:-3], command)
    shortest, longest = re.sub(r" ?\[[^]]*\]", "", command), re.sub(r"[\[\]]", "", command)
    return [[FILLED_IN.get(word, word) for word in shlex.split(each)] for each in dict.fromkeys((shortest, longest))]


COMMANDS = [
    pytest.param(words, id=f"{where}: {' '.join(words)}")
    for where, code in {
        **{name: code_of(text) for name, text in TEXTS.items()},
        **{name: text.partition("Example:")[2].splitlines() for name, text in HELP.items()},
    }.items()
    for command in commands_of(code)
    for words in variants(command)
]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_is_one_that_the_command_line_takes(words: list[str]) -> None:
    parent = click.Context(cli, info_name="inband")
    if words[0].startswith("-"):
        assert words[0] in {name for option in cli.params for name in option.opts}
        return
    name, command, rest = cli.resolve_command(parent, words)
    assert command is not None
    if rest or not any(argument.required for argument in command.params):  # else it is but the verb's name
        command.make_context(name, rest, parent)


def test_commands_are_found() -> None:
    assert len(COMMANDS) > 60


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("show [--json]", [["show"], ["show", "--json"]]),
        ("add-bridge BRIDGE [KEY=VALUE]...", [["add-bridge", "br0"], ["add-bridge", "br0", "queue=1"]]),
        ("set-manager TARGET...", [["set-manager", "tcp:192.0.2.1"]]),
    ],
)
def test_words_that_stand_for_others_are_filled_in(command: str, expected: list[list[str]]) -> None:
    assert variants(command) == expected


def test_what_ovs_appctl_is_told_to_call_is_there() -> None:
    called = set(re.findall(r"^ovs-appctl (?:-t \S+ |\.\.\. )?([a-z]+/?[a-z-]*)", CODE, re.MULTILINE))

    assert called
    assert called <= make_registry(cast(Process, object())).commands.keys()


def test_targets_of_make_are_in_the_makefile() -> None:
    named = set(re.findall(r"^make ([a-z-]+)", CODE, re.MULTILINE))

    assert named
    assert named <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if "[[bridge]]\n" in text])
def test_a_configuration_file_on_a_page_is_one(page: str, tmp_path: Path) -> None:
    for number, block in enumerate(re.findall(r"^```\w*\n(.*?)^```", TEXTS[page], re.MULTILINE | re.DOTALL)):
        if "[[bridge]]" in block:
            path = tmp_path / f"{number}.toml"
            path.write_text(block)
            assert read_file(path).bridges


TRACES = re.compile(r"^# \S*inband trace br0 (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if TRACES.search(text)])
def test_a_trace_on_a_page_is_what_a_switch_says(page: str) -> None:
    net = Network()
    ctl = net.controller("ctl", "10.0.0.254/24")
    switch = net.switch("br0", "10.0.0.1/24", controllers=["10.0.0.254"])
    net.link(ctl, switch)
    net.link(switch, net.host("h1", "10.0.0.11/24"))
    ctl.behave(DELETE_AND_DROP)
    net.start()
    net.run(1.0)

    for flow, said in TRACES.findall(TEXTS[page]):
        assert explain(switch.only.bridge, [flow], {}) == said
