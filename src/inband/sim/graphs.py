"""Networks from a list of links: read from text, or drawn at random; and the simulated network for one.

The text has a link in each line: two names, with blanks between. A name that begins with ``s`` is a switch, one that
begins with ``h`` a host with a controller. ``#`` begins a comment. examples/topologies has five real networks.

Every switch has all hosts as its controllers, an empty table and fail mode secure. All are in one network, 10.0.0.0/16:
hosts have 10.0.0.1 and up in the order of their names, switches 10.0.1.0 and up.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random

from inband.errors import UsageError
from inband.sim.host import ControllerHost
from inband.sim.link import LATENCY_S, Link
from inband.sim.network import Attachable, Network
from inband.sim.processor import Costs
from inband.sim.switch import SwitchHost

Edge = tuple[str, str]
# What the networks in examples/topologies have, Ebone above all: 254 links between 172 switches.
LINKS_PER_SWITCH = 1.5
MAX_SWITCHES, MAX_HOSTS = 65_000, 250
_NAME = re.compile(r"[sh]\d+")
_HOSTS_FROM, _SWITCHES_FROM = int(IPv4Address("10.0.0.1")), int(IPv4Address("10.0.1.0"))


@dataclass(frozen=True, slots=True)
class Graph:
    """Links by the names of their ends, in their order."""

    edges: tuple[Edge, ...]

    @property
    def switches(self) -> list[str]:
        """The switches, in the order of their numbers."""
        return self._named("s")

    @property
    def hosts(self) -> list[str]:
        """The hosts, likewise."""
        return self._named("h")

    @property
    def between_switches(self) -> list[Edge]:
        """The links that end at no host."""
        return [edge for edge in self.edges if not any(name.startswith("h") for name in edge)]

    def _named(self, letter: str) -> list[str]:
        return sorted({name for edge in self.edges for name in edge if name.startswith(letter)}, key=_number)


@dataclass(slots=True)
class GraphNetwork:
    """The simulated network for a graph; nothing is started yet. ``links`` are in the order of the graph's edges."""

    graph: Graph
    net: Network
    controllers: dict[str, ControllerHost]
    switches: dict[str, SwitchHost]
    links: list[Link]

    def are_up(self) -> bool:
        """Whether every switch is connected to every controller."""
        return all(self.net.are_up(controller) for controller in self.controllers.values())


def read_graph(text: str) -> Graph:
    """Read a list of links; raises UsageError with the line that is none."""
    lines = ((number, line.partition("#")[0].split()) for number, line in enumerate(text.splitlines(), 1))
    graph = Graph(tuple(_edge(number, names) for number, names in lines if names))
    if not graph.switches or not graph.hosts:
        raise UsageError("a network needs a switch (s1) and a host with a controller (h1) at least")
    if len(graph.switches) > MAX_SWITCHES or len(graph.hosts) > MAX_HOSTS:
        raise UsageError(f"there are addresses for {MAX_SWITCHES} switches and {MAX_HOSTS} hosts")
    return graph


def random_graph(switches: int, seed: int, *, hosts: int = 3, links_per_switch: float = LINKS_PER_SWITCH) -> Graph:
    """A connected network as providers have it: few switches have many links, and many have one or two.

    Each switch is linked to an end of a random earlier link, so that who has many gets more (the model of Barabasi and
    Albert, Science 286, 1999); then links are added the same way. Hosts are at random switches, no two at one.
    """
    random = Random(seed)
    ends, pairs = [1], dict[tuple[int, int], None]()

    def link(one: int, two: int) -> None:
        if one != two and (two, one) not in pairs and (one, two) not in pairs:
            pairs[one, two] = None
            ends.extend((one, two))

    for number in range(2, switches + 1):
        link(random.choice(ends), number)
    wanted = min(round(links_per_switch * switches), switches * (switches - 1) // 2)
    while len(pairs) < wanted:
        link(random.choice(ends), random.randint(1, switches))
    to_hosts = (f"s{at}" for at in random.sample(range(1, switches + 1), hosts))
    edges = [(switch, f"h{number}") for number, switch in enumerate(to_hosts, 1)]
    return Graph((*edges, *((f"s{one}", f"s{two}") for one, two in pairs)))


def reachable(edges: Iterable[Edge], start: str, without: Collection[str] = ()) -> set[str]:
    """The names that a walk over the links reaches from one of them, never through those of ``without``."""
    near: dict[str, list[str]] = {}
    for one, two in edges:
        near.setdefault(one, []).append(two)
        near.setdefault(two, []).append(one)
    found, waiting = {start}, deque([start])
    while waiting:
        for name in near.get(waiting.popleft(), ()):
            if name not in found and name not in without:
                found.add(name)
                waiting.append(name)
    return found


def build(
    graph: Graph, seed: int = 0, *, latency_s: float = LATENCY_S, costs: Costs | None = None, cores: int | None = None
) -> GraphNetwork:
    """Make the simulated network for a graph; ``costs`` and ``cores`` are those of ``Network``."""
    net = Network(seed, costs=costs, cores=cores)
    addresses = {name: str(IPv4Address(_HOSTS_FROM + at)) for at, name in enumerate(graph.hosts)}
    controllers = {name: net.controller(name, f"{address}/16") for name, address in addresses.items()}
    switches = {
        name: net.switch(name, f"{IPv4Address(_SWITCHES_FROM + at)}/16", controllers=addresses.values())
        for at, name in enumerate(graph.switches)
    }
    nodes: dict[str, Attachable] = {**controllers, **switches}
    links = [net.link(nodes[one], nodes[two], latency_s=latency_s) for one, two in graph.edges]
    return GraphNetwork(graph, net, controllers, switches, links)


def _edge(line: int, names: list[str]) -> Edge:
    if len(names) != 2 or not all(_NAME.fullmatch(name) for name in names) or names[0] == names[1]:
        raise UsageError(f"line {line}: {' '.join(names)!r} is no link: write two names such as s1 s2, or s1 h1")
    return names[0], names[1]


def _number(name: str) -> int:
    return int(name[1:])
