"""A port's budget of neighbour discovery: over it nothing is control, and what is this switch's own costs nothing."""

from __future__ import annotations

from inband.flow.actions import Output
from inband.flow.match import Match
from inband.flow.ports import CONTROLLER, LOCAL
from inband.pipeline.budget import MAX_BUCKETS, OTHERS, OWN, TIDY_S, Kind, PortBudgets
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.numbers import ETH_ARP
from inband.vocabulary.openflow import PortConfig
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, Scene, out

ARP = Match.of(eth_type=ETH_ARP)
GATEWAY = "10.0.0.254"
BURST_OF_OTHERS = int(OTHERS.burst)


def question(number: int) -> bytes:
    """Another host's question for the gateway."""
    return packets.arp_request(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", GATEWAY, src=A)


def storm(scene: Scene, count: int, now: float = 1.0) -> int:
    """So many questions from port 1 at once; how many are passed on."""
    return sum(scene.actions(question(number), P1, now) == out(P2, P3, LOCAL) for number in range(count))


def test_a_bucket_fills_with_time_and_no_further_than_its_size() -> None:
    budget = PortBudgets()
    at_once = sum(budget.spend(P1, Kind.OTHERS, 1.0) for _ in range(2000))
    soon = sum(budget.spend(P1, Kind.OTHERS, 1.1) for _ in range(2000))
    late = sum(budget.spend(P1, Kind.OTHERS, 1000.0) for _ in range(2000))

    assert at_once == BURST_OF_OTHERS
    assert soon == OTHERS.rate_per_s // 10
    assert late == BURST_OF_OTHERS
    assert budget.allows(P2, Kind.OTHERS, 1000.0)
    assert not budget.allows(P1, Kind.OTHERS, 1000.0)


def test_each_subject_has_its_own_and_the_port_has_one_for_all_that_are_too_many() -> None:
    budget = PortBudgets()
    for number in range(MAX_BUCKETS):
        budget.spend(P1, Kind.OTHERS, 1.0, f"remote {number}")

    rest = [budget.spend(P1, Kind.OTHERS, 1.0, f"other {number}") for number in range(1000)]
    at_once = [budget.spend(P1, Kind.OTHERS, 1.0, "remote 7") for _ in range(1000)]
    later = [budget.spend(P1, Kind.OTHERS, 1.0 + TIDY_S, "other 7") for _ in range(1000)]

    assert sum(rest) == sum(later) == BURST_OF_OTHERS
    assert sum(at_once) == BURST_OF_OTHERS - 1


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    budget = PortBudgets()
    for _ in range(BURST_OF_OTHERS):
        budget.spend(P1, Kind.OTHERS, 5.0)

    assert not budget.spend(P1, Kind.OTHERS, 5.0)
    assert not budget.spend(P1, Kind.OTHERS, 4.0)


def test_a_storm_for_a_protected_address_is_passed_on_up_to_the_budget_and_counted() -> None:
    scene = Scene()
    scene.in_band(ARP, letter="j")

    passed = storm(scene, 3000)

    assert passed == BURST_OF_OTHERS
    assert scene.pipeline.counters["discovery_over_budget"] == 3000 - BURST_OF_OTHERS


def test_over_the_budget_the_flow_table_decides_and_nothing_is_cached() -> None:
    scene = Scene()
    scene.in_band(ARP, letter="e")
    flow = scene.flow(Output(CONTROLLER))
    storm(scene, BURST_OF_OTHERS)

    answer = scene.receive(question(9999), P1)

    assert answer.credits[-1][1] is flow
    assert answer.hidden is None
    assert not answer.cacheable


def test_other_ports_and_this_switch_have_what_they_need() -> None:
    scene = Scene()
    scene.in_band(ARP, letter="j")
    storm(scene, 2000)

    assert scene.actions(question(5000), P2) == out(P1, P3, LOCAL)
    assert scene.actions(packets.arp_request("10.0.0.1", GATEWAY, src=US), LOCAL) == out(P1, P2, P3)
    assert scene.actions(packets.arp_reply(GATEWAY, "10.0.0.1", dst=US), P1) == out(LOCAL)


def test_what_is_about_this_switch_has_a_budget_of_its_own() -> None:
    scene = Scene()
    scene.in_band(ARP, letter="l")

    assert storm(scene, 2000) == OWN.burst
    assert scene.pipeline.counters["discovery_over_budget"] == 2000 - OWN.burst


def test_a_question_to_this_switch_alone_comes_out_of_its_own_budget() -> None:
    scene = Scene()
    scene.in_band(ARP, letter="e")
    to_us = packets.arp_request("10.9.0.1", "10.0.0.1", src=A, dst=US)

    assert sum(scene.actions(to_us, P1) == out(LOCAL) for _ in range(999)) == OWN.burst
    assert scene.actions(question(1), P1) == out(P2, P3, LOCAL)


def test_a_decision_within_the_budget_is_not_cached_either() -> None:
    scene = Scene()
    scene.in_band(ARP, letter="d")
    scene.knows(B, P2)

    answer = scene.receive(packets.arp_reply("10.9.0.1", GATEWAY, dst=B), P1)

    assert answer.actions == out(P2)
    assert not answer.cacheable


def test_a_port_closed_to_data_lets_nothing_in_over_the_budget() -> None:
    scene = Scene()
    scene.in_band(ARP, letter="e")
    scene.flow(Output(CONTROLLER))
    scene.configure(P1, PortConfig.NO_RECV)
    storm(scene, BURST_OF_OTHERS)

    assert scene.actions(question(9999), P1) == ()


def test_a_trace_says_so_and_spends_nothing() -> None:
    scene, trace = Scene(), Trace()
    scene.in_band(ARP, letter="j")
    storm(scene, BURST_OF_OTHERS - 1)
    scene.receive(question(7000), P1, trace=Trace())
    last = scene.actions(question(7001), P1)
    scene.receive(question(7002), P1, trace=trace)

    assert last == out(P2, P3, LOCAL)
    assert "(j) does not apply: over the port's budget" in str(trace.steps)
