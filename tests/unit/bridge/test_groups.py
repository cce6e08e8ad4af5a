"""Groups, meters and IPv6 in a whole bridge: cached decisions follow changes, and each packet is counted once."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from inband.agent.connection import Kind
from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.control import events as ev
from inband.datapath.simulated import SimulatedDatapath
from inband.flow.actions import ApplyActions, GotoTable, Group, Instruction, Meter, Output
from inband.flow.groups import Bucket
from inband.flow.match import Match
from inband.flow.meters import MeterBand
from inband.flow.ports import LOCAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.host.events import AddressChanged
from inband.openflow.messages import Envelope, FlowMod, GroupMod, Message, MeterMod
from inband.packet.frame import Frame
from inband.table.steps import in_one_go
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import (
    OFP13,
    FlowModCommand,
    GroupModCommand,
    GroupType,
    MeterBandType,
    MeterFlags,
    MeterModCommand,
)
from lab.silent_host import SilentHost
from tests.unit.bridge.test_own_questions import Clock

US = "02:00:00:00:00:01"
P1, P2, P3 = PortNo(1), PortNo(2), PortNo(3)
WEB = Frame(packets.tcp())


def meter(command: MeterModCommand, *bands: MeterBand) -> MeterMod:
    """A change of meter 1, which counts packets."""
    return MeterMod(command, MeterFlags.PKTPS, 1, bands)


class Stage:
    """A bridge on a simulated datapath, with a controller on connection 1."""

    def __init__(self, clock: Clock | None = None) -> None:
        clock = clock or Clock()
        self.datapath = SimulatedDatapath(clock=clock)
        self.host = SilentHost()
        self.bridge = Bridge(BridgeSettings("br0", Identity(1)), self.datapath, self.host, clock, lambda: None)
        self.datapath.client = self.bridge
        for number in (LOCAL, P1, P2, P3):
            self.datapath.add_port(number, f"p{number}")
            self.bridge.add_port(number, f"p{number}", Mac.parse(US))
        self.bridge.set_local(7, Mac.parse(US))
        self.bridge.control(ev.InBandEnabled(True))
        self.bridge.connect(1, Kind.CONTROLLER, OFP13)

    def say(self, *messages: Message) -> None:
        """What the controller sends."""
        self.bridge.receive(1, [Envelope(OFP13, 1, message) for message in messages])

    def flow(self, *instructions: Instruction) -> None:
        """Have the controller add a flow for everything."""
        self.say(FlowMod(FlowModCommand.ADD, instructions=instructions))

    def group(self, kind: GroupType, *buckets: Bucket, command: GroupModCommand = GroupModCommand.ADD) -> None:
        """Have the controller make or change group 1."""
        self.say(GroupMod(command, kind, 1, buckets))

    def sent(self, frame: Frame = WEB) -> list[PortNo]:
        """Where a frame that arrives at port 1 goes."""
        self.datapath.deliver(P1, frame)
        return [port for port, _, _ in self.datapath.take_sent()]


def to(port: PortNo, watch: PortNo | None = None) -> Bucket:
    """A bucket that outputs."""
    return Bucket((Output(port),)) if watch is None else Bucket((Output(port),), watch_port=watch)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_changed_group_is_followed_by_the_next_packet(stage: Stage) -> None:
    stage.group(GroupType.INDIRECT, to(P2))
    stage.flow(ApplyActions((Group(1),)))
    assert [stage.sent(), stage.sent()] == [[P2], [P2]]

    stage.group(GroupType.ALL, to(P2), to(P3), command=GroupModCommand.MODIFY)

    assert stage.sent() == [P2, P3]
    assert len(stage.datapath.megaflows()) == 1


def test_a_lost_link_is_followed_by_the_next_packet(stage: Stage) -> None:
    stage.group(GroupType.FF, to(P2, watch=P2), to(P3, watch=P3))
    stage.flow(ApplyActions((Group(1),)))
    assert stage.sent() == [P2]

    stage.bridge.link_changed(P2, link_up=False, mac=Mac.parse(US))
    assert stage.sent() == [P3]
    stage.bridge.link_changed(P2, link_up=True, mac=Mac.parse(US))
    assert stage.sent() == [P2]


def test_a_deleted_group_takes_its_flows_and_what_was_cached_of_them(stage: Stage) -> None:
    stage.group(GroupType.INDIRECT, to(P2))
    stage.flow(ApplyActions((Group(1),)))
    stage.sent()

    stage.group(GroupType.INDIRECT, command=GroupModCommand.DELETE)

    assert stage.sent() == []


def test_packets_of_cached_decisions_are_counted_by_group_and_bucket(stage: Stage) -> None:
    stage.group(GroupType.ALL, to(P2), to(P3))
    stage.flow(ApplyActions((Group(1),)))
    for _ in range(5):
        stage.sent()

    in_one_go(stage.bridge.counting())

    group = stage.bridge.tables.groups.get(1)
    assert group is not None
    assert group.counter.packets == 5
    assert [bucket.counter.packets for bucket in group.buckets] == [5, 5]
    assert group.counter.bytes == 5 * len(WEB.data)


def test_every_packet_of_a_metered_flow_meets_the_meter(stage: Stage) -> None:
    stage.say(meter(MeterModCommand.ADD, MeterBand(MeterBandType.DROP, 2)))
    stage.flow(Meter(1), ApplyActions((Output(P2),)))

    assert [stage.sent() for _ in range(4)] == [[P2], [P2], [], []]
    assert len(stage.datapath.megaflows()) == 1
    assert stage.datapath.counters()["dropped_by_meter"] == 2


def test_a_meter_that_is_changed_or_goes_is_followed_at_once(stage: Stage) -> None:
    stage.say(meter(MeterModCommand.ADD, MeterBand(MeterBandType.DROP, 1)))
    stage.flow(Meter(1), ApplyActions((Output(P2),)))
    assert [stage.sent() for _ in range(3)] == [[P2], [], []]

    stage.say(meter(MeterModCommand.MODIFY, MeterBand(MeterBandType.DROP, 2)))
    assert [stage.sent() for _ in range(3)] == [[P2], [P2], []]
    assert len(stage.datapath.megaflows()) == 1
    changed = stage.bridge.tables.meters.get(1)
    assert changed is not None
    assert (changed.counter.packets, changed.bands[0].counter.packets) == (6, 1)

    stage.say(meter(MeterModCommand.DELETE), meter(MeterModCommand.ADD, MeterBand(MeterBandType.DROP, 3)))
    assert stage.sent() == []
    stage.flow(Meter(1), ApplyActions((Output(P2),)))
    assert [stage.sent() for _ in range(4)] == [[P2], [P2], [P2], []]


def test_a_meter_that_begins_to_remark_is_asked_before_tables_that_look_at_it(stage: Stage) -> None:
    stage.say(meter(MeterModCommand.ADD, MeterBand(MeterBandType.DROP, 1)))
    stage.flow(Meter(1), GotoTable(1))
    stage.say(
        FlowMod(FlowModCommand.ADD, table_id=1, instructions=(ApplyActions((Output(P3),)),)),
        FlowMod(
            *(FlowModCommand.ADD, Match.of(eth_type=0x0800, ip_dscp=12), OpenFlowPriority(0xFFFF)),
            *((ApplyActions((Output(P2),)),), 1),
        ),
    )
    frame = Frame(packets.tcp(src=packets.MAC_A, tos=10 << 2))
    assert [stage.sent(frame) for _ in range(2)] == [[P3], []]

    stage.say(meter(MeterModCommand.MODIFY, MeterBand(MeterBandType.DSCP_REMARK, 1, prec_level=1)))

    assert [stage.sent(frame) for _ in range(2)] == [[P3], [P2]]


def test_router_advertisements_reach_local_from_the_moment_the_bridge_uses_ipv6(stage: Stage) -> None:
    stage.flow()
    advertisement = Frame(packets.router_advertisement())
    assert stage.sent(advertisement) == []

    own = IPv6Address("fe80::1")
    stage.host.say(stage.bridge, AddressChanged(7, own, 64, True))
    assert [stage.sent(advertisement), stage.sent(advertisement)] == [[LOCAL], [LOCAL]]
    stage.host.say(stage.bridge, AddressChanged(7, own, 64, False))

    assert stage.sent(advertisement) == []


def test_a_data_decision_cached_before_does_not_hide_an_advertisement(stage: Stage) -> None:
    stage.host.say(stage.bridge, AddressChanged(7, IPv6Address("fe80::1"), 64, True))
    stage.flow(ApplyActions((Output(P2),)))
    for frame in (packets.router_advertisement(dst=packets.MAC_B), packets.icmp_echo("fe80::1", "ff02::1")):
        stage.sent(Frame(frame))

    assert stage.sent(Frame(packets.router_advertisement())) == [LOCAL, P2]
