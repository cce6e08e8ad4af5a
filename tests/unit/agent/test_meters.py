"""METER_MOD and what a controller reads of meters, with os-ken on the other end where bytes count."""

from __future__ import annotations

import pytest

from inband.flow.actions import ApplyActions, Meter, Output
from inband.flow.flow import FlowFlags
from inband.flow.match import ANY, Match
from inband.flow.meters import MeterBand
from inband.flow.ports import PortNo
from inband.openflow.messages import Envelope, FlowMod, FlowRemoved, MeterMod
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
from inband.vocabulary.openflow import (
    ALL_METERS,
    OFP13,
    FlowModCommand,
    FlowRemovedReason,
    MeterBandType,
    MeterFlags,
    MeterModCommand,
)
from inband.vocabulary.openflow_errors import ErrorType, MeterModFailed
from tests.unit.agent.bench_switch import Bench
from tests.unit.agent.test_osken_oracle import Peer

DROP = MeterBand(MeterBandType.DROP, 1, 5)
FLAGS = MeterFlags.PKTPS | MeterFlags.STATS
ARP = Match.of(eth_type=0x0806)


def add(meter_id: int, *bands: MeterBand, flags: MeterFlags = FLAGS) -> MeterMod:
    """A request for a new meter."""
    return MeterMod(MeterModCommand.ADD, flags, meter_id, bands)


def delete(meter_id: int) -> MeterMod:
    """A request to delete a meter."""
    return MeterMod(MeterModCommand.DELETE, MeterFlags.NONE, meter_id)


def metered(meter_id: int, match: Match = ANY) -> FlowMod:
    """A request for a metered flow."""
    steps = (Meter(meter_id), ApplyActions((Output(PortNo(1)),)))
    return FlowMod(FlowModCommand.ADD, match, instructions=steps, flags=FlowFlags.SEND_FLOW_REM)


@pytest.fixture
def bench() -> Bench:
    """A switch with meter 1 and a flow that it meters."""
    bench = Bench()
    assert bench.send(add(1, DROP)) == []
    assert bench.send(metered(1)) == []
    return bench


def test_meters_are_described_as_they_were_made(bench: Bench) -> None:
    bench.send(add(2, flags=MeterFlags.KBPS))

    assert bench.send(MeterConfigRequest(1)) == [MeterConfigReply((MeterConfig(FLAGS, 1, (DROP,)),))]
    assert bench.send(MeterConfigRequest(ALL_METERS)) == [
        MeterConfigReply((MeterConfig(FLAGS, 1, (DROP,)), MeterConfig(MeterFlags.KBPS, 2, ())))
    ]


def test_statistics_count_flows_packets_bands_and_time(bench: Bench) -> None:
    meter = bench.tables.meters.get(1)
    assert meter is not None
    for _ in range(3):
        meter.take(1, 100, 0.0)

    (reply,) = bench.send(MeterStatsRequest(1), now=1.25)

    assert reply == MeterStatsReply((MeterStats(1, 1, 3, 300, 1, 250_000_000, (BandCounter(2, 200),)),))


def test_features_name_what_there_is(bench: Bench) -> None:
    (reply,) = bench.send(MeterFeaturesRequest())

    assert isinstance(reply, MeterFeaturesReply)
    assert (reply.band_types, reply.capabilities) == (0b110, MeterFlags(15))
    assert reply.max_meter
    assert reply.max_bands


def test_a_modified_meter_keeps_its_flows(bench: Bench) -> None:
    assert bench.send(MeterMod(MeterModCommand.MODIFY, MeterFlags.KBPS, 1, (DROP, DROP))) == []

    (reply,) = bench.send(MeterStatsRequest())
    assert isinstance(reply, MeterStatsReply)
    assert [(entry.flow_count, len(entry.bands)) for entry in reply.entries] == [(1, 2)]


def test_flows_go_with_their_meter_and_say_so(bench: Bench) -> None:
    bench.send(FlowMod(FlowModCommand.ADD, ARP))

    (removed,) = bench.send(delete(1))

    assert isinstance(removed, FlowRemoved)
    assert (removed.match, removed.reason) == (ANY, FlowRemovedReason.DELETE)
    assert [flow.match for flow in bench.tables.select()] == [ARP]


def test_deleting_all_meters_or_none(bench: Bench) -> None:
    bench.send(add(2))

    assert bench.send(delete(9)) == []
    assert len(bench.send(delete(ALL_METERS))) == 1
    assert bench.send(MeterStatsRequest()) == [MeterStatsReply(())]


def test_very_many_meters_go_in_steps(bench: Bench) -> None:
    for number in range(1000, 3000):
        bench.send(add(number, DROP))

    bench.agent.handle(1, Envelope(OFP13, 9, delete(ALL_METERS)), 0.0)

    assert bench.agent.is_busy
    assert list(bench.tables.meters)
    while bench.agent.is_busy:
        bench.agent.go_on()
    assert not list(bench.tables.meters)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (add(1), MeterModFailed.METER_EXISTS),
        (add(0), MeterModFailed.INVALID_METER),
        (add(0xFFFFFFFE), MeterModFailed.INVALID_METER),
        (add(ALL_METERS), MeterModFailed.INVALID_METER),
        (add(2, MeterBand(MeterBandType.DROP, 0)), MeterModFailed.BAD_RATE),
        (add(2, flags=MeterFlags.KBPS | MeterFlags.PKTPS), MeterModFailed.BAD_FLAGS),
        (add(2, MeterBand(MeterBandType.EXPERIMENTER, 1)), MeterModFailed.BAD_BAND),
        (add(2, MeterBand(MeterBandType.DSCP_REMARK, 1)), MeterModFailed.BAD_BAND_VALUE),
        (MeterMod(MeterModCommand.MODIFY, FLAGS, 9), MeterModFailed.UNKNOWN_METER),
        (MeterStatsRequest(9), MeterModFailed.UNKNOWN_METER),
        (MeterConfigRequest(9), MeterModFailed.UNKNOWN_METER),
        (metered(9), MeterModFailed.INVALID_METER),
    ],
)
def test_what_cannot_be_is_an_error_by_name(bench: Bench, request_: MeterMod, code: int) -> None:
    assert bench.error(request_) == (ErrorType.METER_MOD_FAILED, code)


def test_os_ken_makes_and_reads_meters() -> None:
    peer = Peer(4)
    p, dp, ofproto = peer.parser, peer.datapath, peer.ofproto
    bands = [p.OFPMeterBandDrop(100, 10), p.OFPMeterBandDscpRemark(50, 5, 1)]

    configs, stats, features = peer.ask(
        p.OFPMeterMod(dp, ofproto.OFPMC_ADD, ofproto.OFPMF_KBPS | ofproto.OFPMF_BURST, 3, bands),
        p.OFPMeterConfigStatsRequest(dp, 0, ofproto.OFPM_ALL),
        p.OFPMeterStatsRequest(dp, 0, 3),
        p.OFPMeterFeaturesStatsRequest(dp, 0),
    )

    (config,) = configs.body
    assert config.meter_id == 3
    assert [(type(band).__name__, band.rate, band.burst_size) for band in config.bands] == [
        ("OFPMeterBandDrop", 100, 10),
        ("OFPMeterBandDscpRemark", 50, 5),
    ]
    (counters,) = stats.body
    assert (counters.meter_id, counters.flow_count, len(counters.band_stats)) == (3, 0, 2)
    assert features.body[0].max_bands == 255
