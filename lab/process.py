"""A process of the laboratory: started in a namespace, its output kept in a file, stopped by its own pid.

Output goes to files, not pipes: a pipe that is not read blocks the process under test, and after a failure the
whole text is wanted.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

STOP_S = 3.0
"""How long a process may take to end after SIGTERM before it is killed."""

_dying: list[Process] = []


def limited(capabilities: str = "-all") -> list[str]:
    """Return what runs the command behind it as root with other capabilities, as setpriv(1) writes them.

    It may always read files: another user could not, where the checkout is in a home that is closed to others.
    """
    return ["setpriv", f"--bounding-set={capabilities},+dac_read_search", f"--inh-caps={capabilities}"]


class Process:
    """One running command. ``log`` holds its standard output and error; ``tell`` writes a line to its input."""

    def __init__(self, argv: Sequence[str], log: Path, *, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        self.argv = tuple(argv)
        self.log = log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, cwd=cwd, env=env
            )

    @property
    def pid(self) -> int:
        """The kernel's number for it: `ip netns exec` replaces itself, so this is the command's own."""
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        """False once it has ended, for whatever reason."""
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._popen.poll()

    def tell(self, line: str) -> None:
        """Write one line to its standard input."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{line}\n".encode())
        self._popen.stdin.flush()

    def stop(self) -> int:
        """End it in an orderly way (SIGTERM), by force when that takes too long; return the exit code."""
        if self.is_running:
            self._popen.send_signal(signal.SIGTERM)
        return self.wait(STOP_S)

    def kill9(self) -> None:
        """SIGKILL: no chance to tidy up, as in a crash."""
        self.begin_kill9()
        self.wait(STOP_S)

    def begin_kill9(self) -> None:
        """SIGKILL without waiting for the end, for which see :func:`bury`."""
        if self.is_running:
            self._popen.kill()

    def wait(self, timeout_s: float) -> int:
        """Wait for its end, killing it when it takes longer than this; return the exit code."""
        try:
            code = self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            code = self._popen.wait()
        if self._popen.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.close()
        return code

    def tail(self, lines: int = 40) -> str:
        """Return the last lines of its output."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def bury(killed: Iterable[Process]) -> None:
    """Let killed processes end by themselves, and wait for those of the call before.

    The kernel takes a tenth of a second to close the ports of a switch, some hundred times in a run of the tests. It
    need not be watched: what comes next has other namespaces.
    """
    global _dying
    before, _dying = _dying, list(killed)
    for process in before:
        process.kill9()


atexit.register(bury, ())


def listens(path: Path) -> bool:
    """Whether a process takes connections at this socket, which is there a moment before."""
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(path)) == 0
