"""Explanations: they name the decider, show the verdict without in-band control, and change nothing."""

from __future__ import annotations

from inband.flow.actions import Output
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.trace import ActionStep, Note, TableStep, Trace
from inband.testing import packets
from inband.vocabulary.numbers import ETH_ARP
from tests.unit.pipeline.scene import P1, P2, P3, A, B, Scene, out

ARP = packets.arp_request(src=A)


def test_an_explanation_names_letter_and_remote_and_what_it_would_have_been() -> None:
    scene = Scene()
    scene.in_band(Match.of(eth_type=ETH_ARP), letter="j")
    scene.flow(Output(P2))

    explanation = scene.pipeline.explain(parse(ARP, 1), Frame(ARP), 1.0)

    assert explanation.decider is not None
    assert explanation.decider.origin is not None
    assert (explanation.decider.origin.letter, explanation.decider.origin.subject) == ("j", "192.0.2.1")
    assert explanation.verdict.actions == out(P2, P3, LOCAL)
    assert explanation.verdict_without.actions == out(P2)


def test_an_explanation_changes_nothing() -> None:
    scene = Scene()
    flow = scene.in_band(Match.of(eth_type=ETH_ARP))

    for _ in range(2):
        explanation = scene.pipeline.explain(parse(ARP, 1), Frame(ARP), 1.0)

    assert explanation.verdict.actions == out(P2, P3, LOCAL)
    assert (len(scene.fdb), scene.fdb.has_changed) == (0, False)
    assert (scene.pipeline.counters, flow.packets) == ({}, 0)
    assert scene.actions(ARP) == out(P2, P3, LOCAL)


def test_a_trace_lists_lookups_actions_and_remarks_in_order() -> None:
    scene = Scene()
    flow = scene.flow(Output(NORMAL))
    scene.knows(B, P1)
    trace = Trace()

    scene.receive(packets.tcp(src=A, dst=B), P1, trace=trace)

    assert trace.steps == [
        TableStep(0, 0, flow),
        ActionStep(0, Output(NORMAL)),
        Note(0, "the destination is on the port it came from"),
    ]
    assert trace.flows() == [flow]
