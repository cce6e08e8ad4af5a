"""Our switch, as a user runs it: `inband run` with a configuration file, in the site's namespace.

Nothing of it is imported here. What the user may rely on (docs/guide.md) is all that is used: the command, its
configuration file, the control socket and the management sockets.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.journal import until
from lab.net import Lab, run
from lab.process import Process
from lab.switch import Hidden, SwitchMaker, hidden_in
from lab.topology import BridgePlan, Site
from lab.unixctl import Control, ControlError

COMMAND = str(Path(sys.executable).with_name("inband"))
START_S = 30.0
"""Until the control socket answers; ten interpreters starting on two busy cores take a while."""
RELOAD_S = 60.0
"""However long a reload takes, it is the switch's figure and not our error."""


class InbandSwitch:
    """One `inband run`; see :class:`lab.switch.Switch` for what the methods promise."""

    name = "inband"
    offloads = True
    datapath = "userspace"
    neighbours = True

    def __init__(self, lab: Lab, site: Site) -> None:
        self.site = site
        self.dns_servers: tuple[str, ...] = ()
        self.fail_mode = "secure"
        self.network_key: Path | None = None
        self.protects = False
        self._lab = lab
        self.run_dir = lab.folder / f"inband-{site.namespace.short}"
        self.run_dir.mkdir(mode=0o700)
        self.state_dir = lab.folder / f"state-{site.namespace.short}"
        self._config = lab.folder / f"inband-{site.namespace.short}.toml"
        self._process: Process | None = None
        self._asking: Control | None = None
        self._controllers: dict[str, tuple[str, ...]] = {}

    def start(self, *, connect: bool = True) -> None:
        """Write the configuration, start, and wait until the control socket answers."""
        process = self._launch(connect=connect)
        if not until(self.is_ready, START_S):
            raise AssertionError(f"inband did not start:\n{process.tail()}")

    def is_ready(self) -> bool:
        """Whether it takes commands and has all its bridges; fails when the process has ended instead."""
        assert self._process is not None
        if not self._process.is_running:
            raise AssertionError(f"inband ended ({self._process.exit_code}):\n{self._process.tail()}")
        try:
            return all(self.status(plan.name) for plan in self.site.bridges)
        except (OSError, ControlError):
            self._asking = None
            return False

    def restart(self) -> None:
        """Start again what was killed, with its controllers, and return before it is ready."""
        self._launch(connect=True)

    def stop(self) -> None:
        """End it in an orderly way."""
        assert self._process is not None
        self._process.stop()

    def kill9(self) -> None:
        """Crash it."""
        assert self._process is not None
        self._process.kill9()

    def dpid(self, bridge: str = "br0") -> str:
        """Return the datapath ID that `show` gives."""
        return str(self.status(bridge)["datapath_id"]).removeprefix("0x").rjust(16, "0")

    def status(self, bridge: str = "br0") -> Mapping[str, Any]:
        """Return what `show --json` says about a bridge."""
        everything = json.loads(self.call("inband/show", "json"))
        found = [each for each in everything["bridges"] if each["name"] == bridge]
        assert len(found) == 1
        return dict(found[0])

    def set_controllers(self, *targets: str, bridge: str = "br0") -> None:
        """Replace the controllers."""
        self._controllers[bridge] = targets
        self.call("inband/set-controller", bridge, *targets) if targets else self.call("inband/del-controller", bridge)

    def set_managers(self, *targets: str) -> None:
        """Replace the managers."""
        self.call("inband/set-manager", *targets) if targets else self.call("inband/del-manager")

    def reload(self, *managers: str) -> None:
        """Write these managers, and the controllers that were set, into the file and have it read."""
        self._configure(self._controllers, managers)
        with Control(self.run_dir / "inband.ctl", timeout_s=RELOAD_S) as control:
            control.call("inband/reload")

    def set_queue(self, queue: int | None, bridge: str = "br0") -> None:
        """Set or take away the control queue."""
        self.call("inband/set", bridge, f"queue={'none' if queue is None else queue}")

    def set_flow_limit(self, limit: int, bridge: str = "br0") -> None:
        """Let each table hold at most this many flows."""
        self.call("inband/set", bridge, f"flow-limit={limit}")

    def set_fail_mode(self, mode: str, bridge: str = "br0") -> None:
        """Say what is done without a controller."""
        self.call("inband/set", bridge, f"fail-mode={mode}")

    def set_vlans(self, port: str, vlans: Mapping[str, str], bridge: str = "br0") -> None:
        """Have a port be a member of VLANs; none: of all."""
        words = [f"{column.replace('_', '-')}={value}" for column, value in vlans.items()]
        self.call("inband/set-port", bridge, ",".join([port, *words]))

    def add_port(self, port: str, bridge: str = "br0") -> None:
        """Have one more interface as a port."""
        self.call("inband/add-port", bridge, port)

    def set_rstp(self, priority: int, bridge: str = "br0") -> None:
        """Have the bridge run a spanning tree."""
        self.call("inband/set", bridge, "rstp=on", f"rstp-priority={priority}")

    def forwarding(self, bridge: str = "br0") -> frozenset[str]:
        """The interfaces that the spanning tree lets forward."""
        ports = self.status(bridge)["ports"]
        return frozenset(port["name"] for port in ports if port["rstp"] and port["rstp"]["state"] == "Forwarding")

    def change_file(self, key: str, value: str) -> None:
        """Have the configuration file say something else, in TOML; the switch reads it at the next reload."""
        text = self._config.read_text()
        self._config.write_text(re.sub(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE))

    def set_mac(self, mac: str, bridge: str = "br0") -> None:
        """Give the local port another MAC address."""
        self.call("inband/set", bridge, f"mac={mac}")

    def hidden(self, bridge: str = "br0") -> frozenset[Hidden]:
        """Return the hidden flows."""
        return hidden_in(self.call("bridge/dump-flows", bridge))

    def control(self) -> Control:
        """Return a connection of its own to the control socket."""
        return Control(self.run_dir / "inband.ctl")

    def management(self, bridge: str = "br0") -> Path:
        """Return the socket that takes OpenFlow without being a controller's."""
        return self.run_dir / f"{bridge}.mgmt"

    def ofctl(self, command: str, *arguments: str, bridge: str = "br0") -> str:
        """Run ovs-ofctl on the management socket."""
        return run("ovs-ofctl", "-O", "OpenFlow13", command, f"unix:{self.management(bridge)}", *arguments)

    def pids(self) -> tuple[int, ...]:
        """Return the one process."""
        assert self._process is not None
        return (self._process.pid,)

    def counters(self) -> dict[str, int]:
        """Return the counters of `coverage/show`, each summed over everything that counts it."""
        total: Counter[str] = Counter()
        for line in self.call("coverage/show").splitlines():
            words, _, value = line.rpartition(" ")
            total[words.split(maxsplit=1)[-1].strip()] += int(value)
        return dict(total)

    def log(self) -> str:
        """Return what the process has said."""
        assert self._process is not None
        return self._process.log.read_text(errors="replace")

    def start_again(self) -> None:
        """Start it again with the configuration file as it is, and return before it is ready."""
        self._run()

    def _launch(self, *, connect: bool) -> Process:
        self._controllers = {plan.name: plan.targets for plan in self.site.bridges} if connect else {}
        self._configure(self._controllers)
        return self._run()

    def _run(self) -> Process:
        self._process = self.site.namespace.start(
            *(COMMAND, "run", "--config", str(self._config), "--run-dir", str(self.run_dir)),
            *("--state-dir", str(self.state_dir)),
            label="inband",
        )
        self._asking = None
        return self._process

    def call(self, method: str, *params: str) -> str:
        """Give a command over the control socket; raises ControlError when it is refused."""
        if self._asking is None:
            self._asking = self._lab.hold(self.control())
        return self._asking.call(method, *params)

    def _configure(self, controllers: Mapping[str, Sequence[str]], managers: Sequence[str] = ()) -> None:
        """Write the configuration file; controllers are by bridge."""
        lines = [f"dns-server = {list(self.dns_servers)}"] if self.dns_servers else []
        lines += [f"manager = {list(managers)}"] if managers else []
        bridges = [self._toml(plan, controllers.get(plan.name, ())) for plan in self.site.bridges]
        self._config.write_text("\n".join([*lines, *bridges]))

    def _toml(self, plan: BridgePlan, controllers: Sequence[str]) -> str:
        lines = ["[[bridge]]", f'name = "{plan.name}"', f"port = {list(plan.ports)}", f'fail-mode = "{self.fail_mode}"']
        lines.append(f'datapath = "{self.datapath}"')
        if not self.neighbours:
            lines.append("neighbours = false")
        if self.network_key is not None:
            lines.append(f'network-key = "{self.network_key}"')
        if self.protects:
            lines.append('protect = "duplicate"')
        if plan.address:
            lines.append(f"address = {list(plan.addresses)}")
        if plan.vlan is not None:
            lines.append(f"control-vlan = {plan.vlan}")
        if plan.gateway:
            lines.append(f'gateway = "{plan.gateway}"')
        if controllers:
            lines.append(f"controller = {list(controllers)}")
        if plan.tls is not None:
            files = (plan.tls.own.key, plan.tls.own.certificate, plan.tls.ca)
            keys = ("private-key", "certificate", "ca-cert")
            lines += [f'{key} = "{file}"' for key, file in zip(keys, files, strict=True)]
        return "\n".join([*lines, ""])


@dataclass(slots=True)
class OnDatapath:
    """Makes our switch with this datapath: see :class:`lab.switch.SwitchMaker`."""

    datapath: str
    name: str = "inband"
    offloads: bool = True

    def __call__(self, lab: Lab, site: Site) -> InbandSwitch:
        """Make one; it is not started yet."""
        switch = InbandSwitch(lab, site)
        switch.datapath = self.datapath
        return switch


def on_ebpf(make: SwitchMaker) -> SwitchMaker:
    """What makes our switches with their packets in the kernel, in place of what makes them otherwise."""
    return OnDatapath("ebpf") if make is InbandSwitch else make
