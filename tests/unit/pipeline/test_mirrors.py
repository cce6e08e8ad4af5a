"""Mirrors: one more output, once, and never round."""

from __future__ import annotations

import pytest

from inband.flow.actions import Clone, Output, SetField
from inband.flow.match import Match
from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.pipeline.mirrors import Mirror, mirrors_of
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.mirroring import MirrorConfig
from inband.vocabulary.openflow import PortConfig
from tests.unit.pipeline.scene import P1, P2, P3, A, B, Scene, out

FRAME = packets.udp(src=A, dst=B)
ALL = Mirror("all", P3, None, None)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def mirror(scene: Scene, *mirrors: Mirror) -> None:
    scene.ports.set_mirrors(mirrors)


def test_what_comes_in_is_copied_before_anything_is_done_to_it(scene: Scene) -> None:
    mirror(scene, Mirror("m", P3, frozenset({P1})))
    scene.flow(SetField("ip_ttl", 3), Output(P2))

    assert scene.actions(FRAME) == (Output(P3), SetField("ip_ttl", 3), Output(P2))
    assert scene.actions(FRAME, P2) == ()


def test_what_is_dropped_is_copied_all_the_same_and_counted(scene: Scene) -> None:
    mirror(scene, Mirror("m", P3, frozenset({P1})))
    translation = scene.receive(FRAME)

    assert translation.actions == out(P3)
    scene.pipeline.credit(translation, 2, 200, 1.0)
    (made,) = scene.ports.mirrors
    assert (made.counter.packets, made.counter.bytes) == (2, 200)


def test_what_leaves_is_copied_as_it_leaves_from_within_a_copy_too(scene: Scene) -> None:
    mirror(scene, Mirror("m", P3, frozenset(), frozenset({P2})))
    scene.flow(SetField("ip_ttl", 3), Output(P2), Output(LOCAL))

    assert scene.actions(FRAME) == (SetField("ip_ttl", 3), *out(P2, P3, LOCAL))
    assert scene.actions(FRAME, P2) == (SetField("ip_ttl", 3), *out(LOCAL)), "never back to where it came from"


def test_a_packet_is_copied_once_by_each_mirror(scene: Scene) -> None:
    mirror(scene, ALL, Mirror("other", LOCAL, frozenset({P1}), frozenset({P2})))
    scene.flow(Output(P2))

    assert scene.actions(FRAME) == out(P3, LOCAL, P2)
    assert scene.actions(FRAME, LOCAL) == out(P3, P2)


def test_mirrors_do_not_see_each_others_copies_nor_their_own_port(scene: Scene) -> None:
    mirror(scene, Mirror("m", P3, frozenset({P1})), Mirror("n", LOCAL, frozenset(), frozenset({P3})))
    scene.flow(Output(P3))

    assert scene.actions(FRAME) == out(P3, P3), "the flow's own output, and the copy"
    assert scene.actions(FRAME, P3) == ()


def test_the_output_port_is_left_out_of_normal_but_not_of_in_band_control(scene: Scene) -> None:
    scene.flow(Output(NORMAL))
    mirror(scene, Mirror("m", P3, frozenset({PortNo(9)})))

    assert scene.actions(FRAME) == out(P2, LOCAL)
    assert scene.receive(FRAME, P3).drop_reason == "port 3 is for the copies of a mirror"
    scene.in_band(Match.of(eth_type=0x0800))
    assert scene.actions(FRAME) == out(P2, P3, LOCAL)
    assert scene.actions(packets.udp(src=B, dst=A), P3) == out(P1)


def test_known_unicast_that_is_copied_does_not_skip_its_port(scene: Scene) -> None:
    scene.flow(Output(NORMAL))
    scene.knows(B, P2)
    assert scene.receive(FRAME).is_known_unicast

    mirror(scene, ALL)

    assert scene.actions(FRAME) == out(P3, P2)
    assert not scene.receive(FRAME).is_known_unicast


def test_only_the_vlans_that_are_asked_for_are_copied(scene: Scene) -> None:
    mirror(scene, Mirror("m", P3, None, None, frozenset({10})))
    tagged = packets.vlan(packets.udp(src=A, dst=B), 10)

    assert scene.actions(tagged) == out(P3)
    assert scene.actions(FRAME) == ()
    assert scene.receive(FRAME).mask & Match.of(vlan_vid=(0xFFF, 0xFFF)).mask
    scene.ports.memberships = {P1: VlanMembership(VlanMode.ACCESS, 10)}
    assert scene.actions(FRAME) == out(P3)


def test_a_packet_out_is_copied_where_it_leaves_and_a_closed_port_takes_nothing(scene: Scene) -> None:
    mirror(scene, ALL)

    assert scene.packet_out(FRAME, Output(P2)) == out(P2, P3)
    assert scene.packet_out(FRAME, Output(P3)) == out(P3)
    scene.configure(P1, PortConfig.NO_RECV)
    assert scene.actions(FRAME) == ()
    scene.configure(P1, PortConfig.NONE)
    scene.configure(P3, PortConfig.NO_FWD)
    assert scene.actions(FRAME) == ()


def test_a_copy_within_a_copy_of_the_packet(scene: Scene) -> None:
    scene.ports.memberships = {P2: VlanMembership(VlanMode.ACCESS, 10), P1: VlanMembership(VlanMode.TRUNK)}
    mirror(scene, Mirror("m", P3, frozenset(), frozenset({P2})))
    scene.flow(Output(NORMAL), Output(LOCAL))

    actions = scene.actions(packets.vlan(packets.udp(src=A, dst=B), 10))

    (copy,) = [action for action in actions if isinstance(action, Clone)]
    assert copy.actions[-2:] == out(P2, P3)


def test_a_trace_names_the_mirror(scene: Scene) -> None:
    mirror(scene, ALL)
    trace = Trace()

    scene.receive(FRAME, trace=trace)

    assert any("mirror all: a copy to port 3" in str(step) for step in trace.steps)


def test_ports_without_a_number_are_left_out_and_counters_go_on() -> None:
    numbers = {"p1": P1, "p3": P3}
    configs = (
        MirrorConfig("m", "p3", frozenset({"p1", "gone"}), None),
        MirrorConfig("n", "gone", None, None),
    )

    (made,) = mirrors_of(configs, numbers, ())
    made.counter.credit(1, 60)
    (again,) = mirrors_of(configs, {**numbers, "gone": P2}, (made,))[:1]

    assert made == Mirror("m", P3, frozenset({P1}), None)
    assert again.counter is made.counter
