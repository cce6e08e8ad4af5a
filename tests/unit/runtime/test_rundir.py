"""The run directory: one live switch, take-over after a kill, nothing removed that is not a switch's socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from inband.errors import HostError, UsageError
from inband.runtime.rundir import PidFile, RunDir

HOLDER = """
import sys, time
from pathlib import Path
from inband.runtime.rundir import RunDir
taken = RunDir.take(Path(sys.argv[1]))
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path() -> Iterator[Path]:
    """A path that does not exist yet, short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="ihh") as name:
        yield Path(name) / "a" / "run"


def leave_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.fixture
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run directory."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "taken\n"
    try:
        yield holder
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_run_directory_is_made_private_and_given_back_clean(path: Path) -> None:
    taken = RunDir.take(path)
    leave_socket(taken.control_socket)
    leave_socket(taken.management_socket("br0"))

    assert path.stat().st_mode & 0o777 == 0o700
    assert (path / "inband.pid").read_text() == f"{os.getpid()}\n"

    taken.release()
    taken.release()

    assert list(path.iterdir()) == []


def test_a_run_directory_in_use_is_refused_naming_the_process(path: Path, other_process: subprocess.Popen[str]) -> None:
    leave_socket(path / "inband.ctl")

    with pytest.raises(UsageError, match=rf"in use by a live switch \(pid {other_process.pid}\)"):
        RunDir.take(path)

    assert (path / "inband.ctl").exists()


def test_a_killed_switch_is_succeeded_at_once_and_its_sockets_removed(
    path: Path, other_process: subprocess.Popen[str]
) -> None:
    leave_socket(path / "inband.ctl")
    leave_socket(path / "br0.mgmt")
    (path / "notes.mgmt").write_text("not a socket")
    os.kill(other_process.pid, signal.SIGKILL)
    other_process.wait()

    taken = RunDir.take(path)

    mine = f"inband.{os.getpid()}.ctl"
    assert sorted(entry.name for entry in path.iterdir()) == sorted([mine, "inband.pid", "notes.mgmt"])
    assert (path / "inband.pid").read_text() == f"{os.getpid()}\n"
    taken.release()


DYING = """
import os, sys, time
from pathlib import Path
from inband.runtime.rundir import RunDir
taken = RunDir.take(Path(sys.argv[1]))
os.close(1)
if os.fork() == 0:
    time.sleep(0.5)
os._exit(0)
"""


def test_a_child_that_has_yet_to_close_what_it_has_of_a_dead_switch_is_waited_for(path: Path) -> None:
    subprocess.run([sys.executable, "-c", DYING, str(path)], check=True)

    taken = RunDir.take(path)

    assert (path / "inband.pid").read_text() == f"{os.getpid()}\n"
    taken.release()


def test_what_dhcp_clients_of_a_killed_switch_left_is_removed_and_no_link_is_followed(path: Path) -> None:
    path.mkdir(parents=True, mode=0o700)
    elsewhere = path.parent / "elsewhere"
    (elsewhere / "br0.4").mkdir(parents=True)
    (path / "inband-dhcp" / "br0.4").mkdir(parents=True)
    (path / "inband-dhcp" / "br0.4" / "leases").touch()

    RunDir.take(path).release()

    assert list(path.iterdir()) == []

    (path / "inband-dhcp").symlink_to(elsewhere)
    RunDir.take(path).release()
    assert (elsewhere / "br0.4").is_dir()


def test_the_same_process_cannot_take_it_twice(path: Path) -> None:
    taken = RunDir.take(path)

    with pytest.raises(UsageError, match=str(os.getpid())):
        RunDir.take(path)

    taken.release()
    RunDir.take(path).release()


def test_an_empty_directory_open_to_others_is_closed_and_one_in_use_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    path.chmod(0o755)
    RunDir.take(path).release()
    assert path.stat().st_mode & 0o777 == 0o700

    path.chmod(0o755)
    (path / "letter.txt").touch()
    with pytest.raises(UsageError, match="open to others and not empty"):
        RunDir.take(path)


def test_a_place_that_cannot_be_a_directory_is_the_kernels_refusal(path: Path) -> None:
    path.parent.mkdir()
    path.touch()

    with pytest.raises(HostError, match=r"use .* as run directory"):
        RunDir.take(path)
    with pytest.raises(HostError, match=r"use .* as run directory"):
        RunDir.take(path / "below")


def test_a_link_in_place_of_the_pid_file_is_not_followed(path: Path) -> None:
    path.mkdir(parents=True, mode=0o700)
    (path / "inband.pid").symlink_to(path / "victim")

    with pytest.raises(HostError):
        RunDir.take(path)

    assert not (path / "victim").exists()


def test_a_pid_file_is_written_and_removed(path: Path) -> None:
    path.mkdir(parents=True)

    pidfile = PidFile(path / "x.pid")
    assert (path / "x.pid").read_text() == f"{os.getpid()}\n"
    pidfile.remove()
    pidfile.remove()

    assert not (path / "x.pid").exists()
    with pytest.raises(HostError, match="write pid file"):
        PidFile(path / "missing" / "x.pid")


def test_a_place_where_one_may_not_write_says_what_to_do(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)

    with pytest.raises(HostError, match="Permission denied: run it as root, or say with --run-dir where"):
        RunDir.take(path)
