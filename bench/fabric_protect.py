"""A ring of eight whose channels go by all ways at once (``protect = "duplicate"``), beside the same without it.

In the simulator, with a key, and echoes each 10 ms; times are virtual. Open vSwitch has nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

from bench.fabric_simulated import in_ms
from bench.figures import Effort, Figure, Row
from inband.datapath.wrappers import Faults
from inband.sim import topologies
from inband.sim.topologies import Topology
from inband.switch.config import Protection
from lab.inband import InbandSwitch
from lab.switch import SwitchMaker

PAUSE_S = 1.0
LENGTH, ECHO_S, SETTLE_S, WATCH_S, UP_S = 8, 0.01, 5.0, 0.3, 5.0
# Where an echo is lost the silence is twice as long as between two.
NONE_LOST_S = 1.5 * ECHO_S
_KEY = b"k" * 32

Failing = Callable[[Topology], Iterator[float]]


def rows(_: Effort) -> list[Row]:
    """Return the rows, in their order; they cost the same whatever the effort."""
    return [
        Row(f"sim: ring of {LENGTH}, key, protect: {what}", "no echo lost", _taking(failing))
        for what, failing in (
            ("each link goes down", _cut),
            ("each link dies silently", _die),
            ("each switch but the first is killed", _kill),
        )
    ]


def _taking(failing: Failing) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        if make is not InbandSwitch:
            return Figure("-", False)
        by_all_ways, plain = (_longest(failing, protect) for protect in (Protection.DUPLICATE, Protection.ALTERNATIVE))
        text = f"longest silence {in_ms(by_all_ways)}; without it {in_ms(plain)}"
        return Figure(text, by_all_ways <= NONE_LOST_S, {"silence_s": by_all_ways, "without_s": plain})

    return take


@cache
def _longest(failing: Failing, protect: Protection) -> float:
    made = topologies.ring(LENGTH)
    for switch in made.switches:
        switch.set_network_keys(_KEY)
        switch.configure(replace(switch.config.bridges[0], protect=protect))
    made.net.start()
    made.net.run_until(lambda: made.net.are_up(made.controller), UP_S)
    made.controller.controller.echo_interval_s = ECHO_S
    made.net.run(SETTLE_S)
    return max(failing(made))


def _silence(made: Topology, without: str = "") -> float:
    """Let WATCH_S pass; the longest time without an answer of a switch but this one."""
    channels = [each for name, each in made.net.channels(made.controller).items() if name != without]
    for channel in channels:
        channel.forget_silence(made.net.now)
    made.net.run(WATCH_S)
    return max(channel.silence_s(made.net.now) for channel in channels)


def _cut(made: Topology) -> Iterator[float]:
    for link in made.net.links[1:]:
        link.cut()
        yield _silence(made)
        link.mend()
        made.net.run(PAUSE_S)


def _die(made: Topology) -> Iterator[float]:
    for link in made.net.links[1:]:
        link.spoil(Faults(loss=1.0))
        yield _silence(made)
        link.spoil(Faults())
        made.net.run(PAUSE_S)


def _kill(made: Topology) -> Iterator[float]:
    for switch in made.switches[1:]:
        switch.kill()
        yield _silence(made, without=switch.name)
        switch.start()
        made.net.run(PAUSE_S)
