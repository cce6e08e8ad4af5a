"""Decisions that are hard to cache, on every datapath: all packets fare as the flows say.

Whole bridges with a controller's flows. Frames come plain, behind a tag, and long enough to be cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from inband.agent.connection import Kind
from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.flow.actions import (
    ApplyActions,
    GotoTable,
    Instruction,
    Meter,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
)
from inband.flow.match import ANY, Match
from inband.flow.meters import MeterBand
from inband.flow.ports import CONTROLLER, NORMAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import Envelope, FlowMod, MeterMod, PacketIn
from inband.packet.checksum import segment
from inband.packet.edit import apply
from inband.packet.frame import Frame
from inband.pipeline.fdb import FdbKey
from inband.table.steps import in_one_go
from inband.testing import packets
from inband.testing.packets import MAC_A, MAC_B
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP13, FlowModCommand, MeterBandType, MeterFlags, MeterModCommand
from lab.silent_host import SilentHost
from tests.packets.columns import COLUMNS, PORTS, Column
from tests.packets.rows import P1, P2, P3

pytestmark = pytest.mark.root

FROM_A = {
    "finished": Frame(packets.tcp()),
    "half a checksum": packets.offloaded(packets.udp(dst_port=5000, payload=bytes(100))),
    "uncut": packets.offloaded(packets.tcp(payload=bytes(2500), flags=0x18), 1000),
}
FROM_B = Frame(packets.tcp(src=MAC_B, dst=MAC_A))


@dataclass
class Stage:
    """A bridge on a column, with a controller on connection 1. Its clock is set by hand."""

    column: Column
    now: float = 1.0

    def __post_init__(self) -> None:
        datapath = self.column.datapath
        datapath.flush()
        self.bridge = Bridge(BridgeSettings("br0", Identity(1)), datapath, SilentHost(), lambda: self.now, lambda: None)
        datapath.client = self.bridge
        for number in PORTS:
            self.bridge.add_port(number, f"p{number}", Mac(number))
        self.bridge.connect(1, Kind.CONTROLLER, OFP13)
        self.column.left()

    def say(self, *messages: FlowMod | MeterMod) -> None:
        self.bridge.receive(1, [Envelope(OFP13, 1, message) for message in messages])

    def flow(self, match: Match, *instructions: Instruction, priority: int = 1, table_id: int = 0) -> None:
        self.say(FlowMod(FlowModCommand.ADD, match, OpenFlowPriority(priority), instructions, table_id))

    def send(self, port: PortNo, frame: Frame) -> dict[PortNo, list[bytes]]:
        """What leaves, as on a wire, when a frame arrives."""
        self.column.arrive(port, frame)
        return self.column.left()

    def flow_counts(self) -> list[tuple[int, int]]:
        """Packets and bytes of each flow, oldest first."""
        in_one_go(self.bridge.counting())
        return [(flow.packets, flow.bytes) for flow in self.bridge.tables[0]]

    def meter_counts(self) -> tuple[tuple[int, int], list[tuple[int, int]]]:
        """Packets and bytes of meter 1, and of each of its bands."""
        in_one_go(self.bridge.counting())
        found = self.bridge.tables.meters.get(1)
        assert found is not None
        bands = [(band.counter.packets, band.counter.bytes) for band in found.bands]
        return (found.counter.packets, found.counter.bytes), bands


@pytest.fixture(scope="module", params=list(COLUMNS))
def column(request: pytest.FixtureRequest) -> Iterator[Column]:
    with COLUMNS[request.param]() as column:
        yield column


@pytest.fixture
def stage(column: Column) -> Stage:
    return Stage(column)


def on_wire(frame: Frame) -> list[bytes]:
    return [each.data for each in segment(frame)]


def tagged(frame: Frame, vid: int) -> Frame:
    return apply(apply(frame, PushVlan()), SetField("vlan_vid", 0x1000 | vid))


@pytest.mark.parametrize("kind", FROM_A)
def test_a_trunk_and_an_access_port_talk_by_pop_vlan_and_normal(stage: Stage, kind: str) -> None:
    """What is tagged with VLAN 5 belongs to the untagged network, whose addresses NORMAL learns."""
    stage.flow(Match.of(vlan_vid=0x1005), ApplyActions((PopVlan(), Output(NORMAL))), priority=2)
    stage.flow(ANY, ApplyActions((Output(NORMAL),)))
    frame = FROM_A[kind]
    plain = on_wire(frame)

    flooded = stage.send(P1, tagged(frame, 5))
    back = stage.send(P2, FROM_B)
    known = [stage.send(P1, tagged(frame, 5)) for _ in range(3)]
    stage.send(P3, tagged(frame, 5))
    moved = stage.send(P2, FROM_B)

    assert flooded == {P1: [], P2: plain, P3: plain}
    assert back == {P1: [FROM_B.data], P2: [], P3: []}
    assert known == [{P1: [], P2: plain, P3: []}] * 3
    assert moved == {P1: [], P2: [], P3: [FROM_B.data]}
    assert stage.bridge.fdb.lookup(FdbKey(0, Mac.parse(MAC_A)), stage.now) == P3
    size = len(frame.data) + 4
    assert stage.flow_counts() == [(5 * frame.segments, 5 * size), (2, 2 * len(FROM_B.data))]


@pytest.mark.parametrize("kind", FROM_A)
def test_packets_that_differ_behind_a_popped_tag_go_different_ways(stage: Stage, kind: str) -> None:
    """Each by a decision of its own, which is cached."""
    stage.flow(Match.of(vlan_vid=0x1005), ApplyActions((PopVlan(), Output(NORMAL))))
    frame = FROM_A[kind]
    for vid, port in ((7, P2), (8, P3), (0, P2)):
        stage.bridge.fdb.learn(FdbKey(vid, Mac.parse(MAC_B)), port, stage.now)

    left = [stage.send(P1, tagged(tagged(frame, vid), 5)) for vid in (7, 8, 7, 8)]
    decided = stage.column.datapath.counters()["miss"]
    left += [stage.send(P1, tagged(tagged(frame, vid), 5)) for vid in (7, 8, 7, 8)]

    in_7, in_8 = (
        {P1: [], P2: on_wire(tagged(frame, 7)), P3: []},
        {P1: [], P2: [], P3: on_wire(tagged(frame, 8))},
    )
    assert left == [in_7, in_8, in_7, in_8] * 2
    assert stage.column.datapath.counters()["miss"] == decided
    assert stage.send(P1, tagged(frame, 5))[P2] == on_wire(frame)


def test_a_third_tag_behind_two_popped_ones_decides_for_that_packet_alone(stage: Stage) -> None:
    stage.flow(Match.of(vlan_vid=0x1005), ApplyActions((PopVlan(), Resubmit(None, 0))), priority=2)
    stage.flow(Match.of(vlan_vid=0x1006), ApplyActions((PopVlan(), Output(NORMAL))))
    frame = FROM_A["finished"]
    for vid, port in ((7, P2), (8, P3)):
        stage.bridge.fdb.learn(FdbKey(vid, Mac.parse(MAC_B)), port, stage.now)

    left = [stage.send(P1, tagged(tagged(tagged(frame, vid), 6), 5)) for vid in (7, 8, 7, 8)]

    in_7, in_8 = (
        {P1: [], P2: [tagged(frame, 7).data], P3: []},
        {P1: [], P2: [], P3: [tagged(frame, 8).data]},
    )
    assert left == [in_7, in_8] * 2


def meter(command: MeterModCommand, *bands: MeterBand) -> MeterMod:
    """A change of meter 1, which counts packets; rates are so low that nothing comes back while a test runs."""
    return MeterMod(command, MeterFlags.PKTPS | MeterFlags.BURST, 1, bands)


def test_a_meter_drops_packets_over_its_rate_and_an_uncut_frame_counts_as_its_segments(stage: Stage) -> None:
    stage.say(meter(MeterModCommand.ADD, MeterBand(MeterBandType.DROP, 1, burst_size=7)))
    stage.flow(ANY, Meter(1), ApplyActions((Output(P2),)))
    frame = FROM_A["uncut"]

    passed = [len(stage.send(P1, frame)[P2]) for _ in range(4)]

    assert passed == [3, 3, 0, 0]
    assert stage.flow_counts() == [(12, 4 * len(frame.data))]
    assert stage.meter_counts() == ((12, 4 * len(frame.data)), [(6, 2 * len(frame.data))])


def test_a_meter_that_is_changed_is_full_again_and_keeps_what_it_counted(stage: Stage) -> None:
    stage.say(meter(MeterModCommand.ADD, MeterBand(MeterBandType.DROP, 1, burst_size=7)))
    stage.flow(ANY, Meter(1), ApplyActions((Output(P2),)))
    frame = FROM_A["finished"]
    size = len(frame.data)
    first = sum(len(stage.send(P1, frame)[P2]) for _ in range(9))

    stage.say(meter(MeterModCommand.MODIFY, MeterBand(MeterBandType.DROP, 1, burst_size=4)))
    second = sum(len(stage.send(P1, frame)[P2]) for _ in range(9))

    assert (first, second) == (7, 4)
    assert stage.meter_counts() == ((18, 18 * size), [(5, 5 * size)])


def test_a_meter_that_is_deleted_and_made_again_begins_anew(stage: Stage) -> None:
    for burst in (2, 3):
        stage.say(meter(MeterModCommand.ADD, MeterBand(MeterBandType.DROP, 1, burst_size=burst)))
        stage.flow(ANY, Meter(1), ApplyActions((Output(P2),)))

        passed = [len(stage.send(P1, FROM_A["finished"])[P2]) for _ in range(5)]

        assert passed == [1] * burst + [0] * (5 - burst)
        assert stage.meter_counts()[1][0][0] == 5 - burst
        stage.say(meter(MeterModCommand.DELETE))
        assert stage.send(P1, FROM_A["finished"])[P2] == []


def test_the_band_with_the_highest_rate_that_is_exceeded_decides(stage: Stage) -> None:
    bands = (MeterBand(MeterBandType.DSCP_REMARK, 1, 2, 1), MeterBand(MeterBandType.DROP, 2, 4))
    stage.say(meter(MeterModCommand.ADD, *bands))
    stage.flow(ANY, Meter(1), ApplyActions((Output(P2),)))
    frame = apply(FROM_A["finished"], SetField("ip_dscp", 10))

    left = [stage.send(P1, frame)[P2] for _ in range(6)]

    as_it_was, remarked = [frame.data], [apply(frame, SetField("ip_dscp", 12)).data]
    assert left == [as_it_was] * 2 + [remarked] * 2 + [[]] * 2
    assert [packets for packets, _ in stage.meter_counts()[1]] == [2, 2]


def test_a_controller_behind_a_meter_gets_what_passes_it(stage: Stage) -> None:
    stage.say(meter(MeterModCommand.ADD, MeterBand(MeterBandType.DROP, 1, burst_size=3)))
    stage.flow(ANY, Meter(1), ApplyActions((Output(CONTROLLER),)))

    for _ in range(8):
        stage.send(P1, FROM_A["finished"])

    assert len([each for each in stage.bridge.take(1) if isinstance(each.message, PacketIn)]) == 3
    assert stage.meter_counts()[0][0] == 8


def test_what_is_sent_before_a_meter_does_not_meet_it(stage: Stage) -> None:
    stage.say(meter(MeterModCommand.ADD, MeterBand(MeterBandType.DROP, 1, burst_size=3)))
    stage.flow(ANY, ApplyActions((PushVlan(), Output(P3))), GotoTable(1))
    stage.flow(ANY, Meter(1), ApplyActions((Output(P2),)), table_id=1)
    frame = FROM_A["finished"]
    in_vlan_0 = [packets.vlan(frame.data, 0)]

    left = [stage.send(P1, frame) for _ in range(5)]

    assert [each[P3] for each in left] == [in_vlan_0] * 5
    assert [each[P2] for each in left] == [in_vlan_0] * 3 + [[]] * 2
    assert stage.meter_counts()[0] == (5, 5 * (len(frame.data) + 4))


@pytest.mark.parametrize("kind", FROM_A)
def test_a_meter_remarks_packets_over_its_rate(stage: Stage, kind: str) -> None:
    stage.say(MeterMod(MeterModCommand.ADD, MeterFlags.KBPS, 1, (MeterBand(MeterBandType.DSCP_REMARK, 1, 0, 1),)))
    stage.flow(ANY, Meter(1), ApplyActions((Output(P2),)))
    frame = apply(FROM_A[kind], SetField("ip_dscp", 10))  # AF11

    for _ in range(20):
        left = stage.send(P1, frame)[P2]

    assert left == on_wire(apply(frame, SetField("ip_dscp", 12)))  # AF12
