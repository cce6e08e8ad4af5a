"""A rig for the running switch: one machine with two ports, a host behind each, and `inband run` as one likes.

Other than the laboratory's switch (lab.inband), which is configured for a topology, the rig passes on any
options or file, good or bad, and can tell what a switch has left in its namespace.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from lab.inband import COMMAND
from lab.journal import until
from lab.net import Lab
from lab.process import Process
from lab.remains import remains
from lab.unixctl import Control, ControlError

START_S = 30.0


class Rig:
    """Namespaces `box` (ports p1, p2), `h1` (10.0.0.11) and `h2` (10.0.0.12), one laboratory around them."""

    def __init__(self, lab: Lab, command: str = COMMAND) -> None:
        """``command`` is the `inband` to run, that of the checkout unless given."""
        self.lab = lab
        self._command = command
        self.box, self.h1, self.h2 = (lab.namespace(name) for name in ("box", "h1", "h2"))
        for number, host in ((1, self.h1), (2, self.h2)):
            lab.link(self.box, f"p{number}", host, "eth0")
            host.address("eth0", f"10.0.0.1{number}/24")
        self.run_dir = lab.folder / "run"
        self.state_dir = lab.folder / "state"
        self.process: Process | None = None
        self._asking: Control | None = None

    def forget(self) -> None:
        """As on a fresh machine: nothing is known of switches that ran before."""
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def start(self, *options: str, env: Mapping[str, str] | None = None) -> Process:
        """Start a switch and return as soon as it takes commands; fails with its words when it ends instead."""
        process = self.launch(*options, env=env)
        if not until(lambda: self._answers(process), START_S):
            raise AssertionError(f"inband did not start:\n{process.tail()}")
        return process

    def launch(self, *options: str, env: Mapping[str, str] | None = None) -> Process:
        """Start a switch and return at once."""
        self._asking = None
        environment = {**os.environ, **(env or {})}
        command = (self._command, "run", "--run-dir", str(self.run_dir), "--state-dir", str(self.state_dir), *options)
        self.process = self.box.start(*command, label="inband", env=environment)
        return self.process

    def config(self, text: str) -> str:
        """Write a configuration file and return its path."""
        path = self.lab.folder / "inband.toml"
        path.write_text(text)
        return str(path)

    def inband(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run an `inband` command to its end; the run directory is in its environment."""
        environment = {**os.environ, "INBAND_RUNDIR": str(self.run_dir), "STATE_DIRECTORY": f"{self.state_dir}-other"}
        command = ["ip", "netns", "exec", self.box.name, self._command, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=environment)

    def call(self, method: str, *params: str) -> str:
        """One command over the control socket; raises ControlError when it is refused."""
        if self._asking is None:
            self._asking = self.lab.hold(Control(self.run_dir / "inband.ctl"))
        return self._asking.call(method, *params)

    def refusal(self, method: str, *params: str) -> str:
        """The words by which a command is refused."""
        try:
            answer = self.call(method, *params)
        except ControlError as error:
            return str(error)
        raise AssertionError(f"{method} {params} was not refused but answered {answer!r}")

    def show(self, bridge: str = "br0") -> dict[str, Any]:
        """A bridge's part of the `show` document, without the counters: those change by themselves."""
        document = json.loads(self.call("inband/show", "json"))
        (found,) = [each for each in document["bridges"] if each["name"] == bridge]
        return {key: value for key, value in found.items() if key != "counters"}

    def controller(self, bridge: str = "br0") -> dict[str, Any]:
        """The first controller in the `show` document."""
        return dict(self.show(bridge)["controllers"][0])

    def ports(self, bridge: str = "br0") -> dict[str, int]:
        """Numbers of the ports that are open, by name; LOCAL left out."""
        return {each["name"]: each["number"] for each in self.show(bridge)["ports"] if each["name"] != bridge}

    def counter(self, name: str) -> int:
        """A counter of `coverage/show`, summed over everything that counts it; 0 when nobody does."""
        lines = (line.rsplit(maxsplit=1) for line in self.call("coverage/show").splitlines())
        return sum(int(value) for words, value in lines if words.split(maxsplit=1)[-1].strip() == name)

    def log(self) -> str:
        """What the switch has said so far."""
        assert self.process is not None
        return self.process.log.read_text(errors="replace")

    def state(self) -> frozenset[str]:
        """All that a switch could leave in the box and in the run directory (``lab.remains``)."""
        return remains(self.box, ("p1", "p2"), self.run_dir)

    def settled_state(self) -> frozenset[str]:
        """The same of a switch that runs, but for the filter that has the program before a port has its link."""
        return frozenset(line for line in self.state() if " pref 1 bpf" not in line)

    def _answers(self, process: Process) -> bool:
        if not process.is_running:
            raise AssertionError(f"inband ended ({process.exit_code}):\n{process.tail()}")
        try:
            return bool(self.call("version"))
        except (OSError, ControlError):
            self._asking = None
            return False


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The single line of a refusal (exit code 1) or, for wrong usage (2), its last line."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode in (1, 2), done
    assert "Traceback" not in done.stderr
    assert len(lines) == 1 or done.returncode == 2, done.stderr
    return lines[-1]
