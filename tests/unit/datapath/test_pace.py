"""The pace of neighbour discovery that a port may send up."""

from __future__ import annotations

import pytest

from inband.datapath.pace import BURST_MS, PER_S, DiscoveryPace, is_discovery
from inband.testing import packets

BURST = PER_S * BURST_MS // 1000


def test_a_burst_passes_and_then_no_more_than_the_pace() -> None:
    pace = DiscoveryPace()

    at_once = sum(pace.keeps(10.0) for _ in range(5000))
    in_the_next_second = sum(pace.keeps(10.0 + number / 5000) for number in range(5000))

    assert at_once in (BURST, BURST + 1)
    assert PER_S - 2 <= in_the_next_second <= PER_S + 2


def test_what_keeps_the_pace_always_passes() -> None:
    pace = DiscoveryPace()

    assert all(pace.keeps(5.0 + number / PER_S) for number in range(5000))


@pytest.mark.parametrize(
    ("frame", "is_one"),
    [
        (packets.arp_request(), True),
        (packets.vlan(packets.arp_reply(), 10), True),
        (packets.neighbour_solicitation(), True),
        (packets.vlan(packets.neighbour_advertisement(), 10), True),
        (packets.router_advertisement(), True),
        (packets.icmp_echo("2001:db8::1", "2001:db8::2"), False),
        (packets.listener_query(), False),
        (packets.tcp(), False),
        (packets.udp(packets.IP6_A, packets.IP6_B), False),
        (packets.neighbour_solicitation()[:54], False),
        (b"", False),
        (bytes(13), False),
    ],
)
def test_arp_and_neighbour_discovery_are_told_from_the_rest(frame: bytes, is_one: bool) -> None:
    buffer = bytearray(10) + frame

    assert is_discovery(memoryview(buffer), 10, len(buffer)) is is_one
