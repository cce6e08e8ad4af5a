"""A network from a list of links, with switches in namespaces and a controller at each of its hosts.

It is the same list that the simulator reads (``inband.sim.graphs``), so that what a simulation says can be compared.
Switches are 10.0.0.1 and up, in the order of their numbers, hosts 10.0.0.101 and up.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

from inband.sim.graphs import Edge, Graph
from lab.addressing import IPV4
from lab.controllers import LabController
from lab.fabric import SETTLE_S, WATCH_S, Failure, Outage, Wire
from lab.net import Lab, Namespace
from lab.network_key import make_key, with_key
from lab.other_makes import Other
from lab.switch import Switch, SwitchMaker
from lab.topology import BridgePlan, Site

_HOSTS_FROM = 101
_STARTING = 4
CALM_ECHO_S = 0.5


@dataclass(slots=True)
class GraphScene:
    """The network: its switches by name, started and without controllers, and what listens at each host.

    ``wires`` are in the order of the graph's edges; bridges of another make (``others``) are no switches of it.
    """

    graph: Graph
    machines: dict[str, Namespace]
    switches: dict[str, Switch]
    controllers: list[LabController]
    wires: list[Wire]
    dpids: dict[str, str]

    def connect(self) -> float:
        """Tell every switch its controllers; returns when the last one was told."""
        told = time.monotonic()
        for switch in self.switches.values():
            told = time.monotonic()
            switch.set_controllers(*switch.site.bridges[0].targets)
        return told

    def silence(self, seconds: float) -> float:
        """Let this time pass; the longest silence of any switch in it, at the first controller."""
        return max(self._watch(self.dpids, lambda: None, seconds))

    def up_after(self, told: float, timeout_s: float) -> float | None:
        """Wait until every switch is connected to every controller; how long after ``told`` that was, None: never."""
        ups = [each.journal.wait_up(self.dpids.values(), timeout_s) for each in self.controllers]
        if any(len(each) < len(self.dpids) for each in ups):
            return None
        return max(0.0, max(at for each in ups for at in each.values()) - told)

    def settle(self, seconds: float) -> None:
        """Let the switches learn by which ports their control leaves."""
        time.sleep(seconds)

    def fail_link(self, edge: Edge, how: Failure) -> Outage:
        """Let a link fail and come back; of several between two switches the first."""
        return self.fail_wires([self.wires[self.graph.edges.index(edge)]], how)

    def fail_wires(self, wires: Sequence[Wire], how: Failure) -> Outage:
        """Let links fail at the same time, and come back."""

        def each(act: Callable[[Wire], None]) -> None:
            with ThreadPoolExecutor(len(wires)) as acting:
                list(acting.map(act, wires))

        return self._outage(
            self.dpids, lambda: each(lambda wire: wire.fail(how)), lambda: each(lambda wire: wire.repair(how))
        )

    def kill_switch(self, name: str) -> Outage:
        """Kill a switch's process, watch the others, and start it again."""
        others = {each: dpid for each, dpid in self.dpids.items() if each != name}
        return self._outage(others, self.switches[name].kill9, self.switches[name].restart)

    def _outage(self, dpids: dict[str, str], fail: Callable[[], None], repair: Callable[[], None]) -> Outage:
        silences, repaired = self._watch(dpids, fail), self._watch(dpids, repair)
        time.sleep(SETTLE_S)
        return Outage(silences, max(repaired))

    def _watch(self, dpids: dict[str, str], act: Callable[[], None], seconds: float = WATCH_S) -> tuple[float, ...]:
        """Do something; the longest silence of each switch at the first controller in the time after it."""
        start = time.monotonic()
        act()
        time.sleep(seconds)
        end = time.monotonic()
        return tuple(self.controllers[0].journal.silence(dpid, start, end) for dpid in dpids.values())


@contextlib.contextmanager
def graph_scene(
    make: SwitchMaker,
    graph: Graph,
    *,
    echo_s: float,
    has_key: bool = False,
    others: Mapping[str, Other] = MappingProxyType({}),
) -> Iterator[GraphScene]:
    """Lay the wires, start the switches and the controllers; all of it is gone afterwards.

    The first controller asks for an echo each ``echo_s``, the others each CALM_ECHO_S, or two processors would do
    nothing else. ``has_key``: the switches have a network-key. ``others`` are in place of the switches of these names;
    they have no controller.
    """
    with Lab(offloads=make.offloads and all(other.offloads for other in others.values())) as lab:
        machines = {name: lab.namespace(name) for name in (*graph.hosts, *graph.switches)}
        wires, ports = _wired(lab, graph, machines)
        for number, host in enumerate(graph.hosts, _HOSTS_FROM):
            machines[host].address("p1", *IPV4.interfaces(IPV4.near, number))
        sites = _sites(graph, machines, ports)
        for name, other in others.items():
            other.start(lab, sites.pop(name))
        switches = {name: make(lab, site) for name, site in sites.items()}
        if has_key:
            key = make_key(lab)
            switches = {name: with_key(switch, key) for name, switch in switches.items()}
        with ThreadPoolExecutor(_STARTING) as starting:
            list(starting.map(lambda switch: switch.start(connect=False), switches.values()))
            paces = [echo_s, *[CALM_ECHO_S] * (len(graph.hosts) - 1)]
            hosts = [machines[host] for host in graph.hosts]
            controllers = list(starting.map(lambda host, pace: LabController(host, echo_s=pace), hosts, paces))
        dpids = {name: switch.dpid() for name, switch in switches.items()}
        yield GraphScene(graph, machines, switches, controllers, wires, dpids)


def _wired(lab: Lab, graph: Graph, machines: dict[str, Namespace]) -> tuple[list[Wire], dict[str, tuple[str, ...]]]:
    """The links, and the ports of each switch, which are p1, p2 and so on in the order of its links."""
    wires: list[Wire] = []
    ports: dict[str, tuple[str, ...]] = {}
    for edge in graph.edges:
        ends = []
        for name in edge:
            port = f"p{len(ports.get(name, ())) + 1}"
            ports[name] = (*ports.get(name, ()), port)
            ends.append((machines[name], port))
        lab.link(*ends[0], *ends[1])
        wires.append(Wire((ends[0], ends[1])))
    return wires, ports


def _sites(graph: Graph, machines: dict[str, Namespace], ports: dict[str, tuple[str, ...]]) -> dict[str, Site]:
    remotes = [IPV4.addresses(IPV4.near, number)[0] for number in range(_HOSTS_FROM, _HOSTS_FROM + len(graph.hosts))]
    sites = {}
    for number, name in enumerate(graph.switches, 1):
        (address,) = IPV4.interfaces(IPV4.near, number)
        sites[name] = Site(machines[name], (BridgePlan("br0", ports[name], address, controller=",".join(remotes)),))
    return sites
