"""Networks with a key whose links and switches fail: what is ready before the failure is used at once."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from inband.datapath.wrappers import Faults
from inband.flow.ports import LOCAL
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.waiting import HOLD_S
from inband.sim import topologies
from inband.sim.graphs import build, read_graph
from inband.sim.host import Host
from inband.sim.link import Nic
from inband.sim.topologies import IPV4, IPV6, Topology
from inband.testing import packets
from inband.vocabulary.addresses import NEAREST_BRIDGE, address_of
from tests.unit.sim.scenes import SILENCE_S, come_up
from tests.unit.sim.test_attackers import IPV4_LIES, Lie, scene
from tests.unit.sim.test_neighbours import ECHO_S, between_switches, mesh

KEY = b"k" * 32
TOPOLOGIES = Path(__file__).parents[3] / "examples" / "topologies"
# A switch that starts takes no neighbour's word before.
KNOWN_S = 4.5
WATCH_S = 0.4
DOWN_S, MEDIAN_S, SILENT_S, REPAIR_S = 0.05, 0.02, 0.15, 0.05


def keyed(made: Topology, echo_s: float = ECHO_S) -> Topology:
    """Up, with all distances known."""
    for switch in made.switches:
        switch.set_network_keys(KEY)
    come_up(made)
    made.net.run(KNOWN_S)
    made.controller.controller.echo_interval_s = echo_s
    made.net.run(WATCH_S)
    return made


def silences(made: Topology, seconds: float, without: str = "") -> list[float]:
    channels = {name: each for name, each in made.net.channels(made.controller).items() if name != without}
    for channel in channels.values():
        channel.forget_silence(made.net.now)
    made.net.run(seconds)
    return [channel.silence_s(made.net.now) for channel in channels.values()]


def port_at(made: Topology, at: int, host: Host) -> int | None:
    """Where a switch has a host, or another switch's LOCAL, by what neighbours say and by what it forwards by."""
    bridge = made.switches[at].only.bridge
    fabric = bridge.neighbours.fabric
    assert fabric is not None
    assert fabric.ways is not None
    ports = {
        (route.port, bridge.pipeline.places.port_of(found))
        for station, route in fabric.ways.distances.routes.items()
        if station.mac == host.eth0.mac and (found := bridge.pipeline.places.station(station.address)) is not None
    }
    ((by_word, by_place),) = ports
    assert by_place == (by_word or by_place)
    return by_word


@pytest.mark.parametrize(("length", "on"), [(8, IPV4), (4, IPV6)])
def test_links_of_a_ring_may_go_down(length: int, on: topologies.Addressing) -> None:
    made = keyed(topologies.ring(length, on=on))
    found: list[float] = []

    for link in between_switches(made)[1::3]:
        link.cut()
        found += silences(made, WATCH_S)
        link.mend()
        assert max(silences(made, WATCH_S)) <= REPAIR_S

    assert max(found) <= DOWN_S
    assert statistics.median(found) <= MEDIAN_S


def test_links_of_a_ring_may_die_silently_and_switches_be_killed() -> None:
    made = keyed(topologies.ring(8))

    for link in between_switches(made)[::5]:
        link.spoil(Faults(loss=1.0))
        assert max(silences(made, WATCH_S)) <= SILENT_S
        link.spoil(Faults())
        assert max(silences(made, WATCH_S)) <= REPAIR_S
    for switch in made.switches[3::3]:
        switch.kill()
        assert max(silences(made, WATCH_S, without=switch.name)) <= SILENT_S
        switch.start()
        assert max(silences(made, WATCH_S, without=switch.name)) <= REPAIR_S


@pytest.mark.parametrize("count", [4, 6])
def test_a_mesh_bears_two_failures_at_once(count: int) -> None:
    made = keyed(mesh(count))
    links = between_switches(made)

    links[0].cut()
    links[2].spoil(Faults(loss=1.0))
    failed = max(silences(made, WATCH_S))
    links[0].mend()
    links[2].spoil(Faults())

    assert failed <= SILENT_S
    assert max(silences(made, WATCH_S)) <= REPAIR_S


def test_a_ring_behind_a_gateway_heals_as_well() -> None:
    made = topologies.row_behind_gateway(4)
    made.net.link(made.switches[-1], made.switches[0])
    keyed(made)

    made.net.links[3].cut()

    assert max(silences(made, WATCH_S)) <= DOWN_S


def test_places_follow_the_word_of_neighbours_without_a_question() -> None:
    made = keyed(topologies.ring(4), echo_s=1.0)
    asked: list[Frame] = []
    far = made.switches[2]
    before = port_at(made, 2, made.controller.host)

    between_switches(made)[1 if before == 1 else 2].taps.append(lambda _, frame: asked.append(frame))
    between_switches(made)[1 if before == 1 else 2].cut()

    assert far.only.bridge.pipeline.places.trusted == {3 - (before or 0)}
    assert port_at(made, 2, made.controller.host) == 3 - (before or 0)
    assert asked == []


@pytest.mark.parametrize(("at", "delay_s"), [(0, 0.0), (3, 0.0), (0, 0.001)])
def test_segments_wait_for_the_next_way_and_no_one_is_asked(at: int, delay_s: float) -> None:
    """With delays the number comes later than switches without a key begin to ask."""
    made = keyed(topologies.ring(8), echo_s=0.001)
    links = between_switches(made)
    asked: list[Frame] = []
    for link in links:
        link.spoil(Faults(delay_s=delay_s))
        link.taps.append(lambda _, frame: asked.append(frame) if frame.data[12:14] == b"\x08\x06" else None)

    links[at].cut()
    found = silences(made, WATCH_S)

    waited = [switch.only.bridge.counters.values.get("waited_for_way", 0) for switch in made.switches]
    assert sum(waited) >= 1
    assert max(found) <= DOWN_S
    assert asked == []


def test_what_has_waited_leaves_by_the_port_it_came_from_if_the_way_is_there() -> None:
    made = keyed(topologies.ring(4), echo_s=1.0)
    switch, controller = made.switches[1].only, made.controller.host
    places, now = switch.bridge.pipeline.places, made.net.now
    (station,) = (each for _, each in places.stations() if each.mac == controller.eth0.mac)
    port = places.port_of(station)
    assert port is not None
    left: list[Frame] = []
    for link in between_switches(made):
        link.taps.append(lambda _, frame: left.append(frame))
    address, sender = str(address_of(station.address)), made.switches[2].only.bridge.in_band.engine.local_mac
    segment = packets.tcp("10.0.0.9", address, 1024, 6653, src=str(sender), dst=str(station.mac))

    places.withdraw_word(station.address, station.mac)
    switch.bridge.pipeline.waiting.begin(station.mac, now)
    switch.bridge.upcall(port, Frame(segment), parse(segment, port))
    assert segment not in [frame.data for frame in left]
    places.follow_word(station.address, station.mac, port, now)
    made.net.run(2 * HOLD_S)

    assert segment in [frame.data for frame in left]


def test_segments_for_which_no_way_comes_are_searched_for() -> None:
    """The neighbour that knows another way says nothing any more."""
    made = keyed(topologies.ring(4), echo_s=0.001)
    links = between_switches(made)

    links[3].spoil(Faults(loss=1.0))
    links[1].cut()
    made.net.run(0.01)
    links[3].spoil(Faults())

    assert max(silences(made, 1.0)) <= SILENCE_S


def test_nothing_of_control_goes_round_whatever_fails() -> None:
    made = keyed(topologies.ring(4))
    frames: list[bytes] = []

    def count(_: Nic, frame: Frame) -> None:
        if frame.data[:6] != NEAREST_BRIDGE.packed:
            frames.append(frame.data)

    for link in between_switches(made):
        link.taps.append(count)
    for link in between_switches(made)[1:3]:
        link.cut()
        made.net.run(WATCH_S)
        link.mend()
        made.net.run(WATCH_S)
    busiest = max(frames.count(each) for each in set(frames[::50]))
    frames.clear()
    made.controller.controller.echo_interval_s = 60.0
    made.net.run(3.0)
    frames.clear()
    made.net.run(3.0)

    assert busiest <= 2 * len(made.switches), "once for each link and direction"
    assert len(frames) <= 50


def test_a_controller_that_moves_is_where_it_has_proven_itself() -> None:
    made = keyed(topologies.ring(4), echo_s=0.1)
    near = port_at(made, 0, made.controller.host)

    made.net.links[0].cut()
    made.controller.host.eth0.nic.link = None
    made.net.link(made.controller, made.switches[2])
    moved = max(silences(made, 4.0))

    assert near is None
    assert port_at(made, 2, made.controller.host) is None, "it is here"
    assert port_at(made, 0, made.controller.host) not in (None, LOCAL)
    assert moved <= 1.5


@pytest.mark.parametrize("lie", IPV4_LIES)
def test_a_host_moves_no_station_that_neighbours_tell_of(lie: Lie) -> None:
    made = topologies.ring(3)
    for switch in made.switches:
        switch.set_network_keys(KEY)
    at = scene(made)
    made.net.run(KNOWN_S)

    at.attack(lie, 10.0, 3.0)
    silent = max(silences(made, 3.0))

    assert silent <= SILENCE_S
    assert at.got_through == 0


def test_without_a_key_neighbours_words_are_none() -> None:
    made = topologies.ring(4)
    come_up(made)
    made.net.run(KNOWN_S)

    for switch in made.switches:
        fabric = switch.only.bridge.neighbours.fabric
        assert fabric is not None
        assert fabric.ways is None
        assert not switch.only.bridge.pipeline.places.trusted


def test_a_key_that_is_taken_away_and_given_again_works_as_before() -> None:
    made = keyed(topologies.ring(3), echo_s=1.0)
    before = [port_at(made, at, made.controller.host) for at in range(3)]

    for secrets in ((), (KEY,)):
        for switch in made.switches:
            switch.set_network_keys(*secrets)
        made.net.run(KNOWN_S)

    assert before == [None, 1, 2]
    assert [port_at(made, at, made.controller.host) for at in range(3)] == before


def test_a_slow_controller_is_not_given_up_because_a_link_died_elsewhere() -> None:
    made = keyed(topologies.ring(4), echo_s=0.1)
    made.net.links[0].spoil(Faults(delay_s=0.04))
    places, changes = made.switches[0].only.bridge.pipeline.places, made.switches[0].only.bridge.neighbours.fabric
    assert changes is not None
    before = set(places.proven_here())

    between_switches(made)[1].cut()
    made.net.run(0.05)
    given_up = set(places.proven_here()) != before
    made.net.run(3.0)

    assert before
    assert not given_up
    assert changes.changes.own + changes.changes.taken <= 4, "who has no way for a moment does not ask again and again"


def test_a_way_by_a_neighbour_of_a_dead_switch_is_left_although_its_link_is_quiet() -> None:
    made = build(read_graph((TOPOLOGIES / "b4.txt").read_text()), seed=1)
    for switch in made.switches.values():
        switch.set_network_keys(KEY)
    made.net.start()
    made.net.run(KNOWN_S + 2.5)
    assert made.are_up()
    for controller in made.controllers.values():
        controller.controller.echo_interval_s = 0.1
    longest = {}

    for name in ("s2", "s3", "s5", "s6", "s7", "s8"):
        channels = [
            channel
            for controller in made.controllers.values()
            for owner, channel in made.net.channels(controller).items()
            if owner != name
        ]
        for channel in channels:
            channel.forget_silence(made.net.now)
        made.switches[name].kill()
        made.net.run(0.6)
        longest[name] = max(channel.silence_s(made.net.now) for channel in channels)
        made.switches[name].start()
        made.net.run(KNOWN_S)

    assert max(longest.values()) <= 0.1 + SILENT_S, longest
