"""A loop outside a bridge without a spanning tree: it is named, its broadcasts are limited, and no one else pays."""

from __future__ import annotations

import pytest

from inband.bridge.tree import TreeConfig
from inband.control.letters import LETTERS
from inband.flow.actions import ApplyActions, Output
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.loops import FLOODS_PER_S
from inband.stp.loop_watch import Loop, probe_number
from inband.testing import packets
from tests.unit.bridge.test_groups import P1, P2, P3
from tests.unit.bridge.test_tree import TimedStage, wait

EVERYONE = "ff:ff:ff:ff:ff:ff"
HOST = "02:00:00:00:00:aa"


@pytest.fixture
def stage() -> TimedStage:
    """A learning switch."""
    stage = TimedStage()
    stage.flow(ApplyActions((Output(NORMAL),)))
    return stage


def receive(stage: TimedStage, data: bytes, port: PortNo) -> list[PortNo]:
    """A frame comes in; where it goes."""
    stage.datapath.take_sent()
    stage.datapath.deliver(port, Frame(data))
    return [number for number, _, _ in stage.datapath.take_sent()]


def probes(stage: TimedStage) -> dict[PortNo, bytes]:
    """The probes that have left, by port."""
    return {port: frame.data for port, frame, _ in stage.datapath.take_sent() if probe_number(frame.data)}


def flap(stage: TimedStage) -> dict[PortNo, bytes]:
    """A host is heard on two ports in turn; the probes that leave because of it."""
    for _ in range(4):
        for port in (P1, P2):
            receive(stage, packets.udp(src=HOST, dst=EVERYONE), port)
    stage.datapath.take_sent()
    stage.bridge.run()
    return probes(stage)


def loop(stage: TimedStage) -> None:
    """Ports 2 and 3 are joined."""
    sent = flap(stage)
    receive(stage, sent[P2], P3)
    receive(stage, sent[P3], P2)


def test_hosts_that_move_make_every_port_but_local_send_a_probe(stage: TimedStage) -> None:
    assert set(flap(stage)) == {P1, P2, P3}


def test_what_control_says_comes_round_in_any_ring_and_is_no_sign(stage: TimedStage) -> None:
    arp = Flow(Match.of(eth_type=0x0806), LETTERS["h"].priority, (ApplyActions((Output(NORMAL),)),))
    arp.origin = LETTERS["h"].origin("192.0.2.1")
    stage.bridge.tables.install_hidden(arp)

    for step, port in enumerate((P1, P2, P1)):
        stage.clock.now = step * 1.0
        for host in range(10):
            receive(stage, packets.arp_request(src=f"02:00:00:00:03:{host:02x}"), port)

    assert stage.bridge.fdb.counters.moved == 20
    assert stage.bridge.loops.next_deadline() is None


def test_a_probe_that_comes_back_goes_no_further_and_names_the_ports(stage: TimedStage) -> None:
    sent = flap(stage)

    assert receive(stage, sent[P2], P3) == []

    assert stage.bridge.loops.loops == {Loop(P2, P3)}


def test_another_switchs_probe_is_a_packet_like_others(stage: TimedStage) -> None:
    other = TimedStage()
    other.flow(ApplyActions((Output(NORMAL),)))
    flap(stage)

    assert receive(stage, flap(other)[P2], P3) == [P1, P2, LOCAL]


def test_broadcasts_from_ports_in_a_loop_are_limited_and_those_of_others_are_not(stage: TimedStage) -> None:
    loop(stage)

    passed = [bool(receive(stage, packets.udp(src=f"02:00:00:00:01:{n:02x}", dst=EVERYONE), P2)) for n in range(60)]
    others = [bool(receive(stage, packets.udp(src=f"02:00:00:00:02:{n:02x}", dst=EVERYONE), P1)) for n in range(60)]

    assert sum(passed) == FLOODS_PER_S
    assert all(others)


def test_each_second_some_more_pass(stage: TimedStage) -> None:
    loop(stage)
    for _ in range(60):
        receive(stage, packets.udp(src=HOST, dst=EVERYONE), P2)

    wait(stage, 1.1)

    assert receive(stage, packets.udp(src=HOST, dst=EVERYONE), P2)


def test_what_came_round_does_not_move_a_host(stage: TimedStage) -> None:
    receive(stage, packets.udp(src="02:00:00:00:00:bb", dst=EVERYONE), P1)
    loop(stage)

    receive(stage, packets.udp(src="02:00:00:00:00:bb", dst=EVERYONE), P2)

    assert receive(stage, packets.udp(src=HOST, dst="02:00:00:00:00:bb"), P3) == [P1]


def test_a_host_that_sends_its_own_probe_back_limits_its_own_port_alone(stage: TimedStage) -> None:
    sent = flap(stage)

    receive(stage, sent[P2], P2)

    assert stage.bridge.loops.loops == {Loop(P2, P2)}
    for port in (P1, P3):
        assert all(receive(stage, packets.udp(src=HOST, dst=EVERYONE), port) for _ in range(60))


def test_it_is_over_when_nothing_comes_back(stage: TimedStage) -> None:
    told: list[int] = []
    stage.bridge.loops.changed = lambda: told.append(len(stage.bridge.loops.loops))
    loop(stage)

    wait(stage, 6.0)

    assert told == [1, 2, 0]
    assert all(receive(stage, packets.udp(src=HOST, dst=EVERYONE), P2) for _ in range(60))
    assert stage.bridge.loops.next_deadline() is None


def test_a_spanning_tree_takes_over(stage: TimedStage) -> None:
    loop(stage)

    stage.bridge.configure_tree(TreeConfig())

    assert stage.bridge.loops.loops == frozenset()
    assert flap(stage) == {}


def test_a_trace_spends_nothing(stage: TimedStage) -> None:
    loop(stage)
    frame = Frame(packets.udp(src=HOST, dst=EVERYONE))

    for _ in range(60):
        told = stage.bridge.pipeline.explain(parse(frame.data, P2), frame, stage.clock.now)

    assert told.verdict.actions
