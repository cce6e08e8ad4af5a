"""A machine with a database, and whoever follows it: this switch or ovs-vswitchd, told the same by ovs-vsctl."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.inband import COMMAND
from lab.journal import until
from lab.net import Lab
from lab.ovsdb import Database
from lab.process import Process
from lab.unixctl import Control, ControlError

START_S = 20.0
# Between questions to the control socket: how long the event loop was away is known this exactly.
ASK_S = 0.005
PING = re.compile(r"\[(\d+\.\d+)\] .*bytes from")


@dataclass(frozen=True, slots=True)
class Waited:
    """How long ovs-vsctl waited, and how long the control socket's answer took at worst meanwhile, in seconds."""

    returned_s: float
    longest_s: float


class Follower:
    """Namespaces `box`, `h1` (10.0.0.11 behind p1) and `h2` (10.0.0.12 behind p2), and in `box` who follows."""

    def __init__(self, lab: Lab, *, is_peer: bool) -> None:
        self._is_peer = is_peer
        self.box, self.h1, self.h2 = (lab.namespace(name) for name in ("box", "h1", "h2"))
        self.box.sysctl(net__ipv6__conf__default__disable_ipv6=1)
        for number, host in ((1, self.h1), (2, self.h2)):
            host.sysctl(net__ipv6__conf__default__disable_ipv6=1)
            lab.link(self.box, f"p{number}", host, "eth0")
            host.address("eth0", f"10.0.0.1{number}/24")
        self.database = Database(lab, self.box)
        self.database.start()
        self.process = self._start(lab)

    def _start(self, lab: Lab) -> Process:
        folder = self.database.folder
        if self._is_peer:
            self._socket = folder / "vs.ctl"
            environment = {**os.environ, "OVS_RUNDIR": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
            words = ["ovs-vswitchd", self.database.remote, f"--unixctl={self._socket}", "-vsyslog:off"]
            process = self.box.start(*words, label="ovs-vswitchd", env=environment)
        else:
            self._socket = lab.folder / "run/inband.ctl"
            words = ["--run-dir", f"{lab.folder}/run", "--state-dir", f"{lab.folder}/state"]
            process = self.box.start(COMMAND, "run", *words, "--ovsdb", self.database.remote, label="inband")
        if not until(self._answers, START_S):
            raise AssertionError(f"it did not start:\n{process.tail()}")
        return process

    @property
    def kind(self) -> str:
        """What is said of a bridge's datapath: the peer's is in user space where there is no module of its kernel."""
        return "netdev" if self._is_peer else "system"

    @property
    def pid(self) -> int:
        """The process that follows; that of `ip netns exec` became it."""
        return self.process.pid

    def management(self, bridge: str) -> Path:
        """The socket that takes OpenFlow of ovs-ofctl."""
        return self._socket.parent / f"{bridge}.mgmt"

    def appctl(self, verb: str, *arguments: str) -> str:
        """What it answers to ovs-appctl."""
        control = Control(self._socket)
        try:
            return control.call(verb, *arguments)
        finally:
            control.close()

    def add_bridge(self, name: str, *ports: str) -> list[str]:
        """Words for ovs-vsctl."""
        words = ["--", "add-br", name, "--", "set", "bridge", name, f"datapath_type={self.kind}"]
        return [*words, *(word for port in ports for word in ("--", "add-port", name, port))]

    def until_first_packet(self) -> float:
        """Seconds from the start of ovs-vsctl, which makes the first bridge, to the first answer between the hosts."""
        for host, other, address in ((self.h1, self.h2, "10.0.0.12"), (self.h2, self.h1, "10.0.0.11")):
            host.ip(
                f"neigh replace {address} lladdr {other.mac('eth0')} dev eth0"
            )  # or ARP's second is what is measured
        ping = self.h1.start("ping", "-D", "-n", "-i", "0.01", "-W", "1", "10.0.0.12", label="ping")
        time.sleep(0.3)
        start = time.time()
        self.database.vsctl(*self.add_bridge("br0", "p1", "p2")[1:])
        first: list[float] = []

        def has_answer() -> bool:
            first.extend(float(each) for each in PING.findall(ping.log.read_text()))
            return bool(first)

        if not until(has_answer, 20.0):
            raise AssertionError(f"no answer came:\n{self.process.tail()}")
        ping.stop()
        return first[0] - start

    def change(self, words: list[str]) -> Waited:
        """Carry out a transaction and see how the process is meanwhile."""
        with self._asking() as longest:
            start = time.perf_counter()
            self.database.vsctl(*words[1:], timeout_s=170)
            returned_s = time.perf_counter() - start
        return Waited(returned_s, longest())

    @contextmanager
    def _asking(self) -> Iterator[Callable[[], float]]:
        """Ask the control socket again and again; gives the longest time that an answer took."""
        took: list[float] = [0.0]
        is_over = threading.Event()
        control = Control(self._socket)

        def ask() -> None:
            while not is_over.wait(ASK_S):
                start = time.perf_counter()
                try:
                    control.call("version")
                except (OSError, ControlError):  # it took longer than the client waits
                    took.append(time.perf_counter() - start)
                    return
                took.append(time.perf_counter() - start)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield lambda: max(took)
        finally:
            is_over.set()
            asking.join()
            control.close()

    def _answers(self) -> bool:
        try:
            control = Control(self._socket)
            control.call("version")
            control.close()
        except (OSError, ControlError):
            return False
        return True
