"""What meters do with packets (OpenFlow 1.3.5, 5.7), and what they never get to see."""

from __future__ import annotations

import pytest

from inband.flow.actions import ApplyActions, GotoTable, Meter, Output, PushVlan, SetField, WriteActions
from inband.flow.match import Match
from inband.flow.meters import MeterBand
from inband.flow.ports import LOCAL, NORMAL
from inband.pipeline.dscp import worse_precedence
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.openflow import MeterBandType, MeterFlags
from tests.unit.pipeline.scene import P2, P3, A, B, Scene, out

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


def test_a_metered_decision_names_the_meter_and_what_is_sent_behind_it() -> None:
    scene = metered()
    scene.flow_of(Meter(1), ApplyActions((Output(P2),)), WriteActions((Output(P3),)), GotoTable(1), priority=2)
    scene.flow(Output(LOCAL), table=1)

    decision = scene.receive(WEB)

    assert decision.actions == (Meter(1), *out(P2, LOCAL, P3))
    assert decision.cacheable
    assert passed(scene) == 0


def test_a_meter_is_asked_where_nothing_is_sent_too() -> None:
    scene = metered()
    scene.flow_of(Meter(1), ApplyActions((SetField("eth_src", 1),)), priority=2)

    assert scene.actions(WEB) == (Meter(1),)


def test_edits_before_a_meter_are_made_before_it() -> None:
    scene = metered()
    scene.flow_of(ApplyActions((PushVlan(),)), GotoTable(1), priority=2)
    scene.flow_of(Meter(1), ApplyActions((SetField("vlan_pcp", 1), Output(P2))), table=1)

    assert scene.actions(WEB) == (PushVlan(), Meter(1), SetField("vlan_pcp", 1), Output(P2))


def test_known_unicast_behind_a_meter_is_known_unicast() -> None:
    scene = metered()
    scene.flow_of(Meter(1), ApplyActions((Output(NORMAL),)), priority=2)
    scene.knows(B, P2)

    decision = scene.receive(WEB)

    assert decision.actions == (Meter(1), Output(P2))
    assert decision.is_known_unicast


AF21_WEB = packets.tcp(src=A, dst=B, tos=AF21)


def looked_at_behind(kind: MeterBandType) -> Scene:
    """A meter whose packets go on to a table that looks at the DSCP: AF22 leaves by port 3."""
    scene = metered(kind, rate=1)
    scene.flow_of(Meter(1), GotoTable(1), priority=2)
    scene.flow(Output(P2), table=1)
    scene.flow(Output(P3), match=Match.of(eth_type=0x0800, ip_dscp=AF22 >> 2), priority=2, table=1)
    return scene


def test_a_table_that_looks_at_the_dscp_sees_it_as_the_meter_left_it() -> None:
    scene = looked_at_behind(MeterBandType.DSCP_REMARK)

    assert scene.actions(AF21_WEB) == out(P2)
    assert scene.actions(AF21_WEB) == (SetField("ip_dscp", AF22 >> 2), Output(P3))
    assert not scene.receive(AF21_WEB).cacheable


def test_a_meter_that_only_drops_does_not_care_what_tables_look_at() -> None:
    scene = looked_at_behind(MeterBandType.DROP)

    assert scene.receive(AF21_WEB).actions == (Meter(1), *out(P2))
    assert scene.receive(AF21_WEB).cacheable


def test_a_table_before_the_meter_may_look_at_the_dscp() -> None:
    scene = metered(MeterBandType.DSCP_REMARK)
    scene.flow_of(
        *(Meter(1), ApplyActions((Output(P2),))), match=Match.of(eth_type=0x0800, ip_dscp=AF21 >> 2), priority=2
    )

    decision = scene.receive(AF21_WEB)

    assert decision.actions == (Meter(1), Output(P2))
    assert decision.cacheable


@pytest.mark.parametrize("frame", [packets.arp_request(src=A), WEB], ids=["no IP", "no drop precedence"])
def test_a_remark_band_leaves_alone_what_it_does_not_fit(frame: bytes) -> None:
    scene = looked_at_behind(MeterBandType.DSCP_REMARK)
    scene.actions(frame)

    assert scene.actions(frame) == out(P2)


@pytest.mark.parametrize(
    ("dscp", "by", "expected"),
    [(10, 1, 12), (10, 2, 14), (12, 2, 14), (38, 1, 38), (34, 1, 36), (0, 1, 0), (46, 1, 46), (8, 1, 8), (11, 1, 11)],
)
def test_only_assured_forwarding_has_a_drop_precedence(dscp: int, by: int, expected: int) -> None:
    assert worse_precedence(dscp, by) == expected


def test_tracing_takes_nothing_from_a_meter() -> None:
    scene = looked_at_behind(MeterBandType.DSCP_REMARK)

    for _ in range(3):
        assert scene.receive(AF21_WEB, trace=Trace()).actions == out(P2)

    assert scene.actions(AF21_WEB) == out(P2)
    assert scene.receive(AF21_WEB, trace=Trace()).actions == (SetField("ip_dscp", AF22 >> 2), Output(P3))


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

    assert scene.actions(reply) == (Output(LOCAL), Meter(1), Output(P2))


def test_a_dhcp_reply_that_a_meter_lets_pass_reaches_local_once() -> None:
    scene = metered()
    scene.flow_of(Meter(1), ApplyActions((Output(LOCAL), Output(P2))), priority=2)
    reply = packets.dhcp_reply(chaddr="02:00:00:00:00:01")

    assert scene.actions(reply) == (Output(LOCAL), Meter(1), Output(P2))
