"""What meters do with packets (OpenFlow 1.3.5, 5.7), and what they never get to see."""

from __future__ import annotations

import pytest

from inband.flow.actions import ApplyActions, GotoTable, Meter, Output, SetField, WriteActions
from inband.flow.meters import MeterBand
from inband.flow.ports import LOCAL
from inband.packet.parse import parse
from inband.pipeline.dscp import worse_precedence
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.openflow import MeterBandType, MeterFlags
from tests.unit.pipeline.scene import P1, P2, P3, A, B, Scene, out

AF21, AF22 = 0x48, 0x50  # as TOS bytes
WEB = packets.tcp(src=A, dst=B)


def metered(kind: MeterBandType = MeterBandType.DROP, rate: int = 2) -> Scene:
    """A scene whose only flow meters and outputs to port 2."""
    scene = Scene()
    scene.tables.meters.add(1, MeterFlags.PKTPS, (MeterBand(kind, rate, prec_level=1),), 0.0)
    scene.flow_of(ApplyActions((Output(P2),)), Meter(1))
    return scene


def passed(scene: Scene) -> int:
    """Packets that meter 1 has seen."""
    meter = scene.tables.meters.get(1)
    assert meter is not None
    return meter.counter.packets


def test_packets_over_the_rate_are_dropped_whatever_the_flow_does() -> None:
    scene = metered()
    scene.flow_of(Meter(1), ApplyActions((Output(P2),)), WriteActions((Output(P3),)), GotoTable(1), priority=2)
    scene.flow(Output(LOCAL), table=1)

    assert [len(scene.actions(WEB)) for _ in range(3)] == [3, 3, 0]
    assert scene.receive(WEB).drop_reason == "over the rate of meter 1"
    assert len(scene.actions(WEB, now=2.0)) == 3


def test_every_packet_meets_the_meter_because_no_decision_is_cached() -> None:
    assert not metered().receive(WEB).cacheable


def test_a_remark_band_makes_the_drop_precedence_worse() -> None:
    scene = metered(MeterBandType.DSCP_REMARK, rate=1)
    frame = packets.tcp(src=A, dst=B, tos=AF21)

    assert scene.actions(frame) == out(P2)
    assert scene.actions(frame) == (SetField("ip_dscp", AF22 >> 2), Output(P2))


@pytest.mark.parametrize("frame", [packets.arp_request(src=A), WEB], ids=["no IP", "no drop precedence"])
def test_a_remark_band_leaves_alone_what_it_does_not_fit(frame: bytes) -> None:
    scene = metered(MeterBandType.DSCP_REMARK, rate=1)
    scene.actions(frame)

    assert scene.actions(frame) == out(P2)


@pytest.mark.parametrize(
    ("dscp", "by", "expected"),
    [(10, 1, 12), (10, 2, 14), (12, 2, 14), (38, 1, 38), (34, 1, 36), (0, 1, 0), (46, 1, 46), (8, 1, 8), (11, 1, 11)],
)
def test_only_assured_forwarding_has_a_drop_precedence(dscp: int, by: int, expected: int) -> None:
    assert worse_precedence(dscp, by) == expected


def test_a_frame_of_many_segments_is_so_many_packets() -> None:
    scene = metered(rate=10)
    frame = packets.offloaded(packets.tcp(payload=bytes(8000), src=A, dst=B), 1000)

    scene.pipeline.translate(parse(frame.data, P1), frame, 1.0)

    assert passed(scene) == 8


def test_tracing_takes_nothing_from_a_meter() -> None:
    scene = metered(rate=1)

    for _ in range(3):
        assert scene.receive(WEB, trace=Trace()).actions == out(P2)

    assert scene.actions(WEB) == out(P2)
    assert scene.receive(WEB, trace=Trace()).actions == ()


def test_a_meter_never_gets_a_control_packet() -> None:
    scene = metered(rate=1)
    scene.in_band()
    scene.knows(B, P3)
    scene.flow_of(Meter(1), priority=65535)

    assert all(scene.actions(WEB) == out(P3) for _ in range(5))
    assert passed(scene) == 0


def test_a_dhcp_reply_over_the_rate_still_reaches_local() -> None:
    scene = metered(rate=1)
    reply = packets.dhcp_reply(chaddr="02:00:00:00:00:01")

    assert [Output(LOCAL) in scene.actions(reply) for _ in range(3)] == [True] * 3
