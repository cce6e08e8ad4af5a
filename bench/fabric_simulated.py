"""Real networks and a random one in the simulator: bootstrap, one link down, one switch killed, and messages.

Every switch connects to three controllers, as where Renaissance was measured (examples/topologies/README.md), whose
figures are beside ours: those are of Open vSwitch. Times are virtual: they count steps, latencies and timers, not what
a processor does. A thousand switches take an hour or so, and standard error says what was found so far.
"""

from __future__ import annotations

import gc
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.figures import Effort, Figure, Row
from bench.virtual_failures import SETTLE_S, Failures
from inband.fabric.ways import LISTEN_S
from inband.packet.frame import Frame
from inband.sim.graphs import Graph, GraphNetwork, build, random_graph, read_graph
from inband.sim.link import Nic
from lab.inband import InbandSwitch
from lab.switch import SwitchMaker

TOPOLOGIES = Path(__file__).parents[1] / "examples" / "topologies"
RANDOM_SWITCHES, SEED, SAMPLE, RANDOM_SAMPLE, QUICK_SAMPLE = 1000, 1, 20, 3, 2
UP_S, LINK_S, SWITCH_S = 1.0, 0.05, 0.15
GIVE_UP_S, FIRST_STEP_S, STEP_S = 3.0, 0.005, 0.1
CONTROLLERS = 3
# What a switch's own stack may send for each controller until it is connected: questions, and TCP's and OpenFlow's.
PER_CONTROLLER = 60
_QUICK_ROUNDS = 3
# Frames are freed without the collector.
COLLECT_AFTER = 100_000, 20, 1000
_KEY = b"k" * 32
RANDOM = "random"
KEYED = "b4", "clos", "telstra"

# Renaissance's medians: bootstrap, one link fails, one switch fails, messages a node.
PUBLISHED = {
    "b4": ("B4", "8.2 s", "1.1 s", "1.3 s", "8"),
    "clos": ("Clos", "7.4 s", "1.6 s", "1.3 s", "5.5"),
    "telstra": ("Telstra", "9.8 s", "2.4 s", "2.4 s", "8"),
    "att": ("AT&T", "18.8 s", "5.5 s", "4.5 s", "23.5"),
    "ebone": ("Ebone", "55.7 s", "15.2 s", "10.1 s", "20.5"),
}


@dataclass(slots=True)
class Measured:
    """What one network has shown; silences and instants in seconds.

    ``up_s`` is None if it never came up: then nothing failed in it. ``said`` is how many frames each stack has
    sent until then, ``carried`` how many were on each link, in the mean.
    """

    channels: int
    up: int
    up_s: float | None
    said: float
    carried: float
    links: list[float] = field(default_factory=list)
    switches: list[float] = field(default_factory=list)
    repairs: list[float] = field(default_factory=list)


def rows(effort: Effort) -> list[Row]:
    """Return the rows, in their order."""
    if effort.rounds < _QUICK_ROUNDS:
        return _rows_of("b4", QUICK_SAMPLE)
    real = [row for name in PUBLISHED for row in _rows_of(name, SAMPLE)]
    keyed = [row for name in KEYED for row in _rows_of(name, SAMPLE, has_key=True)]
    return [*real, *keyed, *_rows_of(RANDOM, RANDOM_SAMPLE)]


def _rows_of(name: str, sample: int, *, has_key: bool = False) -> list[Row]:
    title, bootstrap, link, switch, messages = PUBLISHED.get(name, (f"random network of {RANDOM_SWITCHES}", *["-"] * 4))
    title += ", a network-key" if has_key else ""

    def row(what: str, goal: str, published: str, figure: Callable[[Measured], Figure]) -> Row:
        def take(make: SwitchMaker) -> Figure:
            return (
                figure(_measured(name, sample, has_key))
                if make is InbandSwitch
                else Figure(f"Renaissance {published}", False)
            )

        return Row(f"sim: {title}, three controllers: {what}", goal, take)

    return [
        row("bootstrap from empty tables", "1 s", bootstrap, _bootstrap),
        row("a link goes down", "longest 50 ms", link, lambda of: _outage(of, of.links, LINK_S)),
        row(
            "a switch is killed, of the others", "longest 150 ms", switch, lambda of: _outage(of, of.switches, SWITCH_S)
        ),
        row("messages until all are up", "bounded", messages, _messages),
    ]


def _bootstrap(of: Measured) -> Figure:
    if of.up_s is None:
        return Figure(f"{of.up} of {of.channels} channels after {GIVE_UP_S:.0f} s", False)
    return Figure(f"{of.up_s * 1000:.1f} ms", of.up_s <= UP_S, {"up_s": of.up_s})


def _outage(of: Measured, silences: list[float], goal_s: float) -> Figure:
    if not silences:
        return Figure("never up" if of.up_s is None else "none that leaves a path", False)
    longest, median = max(silences), statistics.median(silences)
    text = f"longest {in_ms(longest)}, median {in_ms(median)} of {len(silences)}; repair {in_ms(max(of.repairs))}"
    return Figure(text, longest <= goal_s, {"silences_s": silences, "repairs_s": of.repairs})


def _messages(of: Measured) -> Figure:
    text = f"{of.said:.0f} from each switch's stack; {of.carried:.0f} on each link"
    numbers: dict[str, object] = {"said": of.said, "carried": of.carried}
    return Figure(text, of.up_s is not None and of.said <= PER_CONTROLLER * CONTROLLERS, numbers)


def in_ms(seconds: float) -> str:
    """Seconds as people read them here."""
    return f"{seconds * 1000:.0f} ms"


@cache
def _measured(name: str, sample: int, has_key: bool) -> Measured:
    return measured(graph_named(name), sample, has_key=has_key)


def measured(graph: Graph, sample: int, *, has_key: bool = False) -> Measured:
    """Simulate a network: have it come up, and if it does let things fail, ``sample`` links and switches at most.

    ``has_key``: the switches have a network-key. One that has started listens first, so nothing else fails meanwhile.
    """
    made = build(graph, SEED)
    gc.collect()
    gc.freeze()  # a network is many objects that stay: to go through them again and again takes a quarter of the time
    gc.set_threshold(*COLLECT_AFTER)
    listen_s = LISTEN_S if has_key else 0.0
    if has_key:
        for each in made.switches.values():
            each.set_network_keys(_KEY)
    found = _come_up(made)
    _say(f"{found.up} of {found.channels} channels", found.up_s)
    if found.up_s is None:
        return found
    made.net.run(SETTLE_S + listen_s)
    failures = Failures(made)
    for edge, link in failures.links(sample):
        silence, repair = failures.cut(link)
        _say(" ".join(edge), silence, repair)
        found.links.append(silence)
        found.repairs.append(repair)
    for switch in failures.switches(sample):
        silence, repair = failures.kill(switch)
        _say(switch, silence, repair)
        found.switches.append(silence)
        found.repairs.append(repair)
        made.net.run(listen_s)
    return found


def _say(what: str, *seconds: float | None) -> None:
    said = ", ".join("-" if each is None else in_ms(each) for each in seconds)
    print(f"  {what}: {said}", file=sys.stderr, flush=True)


def graph_named(name: str) -> Graph:
    """One of the real networks, or the random one."""
    if name == RANDOM:
        return random_graph(RANDOM_SWITCHES, SEED, hosts=CONTROLLERS)
    return read_graph((TOPOLOGIES / f"{name}.txt").read_text())


def _come_up(made: GraphNetwork) -> Measured:
    """Start all switches at once."""
    said = [0]
    for bridge in made.net.bridges():
        stack = bridge.local.nic

        def count(sender: Nic, _: Frame, of: Nic = stack) -> None:
            said[0] += sender is of

        assert stack.link is not None
        stack.link.taps.append(count)
    made.net.start()
    while not made.are_up() and made.net.now < GIVE_UP_S:
        made.net.run(STEP_S if made.net.now else FIRST_STEP_S)
    channels = [each for controller in made.controllers.values() for each in made.net.channels(controller).values()]
    wanted, up = len(made.switches) * len(made.controllers), [each for each in channels if each.is_up]
    took = max(each.ups[-1] for each in up) if len(up) == wanted else None
    return Measured(wanted, len(up), took, said[0] / len(made.switches), made.net.frames / len(made.links))
