"""METER_MOD, and what a controller reads of meters (OpenFlow 1.3.5, 6.6, 7.3.4.4, 7.3.5.12 to 7.3.5.14).

Cached decisions name a meter and leave it to the datapath what it does with packets, so other bands make none wrong,
but where they begin or cease to change packets, which later tables may look at. Flows that lose their meter go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from inband.agent.connection import Connection
from inband.agent.effects import MeterChanged, SettingsChanged
from inband.agent.flow_mods import duration, remove_users
from inband.agent.long_reply import LongReply, long_reply
from inband.agent.refusal import RefusalError
from inband.agent.switch import Switch
from inband.flow.actions import Meter
from inband.openflow.messages import Message, MeterMod
from inband.openflow.multipart import (
    BandCounter,
    MeterConfig,
    MeterConfigReply,
    MeterConfigRequest,
    MeterFeaturesReply,
    MeterFeaturesRequest,
    MeterStats,
    MeterStatsReply,
    MeterStatsRequest,
)
from inband.table.meters import MAX_BANDS, MAX_METERS, MeterEntry, MeterRefusedError
from inband.table.steps import Step, Steps
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import ALL_METERS, FlowRemovedReason, MeterBandType, MeterFlags, MeterModCommand
from inband.vocabulary.openflow_errors import MeterModFailed

DELETED_AT_ONCE: Final = 64
"""Each is taken out of the datapath, too."""

_BAND_TYPES: Final = 1 << MeterBandType.DROP | 1 << MeterBandType.DSCP_REMARK
_CAPABILITIES: Final = MeterFlags.KBPS | MeterFlags.PKTPS | MeterFlags.BURST | MeterFlags.STATS


def change_meters(switch: Switch, _: Connection, request: MeterMod, now: Instant) -> Steps[Message | None]:
    """Carry out a METER_MOD."""
    meters = switch.tables.meters
    try:
        match request.command:
            case MeterModCommand.ADD:
                meters.add(request.meter_id, request.flags, request.bands, now)
                switch.effects.append(MeterChanged(request.meter_id))
            case MeterModCommand.MODIFY:
                _modify(switch, request, now)
            case MeterModCommand.DELETE:
                going = [Meter(meter.meter_id) for meter in meters.meant_by_delete(request.meter_id)]
                yield from remove_users(switch, going, FlowRemovedReason.DELETE, now)
                for start in range(0, len(going), DELETED_AT_ONCE):
                    for meter in going[start : start + DELETED_AT_ONCE]:
                        meters.delete(meter.meter_id)
                        switch.effects.append(MeterChanged(meter.meter_id))
                    yield Step.WORKED
            case _:
                assert_never(request.command)
    except MeterRefusedError as refusal:
        raise RefusalError(refusal.code, str(refusal)) from None
    return None


def _modify(switch: Switch, request: MeterMod, now: Instant) -> None:
    meter = switch.tables.meters.get(request.meter_id)
    remarked = meter is not None and meter.remarks
    changed = switch.tables.meters.modify(request.meter_id, request.flags, request.bands, now)
    switch.effects.append(MeterChanged(request.meter_id))
    if remarked != changed.remarks:
        switch.effects.append(SettingsChanged())


def meter_stats(switch: Switch, _: Connection, request: MeterStatsRequest, now: Instant) -> LongReply:
    """METER: one meter or all; one that is not there is an error."""
    entries = (_stats(switch, meter, now) for meter in _wanted(switch, request.meter_id))
    return long_reply(MeterStatsReply, entries, size=_size, first=switch.statistics.counting())


def _size(entry: MeterStats | MeterConfig) -> int:
    return 1 + len(entry.bands)


def _stats(switch: Switch, meter: MeterEntry, now: Instant) -> MeterStats:
    seconds, nanoseconds = duration(meter.created, now)
    return MeterStats(
        meter_id=meter.meter_id,
        flow_count=switch.tables.user_count(Meter(meter.meter_id)),
        packets_in=meter.counter.packets,
        bytes_in=meter.counter.bytes,
        duration_sec=seconds,
        duration_nsec=nanoseconds,
        bands=tuple(BandCounter(band.counter.packets, band.counter.bytes) for band in meter.bands),
    )


def meter_configs(switch: Switch, _: Connection, request: MeterConfigRequest, __: Instant) -> LongReply:
    """METER_CONFIG: one meter or all, as they were made; one that is not there is an error."""
    entries = (
        MeterConfig(meter.flags, meter.meter_id, tuple(band.band for band in meter.bands))
        for meter in _wanted(switch, request.meter_id)
    )
    return long_reply(MeterConfigReply, entries, size=_size)


def meter_features(_: Switch, __: Connection, ___: MeterFeaturesRequest, ____: Instant) -> MeterFeaturesReply:
    """METER_FEATURES: drop and DSCP remark, by kilobits or packets, with bursts and counters; no colours."""
    return MeterFeaturesReply(MAX_METERS, _BAND_TYPES, _CAPABILITIES, MAX_BANDS, max_color=0)


def _wanted(switch: Switch, meter_id: int) -> Iterable[MeterEntry]:
    """Meters that are there when it is their turn."""
    meters = switch.tables.meters
    if meter_id == ALL_METERS:
        return (meter for meter in list(meters) if meters.get(meter.meter_id) is meter)
    meter = meters.get(meter_id)
    if meter is None:
        raise RefusalError(MeterModFailed.UNKNOWN_METER, f"there is no meter {meter_id}")
    return (meter,)
