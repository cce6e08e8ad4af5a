"""What outlives a reboot: written whole or not at all, and no trouble with it stops anything."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from inband.flow.ports import PortNo
from inband.runtime.state_dir import DEFAULT_STATE_DIR, VERSION, StateDir, find_state_dir
from inband.runtime.state_memory import MEMORY, document_of, memory_of
from inband.switch.memory import BridgeMemory
from inband.vocabulary.addresses import Mac

BRIDGES = {
    "br0": BridgeMemory(
        {"eth1": PortNo(2), "eth2": PortNo(7)},
        0x1234,
        Mac.parse("02:00:00:00:00:01"),
        "eth1",
        frozenset({4}),
        (7, "eth1"),
    )
}


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir.open(tmp_path / "state")


def test_what_was_written_is_read_back_by_the_next_run(state: StateDir, tmp_path: Path) -> None:
    state.write(MEMORY, document_of(BRIDGES))
    state.close()

    assert memory_of(StateDir.open(tmp_path / "state").read(MEMORY)) == BRIDGES
    assert os.stat(tmp_path / "state").st_mode & 0o077 == 0


def test_nothing_was_known_at_first(state: StateDir, caplog: pytest.LogCaptureFixture) -> None:
    assert memory_of(state.read(MEMORY)) == {}
    assert not caplog.records


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", "null", "[" * 100_000, '{"version": true}'])
def test_a_broken_file_is_said_once_kept_aside_and_replaced(
    state: StateDir, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / MEMORY
    path.write_text(text)

    assert state.read(MEMORY) is None
    state.write(MEMORY, document_of(BRIDGES))

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert path.with_name(f"{MEMORY}.broken").read_text() == text
    assert memory_of(state.read(MEMORY)) == BRIDGES


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_not_waited_for(state: StateDir, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "state" / MEMORY)

    assert state.read(MEMORY) is None
    state.write(MEMORY, document_of(BRIDGES))

    assert memory_of(state.read(MEMORY)) == BRIDGES


@pytest.mark.parametrize(
    "bridges",
    [1, {"br0": 1}, {"br0": {"ports": {"eth1": "x"}}}, {"br0": {"ports": {"eth1": -1}}}, {"br0": {"mac": "?"}}],
)
def test_contents_that_are_not_ours_are_as_good_as_none(bridges: object, caplog: pytest.LogCaptureFixture) -> None:
    assert memory_of({"bridges": bridges}) == {}
    assert len(caplog.records) == 1


def test_a_file_of_another_version_is_left_as_it_is(
    state: StateDir, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / MEMORY
    path.write_text(json.dumps({"version": VERSION + 1, "bridges": []}))

    assert state.read(MEMORY) is None
    state.write(MEMORY, document_of(BRIDGES))

    assert "version" in caplog.text
    assert json.loads(path.read_text())["version"] == VERSION + 1


def test_a_directory_that_cannot_be_used_is_said_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    state = StateDir.open(tmp_path / "file" / "state")

    state.write(MEMORY, document_of(BRIDGES))
    state.write(MEMORY, document_of(BRIDGES))

    assert state.read(MEMORY) is None
    assert len(caplog.records) == 1


def test_a_full_disk_is_said_once_and_said_to_be_over(
    state: StateDir, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert not state.write(MEMORY, document_of(BRIDGES))
        assert not state.write(MEMORY, document_of(BRIDGES))
    assert len(caplog.records) == 1
    assert "No space left" in caplog.text

    assert state.write(MEMORY, document_of(BRIDGES))
    assert memory_of(state.read(MEMORY)) == BRIDGES


def test_two_live_switches_do_not_share_a_directory(
    state: StateDir, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    second = StateDir.open(tmp_path / "state")

    second.write(MEMORY, document_of(BRIDGES))

    assert state.read(MEMORY) is None
    assert "another switch" in caplog.text


def test_the_time_of_the_newest_file_is_known_and_never_goes_back(
    state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write(MEMORY, document_of(BRIDGES))
    os.utime(tmp_path / "state" / MEMORY, (2e9, 2e9))
    os.utime(tmp_path / "state" / "lock", (1.0, 1.0))

    state.note_time()

    assert state.newest_s == 2e9
    assert (tmp_path / "state" / "lock").stat().st_mtime == 1.0


def test_the_directory_is_given_or_systemds_or_the_usual_one() -> None:
    run = Path("/run/inband")

    assert find_state_dir(Path("/x"), run, {"STATE_DIRECTORY": "/y"}) == Path("/x")
    assert find_state_dir(None, run, {"STATE_DIRECTORY": "/y:/z"}) == Path("/y")
    assert find_state_dir(None, run, {}) == DEFAULT_STATE_DIR


def test_switches_with_other_run_directories_have_other_states() -> None:
    first, second = (find_state_dir(None, Path(run), {}) for run in ("/run/a", "/run/b"))

    assert len({first, second, DEFAULT_STATE_DIR}) == 3
    assert first.parent == second.parent == DEFAULT_STATE_DIR
