"""Tables, instructions, the action set and outputs of OpenFlow 1.3.5 (5.1 to 5.12)."""

from __future__ import annotations

import pytest

from inband.flow.actions import (
    WHOLE_PACKET,
    Action,
    ApplyActions,
    ClearActions,
    CopyTtlIn,
    DatapathAction,
    DecNwTtl,
    GotoTable,
    Group,
    MoveField,
    Output,
    PacketInReason,
    PopMpls,
    PopQueue,
    PopVlan,
    PushMpls,
    PushVlan,
    Resubmit,
    SendToController,
    SetField,
    SetNwTtl,
    SetQueue,
    SetVlanPcp,
    SetVlanVid,
    ToController,
    WriteActions,
    WriteMetadata,
)
from inband.flow.fields import FIELDS, INNER_VLAN, VLAN_PRESENT
from inband.flow.match import ANY, Match
from inband.flow.ports import CONTROLLER, IN_PORT, LOCAL, NORMAL, TABLE, PortNo
from inband.pipeline.action_set import ActionSet
from inband.table.flow_table import TableMiss
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_IPV4
from inband.vocabulary.openflow import NO_COOKIE, PortConfig
from tests.unit.pipeline.scene import P1, P2, P3, A, B, Scene, out

WEB = packets.tcp(dst_port=80)
TO_A = SetField("eth_dst", int(Mac.parse(A)))


# --- tables and misses --------------------------------------------------------------------------------------------


def test_a_packet_without_a_flow_is_dropped_and_counted_as_a_lookup() -> None:
    answer = Scene().receive(WEB)

    assert answer.actions == ()
    assert answer.credits == ((0, None),)
    assert answer.drop_reason == "no flow in table 0 matches"


def test_a_table_can_send_misses_to_the_controller_as_openflow_1_0_does() -> None:
    assert Scene(miss=TableMiss.CONTROLLER).actions(WEB) == (
        ToController(PacketInReason.NO_MATCH, WHOLE_PACKET, 0, NO_COOKIE),
    )


def test_goto_leads_through_later_tables_and_each_lookup_is_credited() -> None:
    scene = Scene()
    first = scene.flow_of(GotoTable(3))
    last = scene.flow(Output(P2), table=3)

    answer = scene.receive(WEB)

    assert answer.actions == out(P2)
    assert answer.credits == ((0, first), (3, last))


def test_goto_backwards_ends_the_way() -> None:
    scene = Scene()
    scene.flow_of(GotoTable(2))
    scene.flow_of(ApplyActions((Output(P2),)), GotoTable(1), table=2)

    assert scene.actions(WEB) == out(P2)


def test_metadata_written_in_one_table_is_matched_in_the_next_and_costs_no_bits_of_the_packet() -> None:
    scene = Scene()
    scene.flow_of(WriteMetadata(0xAB, 0xFF), GotoTable(1))
    scene.flow(Output(P2), table=1, match=Match.of(metadata=(0xAB, 0xFF)))

    answer = scene.receive(WEB)

    assert answer.actions == out(P2)
    assert FIELDS["metadata"].get(answer.mask) == 0


def test_instructions_run_in_the_order_of_the_specification() -> None:
    scene = Scene()
    scene.flow_of(GotoTable(1), WriteActions((Output(P2),)), ClearActions(), ApplyActions((Output(P3),)))
    scene.flow_of(table=1)

    assert scene.actions(WEB) == out(P3, P2)


# --- the action set -----------------------------------------------------------------------------------------------


def test_the_action_set_runs_at_the_end_in_its_own_order() -> None:
    scene = Scene()
    scene.flow_of(WriteActions((Output(P2), SetField("ip_dscp", 3), PushVlan(), DecNwTtl())), GotoTable(1))
    scene.flow(Output(P3), table=1)

    assert scene.actions(WEB) == (
        Output(P3),
        PushVlan(),
        DecNwTtl(),
        SetField("ip_dscp", 3),
        Output(P2),
    )


def test_a_later_action_takes_the_place_of_its_kind_and_set_field_that_of_its_field() -> None:
    actions = ActionSet()

    actions.write((Output(P1), SetField("ip_dscp", 1), SetField("tcp_dst", 1)))
    actions.write((Output(P2), SetField("ip_dscp", 2)))

    assert set(actions.in_order()) == {Output(P2), SetField("ip_dscp", 2), SetField("tcp_dst", 1)}


def test_a_group_in_the_action_set_takes_the_output_away() -> None:
    actions = ActionSet()

    actions.write((Output(P1), Group(3), CopyTtlIn()))

    assert actions.in_order() == (CopyTtlIn(), Group(3))


def test_clear_actions_empties_the_set() -> None:
    scene = Scene()
    scene.flow_of(WriteActions((Output(P2),)), GotoTable(1))
    scene.flow_of(ClearActions(), table=1)

    assert scene.actions(WEB) == ()


def test_a_miss_in_a_later_table_still_runs_the_action_set() -> None:
    scene = Scene()
    scene.flow_of(WriteActions((Output(P2),)), GotoTable(1))

    assert scene.actions(WEB) == out(P2)


# --- outputs ------------------------------------------------------------------------------------------------------


def test_an_output_to_the_port_it_came_from_needs_in_port() -> None:
    scene = Scene()
    scene.flow(Output(P1), Output(IN_PORT), Output(P2))

    assert scene.actions(WEB, P1) == out(P1, P2)


def test_an_output_to_a_port_that_is_not_there_goes_nowhere() -> None:
    scene = Scene()
    scene.flow(Output(PortNo(77)))

    assert scene.receive(WEB).drop_reason == "there is no port 77"


def test_edits_stand_once_before_the_outputs_that_need_them_and_not_behind_the_last() -> None:
    scene = Scene()
    scene.flow(Output(P2), TO_A, Output(P3), Output(LOCAL), SetField("eth_src", 5))

    assert scene.actions(WEB) == (Output(P2), TO_A, Output(P3), Output(LOCAL))


def test_edits_without_any_output_leave_an_empty_program() -> None:
    scene = Scene()
    scene.flow(TO_A, PushVlan(), SetQueue(3))

    assert scene.actions(WEB) == ()


def test_a_queue_is_set_before_the_output_and_given_up_after() -> None:
    scene = Scene()
    scene.flow(SetQueue(3), Output(P2), PopQueue(), Output(P3), SetQueue(4), PopQueue(), Output(LOCAL))

    assert scene.actions(WEB) == (SetQueue(3), Output(P2), PopQueue(), Output(P3), Output(LOCAL))


def test_a_packet_in_says_table_cookie_metadata_and_reason() -> None:
    scene = Scene()
    scene.flow_of(WriteMetadata(9), GotoTable(2))
    scene.flow(Output(CONTROLLER, 128), table=2, cookie=0xC0, match=Match.of(eth_type=0x0800))

    assert scene.actions(WEB) == (ToController(PacketInReason.ACTION, 128, 2, 0xC0, metadata=9),)


def test_the_table_miss_flow_gives_the_reason_no_match() -> None:
    scene = Scene()
    scene.flow(Output(CONTROLLER, 128), priority=0, match=ANY)

    assert scene.actions(WEB) == (ToController(PacketInReason.NO_MATCH, 128, 0, 0, by_miss_flow=True),)


def test_an_action_of_the_table_miss_flow_that_says_a_reason_gives_that_one() -> None:
    scene = Scene()
    scene.flow(SendToController(64, 0, PacketInReason.NO_MATCH), priority=0, match=ANY)

    assert scene.actions(WEB) == (ToController(PacketInReason.NO_MATCH, 64, 0, 0),)


def test_a_port_without_packet_in_causes_none_by_a_miss_but_by_an_action() -> None:
    scene = Scene()
    scene.configure(P1, PortConfig.NO_PACKET_IN)
    scene.flow(Output(CONTROLLER), priority=0)
    scene.flow(Output(CONTROLLER), match=Match.of(eth_type=0x0806))

    assert scene.actions(WEB) == ()
    assert len(scene.actions(packets.arp_request())) == 1


def test_niciras_controller_action_names_controller_and_reason() -> None:
    scene = Scene()
    scene.flow(SendToController(64, 7, PacketInReason.INVALID_TTL))

    assert scene.actions(WEB) == (ToController(PacketInReason.INVALID_TTL, 64, 0, 0, controller_id=7),)


# --- edits on the way ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "then"),
    [
        (TO_A, Match.of(eth_dst=int(Mac.parse(A)))),
        (SetField("tcp_dst", 443), Match.of(tcp_dst=443)),
        (SetField("ipv4_dst", 0, 0xFF), Match.of(ipv4_dst=0x0A000000)),
        (SetField("reg5", 1), Match.of(reg5=1)),
        (SetNwTtl(3), Match.of(ip_ttl=3)),
        (DecNwTtl(), Match.of(ip_ttl=63)),
        (PushVlan(), Match.of(vlan_vid=0x1000)),
        (PushMpls(), Match.of(eth_type=0x8847, mpls_ttl=64)),
        (MoveField("tcp_dst", "metadata", 16, 0, 8), Match.of(metadata=80 << 8)),
        (MoveField("tcp_dst", "eth_src", 16), Match.of(eth_src=0x02000000_0050)),
    ],
)
def test_a_later_table_sees_the_packet_as_it_was_changed(edit: Action, then: Match) -> None:
    scene = Scene()
    scene.flow_of(ApplyActions((edit,)), GotoTable(1))
    scene.flow(Output(P2), table=1, match=then)

    assert scene.actions(WEB)[-1:] == out(P2)


def test_an_edit_that_the_packet_has_no_header_for_is_left_out() -> None:
    scene = Scene()
    scene.flow(SetField("udp_dst", 1), SetField("vlan_vid", 0x1005), PopVlan(), SetNwTtl(3), Output(P2))

    assert scene.actions(packets.arp_request()) == out(P2)


def test_what_an_edit_set_costs_no_bits_of_the_packet() -> None:
    scene = Scene()
    scene.flow_of(ApplyActions((SetField("tcp_dst", 443),)), GotoTable(1), match=Match.of(eth_type=0x0800, ip_proto=6))
    scene.flow(Output(P2), table=1, match=Match.of(tcp_dst=443))

    assert FIELDS["tcp_dst"].get(scene.receive(WEB).mask) == 0


def stacked(*vids: int) -> bytes:
    """A frame with these tags, the outermost last."""
    frame = WEB
    for vid in vids:
        frame = packets.vlan(frame, vid)
    return frame


def test_what_is_behind_a_popped_tag_decides_for_all_packets_that_have_the_same_there() -> None:
    scene = Scene()
    scene.flow_of(ApplyActions((PopVlan(),)), GotoTable(1))
    scene.flow(Output(P2), table=1, match=Match.of(vlan_vid=0x1002))

    answer = scene.receive(stacked(2, 1))

    assert answer.actions == (PopVlan(), Output(P2))
    assert answer.cacheable
    assert INNER_VLAN.get(answer.mask) == 0x1FFF
    assert INNER_VLAN.get(scene.receive(stacked(1)).mask) & VLAN_PRESENT


def test_a_third_tag_is_in_no_key() -> None:
    scene = Scene()
    scene.flow_of(ApplyActions((PopVlan(), PopVlan())), GotoTable(1))
    scene.flow(Output(P2), table=1, match=Match.of(vlan_vid=0x1002))

    answer = scene.receive(stacked(2, 3, 1))

    assert answer.actions == (PopVlan(), PopVlan(), Output(P2))
    assert not answer.cacheable


def test_a_tag_that_was_pushed_and_popped_leaves_the_one_that_was_there() -> None:
    scene = Scene()
    scene.flow_of(ApplyActions((PushVlan(), SetField("vlan_vid", 0x1009), PopVlan())), GotoTable(1))
    scene.flow(Output(P2), table=1, match=Match.of(vlan_vid=0x1002))

    answer = scene.receive(stacked(3, 2))

    assert answer.cacheable
    assert FIELDS["vlan_vid"].get(answer.mask) == 0x1FFF
    assert not INNER_VLAN.get(answer.mask)


def test_what_was_written_of_a_covered_tag_is_still_a_constant_when_it_shows_again() -> None:
    scene = Scene()
    scene.flow_of(ApplyActions((SetField("vlan_vid", 0x1002), PushVlan(), PopVlan())), GotoTable(1))
    scene.flow(Output(P2), table=1, match=Match.of(vlan_vid=0x1002))

    answer = scene.receive(stacked(3))

    assert answer.actions[-1] == Output(P2)
    assert FIELDS["vlan_vid"].get(answer.mask) == VLAN_PRESENT


def test_popping_a_tag_on_the_way_out_may_be_cached() -> None:
    scene = Scene()
    scene.flow(PopVlan(), Output(P2), match=Match.of(vlan_vid=0x1001))

    assert scene.receive(packets.vlan(WEB, 1)).cacheable


def test_a_popped_shim_uncovers_the_ip_header() -> None:
    scene = Scene()
    scene.flow_of(ApplyActions((PushMpls(), PopMpls(ETH_IPV4))), GotoTable(1))
    scene.flow(Output(P2), table=1, match=Match.of(tcp_dst=80))

    answer = scene.receive(WEB)

    assert answer.actions == (PushMpls(), PopMpls(ETH_IPV4), Output(P2))
    assert not answer.cacheable


# --- TTL ----------------------------------------------------------------------------------------------------------


def test_packets_of_many_ttls_share_a_decision() -> None:
    scene = Scene()
    scene.flow(DecNwTtl(), Output(P2))

    mask = scene.receive(packets.tcp(ttl=64)).mask

    assert FIELDS["ip_ttl"].get(mask) == 64


@pytest.mark.parametrize("ttl", [0, 1])
def test_a_spent_ttl_goes_to_the_controller_and_no_further(ttl: int) -> None:
    scene = Scene()
    scene.flow(Output(P3), DecNwTtl(), Output(P2), cookie=4)

    assert scene.actions(packets.tcp(ttl=ttl)) == (
        Output(P3),
        ToController(PacketInReason.INVALID_TTL, WHOLE_PACKET, 0, 4),
    )


def test_a_ttl_that_is_spent_in_a_resubmit_ends_the_inner_list_only() -> None:
    scene = Scene()
    scene.flow(Resubmit(None, 1), Output(P3))
    scene.flow_of(ApplyActions((DecNwTtl(), Output(P2))), GotoTable(2), table=1, cookie=4)
    scene.flow(Output(P2), table=2)

    assert scene.actions(packets.tcp(ttl=1)) == (
        ToController(PacketInReason.INVALID_TTL, WHOLE_PACKET, 1, 4),
        Output(P3),
    )
    assert scene.actions(packets.tcp(ttl=2)) == (DecNwTtl(), Output(P2), Output(P2), Output(P3))


def test_a_ttl_that_is_spent_leaves_what_other_tables_have_written() -> None:
    scene = Scene()
    scene.flow_of(WriteActions((Output(P3),)), GotoTable(1))
    scene.flow_of(ApplyActions((DecNwTtl(),)), WriteActions((Output(P2),)), GotoTable(2), table=1)
    scene.flow(Output(P2), table=2)

    assert scene.actions(packets.tcp(ttl=1)) == (
        ToController(PacketInReason.INVALID_TTL, WHOLE_PACKET, 1, 0),
        Output(P3),
    )


def test_a_ttl_that_is_spent_in_a_packet_outs_list_ends_it() -> None:
    actions = Scene().packet_out(packets.tcp(ttl=1), DecNwTtl(), Output(P2))

    assert [type(action) for action in actions] == [ToController]


def test_each_decrement_asks_for_one_more() -> None:
    scene = Scene()
    scene.flow(DecNwTtl(), DecNwTtl(), Output(P2))

    assert scene.actions(packets.tcp(ttl=3)) == (DecNwTtl(), DecNwTtl(), Output(P2))
    assert isinstance(scene.actions(packets.tcp(ttl=2))[-1], ToController)


def test_a_packet_without_a_ttl_is_not_decremented() -> None:
    scene = Scene()
    scene.flow(DecNwTtl(), Output(P2))

    assert scene.actions(packets.arp_request()) == out(P2)


# --- resubmit -----------------------------------------------------------------------------------------------------


def test_resubmit_runs_another_tables_flow_and_comes_back() -> None:
    scene = Scene()
    scene.flow(Resubmit(None, 2), Output(P3))
    scene.flow(Output(P2), table=2)

    assert scene.actions(WEB) == out(P2, P3)


def test_resubmit_can_pretend_another_port_but_in_port_stays_the_real_one() -> None:
    scene = Scene()
    scene.flow(Resubmit(P2, 1))
    scene.flow(Output(IN_PORT), Output(P2), table=1, match=Match.of(in_port=2))

    assert scene.actions(WEB, P1) == out(P1, P2)


def test_resubmit_without_a_table_asks_its_own_again() -> None:
    scene = Scene()
    scene.flow(SetField("reg0", 1), Resubmit(None, None))
    scene.flow(Output(P2), priority=2, match=Match.of(reg0=1))

    assert scene.actions(WEB) == out(P2)


def test_a_miss_after_resubmit_tells_nobody() -> None:
    scene = Scene(miss=TableMiss.CONTROLLER)
    scene.flow(Resubmit(None, 2), Output(P2))

    assert scene.actions(WEB) == out(P2)


def test_a_resubmit_loop_ends() -> None:
    scene = Scene()
    scene.flow(Resubmit(None, 0))

    assert scene.receive(WEB).drop_reason == "over 64 resubmits within one another: a loop"


def test_resubmits_that_multiply_end() -> None:
    scene = Scene()
    for table in range(7):
        scene.flow(*(Resubmit(None, table + 1) for _ in range(8)), table=table)

    assert scene.receive(WEB).drop_reason == "over 4,096 lookups for one packet: a loop"


def test_a_flow_from_the_first_table_to_the_last_is_no_deep_recursion() -> None:
    scene = Scene()
    for table in range(7):
        scene.flow_of(GotoTable(table + 1), table=table)
    scene.flow(Output(P2), table=7)

    assert scene.actions(WEB) == out(P2)


# --- PACKET_OUT ---------------------------------------------------------------------------------------------------


def test_a_packet_out_runs_its_actions() -> None:
    assert Scene().packet_out(WEB, TO_A, Output(P2), Output(P3)) == (TO_A, *out(P2, P3))


def test_a_packet_out_to_table_goes_through_the_tables() -> None:
    scene = Scene()
    scene.flow_of(WriteActions((Output(P3),)))

    assert scene.packet_out(WEB, Output(TABLE)) == out(P3)


def test_a_flow_that_outputs_to_table_goes_on_behind_it() -> None:
    scene = Scene()
    scene.flow_of(GotoTable(1))
    scene.flow_of(ApplyActions((SetField("metadata", 7), Output(TABLE), Output(P3))), table=1)
    scene.flow(Output(P2), priority=2, match=Match.of(metadata=7))

    assert scene.actions(WEB) == out(P2, P3)


def test_a_flow_that_outputs_to_table_may_miss_there() -> None:
    scene = Scene()
    scene.flow(SetField("metadata", 7), Output(TABLE), Output(P3), match=Match.of(metadata=0))

    assert scene.actions(WEB) == out(P3)


def test_a_loop_by_way_of_table_ends() -> None:
    scene = Scene()
    scene.flow(Output(TABLE))

    assert scene.packet_out(WEB, Output(TABLE)) == ()
    assert scene.receive(WEB).drop_reason == "over 64 outputs to TABLE within one another: a loop"


def test_what_tables_write_for_a_packet_out_is_carried_out_at_its_end() -> None:
    scene = Scene()
    scene.flow_of(WriteActions((PushVlan(), Output(P3))))

    assert scene.packet_out(WEB, Output(TABLE), Output(P2)) == (Output(P2), PushVlan(), Output(P3))


def test_a_packet_out_is_not_kept_out_by_the_configuration_of_its_in_port() -> None:
    scene = Scene()
    scene.configure(P1, PortConfig.NO_RECV)
    scene.flow(Output(P2))

    assert scene.packet_out(WEB, Output(TABLE)) == out(P2)


def test_a_packet_out_without_a_port_floods_everywhere_and_teaches_nothing() -> None:
    scene = Scene()

    actions: tuple[DatapathAction, ...] = scene.packet_out(packets.tcp(src=A, dst=B), Output(NORMAL), port=CONTROLLER)

    assert actions == out(P1, P2, P3, LOCAL)
    assert len(scene.fdb) == 0


# --- OpenFlow 1.0's VLAN actions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "change"),
    [(SetVlanVid(5), SetField("vlan_vid", 0x1005)), (SetVlanPcp(3), SetField("vlan_pcp", 3))],
)
def test_setting_a_vlan_field_as_1_0_does_adds_a_tag_where_there_is_none(action: Action, change: SetField) -> None:
    scene = Scene()
    scene.flow(action, Output(P2))

    assert scene.actions(WEB) == (PushVlan(), change, Output(P2))
    assert scene.actions(packets.vlan(WEB, 9)) == (change, Output(P2))


def test_two_vlan_actions_of_1_0_add_one_tag() -> None:
    scene = Scene()
    scene.flow(SetVlanVid(5), SetVlanPcp(3), Output(P2))

    assert scene.actions(WEB) == (PushVlan(), SetField("vlan_vid", 0x1005), SetField("vlan_pcp", 3), Output(P2))
