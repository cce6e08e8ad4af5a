"""A stage in the simulator: virtual time passes as far as the scenario waits for something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_interface

from inband.controller.behaviour import DELETE_AND_DROP
from inband.sim import topologies
from inband.sim.link import Link
from inband.sim.names import NameServer
from inband.sim.switch import SwitchHost
from inband.sim.topologies import IPV4, IPV6
from inband.vocabulary.addresses import Mac
from tests.scenarios.stage import BESIDE, CONTROLLER, MOVED, NAME, PATIENCE_S, SERVER, Event, Plan

_NEW_MAC = Mac.parse("02:00:00:00:99:99")


class SimStage:
    """Implements ``Stage``."""

    def __init__(self, plan: Plan) -> None:
        make = topologies.row_behind_gateway if plan.has_gateway else topologies.row
        self._made = made = make(plan.length, on=IPV6 if plan.is_ipv6 else IPV4)
        self._host = made.controller.host
        self._names = NameServer(self._host, {NAME: [CONTROLLER]}, ttl_s=3600)
        self._targets = {switch.name: [*map(str, switch.only.config.controllers)] for switch in made.switches}
        if plan.has_name:
            self._host.kernel.add_address(self._host.eth0, ip_interface(f"{SERVER}/24"))
            self._targets = {switch.name: [NAME] for switch in made.switches}
        for switch in made.switches:
            _prepare(switch, plan)
        made.net.start()

    def connect(self) -> None:
        """As ``Stage.connect``."""
        for switch in self._made.switches:
            switch.set_controllers(*self._targets[switch.name])

    def log(self, switch: str) -> list[Event]:
        """As ``Stage.log``."""
        history = self._made.net.switches[switch].history
        happened = [each for each in history if each.kind not in BESIDE]
        return [Event(each.kind, each.bridge, each.target) for each in happened]

    def wait_for(self, switch: str, events: int) -> None:
        """As ``Stage.wait_for``."""
        self._wait(lambda: len(self.log(switch)) >= events)

    def wait_for_echoes(self, number: int) -> None:
        """As ``Stage.wait_for_echoes``."""
        channels = self._made.net.channels(self._made.controller)
        wanted = {name: channel.echoes + number for name, channel in channels.items()}
        self._wait(lambda: all(channels[name].echoes >= echoes for name, echoes in wanted.items()))

    def stop_controller(self) -> None:
        """As ``Stage.stop_controller``."""
        self._made.controller.stop()

    def start_controller(self) -> None:
        """As ``Stage.start_controller``."""
        self._made.controller.start()

    def be_hostile(self) -> None:
        """As ``Stage.be_hostile``."""
        self._made.controller.behave(DELETE_AND_DROP)

    def move_controller(self) -> None:
        """As ``Stage.move_controller``."""
        self._names.zone[NAME] = [MOVED]
        self._host.kernel.add_address(self._host.eth0, ip_interface(f"{MOVED}/24"))
        self._host.kernel.remove_address(self._host.eth0, ip_address(CONTROLLER))

    def move_gateway(self) -> None:
        """As ``Stage.move_gateway``."""
        kernel = self._made.routers[0].kernel
        kernel.set_mac(kernel.interfaces[1], _NEW_MAC)
        kernel.announce(kernel.interfaces[1])

    def cut_above(self, switch: str) -> None:
        """As ``Stage.cut_above``."""
        self._link_above(switch).cut()

    def mend_above(self, switch: str) -> None:
        """As ``Stage.mend_above``."""
        self._link_above(switch).mend()

    def _link_above(self, switch: str) -> Link:
        (found,) = [link for link in self._made.net.links if f"{switch}-1" in (link.one.name, link.two.name)]
        return found

    def _wait(self, condition: Callable[[], bool]) -> None:
        assert self._made.net.run_until(condition, PATIENCE_S), f"not within {PATIENCE_S} virtual seconds"


def _prepare(switch: SwitchHost, plan: Plan) -> None:
    config = replace(switch.only.config, controllers=(), fail_mode=plan.fail_mode, inactivity_probe_s=plan.probe_s)
    switch.configure(config)
    switch.set_dns_servers(*([SERVER] if plan.has_name else []))
