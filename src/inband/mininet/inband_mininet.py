"""`inband` for Mininet 2.3: a switch, a controller that is reached in-band, and topologies for both.

    mn --custom $(inband mininet) --switch inband --test pingall
    mn --custom $(inband mininet) --switch inband,inband=True --topo inbandline,4 --controller inband --test pingall

In a script: `sys.path.append(os.path.dirname(subprocess.getoutput("inband mininet")))`, then
`from inband_mininet import InbandSwitch`.

Invariant: nothing of the package `inband` is imported here, as Mininet's Python may not have it.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mininet.log import debug, error
from mininet.node import Controller, Host, RemoteController, Switch
from mininet.topo import Topo
from mininet.util import errRun

MININET_DIR = Path("/run/inband-mininet")
OVS_RUN_DIR = "/var/run/openvswitch"
"""Where ovs-ofctl looks for a switch by its name, as scripts written for OVSSwitch have it."""
CONTROLLER_IP = "10.99.0.1"
CONTROLLER_PORT = 6653
START_S, STOP_S, POLL_S = 30.0, 10.0, 0.02


def command() -> str:
    """The program: $INBAND, else the one that lies beside this file's installation, else the first in $PATH."""
    here = Path(command.__code__.co_filename).resolve()  # `mn --custom` runs a file that does not know its name
    candidates = [os.environ.get("INBAND"), shutil.which("inband")]
    for parent in here.parents:  # an environment has bin/ above lib/, a checkout .venv/bin/ above src/
        candidates += [str(parent / "bin" / "inband"), str(parent / ".venv" / "bin" / "inband")]
    for each in candidates:
        if each and os.access(each, os.X_OK):
            return each
    raise FileNotFoundError("there is no program `inband`: install it, or set INBAND to where it is")


class InbandSwitch(Switch):
    """One bridge of one `inband run`. Options of Mininet's OVSSwitch have the same names here."""

    def __init__(
        self,
        name: str,
        failMode: str = "secure",
        datapath: str = "auto",
        inband: bool = False,
        protocols: str | None = None,
        reconnectms: int = 1000,
        stp: bool = False,
        batch: bool = False,
        ip: str | None = None,
        **params: Any,
    ) -> None:
        """``datapath``: auto, ebpf or userspace. ``protocols``: OpenFlow10, OpenFlow13 or both, with a comma between.

        With ``inband`` the switch has a namespace and no connection but its ports: its controllers are reached through
        them. ``ip`` is then the address of its local port (default: 10.100.0.0 plus the datapath id, /8). ``stp``: a
        spanning tree runs (RSTP). With ``batch`` `start` does not wait; Mininet's own `start` waits for all.
        """
        if inband:
            params["inNamespace"] = True
        Switch.__init__(self, name, **params)
        self.failMode = failMode
        self.datapath = {"kernel": "auto", "user": "userspace"}.get(datapath, datapath)
        self.inband = inband
        self.protocols = protocols
        self.reconnectms = reconnectms
        self.stp = stp
        self.batch = batch
        self.address = ip or self._default_address()
        self.folder = MININET_DIR / name
        self.run_dir = self.folder / "run"
        self.process = 0

    def _default_address(self) -> str:
        number = int(self.dpid, 16) & 0xFFFF
        return f"10.100.{number >> 8}.{number & 0xFF}/8"

    @classmethod
    def setup(cls) -> None:
        """Called by Mininet once: say early that the program is missing."""
        try:
            command()
        except FileNotFoundError as missing:
            error(f"*** {missing}\n")
            sys.exit(1)

    @staticmethod
    def isOldOVS() -> bool:
        """Whether ports cannot be numbered: scripts for OVSSwitch ask that."""
        return False

    # --- start and stop -----------------------------------------------------------------------------------------

    def start(self, controllers: Sequence[Controller]) -> None:
        """Start the switch; returns when it forwards, unless ``batch`` was asked for. One that runs begins anew."""
        self._finish()
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [command(), "run", *self._options(controllers), *shlex.split(self.opts)]
        log = shlex.quote(str(self.folder / "log"))
        self.cmd(shlex.join(words), f">{log} 2>&1 </dev/null &")
        self.process = int(self.cmd("echo $!").split()[-1])
        if not self.batch:
            self.wait_until_started()

    def _options(self, controllers: Sequence[Controller]) -> list[str]:
        options = [
            "--run-dir", str(self.run_dir), "--state-dir", str(self.folder / "state"), "--bridge", self.name,
            "--fail-mode", self.failMode, "--datapath", self.datapath,
            "--ovs-run-dir", os.environ.get("OVS_RUNDIR", OVS_RUN_DIR),
        ]  # fmt: skip
        options += ["--rstp", "on"] if self.stp else []
        if int(self.dpid, 16):  # s0 has none: the switch takes one of its MAC addresses
            options += ["--datapath-id", self.dpid]
        if self.reconnectms:
            options += ["--max-backoff", f"{self.reconnectms}ms"]
        for protocol in self.protocols.split(",") if self.protocols else ():
            options += ["--openflow-version", f"{protocol.removeprefix('OpenFlow')[0]}.{protocol[-1]}"]
        for intf in self.intfList():
            if self.ports[intf] and not intf.IP():
                options += ["--port", f"{intf.name}={self.ports[intf]}"]
        for controller in controllers:
            scheme = {"ssl": "tls"}.get(controller.protocol, controller.protocol)
            path = "" if self.inband else ",out-of-band"
            options += ["--controller", f"{scheme}:{controller.IP()}:{controller.port}{path}"]
        if self.listenPort:
            options += ["--controller", f"ptcp:{self.listenPort}"]
        return [*options, *(["--address", self.address] if self.inband else ["--no-in-band"])]

    def wait_until_started(self, patience_s: float = START_S) -> None:
        """Return when the control socket, which comes last, takes connections. Raises RuntimeError after that long."""
        end = time.monotonic() + patience_s
        while not self._answers():
            if not self._runs() or time.monotonic() > end:
                log = self.folder / "log"
                raise RuntimeError(f"{self.name}: inband did not start: {log.read_text().strip() or log}")
            time.sleep(POLL_S)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(str(self.run_dir / "inband.ctl")) == 0

    def _runs(self) -> bool:
        return bool(self.process) and Path(f"/proc/{self.process}").exists()

    @classmethod
    def batchStartup(cls, switches: Iterable[InbandSwitch], run: Any = errRun) -> Iterable[InbandSwitch]:
        """Called by Mininet when all are under way."""
        started = list(switches)
        for switch in started:  # side by side, so the first of them may take as long as all
            switch.wait_until_started(START_S * len(started))
            switch.batch = False  # who starts it again, at the prompt, starts it alone
        return started

    def stop(self, deleteIntfs: bool = True) -> None:
        """End the switch."""
        self._finish()
        super().stop(deleteIntfs)

    def _finish(self) -> None:
        """End the process, if there is one, and what is left of it."""
        self._end()
        end = time.monotonic() + STOP_S
        while self._runs():
            self.cmd(f"wait {self.process}")  # it is this node's shell's child, and stays a zombie until then
            if time.monotonic() > end:
                os.kill(self.process, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        if self._runs():
            os.kill(self.process, signal.SIGTERM)

    @classmethod
    def batchShutdown(cls, switches: Iterable[InbandSwitch], run: Any = errRun) -> Iterable[InbandSwitch]:
        """Called by Mininet, which does not stop those that are returned: end all at once, and wait for each."""
        ending = list(switches)
        for switch in ending:
            switch._end()
        for switch in ending:
            switch._finish()
        return ending

    # --- while it runs ------------------------------------------------------------------------------------------

    def attach(self, intf: Any) -> None:
        """Add a port."""
        self._inband("add-port", self.name, f"{intf}={self.ports[intf]}")
        self.cmd("ip link set dev", intf, "up")

    def detach(self, intf: Any) -> None:
        """Remove a port."""
        self._inband("del-port", self.name, str(intf))

    def _inband(self, *words: str) -> str:
        said: str = self.cmd(shlex.join([command(), "--run-dir", str(self.run_dir), *words]))
        debug(said)
        return said

    def dpctl(self, *args: str) -> str:
        """`dpctl` of Mininet's prompt: ovs-ofctl."""
        management = f"unix:{self.run_dir / self.name}.mgmt"
        version = f"-O {self.protocols}" if self.protocols else ""
        said: str = self.cmd("ovs-ofctl", version, args[0], management, *args[1:])
        return said

    def connected(self) -> bool:
        """Whether the switch forwards as it should: with a controller, or by itself where it may."""
        if self.failMode == "standalone":
            return self._answers()
        try:
            return any(each["connected"] for each in self.status()["controllers"])
        except OSError:  # not started yet, or too busy on a machine with many: Mininet asks again
            return False

    def status(self) -> dict[str, Any]:
        """What `inband show --json` says of this bridge."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(STOP_S)
            sock.connect(str(self.run_dir / "inband.ctl"))
            sock.sendall(json.dumps({"method": "inband/show", "params": ["json"], "id": 0}).encode())
            answer = b""
            while True:
                try:
                    said = json.loads(answer)
                    break
                except ValueError:
                    more = sock.recv(1 << 16)
                    if not more:
                        raise ConnectionError(f"{self.name} closed its control socket") from None
                    answer += more
        bridge: dict[str, Any] = json.loads(said["result"])["bridges"][0]
        return bridge


class InbandBridge(InbandSwitch):
    """A learning switch without controllers, as Mininet's OVSBridge."""

    def __init__(self, *args: Any, **params: Any) -> None:
        """As InbandSwitch, with fail mode standalone."""
        InbandSwitch.__init__(self, *args, **dict(params, failMode="standalone"))

    def start(self, controllers: Sequence[Controller]) -> None:
        """Start the switch; its controllers are none of it."""
        super().start([])


# --- controllers in the network ------------------------------------------------------------------------------------


class ControllerHost(Host):
    """A host that runs a controller: by default Open vSwitch's ovs-testcontroller, which makes learning switches."""

    def __init__(self, name: str, run: str = "ovs-testcontroller ptcp:{port}", **params: Any) -> None:
        """``run``: the command; {port} in it stands for the port to listen on."""
        Host.__init__(self, name, **params)
        self.run = run.format(port=CONTROLLER_PORT)

    def config(self, **params: Any) -> dict[str, Any]:
        """Called by Mininet when the host has its address: the controller can start."""
        configured: dict[str, Any] = super().config(**params)
        self.cmd(f"{self.run} >/dev/null 2>&1 </dev/null &")
        return configured

    def terminate(self) -> None:
        """End the controller with its host."""
        if self.shell and not self.waiting:
            self.cmd("kill $(jobs -p)")
        super().terminate()


class InbandController(RemoteController):
    """The controller on a ControllerHost, as switches know it."""

    def __init__(self, name: str, ip: str = CONTROLLER_IP, port: int = CONTROLLER_PORT, **params: Any) -> None:
        """``ip`` and ``port``: where switches find it, through the network they make."""
        RemoteController.__init__(self, name, ip=ip, port=port, **params)

    def checkListening(self) -> None:
        """From here, outside the network, it cannot be reached; that says nothing."""


class InbandLine(Topo):
    """Switches s1 to sN in a row, a host h1 to hN at each, and the controller's host hc at s1."""

    def build(self, n: int = 4, run: str | None = None) -> list[str]:
        """``run``: the controller's command, as in ControllerHost. Returns the switches."""
        switches = [self.addSwitch(f"s{number}") for number in range(1, n + 1)]
        for number, switch in enumerate(switches, 1):
            self.addLink(self.addHost(f"h{number}"), switch)
        for first, second in pairwise(switches):
            self.addLink(first, second)
        options = {} if run is None else {"run": run}
        self.addLink(self.addHost("hc", cls=ControllerHost, ip=f"{CONTROLLER_IP}/8", **options), switches[0])
        return switches


class InbandRing(InbandLine):
    """As InbandLine, and a link from the last switch to the first.

    Packets of hosts circle where a controller makes plain learning switches of a ring: give it a command of its own.
    """

    def build(self, n: int = 4, run: str | None = None) -> list[str]:
        """As in InbandLine, but without a command of its own there is no controller."""
        switches = super().build(n, run or "sleep infinity")
        self.addLink(switches[-1], switches[0])
        return switches


switches = {"inband": InbandSwitch, "inbandbr": InbandBridge}
controllers = {"inband": InbandController}
topos = {"inbandline": InbandLine, "inbandring": InbandRing}
