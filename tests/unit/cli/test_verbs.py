"""The command line: every verb asks the switch the right thing, prints the answer, and ends with the right code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inband import __version__
from inband.cli.main import cli, main
from tests.unit.cli.fake_switch import FakeSwitch, fake_switch


@pytest.fixture
def switch() -> Iterator[FakeSwitch]:
    with fake_switch() as fake:
        yield fake


@pytest.mark.parametrize(
    ("line", "asked", "printed"),
    [
        ("show", ["show", "json"], "no bridges"),
        ("show --json", ["show", "json"], '"bridges": []'),
        ("dump-flows br0", ["dump-flows", "br0"], "a flow\n"),
        ("dump-flows br0 --hidden --json", ["dump-flows", "br0", "hidden", "json"], "a flow\n"),
        ("trace br0 tcp,in_port=1", ["trace", "br0", "tcp,in_port=1"], "a step\n"),
        ("trace br0 --hex ffff", ["trace", "br0", "hex", "ffff"], "a step\n"),
        ("trace br0 --hex ffff --in-port LOCAL", ["trace", "br0", "hex", "ffff", "LOCAL"], "a step\n"),
        ("add-bridge br1 queue=1", ["add-bridge", "br1", "queue=1"], ""),
        ("del-bridge br1", ["del-bridge", "br1"], ""),
        ("add-port br0 eth1", ["add-port", "br0", "eth1"], ""),
        ("add-port br0 eth1 --tag 10", ["add-port", "br0", "eth1,tag=10"], ""),
        (
            "set-port br0 eth1 --tag 1 --trunks 10+20 --vlan-mode native-tagged",
            ["set-port", "br0", "eth1,tag=1,trunks=10+20,vlan-mode=native-tagged"],
            "",
        ),
        ("set-port br0 eth1", ["set-port", "br0", "eth1"], ""),
        ("del-port br0 eth1", ["del-port", "br0", "eth1"], ""),
        ("set-controller br0 tcp:a tcp:b", ["set-controller", "br0", "tcp:a", "tcp:b"], ""),
        ("del-controller br0", ["del-controller", "br0"], ""),
        ("set-manager tcp:a", ["set-manager", "tcp:a"], ""),
        ("del-manager", ["del-manager"], ""),
        ("set-dns-server 192.0.2.53", ["set-dns-server", "192.0.2.53"], ""),
        ("del-dns-server", ["del-dns-server"], ""),
        ("set br0 fail-mode=secure queue=none", ["set", "br0", "fail-mode=secure", "queue=none"], ""),
        ("reload", ["reload"], ""),
        ("neighbours br0", ["neighbours", "br0"], ""),
        ("paths --json", ["paths", "json"], ""),
        ("map br0", ["map", "br0"], ""),
    ],
)
def test_a_verb_asks_the_switch_and_prints_its_answer(
    switch: FakeSwitch, capsys: pytest.CaptureFixture[str], line: str, asked: list[str], printed: str
) -> None:
    code = main(["--run-dir", str(switch.run_dir), *line.split()])

    assert code == 0
    assert switch.asked == [asked]
    assert printed in capsys.readouterr().out


def test_the_run_directory_may_stand_before_or_behind_the_verb_or_in_the_environment(
    switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = str(switch.run_dir)

    assert main(["reload", "--run-dir", directory]) == 0
    assert main(["--run-dir", "/nonexistent", "reload", "--run-dir", directory]) == 0
    monkeypatch.setenv("INBAND_RUNDIR", directory)
    assert main(["reload"]) == 0
    assert main(["reload", "--run-dir", "/nonexistent"]) == 1


def test_a_refusal_is_one_line_on_standard_error_and_code_1(
    switch: FakeSwitch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--run-dir", str(switch.run_dir), "del-bridge", "br9"])

    assert code == 1
    assert capsys.readouterr().err == "inband: there is no bridge 'br9' here (bridges: br0): see `inband show`\n"


def test_no_switch_there_is_code_1_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--run-dir", "/nonexistent", "show"])

    assert code == 1
    assert "no switch runs in /nonexistent: start one with `inband run`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "frobnicate",
        "--frobnicate",
        "dump-flows",
        "add-port br0",
        "add-port br0 eth1 eth2",
        "set br0",
        "set-controller br0",
        "trace br0",
        "trace br0 tcp --hex ffff",
        "trace br0 tcp --in-port 1",
        "map --json --svg /tmp/x.svg",
        "run --fail-mode open",
        "run --controller nonsense",
        "run --address 192.0.2.1",
        "run --queue many",
        "run --gateway x",
        "run extra",
    ],
)
def test_wrong_usage_is_code_2(capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert main(line.split()) == 2
    assert "Error: " in capsys.readouterr().err


@pytest.mark.parametrize("line", ["run --config /nonexistent.toml", "run --port eth1 --port eth1"])
def test_a_configuration_that_cannot_be_is_code_1(capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert main(line.split()) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_list_of_verbs_says_whole_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    printed = capsys.readouterr().out
    assert "..." not in printed.partition("Commands:")[2]
    assert all(f"\n  {verb}" in printed for verb in cli.commands)
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize("line", ["check FILE", "check --config FILE"])
def test_check_of_a_file_without_a_bridge_names_the_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str
) -> None:
    file = tmp_path / "empty.toml"
    file.touch()

    assert main(["--run-dir", "/nonexistent", *line.replace("FILE", str(file)).split()]) == 1

    assert capsys.readouterr().out == f"{file} has no bridge: this switch would do nothing\n"


def test_help_of_every_verb_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in cli.commands:
        assert main([verb, "--help"]) == 0
        assert f"inband {verb}" in capsys.readouterr().out.partition("Example:")[2]


@pytest.mark.parametrize("line", ["version", "--version", "-V"])
def test_version_needs_no_switch(capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert main([line]) == 0
    assert capsys.readouterr().out == f"inband {__version__}\n"


def test_a_reader_who_leaves_early_is_no_traceback(switch: FakeSwitch) -> None:
    environment = {**os.environ, "INBAND_RUNDIR": str(switch.run_dir)}
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [sys.executable, "-m", "inband.cli.main", "dump-flows", "br0"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment,
        check=False,
        timeout=20,
    )
    os.close(writing)

    assert done.returncode == 1
    assert done.stderr == b""


def test_asking_a_switch_loads_neither_the_switch_nor_its_configuration_nor_asyncio() -> None:
    slow = "('asyncio', 'rich', 'tomllib', 'pyroute2', 'inband.bridge.bridge', 'http')"
    code = f"import sys, inband.cli.main; print([m for m in {slow} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)

    assert done.stdout == "[]\n"
