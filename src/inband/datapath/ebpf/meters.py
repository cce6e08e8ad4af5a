"""Meters in the kernel: the program asks them for each packet, and this process for those that it handles itself.

A meter is one element of the kernel's map, by its number, with its tokens in it; a change of it is one write, full
buckets included. What it and its bands count is in another map, which this process reads through shared memory, and
which a change of the meter leaves alone. Both outlive the process: what an earlier one cached goes on being metered,
until there is a meter of the same number or what was adopted is released.

Meters for which the kernel has no place, or too few bands, are kept here: packets of their flows come up one by one.

Invariants: whoever moves a packet, the kernel or this process, takes the tokens in one place. Counts are in the
``MeterEntry`` after a round of ``count``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from inband.datapath.base import Counters
from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.layout import (
    MAX_BANDS,
    MAX_METER_COUNTS,
    METER_BAND,
    METER_COUNT,
    METER_HEAD,
    METER_QUESTION,
    METER_SIZE,
)
from inband.datapath.ebpf.mapped import MappedArray
from inband.datapath.metering import Meters, remark
from inband.errors import HostError
from inband.packet.frame import Frame
from inband.table.groups import Counter
from inband.table.meters import MeterEntry
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import MeterBandType, MeterFlags

# A band gets its rate's number of tokens each nanosecond: these are a millionth of a bit for rates in kilobits, and a
# thousand-millionth of a packet for rates in packets.
_PER_BYTE, _PER_PACKET = 8_000_000, 1_000_000_000
_NS_PER_S = 1_000_000_000
_METER_ID_SIZE = 4
_DROP = -1
# Places that rest before they are used again; a packet on another CPU is done within microseconds.
_RESTING = 64


@dataclass(slots=True)
class _Counted:
    """A counter of the switch's, its place in the kernel, and what was there when it was read last."""

    counter: Counter
    place: int
    packets: int
    bytes: int


@dataclass(slots=True)
class _Known:
    """A meter that is in the kernel: its own counter first, then its bands'."""

    meter: MeterEntry
    counted: list[_Counted]


class KernelMeters:
    """The meters of one kernel, and those that did not fit there."""

    def __init__(self, kernel: Kernel, clock: Callable[[], Instant], counters: Counters) -> None:
        self._kernel = kernel
        self._clock = clock
        self._counters = counters
        self._here = Meters(clock, counters)
        self._known: dict[int, _Known] = {}
        self.in_kernel: dict[int, bool] = {}
        """The meters that the program knows, and whether they change packets."""
        self._counts = MappedArray(kernel.map("meter_counts"), METER_COUNT, MAX_METER_COUNTS)
        self._adopted, used = self._earlier()
        self._unused = (place for place in range(1, MAX_METER_COUNTS) if place not in used)
        self._unused_count = MAX_METER_COUNTS - 1 - len(used)
        self._free: deque[int] = deque()

    # Changes

    def put(self, meter_id: int, meter: MeterEntry | None) -> bool:
        """As ``Datapath.set_meter``; whether flows that name it have to be compiled anew."""
        before = self.in_kernel.get(meter_id)
        known = self._known.pop(meter_id, None)
        places = self._take_places(1 + len(meter.bands)) if meter is not None else None
        if meter is None or places is None or not self._write(meter_id, meter, places):
            self.in_kernel.pop(meter_id, None)
            libbpf.delete(self._kernel.map("meters"), _key(meter_id))
            self._free += places or ()
        else:
            counters = [meter.counter, *(band.counter for band in meter.bands)]
            self._known[meter_id] = _Known(meter, [self._begin(*each) for each in zip(counters, places, strict=True)])
            self.in_kernel[meter_id] = meter.remarks
        self._here.put(meter_id, meter)
        self._adopted.discard(meter_id)
        if known is not None:
            self._count(known)
            self._free += [each.place for each in known.counted]
        return before is not self.in_kernel.get(meter_id)

    def release_adopted(self) -> None:
        """Meters of an earlier process that there are none of by now are gone."""
        for meter_id in self._adopted:
            libbpf.delete(self._kernel.map("meters"), _key(meter_id))
        self._adopted.clear()

    def close(self) -> None:
        """Give back memory."""
        self._counts.close()

    # Packets

    def pass_by(self, meter_id: int, frame: Frame) -> Frame | None:
        """As ``execute.Outlet.meter``."""
        if meter_id not in self.in_kernel:
            return self._here.pass_by(meter_id, frame)
        question = METER_QUESTION.pack(meter_id, frame.segments, len(frame.data), 0)
        answer, _, _ = libbpf.try_program(self._kernel.meter_program, question)
        if answer == _DROP & 0xFFFFFFFF:
            self._counters.add("dropped_by_meter")
            return None
        return remark(frame, answer) if answer else frame

    # Counting

    def count(self) -> None:
        """Have all counters say what the kernel has counted."""
        for known in self._known.values():
            self._count(known)

    def _count(self, known: _Known) -> None:
        for each in known.counted:
            packets, bytes_ = self._counts.read(each.place)
            if packets != each.packets:
                each.counter.credit(packets - each.packets, bytes_ - each.bytes)
                each.packets, each.bytes = packets, bytes_

    # Inside

    def _earlier(self) -> tuple[set[int], set[int]]:
        """The meters of an earlier process, and the places of counters that they use."""
        meters, used = set(), set()
        for key, value in libbpf.dump(self._kernel.map("meters"), _METER_ID_SIZE, METER_SIZE):
            meters.add(int.from_bytes(key, "little"))
            _, place, _, _, bands, _ = METER_HEAD.unpack_from(value)
            used.add(place)
            for at in range(bands):
                used.add(METER_BAND.unpack_from(value, METER_HEAD.size + at * METER_BAND.size)[4])
        return meters, used

    def _take_places(self, count: int) -> list[int] | None:
        if count > 1 + MAX_BANDS or count + _RESTING > self._unused_count + len(self._free):
            return None
        places = list(islice(self._unused, count))
        self._unused_count -= len(places)
        return places + [self._free.popleft() for _ in range(count - len(places))]

    def _begin(self, counter: Counter, place: int) -> _Counted:
        return _Counted(counter, place, *self._counts.read(place))

    def _write(self, meter_id: int, meter: MeterEntry, places: list[int]) -> bool:
        try:
            libbpf.update(self._kernel.map("meters"), _key(meter_id), _element(meter, places, self._clock()))
        except HostError:
            return False
        return True


def _key(meter_id: int) -> bytes:
    return meter_id.to_bytes(_METER_ID_SIZE, "little")


def _element(meter: MeterEntry, places: list[int], now: Instant) -> bytes:
    """struct meter, with all buckets full."""
    counts_packets = bool(meter.flags & MeterFlags.PKTPS)
    size = (_PER_PACKET, 0) if counts_packets else (0, _PER_BYTE)
    element = METER_HEAD.pack(0, places[0], *size, len(meter.bands), round(now * _NS_PER_S))
    unit = _PER_PACKET if counts_packets else _PER_BYTE // 8
    for band, place in zip(meter.bands, places[1:], strict=True):
        levels = band.band.prec_level if band.band.type is MeterBandType.DSCP_REMARK else 0
        depth = int(band.depth) * unit
        element += METER_BAND.pack(depth, depth, band.band.rate, levels, place)
    return element.ljust(METER_SIZE, b"\0")
