"""The figures of a ring whose links and switches fail, echoes each 10 ms: the longest silence of any, and the median.

Every link between two switches fails in turn and is repaired; then every switch but the first one, on which the
controller hangs, is killed in turn. A network that does not come up, as a ring of switches without a spanning tree may
not, has no figures. Our switches have their packets in the kernel, as they have by default.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bench.figures import Effort, Figure, Row, shown
from inband.fabric.ways import LISTEN_S
from lab import fabric
from lab.fabric import Failure, Outage
from lab.inband import InbandSwitch, on_ebpf
from lab.network_key import Keyed
from lab.scene import Scene, scene
from lab.switch import SwitchMaker

RING, QUICK_RING = 8, 4
ECHO_S = 0.01
UP_S = 15.0
# Until each switch knows by which ports its control leaves.
KNOWN_S = 3.0
_QUICK_ROUNDS = 3


def rows(effort: Effort) -> list[Row]:
    """Return the table's rows, in its order."""
    length = QUICK_RING if effort.rounds < _QUICK_ROUNDS else RING
    return [*_rows(length, has_key=False), *_rows(length, has_key=True)]


def _rows(length: int, *, has_key: bool) -> list[Row]:
    title = f"ring of {length}" + (", a network-key" if has_key else "")

    def taking(fail: Callable[[Scene], list[Outage]], longest: float, median: float) -> Callable[[SwitchMaker], Figure]:
        return _taking(length, fail, longest, median, has_key=has_key)

    return [
        *(
            Row(f"{title}: each link in turn, {how}", goal, taking(_links(how), longest, median))
            for how, goal, longest, median in (
                (Failure.ONE_END, "longest 50 ms, median 20 ms", 0.05, 0.02),
                (Failure.BOTH_ENDS, "longest 50 ms, median 20 ms", 0.05, 0.02),
                (Failure.SILENT, "longest 150 ms", 0.15, 0.15),
            )
        ),
        Row(
            f"{title}: each switch but the first killed in turn, of the others",
            "longest 150 ms, repair 50 ms",
            taking(_kills(LISTEN_S if has_key else 0.0), 0.15, 0.15),
        ),
    ]


def _links(how: Failure) -> Callable[[Scene], list[Outage]]:
    def take(stage: Scene) -> list[Outage]:
        return [fabric.fail_link(stage, wire, how) for wire in fabric.wires_of(stage.topology)]

    return take


def _kills(listen_s: float) -> Callable[[Scene], list[Outage]]:
    """``listen_s``: so long a switch listens that has started, and no other one is killed meanwhile."""

    def take(stage: Scene) -> list[Outage]:
        outages = []
        for switch in stage.switches[1:]:
            outages.append(fabric.kill_switch(stage, switch))
            stage.watch(listen_s)
        return outages

    return take


def _taking(
    length: int, fail: Callable[[Scene], list[Outage]], longest_s: float, median_s: float, *, has_key: bool
) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        if has_key and make is not InbandSwitch:
            return Figure("has none", False)
        made = Keyed(on_ebpf(make)) if has_key else on_ebpf(make)
        with scene(made, lambda lab: fabric.ring(lab, length), echo_s=ECHO_S) as stage:
            stage.connect()
            if not stage.all_up(UP_S):
                return Figure("never up", False)
            stage.watch(KNOWN_S + (LISTEN_S if has_key else 0.0))
            outages = fail(stage)
        silences = [silence for outage in outages for silence in outage.silences]
        longest, median, repair = max(silences), statistics.median(silences), max(each.repair for each in outages)
        text = f"longest {shown(longest)}, median {shown(median)}, repair {shown(repair)}"
        numbers: dict[str, object] = {"silences_s": silences, "repairs_s": [each.repair for each in outages]}
        return Figure(text, longest <= longest_s and median <= median_s, numbers)

    return take
