"""Every setting is in the guide, an option of `inband run`, and in the help of `inband set` where that changes it."""

from __future__ import annotations

from pathlib import Path

from inband.cli.run import run
from inband.cli.verbs import set_
from inband.runtime.config_keys import KEYS, SETTABLE, settings_table

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide.md"


def test_the_guides_table_of_settings_is_that_of_the_reader_of_settings() -> None:
    assert settings_table() in GUIDE.read_text()


def test_every_setting_is_an_option_of_run() -> None:
    options = {option for parameter in run.params for option in parameter.opts}

    assert options >= {f"--{key}" for key in KEYS}


def test_the_help_of_set_names_every_setting_that_it_changes() -> None:
    words = (set_.help or "").replace(",", " ").split()

    assert set(SETTABLE) <= {word.rstrip(".") for word in words}
