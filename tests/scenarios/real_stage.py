"""A stage in network namespaces: an `inband run` for each switch, the kernel's network, and real time.

What it waits for it looks for again and again: events come by the control socket, echoes by the controller's log.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from inband.switch.config import FailMode
from lab import topology
from lab.addressing import IPV4, IPV6
from lab.controllers import LabController
from lab.journal import until
from lab.measure import new_mac
from lab.name_servers import Asking, by_name, dnsmasq, record
from lab.net import Lab
from lab.process import Process
from lab.scene import Scene, scene
from lab.switch import Switch
from lab.topology import Topology
from tests.scenarios.stage import BESIDE, CONTROLLER, MOVED, NAME, PATIENCE_S, SERVER, Event, Plan


@contextlib.contextmanager
def real_stage(plan: Plan) -> Iterator[RealStage]:
    """Lay out a stage and start its switches; nothing is left of it afterwards."""
    with scene(Asking((SERVER,) if plan.has_name else ()), lambda lab: _lay(lab, plan)) as made:
        stage = RealStage(made)
        for switch in made.switches:
            _prepare(switch, plan)
        if plan.has_name:
            stage.serve(CONTROLLER)
        yield stage


class RealStage:
    """Implements ``Stage``."""

    def __init__(self, made: Scene) -> None:
        self._made = made
        self._machine = made.topology.controller
        self._controller = made.controller
        self._switches = {switch.site.namespace.short: switch for switch in made.switches}
        self._controls = {name: made.lab.hold(switch.control()) for name, switch in self._switches.items()}
        self._names: Process | None = None

    def serve(self, address: str) -> None:
        """Have NAME lead to an address."""
        if self._names is None:
            self._machine.address("eth0", f"{SERVER}/24")
        else:
            self._names.stop()
        self._names = dnsmasq(self._machine, SERVER, record(address, ttl=3600, name=NAME))

    def connect(self) -> None:
        """As ``Stage.connect``."""
        self._made.connect()

    def log(self, switch: str) -> list[Event]:
        """As ``Stage.log``."""
        events = json.loads(self._controls[switch].call("inband/events", "json"))["events"]
        return [Event(each["kind"], each["bridge"], each["target"]) for each in events if each["kind"] not in BESIDE]

    def wait_for(self, switch: str, events: int) -> None:
        """As ``Stage.wait_for``."""
        came = until(lambda: len(self.log(switch)) >= events, PATIENCE_S)
        assert came, f"{switch} has only {self.log(switch)}"

    def wait_for_echoes(self, number: int) -> None:
        """As ``Stage.wait_for_echoes``."""
        journal, dpids = self._controller.journal, self._made.dpids
        wanted = {dpid: len(journal.entries("echo", dpid)) + number for dpid in dpids}
        came = until(lambda: all(len(journal.entries("echo", dpid)) >= wanted[dpid] for dpid in dpids), PATIENCE_S)
        assert came, "not every switch has answered"

    def stop_controller(self) -> None:
        """As ``Stage.stop_controller``."""
        self._controller.process.stop()

    def start_controller(self) -> None:
        """As ``Stage.start_controller``."""
        self._controller = LabController(self._machine)

    def be_hostile(self) -> None:
        """As ``Stage.be_hostile``."""
        self._controller.order("drop")

    def move_controller(self) -> None:
        """As ``Stage.move_controller``."""
        self.serve(MOVED)
        # Else the kernel takes all addresses of a network with the first of them (ip-sysctl.txt).
        self._machine.sysctl(net__ipv4__conf__all__promote_secondaries=1)
        self._machine.ip(f"addr add {MOVED}/24 dev eth0", f"addr del {CONTROLLER}/24 dev eth0")

    def move_gateway(self) -> None:
        """As ``Stage.move_gateway``."""
        (gateway,) = self._made.topology.gateways
        gateway.sysctl(net__ipv4__conf__eth1__arp_notify=1)
        gateway.ip(f"link set dev eth1 address {new_mac()}")

    def cut_above(self, switch: str) -> None:
        """As ``Stage.cut_above``."""
        self._switches[switch].site.namespace.ip("link set dev north down")

    def mend_above(self, switch: str) -> None:
        """As ``Stage.mend_above``."""
        self._switches[switch].site.namespace.ip("link set dev north up")


def _lay(lab: Lab, plan: Plan) -> Topology:
    on = IPV6 if plan.is_ipv6 else IPV4
    made = topology.between_switch_and_gateway(lab, on) if plan.has_gateway else topology.row(lab, plan.length, on)
    assert len(made.sites) == plan.length
    return by_name(made, NAME) if plan.has_name else made


def _prepare(switch: Switch, plan: Plan) -> None:
    with switch.control() as control:
        mode = "standalone" if plan.fail_mode is FailMode.STANDALONE else "secure"
        control.call("inband/set", "br0", f"fail-mode={mode}", f"inactivity-probe={plan.probe_s:g}s")
