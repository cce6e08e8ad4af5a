"""Bridges of other makes between ours, which say no hellos: where they are part of a ring the channel heals as well."""

from __future__ import annotations

import itertools

import pytest

from inband.sim.graphs import Graph
from lab.copies import Captures, captured
from lab.fabric import Failure, Wire
from lab.graph import graph_scene
from lab.inband import OnDatapath
from lab.net import Lab
from lab.other_makes import OTHERS
from lab.shapes import mesh, parallel, ring
from lab.wire import Wire as Held

pytestmark = [pytest.mark.root, pytest.mark.slow]

UP_S, KNOWN_S, HARM_S = 20.0, 3.0, 2.0
BOUND_S = {Failure.BOTH_ENDS: 1.0, Failure.SILENT: 2.5}
TO_ALL, TYPE = b"\xff" * 6, b"\x88\xb6"


@pytest.mark.parametrize("other", list(OTHERS))
def test_a_ring_with_a_bridge_of_another_make_heals(other: str) -> None:
    with graph_scene(OnDatapath("ebpf"), ring(4), echo_s=0.05, others={"s2": OTHERS[other]}) as stage:
        up_s = stage.up_after(stage.connect(), UP_S)
        stage.settle(KNOWN_S)

        outages = {how: stage.fail_link(("s1", "s2"), how) for how in BOUND_S}

        assert up_s is not None
        for how, outage in outages.items():
            assert max(outage.silences) <= BOUND_S[how], f"{how}: {outage}"
            assert outage.repair <= BOUND_S[how], f"{how}: {outage}"


@pytest.mark.parametrize("graph", [parallel(), mesh(4)], ids=["two parallel links", "mesh of 4 with double links"])
def test_what_control_sends_to_all_does_not_go_round(graph: Graph) -> None:
    with graph_scene(OnDatapath("ebpf"), graph, echo_s=0.05) as stage, captured(stage) as captures:
        up_s = stage.up_after(stage.connect(), UP_S)
        stage.controllers[0].order("drop")
        stage.settle(HARM_S)

        assert up_s is not None
        assert captures.frames > 0
        assert captures.copies() == 0


def test_a_frame_that_comes_more_often_than_it_was_sent_is_a_copy() -> None:
    with Lab() as lab:
        machines = [lab.namespace(name) for name in ("one", "two", "three")]
        links = []
        for left, right in itertools.pairwise(machines):
            lab.link(left, "next", right, "back")
            links.append(Wire(((left, "next"), (right, "back"))))
        sender = bytes.fromhex("02000000aa01")
        captures = Captures(lab, links, {sender: "one"})
        first, second = lab.hold(Held(machines[0], "next")), lab.hold(Held(machines[1], "next"))

        for frame in (b"once", b"twice"):
            first.send(TO_ALL + sender + TYPE + frame.ljust(50))
        for frame in (b"once", b"twice", b"twice"):
            second.send(TO_ALL + sender + TYPE + frame.ljust(50))
        captures.wait(5)
        captures.close()

        assert captures.frames == 5
        assert captures.copies() == 1
