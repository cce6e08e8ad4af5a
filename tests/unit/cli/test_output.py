"""Where the command prints: a full disk, nobody who reads, a narrow terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.fake_switch import FakeSwitch, fake_switch

COMMAND = str(Path(sys.executable).with_name("inband"))
NEWS = {"last": 1, "events": [{"time": 0.0, "text": "bridge br0: connected"}]}
TOP = {"time": 1.0, "cpu_s": 0.0, "memory_bytes": 0, "bridges": []}


@pytest.fixture
def switch() -> Iterator[FakeSwitch]:
    with fake_switch() as switch:
        switch.answers |= {"events": json.dumps(NEWS), "top": json.dumps(TOP)}
        yield switch


VERBS = [
    ("show",),
    ("show", "--json"),
    ("events",),
    ("events", "--follow"),
    ("top", "--once"),
    ("top", "--once", "--json"),
    ("dump-flows", "br0"),
    ("version",),
    ("mininet",),
    ("completion", "bash"),
    ("run", "--help"),
]


@pytest.mark.parametrize("words", VERBS)
def test_a_full_disk_is_said_in_one_line(switch: FakeSwitch, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(switch, words, full.fileno())

    assert done.stderr == "inband: what is printed cannot be written: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize("words", VERBS)
def test_without_a_standard_output_nothing_is_printed(switch: FakeSwitch, words: tuple[str, ...]) -> None:
    if words == ("events", "--follow"):
        return  # it goes on, as it is told to
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", COMMAND, "--run-dir", str(switch.run_dir), *words],
        stderr=subprocess.PIPE, text=True, timeout=20, check=False,
    )  # fmt: skip

    assert done.stderr == ""
    assert done.returncode == 0


def test_events_are_not_followed_for_nobody(switch: FakeSwitch) -> None:
    reading, writing = os.pipe()
    threading.Timer(1.0, os.close, [reading]).start()

    done = run(switch, ("events", "--follow"), writing)

    os.close(writing)
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words", [("top", "--every", "nan"), ("top", "--every", "inf"), ("capture", "br0", "--seconds", "nan")]
)
def test_what_is_no_number_of_seconds_is_wrong_usage(switch: FakeSwitch, words: tuple[str, ...]) -> None:
    done = run(switch, words, subprocess.DEVNULL)

    assert done.returncode == 2
    assert "is not a number of seconds" in done.stderr


def run(switch: FakeSwitch, words: tuple[str, ...], output: int) -> subprocess.CompletedProcess[str]:
    """The command, whose standard output is a descriptor."""
    command = [COMMAND, "--run-dir", str(switch.run_dir), *words]
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
