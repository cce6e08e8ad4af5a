"""Small networks in namespaces: how they come up and keep quiet, two failures at once, other makes, and idle cost.

A network comes up beside a controller that sends no flow, and then has one that drops all. What is sent to all is
captured on each link, for it must not go round (lab/copies.py).
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable

from bench.fabric_simulated import in_ms
from bench.figures import Effort, Figure, Row, shown
from inband.sim.graphs import Graph
from lab.copies import captured
from lab.fabric import Failure
from lab.graph import GraphScene, graph_scene
from lab.inband import InbandSwitch, on_ebpf
from lab.other_makes import OTHERS, Other
from lab.shapes import mesh, parallel, ring
from lab.switch import SwitchMaker, cpu_s

UP_S, ALL_UP_S, KNOWN_S, HARM_S, QUIET_S = 20.0, 1.0, 3.0, 5.0, 10.0
ECHO_S, CALM_ECHO_S, IDLE_ECHO_S = 0.01, 0.05, 5.0
# Frames to all a second on a link, both directions together, of a network in which nothing happens.
QUIET_PER_S = 1.0
SILENCE_S = 0.4
IDLE_RING, IDLE_S, QUICK_IDLE_S, CPU_SHARE, KBITS = 16, 60.0, 6.0, 0.02, 60.0
TWO_AT_ONCE_S, DOWN_S, SILENT_S = 0.15, 1.0, 2.5
_QUICK_ROUNDS = 3


def rows(effort: Effort) -> list[Row]:
    """Return the table's rows, in its order."""
    is_quick = effort.rounds < _QUICK_ROUNDS
    cold = [("two parallel links", parallel()), ("ring of 3", ring(3)), ("ring of 8", ring(8))]
    cold += [(f"mesh of {count}, two links between each pair", mesh(count)) for count in (4, 6)]
    idle_s = QUICK_IDLE_S if is_quick else IDLE_S
    return [
        *(
            Row(f"cold: {name}, a mute controller, then drop-all", "1 s, no copy, quiet", _cold(graph))
            for name, graph in (cold[:1] if is_quick else cold)
        ),
        Row("mesh of 6, two links each: two of them down at once", "150 ms", _two_at_once(2 if is_quick else 8)),
        *(
            Row(f"ring of 4 with {name} in it: its links in turn {how}", shown(goal_s), _beside(other, how, goal_s))
            for name, other in OTHERS.items()
            for how, goal_s in ((Failure.BOTH_ENDS, DOWN_S), (Failure.SILENT, SILENT_S))
        ),
        Row(f"ring of {IDLE_RING}: cost of {idle_s:.0f} idle seconds", "2 %, 60 kbit/s a link", _idle(idle_s)),
    ]


def _cold(graph: Graph) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        if make is not InbandSwitch:
            return _peer_cold(make, graph)
        with graph_scene(on_ebpf(make), graph, echo_s=CALM_ECHO_S) as stage, captured(stage) as captures:
            up_s = stage.up_after(stage.connect(), UP_S)
            if up_s is None:
                return Figure("never up", False)
            stage.controllers[0].order("drop")
            silence = stage.silence(HARM_S)
            before = captures.frames
            stage.settle(QUIET_S)
            rate = (captures.frames - before) / QUIET_S / len(stage.wires)
        copies = captures.copies()
        text = f"up {shown(up_s)}; silence {shown(silence)}; {copies} copies; {rate:.2f} frames/s a link"
        reached = up_s <= ALL_UP_S and silence <= SILENCE_S and not copies and rate <= QUIET_PER_S
        numbers: dict[str, object] = {"up_s": up_s, "silence_s": silence, "copies": copies, "quiet_per_s": rate}
        return Figure(text, reached, numbers)

    return take


def _peer_cold(make: SwitchMaker, graph: Graph) -> Figure:
    """The peer as it is, and with its spanning tree; a network that never comes up is not watched further."""
    found: dict[str, float | None] = {}
    for way in ("plain", "RSTP"):
        with graph_scene(make, graph, echo_s=CALM_ECHO_S) as stage:
            if way == "RSTP":
                for number, switch in enumerate(stage.switches.values()):
                    switch.set_rstp(4096 * (1 + min(number, 13)))
            found[way] = stage.up_after(stage.connect(), UP_S)
    text = ", ".join(f"{way}: up {shown(up_s)}" for way, up_s in found.items())
    return Figure(text, False, {**found})


def _two_at_once(count: int) -> Callable[[SwitchMaker], Figure]:
    """One of the two links of the first switch to another one, which is on most ways, and one between others."""

    def take(make: SwitchMaker) -> Figure:
        graph = mesh(6)
        with graph_scene(on_ebpf(make), graph, echo_s=ECHO_S) as stage:
            if stage.up_after(stage.connect(), UP_S) is None:
                return Figure("never up", False)
            stage.settle(KNOWN_S)
            inner = [
                wire for wire, edge in zip(stage.wires, graph.edges, strict=True) if edge in graph.between_switches
            ]
            pairs = list(itertools.combinations(inner, 2))
            outages = [
                stage.fail_wires(pair, Failure.BOTH_ENDS) for pair in pairs[:: max(1, len(pairs) // count)][:count]
            ]
        longest = [max(each.silences) for each in outages]
        repair = max(each.repair for each in outages)
        text = f"longest {in_ms(max(longest))}, median {in_ms(statistics.median(longest))}; repair {in_ms(repair)}"
        return Figure(text, max(longest) <= TWO_AT_ONCE_S, {"silences_s": longest})

    return take


def _beside(other: Other, how: Failure, goal_s: float) -> Callable[[SwitchMaker], Figure]:
    """The bridge of another make is the second of the ring: between ours, one of them the controller's."""

    def take(make: SwitchMaker) -> Figure:
        if make is not InbandSwitch:
            return Figure("-", False)
        with graph_scene(on_ebpf(make), ring(4), echo_s=CALM_ECHO_S, others={"s2": other}) as stage:
            up_s = stage.up_after(stage.connect(), UP_S)
            if up_s is None:
                return Figure("never up", False)
            stage.settle(KNOWN_S)
            outages = [stage.fail_link(edge, how) for edge in stage.graph.edges if "s2" in edge]
        longest, repair = max(max(each.silences) for each in outages), max(each.repair for each in outages)
        text = f"longest {shown(longest)}, repair {shown(repair)}"
        return Figure(text, max(longest, repair) <= goal_s, {"silence_s": longest, "repair_s": repair})

    return take


def _idle(idle_s: float) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        with graph_scene(on_ebpf(make), ring(IDLE_RING), echo_s=IDLE_ECHO_S) as stage:
            if stage.up_after(stage.connect(), UP_S) is None:
                return Figure("never up", False)
            stage.settle(KNOWN_S)
            pids = [switch.pids() for switch in stage.switches.values()]
            before, carried, began = [cpu_s(each) for each in pids], _carried(stage), time.monotonic()
            stage.settle(idle_s)
            took = time.monotonic() - began
            shares = [(cpu_s(each) - then) / took for each, then in zip(pids, before, strict=True)]
            kbits = [(now - then) * 8e-3 / took for now, then in zip(_carried(stage), carried, strict=True)]
        text = f"{max(shares) * 100:.1f} % (median {statistics.median(shares) * 100:.1f} %), {max(kbits):.0f} kbit/s"
        reached = max(shares) <= CPU_SHARE and max(kbits) <= KBITS
        return Figure(text, reached, {"processor": shares, "kbit_per_s": kbits})

    return take


def _carried(stage: GraphScene) -> list[int]:
    """Bytes on each link between switches so far, both directions together."""
    ends = [wire.ends[0] for wire, edge in zip(stage.wires, stage.graph.edges, strict=True) if "h1" not in edge]
    return [machine.counter(port, "rx_bytes") + machine.counter(port, "tx_bytes") for machine, port in ends]
