"""Networks whose links and switches fail: neighbours have the channels heal at once, whatever the graph."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from inband.bridge.control_traffic import WINDOW_S
from inband.datapath.wrappers import Faults
from inband.fabric.events import LinkState
from inband.fabric.fabric import Fabric
from inband.fabric.link import ALERT_S, FAST_MS, MISSED, QUIET_MS
from inband.packet.frame import Frame
from inband.sim import topologies
from inband.sim.link import Link, Nic
from inband.sim.network import Network
from inband.sim.switch import SwitchHost
from inband.sim.topologies import Topology
from inband.vocabulary.addresses import NEAREST_BRIDGE
from tests.unit.sim.scenes import come_up

ECHO_S = 0.01
# What was lost with a link TCP sends again after three more echoes.
DOWN_S, SILENT_S = 0.08, 0.15
REPAIR_S = 0.05
WATCH_S, SETTLE_S = 0.5, 1.5


def mesh(count: int) -> Topology:
    """Every switch is joined to every other one by two links."""
    net = Network()
    controller = net.controller("c", "10.0.0.100/24")
    switches = [net.switch(f"s{n}", f"10.0.0.{n}/24", controllers=["10.0.0.100"]) for n in range(1, count + 1)]
    net.link(controller, switches[0])
    for one, two in itertools.combinations(switches, 2):
        for _ in range(2):
            net.link(one, two)
    return Topology(net, controller, switches, [])


def settled(made: Topology) -> Topology:
    """Up, with an echo each 10 ms, and neighbours that know where control passes."""
    made.controller.controller.echo_interval_s = ECHO_S
    come_up(made)
    made.net.run(2.5)
    return made


def longest_silence(made: Topology, seconds: float, without: str = "") -> float:
    channels = {name: each for name, each in made.net.channels(made.controller).items() if name != without}
    for channel in channels.values():
        channel.forget_silence(made.net.now)
    made.net.run(seconds)
    return max(channel.silence_s(made.net.now) for channel in channels.values())


def between_switches(made: Topology) -> list[Link]:
    """All links but the controller's."""
    return made.net.links[1:]


@pytest.mark.parametrize("length", [3, 8])
def test_a_link_of_a_ring_may_go_down(length: int) -> None:
    made = settled(topologies.ring(length))

    for link in between_switches(made)[::3]:
        link.cut()
        assert longest_silence(made, WATCH_S) <= DOWN_S
        link.mend()
        assert longest_silence(made, WATCH_S) <= REPAIR_S


@pytest.mark.parametrize("length", [3, 8])
def test_a_link_of_a_ring_may_die_silently(length: int) -> None:
    made = settled(topologies.ring(length))

    for link in between_switches(made)[::3]:
        link.spoil(Faults(loss=1.0))
        assert longest_silence(made, WATCH_S) <= SILENT_S
        link.spoil(Faults())
        assert longest_silence(made, SETTLE_S) <= REPAIR_S


def test_a_switch_of_a_ring_may_be_killed_and_comes_back() -> None:
    made = settled(topologies.ring(8))

    for switch in made.switches[1::3]:
        switch.kill()
        assert longest_silence(made, WATCH_S, without=switch.name) <= SILENT_S
        switch.start()
        assert longest_silence(made, SETTLE_S, without=switch.name) <= REPAIR_S


@pytest.mark.parametrize("count", [4, 6])
def test_links_of_a_mesh_with_doubled_links_may_fail(count: int) -> None:
    made = settled(mesh(count))

    for link in between_switches(made)[:4]:
        link.cut()
        assert longest_silence(made, WATCH_S) <= DOWN_S
        link.mend()
        made.net.run(WATCH_S)
        link.spoil(Faults(loss=1.0))
        assert longest_silence(made, WATCH_S) <= SILENT_S
        link.spoil(Faults())
        made.net.run(WATCH_S)


def test_without_neighbours_the_same_takes_far_longer() -> None:
    made = topologies.ring(8)
    for switch in made.switches:
        switch.configure(replace(switch.config.bridge("br0"), neighbours=False))
    settled(made)
    silences = []

    for link in between_switches(made)[:2]:
        link.spoil(Faults(loss=1.0))
        silences.append(longest_silence(made, 2.0))
        link.spoil(Faults())
        made.net.run(1.0)

    assert max(silences) > 2 * SILENT_S


def fabric_of(switch: SwitchHost) -> Fabric:
    fabric = switch.only.bridge.neighbours.fabric
    assert fabric is not None
    return fabric


def hellos_by_link(made: Topology, seconds: float) -> list[float]:
    """How many a second each link carries, both directions together."""
    counted = dict.fromkeys(range(len(between_switches(made))), 0)
    taps = []
    for number, link in enumerate(between_switches(made)):

        def count(_: Nic, frame: Frame, at: int = number) -> None:
            counted[at] += frame.data[:6] == NEAREST_BRIDGE.packed

        link.taps.append(count)
        taps.append(count)
    made.net.run(seconds)
    for link, tap in zip(between_switches(made), taps, strict=True):
        link.taps.remove(tap)
    return [number / seconds for number in counted.values()]


def test_a_network_that_says_little_is_watched_half_as_often_until_something_changes() -> None:
    made = topologies.ring(8)
    made.controller.controller.echo_interval_s = 5.0
    come_up(made)
    made.net.run(ALERT_S + 2 * WINDOW_S)
    link = between_switches(made)[3]

    quiet = max(hellos_by_link(made, 2.0))
    link.spoil(Faults(loss=1.0))
    made.net.run(MISSED * QUIET_MS / 1000 + 0.02)
    lost = sum(each.state is LinkState.LOST for switch in made.switches for each in fabric_of(switch).links.values())
    alert = sorted(hellos_by_link(made, 2.0))

    assert quiet <= 2 * 1000 / QUIET_MS * 1.1
    assert lost == 2, "both ends"
    assert alert[1] >= 2 * 1000 / FAST_MS * 0.9, "all but the dead one"


def test_no_link_carries_more_of_it_than_promised() -> None:
    made = settled(topologies.ring(8))
    sizes: dict[int, int] = dict.fromkeys(range(len(between_switches(made))), 0)
    for number, link in enumerate(between_switches(made)):

        def count(_: Nic, frame: Frame, at: int = number) -> None:
            sizes[at] += len(frame.data) if frame.data[:6] == NEAREST_BRIDGE.packed else 0

        link.taps.append(count)

    made.net.run(3.0)

    assert max(sizes.values()) * 8 / 3 <= 60_000
    assert sum(size > 12_000 for size in sizes.values()) >= 7, "control passes seven of eight links"
