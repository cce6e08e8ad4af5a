"""What a switch's process does takes time where it has a processor, and waits for its turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from inband.sim.clock import VirtualClock
from inband.sim.graphs import Graph, build
from inband.sim.network import Network
from inband.sim.processor import SLICE_S, Costs, Processors, Work, WorkingClock
from tests.unit.sim.scenes import UP_S

COSTS = Costs(frame_s=0.001, call_s=0.002, send_s=0.0005, frames=3)


class Scene:
    """Processes on one machine; ``seen`` has what was done, and when in ms."""

    def __init__(self, processes: int = 1, cores: int = 1) -> None:
        self.clock = VirtualClock()
        on = Processors(self.clock, COSTS, cores)
        self.works = [on.process() for _ in range(processes)]
        self.seen: list[tuple[str, float]] = []

    def done(self, what: str) -> Callable[[], None]:
        return lambda: self.seen.append((what, round(1000 * self.clock.now, 3)))

    @property
    def work(self) -> Work:
        return self.works[0]


def test_what_waits_is_done_in_its_order_and_each_has_its_effect_at_its_end() -> None:
    scene = Scene()

    scene.work.take_frame(scene.done("frame"))
    scene.work.call(scene.done("call"))
    scene.work.take_frame(scene.done("another"))
    scene.clock.run_until(1.0)

    assert scene.seen == [("frame", 1.0), ("call", 3.0), ("another", 4.0)]


def test_a_frame_for_which_there_is_no_room_is_lost_and_counted() -> None:
    scene = Scene()

    taken = [scene.work.take_frame(scene.done(str(number))) for number in range(5)]
    scene.clock.run_until(1.0)
    taken.append(scene.work.take_frame(scene.done("later")))
    scene.clock.run_until(2.0)

    assert taken == [True, True, True, False, False, True]
    assert scene.work.lost == 2
    assert [what for what, _ in scene.seen] == ["0", "1", "2", "later"]


def test_what_is_sent_has_the_next_thing_wait_longer() -> None:
    scene = Scene()

    def flood() -> None:
        for _ in range(4):
            scene.work.sent()

    scene.work.call(flood)
    scene.work.call(scene.done("next"))
    scene.clock.run_until(1.0)

    assert scene.seen == [("next", 6.0)]


@pytest.mark.parametrize(("cores", "ends"), [(1, 2.0), (2, 1.0)])
def test_processes_share_cores(cores: int, ends: float) -> None:
    scene = Scene(processes=2, cores=cores)

    for work in scene.works:
        work.take_frame(scene.done("frame"))
    scene.clock.run_until(1.0)

    assert [at for _, at in scene.seen] == [1.0, ends]


def test_who_has_much_to_do_leaves_the_core_to_others_after_a_slice() -> None:
    scene = Scene(processes=2)

    for number in range(4):
        scene.works[0].call(scene.done(f"much {number}"))
    scene.works[1].call(scene.done("little"))
    scene.clock.run_until(1.0)

    first = int(SLICE_S / COSTS.call_s) + 1
    assert [what for what, _ in scene.seen].index("little") == first


def test_a_timer_that_is_cancelled_while_it_waits_does_nothing() -> None:
    scene = Scene()
    clock = WorkingClock(scene.clock, scene.work)
    timer = clock.call_at(0.001, scene.done("cancelled"))

    scene.work.call(timer.cancel)
    scene.work.call(clock.call_soon(scene.done("too")).cancel)
    clock.call_at(0.003, scene.done("due"))
    scene.clock.run_until(1.0)

    assert [what for what, _ in scene.seen] == ["due"]


def test_a_process_that_dies_does_nothing_more_and_holds_no_core() -> None:
    scene = Scene(processes=2)
    scene.works[0].call(scene.done("under way"))
    scene.works[0].call(scene.done("waits"))
    scene.works[1].call(scene.done("other"))

    scene.clock.run_until(0.001)
    scene.works[0].end()
    scene.works[0].call(scene.done("after"))
    scene.clock.run_until(1.0)

    assert scene.seen == [("other", 4.0)]


def _up_at(costs: Costs | None) -> float:
    net = Network(costs=costs)
    controller = net.controller("c", "10.0.0.100/24")
    s1 = net.switch("s1", "10.0.0.1/24", controllers=["10.0.0.100"])
    net.link(controller, s1)
    net.start()
    net.run(UP_S)
    return net.channels(controller)["s1"].up_at


def test_a_switch_that_takes_time_is_connected_later_and_loses_nothing() -> None:
    usual, slow = Costs(), replace(Costs(), frame_s=0.01, call_s=0.005)

    assert _up_at(None) < _up_at(usual) < _up_at(slow) < UP_S


def test_a_switch_that_is_killed_with_much_to_do_comes_back() -> None:
    net = Network(costs=Costs(frame_s=0.002))
    controller = net.controller("c", "10.0.0.100/24")
    s1 = net.switch("s1", "10.0.0.1/24", controllers=["10.0.0.100"])
    net.link(controller, s1)
    net.start()
    net.run(0.003)

    s1.kill()
    net.run(0.1)
    s1.start()
    net.run(UP_S)

    assert net.are_up(controller)


def test_on_shared_processors_a_failure_costs_more_than_where_each_switch_has_its_own() -> None:
    edges = [(f"s{one}", f"s{two}") for one in range(1, 7) for two in range(one + 1, 7)]
    graph = Graph((("s1", "h1"), *edges))

    def silence(cores: int | None) -> float:
        made = build(graph, costs=Costs(), cores=cores)
        made.net.start()
        made.net.run(3.0)
        channels = made.net.channels(made.controllers["h1"]).values()
        for channel in channels:
            channel.echo_interval_s = 0.01
        made.net.run(0.2)
        for channel in channels:
            channel.forget_silence(made.net.now)
        for link, edge in zip(made.links, graph.edges, strict=True):
            if edge in (("s1", "s2"), ("s1", "s3")):
                link.cut()
        made.net.run(1.0)
        return max(channel.silence_s(made.net.now) for channel in channels)

    assert silence(None) < silence(1)
