"""A fresh Debian with systemd, booted in namespaces of its own: for what only a service manager can show.

    with Booted(folder) as system:
        system.run("systemctl", "is-active", "inband.service")

``prepare`` makes it (tools/fresh-root) and runs what must be done while it still has this machine's network; booted it
has an empty network of its own.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path
from types import TracebackType

from lab.journal import until
from lab.net import ROOT

BOOT_S = 60.0


def prepare(folder: Path, script: str, timeout_s: float) -> None:
    """Make a fresh system in ``folder``, unless it is one, and run a shell script in it; raises when that fails."""
    subprocess.run([ROOT / "tools" / "apt-install", "debootstrap"], check=True, timeout=timeout_s)
    subprocess.run([ROOT / "tools" / "fresh-root", folder, "sh", "-euc", script], check=True, timeout=timeout_s)


class Booted:
    """A system that runs until the block ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = f"inband-{secrets.token_hex(3)}"

    def __enter__(self) -> Booted:
        boot = ["unshare", "--mount", "--propagation", "private", str(ROOT / "lab" / "boot.sh")]
        self._process = subprocess.Popen([*boot, str(self._folder), self._name])
        try:
            assert until(lambda: self._init() is not None, BOOT_S), "no systemd was started"
            assert until(self._is_up, BOOT_S), self.run("systemctl", "--no-pager", "list-jobs", check=False)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.run("journalctl", "--no-pager", "-n", "60", check=False))
        self.close()

    def close(self) -> None:
        """End it with all its processes."""
        self._process.terminate()
        self._process.wait(30)

    def run(self, *argv: str, check: bool = True, timeout_s: float = 60.0) -> str:
        """Run a command in it and return what it printed; raises AssertionError when it fails."""
        enter = ["nsenter", "--target", str(self._init()), "--all", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        done = subprocess.run(
            [*enter, *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}")
        return done.stdout

    def _is_up(self) -> bool:
        return self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")

    def _init(self) -> int | None:
        """The process that is the first one inside; boot.sh, unshare and systemd are in one row."""
        pid = self._process.pid
        for _ in range(2):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if len(children) != 1:
                return None
            pid = int(children[0])
        return pid if os.readlink(f"/proc/{pid}/exe").endswith("/systemd") else None
