"""Meters in the kernel against their twin in Python, and what becomes of them when the switch is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inband.datapath.base import Counters
from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.kernel import Kernel, remove_pins
from inband.datapath.ebpf.layout import MAX_BANDS, MAX_METERS, METER_HEAD, METER_QUESTION, METER_SIZE
from inband.datapath.ebpf.meters import KernelMeters
from inband.flow.actions import Meter, Output
from inband.flow.match import Match
from inband.flow.meters import MeterBand
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.table.meters import MeterEntry, MeterTable
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from inband.vocabulary.openflow import MeterBandType, MeterFlags
from tests.packets.columns import Ebpf, ebpf, own_namespace

pytestmark = pytest.mark.root

P1, P2 = PortNo(1), PortNo(2)
ONE_OF = Frame(bytes(60))
NS = 1_000_000_000
PASS, DROP = 0, 0xFFFFFFFF


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with own_namespace():
        made = Kernel()
        yield made
        made.close()


@pytest.fixture(scope="module")
def column() -> Iterator[Ebpf]:
    with ebpf() as made:
        yield made


def entry(flags: MeterFlags, *bands: MeterBand) -> MeterEntry:
    return MeterTable().add(1, flags, bands, 0.0)


def ask(kernel: Kernel, packets_: int, size: int) -> int:
    question = METER_QUESTION.pack(1, packets_, size, 0)
    return libbpf.try_program(kernel.meter_program, question)[0]


def wait(kernel: Kernel, seconds: float) -> None:
    """Let the meter's buckets have been filled so long ago."""
    key = (1).to_bytes(4, "little")
    value = libbpf.look_up(kernel.map("meters"), key, METER_SIZE)
    assert value is not None
    tick, *head, filled_ns = METER_HEAD.unpack_from(value)
    earlier = METER_HEAD.pack(tick ^ 1, *head, filled_ns - round(seconds * NS)) if seconds else value
    changed = earlier[: METER_HEAD.size] + value[METER_HEAD.size :]
    libbpf.update(kernel.map("meters"), key, changed)


def counts(meter: MeterEntry) -> list[tuple[int, int]]:
    """Packets and bytes of a meter, and of each of its bands."""
    counters = [meter.counter, *(band.counter for band in meter.bands)]
    return [(counter.packets, counter.bytes) for counter in counters]


bands = st.builds(
    MeterBand,
    st.sampled_from((MeterBandType.DROP, MeterBandType.DSCP_REMARK)),
    st.integers(1, 3),
    st.integers(0, 9),
    st.integers(1, 2),
)
steps = st.tuples(st.integers(1, 5), st.integers(60, 5000), st.sampled_from((0, 0, 0, 1, 2, 100)))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from((MeterFlags.KBPS, MeterFlags.PKTPS)),
    st.booleans(),
    st.lists(bands, max_size=MAX_BANDS),
    st.lists(steps, max_size=12),
)
def test_the_kernel_says_what_the_twin_says(
    kernel: Kernel, unit: MeterFlags, has_burst: bool, made: list[MeterBand], chosen: list[tuple[int, int, int]]
) -> None:
    """Rates are so low that what a bucket gets while this runs decides nothing."""
    flags = unit | (MeterFlags.BURST if has_burst else MeterFlags.NONE)
    twin, read = entry(flags, *made), entry(flags, *made)
    meters = KernelMeters(kernel, time.monotonic, Counters())
    meters.put(1, read)
    now, said = 0.0, []

    for count, size, pause in chosen:
        now += pause
        wait(kernel, pause)
        over = twin.take(count, size, now)
        levels = PASS if over is None else DROP if over.band.type is MeterBandType.DROP else over.band.prec_level
        said.append((ask(kernel, count, size), levels))

    meters.count()
    assert [ours for ours, _ in said] == [theirs for _, theirs in said]
    assert counts(read) == counts(twin)
    meters.put(1, None)
    meters.close()


@pytest.mark.parametrize(
    ("flags", "rate", "packets_", "size"),
    [(MeterFlags.PKTPS, 10_000, 1, 60), (MeterFlags.KBPS, 2_000_000, 44, 64_000), (MeterFlags.KBPS, 1_000, 1, 1_500)],
)
def test_what_passes_is_the_rate(kernel: Kernel, flags: MeterFlags, rate: int, packets_: int, size: int) -> None:
    """Of many times as many, once the burst has passed; it is a quarter of a second's, as who asks may be held up."""
    meter = entry(flags | MeterFlags.BURST, MeterBand(MeterBandType.DROP, rate, rate // 4))
    meters = KernelMeters(kernel, time.monotonic, Counters())
    meters.put(1, meter)
    question = METER_QUESTION.pack(1, packets_, size, 0)
    libbpf.try_program(kernel.meter_program, question, repeat=30_000)
    meters.count()
    passed = meter.counter.packets - meter.bands[0].counter.packets

    start = time.monotonic_ns()
    while time.monotonic_ns() < start + NS // 2:
        libbpf.try_program(kernel.meter_program, question, repeat=1000)
    elapsed_s = (time.monotonic_ns() - start) / NS

    meters.count()
    passed = meter.counter.packets - meter.bands[0].counter.packets - passed
    units = passed if flags & MeterFlags.PKTPS else passed * size * 8 / packets_ / 1000
    assert units == pytest.approx(rate * elapsed_s, rel=0.02, abs=size * 8 / 1000)
    meters.put(1, None)
    meters.close()


def test_a_metered_flow_that_is_cached_is_metered_without_this_process(column: Ebpf) -> None:
    datapath = column.datapath
    meter = entry(MeterFlags.PKTPS | MeterFlags.BURST, MeterBand(MeterBandType.DROP, 1, 4))
    datapath.set_meter(1, meter)
    frame = Frame(packets.tcp())
    install(datapath, megaflow_of(Match.of(in_port=P1), (Meter(1), Output(P2))))
    before = datapath.counters()

    for _ in range(9):
        column.arrive(P1, frame)

    after = datapath.counters()
    assert len(column.left()[P2]) == 4
    assert {name: after.get(name, 0) - before.get(name, 0) for name in ("megaflow_hit", "slow_action", "miss")} == {
        "megaflow_hit": 9,
        "slow_action": 0,
        "miss": 0,
    }
    assert after["dropped_by_meter"] - before.get("dropped_by_meter", 0) == 5
    datapath.flush()


def test_the_kernel_and_this_process_share_the_tokens(column: Ebpf) -> None:
    datapath = column.datapath
    meter = entry(MeterFlags.PKTPS | MeterFlags.BURST, MeterBand(MeterBandType.DROP, 1, 4))
    datapath.set_meter(1, meter)
    frame = Frame(packets.tcp())
    install(datapath, megaflow_of(Match.of(in_port=P1), (Meter(1), Output(P2))))

    for _ in range(3):
        column.arrive(P1, frame)
        datapath.execute(P1, frame, (Meter(1), Output(P2)))

    for _ in datapath.count():
        pass
    assert len(column.left()[P2]) == 4
    assert (meter.counter.packets, meter.bands[0].counter.packets) == (6, 2)
    datapath.flush()


def test_a_meter_with_more_bands_than_the_kernel_takes_works_all_the_same(column: Ebpf) -> None:
    datapath = column.datapath
    frame = Frame(packets.tcp())
    flags = MeterFlags.PKTPS | MeterFlags.BURST
    few, many = (
        entry(flags, MeterBand(MeterBandType.DROP, 1, 4)),
        entry(flags, *[MeterBand(MeterBandType.DROP, 1, burst) for burst in range(2, MAX_BANDS + 3)]),
    )
    datapath.set_meter(1, few)
    install(datapath, megaflow_of(Match.of(in_port=P1), (Meter(1), Output(P2))))

    datapath.set_meter(1, many)
    assert datapath.megaflows() == []  # what was compiled with the meter in the kernel
    install(datapath, megaflow_of(Match.of(in_port=P1), (Meter(1), Output(P2))))
    for _ in range(5):
        column.arrive(P1, frame)

    assert len(column.left()[P2]) == 2
    assert many.counter.packets == 5
    datapath.flush()


def test_meters_past_the_kernels_bound_are_kept_here(kernel: Kernel) -> None:
    meters = KernelMeters(kernel, time.monotonic, Counters())
    made = [entry(MeterFlags.PKTPS, MeterBand(MeterBandType.DROP, 1)) for _ in range(MAX_METERS + 2)]

    for number, each in enumerate(made, start=1):
        meters.put(number, each)

    assert len(meters.in_kernel) == MAX_METERS
    passed = [meters.pass_by(number, ONE_OF) for number in (1, 1, MAX_METERS + 1, MAX_METERS + 1)]
    assert passed == [ONE_OF, None, ONE_OF, None]
    for number in range(1, len(made) + 1):
        meters.put(number, None)
    assert meters.in_kernel == {}
    assert libbpf.dump(kernel.map("meters"), 4, METER_SIZE) == []
    meters.close()


def test_what_an_earlier_process_metered_goes_on_until_it_is_released(tmp_path: Path) -> None:
    pins = tmp_path / "pins"
    with own_namespace():
        first = Kernel(pins)
        meters = KernelMeters(first, time.monotonic, Counters())
        for number in (1, 2):
            meters.put(number, entry(MeterFlags.PKTPS | MeterFlags.BURST, MeterBand(MeterBandType.DROP, 1, 2)))
        meters.pass_by(1, ONE_OF)
        meters.close()
        first.abandon()

        second = Kernel(pins)
        try:
            meters = KernelMeters(second, time.monotonic, Counters())
            assert [ask(second, 1, 60) for _ in range(3)] == [PASS, DROP, DROP]
            meter = entry(MeterFlags.PKTPS | MeterFlags.BURST, MeterBand(MeterBandType.DROP, 1, 3))
            meters.put(1, meter)
            meters.release_adopted()
            assert [ask(second, 1, 60) for _ in range(4)] == [PASS] * 3 + [DROP]
            assert len(libbpf.dump(second.map("meters"), 4, METER_SIZE)) == 1
            meters.count()
            assert meter.counter.packets == 4
            meters.close()
        finally:
            second.close()
            remove_pins(pins)
