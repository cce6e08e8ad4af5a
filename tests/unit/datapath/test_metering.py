"""What the meters of a datapath in this process do with frames (OpenFlow 1.3.5, 5.7)."""

from __future__ import annotations

import pytest

from inband.datapath.base import Counters
from inband.datapath.execute import execute
from inband.datapath.metering import Meters, remark
from inband.flow.actions import Clone, Meter, Output, SetField, ToController
from inband.flow.meters import MeterBand
from inband.flow.ports import PortNo
from inband.packet.edit import apply
from inband.packet.frame import Frame
from inband.table.meters import MeterTable
from inband.testing import packets
from inband.vocabulary.openflow import MeterBandType, MeterFlags
from tests.unit.bridge.test_own_questions import Clock

P1, P2, P3 = PortNo(1), PortNo(2), PortNo(3)
DROP = MeterBand(MeterBandType.DROP, 1)
REMARK = MeterBand(MeterBandType.DSCP_REMARK, 1, prec_level=1)
AF11 = Frame(packets.tcp(tos=10 << 2))


class Outlet:
    """One meter, 1, of packets; keeps what is sent."""

    def __init__(self, band: MeterBand) -> None:
        self.clock, self.counters = Clock(), Counters()
        self.entry = MeterTable().add(1, MeterFlags.PKTPS, (band,), 0.0)
        self.meters = Meters(self.clock, self.counters)
        self.meters.put(1, self.entry)
        self.sent: list[tuple[PortNo, Frame]] = []

    def output(self, port: PortNo, queue: int | None, frame: Frame) -> None:
        self.sent.append((port, frame))

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        raise AssertionError("nothing is for a controller")

    def meter(self, meter_id: int, frame: Frame) -> Frame | None:
        return self.meters.pass_by(meter_id, frame)

    def run(self, *actions: Output | Meter | Clone) -> list[PortNo]:
        """The ports that a frame leaves by."""
        self.sent.clear()
        execute(P1, AF11, actions, self)
        return [port for port, _ in self.sent]


def test_what_follows_a_meter_is_done_with_packets_within_its_rate_only() -> None:
    outlet = Outlet(DROP)
    actions = (Output(P2), Meter(1), Output(P3))

    assert [outlet.run(*actions) for _ in range(2)] == [[P2, P3], [P2]]
    outlet.clock.now = 1.0
    assert outlet.run(*actions) == [P2, P3]
    assert outlet.counters.values == {"dropped_by_meter": 1}
    assert (outlet.entry.counter.packets, outlet.entry.bands[0].counter.packets) == (3, 1)


def test_a_meter_in_a_copy_ends_the_copy_only() -> None:
    outlet = Outlet(DROP)

    assert [outlet.run(Clone((Meter(1), Output(P2))), Output(P3)) for _ in range(2)] == [[P2, P3], [P3]]


def test_a_meter_that_is_gone_lets_everything_pass() -> None:
    outlet = Outlet(DROP)
    outlet.meters.put(1, None)

    assert [outlet.run(Meter(1), Output(P2)) for _ in range(3)] == [[P2]] * 3


def test_a_remarked_frame_goes_on_as_it_is_then() -> None:
    outlet = Outlet(REMARK)

    outlet.run(Meter(1), Output(P2))
    assert outlet.sent == [(P2, AF11)]
    outlet.run(Meter(1), Output(P2))
    assert outlet.sent == [(P2, apply(AF11, SetField("ip_dscp", 12)))]


@pytest.mark.parametrize("data", [packets.arp_request(), packets.tcp(tos=46 << 2)], ids=["no IP", "no precedence"])
def test_a_frame_without_a_drop_precedence_is_not_remarked(data: bytes) -> None:
    assert remark(Frame(data), 1) == Frame(data)


def test_a_frame_of_many_segments_is_so_many_packets() -> None:
    outlet = Outlet(MeterBand(MeterBandType.DROP, 10))
    frame = packets.offloaded(packets.tcp(payload=bytes(8000)), 1000)

    assert outlet.meter(1, frame) is frame
    assert outlet.entry.counter.packets == 8
