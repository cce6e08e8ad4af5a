"""Meters by the sentences of OpenFlow 1.3.5, 5.7, 6.6 and 7.3.4.4."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inband.flow.meters import MeterBand
from inband.table.meters import MAX_BANDS, MAX_METER_ID, MAX_METERS, MeterEntry, MeterRefusedError, MeterTable
from inband.vocabulary.openflow import ALL_METERS, MeterBandType, MeterFlags
from inband.vocabulary.openflow_errors import MeterModFailed

KBPS, PKTPS, BURST = MeterFlags.KBPS, MeterFlags.PKTPS, MeterFlags.BURST


def drop(rate: int, burst: int = 0) -> MeterBand:
    """A drop band."""
    return MeterBand(MeterBandType.DROP, rate, burst)


def remark(rate: int, level: int = 1) -> MeterBand:
    """A DSCP remark band."""
    return MeterBand(MeterBandType.DSCP_REMARK, rate, prec_level=level)


def meter(flags: MeterFlags, *bands: MeterBand) -> MeterEntry:
    """A meter made at 0.0."""
    return MeterTable().add(1, flags, bands, 0.0)


def passing(entry: MeterEntry, count: int, now: float, size: int = 100) -> int:
    """How many of ``count`` packets at ``now`` are within every rate."""
    return sum(entry.take(1, size, now) is None for _ in range(count))


def refusal(command: Callable[[], object]) -> MeterModFailed:
    """The code by which a command is refused."""
    with pytest.raises(MeterRefusedError) as caught:
        command()
    return caught.value.code


def test_packets_pass_at_the_rate_and_no_faster() -> None:
    entry = meter(PKTPS, drop(10))

    assert passing(entry, 20, 0.0) == 10
    assert passing(entry, 20, 0.5) == 5
    assert passing(entry, 20, 100.0) == 10


def test_the_burst_size_bounds_what_passes_at_once_and_not_the_rate() -> None:
    entry = meter(PKTPS | BURST, drop(10, burst=3))

    assert passing(entry, 20, 0.0) == 3
    assert passing(entry, 20, 0.1) == 1
    assert passing(entry, 20, 100.0) == 3


def test_kilobits_count_bytes() -> None:
    entry = meter(KBPS, drop(8))

    assert passing(entry, 20, 0.0, size=125) == 8
    assert passing(entry, 20, 1.0, size=250) == 4


def test_a_frame_of_several_segments_counts_as_so_many_packets() -> None:
    entry = meter(PKTPS, drop(10))

    assert entry.take(8, 8000, 0.0) is None
    assert entry.take(8, 8000, 0.0) is not None
    assert entry.take(2, 2000, 0.0) is None


def test_a_frame_larger_than_the_bucket_passes_when_it_is_full_and_has_to_be_paid_for() -> None:
    entry = meter(KBPS, drop(8))  # 1,000 bytes a second

    assert entry.take(2, 3000, 0.0) is None
    assert [entry.take(1, 100, now) is None for now in (1.0, 2.0, 2.2)] == [False, False, True]
    assert entry.take(2, 3000, 2.5) is not None


def test_of_the_exceeded_bands_the_one_with_the_highest_rate_decides() -> None:
    entry = meter(PKTPS, remark(2), drop(5))

    taken = [entry.take(1, 100, 0.0) for _ in range(7)]

    assert [band and band.band.type for band in taken] == [
        *(None, None),
        *(MeterBandType.DSCP_REMARK,) * 3,
        *(MeterBandType.DROP,) * 2,
    ]


def test_packets_are_counted_by_meter_and_band() -> None:
    entry = meter(PKTPS, drop(1))

    passing(entry, 3, 0.0, size=100)

    assert (entry.counter.packets, entry.counter.bytes) == (3, 300)
    assert (entry.bands[0].counter.packets, entry.bands[0].counter.bytes) == (2, 200)


def test_asking_takes_and_counts_nothing() -> None:
    entry = meter(PKTPS, drop(1))

    assert [entry.exceeded(1, 100, 0.0) for _ in range(3)] == [None] * 3
    assert entry.counter.packets == 0


def test_a_meter_without_bands_only_counts() -> None:
    entry = meter(KBPS)

    assert passing(entry, 100, 0.0) == 100
    assert entry.counter.packets == 100


def test_time_that_goes_backwards_gives_nothing() -> None:
    entry = meter(PKTPS, drop(10))
    passing(entry, 10, 5.0)

    assert passing(entry, 5, 4.0) == 0


def test_a_modified_meter_has_new_full_buckets_and_goes_on_counting() -> None:
    table = MeterTable()
    entry = table.add(1, PKTPS, (drop(2),), 0.0)
    passing(entry, 5, 0.0)

    table.modify(1, PKTPS, (drop(3),), 1.0)

    assert table.get(1) is entry
    assert passing(entry, 5, 1.0) == 3
    assert (entry.counter.packets, entry.bands[0].counter.packets, entry.created) == (10, 2, 0.0)


def test_deleting_one_all_or_none() -> None:
    table = MeterTable()
    for meter_id in (1, 2, 3):
        table.add(meter_id, KBPS, (), 0.0)

    assert [entry.meter_id for entry in table.delete(2)] == [2]
    assert table.delete(2) == ()
    assert [entry.meter_id for entry in table.delete(ALL_METERS)] == [1, 3]
    assert list(table) == []


@pytest.mark.parametrize(
    ("flags", "bands", "code"),
    [
        (KBPS | PKTPS, (), MeterModFailed.BAD_FLAGS),
        (MeterFlags(16), (), MeterModFailed.BAD_FLAGS),
        (KBPS, (drop(0),), MeterModFailed.BAD_RATE),
        (KBPS, (drop(1),) * (MAX_BANDS + 1), MeterModFailed.OUT_OF_BANDS),
        (KBPS, (MeterBand(MeterBandType.EXPERIMENTER, 1),), MeterModFailed.BAD_BAND),
        (KBPS, (remark(1, level=0),), MeterModFailed.BAD_BAND_VALUE),
        (KBPS, (remark(1, level=3),), MeterModFailed.BAD_BAND_VALUE),
    ],
)
def test_a_meter_that_makes_no_sense_is_refused(
    flags: MeterFlags, bands: tuple[MeterBand, ...], code: MeterModFailed
) -> None:
    table = MeterTable()
    entry = table.add(2, KBPS, (drop(7),), 0.0)

    assert refusal(lambda: table.add(1, flags, bands, 0.0)) is code
    assert refusal(lambda: table.modify(2, flags, bands, 0.0)) is code
    assert list(table) == [entry]
    assert [band.band for band in entry.bands] == [drop(7)]


def test_numbers_that_are_taken_or_reserved_are_refused() -> None:
    table = MeterTable()
    table.add(1, KBPS, (), 0.0)

    assert refusal(lambda: table.add(1, KBPS, (), 0.0)) is MeterModFailed.METER_EXISTS
    assert refusal(lambda: table.add(0, KBPS, (), 0.0)) is MeterModFailed.INVALID_METER
    assert refusal(lambda: table.add(MAX_METER_ID + 1, KBPS, (), 0.0)) is MeterModFailed.INVALID_METER
    assert refusal(lambda: table.modify(2, KBPS, (), 0.0)) is MeterModFailed.UNKNOWN_METER


def test_there_is_an_end_to_meters() -> None:
    table = MeterTable()
    for meter_id in range(1, MAX_METERS + 1):
        table.add(meter_id, KBPS, (), 0.0)

    assert refusal(lambda: table.add(MAX_METERS + 1, KBPS, (), 0.0)) is MeterModFailed.OUT_OF_METERS
