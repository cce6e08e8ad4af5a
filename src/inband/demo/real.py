"""The demo's stage on real network namespaces: three `inband run` processes, the kernel's TCP, real veth pairs.

It uses what any user has: the command with its options, and the control socket for the number of hidden flows. The
controller and the pinging host live in this process, on sockets that belong to their namespaces.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from inband.controller.behaviour import Behaviour
from inband.controller.controller import Channel, Controller
from inband.demo.nodes import Node, link, stop
from inband.demo.pinger import Pinger
from inband.demo.story import Pings
from inband.errors import HostError, InbandError
from inband.runtime.streams import SocketStream
from inband.runtime.tls_clock import TlsClock
from inband.runtime.unixctl_client import CONTROL_SOCKET, call
from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import OPENFLOW_PORT

NAMES = ("s1", "s2", "s3")
CONTROLLER, NEAR, FAR = "10.0.0.100", "10.0.0.201", "10.0.0.202"
LOG_LINES = 20


class NamespaceStage:
    """c --- s1 --- s2 --- s3, with h1 at s1 and h2 at s3."""

    title = "three `inband run` processes in network namespaces"

    def __init__(self, datapath: str) -> None:
        self.pings = Pings()
        self.started: dict[str, Instant] = {}
        self._datapath = datapath
        self._folder = tempfile.TemporaryDirectory(prefix="inband-demo-")
        self._path = Path(self._folder.name)
        self._loop = asyncio.get_running_loop()
        self._nodes: dict[str, Node] = {}
        self._switches: dict[str, subprocess.Popen[bytes]] = {}
        self._controller = Controller(self._loop)
        self._server: asyncio.Server | None = None
        self._pinger: Pinger | None = None
        self._datapath_ids: dict[str, int] = {}
        self._hidden: dict[str, int] = {}
        self._asking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """As ``Stage.start``."""
        self._build()
        sock = self._nodes["c"].listen(CONTROLLER, OPENFLOW_PORT)
        clock = TlsClock()
        self._server = await self._loop.create_server(lambda: SocketStream(self._controller.accept(), clock), sock=sock)
        self._pinger = Pinger(self._nodes["h1"].icmp_socket(), FAR, self.pings, self._loop)
        self._pinger.start()
        for number, name in enumerate(NAMES, 1):
            self._start_switch(name, number)
        self._asking = self._loop.create_task(self._keep_asking())

    async def wait(self, seconds: float) -> None:
        """As ``Stage.wait``; raises HostError when a switch has ended."""
        await asyncio.sleep(seconds)
        for name, process in self._switches.items():
            if process.poll() is not None:
                text = self._log(name).read_text(errors="replace").splitlines()[-LOG_LINES:]
                raise HostError(f"run switch {name}", "\n".join(["it ended; its last words were:", *text]))

    async def close(self) -> None:
        """As ``Stage.close``."""
        if self._asking is not None:
            self._asking.cancel()
        if self._pinger is not None:
            self._pinger.close()
        for process in self._switches.values():
            process.terminate()  # all at once, then wait for each
        for process in self._switches.values():
            stop(process)
        if self._server is not None:
            self._server.close()
        self._controller.hang_up()
        for node in self._nodes.values():
            node.close()
        self._folder.cleanup()

    def now(self) -> Instant:
        """The event loop's clock."""
        return self._loop.time()

    def behave(self, behaviour: Behaviour) -> None:
        """As ``Stage.behave``."""
        self._controller.behave(behaviour)

    def channel(self, switch: str) -> Channel | None:
        """As ``Stage.channel``."""
        return self._controller.channels.get(self._datapath_ids.get(switch, -1))

    def hidden_flows(self, switch: str) -> int | None:
        """As ``Stage.hidden_flows``; asked once a second."""
        return self._hidden.get(switch)

    # --- building -----------------------------------------------------------------------------------------------

    def _build(self) -> None:
        for name in ("c", *NAMES, "h1", "h2"):
            self._nodes[name] = Node(name)
        nodes = self._nodes
        link(nodes["c"], "eth0", nodes["s1"], "north")
        link(nodes["s1"], "south", nodes["s2"], "north")
        link(nodes["s2"], "south", nodes["s3"], "north")
        link(nodes["h1"], "eth0", nodes["s1"], "host")
        link(nodes["h2"], "eth0", nodes["s3"], "host")
        for name, address in (("c", CONTROLLER), ("h1", NEAR), ("h2", FAR)):
            nodes[name].address("eth0", f"{address}/24")

    def _start_switch(self, name: str, number: int) -> None:
        ports = {"s1": ("north", "south", "host"), "s2": ("north", "south"), "s3": ("north", "host")}[name]
        command = [sys.executable, "-m", "inband.cli.main", "run", "--run-dir", str(self._run_dir(name))]
        command += ["--state-dir", str(self._run_dir(name) / "state")]
        command += [
            "--bridge",
            "br0",
            "--address",
            f"10.0.0.{number}/24",
            "--controller",
            f"tcp:{CONTROLLER}:{OPENFLOW_PORT}",
        ]
        command += ["--fail-mode", "secure", "--datapath", self._datapath]
        command += [word for port in ports for word in ("--port", port)]
        self.started[name] = self._loop.time()
        self._switches[name] = self._nodes[name].start(command, self._log(name))

    def _run_dir(self, name: str) -> Path:
        return self._path / name

    def _log(self, name: str) -> Path:
        return self._path / f"{name}.log"

    # --- asking the switches ------------------------------------------------------------------------------------

    async def _keep_asking(self) -> None:
        while True:
            for name in NAMES:
                await asyncio.to_thread(self._ask, name)
            await asyncio.sleep(1.0 if len(self._datapath_ids) == len(NAMES) else 0.1)

    def _ask(self, name: str) -> None:
        try:
            document = json.loads(call(self._run_dir(name) / CONTROL_SOCKET, "inband/show", ["json"], timeout_s=2.0))
        except InbandError:
            return  # not there yet, or busy: the next answer will do
        bridge = document["bridges"][0]
        self._datapath_ids[name] = int(bridge["datapath_id"], 16)
        self._hidden[name] = int(bridge["in_band"]["hidden_flows"])
