"""The example of the configuration file and the manual pages say what the program does, all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from inband.cli.main import cli
from inband.runtime.config_keys import KEYS
from inband.runtime.config_load import read_file
from tools.manpages import command_page, escaped, file_page

EXAMPLE = Path(__file__).resolve().parents[3] / "packaging" / "inband.toml"


def test_the_example_as_it_ships_is_a_switch_without_bridges() -> None:
    assert read_file(EXAMPLE).bridges == ()


def test_the_example_with_every_line_switched_on_is_right_and_has_every_key(tmp_path: Path) -> None:
    file = tmp_path / "inband.toml"
    file.write_text(re.sub(r"^#(?=\S)", "", EXAMPLE.read_text(), flags=re.MULTILINE))

    (bridge,) = read_file(file).bridges

    assert bridge.name == "br0"
    assert {key for key in KEYS if f"\n{key} = " in file.read_text()} == set(KEYS)


@pytest.mark.parametrize("verb", cli.commands)
def test_each_verb_has_its_part_of_the_manual_page_with_all_options(verb: str) -> None:
    page = "\n".join(command_page())

    part = page.partition(f".SS inband {escaped(verb)} ")[2].partition("\n.SS ")[0]

    assert {name for option in cli.commands[verb].params for name in option.opts if name.startswith("--")} <= set(
        part.replace("\\", "").replace(",", " ").split()
    )


def test_the_example_is_in_the_manual_page_of_the_file() -> None:
    page = "\n".join(file_page(EXAMPLE.read_text()))

    assert EXAMPLE.read_text().strip() in page.replace("\\-", "-")


@pytest.mark.parametrize(
    ("text", "page"),
    [("--json", "\\-\\-json"), ("a\\b", "a\\eb"), (".TH x\n'y", "\\&.TH x\n\\&'y"), ("plain text", "plain text")],
)
def test_text_is_no_command_of_troff(text: str, page: str) -> None:
    assert escaped(text) == page
