"""A database of Open vSwitch without a switch: a real ovsdb-server in a folder of its own, and ovs-vsctl for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab.journal import until
from lab.net import Lab, Namespace, run
from lab.ovs import SCHEMA
from lab.process import Process, listens

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
        if not until(lambda: listens(self.socket), START_S):
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


class Cluster:
    """Three ovsdb-servers in a namespace that replicate one database by RAFT (ovsdb(7)); ``remote`` is all of them."""

    PORTS = (6641, 6642, 6643)

    def __init__(self, lab: Lab, namespace: Namespace, address: str) -> None:
        self._namespace = namespace
        self._folder = lab.folder / "cluster"
        self._folder.mkdir()
        self._address = address
        self._processes: list[Process] = []
        self.remotes = [f"tcp:{address}:{port}" for port in self.PORTS]
        self.remote = ",".join(self.remotes)

    def start(self) -> None:
        """Make the cluster; returns when it takes commands."""
        for number in range(len(self.PORTS)):
            self._make(number)
            self._processes.append(self._server(number))
        if not until(lambda: self.leader() is not None, START_S):
            raise AssertionError(f"no leader was elected:\n{self._processes[0].tail()}")
        self.vsctl("--no-wait", "init")

    def leader(self) -> int | None:
        """The number of the server that leads, if one does."""
        return next(
            (number for number, each in enumerate(self._processes) if each.is_running and self._leads(number)), None
        )

    def kill(self, number: int) -> None:
        """Crash one of them."""
        self._processes[number].kill9()

    def vsctl(self, *words: str, timeout_s: int = 20) -> str:
        """As ``Database.vsctl``, through whichever server leads."""
        command = ("ovs-vsctl", f"--db={self.remote}", f"--timeout={timeout_s}", *words)
        return self._namespace.run(*command, timeout_s=timeout_s + 5).strip()

    def _make(self, number: int) -> None:
        file = str(self._folder / f"{number}.db")
        own, first = (f"tcp:{self._address}:{port + 100}" for port in (self.PORTS[number], self.PORTS[0]))
        if number == 0:
            run("ovsdb-tool", "create-cluster", file, str(SCHEMA), own)
        else:
            run("ovsdb-tool", "join-cluster", file, "Open_vSwitch", own, first)

    def _server(self, number: int) -> Process:
        return self._namespace.start(
            "ovsdb-server", str(self._folder / f"{number}.db"), f"--remote=ptcp:{self.PORTS[number]}:0.0.0.0",
            f"--unixctl={self._folder}/{number}.ctl", "-vconsole:info", "-vsyslog:off",
            label=f"cluster-{number}", env={**os.environ, "OVS_RUNDIR": str(self._folder)},
        )  # fmt: skip

    def _leads(self, number: int) -> bool:
        control = f"{self._folder}/{number}.ctl"
        status = self._namespace.run("ovs-appctl", "-t", control, "cluster/status", "Open_vSwitch", check=False)
        return "Role: leader" in status


def start_relay(namespace: Namespace, cluster: Cluster) -> str:
    """Start a relay of a cluster in a namespace, and return its remote."""
    folder = namespace.lab.folder / f"relay-{namespace.short}"
    folder.mkdir()
    namespace.start(
        "ovsdb-server", f"relay:Open_vSwitch:{cluster.remote}", f"--remote=punix:{folder}/db.sock",
        f"--unixctl={folder}/db.ctl", "-vconsole:info", "-vsyslog:off",
        label="relay", env={**os.environ, "OVS_RUNDIR": str(folder)},
    )  # fmt: skip
    if not until((folder / "db.sock").exists, START_S):
        raise AssertionError(f"the relay of {namespace.short} did not start")
    return f"unix:{folder}/db.sock"
