"""What any host may do by rule (h): so many new connections for each port, and so much that is flooded."""

from __future__ import annotations

from ipaddress import IPv4Address

from inband.flow.actions import Output
from inband.flow.fields import FIELDS
from inband.flow.match import Match
from inband.flow.ports import CONTROLLER, LOCAL, PortNo
from inband.pipeline.budget import DIALLED, FLOODED
from inband.pipeline.callers import ANSWERED_S, KNOWN_AT_ONCE, MAX_ANSWERED, MAX_CONNECTIONS, Callers
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.numbers import ETH_IPV4, ETH_IPV6, IP_TCP
from tests.unit.pipeline.scene import P1, P2, P3, A, B, C, Scene, out

REMOTE = "192.0.2.1"
ADDRESS = int(IPv4Address(REMOTE))
TO_IT = Match.of(eth_type=ETH_IPV4, ip_proto=IP_TCP, ipv4_dst=ADDRESS, tcp_dst=6653)
FROM_IT = Match.of(eth_type=ETH_IPV4, ip_proto=IP_TCP, ipv4_src=ADDRESS, tcp_src=6653)


def scene_with_controller() -> Scene:
    """A switch that knows where the controller is: behind port 2, at B."""
    scene = Scene()
    scene.in_band(TO_IT, letter="h")
    scene.in_band(FROM_IT, letter="i")
    scene.knows(B, P2)
    return scene


def segment(number: int, src: str = A, dst: str = B, host: str = "") -> bytes:
    """The first segment of another connection for each number."""
    return packets.tcp(host or f"10.0.{number >> 8}.{number & 255}", REMOTE, 1024 + number, 6653, src=src, dst=dst)


def dialled(scene: Scene, count: int, port: PortNo = P1, now: float = 1.0) -> int:
    """So many new connections at once; how many got through."""
    return sum(scene.actions(segment(number), port, now) == out(P2) for number in range(count))


def test_new_connections_to_a_controller_have_a_budget_for_each_port() -> None:
    scene = scene_with_controller()

    assert dialled(scene, 1000) == DIALLED.burst
    assert scene.pipeline.counters["calls_over_budget"] == 1000 - DIALLED.burst
    assert dialled(scene, 10, P3) == 10


def test_over_it_the_flow_table_decides_and_nothing_is_cached() -> None:
    scene = scene_with_controller()
    flow = scene.flow(Output(CONTROLLER))
    dialled(scene, 1000)

    answer = scene.receive(segment(2000), P1)

    assert answer.credits[-1][1] is flow
    assert not answer.cacheable


def test_a_connection_that_was_let_through_goes_on() -> None:
    scene = scene_with_controller()
    dialled(scene, 1000)

    answer = scene.receive(segment(0), P1)

    assert answer.actions == out(P2)
    assert answer.cacheable


def test_a_decision_holds_for_one_connection() -> None:
    scene = scene_with_controller()

    mask = scene.receive(segment(0), P1).mask

    assert all(mask & FIELDS[name].mask == FIELDS[name].mask for name in ("ipv4_src", "tcp_src"))
    assert not mask & FIELDS["ipv6_src"].mask


def test_the_switchs_own_connections_cost_nothing_and_narrow_no_decision() -> None:
    scene = scene_with_controller()

    assert dialled(scene, 1000, LOCAL) == 1000
    assert not scene.receive(segment(0), LOCAL).mask & FIELDS["tcp_src"].mask


def test_whom_the_controller_has_answered_calls_again_while_the_port_is_flooded() -> None:
    scene = scene_with_controller()
    scene.pipeline.places.hops = {(4, ADDRESS)}
    scene.pipeline.places.next_hop_of = lambda address: address
    scene.pipeline.places.asks_local((4, ADDRESS), 1.0)
    scene.in_band(Match.of(eth_type=0x0806), letter="k")
    scene.receive(packets.arp_reply(REMOTE, "10.0.0.1", src=B, dst="02:00:00:00:00:01"), P2)
    scene.knows(C, P1)
    switch = "10.1.0.7"
    scene.receive(segment(0, C, host=switch), P1)
    scene.receive(packets.tcp(REMOTE, switch, 6653, 1024, src=B, dst=C), P2)
    dialled(scene, 1000)

    again = sum(scene.actions(segment(number, C, host=switch), P1) == out(P2) for number in range(1, 100))

    assert again == KNOWN_AT_ONCE


def test_a_trace_spends_nothing() -> None:
    scene = scene_with_controller()
    for number in range(1000):
        scene.receive(segment(number), P1, trace=Trace())

    assert dialled(scene, 1000) == DIALLED.burst


def test_ipv6_is_the_same() -> None:
    scene = Scene()
    scene.in_band(Match.of(eth_type=ETH_IPV6, ip_proto=IP_TCP, tcp_dst=6653), letter="h")
    scene.knows(B, P2)

    passed = sum(
        scene.actions(packets.tcp(f"2001:db8::{number:x}", "2001:db8:1::1", 4000, 6653, src=A, dst=B), P1) == out(P2)
        for number in range(1000)
    )

    assert passed == DIALLED.burst


def test_what_is_flooded_has_a_budget_for_each_port() -> None:
    scene, dst = scene_with_controller(), "02:00:00:00:00:77"

    flooded = sum(
        scene.actions(packets.tcp("10.0.0.9", REMOTE, 4000, 6653, b"%d" % number, src=A, dst=dst), P1) != ()
        for number in range(1000)
    )

    assert flooded == FLOODED.burst
    assert scene.pipeline.counters["flood_over_budget"] == 1000 - FLOODED.burst


def test_memory_of_connections_is_bounded_and_forgets_what_was_not_seen_for_longest() -> None:
    callers = Callers()
    keys = [number << FIELDS["tcp_src"].shift for number in range(MAX_CONNECTIONS + 1)]
    for key in (*keys[:-1], keys[0], keys[-1]):
        callers.connect(P1, 4, key)

    assert callers.knows(P1, 4, keys[0])
    assert not callers.knows(P1, 4, keys[1])
    assert callers.knows(P1, 4, keys[-1])


def test_memory_of_who_was_answered_takes_nobody_new_while_it_is_full_of_recent_ones() -> None:
    callers = Callers()
    for number in range(MAX_ANSWERED):
        callers.answered((4, number), 1.0)

    callers.answered((4, 9999), 2.0)
    too_soon = callers.may_call_again(P1, (4, 9999), 2.0)
    callers.answered((4, 9999), 1.0 + ANSWERED_S)

    assert not too_soon
    assert callers.may_call_again(P1, (4, 1), 2.0)
    assert callers.may_call_again(P1, (4, 9999), 2.0 + ANSWERED_S)
    assert not callers.may_call_again(P1, (4, 0), 2.0 + ANSWERED_S)
