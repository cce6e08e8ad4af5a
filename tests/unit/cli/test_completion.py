"""Tab completes what there is, and says nothing where there is no switch to ask."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from inband.cli.main import cli, main
from inband.runtime.config_keys import SETTABLE
from tests.unit.cli.fake_switch import FakeSwitch, fake_switch

SHOWN = {
    "bridges": [
        {"name": "br0", "ports": [{"name": "eth1"}, {"name": "eth2"}, {"name": "br0"}]},
        {"name": "br1", "ports": [{"name": "eth3"}]},
    ]
}


@pytest.fixture
def switch() -> Iterator[FakeSwitch]:
    with fake_switch() as fake:
        fake.shown = SHOWN
        yield fake


def completed(*words: str) -> list[str]:
    """What Tab offers behind these words for the last one."""
    shell = ShellComplete(cli, {}, "inband", "_INBAND_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


def test_verbs_and_options_are_completed() -> None:
    assert completed("dump") == ["dump-datapath", "dump-flows"]
    assert completed("show", "--j") == ["--json"]
    assert completed("completion", "f") == ["fish"]


@pytest.mark.parametrize("place", ["before the verb", "behind it", "environment"])
def test_names_come_from_the_running_switch(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    option = ["--run-dir", str(switch.run_dir)]
    before, behind = {"before the verb": (option, []), "behind it": ([], option)}.get(place, ([], []))
    if place == "environment":
        monkeypatch.setenv("INBAND_RUNDIR", option[1])

    assert completed(*before, "show", *behind, "") == []
    assert completed(*before, "del-bridge", *behind, "b") == ["br0", "br1"]
    assert completed(*before, "del-port", *behind, "br0", "") == ["eth1", "eth2"]
    assert completed(*before, "del-port", *behind, "br1", "eth3") == ["eth3"]


def test_without_a_switch_nothing_is_offered_and_nothing_said(capfd: pytest.CaptureFixture[str]) -> None:
    assert completed("--run-dir", "/nonexistent", "del-bridge", "b") == []
    assert completed("--run-dir", "/nonexistent", "del-port", "br0", "") == []
    assert capfd.readouterr() == ("", "")


def test_what_a_bridge_can_be_given_is_offered() -> None:
    assert completed("add-port", "br0", "lo") == [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    assert completed("set", "br0", "") == [f"{key}=" for key in SETTABLE]
    assert completed("set", "br0", "queue=1", "fail") == ["fail-mode="]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0

    assert f"_INBAND_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_another_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    assert "'csh'" in capsys.readouterr().err


def test_bash_runs_its_script(switch: FakeSwitch, capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    ask = "COMP_WORDS=(inband del-bridge b); COMP_CWORD=2; _inband_completion inband; echo ${COMPREPLY[@]}"

    done = subprocess.run(
        ["bash", "-c", f"{capsys.readouterr().out}\n{ask}"],
        env={
            **os.environ,
            "INBAND_RUNDIR": str(switch.run_dir),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("br0 br1\n", "")
