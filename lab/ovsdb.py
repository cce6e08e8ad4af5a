"""A database of Open vSwitch without a switch: a real ovsdb-server in a folder of its own, and ovs-vsctl for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab.journal import until
from lab.net import Lab, Namespace, run
from lab.ovs import SCHEMA
from lab.process import Process

START_S = 20.0


class Database:
    """One ovsdb-server in a namespace; ``remote`` is what its followers are told."""

    def __init__(self, lab: Lab, namespace: Namespace, name: str = "ovsdb", schema: Path = SCHEMA) -> None:
        self._namespace = namespace
        self.folder = lab.folder / name
        self.folder.mkdir()
        self._schema = schema
        self.socket = self.folder / "db.sock"
        self.remote = f"unix:{self.socket}"
        self._process: Process | None = None

    def start(self) -> None:
        """Start it, with a new database if there is none."""
        file = self.folder / "conf.db"
        if not file.exists():
            run("ovsdb-tool", "create", str(file), str(self._schema))
        self._process = self._namespace.start(
            "ovsdb-server", str(file), f"--remote=p{self.remote}", f"--unixctl={self.folder}/db.ctl",
            "--remote=db:Open_vSwitch,Open_vSwitch,manager_options", "-vconsole:info", "-vsyslog:off",
            label="ovsdb-server", env={**os.environ, "OVS_RUNDIR": str(self.folder)},
        )  # fmt: skip
        if not until(self.socket.exists, START_S):
            raise AssertionError(f"ovsdb-server did not start:\n{self._process.tail()}")
        self.vsctl("--no-wait", "init")

    def stop(self) -> None:
        """End it; the database stays."""
        assert self._process is not None
        self._process.stop()
        self.socket.unlink(missing_ok=True)

    def forget(self) -> None:
        """Lose the database, as a machine that was set up anew."""
        (self.folder / "conf.db").unlink()

    def vsctl(self, *words: str, timeout_s: int = 20) -> str:
        """Run ovs-vsctl as people type it: it waits for the switch unless told not to. Raises CommandError."""
        command = ("ovs-vsctl", f"--db={self.remote}", f"--timeout={timeout_s}", *words)
        return self._namespace.run(*command, timeout_s=timeout_s + 5).strip()

    def transact(self, document: str) -> str:
        """A transaction as RFC 7047 has it, for what ovs-vsctl would not write; the answer."""
        done = subprocess.run(
            ["ovsdb-client", "transact", self.remote, document], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout
