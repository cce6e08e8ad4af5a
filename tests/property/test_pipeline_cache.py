"""What a translation promises a cache: every packet that agrees on the mask would get the same actions.

Random tables of up to three levels with groups of all types, and a fixed pool of frames close to each other; each
decision about one frame is held against the fresh decision about every other that it would serve.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.control.letters import LETTERS
from inband.flow.actions import (
    Action,
    ApplyActions,
    ClearActions,
    Clone,
    DatapathAction,
    DecNwTtl,
    GotoTable,
    Group,
    Instruction,
    Meter,
    MoveField,
    Output,
    PopMpls,
    PopVlan,
    PushMpls,
    PushVlan,
    Resubmit,
    SetField,
    SetNwTtl,
    SetQueue,
    SetVlanPcp,
    SetVlanVid,
    WriteActions,
    WriteMetadata,
)
from inband.flow.fields import FIELDS, FlowKey
from inband.flow.flow import Flow
from inband.flow.groups import Bucket
from inband.flow.match import Match
from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.meters import MeterBand
from inband.flow.ports import ALL, CONTROLLER, FLOOD, IN_PORT, LOCAL, NORMAL, TABLE, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.dhcp_hook import reaches_local
from inband.pipeline.fdb import Fdb, FdbKey
from inband.pipeline.ports import PortTable, SwitchPort
from inband.pipeline.trace import Trace
from inband.pipeline.translate import Pipeline
from inband.table.classifier import LinearClassifier, TupleSpaceClassifier
from inband.table.table_set import Credit, TableSet
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_IPV4
from inband.vocabulary.openflow import ConfigFlags, GroupType, MeterBandType, MeterFlags, PortConfig

MAC_LOCAL = "02:00:00:00:00:01"
REMOTE = "192.0.2.1"
_MACS = (packets.MAC_A, packets.MAC_B, MAC_LOCAL)


IPV6_CONFIGURATION = [
    packets.router_advertisement(),
    packets.router_advertisement(dst=MAC_LOCAL),
    packets.router_advertisement(dst=packets.MAC_B),
    packets.udp(packets.IP6_A, packets.IP6_B, 547, 546, dst=MAC_LOCAL),
    packets.udp(packets.IP6_A, packets.IP6_B, 547, 546, dst=packets.MAC_B),
]


def _frames() -> list[bytes]:
    frames = []
    for source, destination in ((0, 1), (1, 0), (1, 2)):
        src, dst = _MACS[source], _MACS[destination]
        for ip, port in ((packets.IP_B, 80), ("10.0.1.2", 6653), (REMOTE, 6653), (REMOTE, 6640)):
            frames.append(packets.tcp(packets.IP_A, ip, 40000, port, src=src, dst=dst))
            frames.append(packets.udp(packets.IP_A, ip, 67, 68 if port == 80 else 5353, src=src, dst=dst))
        frames.extend(packets.tcp(ttl=ttl, src=src, dst=dst) for ttl in (1, 2, 33))
        frames.append(packets.arp_request(packets.IP_A, REMOTE, src=src))
        frames.append(packets.arp_reply(REMOTE, packets.IP_A, src=src, dst=dst))
        frames.append(packets.icmp_echo(src=src, dst=dst))
        frames.append(packets.icmp_echo(packets.IP6_A, packets.IP6_B, src=src, dst=dst))
    tagged = [packets.vlan(frame, vid) for frame in frames[:6] for vid in (1, 2)]
    stacked = [packets.vlan(frame, 1, eth_type=0x88A8) for frame in (*tagged, packets.vlan(tagged[0], 2, 3))]
    replies = [packets.dhcp_reply(chaddr=mac) for mac in _MACS]
    return [*frames, *tagged, *stacked, *replies, *IPV6_CONFIGURATION]


def _fragments() -> list[bytes]:
    """The first pieces and later ones of some packets, with ports in the first."""
    whole = [packets.tcp(packets.IP_A, ip, 40000, port) for ip in (packets.IP_B, REMOTE) for port in (80, 6653, 0)]
    whole.append(packets.udp(packets.IP_A, packets.IP_B, 67, 68))
    return [frame[:20] + word + frame[22:] for frame in whole for word in (b"\x20\x00", b"\x20\x09", b"\x00\x12")]


POOL: list[tuple[FlowKey, Frame]] = [
    (parse(frame, port), Frame(frame)) for frame in (*_frames(), *_fragments()) for port in (1, 2)
]

VALUES: dict[str, tuple[int | tuple[int, int], ...]] = {
    "in_port": (1, 2),
    "eth_type": (0x0800, 0x0806, 0x86DD),
    "eth_dst": tuple(int(Mac.parse(mac)) for mac in _MACS),
    "vlan_vid": (0, 0x1001, (0x1000, 0x1000)),
    "ip_proto": (6, 17),
    "ip_ttl": (1, 32, 63, 64),
    "ipv4_dst": (0x0A000002, (0x0A000000, 0xFF000000), (0xC0000200, 0xFFFFFF00)),
    "tcp_dst": (80, 6653),
    "udp_dst": (68,),
    "ip_frag": (0, (1, 1), (2, 2)),
    "metadata": (0, 5, (1, 1)),
    "reg0": (0, 80, (80 << 16, 0xFF << 16)),
    "reg5": (0, (3, 7)),
    "tunnel_id": (0, (1 << 40, 1 << 40)),
}
matches = st.dictionaries(st.sampled_from(list(VALUES)), st.integers(0, 3), max_size=3).map(
    lambda chosen: Match.of(**{name: VALUES[name][at % len(VALUES[name])] for name, at in chosen.items()})
)
_PORTS = (PortNo(1), PortNo(2), PortNo(3), PortNo(9), LOCAL, NORMAL, FLOOD, ALL, IN_PORT, CONTROLLER, TABLE)
edits: st.SearchStrategy[Action] = st.sampled_from(
    (
        SetField("eth_dst", int(Mac.parse(packets.MAC_A))),
        SetField("eth_src", 5, 0xFF),
        SetField("ipv4_dst", 0x0A000002),
        SetField("ip_dscp", 10),
        SetField("tcp_dst", 6653),
        SetField("vlan_vid", 0x1001),
        SetField("vlan_pcp", 3),
        SetField("metadata", 5),
        SetField("reg0", 80),
        SetNwTtl(32),
        DecNwTtl(),
        PushVlan(),
        PopVlan(),
        SetVlanVid(2),
        SetVlanPcp(3),
        PushMpls(),
        PopMpls(ETH_IPV4),
        SetQueue(1),
        MoveField("tcp_dst", "reg0", 16),
        MoveField("ipv4_src", "ipv4_dst", 8),
        MoveField("ip_ttl", "metadata", 8),
    )
)
outputs: st.SearchStrategy[Action] = st.sampled_from(_PORTS).map(Output)
resubmits: st.SearchStrategy[Action] = st.builds(
    Resubmit, st.sampled_from((None, PortNo(2))), st.sampled_from((0, 1, 2))
)
# Group 0 is select, 1 all, 2 fast failover; each may lead to the one before.
groups_used: st.SearchStrategy[Action] = st.sampled_from((Group(0), Group(1), Group(2)))
actions = st.lists(st.one_of(edits, outputs, resubmits, groups_used), max_size=4).map(tuple)
written = st.lists(st.one_of(edits, outputs, groups_used), max_size=3).map(tuple)
bucket_actions = st.lists(st.one_of(edits, outputs), max_size=3).map(tuple)
chained = st.tuples(bucket_actions, st.booleans())
group_buckets = st.tuples(*(st.lists(chained, min_size=1, max_size=3) for _ in range(3)))
Chained = tuple[tuple[Action, ...], bool]


@st.composite
def instructions(draw: st.DrawFn, table_id: int) -> tuple[Instruction, ...]:
    """Instructions of one flow, each kind at most once."""
    chosen: list[Instruction] = [ApplyActions(draw(actions))]
    if draw(st.booleans()):
        chosen.append(WriteActions(draw(written)))
    if draw(st.booleans()):
        chosen.append(WriteMetadata(draw(st.integers(0, 7)), 7))
    if draw(st.integers(0, 9)) == 0:
        chosen.append(ClearActions())
    if draw(st.integers(0, 3)) == 0:
        chosen.append(Meter(1))
    if table_id < 2 and draw(st.booleans()):
        chosen.append(GotoTable(table_id + 1))
    return tuple(chosen)


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """A flow of a controller."""
    table_id = draw(st.sampled_from((0, 0, 1, 2)))
    priority = OpenFlowPriority(draw(st.integers(0, 3)))
    return Flow(draw(matches), priority, draw(instructions(table_id)), table_id)


def _hidden_flows() -> list[Flow]:
    remote = 0xC0000201
    rows = (
        ("a", Match.of(in_port=LOCAL, eth_type=0x0800, ip_proto=17, udp_src=68, udp_dst=67)),
        ("f", Match.of(eth_type=0x0806, arp_op=2, arp_tpa=remote)),
        ("h", Match.of(eth_type=0x0800, ip_proto=6, ipv4_dst=remote, tcp_dst=6653)),
        ("j", Match.of(eth_type=0x0806, arp_op=1, arp_tpa=remote)),
    )
    steps = (ApplyActions((SetQueue(7), Output(NORMAL))),)
    return [
        Flow(match, LETTERS[letter].priority, steps, origin=LETTERS[letter].origin(REMOTE)) for letter, match in rows
    ]


METERED = MeterFlags.PKTPS | MeterFlags.BURST
BANDS = (MeterBand(MeterBandType.DSCP_REMARK, 1, burst_size=2, prec_level=1), MeterBand(MeterBandType.DROP, 2, 4))


def fill(tables: TableSet, visible: list[Flow], groups: tuple[list[Chained], ...]) -> None:
    """Flows, the meter they name, and groups 0 to 2, of which the later ones may hand packets to the earlier ones."""
    tables.meters.add(1, METERED, BANDS, 0.0)
    for number, buckets in enumerate(groups):
        kind = (GroupType.SELECT, GroupType.ALL, GroupType.FF)[number]
        made = []
        for at, (steps, leads_on) in enumerate(buckets):
            more = (Group(number - 1),) if leads_on and number else ()
            weight = at + 1 if kind is GroupType.SELECT else 0
            watched = {"watch_port": PortNo(9 if at else 1)} if kind is GroupType.FF else {}
            made.append(Bucket((*steps, *more), weight, **watched))
        tables.groups.add(number, kind, made, 0.0)
    for flow in visible:
        tables.add(flow, 0.0)


FRAGMENTS = (ConfigFlags.FRAG_NORMAL, ConfigFlags.FRAG_DROP, ConfigFlags.FRAG_NX_MATCH)

_TRUNK = VlanMembership(VlanMode.TRUNK, trunks=frozenset({1}))
_NATIVE = VlanMembership(VlanMode.NATIVE_UNTAGGED, 1, frozenset({2}))
MEMBERSHIPS: tuple[Mapping[PortNo, VlanMembership], ...] = (
    {},
    {PortNo(1): VlanMembership(VlanMode.ACCESS, 1), PortNo(2): _TRUNK},
    {PortNo(1): _NATIVE, PortNo(3): VlanMembership(VlanMode.ACCESS, 1)},
    {PortNo(1): VlanMembership(VlanMode.ACCESS, 9), PortNo(2): VlanMembership(VlanMode.NATIVE_TAGGED, 2)},
)

_NO_GROUPS: tuple[list[Chained], ...] = ([], [], [])


def _pipeline(
    make_classifier: type[LinearClassifier | TupleSpaceClassifier],
    visible: list[Flow],
    groups: tuple[list[Chained], ...] = _NO_GROUPS,
    members: Mapping[PortNo, VlanMembership] = MappingProxyType({}),
) -> Pipeline:
    tables, ports, fdb = TableSet(4, make_classifier=make_classifier), PortTable(), Fdb()
    ports.memberships = members
    for flow in _hidden_flows():
        tables.install_hidden(flow)
    fill(tables, visible, groups)
    configs = {1: PortConfig.NONE, 2: PortConfig.NO_RECV, 3: PortConfig.NO_FLOOD, LOCAL: PortConfig.NO_FWD}
    for number, config in configs.items():
        ports.put(SwitchPort(PortNo(number), f"p{number}", Mac(number & 0xFFFF), config))
    fdb.learn(FdbKey(0, Mac.parse(packets.MAC_A)), PortNo(1), 0.0)
    fdb.learn(FdbKey(1, Mac.parse(packets.MAC_B)), PortNo(3), 0.0)
    pipeline = Pipeline(tables, ports, fdb)
    pipeline.in_band = pipeline.ipv6 = True
    pipeline.local_mac = Mac.parse(MAC_LOCAL)
    return pipeline


@settings(max_examples=120, deadline=None)
@given(
    st.lists(flows(), max_size=8),
    group_buckets,
    st.integers(0, len(POOL) - 1),
    st.sampled_from(FRAGMENTS),
    st.sampled_from(MEMBERSHIPS),
    st.sampled_from((None, 1, 2)),
)
def test_packets_that_agree_on_the_mask_get_the_same_actions(
    visible: list[Flow],
    groups: tuple[list[Chained], ...],
    chosen: int,
    fragments: ConfigFlags,
    members: Mapping[PortNo, VlanMembership],
    control_vlan: int | None,
) -> None:
    pipeline = _pipeline(TupleSpaceClassifier, visible, groups, members)
    pipeline.control_vlan = control_vlan
    pipeline.tables.fragments = fragments
    key, frame = POOL[chosen]

    decision = pipeline.translate(key, frame, 1.0, trace=Trace())

    for other_key, other_frame in POOL if decision.cacheable else ():
        if (key ^ other_key) & decision.mask == 0:
            assert pipeline.translate(other_key, other_frame, 1.0, trace=Trace()).actions == decision.actions


def _entries(credits_: tuple[Credit, ...]) -> list[object]:
    return [(table_id, flow and (flow.match, flow.priority)) for table_id, flow in credits_]


@settings(max_examples=60, deadline=None)
@given(st.lists(flows(), max_size=8), group_buckets, st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=6))
def test_both_classifiers_lead_to_the_same_actions(
    visible: list[Flow], groups: tuple[list[Chained], ...], chosen: list[int]
) -> None:
    fast, linear = _pipeline(TupleSpaceClassifier, visible, groups), _pipeline(LinearClassifier, visible, groups)

    for index in chosen:
        key, frame = POOL[index]
        ours, twin = fast.translate(key, frame, 1.0), linear.translate(key, frame, 1.0)

        assert ours.actions == twin.actions
        assert _entries(ours.credits) == _entries(twin.credits)


@settings(max_examples=60, deadline=None)
@given(st.lists(flows(), max_size=8), group_buckets, st.integers(0, len(POOL) - 1), st.sampled_from(MEMBERSHIPS))
def test_no_cached_decision_takes_from_the_local_port_what_configures_it(
    visible: list[Flow], groups: tuple[list[Chained], ...], chosen: int, members: Mapping[PortNo, VlanMembership]
) -> None:
    pipeline = _pipeline(TupleSpaceClassifier, visible, groups, members)
    key, frame = POOL[chosen]

    decision = pipeline.translate(key, frame, 1.0, trace=Trace())

    for wanted in (packets.dhcp_reply(chaddr=MAC_LOCAL), *IPV6_CONFIGURATION[:2], IPV6_CONFIGURATION[3]):
        if decision.cacheable and (parse(wanted, FIELDS["in_port"].get(key)) ^ key) & decision.mask == 0:
            assert reaches_local(decision.actions, tagged=False)


def _ports(actions: Iterable[DatapathAction]) -> set[int]:
    """The ports that actions send to, in copies too."""
    found: set[int] = set()
    for action in actions:
        match action:
            case Output(port):
                found.add(port)
            case Clone(copied):
                found |= _ports(copied)
            case _:
                pass
    return found


_CONTROL = [
    (parse(frame, port), Frame(frame))
    for port in (1, 2)
    for frame in (
        packets.arp_reply(packets.IP_A, REMOTE, dst=packets.MAC_A),
        packets.arp_request(packets.IP_A, REMOTE),
        packets.tcp(packets.IP_A, REMOTE, 40000, 6653, ttl=1),
        packets.tcp(packets.IP_A, REMOTE, 40000, 6653, dst=MAC_LOCAL),
        _fragments()[12],
    )
]


@settings(max_examples=60, deadline=None)
@given(st.lists(flows(), max_size=8), group_buckets)
def test_nothing_a_controller_makes_changes_what_a_control_packet_gets(
    visible: list[Flow], groups: tuple[list[Chained], ...]
) -> None:
    hostile, empty = _pipeline(TupleSpaceClassifier, visible, groups), _pipeline(TupleSpaceClassifier, [])

    hostile.tables.fragments = ConfigFlags.FRAG_DROP
    for key, frame in _CONTROL:
        ours, undisturbed = (pipeline.translate(key, frame, 1.0, trace=Trace()) for pipeline in (hostile, empty))

        assert ours.hidden is not None
        assert ours.hidden.origin is not None
        if ours.hidden.origin.beside:
            got = undisturbed.actions
            assert ours.actions[: len(got)] == got
            assert _ports(ours.actions[len(got) :]).isdisjoint(_ports(got))
            continue
        assert ours.actions == undisturbed.actions
        assert ours.counters == ()
