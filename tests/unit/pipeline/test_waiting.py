"""Segments of channels that wait until there is a way: in their order, so many, and not for long; and nothing else."""

from __future__ import annotations

import pytest

from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.pipeline.waiting import HOLD_S, MAX_BYTES, MAX_FRAMES, Waiting
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV4, IP_TCP
from tests.unit.pipeline.scene import P1, P2, A, B, Scene

STATION, OTHER = Mac(0x020000000001), Mac(0x020000000002)


def frames(waiting: Waiting) -> list[tuple[PortNo, bytes]]:
    return [(port, frame.data) for port, frame in waiting.take_released()]


def test_what_waits_leaves_in_its_order_when_there_is_a_way() -> None:
    waiting = Waiting()
    waiting.begin(STATION, 0.0)
    waiting.begin(OTHER, 0.0)

    assert waiting.hold(STATION, P1, Frame(b"one"))
    assert waiting.hold(OTHER, P1, Frame(b"two"))
    assert waiting.hold(STATION, P2, Frame(b"three"))
    waiting.end(STATION)

    assert frames(waiting) == [(P1, b"one"), (P2, b"three")]
    assert frames(waiting) == []
    assert not waiting.expects(STATION, 0.0)
    assert waiting.expects(OTHER, 0.0)


def test_it_waits_for_its_time_and_not_longer_however_often_ways_end() -> None:
    waiting = Waiting()
    waiting.begin(STATION, 1.0)
    waiting.begin(STATION, 1.0 + HOLD_S / 2)
    waiting.hold(STATION, P1, Frame(b"one"))

    waiting.run(1.0 + HOLD_S - 0.001)
    assert frames(waiting) == []
    assert waiting.next_deadline() == 1.0 + HOLD_S
    waiting.run(1.0 + HOLD_S)

    assert frames(waiting) == [(P1, b"one")]
    assert waiting.next_deadline() is None
    assert not waiting.expects(STATION, 1.0 + HOLD_S)


def test_no_more_waits_than_there_is_room_for() -> None:
    waiting = Waiting()
    waiting.begin(STATION, 0.0)

    held = [waiting.hold(STATION, P1, Frame(bytes(60))) for _ in range(MAX_FRAMES + 1)]
    waiting.end(STATION)
    assert held == [True] * MAX_FRAMES + [False]
    assert len(frames(waiting)) == MAX_FRAMES
    waiting.begin(STATION, 0.0)

    assert waiting.hold(STATION, P1, Frame(bytes(MAX_BYTES - 1)))
    assert not waiting.hold(STATION, P1, Frame(bytes(2)))
    assert waiting.hold(STATION, P1, Frame(bytes(1)))


@pytest.mark.parametrize(
    ("is_segment", "by_all_ways", "waits"),
    [(True, False, True), (True, True, False), (False, False, False)],
    ids=["a channel's segment", "one that is sent by all ways", "an answer to ARP"],
)
def test_only_segments_of_channels_wait_and_only_for_who_is_expected(
    *, is_segment: bool, by_all_ways: bool, waits: bool
) -> None:
    scene = Scene()
    scene.in_band(Match.of(eth_type=ETH_IPV4, ip_proto=IP_TCP, tcp_dst=6653))
    scene.in_band(Match.of(eth_type=ETH_ARP), letter="b")
    scene.pipeline.duplicates.is_on = by_all_ways
    segments = [packets.tcp("10.0.0.1", "192.0.2.1", port, 6653, dst=B) for port in range(3)]
    answers = [packets.arp_reply(f"10.0.0.{at}", "192.0.2.1", src=A, dst=B) for at in range(3)]
    before, meanwhile, after = segments if is_segment else answers

    assert scene.receive(before).actions
    scene.pipeline.waiting.begin(Mac.parse(B), 2.0)
    found = scene.receive(meanwhile, now=2.0 + HOLD_S / 2)
    assert (found.waits_for, bool(found.actions)) == ((Mac.parse(B), False) if waits else (None, True))
    assert not found.cacheable

    assert scene.receive(after, now=2.0 + HOLD_S).actions, "no longer than that"
