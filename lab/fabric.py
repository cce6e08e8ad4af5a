"""Rings of switches whose links and switches fail, and how long that is heard at the controller.

A link fails in three ways: one end is taken down, both are, or it dies silently: both ends keep their carrier and no
frame passes (a queue without room at either end drops all).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from lab.addressing import IPV4
from lab.net import Lab, Namespace
from lab.scene import Scene
from lab.switch import Switch
from lab.topology import Site, Topology, chain
from lab.wire import set_link

# Nothing of a failure is heard any more after this.
WATCH_S = 3.0
SETTLE_S = 2.5


class Failure(StrEnum):
    """How a link fails."""

    ONE_END = "one end down"
    BOTH_ENDS = "both ends down"
    SILENT = "silent death"


@dataclass(frozen=True, slots=True)
class Wire:
    """A link between two switches, by its ends."""

    ends: tuple[tuple[Namespace, str], tuple[Namespace, str]]

    def fail(self, how: Failure) -> None:
        """Let it fail."""
        match how:
            case Failure.ONE_END | Failure.BOTH_ENDS:
                for namespace, interface in self.ends[: 1 if how is Failure.ONE_END else 2]:
                    set_link(namespace, interface, up=False)
            case Failure.SILENT:
                for namespace, interface in self.ends:
                    namespace.run("tc", "qdisc", "replace", "dev", interface, "root", "pfifo", "limit", "0")

    def repair(self, how: Failure) -> None:
        """Undo that."""
        for namespace, interface in self.ends:
            if how is Failure.SILENT:
                namespace.run("tc", "qdisc", "del", "dev", interface, "root")
            else:
                set_link(namespace, interface, up=True)


def ring(lab: Lab, length: int) -> Topology:
    """A row of switches whose last one is linked to the first one, too; the controller hangs on the first."""
    controller = lab.namespace("c")
    sites = chain(lab, controller, "eth0", length, "", IPV4.addresses(IPV4.near, 100), IPV4)
    controller.address("eth0", *IPV4.interfaces(IPV4.near, 100))
    first, last = sites[0], sites[-1]
    lab.link(last.namespace, "south", first.namespace, "ring")
    grown = {id(first): _with_port(first, "ring"), id(last): _with_port(last, "south")}
    return Topology(
        f"ring of {length}",
        lab,
        controller,
        IPV4.addresses(IPV4.near, 100)[0],
        tuple(grown.get(id(site), site) for site in sites),
    )


def wires_of(made: Topology) -> list[Wire]:
    """The links between the switches of a ring, in their order around it."""
    names = [site.namespace for site in made.sites]
    pairs = zip(names, [*names[1:], names[0]], strict=True)
    return [Wire(((one, "south"), (two, "ring" if two is names[0] else "north"))) for one, two in pairs]


@dataclass(frozen=True, slots=True)
class Outage:
    """The longest silence of each switch after a failure, and of any after the repair; seconds."""

    silences: tuple[float, ...]
    repair: float


def fail_link(stage: Scene, wire: Wire, how: Failure) -> Outage:
    """Let a link fail and come back."""
    silences = _watch(stage, stage.dpids, lambda: wire.fail(how))
    repair = _watch(stage, stage.dpids, lambda: wire.repair(how))
    time.sleep(SETTLE_S)
    return Outage(silences, max(repair))


def kill_switch(stage: Scene, switch: Switch) -> Outage:
    """Kill a switch's process, watch the others, and start it again."""
    others = [dpid for each, dpid in zip(stage.switches, stage.dpids, strict=True) if each is not switch]
    silences = _watch(stage, others, switch.kill9)
    repair = _watch(stage, others, switch.restart)
    time.sleep(SETTLE_S)
    return Outage(silences, max(repair))


def _watch(stage: Scene, dpids: list[str], act: Callable[[], None]) -> tuple[float, ...]:
    start = time.monotonic()
    act()
    time.sleep(WATCH_S)
    end = time.monotonic()
    return tuple(stage.controller.journal.silence(dpid, start, end) for dpid in dpids)


def _with_port(site: Site, port: str) -> Site:
    plan = site.bridges[0]
    return Site(site.namespace, (replace(plan, ports=(*plan.ports, port)),))
