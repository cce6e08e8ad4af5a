"""What groups do with packets (OpenFlow 1.3.5, 5.6.1), and what they never get to see."""

from __future__ import annotations

from collections import Counter
from math import log2

import pytest

from inband.flow.actions import (
    Action,
    ApplyActions,
    Clone,
    DecNwTtl,
    Group,
    Output,
    PacketInReason,
    PushVlan,
    Resubmit,
    SetField,
    SetQueue,
    ToController,
    WriteActions,
)
from inband.flow.fields import FIELDS
from inband.flow.groups import Bucket
from inband.flow.ports import ANY, CONTROLLER, LOCAL, PortNo
from inband.pipeline.group_choice import doublings_left
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import ANY_GROUP, GroupType, PortConfig, PortState
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, Scene, out

WEB = packets.tcp(src=A, dst=B)
TO_B, TO_US = SetField("eth_dst", int(Mac.parse(B))), SetField("eth_dst", int(Mac.parse(US)))


def bucket(*actions: Action, weight: int = 0, port: PortNo = ANY, group: int = ANY_GROUP) -> Bucket:
    """A bucket."""
    return Bucket(actions, weight, port, group)


class GroupScene(Scene):
    """A scene whose only flow hands packets to group 1."""

    def __init__(self, kind: GroupType, *buckets: Bucket) -> None:
        super().__init__()
        self.group(1, kind, *buckets)
        self.flow(Group(1))

    def group(self, number: int, kind: GroupType, *buckets: Bucket) -> None:
        """Add a group."""
        self.tables.groups.add(number, kind, buckets, 0.0)

    def counts(self, number: int) -> tuple[int, list[int]]:
        """Packets of a group and of each of its buckets."""
        group = self.tables.groups.get(number)
        assert group is not None
        return group.counter.packets, [each.counter.packets for each in group.buckets]


# --- the four types -----------------------------------------------------------------------------------------------


def test_all_runs_every_bucket_on_a_copy_of_its_own() -> None:
    scene = GroupScene(GroupType.ALL, bucket(TO_US, Output(P2)), bucket(Output(P3)), bucket(PushVlan(), Output(LOCAL)))

    assert scene.actions(WEB) == (Clone((TO_US, Output(P2))), Output(P3), PushVlan(), Output(LOCAL))


def test_all_does_not_send_back_where_the_packet_came_from() -> None:
    scene = GroupScene(GroupType.ALL, bucket(Output(P1)), bucket(Output(P2)))

    assert scene.actions(WEB) == out(P2)


def test_indirect_runs_its_bucket() -> None:
    assert GroupScene(GroupType.INDIRECT, bucket(TO_B, Output(P2))).actions(WEB) == (TO_B, Output(P2))


def test_the_packet_itself_stays_as_it_is_behind_a_group() -> None:
    scene = GroupScene(GroupType.INDIRECT, bucket(TO_US, SetQueue(3), Output(P2)))
    scene.flow(Group(1), Output(P3), priority=2)

    assert scene.actions(WEB) == (Clone((TO_US, SetQueue(3), Output(P2))), Output(P3))


def test_changes_before_a_group_are_seen_in_it() -> None:
    scene = GroupScene(GroupType.ALL, bucket(Output(P2)), bucket(Output(P3)))
    scene.flow(TO_US, Group(1), priority=2)

    assert scene.actions(WEB) == (Clone((TO_US, Output(P2))), TO_US, Output(P3))


def test_a_bucket_is_an_action_set() -> None:
    scene = GroupScene(GroupType.INDIRECT, bucket(Output(P3), TO_B, Output(P2)))

    assert scene.actions(WEB) == (TO_B, Output(P2))


def test_fast_failover_takes_the_first_live_bucket() -> None:
    scene = GroupScene(GroupType.FF, bucket(Output(P2), port=P2), bucket(Output(P3), port=P3))

    assert scene.actions(WEB) == out(P2)
    scene.ports.set_state(P2, PortState.LINK_DOWN)
    assert scene.actions(WEB) == out(P3)
    scene.configure(P3, PortConfig.PORT_DOWN)
    assert scene.receive(WEB).drop_reason == "no bucket of group 1 takes it"
    scene.ports.set_state(P2, PortState.LIVE)
    assert scene.actions(WEB) == out(P2)


def test_a_port_that_is_not_there_is_not_live() -> None:
    scene = GroupScene(GroupType.FF, bucket(Output(P2), port=PortNo(77)), bucket(Output(P3), port=P3))

    assert scene.actions(WEB) == out(P3)


def test_a_watched_group_is_live_while_one_of_its_buckets_is() -> None:
    scene = Scene()
    groups = scene.tables.groups
    groups.add(2, GroupType.FF, (bucket(port=P2), bucket(port=P3)), 0.0)
    groups.add(3, GroupType.ALL, (), 0.0)
    groups.add(1, GroupType.FF, (bucket(Output(P1), group=3), bucket(Output(P2), group=2)), 0.0)
    scene.flow(Group(1))

    assert scene.actions(WEB, LOCAL) == out(P2)
    scene.ports.set_state(P2, PortState.LINK_DOWN)
    assert scene.actions(WEB, LOCAL) == out(P2)
    scene.ports.set_state(P3, PortState.LINK_DOWN)
    assert scene.actions(WEB, LOCAL) == ()


def test_either_of_a_watched_port_and_a_watched_group_is_enough() -> None:
    scene = Scene()
    scene.tables.groups.add(2, GroupType.FF, (bucket(port=P2),), 0.0)
    scene.tables.groups.add(1, GroupType.FF, (bucket(Output(P3), port=P3, group=2),), 0.0)
    scene.flow(Group(1))

    scene.ports.set_state(P3, PortState.LINK_DOWN)
    assert scene.actions(WEB) == out(P3)
    scene.ports.set_state(P2, PortState.LINK_DOWN)
    assert scene.actions(WEB) == ()


# --- select -------------------------------------------------------------------------------------------------------


def _spread(scene: GroupScene, flows: int = 400) -> Counter[PortNo]:
    taken: Counter[PortNo] = Counter()
    for number in range(flows):
        (action,) = scene.actions(packets.tcp(src_port=1024 + number, src=A, dst=B))
        assert isinstance(action, Output)
        taken[action.port] += 1
    return taken


def test_select_spreads_flows_by_weight() -> None:
    scene = GroupScene(GroupType.SELECT, bucket(Output(P2), weight=3), bucket(Output(P3), weight=1))

    taken = _spread(scene)

    assert 260 <= taken[P2] <= 340
    assert taken[P2] + taken[P3] == 400


def test_what_is_drawn_is_near_the_logarithm_and_never_less_for_a_lesser_number() -> None:
    numbers = [*range(3000), *(number for top in range(12, 32) for number in range(1 << top, 2 << top, 1 << top - 7))]

    drawn = [doublings_left(number) for number in (*numbers, (1 << 32) - 1)]

    assert drawn == sorted(drawn, reverse=True)
    assert drawn[-1] > 0
    for number, left in zip(numbers, drawn, strict=False):
        assert left / (1 << 32) == pytest.approx(32 - log2(number + 0.5), rel=0.002)


def test_a_flow_always_takes_the_same_bucket() -> None:
    scene = GroupScene(GroupType.SELECT, bucket(Output(P2), weight=1), bucket(Output(P3), weight=1))
    first = packets.tcp(payload=b"first", src=A, dst=B)
    later = packets.tcp(payload=b"something else", ttl=9, tos=4, flags=0x10, src=A, dst=B)

    assert scene.actions(first) == scene.actions(later)


def test_the_fragments_of_a_datagram_stay_together() -> None:
    scene = GroupScene(GroupType.SELECT, bucket(Output(P2), weight=1), bucket(Output(P3), weight=1))
    for number in range(20):
        whole = packets.udp(src_port=5000 + number, payload=bytes(64), src=A, dst=B)
        first, second = bytearray(whole), bytearray(whole[:34] + bytes(72))
        first[20] |= 0x20  # more fragments
        second[21] = 9  # at byte 72

        assert scene.actions(bytes(first)) == scene.actions(bytes(second))


def test_a_bucket_that_dies_moves_its_own_flows_only() -> None:
    watched = [bucket(Output(port), weight=1, port=port) for port in (P2, P3, LOCAL)]
    scene = GroupScene(GroupType.SELECT, *watched)
    frames = [packets.tcp(src_port=2000 + number, src=A, dst=B) for number in range(100)]
    before = [scene.actions(frame) for frame in frames]

    scene.ports.set_state(P3, PortState.LINK_DOWN)
    after = [scene.actions(frame) for frame in frames]

    assert all(now == then for then, now in zip(before, after, strict=True) if then != out(P3))
    assert out(P3) not in after


def test_a_select_decision_can_be_cached_by_what_was_hashed() -> None:
    scene = GroupScene(GroupType.SELECT, bucket(Output(P2), weight=1), bucket(Output(P3), weight=1))

    decision = scene.receive(WEB)

    assert decision.cacheable
    hashed = ("eth_src", "eth_dst", "eth_type", "ip_proto", "ipv4_src", "ipv4_dst", "tcp_src", "tcp_dst")
    assert all(FIELDS[name].get(decision.mask) == FIELDS[name].all_ones for name in hashed)
    assert not FIELDS["ip_ttl"].get(decision.mask)


def test_a_weight_of_0_gets_nothing() -> None:
    scene = GroupScene(GroupType.SELECT, bucket(Output(P2)), bucket(Output(P3), weight=1))

    assert set(_spread(scene, 50)) == {P3}


def test_a_select_group_with_no_live_bucket_drops() -> None:
    scene = GroupScene(GroupType.SELECT)

    assert scene.receive(WEB).drop_reason == "no bucket of group 1 takes it"


# --- chains, sets, counters ---------------------------------------------------------------------------------------


def test_groups_can_be_chained() -> None:
    scene = Scene()
    scene.tables.groups.add(2, GroupType.ALL, (bucket(Output(P2)), bucket(TO_US, Output(P3))), 0.0)
    scene.tables.groups.add(1, GroupType.INDIRECT, (bucket(PushVlan(), Group(2)),), 0.0)
    scene.flow(Group(1))

    assert scene.actions(WEB) == (Clone((PushVlan(), Output(P2))), PushVlan(), TO_US, Output(P3))


def test_a_group_in_the_action_set_beats_an_output() -> None:
    scene = GroupScene(GroupType.INDIRECT, bucket(Output(P2)))
    scene.flow_of(WriteActions((Output(P3), Group(1))), priority=2)

    assert scene.actions(WEB) == out(P2)


def test_a_packet_out_can_name_a_group() -> None:
    scene = GroupScene(GroupType.INDIRECT, bucket(Output(P2)))

    assert scene.packet_out(WEB, Group(1), port=CONTROLLER) == out(P2)


def test_a_group_that_is_not_there_drops() -> None:
    scene = Scene()
    scene.flow(Group(9))

    assert scene.receive(WEB).drop_reason == "there is no group 9"


def test_group_and_buckets_are_counted_with_the_decision() -> None:
    scene = GroupScene(GroupType.FF, bucket(Output(P2), port=P2), bucket(Output(P3), port=P3))

    scene.pipeline.credit(scene.receive(WEB), 5, 500, 1.0)

    assert scene.counts(1) == (5, [5, 0])


def test_a_spent_ttl_ends_one_bucket_and_not_the_others() -> None:
    scene = GroupScene(GroupType.ALL, bucket(DecNwTtl(), Output(P2)), bucket(Output(P3)))

    actions = scene.actions(packets.tcp(ttl=1, src=A, dst=B))

    reasons = [action.reason for action in actions if isinstance(action, ToController)]
    assert reasons == [PacketInReason.INVALID_TTL]
    assert actions[1:] == out(P3)


def test_groups_that_multiply_without_end_are_cut_off() -> None:
    scene = Scene()
    groups = scene.tables.groups
    groups.add(0, GroupType.ALL, (bucket(Output(P2)), bucket(Output(P2))), 0.0)
    for number in range(1, 40):
        groups.add(number, GroupType.ALL, (bucket(Group(number - 1)), bucket(Group(number - 1))), 0.0)
    scene.flow(Group(39))

    assert len(scene.receive(WEB).counters) <= 4097


@pytest.mark.parametrize("chain", [70, 2000])
def test_long_chains_are_cut_off(chain: int) -> None:
    scene = Scene()
    groups = scene.tables.groups
    groups.add(0, GroupType.ALL, (bucket(Output(P2)),), 0.0)
    for number in range(1, chain):
        watch = bucket(Group(number - 1), group=number - 1)
        groups.add(number, GroupType.FF, (watch, watch), 0.0)
    scene.flow(Group(chain - 1))

    assert scene.actions(WEB) == ()


def test_a_bucket_that_resubmits_to_its_own_group_comes_to_an_end() -> None:
    scene = GroupScene(GroupType.ALL, bucket(Resubmit(None, 0)), bucket(Resubmit(None, 0)))

    assert scene.actions(WEB) == ()


def test_a_trace_shows_group_and_buckets_and_counts_nothing() -> None:
    scene = GroupScene(GroupType.ALL, bucket(Output(P2)), bucket(Output(P3)))
    trace = Trace()

    scene.receive(WEB, trace=trace)

    assert "group 1 (all): 2 of 2 buckets" in [getattr(step, "text", "") for step in trace.steps]
    assert scene.counts(1) == (0, [0, 0])


# --- in-band control ----------------------------------------------------------------------------------------------


def test_a_flow_with_a_group_never_gets_a_control_packet() -> None:
    scene = GroupScene(GroupType.ALL, bucket(), bucket(Output(P2)))
    scene.in_band()
    scene.knows(B, P3)
    scene.flow_of(ApplyActions((Group(1),)), WriteActions((Group(1),)), priority=65535)

    answer = scene.receive(WEB)

    assert (answer.actions, answer.counters) == (out(P3), ())


def test_a_group_that_loses_a_dhcp_reply_does_not_keep_it_from_local() -> None:
    scene = GroupScene(GroupType.ALL, bucket(TO_B, Output(LOCAL)), bucket(Output(P2)))

    answer = scene.receive(packets.dhcp_reply(chaddr=US))

    assert answer.actions[0] == Output(LOCAL)
    assert not answer.cacheable


def test_a_dhcp_reply_that_a_bucket_hands_to_local_is_not_sent_twice() -> None:
    scene = GroupScene(GroupType.ALL, bucket(TO_B, Output(P2)), bucket(Output(LOCAL)))

    answer = scene.receive(packets.dhcp_reply(chaddr=US))

    assert answer.actions.count(Output(LOCAL)) == 1
