"""A row of four switches, each with a controller of its own, that are reached through each other; and a fifth one.

c1, and gw3 before c3, hang on the last switch; c4, and gw2 before c2, on the first one. So no switch is configured with
what the one beside it needs. With ``by_dhcp`` addresses and the gateway come from dnsmasq on gw2, which names itself,
and c3 is behind gw2, too: dnsmasq names one router to all.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lab.addressing import IPV4
from lab.controllers import LabController
from lab.inband import InbandSwitch
from lab.journal import until
from lab.net import Lab, Namespace
from lab.network_key import make_key, with_key
from lab.switch import Switch, SwitchMaker
from lab.topology import DHCP, BridgePlan, Site, dhcp_server

LENGTH = 4
_STARTING = 4
_POOL = "10.0.0.10,10.0.0.90"
_REMOTES = {1: "10.0.0.101", 2: "10.2.0.102", 3: "10.3.0.103", 4: "10.0.0.104"}
_GATEWAYS = {2: "10.0.0.252", 3: "10.0.0.253"}


@dataclass(slots=True)
class Behind:
    """The network: its switches, nearest to c4 first, and their controllers in the same order."""

    lab: Lab
    switches: list[Switch]
    controllers: list[LabController]
    key: Path
    by_dhcp: bool
    dpids: list[str] = field(default_factory=list)

    def connect(self, timeout_s: float) -> float | None:
        """Tell each switch its controller; how long after the last one all were connected, None: not in time."""
        self.dpids = [switch.dpid() for switch in self.switches]
        told = time.monotonic()
        for switch in self.switches:
            told = time.monotonic()
            switch.set_controllers(*switch.site.bridges[0].targets)
        ups = [each.journal.wait_up([dpid], timeout_s) for each, dpid in zip(self.controllers, self.dpids, strict=True)]
        return max(0.0, max(at for up in ups for at in up.values()) - told) if all(ups) else None

    def order(self, line: str) -> None:
        """Tell all controllers to do harm."""
        for controller in self.controllers:
            controller.order(line)

    def have_addresses(self, timeout_s: float) -> bool:
        """Wait until each LOCAL has one."""
        return until(
            lambda: all("inet " in each.site.namespace.run("ip", "addr", "show", "br0") for each in self.switches),
            timeout_s,
        )

    def silence(self, seconds: float) -> float:
        """Let this time pass; the longest time without an answer of some switch."""
        start = time.monotonic()
        time.sleep(seconds)
        end = time.monotonic()
        pairs = zip(self.controllers, self.dpids, strict=True)
        return max(controller.journal.silence(dpid, start, end) for controller, dpid in pairs)

    def plug_in(self, make: SwitchMaker, timeout_s: float) -> tuple[Switch, float | None]:
        """A fifth switch with ``controller = "auto"``, on the third one.

        It and the time from its link to c1 and c4, which are on one link with all, being connected; None: not in time.
        """
        machine, third = self.lab.namespace("s5"), self.switches[2]
        self.lab.link(third.site.namespace, "extra", machine, "north")
        if isinstance(third, InbandSwitch):
            third.add_port("extra")
        third.site.namespace.ip("link set dev extra down")
        address = DHCP if self.by_dhcp else "10.0.0.5/24"
        fifth = with_key(make(self.lab, Site(machine, (BridgePlan("br0", ("north",), address),))), self.key)
        fifth.start(connect=False)
        fifth.set_controllers("auto")
        linked = time.monotonic()
        third.site.namespace.ip("link set dev extra up")
        near = [self.controllers[0], self.controllers[3]]
        ups = [each.journal.wait_up([fifth.dpid()], timeout_s, since=linked) for each in near]
        return fifth, max(at for up in ups for at in up.values()) - linked if all(ups) else None


@contextlib.contextmanager
def behind(make: SwitchMaker, *, by_dhcp: bool = False, has_key: bool = True, echo_s: float = 0.1) -> Iterator[Behind]:
    """Lay the wires and start all, without controllers yet; all of it is gone afterwards."""
    with Lab(offloads=make.offloads) as lab:
        machines = [lab.namespace(f"s{number}") for number in range(1, LENGTH + 1)]
        remotes = {number: lab.namespace(f"c{number}") for number in _REMOTES}
        for left, right in itertools.pairwise(machines):
            lab.link(left, "south", right, "north")
        _hang_on(lab, machines[-1], "c1", remotes[1], "10.0.0.101/24")
        _hang_on(lab, machines[0], "c4", remotes[4], "10.0.0.104/24")
        gateways = {2: _gateway(lab, machines[0], remotes, 2, by_dhcp=by_dhcp)}
        if not by_dhcp:
            gateways[3] = _gateway(lab, machines[-1], remotes, 3, by_dhcp=by_dhcp)
        if by_dhcp:
            dhcp_server(gateways[2], "eth0", _POOL, _GATEWAYS[2])
        key = make_key(lab)
        switches = [make(lab, _site(machines, at, by_dhcp=by_dhcp)) for at in range(LENGTH)]
        with ThreadPoolExecutor(_STARTING) as starting:
            hosts = [remotes[number] for number in sorted(remotes)]
            controllers = list(starting.map(lambda host: LabController(host, echo_s=echo_s), hosts))
            started = [with_key(switch, key) if has_key else switch for switch in switches]
            list(starting.map(lambda switch: switch.start(connect=False), started))
        yield Behind(lab, switches, controllers, key, by_dhcp)


def _hang_on(lab: Lab, switch: Namespace, port: str, host: Namespace, address: str) -> None:
    lab.link(host, "eth0", switch, port)
    host.address("eth0", address)


def _gateway(lab: Lab, switch: Namespace, remotes: dict[int, Namespace], number: int, *, by_dhcp: bool) -> Namespace:
    """A router between a switch and a controller; by DHCP between it and both that are behind one."""
    router = lab.namespace(f"gw{number}")
    _hang_on(lab, switch, f"gw{number}", router, f"{_GATEWAYS[number]}/24")
    IPV4.forward(router)
    for remote in (2, 3) if by_dhcp else (number,):
        lab.link(router, f"eth{remote}", remotes[remote], "eth0")
        router.address(f"eth{remote}", f"10.{remote}.0.254/24")
        remotes[remote].address("eth0", f"{_REMOTES[remote]}/24")
        remotes[remote].route("default", f"10.{remote}.0.254")
    return router


def _site(machines: list[Namespace], at: int, *, by_dhcp: bool) -> Site:
    ports = ["north"] if at else []
    ports += ["south"] if at < LENGTH - 1 else []
    ports += ["c4", "gw2"] if at == 0 else []
    ports += ["c1", *([] if by_dhcp else ["gw3"])] if at == LENGTH - 1 else []
    address = DHCP if by_dhcp else f"10.0.0.{at + 1}/24"
    gateway = "" if by_dhcp else _GATEWAYS.get(at + 1, "")
    return Site(machines[at], (BridgePlan("br0", tuple(ports), address, gateway, _REMOTES[at + 1]),))
