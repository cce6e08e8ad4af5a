"""Meters (OpenFlow 1.3.5, 5.7 and 6.6): token buckets that packets of certain flows pass, or not, or with a worse DSCP.

Each band of a meter has a bucket of tokens that fills at the band's rate. A packet takes its size from every bucket
that has it; of the bands whose bucket has not, the one with the highest rate decides ("the packet is processed by the
band with the highest configured rate that is lower than the current measured rate", 5.7.1).

A packet larger than a whole bucket (a frame of many segments, a burst size below one packet) would never pass. It
passes when the bucket is full and leaves it in debt: the rate holds in the long run, and nothing starves.

No clock: ``now`` is an argument. Invariant: tokens are taken once per packet, by the datapath. A datapath that keeps
meters elsewhere writes what they count there to the counters here. What this is not: it changes no packet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from inband.flow.meters import MeterBand
from inband.table.changes import TableRefusedError
from inband.table.groups import Counter
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import ALL_METERS, MeterBandType, MeterFlags
from inband.vocabulary.openflow_errors import MeterModFailed

MAX_METER_ID: Final = 0xFFFF0000
"""OFPM_MAX (7.3.4.4). The virtual meters above it, for the slow path and for the controller, are not offered."""

MAX_METERS: Final = 65_536
MAX_BANDS: Final = 255
"""As many as METER_FEATURES can say; every packet is held against each of them."""

HIGHEST_PRECEDENCE: Final = 2
"""DSCP knows three drop precedences (RFC 2597), so one can be made worse by at most two."""

_KNOWN_FLAGS = int(MeterFlags.KBPS | MeterFlags.PKTPS | MeterFlags.BURST | MeterFlags.STATS)
_BITS_PER_KB = 1000  # "kilo-bit per second" (7.3.4.4)


@dataclass(slots=True, eq=False)
class BandEntry:
    """A band at work. ``rate`` (per second), ``depth`` and ``tokens`` are in bits, or in packets for OFPMF_PKTPS."""

    band: MeterBand
    rate: float
    depth: float
    tokens: float
    filled: Instant
    counter: Counter = field(default_factory=Counter)

    def level(self, now: Instant) -> float:
        """Tokens at ``now``."""
        return min(self.depth, self.tokens + max(0.0, now - self.filled) * self.rate)

    def holds(self, size: float, now: Instant) -> bool:
        """Whether a packet of this size is within the rate."""
        return self.level(now) >= min(size, self.depth)

    def take(self, size: float, now: Instant) -> None:
        """Count a packet of this size against the rate."""
        self.tokens, self.filled = self.level(now) - size, max(self.filled, now)


@dataclass(slots=True, eq=False)
class MeterEntry:
    """One meter. ``created`` is when it was added; a modification does not change that."""

    meter_id: int
    flags: MeterFlags
    bands: tuple[BandEntry, ...]
    created: Instant
    counter: Counter = field(default_factory=Counter)

    @property
    def remarks(self) -> bool:
        """Whether it changes packets."""
        return any(band.band.type is MeterBandType.DSCP_REMARK for band in self.bands)

    def exceeded(self, packets: int, bytes_: int, now: Instant) -> BandEntry | None:
        """The band that would decide about a frame of so many packets; None: it is within every rate."""
        size = self._size(packets, bytes_)
        over = [band for band in self.bands if not band.holds(size, now)]
        return max(over, key=lambda band: band.rate, default=None)

    def take(self, packets: int, bytes_: int, now: Instant) -> BandEntry | None:
        """The same, and it happens: tokens are taken and the frame is counted."""
        size = self._size(packets, bytes_)
        decider = self.exceeded(packets, bytes_, now)
        for band in self.bands:
            if band.holds(size, now):
                band.take(size, now)
        self.counter.credit(packets, bytes_)
        if decider is not None:
            decider.counter.credit(packets, bytes_)
        return decider

    def _size(self, packets: int, bytes_: int) -> float:
        return packets if self.flags & MeterFlags.PKTPS else bytes_ * 8


class MeterRefusedError(TableRefusedError):
    """A METER_MOD that the meter table refuses, and by which code; nothing was changed."""

    def __init__(self, code: MeterModFailed, text: str) -> None:
        super().__init__(text)
        self.code = code


class MeterTable:
    """Meters by number. Every command costs its own bands only."""

    def __init__(self) -> None:
        self._meters: dict[int, MeterEntry] = {}

    def __iter__(self) -> Iterator[MeterEntry]:
        """Every meter, oldest first."""
        return iter(self._meters.values())

    def __contains__(self, meter_id: object) -> bool:
        return meter_id in self._meters

    def get(self, meter_id: int) -> MeterEntry | None:
        """A meter, or None."""
        return self._meters.get(meter_id)

    def add(self, meter_id: int, flags: MeterFlags, bands: Iterable[MeterBand], now: Instant) -> MeterEntry:
        """OFPMC_ADD (6.6). Raises MeterRefusedError."""
        if not 0 < meter_id <= MAX_METER_ID:
            raise MeterRefusedError(MeterModFailed.INVALID_METER, f"{meter_id:#x} is no number for a meter")
        if meter_id in self._meters:
            raise MeterRefusedError(MeterModFailed.METER_EXISTS, f"there is a meter {meter_id} already")
        if len(self._meters) >= MAX_METERS:
            raise MeterRefusedError(MeterModFailed.OUT_OF_METERS, f"there are {MAX_METERS} meters already")
        entry = self._meters[meter_id] = MeterEntry(meter_id, flags, _entries(flags, tuple(bands), now), now)
        return entry

    def modify(self, meter_id: int, flags: MeterFlags, bands: Iterable[MeterBand], now: Instant) -> MeterEntry:
        """OFPMC_MODIFY: other bands, full buckets; what the meter itself counted stays. Raises MeterRefusedError."""
        entry = self._meters.get(meter_id)
        if entry is None:
            raise MeterRefusedError(MeterModFailed.UNKNOWN_METER, f"there is no meter {meter_id}")
        entry.bands, entry.flags = _entries(flags, tuple(bands), now), flags
        return entry

    def delete(self, meter_id: int) -> tuple[MeterEntry, ...]:
        """OFPMC_DELETE, ALL_METERS for all: the meters that are gone; none being there is no error (6.6)."""
        gone = self.meant_by_delete(meter_id)
        for entry in gone:
            del self._meters[entry.meter_id]
        return gone

    def meant_by_delete(self, meter_id: int) -> tuple[MeterEntry, ...]:
        """The meters that ``delete`` would remove."""
        if meter_id == ALL_METERS:
            return tuple(self._meters.values())
        entry = self._meters.get(meter_id)
        return () if entry is None else (entry,)


def _entries(flags: MeterFlags, bands: tuple[MeterBand, ...], now: Instant) -> tuple[BandEntry, ...]:
    _check(flags, bands)
    unit = 1 if flags & MeterFlags.PKTPS else _BITS_PER_KB
    entries = []
    for band in bands:
        # Without a burst size, or one of 0, a meter lets through in one burst what it lets through in a second.
        burst = band.burst_size if flags & MeterFlags.BURST and band.burst_size else band.rate
        depth = float(burst * unit)
        entries.append(BandEntry(band, float(band.rate * unit), depth, depth, now))
    return tuple(entries)


def _check(flags: MeterFlags, bands: tuple[MeterBand, ...]) -> None:
    """What a METER_MOD must say to make sense (7.3.4.4)."""
    is_both = flags & MeterFlags.KBPS and flags & MeterFlags.PKTPS
    if int(flags) & ~_KNOWN_FLAGS or is_both:
        raise MeterRefusedError(MeterModFailed.BAD_FLAGS, f"meter flags {int(flags):#x} are no unit")
    if len(bands) > MAX_BANDS:
        raise MeterRefusedError(MeterModFailed.OUT_OF_BANDS, f"{len(bands)} bands are more than {MAX_BANDS}")
    for band in bands:
        if band.type is MeterBandType.EXPERIMENTER:
            raise MeterRefusedError(MeterModFailed.BAD_BAND, f"no band of experimenter {band.experimenter:#x} is known")
        if not band.rate:
            raise MeterRefusedError(MeterModFailed.BAD_RATE, "a band needs a rate above 0")
        if band.type is MeterBandType.DSCP_REMARK and not 0 < band.prec_level <= HIGHEST_PRECEDENCE:
            raise MeterRefusedError(MeterModFailed.BAD_BAND_VALUE, f"DSCP has no {band.prec_level} precedences more")
