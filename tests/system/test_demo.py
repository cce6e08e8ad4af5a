"""`make demo` as its users run it: with root, without, where namespaces are forbidden, and interrupted.

Whatever happens, it leaves no process and no file behind; its namespaces have no names and go with its processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

DEMO = (sys.executable, "-m", "inband.demo", "--act-seconds", "3")
# To the demo this is an unprivileged user; files that only root may read (an interpreter in /root) are still its own.
AS_SOMEBODY = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
MARK = "INBAND_DEMO_TEST"

pytestmark = pytest.mark.root


class Demo:
    """A demo that runs. Its processes are known by a mark in their environment."""

    def __init__(self, folder: Path, command: tuple[str, ...] = DEMO, **environment: str) -> None:
        self.folder = folder
        # A shell has what it starts in the background ignore SIGINT, and so do we and whom we start, but for this.
        command = ("/usr/bin/env", "--default-signal=INT", *command)
        self._mark = f"{MARK}={uuid4()}".encode()
        name, _, value = self._mark.decode().partition("=")
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "TMPDIR": str(folder), name: value, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, timeout_s: float = 60.0) -> str:
        """What it said from now to its end."""
        return self.process.communicate(timeout=timeout_s)[0]

    def wait_for(self, words: str) -> None:
        """Read until a line has these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if words in line:
                return
        raise AssertionError(f"the demo ended without {words!r}")

    def processes(self) -> list[int]:
        """Those that it started and that still run."""
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if self._has_mark(folder)]

    def leaves_nothing(self) -> bool:
        """Wait a moment for the last processes to end."""
        deadline = time.monotonic() + 5.0
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.processes()

    def _has_mark(self, folder: Path) -> bool:
        try:
            return self._mark in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            return False


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Demo]]:
    """A demo of root's and one of somebody's, played at the same time: both wait for a quarter of a minute."""
    both = Demo(tmp_path_factory.mktemp("root")), Demo(tmp_path_factory.mktemp("somebody"), (*AS_SOMEBODY, *DEMO))
    try:
        yield both
    finally:
        for demo in both:
            demo.process.kill()
            demo.process.communicate()


@pytest.mark.slow
def test_the_demo_ends_well_and_leaves_nothing(demos: tuple[Demo, Demo]) -> None:
    demo, _ = demos

    said = demo.finish()

    assert demo.process.returncode == 0, said
    assert "three `inband run` processes in network namespaces" in said
    assert "no channel was lost" in said
    assert demo.leaves_nothing()
    assert list(demo.folder.iterdir()) == []


@pytest.mark.slow
def test_without_root_the_demo_runs_in_an_unprivileged_user_namespace(demos: tuple[Demo, Demo]) -> None:
    _, demo = demos

    said = demo.finish()

    assert demo.process.returncode == 0, said
    assert "three `inband run` processes in network namespaces" in said
    assert demo.leaves_nothing()


def test_where_namespaces_are_forbidden_the_demo_says_so_and_simulates(tmp_path: Path) -> None:
    demo = Demo(tmp_path, (*DEMO, "--pace", "0"), PATH="/nonexistent")

    said = demo.finish()

    assert demo.process.returncode == 0, said
    assert "allows no network namespaces" in said
    assert "three switches in the simulator" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupted_demo_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    demo = Demo(tmp_path)
    demo.wait_for("is mute")
    running = len(demo.processes())

    demo.process.send_signal(number)
    demo.finish()

    assert running >= 4
    assert demo.process.returncode == (-number if number is signal.SIGKILL else 130)
    assert demo.leaves_nothing()
    assert number is signal.SIGKILL or list(tmp_path.iterdir()) == []


CHROOT = """
mount --rbind / "$1" && mount --bind "$2" "$1/mnt" || exit
exec chroot "$1" unshare --net --mount --propagation slave /mnt/bin/python -m inband.demo.probe
"""


def test_in_a_chroot_what_it_starts_is_in_the_chroot_too(tmp_path: Path) -> None:
    """The interpreter has a path there that leads nowhere outside."""
    command = ("unshare", "--mount", "sh", "-c", CHROOT, "sh", str(tmp_path), sys.prefix)

    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
