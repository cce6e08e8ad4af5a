"""The figures of the spanning tree: rings of one make, a cut of each link, and what an idle tree costs.

A ring of four bridges with a host at each, all of ours (half on each datapath) or all of the peer's. The outage is what
a ping each ten milliseconds between opposite hosts misses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from bench.figures import Effort, Figure, Row, shown
from lab.ovs import OvsSwitch
from lab.ring import laid
from lab.switch import Switch, SwitchMaker, cpu_s

OURS, PEERS = ["userspace", "ebpf", "userspace", "ebpf"], ["Open vSwitch"] * 4
LINKS = 3
IDLE_S, QUICK_IDLE_S = 30.0, 6.0


def rows(effort: Effort) -> list[Row]:
    """Return the table's rows, in its order."""
    idle_s = IDLE_S if effort.rounds > 2 else QUICK_IDLE_S
    return [
        Row("ring of 4, all RSTP: from the last cable until all ports are what they will be", "10 s", _convergence),
        Row("the same: outage when a link is cut, each in turn (median, longest)", "1 s", _outages),
        Row(f"the same: processor of a switch over {idle_s:.0f} idle seconds", "2 %", _cost(idle_s)),
    ]


def _makes(make: SwitchMaker) -> list[str]:
    return PEERS if make is OvsSwitch else OURS


def _convergence(make: SwitchMaker) -> Figure:
    with laid(_makes(make), {0: 4096}) as ring:
        began = time.monotonic()
        ring.wait(LINKS, 60.0)
        took = time.monotonic() - began
    return Figure(shown(took), took <= 10.0, {"converged_s": took})


def _outages(make: SwitchMaker) -> Figure:
    with laid(_makes(make), {0: 4096}) as ring:
        ring.wait(LINKS, 60.0)
        found = []
        for index in range(4):
            found.append(ring.outage(index))
            ring.wait(LINKS, 60.0)
            ring.mend(index)
            ring.wait(LINKS, 60.0)
        found.sort()
    middle, longest = found[len(found) // 2], found[-1]
    text = f"{middle * 1000:.0f} ms, {longest * 1000:.0f} ms"
    return Figure(text, longest <= 1.0, {"outages_s": found})


def _cost(idle_s: float) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        with laid(_makes(make), {0: 4096}) as ring:
            ring.wait(LINKS, 60.0)
            switches = [cast(Switch, bridge) for bridge in ring.bridges]
            before = [cpu_s(switch.pids()) for switch in switches]
            time.sleep(idle_s)
            used = [(cpu_s(switch.pids()) - then) / idle_s for switch, then in zip(switches, before, strict=True)]
        return Figure(f"{max(used) * 100:.2f} %", max(used) <= 0.02, {"processor": used})

    return take
