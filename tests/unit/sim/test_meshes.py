"""Random networks: trees with extra links, random latencies, random starts, a hostile controller."""

from __future__ import annotations

from random import Random

import pytest

from inband.controller.behaviour import HOSTILE
from inband.sim.link import Link, Nic
from inband.sim.network import Network
from inband.sim.topologies import Topology
from tests.unit.sim.scenes import SILENCE_S, UP_S, come_up, silences

# A talkative peer's silence is doubted after a second, and TCP takes up to half a second more to notice.
CUT_SILENCE_S = 2.5

# Ten echoes a second, three segments each, over at most eight links, and every half second the harm: without loops
# this is what is sent. A storm would be thousands of frames a second on each link.
MAX_FRAMES_PER_SWITCH_AND_SECOND = 1000


def mesh(random: Random) -> Topology:
    """Two to eight switches in a tree, and up to four links more; they start within three seconds."""
    net = Network(random.randrange(1 << 30))
    controller = net.controller("c", "10.0.0.100/16")
    count = random.randrange(2, 9)
    switches = [net.switch(f"s{n}", f"10.0.1.{n}/16", controllers=["10.0.0.100"]) for n in range(1, count + 1)]
    pairs = [(switches[n], switches[random.randrange(n)]) for n in range(1, count)]
    pairs += [(one, two) for one, two in (random.sample(switches, 2) for _ in range(random.randrange(5)))]
    net.link(controller, random.choice(switches), latency_s=random.uniform(1e-5, 1e-3))
    for one, two in pairs:
        net.link(one, two, latency_s=random.uniform(1e-5, 1e-3))
    for switch in switches:
        net.at(random.uniform(0.0, 3.0), switch.start)
    return Topology(net, controller, switches, [])


@pytest.mark.parametrize("seed", range(12))
def test_any_mesh_comes_up_and_stays_up_under_a_hostile_controller_without_a_storm(seed: int) -> None:
    made = mesh(Random(seed))
    made.controller.behave(HOSTILE)
    made.net.run(3.0)

    took = come_up(made)
    made.net.run(1.0)
    before = made.net.frames
    longest = silences(made, 5.0)

    assert took <= UP_S
    assert max(longest.values()) <= SILENCE_S
    assert made.net.frames - before <= 5 * MAX_FRAMES_PER_SWITCH_AND_SECOND * len(made.switches)


def owner(nic: Nic) -> str:
    """The node that an interface belongs to."""
    return nic.name.split("-")[0]


def leaves_a_path(net: Network, cut: Link) -> bool:
    """Whether every node can still reach every other one without this link."""
    reached = {owner(net.links[0].one)}
    nodes = {owner(nic) for link in net.links for nic in (link.one, link.two)}
    for _ in nodes:
        for link in net.links:
            ends = {owner(link.one), owner(link.two)}
            if link is not cut and ends & reached:
                reached |= ends
    return reached == nodes


@pytest.mark.parametrize("seed", [0, 1, 4, 9, 10])
def test_a_cut_link_that_leaves_a_path_costs_no_channel_and_a_bounded_silence(seed: int) -> None:
    made = mesh(Random(seed))
    made.net.run(3.0)
    come_up(made)
    made.net.run(8.0)
    cuts = [link for link in made.net.links if leaves_a_path(made.net, link)]
    assert cuts, "a mesh without a ring shows nothing"

    for link in cuts[:2]:
        link.cut()
        longest = silences(made, 12.0)
        link.mend()
        made.net.run(8.0)

        assert max(longest.values()) <= CUT_SILENCE_S
