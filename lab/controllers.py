"""The controllers that a test starts: our unhelpful one, and two learning switches of other makers."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from lab.journal import Journal, until
from lab.net import Namespace
from lab.process import Process
from lab.topology import PORT

START_S = 20.0
"""An interpreter on a machine with two busy cores takes its time; a hang takes longer."""
_numbers = itertools.count()


class LabController:
    """A process of :mod:`lab.controller` in a namespace, its orders and its journal."""

    def __init__(
        self, namespace: Namespace, *orders: str, version: int = 4, echo_s: float = 0.1, port: int = PORT
    ) -> None:
        log = namespace.lab.folder / f"controller-{next(_numbers)}.jsonl"
        self.journal = Journal(log)
        argv = [sys.executable, "-m", "lab.controller", "--log", str(log)]
        argv += ["--listen", f"0.0.0.0:{port}", "--listen", f":::{port}"]
        argv += ["--version", str(version), "--echo-interval", str(echo_s)]
        argv += [word for order in orders for word in ("--order", order)]
        self.process = namespace.start(*argv, label="controller")
        if not until(lambda: bool(self.journal.entries("listening")), START_S):
            raise AssertionError(f"the controller did not start:\n{self.process.tail()}")

    def order(self, line: str) -> None:
        """Tell it to do harm (see its module), or `calm`."""
        self.process.tell(line)


EXAMPLES = Path(__file__).parent.parent / "examples"


def start_osken(namespace: Namespace, port: int = PORT, example: str = "learning_switch") -> Process:
    """Start one of the examples for os-ken, listening."""
    environment = {**os.environ, "OSKEN_HUB_TYPE": "eventlet"}
    script = EXAMPLES / f"{example}.py"
    process = namespace.start(sys.executable, str(script), str(port), label="osken", env=environment)
    wait_listening(namespace, process, port)
    return process


def start_testcontroller(namespace: Namespace, port: int = PORT, protocol: str = "OpenFlow13") -> Process:
    """Start ovs-testcontroller, a learning switch in C, listening; ``protocol`` as `ovs-testcontroller -O` has it."""
    control = namespace.lab.folder / f"testcontroller-{next(_numbers)}.ctl"
    process = namespace.start(
        "ovs-testcontroller",
        f"--unixctl={control}",
        "--log-file=/dev/null",
        "-O",
        protocol,
        f"ptcp:{port}:0.0.0.0",
        label="testcontroller",
    )
    wait_listening(namespace, process, port)
    return process


def wait_listening(namespace: Namespace, process: Process, port: int) -> None:
    """Wait until the process listens on a TCP port of its namespace; fail with its last words when it never does."""
    listens = f":{port:04X} 00000000:0000 0A"  # local port, no peer, state LISTEN, as /proc/net/tcp has them
    if not until(lambda: listens in namespace.run("cat", "/proc/net/tcp"), START_S):
        raise AssertionError(f"{process.argv[4]} does not listen on {port}:\n{process.tail()}")
