"""GROUP_MOD and what a controller reads of groups, with os-ken on the other end where bytes count."""

from __future__ import annotations

from typing import Any

import pytest

from inband.agent.effects import FlowsChanged, SettingsChanged
from inband.flow import ports
from inband.flow.actions import Action, ApplyActions, Group, Output, SetField, WriteActions
from inband.flow.flow import FlowFlags
from inband.flow.groups import Bucket
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.openflow.messages import FlowMod, FlowRemoved, GroupMod, PacketOut
from inband.openflow.multipart import (
    BucketCounter,
    GroupDesc,
    GroupDescReply,
    GroupDescRequest,
    GroupFeaturesReply,
    GroupFeaturesRequest,
    GroupStats,
    GroupStatsReply,
    GroupStatsRequest,
)
from inband.vocabulary.openflow import (
    ALL_GROUPS,
    FlowModCommand,
    FlowRemovedReason,
    GroupCapabilities,
    GroupModCommand,
    GroupType,
)
from inband.vocabulary.openflow_errors import BadAction, ErrorType, GroupModFailed
from tests.unit.agent.bench_switch import Bench
from tests.unit.agent.test_osken_oracle import Peer

TO_1, TO_2 = Bucket((Output(PortNo(1)),)), Bucket((Output(PortNo(2)),))
ARP = Match.of(eth_type=0x0806)


def add(group_id: int, *buckets: Bucket, kind: GroupType = GroupType.ALL) -> GroupMod:
    """A request for a new group."""
    return GroupMod(GroupModCommand.ADD, kind, group_id, buckets)


def delete(group_id: int) -> GroupMod:
    """A request to delete a group."""
    return GroupMod(GroupModCommand.DELETE, GroupType.ALL, group_id)


def flow_to(*actions: Action, match: Match = ANY, flags: FlowFlags = FlowFlags.SEND_FLOW_REM) -> FlowMod:
    """A request for a flow."""
    return FlowMod(FlowModCommand.ADD, match, instructions=(ApplyActions(actions),), flags=flags)


@pytest.fixture
def bench() -> Bench:
    """A switch with group 1, and group 2 which leads to it."""
    bench = Bench()
    assert bench.send(add(1, TO_1, TO_2)) == []
    assert bench.send(add(2, Bucket((Group(1),)))) == []
    return bench


def test_groups_are_described_as_they_were_made(bench: Bench) -> None:
    bench.send(GroupMod(GroupModCommand.MODIFY, GroupType.INDIRECT, 1, (TO_2,)))

    (reply,) = bench.send(GroupDescRequest())

    assert reply == GroupDescReply(
        (
            GroupDesc(GroupType.INDIRECT, 1, (TO_2,)),
            GroupDesc(GroupType.ALL, 2, (Bucket((Group(1),)),)),
        )
    )


def test_statistics_count_users_packets_and_time(bench: Bench) -> None:
    bench.send(flow_to(Group(1), Group(1)))
    bench.send(FlowMod(FlowModCommand.ADD, ARP, instructions=(WriteActions((Group(1),)),)))
    group = bench.tables.groups.get(1)
    assert group is not None
    group.counter.credit(3, 300)
    group.buckets[1].counter.credit(3, 300)

    (reply,) = bench.send(GroupStatsRequest(1), now=2.5)

    counters = (BucketCounter(0, 0), BucketCounter(3, 300))
    assert reply == GroupStatsReply((GroupStats(1, 3, 3, 300, 2, 500_000_000, counters),))


def test_statistics_are_of_one_group_of_all_or_of_none(bench: Bench) -> None:
    def ids(group_id: int) -> list[int]:
        (reply,) = bench.send(GroupStatsRequest(group_id))
        assert isinstance(reply, GroupStatsReply)
        return [entry.group_id for entry in reply.entries]

    assert (ids(ALL_GROUPS), ids(2), ids(9)) == ([1, 2], [2], [])


def test_features_name_all_types_and_the_checks_that_are_made(bench: Bench) -> None:
    (reply,) = bench.send(GroupFeaturesRequest())

    assert isinstance(reply, GroupFeaturesReply)
    assert (reply.types, reply.capabilities) == (15, GroupCapabilities(15))
    assert all(reply.max_groups)
    assert len(set(reply.actions)) == 1
    assert reply.actions[0] >> 22 & 1  # OFPAT_GROUP: chaining


def test_a_change_of_a_group_tells_whoever_caches_decisions(bench: Bench) -> None:
    bench.agent.take_effects()

    bench.send(GroupMod(GroupModCommand.MODIFY, GroupType.ALL, 1, (TO_2,)))

    assert bench.agent.take_effects() == [SettingsChanged()]


def test_flows_go_with_their_group_and_say_so(bench: Bench) -> None:
    bench.send(flow_to(Group(2)))
    bench.send(flow_to(Output(PortNo(1)), match=ARP))
    bench.agent.take_effects()

    (removed,) = bench.send(delete(2))

    assert isinstance(removed, FlowRemoved)
    assert (removed.match, removed.reason) == (ANY, FlowRemovedReason.GROUP_DELETE)
    assert [flow.match for flow in bench.tables.select()] == [ARP]
    assert [type(effect) for effect in bench.agent.take_effects()] == [FlowsChanged, SettingsChanged]


def test_a_flow_that_was_modified_to_need_no_group_any_more_stays(bench: Bench) -> None:
    bench.send(flow_to(Group(2)))
    bench.send(FlowMod(FlowModCommand.MODIFY, ANY, instructions=(ApplyActions((Output(PortNo(1)),)),)))

    assert bench.send(delete(2)) == []
    assert len(bench.tables.select()) == 1


def test_deleting_all_groups_takes_all_their_flows(bench: Bench) -> None:
    bench.send(flow_to(Group(1)))
    bench.send(flow_to(Group(2), match=ARP))

    assert len(bench.send(delete(ALL_GROUPS))) == 2
    assert bench.send(GroupDescRequest()) == [GroupDescReply(())]


def test_a_hidden_flow_outlives_every_group(bench: Bench) -> None:
    hidden = bench.add_hidden(eth_type=0x0806)

    bench.send(delete(ALL_GROUPS))

    assert bench.tables.hidden() == [hidden]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (add(1), GroupModFailed.GROUP_EXISTS),
        (add(0xFFFFFF01), GroupModFailed.INVALID_GROUP),
        (add(ALL_GROUPS), GroupModFailed.INVALID_GROUP),
        (add(3, kind=GroupType.INDIRECT), GroupModFailed.INVALID_GROUP),
        (add(3, Bucket((), watch_port=PortNo(1))), GroupModFailed.WATCH_UNSUPPORTED),
        (add(3, Bucket((), watch_group=9), kind=GroupType.FF), GroupModFailed.BAD_WATCH),
        (add(3, Bucket((), watch_port=PortNo(0)), kind=GroupType.FF), GroupModFailed.BAD_WATCH),
        (add(3, Bucket((), watch_port=PortNo(0xFFFFFF01)), kind=GroupType.FF), GroupModFailed.BAD_WATCH),
        (add(3, Bucket((), watch_port=ports.NORMAL), kind=GroupType.FF), GroupModFailed.BAD_WATCH),
        (add(3, Bucket((Group(3),))), GroupModFailed.LOOP),
        (GroupMod(GroupModCommand.MODIFY, GroupType.ALL, 1, (Bucket((Group(2),)),)), GroupModFailed.LOOP),
        (GroupMod(GroupModCommand.MODIFY, GroupType.ALL, 9), GroupModFailed.UNKNOWN_GROUP),
        (delete(1), GroupModFailed.CHAINED_GROUP),
    ],
)
def test_what_the_group_table_refuses_is_an_error_by_name(bench: Bench, request_: GroupMod, code: int) -> None:
    bench.agent.take_effects()

    assert bench.error(request_) == (ErrorType.GROUP_MOD_FAILED, code)
    assert bench.agent.take_effects() == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (add(3, Bucket((Output(PortNo(0)),))), BadAction.BAD_OUT_PORT),
        (add(3, Bucket((SetField("eth_type", 0x0800),))), BadAction.BAD_SET_ARGUMENT),
        (add(3, Bucket((Group(9),))), BadAction.BAD_OUT_GROUP),
        (flow_to(Group(9)), BadAction.BAD_OUT_GROUP),
        (PacketOut(PortNo(1), (Group(9),), bytes(60)), BadAction.BAD_OUT_GROUP),
    ],
)
def test_actions_that_lead_nowhere_are_refused(bench: Bench, request_: GroupMod | FlowMod, code: int) -> None:
    assert bench.error(request_) == (ErrorType.BAD_ACTION, code)


def test_buckets_may_change_any_header(bench: Bench) -> None:
    assert bench.send(add(3, Bucket((SetField("tcp_dst", 1), SetField("vlan_vid", 0x1005))))) == []


# --- os-ken -------------------------------------------------------------------------------------------------------


def _buckets(peer: Peer) -> list[Any]:
    p = peer.parser
    return [p.OFPBucket(weight, 7, 0xFFFFFFFF, [p.OFPActionOutput(port)]) for weight, port in ((3, 1), (1, 2))]


def test_os_ken_makes_and_reads_groups() -> None:
    peer = Peer(4)
    p, dp, ofproto = peer.parser, peer.datapath, peer.ofproto

    described, stats, features = peer.ask(
        p.OFPGroupMod(dp, ofproto.OFPGC_ADD, ofproto.OFPGT_SELECT, 5, _buckets(peer)),
        p.OFPGroupDescStatsRequest(dp, 0),
        p.OFPGroupStatsRequest(dp, 0, ofproto.OFPG_ALL),
        p.OFPGroupFeaturesStatsRequest(dp, 0),
        now=0.0,
    )

    (group,) = described.body
    assert (group.type, group.group_id) == (ofproto.OFPGT_SELECT, 5)
    assert [(b.weight, b.watch_port, b.actions[0].port) for b in group.buckets] == [(3, 7, 1), (1, 7, 2)]
    (counters,) = stats.body
    assert (counters.group_id, counters.ref_count, len(counters.bucket_stats)) == (5, 0, 2)
    assert features.body.types == 0b1111


def test_os_ken_hears_that_a_flow_went_with_its_group() -> None:
    peer = Peer(4)
    p, dp, ofproto = peer.parser, peer.datapath, peer.ofproto
    steps = [p.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, [p.OFPActionGroup(5)])]

    (removed,) = peer.ask(
        p.OFPGroupMod(dp, ofproto.OFPGC_ADD, ofproto.OFPGT_SELECT, 5, _buckets(peer)),
        p.OFPFlowMod(dp, match=p.OFPMatch(), instructions=steps, flags=ofproto.OFPFF_SEND_FLOW_REM),
        p.OFPGroupMod(dp, ofproto.OFPGC_DELETE, ofproto.OFPGT_SELECT, 5, []),
    )

    assert removed.reason == ofproto.OFPRR_GROUP_DELETE
