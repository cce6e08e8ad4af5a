"""How many cached decisions, ports, meters and stories the kernel takes: up to the bound, and what becomes of more."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from inband.datapath.base import Counters
from inband.datapath.ebpf import entries, meters, ports
from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.layout import (
    LEARNED_BURST_MS,
    LEARNED_PER_S,
    MAX_BANDS,
    MAX_PORTS,
    TOLD_BURST_MS,
    TOLD_PER_S,
)
from inband.datapath.ebpf.meters import KernelMeters
from inband.errors import HostError
from inband.flow.actions import ApplyActions, Output
from inband.flow.flow import Flow
from inband.flow.match import ANY, Match
from inband.flow.meters import MeterBand
from inband.flow.ports import NORMAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.packet.frame import Frame
from inband.table.meters import MeterEntry, MeterTable
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from inband.vocabulary.openflow import MeterBandType, MeterFlags
from tests.packets.columns import Ebpf, ebpf, own_namespace
from tests.packets.test_random_tables import put_a_bridge_on

pytestmark = pytest.mark.root

P1, P2, P3 = map(PortNo, (1, 2, 3))
NORMALLY = Flow(ANY, OpenFlowPriority(0), (ApplyActions((Output(NORMAL),)),))
HOST = "02:00:00:00:0a:01"


@pytest.fixture
def column() -> Iterator[Ebpf]:
    with ebpf() as made:
        yield made


def test_decisions_past_the_kernels_room_are_the_switchs_own(column: Ebpf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MAX_MEGAFLOWS", 9)
    frames = [Frame(packets.udp(packets.IP_A, packets.IP_B, 5000, 6000 + at)) for at in range(10)]
    for at in range(len(frames)):
        match = Match.of(in_port=1, eth_type=0x0800, ip_proto=17, udp_dst=6000 + at)
        install(column.datapath, megaflow_of(match, (Output((P2, P3)[at % 2]),)))
    before = dict(column.datapath.counters())

    for at, frame in enumerate(frames):
        column.arrive(P1, frame)
        assert [port for port, left in column.left().items() if left] == [(P2, P3)[at % 2]], at

    after = column.datapath.counters()
    assert before["not_in_kernel_full"] == 2
    assert after["megaflow_hit"] - before.get("megaflow_hit", 0) == 8
    assert after["late_hit"] - before.get("late_hit", 0) == 2


def _refuse(port: PortNo, interface: str) -> None:
    raise HostError(f"open {interface}", f"no room for {port}")


def test_as_many_ports_as_there_are_slots_and_one_that_is_refused_until_another_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with own_namespace():
        pairs = ((number, number + 1) for number in range(1, MAX_PORTS + 1, 2))
        lines = "".join(f"link add d{one} type veth peer name d{other}\n" for one, other in pairs)
        subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)
        datapath = EbpfDatapath()
        try:
            for number in range(1, MAX_PORTS):
                datapath.add_port(PortNo(number), f"d{number}")
            with pytest.raises(HostError, match=f"there are {MAX_PORTS - 1} ports already"):
                datapath.add_port(PortNo(MAX_PORTS), f"d{MAX_PORTS}")
            datapath.remove_port(PortNo(7))
            datapath.remove_port(PortNo(8))
            with monkeypatch.context() as refusing:
                refusing.setattr(ports, "_open_sender", _refuse)
                for number in (5000, 5001, 5002):
                    with pytest.raises(HostError, match="no room"):
                        datapath.add_port(PortNo(number), "d7")
            datapath.add_port(PortNo(8), "d8")
            datapath.add_port(PortNo(MAX_PORTS), f"d{MAX_PORTS}")

            assert datapath.port_counters(PortNo(MAX_PORTS)).tx_packets == 0
            with pytest.raises(HostError, match="ports already"):
                datapath.add_port(PortNo(7), "d7")
        finally:
            datapath.close()


def _entry(rate: int) -> MeterEntry:
    bands = [MeterBand(MeterBandType.DROP, rate + at, 1) for at in range(MAX_BANDS)]
    return MeterTable().add(1, MeterFlags.PKTPS | MeterFlags.BURST, bands, 0.0)


def test_meters_whose_counters_have_no_room_hold_in_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "MAX_METER_COUNTS", 1 + 3 * (1 + MAX_BANDS))
    monkeypatch.setattr(meters, "_RESTING", 0)
    with own_namespace():
        kernel = Kernel()
        try:
            known = KernelMeters(kernel, time.monotonic, Counters())
            for meter_id in range(1, 6):
                known.put(meter_id, _entry(1))

            assert set(known.in_kernel) == {1, 2, 3}
            for meter_id in range(1, 6):
                passed = [known.pass_by(meter_id, Frame(bytes(60))) for _ in range(3)]
                assert [each is not None for each in passed] == [True, False, False], meter_id

            known.put(2, None)
            known.put(5, _entry(1))
            assert set(known.in_kernel) == {1, 3, 5}, "room was made"
            known.close()
        finally:
            kernel.close()


def _switch_by_normal(column: Ebpf) -> None:
    bridge = put_a_bridge_on(column, [NORMALLY], ([], [], []))
    assert bridge.megaflows.tables is not None
    bridge.megaflows.tables.finish(lambda: 1.0)
    column.left()


def _send_all(column: Ebpf, frames: list[bytes]) -> tuple[int, float]:
    """Send frames as fast as can be, with the switch keeping up: how many left, and the seconds from first to last."""
    started, left = time.monotonic(), 0
    for at, frame in enumerate(frames):
        column.send(P1, Frame(frame))
        if at % 50 == 49:  # before a socket is full
            left += sum(map(len, column.left_so_far().values()))
    took_s = time.monotonic() - started
    return left + sum(map(len, column.left().values())), took_s


def test_the_switch_is_told_in_pace_and_the_rest_is_decided_all_the_same(column: Ebpf) -> None:
    _switch_by_normal(column)
    column.arrive(P1, Frame(packets.udp(packets.IP_A, packets.IP_B, 5, 6, src=HOST)))
    column.left()
    told: list[PortNo] = []
    column.datapath.rules.told = lambda port, *_: told.append(port)  # and nothing is cached
    column.datapath.flush()
    before = dict(column.datapath.counters())
    count = 2000

    left, took_s = _send_all(column, [packets.udp(packets.IP_A, packets.IP_B, 5, 6, src=HOST)] * count)

    after = column.datapath.counters()
    assert left == 2 * count
    assert after["decided_normal"] - before.get("decided_normal", 0) == count
    assert after["not_told"] - before.get("not_told", 0) == count - len(told)
    assert 0 < len(told) <= TOLD_PER_S * (took_s + TOLD_BURST_MS / 1000) + 1


def test_new_stations_are_learned_in_pace_and_their_frames_are_sent_all_the_same(column: Ebpf) -> None:
    _switch_by_normal(column)
    before = dict(column.datapath.counters())
    count = 4000
    frames = [
        packets.udp(packets.IP_A, packets.IP_B, 5, 6, src=f"02:00:00:01:{at >> 8:02x}:{at & 255:02x}")
        for at in range(count)
    ]

    left, took_s = _send_all(column, frames)

    after = column.datapath.counters()
    not_learned = after.get("not_learned", 0) - before.get("not_learned", 0)
    decided = after["decided_normal"] - before.get("decided_normal", 0)
    assert left == 2 * count
    assert decided + after.get("miss", 0) - before.get("miss", 0) + after.get("megaflow_hit", 0) >= count
    assert decided - not_learned <= LEARNED_PER_S * (took_s + LEARNED_BURST_MS / 1000) + 1
