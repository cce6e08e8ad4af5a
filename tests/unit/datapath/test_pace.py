"""The pace of what goes before data: how much of it a port may send up."""

from __future__ import annotations

import pytest

from inband.datapath.pace import CONTROL, DISCOVERY, LINK_LOCAL, Allowance, Pace, is_discovery, is_link_local
from inband.testing import packets


@pytest.mark.parametrize("allowance", [DISCOVERY, LINK_LOCAL, CONTROL])
def test_a_burst_passes_and_then_no_more_than_the_pace(allowance: Allowance) -> None:
    pace, burst = Pace(allowance), allowance.per_s * allowance.burst_ms // 1000

    at_once = sum(pace.keeps(10.0) for _ in range(5000))
    in_the_next_second = sum(pace.keeps(10.0 + number / 5000) for number in range(5000))

    assert at_once in (burst, burst + 1)
    assert allowance.per_s - 2 <= in_the_next_second <= allowance.per_s + 2


@pytest.mark.parametrize("allowance", [DISCOVERY, LINK_LOCAL, CONTROL])
def test_what_keeps_the_pace_always_passes(allowance: Allowance) -> None:
    pace = Pace(allowance)

    assert all(pace.keeps(5.0 + number / allowance.per_s) for number in range(5000))


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


@pytest.mark.parametrize(
    ("to", "is_one"),
    [("0180c2000000", True), ("0180c200000f", True), ("0180c2000010", False), ("0180c20000", False), ("", False)],
)
def test_what_stays_on_its_link_is_told_from_the_rest(to: str, is_one: bool) -> None:
    buffer = bytearray(10) + bytes.fromhex(to)

    assert is_link_local(memoryview(buffer), 10, len(buffer)) is is_one
