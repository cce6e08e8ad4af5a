"""A scene: a laboratory with a topology, its switches started, a mute controller listening, nothing connected yet.

    with scene(InbandSwitch, topology.same_subnet) as stage:
        stage.connect()
        assert stage.all_up(5.0)
        stage.controller.order("drop")

Tests assert on scenes, the benchmark takes figures from them; neither knows which switch it has.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lab.controllers import LabController
from lab.journal import until
from lab.net import Lab
from lab.switch import Switch, SwitchMaker, at_all_sites
from lab.topology import DHCP, Topology

HARM_S, ANSWER_S = 6.0, 3.0
"""How long to wait for harm and for answers to come: more than any silence that a test accepts."""
STARTING = 4
"""How many switches start at the same time: more than processors, as starting is waiting too."""
Layer = Callable[[Lab], Topology]


@dataclass(slots=True)
class Scene:
    """What is on the stage. ``since`` is when the last switch was told its controller."""

    lab: Lab
    topology: Topology
    controller: LabController
    switches: list[Switch]
    since: float = 0.0
    _dpids: list[str] = field(default_factory=list)

    @property
    def switch(self) -> Switch:
        """The first switch, nearest to the controller: the only one in most scenes."""
        return self.switches[0]

    @property
    def dpids(self) -> list[str]:
        """The datapath IDs of all bridges of all switches."""
        if not self._dpids:
            self._dpids = [each.dpid(plan.name) for each in self.switches for plan in each.site.bridges]
        return self._dpids

    def connect(self) -> float:
        """Tell every switch its controller, nearest first; return when the last was about to be told."""
        assert self.dpids
        for each in self.switches:
            for plan in each.site.bridges:
                self.since = time.monotonic()
                each.set_controllers(*plan.targets, bridge=plan.name)
        return self.since

    def connect_nearest_last(self, pause_s: float) -> float:
        """Tell the farthest switch first and the nearest last, after a pause; return when it was about to be told.

        So it is after a power failure: those behind have tried in vain for a while and are in their back-off.
        """
        assert self.dpids
        for each in reversed(self.switches):
            if each is self.switch:
                time.sleep(pause_s)
            for plan in reversed(each.site.bridges):
                self.since = time.monotonic()
                each.set_controllers(*plan.targets, bridge=plan.name)
        return self.since

    def all_up(self, timeout_s: float) -> bool:
        """Wait until every bridge has said FEATURES_REPLY; tell whether all did."""
        return len(self.controller.journal.wait_up(self.dpids, timeout_s)) == len(self.dpids)

    def up_after(self, timeout_s: float) -> float | None:
        """Wait for all; return the seconds from telling the last switch to the last FEATURES_REPLY, None for never."""
        up = self.controller.journal.wait_up(self.dpids, timeout_s)
        return max(0.0, max(up.values()) - self.since) if len(up) == len(self.dpids) else None

    def silence(self, start: float, end: float) -> float:
        """Return the longest time between two instants in which some bridge's echo replies stayed away."""
        return max(self.controller.journal.silence(dpid, start, end) for dpid in self.dpids)

    def watch(self, seconds: float) -> float:
        """Let this time pass and return the longest silence in it."""
        start = time.monotonic()
        time.sleep(seconds)
        return self.silence(start, time.monotonic())

    def withstand(self, *orders: str, rounds: int = 2) -> float:
        """Have every switch harmed so many times more; return the longest silence until all have answered after it.

        With orders, those are given first. Rounds follow each other within half a second.
        """
        journal, start = self.controller.journal, time.monotonic()
        for order in orders:
            self.controller.order(order)
        came = until(
            lambda: all(len(journal.entries("harm", dpid, since=start)) >= rounds for dpid in self.dpids), HARM_S
        )
        assert came, "not every switch was harmed: this shows nothing"
        # Once to know that all have carried out the last harm, and once to know that answers get past all of it.
        for _ in range(2):
            self.wait_answers(time.monotonic())
        return self.silence(start, time.monotonic())

    def wait_answers(self, asked: float, timeout_s: float = ANSWER_S) -> None:
        """Wait until every switch has answered something that it was asked after this time."""

        def answered(dpid: str) -> bool:
            answers = self.controller.journal.entries("echo", dpid, since=asked)
            return any(each.t - each.details["rtt"] > asked for each in answers)

        until(lambda: all(answered(dpid) for dpid in self.dpids), timeout_s)

    def lost(self) -> int:
        """Return how many sessions that had come up ended."""
        return sum(1 for each in self.controller.journal.entries("disconnect") if each.dpid)

    def story(self) -> str:
        """Return what the processes said, for a failing assertion."""
        return self.lab.story()


@contextlib.contextmanager
def scene(make: SwitchMaker, lay: Layer, *orders: str, echo_s: float = 0.1) -> Iterator[Scene]:
    """Build a scene; all that it made is gone afterwards. The controller sends an ECHO each ``echo_s``."""
    with Lab(offloads=make.offloads) as lab:
        topology = lay(lab)
        switches = at_all_sites(make, topology)
        with ThreadPoolExecutor(STARTING) as starting:
            controller = starting.submit(LabController, topology.controller, *orders, echo_s=echo_s)
            list(starting.map(_start, switches))
        yield Scene(lab, topology, controller.result(), switches, since=time.monotonic())


def _start(switch: Switch) -> None:
    """Start without controllers, but where the address comes by DHCP: there, being started is the scene."""
    switch.start(connect=any(plan.address == DHCP for plan in switch.site.bridges))
