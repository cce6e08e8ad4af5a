"""What is gone back to after a crash: the configuration before, and not a file that cut its operator off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from inband.runtime.config_load import load
from inband.runtime.state_dir import StateDir
from inband.runtime.undo import UNDO, Undo
from inband.switch.config import RunOptions, SwitchConfig

GOOD, BAD = '[[bridge]]\nname = "br0"\nport = "eth1"\n', '[[bridge]]\nname = "br0"\n'


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir.open(tmp_path / "state")


def _load(tmp_path: Path, text: str) -> SwitchConfig:
    file = tmp_path / "inband.toml"
    file.write_text(text)
    return load(RunOptions(config_file=file, run_dir=tmp_path / "run"))


def test_a_reload_that_was_not_confirmed_is_not_followed_by_a_start_until_the_file_is_another(
    state: StateDir, tmp_path: Path
) -> None:
    before = _load(tmp_path, GOOD)
    bad = _load(tmp_path, BAD)
    undo = Undo(state)
    undo.keep(before, "reload", is_reload=True)

    for _ in range(2):
        assert Undo(state).config_to_start(bad) == before
    mended = _load(tmp_path, GOOD.replace("eth1", "eth2"))
    assert undo.config_to_start(mended) == mended
    assert state.read(UNDO) is None


def test_a_command_that_was_not_confirmed_is_gone_with_the_process(state: StateDir, tmp_path: Path) -> None:
    config = _load(tmp_path, GOOD)
    undo = Undo(state)
    undo.keep(replace(config, bridges=()), "set br0 queue=1", is_reload=False)

    assert undo.config_to_start(config) == config
    assert state.read(UNDO) is None


def test_a_confirmed_command_does_not_have_a_file_followed_that_was_undone(state: StateDir, tmp_path: Path) -> None:
    before, bad = _load(tmp_path, GOOD), _load(tmp_path, BAD)
    undo = Undo(state)
    undo.keep(before, "reload", is_reload=True)
    undo.forget(follow_file=False)

    undo.keep(before, "set br0 queue=1", is_reload=False)
    undo.forget(follow_file=False)
    assert undo.config_to_start(bad) == before

    undo.forget(follow_file=True)
    assert undo.config_to_start(bad) == bad


@pytest.mark.parametrize("document", [{"file": 1}, {"file": "x", "config": 1}, {}])
def test_what_cannot_be_read_is_as_good_as_nothing(
    state: StateDir, tmp_path: Path, document: dict[str, object]
) -> None:
    config = _load(tmp_path, GOOD)
    state.write(UNDO, document)

    assert Undo(state).config_to_start(config) == config
