"""B4 with twelve real switches in namespaces and three controllers, and the ring and the mesh beside the simulator.

The ring of eight and the mesh of six with two links between each pair have one controller. Both stages play the same
list of links: what the simulator says of a failure is worth as much as the two figures are alike. Of links and switches
some are taken, for each takes nine seconds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import cache

from bench.fabric_simulated import CONTROLLERS, PUBLISHED, Measured, graph_named, in_ms, measured
from bench.figures import Effort, Figure, Row, shown
from inband.fabric.ways import LISTEN_S
from inband.sim.graphs import Graph
from lab.fabric import Failure
from lab.graph import GraphScene, graph_scene
from lab.inband import InbandSwitch, on_ebpf
from lab.shapes import mesh, ring
from lab.switch import SwitchMaker

ECHO_S, UP_S, BOOTSTRAP_S, LINK_S, SWITCH_S = 0.02, 20.0, 1.0, 0.05, 0.15
KNOWN_S = 3.0
SAMPLE, QUICK_SAMPLE, ON_STAGES = 6, 1, 4
_QUICK_ROUNDS = 3


def rows(effort: Effort) -> list[Row]:
    """Return the rows, in their order."""
    sample = QUICK_SAMPLE if effort.rounds < _QUICK_ROUNDS else SAMPLE
    _, bootstrap, link, switch, _ = PUBLISHED["b4"]

    def b4(*, has_key: bool) -> list[Row]:
        title = f"b4: twelve switches, {CONTROLLERS} controllers" + (", a network-key" if has_key else "")

        def row(what: str, goal: str, published: str, figure: Callable[[Measured], Figure]) -> Row:
            def take(make: SwitchMaker) -> Figure:
                if make is InbandSwitch:
                    return figure(_b4(sample, has_key))
                return Figure(f"Renaissance {published}", False)

            return Row(f"{title}: {what}", goal, take)

        return [
            row("bootstrap from empty tables", "1 s", bootstrap, _bootstrap),
            row("a link goes down", "longest 50 ms", link, lambda of: _outage(of, of.links, LINK_S)),
            row("a switch is killed, of the others", "longest 150 ms", switch, _killed),
        ]

    return [
        *b4(has_key=False),
        *b4(has_key=True),
        *(
            _both(name, graph, min(sample, ON_STAGES))
            for name, graph in (("ring of 8", ring(8)), ("mesh of 6", mesh(6)))
        ),
    ]


def _both(name: str, graph: Graph, sample: int) -> Row:
    def take(make: SwitchMaker) -> Figure:
        if make is not InbandSwitch:
            return Figure("-", False)
        simulated, real = measured(graph, sample), _measured_in_namespaces(graph, make, sample)
        if simulated.up_s is None or real.up_s is None:
            return Figure("never up", False)
        parts = {
            "up": (f"{in_ms(simulated.up_s)}", shown(real.up_s)),
            "link": (in_ms(max(simulated.links)), in_ms(max(real.links))),
            "switch": (in_ms(max(simulated.switches)), in_ms(max(real.switches))),
        }
        text = "; ".join(f"{what} {virtual}, really {true}" for what, (virtual, true) in parts.items())
        numbers: dict[str, object] = {
            "links": [simulated.links, real.links],
            "switches": [simulated.switches, real.switches],
        }
        return Figure(text, max(real.links) <= LINK_S and max(real.switches) <= SWITCH_S, numbers)

    return Row(f"both: {name}: simulated, and in namespaces", "link 50 ms, switch 150 ms", take)


@cache
def _b4(sample: int, has_key: bool) -> Measured:
    return _measured_in_namespaces(graph_named("b4"), InbandSwitch, sample, has_key=has_key)


def _measured_in_namespaces(graph: Graph, make: SwitchMaker, sample: int, *, has_key: bool = False) -> Measured:
    with graph_scene(on_ebpf(make), graph, echo_s=ECHO_S, has_key=has_key) as stage:
        told = stage.connect()
        up_s = stage.up_after(told, UP_S)
        wanted = len(graph.switches) * len(graph.hosts)
        found = Measured(wanted, wanted if up_s is not None else 0, up_s, 0.0, 0.0)
        if up_s is not None:
            stage.settle(KNOWN_S)
            _fail_some(stage, found, sample, LISTEN_S if has_key else 0.0)
    return found


def _fail_some(stage: GraphScene, found: Measured, sample: int, listen_s: float) -> None:
    """``listen_s``: so long a switch listens that has started, and nothing else fails meanwhile."""
    stage.settle(listen_s)
    links = stage.graph.between_switches
    for edge in links[:: max(1, len(links) // sample)]:
        outage = stage.fail_link(edge, Failure.BOTH_ENDS)
        found.links.append(max(outage.silences))
        found.repairs.append(outage.repair)
    at_hosts = {end for edge in stage.graph.edges if edge not in links for end in edge}
    inner = [name for name in stage.graph.switches if name not in at_hosts]
    for name in inner[:: max(1, len(inner) // (sample // 2 + 1))]:
        outage = stage.kill_switch(name)
        stage.settle(listen_s)
        found.switches.append(max(outage.silences))
        found.repairs.append(outage.repair)


def _bootstrap(of: Measured) -> Figure:
    if of.up_s is None:
        return Figure("never up", False)
    return Figure(shown(of.up_s), of.up_s <= BOOTSTRAP_S, {"up_s": of.up_s})


def _killed(of: Measured) -> Figure:
    return _outage(of, of.switches, SWITCH_S)


def _outage(of: Measured, silences: list[float], goal_s: float) -> Figure:
    if not silences:
        return Figure("never up", False)
    text = f"longest {in_ms(max(silences))}, median {in_ms(statistics.median(silences))} of {len(silences)}"
    return Figure(f"{text}; repair {in_ms(max(of.repairs))}", max(silences) <= goal_s, {"silences_s": silences})
