"""What is special to the peer: an Open vSwitch of our own at each site.

Its own ovsdb-server and ovs-vswitchd with private database, sockets and logs, in the site's namespace, userspace
datapath; never the system's service. What its measurement needs and ours must not need is here too: the host's stack
has to be kept from answering on the ports (it would answer ARP for the bridge's address), and checksum offload has to
be off.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.journal import until
from lab.net import Lab, run
from lab.process import Process, listens
from lab.switch import Hidden, hidden_in
from lab.topology import DHCP, BridgePlan, Site
from lab.unixctl import Control, ControlError

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
START_S = 20.0


def is_installed() -> bool:
    """Tell whether there is an Open vSwitch on this machine to compare with."""
    return SCHEMA.exists() and shutil.which("ovs-vswitchd") is not None


def version() -> str:
    """Return its version, for the table's heading."""
    return run("ovs-vswitchd", "--version").splitlines()[0].rpartition(" ")[2]


class OvsSwitch:
    """One ovs-vswitchd with its database; see :class:`lab.switch.Switch` for what the methods promise."""

    name = "Open vSwitch"
    offloads = False

    def __init__(self, lab: Lab, site: Site, *, tso: bool = False) -> None:
        """With ``tso`` frames keep their offloads (userspace-tso), which is its fastest; experimental in 3.1."""
        self.site = site
        self._lab = lab
        self._tso = tso
        self._folder = lab.folder / f"ovs-{site.namespace.short}"
        self._folder.mkdir()
        self._database: Process | None = None
        self._daemon: Process | None = None
        self._control: Control | None = None

    def start(self, *, connect: bool = True) -> None:
        """Start both daemons; on the first start make the bridges, later the database has them."""
        fresh = not (self._folder / "conf.db").exists()
        if fresh:
            run("ovsdb-tool", "create", str(self._folder / "conf.db"), str(SCHEMA))
        self._start_database()
        self._start_daemon()
        for plan in self.site.bridges:
            if fresh:
                self._add_bridge(plan)
            if fresh and plan.tls is not None:
                self._vsctl("set-ssl", *map(str, (plan.tls.own.key, plan.tls.own.certificate, plan.tls.ca)))
            self._address(plan)
            if fresh and connect and plan.targets:
                self.set_controllers(*plan.targets, bridge=plan.name)

    def restart(self) -> None:
        """Start ovs-vswitchd alone, as its monitor does after a crash; the database still runs."""
        self._start_daemon()
        for plan in self.site.bridges:  # its tap is a new interface: whoever configured the old one does so again
            self._wait_for(plan.name)
            self._address(plan)

    def _start_daemon(self) -> None:
        socket = self._folder / "vs.ctl"
        socket.unlink(missing_ok=True)
        self._daemon = self.site.namespace.start(
            "ovs-vswitchd", f"unix:{self._folder}/db.sock", f"--unixctl={socket}", "-vconsole:info", "-vsyslog:off",
            label="ovs-vswitchd", env=self._environment(),
        )  # fmt: skip
        if not until(self._answers, START_S):
            raise AssertionError(f"ovs-vswitchd did not start:\n{self._daemon.tail()}")

    def stop(self) -> None:
        """End both daemons."""
        for each in (self._daemon, self._database):
            if each is not None:
                each.stop()

    def kill9(self) -> None:
        """Crash ovs-vswitchd; the database stays, as it does on a real machine."""
        assert self._daemon is not None
        self._daemon.kill9()

    def dpid(self, bridge: str = "br0") -> str:
        """Return the datapath ID."""
        return self._vsctl("get", "bridge", bridge, "datapath_id").strip().strip('"')

    def set_controllers(self, *targets: str, bridge: str = "br0") -> None:
        """Replace the controllers."""
        self._vsctl("set-controller", bridge, *targets) if targets else self._vsctl("del-controller", bridge)

    def set_managers(self, *targets: str) -> None:
        """Replace the managers; the database server is not told of them, as they only have to be protected."""
        self._vsctl("set-manager", *targets) if targets else self._vsctl("del-manager")

    def reload(self, *managers: str) -> None:
        """As ``set_managers``: its configuration is a database."""
        self.set_managers(*managers)

    def set_queue(self, queue: int | None, bridge: str = "br0") -> None:
        """Set or take away other_config:in-band-queue."""
        if queue is None:
            self._vsctl("remove", "bridge", bridge, "other_config", "in-band-queue")
        else:
            self._vsctl("set", "bridge", bridge, f"other_config:in-band-queue={queue}")

    def set_flow_limit(self, limit: int, bridge: str = "br0") -> None:
        """Limit table 0 through a Flow_Table row."""
        self._vsctl(
            "--", "--id=@t", "create", "Flow_Table", f"flow_limit={limit}", "overflow_policy=refuse",
            "--", "set", "bridge", bridge, "flow_tables:0=@t",
        )  # fmt: skip

    def set_fail_mode(self, mode: str, bridge: str = "br0") -> None:
        """Say what is done without a controller."""
        self._vsctl("set-fail-mode", bridge, mode)

    def set_vlans(self, port: str, vlans: Mapping[str, str], bridge: str = "br0") -> None:
        """Set the columns tag, trunks and vlan_mode of a port; what is not named is emptied."""
        words = [f"{column}={vlans.get(column, '[]').replace('+', ',')}" for column in ("tag", "trunks", "vlan_mode")]
        self._vsctl("set", "port", port, *words)
        self.wait_for_revalidators()

    def set_rstp(self, priority: int, bridge: str = "br0") -> None:
        """Have the bridge run a spanning tree."""
        self._vsctl("set", "bridge", bridge, "rstp_enable=true", f"other_config:rstp-priority={priority}")

    def forwarding(self, bridge: str = "br0") -> frozenset[str]:
        """The interfaces that the spanning tree lets forward."""
        with self.control() as control:
            rows = [line.split() for line in control.call("rstp/show", bridge).splitlines()]
        return frozenset(row[0] for row in rows if len(row) == 5 and row[2] == "Forwarding")

    def set_mac(self, mac: str, bridge: str = "br0") -> None:
        """Set other_config:hwaddr."""
        self._vsctl("set", "bridge", bridge, f'other_config:hwaddr="{mac}"')

    def hidden(self, bridge: str = "br0") -> frozenset[Hidden]:
        """Return the hidden flows."""
        if self._control is None:
            self._control = self._lab.hold(self.control())
        return hidden_in(self._control.call("bridge/dump-flows", bridge))

    def control(self) -> Control:
        """Return a connection of its own to the control socket."""
        return Control(self._folder / "vs.ctl")

    def wait_for_revalidators(self) -> None:
        """Return when cached decisions are those of the present flows: it changes them up to half a second later."""
        with self.control() as control:
            control.call("revalidator/wait")

    def management(self, bridge: str = "br0") -> Path:
        """Return the socket that takes OpenFlow without being a controller's."""
        return self._folder / f"{bridge}.mgmt"

    def ofctl(self, command: str, *arguments: str, bridge: str = "br0") -> str:
        """Run ovs-ofctl on the management socket."""
        return run("ovs-ofctl", "-O", "OpenFlow13", command, f"unix:{self.management(bridge)}", *arguments)

    def pids(self) -> tuple[int, ...]:
        """Return ovs-vswitchd alone: the database does not forward."""
        assert self._daemon is not None
        return (self._daemon.pid,)

    def _start_database(self) -> None:
        if self._database is not None and self._database.is_running:
            return
        self._database = self.site.namespace.start(
            "ovsdb-server", str(self._folder / "conf.db"), f"--remote=punix:{self._folder}/db.sock",
            f"--unixctl={self._folder}/db.ctl", "-vconsole:info", "-vsyslog:off",
            label="ovsdb-server", env=self._environment(),
        )  # fmt: skip
        if not until(lambda: listens(self._folder / "db.sock"), START_S):
            raise AssertionError(f"ovsdb-server did not start:\n{self._database.tail()}")
        self._vsctl("--no-wait", "init")
        if self._tso:  # read once, at the daemon's start
            self._vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true")

    def _add_bridge(self, plan: BridgePlan) -> None:
        for port in plan.ports:
            self._own_alone(port)
        words = [
            "--",
            "add-br",
            plan.name,
            "--",
            "set",
            "bridge",
            plan.name,
            "datapath_type=netdev",
            "fail_mode=secure",
        ]
        for number, port in enumerate(plan.ports, start=1):
            words += ["--", "add-port", plan.name, port, "--", "set", "interface", port, f"ofport_request={number}"]
        self._vsctl(*words)

    def _own_alone(self, port: str) -> None:
        """Keep the host's stack from answering on a port: the peer does not do that itself."""
        conf = f"net.ipv4.conf.{port}"
        self.site.namespace.run(
            "sysctl", "-qw", f"{conf}.rp_filter=1", f"{conf}.arp_ignore=8", f"net.ipv6.conf.{port}.disable_ipv6=1"
        )

    def _address(self, plan: BridgePlan) -> None:
        namespace = self.site.namespace
        if plan.address == DHCP:
            script = self._folder / "udhcpc.sh"
            script.write_text(DHCP_SCRIPT)
            script.chmod(0o755)
            namespace.ip(f"link set dev {plan.name} up")
            namespace.start("udhcpc", "-f", "-n", "-i", plan.name, "-s", str(script), label="udhcpc")
        elif plan.address:
            addresses = [f"addr replace {each} dev {plan.name}" for each in plan.addresses]
            namespace.ip(*addresses, f"link set dev {plan.name} up")
        if plan.gateway:
            namespace.route("default", plan.gateway)

    def _vsctl(self, *words: str) -> str:
        return run("ovs-vsctl", f"--db=unix:{self._folder}/db.sock", "--timeout=20", *words)

    def _answers(self) -> bool:
        try:
            with self.control() as control:
                control.call("version")
        except (OSError, ControlError):
            return False
        self._control = None  # the last one's was another process's
        return True

    def _wait_for(self, interface: str) -> None:
        until(lambda: interface in self.site.namespace.run("ls", "/sys/class/net").split(), START_S)

    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "OVS_RUNDIR": folder,
            "OVS_LOGDIR": folder,
            "OVS_DBDIR": folder,
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }


class OvsTso:
    """Makes an :class:`OvsSwitch` with userspace-tso: see :class:`lab.switch.SwitchMaker`."""

    name = "Open vSwitch userspace-tso"
    offloads = True

    def __call__(self, lab: Lab, site: Site) -> OvsSwitch:
        """Make one."""
        return OvsSwitch(lab, site, tso=True)


DHCP_SCRIPT = """#!/bin/sh
case "$1" in
bound|renew) ip addr replace "$ip/${mask:-24}" dev "$interface" ;;
esac
"""
"""What udhcpc runs to configure the interface."""
