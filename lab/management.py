"""The management plane of switches: who calls a port of theirs, what they send, and whether it arrives."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from lab import special, topology
from lab.addressing import IPV4, Addressing
from lab.frames import arp_request
from lab.journal import until
from lab.net import Lab, Namespace
from lab.process import Process
from lab.scene import Scene, scene
from lab.switch import SwitchMaker
from lab.topology import Topology
from lab.wire import Wire

SSH = 22
START_S, UP_S = 10.0, 10.0
MANAGER, OTHER = "h1", "h2"
"""The hosts on the first switch: a manager, and one that is none."""


@dataclass(frozen=True, slots=True)
class Calls:
    """What became of calls, one after the other."""

    failed: int
    longest_s: float


def serve(namespace: Namespace, port: int = SSH, *, udp: bool = False) -> Process:
    """Greet whoever connects to a port; it is ready on return."""
    words = [sys.executable, "-m", "lab.greeter", "serve", f"{port}", *(["--udp"] if udp else [])]
    process = namespace.start(*words, label="greeter")
    if not until(lambda: "ready" in process.tail(), START_S):
        raise AssertionError(f"the greeter did not start:\n{process.tail()}")
    return process


def call(
    namespace: Namespace, address: str, port: int = SSH, *, count: int, udp: bool = False, timeout_s: float = 2.0
) -> Calls:
    """Call so often, and wait for the end of it."""
    words = [sys.executable, "-m", "lab.greeter", "call", address, f"{port}", f"{count}", "--timeout", f"{timeout_s}"]
    found = json.loads(namespace.run(*words, *(["--udp"] if udp else []), timeout_s=60.0 + count * timeout_s))
    return Calls(found["failed"], found["longest_s"])


def row_with_hosts(lab: Lab, length: int = 3, on: Addressing = IPV4) -> Topology:
    """Lay a row of switches with a manager and another host on the first of them."""
    return topology.with_hosts(topology.row(lab, length, on), 2, on)


def ssh_calls(
    make: SwitchMaker, target: Callable[[str], str], count: int, place: int, length: int = 3
) -> tuple[Calls, float] | None:
    """Call a switch of a row from its manager while the controller deletes and drops everything.

    ``target`` says how the switch is told its manager. Returns what became of it and the longest silence of a channel
    meanwhile; None when the switches do not come up.
    """
    with scene(make, partial(row_with_hosts, length=length)) as stage:
        if not come_up_with(stage, target):
            return None
        manager, _ = stage.topology.hosts[MANAGER]
        stage.withstand("drop")
        outcome = call(manager, address_of(stage, place), count=count)
        return outcome, stage.watch(0.5)


def come_up_with(stage: Scene, target: Callable[[str], str]) -> bool:
    """Tell every switch its manager and its controller, and have it greet whoever connects; whether all are up."""
    _, address = stage.topology.hosts[MANAGER]
    for switch in stage.switches:
        switch.set_managers(target(address))
        serve(switch.site.namespace)
    stage.connect()
    return stage.all_up(UP_S)


def address_of(stage: Scene, place: int) -> str:
    """The address of the switch at this place of a row."""
    return stage.topology.sites[place].bridges[0].addresses[0].partition("/")[0]


def virtual_gateway(make: SwitchMaker, seconds: float, pause_s: float = 5.0) -> tuple[float, int] | None:
    """Flush the switch's neighbour entries again and again behind a gateway with a virtual MAC address.

    Returns the longest silence of the channel, and how many of its frames a host saw that they are not for; None when
    the channel does not come up.
    """
    with scene(make, special.virtual_gateway) as stage:
        stage.connect()
        if not stage.all_up(UP_S):
            return None
        stage.withstand("drop")
        host, _ = stage.topology.hosts[OTHER]
        witness = host.start(sys.executable, "-m", "lab.witness", "eth0", f"{topology.PORT}", f"{seconds}")
        start = time.monotonic()
        while time.monotonic() < start + seconds:
            stage.topology.sites[0].namespace.ip("neigh flush dev br0")
            time.sleep(min(pause_s, seconds))
        assert until(lambda: "saw" in witness.tail(), START_S), witness.tail()
        return stage.silence(start, time.monotonic()), int(witness.tail().split()[-1])


def storm(
    make: SwitchMaker, rate: int, seconds: float, on: Addressing = IPV4, length: int = 4, *, for_itself: bool = False
) -> float | None:
    """Let a host at the far end of a row ask for the controller so often, from changing senders, and drop everything.

    ``for_itself``: it asks for the switch that it hangs on. Returns the longest silence of any switch; None when they
    do not come up.
    """
    with scene(make, lambda lab: _row_with_a_host_at_its_end(lab, length, on)) as stage:
        stage.connect()
        if not stage.all_up(UP_S):
            return None
        stage.withstand("drop")
        host, _ = stage.topology.hosts[MANAGER]
        target = address_of(stage, length - 1) if for_itself else stage.topology.remote
        asking = host.start(sys.executable, "-m", "lab.storm", "eth0", target, f"{rate}", f"{seconds}")
        silence = stage.watch(seconds)
        assert until(lambda: "sent" in asking.tail(), START_S), asking.tail()
        return silence


def _row_with_a_host_at_its_end(lab: Lab, length: int, on: Addressing) -> Topology:
    made = topology.row(lab, length, on)
    backwards = topology.with_hosts(replace(made, sites=made.sites[::-1]), 1, on)
    return replace(backwards, sites=backwards.sites[::-1])


def arp_in_another_vlan(make: SwitchMaker, vid: int = 100) -> int | None:
    """Have the gateway ask in a VLAN that a controller's flow leads, untagged, to an access port.

    Returns how often the question arrived there so; None when the switch does not come up.
    """
    with scene(make, _gateway_and_a_host) as stage:
        stage.connect()
        if not stage.all_up(UP_S):
            return None
        gateway, (host, _) = stage.topology.gateways[0], stage.topology.hosts[MANAGER]
        stage.switch.ofctl("add-flow", f"priority=9,dl_vlan={vid},arp,actions=pop_vlan,output:host1")
        trunk, access = stage.lab.hold(Wire(gateway, "eth1")), stage.lab.hold(Wire(host, "eth0"))
        asked = arp_request(gateway.mac("eth1"), "10.7.0.254", "10.7.0.7")
        access.take(0.2)
        trunk.send(asked[:12] + b"\x81\x00" + vid.to_bytes(2, "big") + asked[12:])
        return access.take(1.0).count(asked)


def _gateway_and_a_host(lab: Lab) -> Topology:
    return topology.with_hosts(topology.behind_gateway(lab), 1)
