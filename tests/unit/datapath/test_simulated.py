"""The simulated datapath keeps the contract of ``datapath.base``."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from inband.datapath.base import Datapath, DatapathClient, Megaflow
from inband.datapath.simulated import SimulatedDatapath
from inband.flow.actions import (
    Clone,
    DatapathAction,
    Output,
    PacketInReason,
    PopQueue,
    PushVlan,
    SetField,
    SetQueue,
    ToController,
)
from inband.flow.fields import FlowKey
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from inband.vocabulary.addresses import Mac

P1, P2, P3 = PortNo(1), PortNo(2), PortNo(3)
FRAME = Frame(packets.tcp())
TO_CONTROLLER = ToController(PacketInReason.ACTION, 128, 0, 7)


@dataclass
class Recorder:
    """A client that notes what comes up and installs what it was told to."""

    datapath: SimulatedDatapath
    answer: Megaflow | None = None
    upcalls: list[tuple[PortNo, Frame, FlowKey]] = field(default_factory=list)
    packet_ins: list[tuple[PortNo, Frame, ToController]] = field(default_factory=list)

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        self.upcalls.append((in_port, frame, key))
        if self.answer is not None:
            install(self.datapath, self.answer)
            self.datapath.execute(in_port, frame, self.answer.actions)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        self.packet_ins.append((in_port, frame, action))


def make(now: float = 5.0, max_megaflows: int = 100) -> tuple[SimulatedDatapath, Recorder]:
    datapath = SimulatedDatapath(clock=lambda: now, max_megaflows=max_megaflows)
    client = Recorder(datapath)
    datapath.client = client
    for port in (P1, P2, P3):
        datapath.add_port(port, f"eth{port}")
    return datapath, client


def sent_by(*actions: DatapathAction) -> list[tuple[PortNo, Frame, int | None]]:
    datapath, _ = make()
    datapath.execute(P1, FRAME, actions)
    return datapath.take_sent()


def test_it_is_a_datapath() -> None:
    datapath, client = make()

    contract: Datapath = datapath
    reports_to: DatapathClient = client

    assert contract.kind == "simulated"
    assert reports_to is client


def test_an_unknown_frame_goes_up_with_its_port_and_key() -> None:
    datapath, client = make()

    datapath.deliver(P2, FRAME)

    assert client.upcalls == [(P2, FRAME, parse(FRAME.data, 2))]
    assert datapath.take_sent() == []


def test_a_known_frame_does_not_go_up() -> None:
    datapath, client = make()
    client.answer = megaflow_of(Match.of(in_port=1), (Output(P2),))

    datapath.deliver(P1, FRAME)
    datapath.deliver(P1, FRAME)

    assert len(client.upcalls) == 1
    assert datapath.take_sent() == [(P2, FRAME, None)] * 2
    assert datapath.counters() == {"miss": 1, "megaflow_hit": 1}


def test_a_hit_is_counted_in_segments_bytes_and_time() -> None:
    datapath, _ = make(now=42.0)
    megaflow = megaflow_of(ANY, (Output(P2),))
    install(datapath, megaflow)
    frame = packets.offloaded(packets.tcp(payload=bytes(2500)), gso_size=1000)

    datapath.deliver(P1, frame)

    assert (megaflow.packets, megaflow.bytes, megaflow.used) == (3, len(frame.data), 42.0)
    assert datapath.port_counters(P1).rx_packets == 3
    assert datapath.port_counters(P2).tx_packets == 3


def test_flushing_sends_the_next_frame_up_and_keeps_final_counts() -> None:
    datapath, client = make()
    megaflow = megaflow_of(ANY, (Output(P2),))
    install(datapath, megaflow)
    datapath.deliver(P1, FRAME)

    datapath.flush()
    datapath.deliver(P1, FRAME)

    assert megaflow.packets == 1
    assert len(client.upcalls) == 1


def test_a_removed_megaflow_decides_no_more() -> None:
    datapath, client = make()
    megaflow = megaflow_of(ANY, (Output(P2),))
    install(datapath, megaflow)

    datapath.remove([megaflow])
    datapath.deliver(P1, FRAME)

    assert datapath.megaflows() == []
    assert len(client.upcalls) == 1


def test_a_full_cache_is_counted_and_harmless() -> None:
    datapath, client = make(max_megaflows=1)
    install(datapath, megaflow_of(Match.of(in_port=3), ()))

    install(datapath, megaflow_of(Match.of(in_port=1), ()))
    datapath.deliver(P1, FRAME)

    assert datapath.counters()["cache_full"] == 1
    assert len(client.upcalls) == 1


def test_a_drop_has_a_name() -> None:
    datapath, _ = make()
    install(datapath, megaflow_of(ANY, ()))

    datapath.deliver(P1, FRAME)

    assert datapath.counters()["dropped_by_flow"] == 1


def test_output_to_a_port_that_is_not_there_is_counted() -> None:
    datapath, _ = make()

    datapath.execute(P1, FRAME, [Output(PortNo(99)), Output(P2)])

    assert datapath.take_sent() == [(P2, FRAME, None)]
    assert datapath.counters()["output_no_port"] == 1


def test_a_frame_at_a_port_that_is_not_there_is_counted() -> None:
    datapath, client = make()
    datapath.remove_port(P3)
    datapath.remove_port(P3)

    datapath.deliver(P3, FRAME)

    assert client.upcalls == []
    assert datapath.counters()["input_no_port"] == 1


def test_a_queue_holds_for_the_outputs_after_it_until_it_is_popped() -> None:
    sent = sent_by(Output(P1), SetQueue(0), Output(P2), SetQueue(3), Output(P2), PopQueue(), Output(P3))

    assert [(port, queue) for port, _, queue in sent] == [(P1, None), (P2, 0), (P2, 3), (P3, None)]


def test_an_edit_changes_only_the_outputs_after_it() -> None:
    sent = sent_by(Output(P2), SetField("eth_dst", Mac.parse("02:00:00:00:00:99")), Output(P3))

    assert sent[0][1] == FRAME
    assert sent[1][1].data == packets.tcp(dst="02:00:00:00:00:99")


def test_a_clone_leaves_the_frame_and_the_queue_as_they_were() -> None:
    sent = sent_by(Clone((PushVlan(), SetQueue(1), Output(P2))), Output(P3))

    assert sent[0][1].data == packets.vlan(FRAME.data, 0)
    assert sent[1] == (P3, FRAME, None)


def test_a_packet_in_carries_the_frame_as_it_was_at_that_point() -> None:
    datapath, client = make()

    datapath.execute(P1, FRAME, [PushVlan(), TO_CONTROLLER, Output(P2)])

    assert client.packet_ins == [(P1, Frame(packets.vlan(FRAME.data, 0)), TO_CONTROLLER)]


def test_offload_stays_with_the_frame() -> None:
    frame = packets.offloaded(packets.tcp(payload=bytes(3000)), gso_size=1000)
    datapath, _ = make()

    datapath.execute(P1, frame, [Output(P2)])

    assert datapath.take_sent() == [(P2, frame, None)]


def test_a_transmit_function_takes_the_frames_away() -> None:
    carried: list[tuple[PortNo, Frame, int | None]] = []
    datapath = SimulatedDatapath(clock=lambda: 0.0, transmit=lambda *args: carried.append(args))
    datapath.add_port(P2, "eth2")

    datapath.execute(P1, FRAME, [Output(P2)])

    assert carried == [(P2, FRAME, None)]
    assert datapath.take_sent() == []


@pytest.mark.parametrize("data", [b"", bytes(3), b"\xff" * 13, packets.tcp()[:20]])
def test_a_runt_goes_up_like_any_frame(data: bytes) -> None:
    datapath, client = make()

    datapath.deliver(P1, Frame(data))

    assert [frame.data for _, frame, _ in client.upcalls] == [data]


def test_without_a_client_frames_are_counted() -> None:
    datapath = SimulatedDatapath(clock=lambda: 0.0)
    datapath.add_port(P1, "eth1")

    datapath.deliver(P1, FRAME)
    datapath.execute(P1, FRAME, [TO_CONTROLLER])

    assert datapath.counters() == {"upcall_no_client": 2}


def test_closing_gives_everything_back() -> None:
    datapath, _ = make()
    install(datapath, megaflow_of(ANY, ()))

    datapath.close()

    assert (datapath.megaflows(), dict(datapath.ports())) == ([], {})
