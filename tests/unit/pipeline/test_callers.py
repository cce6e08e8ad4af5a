"""What any host may do by rule (h): so many segments that no controller answers, and so much that is flooded."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from inband.flow.actions import Output
from inband.flow.fields import FIELDS
from inband.flow.match import Match
from inband.flow.ports import CONTROLLER, LOCAL, PortNo
from inband.pipeline.budget import DIALLED, FLOODED, KNOWN, OTHERS, UNDER_WAY
from inband.pipeline.callers import ANSWERED_S, KNOWN_AT_ONCE, MAX_ANSWERED, MAX_CONNECTIONS, Callers, Connection
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import BROADCAST, AddressKey
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV4, ETH_IPV6, IP_ICMPV6, IP_TCP
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, C, Scene, out

REMOTE, REMOTE_6, SWITCH = "192.0.2.1", "2001:db8:1::1", "10.1.0.7"
KEY: AddressKey = (4, int(IPv4Address(REMOTE)))
KEY_6: AddressKey = (6, int(IPv6Address(REMOTE_6)))
SYN, SYN_ACK, RST, PSH_ACK = 0x02, 0x12, 0x14, 0x18


def scene_with_controller() -> Scene:
    """A switch that knows where the controller is: it was proven to be behind port 2, at B. C is behind port 1."""
    scene = Scene()
    for version, eth_type in ((4, ETH_IPV4), (6, ETH_IPV6)):
        key = KEY if version == 4 else KEY_6
        for letter, field in (("h", "dst"), ("i", "src")):
            tcp = {f"ipv{version}_{field}": key[1], f"tcp_{field}": 6653}
            scene.in_band(Match.of(eth_type=eth_type, ip_proto=IP_TCP, **tcp), letter=letter)
    scene.in_band(Match.of(eth_type=ETH_ARP), letter="b")
    scene.in_band(Match.of(eth_type=ETH_IPV6, ip_proto=IP_ICMPV6), letter="b")
    places = scene.pipeline.places
    places.hops, places.hops_towards = {KEY, KEY_6}, lambda address: (address,)
    for key in (KEY, KEY_6):
        places.asks_local(key, 1.0)
    scene.receive(packets.arp_reply(REMOTE, "10.0.0.1", src=B, dst=US), P2)
    assert places.station(KEY) is not None
    scene.knows(C, P1)
    return scene


def segment(number: int, src: str = A, host: str = "") -> bytes:
    """The first segment of another connection for each number."""
    return packets.tcp(host or f"10.0.{number >> 8}.{number & 255}", REMOTE, 1024 + number, 6653, src=src, dst=B)


def asks(address: str, mac: str, to: str = B) -> bytes:
    """A question for the controller."""
    return packets.arp_request(address, REMOTE, src=mac, dst=to)


def answer(number: int, host: str, flags: int = SYN_ACK) -> bytes:
    """What the controller says to it."""
    return packets.tcp(REMOTE, host, 6653, 1024 + number, src=B, dst=C, flags=flags)


def dialled(scene: Scene, count: int, port: PortNo = P1, now: float = 1.0) -> int:
    """So many new connections at once, others for each port; how many got through."""
    first = 1000 if port == P3 else 0
    return sum(scene.actions(segment(number), port, now) == out(P2) for number in range(first, first + count))


def test_calls_that_no_controller_answers_have_a_budget_for_each_port() -> None:
    scene = scene_with_controller()

    assert dialled(scene, 1000) == DIALLED.burst
    assert scene.pipeline.counters["calls_over_budget"] == 1000 - DIALLED.burst
    assert dialled(scene, 10, P3) == 10


def test_calls_that_a_neighbour_of_the_networks_key_passes_on_are_within_its_budget() -> None:
    scene = scene_with_controller()
    scene.pipeline.places.trust(frozenset({P1}))

    decided = [scene.receive(segment(number), P1) for number in range(1000)]

    assert all(each.actions == out(P2) and each.cacheable for each in decided)
    assert dialled(scene, 1000, P3) == DIALLED.burst


@pytest.mark.parametrize(
    ("flags", "has_neighbour", "passes"),
    [
        (PSH_ACK, True, UNDER_WAY.burst),
        (PSH_ACK, False, DIALLED.burst),
        (SYN, True, DIALLED.burst),
        (SYN_ACK, True, DIALLED.burst),
        (RST, True, DIALLED.burst),
    ],
    ids=["under way", "without a neighbour", "SYN", "SYN and ACK", "RST"],
)
def test_where_answers_take_another_way_more_passes_of_connections_that_are_under_way_between_neighbours(
    flags: int, has_neighbour: bool, passes: float
) -> None:
    scene = scene_with_controller()
    scene.pipeline.places.trust(frozenset(), frozenset({P1} if has_neighbour else ()))
    data = packets.tcp("10.0.0.9", REMOTE, 1033, 6653, src=A, dst=B, flags=flags)

    passed = sum(scene.actions(data, P1) == out(P2) for _ in range(1000))

    assert passed == passes
    assert scene.pipeline.counters["calls_over_budget"] == 1000 - passes


@pytest.mark.parametrize(
    ("data", "in_port", "switches", "passes"),
    [
        (asks(SWITCH, C), P1, {P1}, KNOWN.burst),
        (asks(SWITCH, C, to=str(BROADCAST)), P1, {P1}, OTHERS.burst),
        (asks("10.1.0.8", C), P1, {P1}, OTHERS.burst),
        (asks(SWITCH, C), P1, {}, OTHERS.burst),
        (packets.arp_reply(REMOTE, SWITCH, src=B, dst=C), P2, {}, KNOWN.burst),
    ],
    ids=["a switch", "to all", "no controller has answered it", "behind no neighbour", "a next hop"],
)
def test_what_known_stations_say_to_one_station_has_a_budget_of_its_own(
    data: bytes, in_port: PortNo, switches: set[PortNo], passes: float
) -> None:
    scene = scene_with_controller()
    scene.in_band(Match.of(eth_type=ETH_ARP), letter="g")
    scene.pipeline.places.trust(frozenset(), frozenset(switches))
    scene.receive(segment(0, C, SWITCH), P1)
    scene.receive(answer(0, SWITCH), P2)

    for _ in range(2000):
        scene.receive(data, in_port)

    assert scene.pipeline.counters.get("discovery_over_budget", 0) == 2000 - passes


def test_each_segment_counts_until_there_is_an_answer() -> None:
    scene = scene_with_controller()

    answers = [scene.receive(segment(0), P1) for _ in range(1000)]

    assert sum(each.actions == out(P2) for each in answers) == DIALLED.burst
    assert not any(each.cacheable for each in answers)


def test_over_it_the_flow_table_decides() -> None:
    scene = scene_with_controller()
    flow = scene.flow(Output(CONTROLLER))
    dialled(scene, 1000)

    assert scene.receive(segment(2000), P1).credits[-1][1] is flow


def test_a_connection_that_was_answered_goes_on_and_is_cached_for_itself() -> None:
    scene = scene_with_controller()
    scene.receive(segment(0, C, SWITCH), P1)
    back = scene.receive(answer(0, SWITCH), P2)
    dialled(scene, 1000)

    there = scene.receive(segment(0, C, SWITCH), P1)

    assert (there.actions, back.actions) == (out(P2), out(P1))
    assert there.cacheable
    assert back.cacheable
    assert all(there.mask & FIELDS[name].mask for name in ("ipv4_src", "tcp_src"))
    assert all(back.mask & FIELDS[name].mask for name in ("ipv4_dst", "tcp_dst"))
    assert not there.mask & FIELDS["ipv6_src"].mask


def test_a_refusal_is_no_answer_and_does_not_hide_one() -> None:
    scene = scene_with_controller()
    dialled(scene, 1000)

    refused = scene.receive(answer(0, SWITCH, RST), P2)

    assert refused.actions == out(P1)
    assert not refused.cacheable
    assert scene.actions(segment(0, C, SWITCH), P1) == ()


def test_an_answer_from_elsewhere_than_the_controllers_port_is_none() -> None:
    scene = scene_with_controller()
    dialled(scene, 1000)

    scene.receive(answer(0, SWITCH).replace(bytes.fromhex(B.replace(":", "")), bytes.fromhex(A.replace(":", ""))), P3)

    assert scene.actions(segment(0, C, SWITCH), P1) == ()


def test_the_switchs_own_connections_cost_nothing_and_narrow_no_decision() -> None:
    scene = scene_with_controller()

    assert dialled(scene, 1000, LOCAL) == 1000
    assert not scene.receive(segment(0), LOCAL).mask & FIELDS["tcp_src"].mask
    back = scene.receive(packets.tcp(REMOTE, "10.0.0.1", 6653, 1024, src=B, dst=US), P2)
    assert back.actions == out(LOCAL)
    assert not back.mask & FIELDS["tcp_dst"].mask


def test_whom_the_controller_has_answered_calls_again_while_the_port_is_flooded() -> None:
    scene = scene_with_controller()
    scene.receive(segment(0, C, SWITCH), P1)
    scene.receive(answer(0, SWITCH), P2)
    dialled(scene, 1000)

    again = sum(scene.actions(segment(number, C, SWITCH), P1) == out(P2) for number in range(1, 100))

    assert again == KNOWN_AT_ONCE


def test_a_trace_spends_nothing() -> None:
    scene = scene_with_controller()
    for number in range(1000):
        scene.receive(segment(number), P1, trace=Trace())
        scene.receive(answer(number, SWITCH), P2, trace=Trace())

    assert dialled(scene, 1000) == DIALLED.burst


def test_ipv6_is_the_same() -> None:
    scene = scene_with_controller()
    calls = [packets.tcp(f"2001:db8::{number:x}", REMOTE_6, 4000, 6653, src=C, dst=B) for number in range(1000)]

    passed = sum(scene.actions(each, P1) == out(P2) for each in calls)

    assert passed == DIALLED.burst


def test_what_is_flooded_has_a_budget_for_each_port() -> None:
    scene, to = Scene(), "02:00:00:00:00:77"
    scene.in_band(Match.of(eth_type=ETH_IPV4), letter="o")

    flooded = sum(
        scene.actions(packets.udp("10.0.0.9", REMOTE, payload=b"%d" % number, src=A, dst=to), P1) != ()
        for number in range(1000)
    )

    assert flooded == FLOODED.burst
    assert scene.pipeline.counters["flood_over_budget"] == 1000 - FLOODED.burst


def connection(number: int) -> Connection:
    return Connection((4, number), 4000, KEY[1], 6653)


def test_memory_of_connections_forgets_what_was_not_seen_for_longest() -> None:
    callers = Callers()
    for number in (*range(MAX_CONNECTIONS), 0, MAX_CONNECTIONS):
        callers.answered(connection(number), 1.0)

    assert callers.knows(connection(0))
    assert not callers.knows(connection(1))
    assert callers.knows(connection(MAX_CONNECTIONS))


@pytest.mark.parametrize(("later_s", "is_taken"), [(1.0, False), (ANSWERED_S, True)])
def test_memory_of_who_was_answered_takes_no_one_new_while_it_is_full_of_recent_ones(
    later_s: float, is_taken: bool
) -> None:
    callers = Callers()
    for number in range(MAX_ANSWERED):
        callers.answered(connection(number), 1.0)

    callers.answered(connection(9999), 1.0 + later_s)

    assert callers.may_call_again(P1, (4, 9999), 1.0 + later_s) is is_taken
    assert callers.may_call_again(P1, (4, 1), 1.0 + later_s)
