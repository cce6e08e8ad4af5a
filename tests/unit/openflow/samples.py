"""One message of every kind, for the tests that must hold for all of them."""

from __future__ import annotations

from inband.flow import actions as a
from inband.flow import ports
from inband.flow.flow import FlowFlags
from inband.flow.groups import Bucket
from inband.flow.match import Match
from inband.flow.meters import MeterBand
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow import parts as p
from inband.openflow.constants import QueuePropertyType, TablePropertyType
from inband.openflow.wire_fields import field_header
from inband.vocabulary import openflow as c
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP10, OFP13
from inband.vocabulary.openflow_errors import BadRequest, ErrorType

MAC = Mac.parse("02:00:00:00:00:01")
TCP = Match.of(in_port=1, eth_type=0x0800, ipv4_dst=(0x0A000000, 0xFFFFFF00), ip_proto=6, tcp_dst=80)
ICMPV6 = Match.of(eth_type=0x86DD, ip_proto=58, icmpv6_type=135, ipv6_nd_target=1 << 100, ipv6_nd_sll=int(MAC))
REGISTERS = Match.of(in_port=1, reg0=5, metadata=(1, 3), tunnel_id=7, vlan_vid=0x1005, vlan_pcp=3)
OUTPUT = a.Output(PortNo(2), 0xFFFF)
DATA = bytes.fromhex("ffffffffffff02000000000108060001")

ACTIONS_13: tuple[a.Action, ...] = (
    OUTPUT,
    a.Output(ports.CONTROLLER, 128),
    a.CopyTtlOut(),
    a.CopyTtlIn(),
    a.SetMplsTtl(3),
    a.DecMplsTtl(),
    a.PushVlan(0x88A8),
    a.PopVlan(),
    a.PushMpls(0x8848),
    a.PopMpls(0x0800),
    a.PushPbb(),
    a.PopPbb(),
    a.SetQueue(5),
    a.PopQueue(),
    a.Group(1),
    a.SetNwTtl(9),
    a.DecNwTtl(),
    a.SetField("eth_dst", int(MAC)),
    a.SetField("ipv6_dst", 1),
    a.SetField("vlan_vid", 0x1005),
    a.SetField("reg1", 7),
    a.SetField("reg1", 0x70, 0xF0),
    a.SetField("metadata", 1 << 40, 1 << 40),
    a.MoveField("reg0", "eth_src", 16, 3, 8),
    a.Resubmit(PortNo(1), None),
    a.Resubmit(None, 3),
    a.SendToController(100, 7, a.PacketInReason.ACTION),
)
ACTIONS_10: tuple[a.Action, ...] = (
    OUTPUT,
    a.SetVlanVid(9),
    a.SetVlanPcp(5),
    a.PopVlan(),
    a.SetField("eth_src", int(MAC)),
    a.SetField("eth_dst", int(MAC)),
    a.SetField("ipv4_src", 1),
    a.SetField("ipv4_dst", 2),
    a.SetField("ip_dscp", 10),
    a.SetField("tcp_src", 1),
    a.SetField("udp_src", 1),
    a.SetField("tcp_dst", 2),
    a.SetField("udp_dst", 2),
    a.SetQueue(7),
    a.Output(PortNo(3)),
    a.PopQueue(),
    a.SetField("tunnel_id", 1 << 40),
    a.SetField("mpls_label", 5),
    a.DecNwTtl(),
    a.Resubmit(None, 2),
)
ALL_INSTRUCTIONS: tuple[a.Instruction, ...] = (
    a.Meter(1),
    a.ApplyActions(tuple(action for action in ACTIONS_13 if action != a.SetField("ipv6_dst", 1))),
    a.ClearActions(),
    a.WriteActions((OUTPUT,)),
    a.WriteMetadata(1, 0xFF),
    a.GotoTable(5),
)
PORT = p.PortDescription(
    PortNo(1),
    MAC,
    "veth0",
    c.PortConfig.NO_RECV,
    c.PortState.LINK_DOWN,
    c.PortFeatures.SPEED_1GB_FD | c.PortFeatures.COPPER,
    c.PortFeatures.NONE,
    c.PortFeatures.SPEED_10GB_FD | c.PortFeatures.FIBER | c.PortFeatures.AUTONEG,
    c.PortFeatures.PAUSE_ASYM,
)
PORT_13 = p.PortDescription(ports.LOCAL, MAC, "br0", current_speed_kbps=10_000_000, max_speed_kbps=40_000_000)
QUEUE = p.QueueDescription(1, PortNo(1), (p.QueueProperty(QueuePropertyType.MIN_RATE, 100),))
BUCKETS = (Bucket((OUTPUT, a.Group(3)), 10, PortNo(2), c.ANY_GROUP), Bucket(()))
BANDS = (
    MeterBand(c.MeterBandType.DROP, 1000, 100),
    MeterBand(c.MeterBandType.DSCP_REMARK, 2000, 200, prec_level=1),
    MeterBand(c.MeterBandType.EXPERIMENTER, 3000, 300, experimenter=0x4F4E4600),
)
MASKS = p.AsyncMasks(7, 1, 7, 7, 15, 0)
PRIORITY = OpenFlowPriority(100)
TABLE_FEATURES = mp.TableFeatures(
    0,
    "classifier",
    0xFFFFFFFFFFFFFFFF,
    0xFFFFFFFFFFFFFFFF,
    0,
    1_000_000,
    (
        mp.TableProperty(TablePropertyType.INSTRUCTIONS, (1, 2, 3, 4, 5)),
        mp.TableProperty(TablePropertyType.NEXT_TABLES, (1, 2, 3)),
        mp.TableProperty(TablePropertyType.WRITE_ACTIONS, (0, 22, 25)),
        mp.TableProperty(TablePropertyType.APPLY_ACTIONS, (0, 22, 25)),
        mp.TableProperty(TablePropertyType.MATCH, (field_header("in_port"), field_header("ipv4_src", masked=True))),
        mp.TableProperty(TablePropertyType.WILDCARDS, (field_header("in_port"),)),
        mp.TableProperty(TablePropertyType.WRITE_SETFIELD, (field_header("eth_dst"),)),
        mp.TableProperty(TablePropertyType.APPLY_SETFIELD, (field_header("eth_dst"),)),
    ),
)

COUNTERS = mp.PortStats(PortNo(1), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
COUNTERS_13 = mp.PortStats(PortNo(1), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 5, 6)

_BOTH: tuple[m.Message, ...] = (
    m.Hello(),
    m.Error(ErrorType.BAD_REQUEST, BadRequest.BAD_LEN, DATA),
    m.EchoRequest(b"ping"),
    m.EchoReply(b"pong"),
    m.Experimenter(0x4F4E4600, 7, b"abcd"),
    m.FeaturesRequest(),
    m.GetConfigRequest(),
    m.GetConfigReply(c.ConfigFlags.FRAG_NORMAL, 128),
    m.SetConfig(c.ConfigFlags.FRAG_DROP, 0xFFFF),
    m.PortStatus(c.PortReason.MODIFY, PORT),
    m.BarrierRequest(),
    m.BarrierReply(),
    m.RoleRequest(c.Role.MASTER),
    m.RoleReply(c.Role.SLAVE),
    m.SetAsync(MASKS),
    m.QueueGetConfigRequest(PortNo(1)),
    m.QueueGetConfigReply(PortNo(1), (QUEUE,)),
    m.NxSetFlowFormat(2),
    m.NxFlowModTableId(enabled=True),
    m.NxSetPacketInFormat(1),
    m.NxSetControllerId(7),
    m.FlowMod(
        c.FlowModCommand.DELETE, REGISTERS, PRIORITY, table_id=c.ALL_TABLES, cookie=5, cookie_mask=7, nicira=True
    ),
    m.PacketIn(a.PacketInReason.ACTION, REGISTERS, DATA, 99, 3, 5, 256, nicira=True),
    m.FlowRemoved(REGISTERS, PRIORITY, c.FlowRemovedReason.DELETE, 1, 2, 3, 4, 5, 0, 7, 8, nicira=True),
    mp.DescRequest(),
    mp.DescReply("inband", "Linux", "0.1", "none", "br0"),
    mp.TableStatsRequest(),
    mp.PortStatsRequest(PortNo(1)),
    mp.QueueStatsRequest(PortNo(1), 3),
    mp.AggregateReply(1, 2, 3),
    mp.PortDescRequest(),
    mp.PortDescReply((PORT,)),
    mp.ExperimenterMultipartRequest(0x4F4E4600, 7, b"abcd"),
    mp.ExperimenterMultipartReply(0x4F4E4600, 7, b"abcd", more=True),
)

_ONLY_13: tuple[m.Message, ...] = (
    m.Hello(frozenset({1, 4})),
    m.Hello(frozenset({4, 40})),
    m.FeaturesReply(0x123456789ABCDEF0, 256, 254, 1, c.Capabilities.FLOW_STATS | c.Capabilities.PORT_BLOCKED),
    m.PacketIn(a.PacketInReason.INVALID_TTL, Match.of(in_port=1), DATA, 99, 3, 5, 256),
    m.PacketIn(a.PacketInReason.NO_MATCH, REGISTERS, b"", 0),
    m.FlowRemoved(TCP, PRIORITY, c.FlowRemovedReason.HARD_TIMEOUT, 1, 2, 3, 4, 5, 6, 7, 8),
    m.PortStatus(c.PortReason.ADD, PORT_13),
    m.PacketOut(ports.CONTROLLER, ACTIONS_13, DATA),
    m.FlowMod(c.FlowModCommand.ADD, TCP, PRIORITY, ALL_INSTRUCTIONS, 2, 1, 3, 60, 300, FlowFlags.SEND_FLOW_REM),
    m.FlowMod(c.FlowModCommand.MODIFY_STRICT, ICMPV6, PRIORITY, (a.ApplyActions((OUTPUT,)),)),
    m.FlowMod(c.FlowModCommand.DELETE, table_id=c.ALL_TABLES, out_port=PortNo(3), out_group=4),
    m.GroupMod(c.GroupModCommand.ADD, c.GroupType.FF, 1, BUCKETS),
    m.PortMod(PortNo(1), MAC, c.PortConfig.PORT_DOWN, c.PortConfig.PORT_DOWN, c.PortFeatures.SPEED_1TB_FD),
    m.TableMod(3, 0),
    m.MeterMod(c.MeterModCommand.MODIFY, c.MeterFlags.KBPS | c.MeterFlags.BURST, 13, BANDS),
    m.RoleRequest(c.Role.NOCHANGE, 17),
    m.GetAsyncRequest(),
    m.GetAsyncReply(MASKS),
    mp.FlowStatsRequest(3, PortNo(1), 2, 5, 7, TCP),
    mp.FlowStatsReply(
        (mp.FlowStats(2, TCP, PRIORITY, ALL_INSTRUCTIONS, 1, 2, 3, 4, 5, FlowFlags.NO_BYT_COUNTS, 7, 8),)
    ),
    mp.AggregateRequest(match=ICMPV6),
    mp.TableStatsReply((mp.TableStats(0, 1, 2, 3), mp.TableStats(1, 0, 0, 0))),
    mp.PortStatsReply((COUNTERS_13, mp.PortStats(ports.LOCAL)), more=True),
    mp.QueueStatsReply((mp.QueueStats(PortNo(1), 2, 3, 4, 5, 6, 7),)),
    mp.GroupStatsRequest(4),
    mp.GroupStatsReply((mp.GroupStats(4, 1, 2, 3, 4, 5, (mp.BucketCounter(1, 2), mp.BucketCounter(3, 4))),)),
    mp.GroupDescRequest(),
    mp.GroupDescReply((mp.GroupDesc(c.GroupType.SELECT, 7, BUCKETS), mp.GroupDesc(c.GroupType.ALL, 8))),
    mp.GroupFeaturesRequest(),
    mp.GroupFeaturesReply(15, c.GroupCapabilities.CHAINING, (1, 2, 3, 4), (5, 6, 7, 8)),
    mp.MeterStatsRequest(2),
    mp.MeterStatsReply((mp.MeterStats(1, 2, 3, 4, 5, 6, (mp.BandCounter(7, 8),)), mp.MeterStats(2))),
    mp.MeterConfigRequest(2),
    mp.MeterConfigReply((mp.MeterConfig(c.MeterFlags.PKTPS, 3, BANDS), mp.MeterConfig(c.MeterFlags.KBPS, 4))),
    mp.MeterFeaturesRequest(),
    mp.MeterFeaturesReply(100, 6, c.MeterFlags.KBPS | c.MeterFlags.STATS, 4, 8),
    mp.TableFeaturesRequest(),
    mp.TableFeaturesRequest((TABLE_FEATURES,), more=True),
    mp.TableFeaturesReply(
        (TABLE_FEATURES, mp.TableFeatures(1, "", 0, 0, 0, 0, (mp.TableProperty(0xFFFE, (), b"abcd"),)))
    ),
    mp.PortDescReply((PORT, PORT_13)),
)

_RESET = FlowFlags.RESET_COUNTS
_ONLY_10: tuple[m.Message, ...] = (
    m.FeaturesReply(1, 256, 254, 0, c.Capabilities.ARP_MATCH_IP, 0xFFF, (PORT,)),
    m.PacketIn(a.PacketInReason.NO_MATCH, Match.of(in_port=int(ports.LOCAL)), DATA, 99, 0, c.NO_COOKIE, 256),
    m.FlowRemoved(TCP, PRIORITY, c.FlowRemovedReason.IDLE_TIMEOUT, 1, 0, 3, 4, 5, 0, 7, 8),
    m.PacketOut(ports.ANY, ACTIONS_10, DATA),
    m.FlowMod(c.FlowModCommand.ADD, TCP, PRIORITY, (a.ApplyActions(ACTIONS_10),), 0, 1, 0, 60, 300, _RESET),
    m.FlowMod(c.FlowModCommand.DELETE, TCP, table_id=c.ALL_TABLES, out_port=PortNo(3)),
    m.FlowMod(c.FlowModCommand.ADD, REGISTERS, PRIORITY, (a.ApplyActions((OUTPUT,)),), flags=_RESET, nicira=True),
    m.PortMod(PortNo(1), MAC, c.PortConfig.NO_FLOOD, c.PortConfig.NO_FLOOD),
    mp.FlowStatsRequest(3, PortNo(1), match=TCP),
    mp.FlowStatsRequest(3, PortNo(1), cookie=5, cookie_mask=7, match=ICMPV6, nicira=True),
    mp.FlowStatsReply(
        (mp.FlowStats(2, TCP, PRIORITY, (a.ApplyActions(ACTIONS_10),), 1, 2, 3, 4, 5, packets=7, bytes=8),)
    ),
    mp.FlowStatsReply((mp.FlowStats(2, ICMPV6, PRIORITY, (), 1, 2, 3, 4, 5, packets=7, bytes=8),), nicira=True),
    mp.AggregateRequest(match=TCP),
    mp.AggregateRequest(match=REGISTERS, nicira=True),
    mp.AggregateReply(1, 2, 3, nicira=True),
    mp.TableStatsReply((mp.TableStats(0, 1, 2, 3, "classifier", 0x3FFFFF, 1000),)),
    mp.PortStatsReply((COUNTERS, mp.PortStats(ports.LOCAL))),
    mp.QueueStatsReply((mp.QueueStats(PortNo(1), 2, 3, 4, 5),)),
    m.Experimenter(0x4F4E4600, None),
)

SAMPLES: tuple[m.Envelope, ...] = (
    *(m.Envelope(OFP13, 1, message) for message in (*_BOTH, *_ONLY_13)),
    *(m.Envelope(OFP10, 1, message) for message in (*_BOTH, *_ONLY_10)),
)


def name_of(envelope: m.Envelope) -> str:
    """A test's id."""
    return f"{type(envelope.message).__name__}-v{envelope.version}"
