"""Commands on flow tables as OpenFlow 1.3.5, 6.4 and 6.5 have them, and what hidden means."""

from __future__ import annotations

import pytest

from inband.control.letters import LETTERS
from inband.flow.actions import ApplyActions, Group, Instruction, Output, WriteActions
from inband.flow.fields import make_key
from inband.flow.flow import Flow, FlowFlags
from inband.flow.match import ANY, Match
from inband.flow.origin import Origin, Owner
from inband.flow.ports import NORMAL, PortNo
from inband.flow.priority import HiddenPriority, OpenFlowPriority
from inband.table.changes import BadTable, Changes, Overlap, TableFull
from inband.table.table_set import Filter, TableSet
from inband.vocabulary.openflow import ALL_TABLES, FlowRemovedReason


def to(port: int) -> tuple[Instruction, ...]:
    """Instructions that output to a port."""
    return (ApplyActions((Output(PortNo(port)),)),)


def flow(
    priority: int = 1,
    match: Match = ANY,
    *,
    port: int = 1,
    table: int = 0,
    cookie: int = 0,
    idle: int = 0,
    hard: int = 0,
    flags: FlowFlags = FlowFlags.NONE,
) -> Flow:
    """A controller's flow."""
    return Flow(match, OpenFlowPriority(priority), to(port), table, cookie, idle, hard, flags)


def hidden(letter: str = "h", match: Match = ANY) -> Flow:
    """A flow of in-band control."""
    kind = LETTERS[letter]
    return Flow(match, kind.priority, to(NORMAL), origin=kind.origin("192.0.2.1"))


WEB = Match.of(eth_type=0x0800, ip_proto=6, tcp_dst=80)
IP = Match.of(eth_type=0x0800)


# --- add ----------------------------------------------------------------------------------------------------------


def test_an_added_flow_is_found_and_dated() -> None:
    tables = TableSet()
    added = flow(1, WEB)

    changes = tables.add(added, 7.0)

    assert changes == Changes(added=(added,))
    assert tables[0].lookup(WEB.value)[0] is added
    assert (added.created, added.used) == (7.0, 7.0)


def test_an_identical_entry_is_replaced_and_hands_its_counters_on() -> None:
    tables = TableSet()
    old, new = flow(1, WEB), flow(1, WEB, port=2)
    tables.add(old, 0.0)
    old.credit(5, 500, 1.0)

    changes = tables.add(new, 2.0)

    assert (changes.added, changes.replaced, changes.removed) == ((new,), (old,), ())
    assert (new.packets, new.bytes, new.created) == (5, 500, 2.0)
    assert tables.select() == [new]


def test_reset_counts_starts_the_counters_of_a_replacing_flow_at_0() -> None:
    tables = TableSet()
    old, new = flow(1, WEB), flow(1, WEB, flags=FlowFlags.RESET_COUNTS)
    tables.add(old, 0.0)
    old.credit(5, 500, 1.0)

    tables.add(new, 2.0)

    assert (new.packets, new.bytes) == (0, 0)


def test_check_overlap_refuses_a_flow_of_the_same_priority_that_shares_packets() -> None:
    tables = TableSet()
    tables.add(flow(1, IP), 0.0)

    with pytest.raises(Overlap):
        tables.add(flow(1, Match.of(in_port=1), flags=FlowFlags.CHECK_OVERLAP), 0.0)

    assert tables[0].active == 1


@pytest.mark.parametrize(("priority", "match"), [(2, Match.of(in_port=1)), (1, Match.of(eth_type=0x0806))])
def test_check_overlap_lets_other_priorities_and_other_packets_pass(priority: int, match: Match) -> None:
    tables = TableSet()
    tables.add(flow(1, IP), 0.0)

    tables.add(flow(priority, match, flags=FlowFlags.CHECK_OVERLAP), 0.0)

    assert tables[0].active == 2


def test_a_full_table_refuses_a_new_flow_and_takes_a_replacing_one() -> None:
    tables = TableSet(limit=1)
    tables.add(flow(1, WEB), 0.0)

    with pytest.raises(TableFull):
        tables.add(flow(1, IP), 0.0)
    tables.add(flow(1, WEB, port=2), 0.0)
    tables.add(flow(1, WEB, table=1), 0.0)

    assert (tables[0].active, tables[1].active) == (1, 1)


@pytest.mark.parametrize("table", [4, 200, -1])
def test_a_table_that_is_not_there_is_refused(table: int) -> None:
    with pytest.raises(BadTable):
        TableSet(4).add(flow(table=table), 0.0)


# --- modify and delete --------------------------------------------------------------------------------------------


def test_modify_changes_every_flow_that_the_match_covers_and_nothing_else_of_it() -> None:
    tables = TableSet()
    web, arp = flow(1, WEB, cookie=9, idle=5), flow(1, Match.of(eth_type=0x0806))
    tables.add(web, 0.0)
    tables.add(arp, 0.0)
    web.credit(1, 60, 1.0)

    changes = tables.modify(0, IP, to(7), 3.0)

    assert changes.modified == (web,)
    assert web.instructions == to(7)
    assert (web.cookie, web.idle_timeout_s, web.packets, web.created) == (9, 5, 1, 0.0)


def test_modify_can_reset_counters() -> None:
    tables = TableSet()
    web = flow(1, WEB)
    tables.add(web, 0.0)
    web.credit(1, 60, 1.0)

    tables.modify(0, ANY, to(7), 3.0, reset_counts=True)

    assert (web.packets, web.bytes) == (0, 0)


def test_modify_strict_changes_the_one_entry_of_this_match_and_priority() -> None:
    tables = TableSet()
    low, high = flow(1, WEB), flow(2, WEB)
    tables.add(low, 0.0)
    tables.add(high, 0.0)

    changes = tables.modify(0, WEB, to(7), 3.0, priority=OpenFlowPriority(2))

    assert changes.modified == (high,)
    assert low.instructions == to(1)


def test_modify_without_a_matching_flow_changes_nothing() -> None:
    tables = TableSet()

    assert tables.modify(0, IP, to(7), 3.0) == Changes()


def test_modify_heeds_the_cookie() -> None:
    tables = TableSet()
    odd, even = flow(1, WEB, cookie=0x11), flow(2, WEB, cookie=0x10)
    tables.add(odd, 0.0)
    tables.add(even, 0.0)

    assert tables.modify(0, ANY, to(7), 1.0, cookie=1, cookie_mask=1).modified == (odd,)


def test_delete_strict_ignores_what_delete_takes_along() -> None:
    tables = TableSet()
    low, high = flow(1, WEB), flow(2, IP)
    tables.add(low, 0.0)
    tables.add(high, 0.0)

    assert tables.delete(0, IP, priority=OpenFlowPriority(1)).removed == ()
    assert tables.delete(0, IP, priority=OpenFlowPriority(2)).removed == (high,)
    assert tables.delete(0, IP).removed == (low,)
    assert tables[0].lookup(WEB.value)[0] is None


def test_delete_takes_all_tables_at_once() -> None:
    tables = TableSet()
    flows = [flow(1, WEB, table=table) for table in (0, 3, 253)]
    for each in flows:
        tables.add(each, 0.0)

    assert tables.delete(ALL_TABLES).removed == tuple(flows)


def test_delete_heeds_output_port_group_and_cookie() -> None:
    tables = TableSet()
    to_port, cookie = flow(1, port=3), flow(3, cookie=8)
    to_group = Flow(ANY, OpenFlowPriority(2), (WriteActions((Group(5), Output(PortNo(4)))),))
    for each in (to_port, to_group, cookie):
        tables.add(each, 0.0)

    assert tables.delete(0, only=Filter(out_port=PortNo(9))).removed == ()
    assert tables.delete(0, only=Filter(out_port=PortNo(4), out_group=6)).removed == ()
    assert tables.delete(0, only=Filter(out_group=5)).removed == (to_group,)
    assert tables.delete(0, only=Filter(out_port=PortNo(3))).removed == (to_port,)
    assert tables.delete(0, only=Filter(cookie=8, cookie_mask=0xF)).removed == (cookie,)


def test_statistics_select_what_the_match_covers() -> None:
    tables = TableSet()
    web, other = flow(1, WEB), flow(1, WEB, table=2)
    tables.add(web, 0.0)
    tables.add(other, 0.0)

    assert tables.select(0, IP) == [web]
    assert tables.select(ALL_TABLES, IP) == [web, other]
    assert tables.select(0, Match.of(eth_type=0x0806)) == []


# --- hidden flows -------------------------------------------------------------------------------------------------


def test_a_hidden_flow_decides_before_every_visible_one() -> None:
    tables = TableSet()
    tables.add(flow(65535), 0.0)
    secret = hidden()

    tables.install_hidden(secret)

    assert tables[0].lookup(0)[0] is secret
    assert tables[0].lookup(0, in_band=False)[0] in tables.select()


def test_no_command_of_a_controller_reaches_a_hidden_flow() -> None:
    tables = TableSet()
    secret = hidden(match=WEB)
    tables.install_hidden(secret)

    tables.add(flow(65535, WEB, flags=FlowFlags.CHECK_OVERLAP), 0.0)
    tables.modify(0, ANY, to(7), 1.0)
    removed = tables.delete(ALL_TABLES).removed

    assert secret not in removed
    assert secret.instructions == to(NORMAL)
    assert tables.select() == []
    assert tables.hidden() == [secret]
    assert tables[0].active == 0


def test_a_full_table_still_takes_hidden_flows() -> None:
    tables = TableSet(limit=1)
    tables.add(flow(), 0.0)

    tables.install_hidden(hidden("a"))
    tables.install_hidden(hidden("b"))

    assert len(tables.hidden()) == 2


def test_hidden_flows_do_not_fill_a_table() -> None:
    tables = TableSet(limit=1)
    tables.install_hidden(hidden("a"))

    tables.add(flow(), 0.0)

    assert tables[0].active == 1


def test_replacing_a_hidden_flows_instructions_keeps_the_object_and_its_counters() -> None:
    tables = TableSet()
    secret = hidden()
    tables.install_hidden(secret)
    secret.credit(3, 300, 1.0)

    changes = tables.replace_hidden(secret, to(2))

    assert changes.modified == (secret,)
    assert tables[0].lookup(0)[0] is secret
    assert secret.packets == 3
    assert tables.replace_hidden(secret, to(2)) == Changes()


def test_removing_a_hidden_flow_takes_it_alone_and_once() -> None:
    tables = TableSet()
    secret, other = hidden("h"), hidden("i")
    tables.install_hidden(secret)
    tables.install_hidden(other)

    assert tables.remove_hidden(secret).removed == (secret,)
    assert tables.remove_hidden(secret) == Changes()
    assert tables.hidden() == [other]


def test_installing_the_same_hidden_flow_again_changes_nothing() -> None:
    tables = TableSet()
    secret = hidden()
    tables.install_hidden(secret)

    assert tables.install_hidden(secret) == Changes()


def test_the_doors_are_not_mixed_up() -> None:
    with pytest.raises(TypeError):
        TableSet().add(hidden(), 0.0)
    with pytest.raises(TypeError):
        TableSet().install_hidden(flow())


def test_every_hidden_flow_says_why_it_is_there_and_no_other_flow_does() -> None:
    without, visible = hidden(), flow()
    without.origin, visible.origin = None, LETTERS["h"].origin("192.0.2.1")

    with pytest.raises(TypeError):
        TableSet().install_hidden(without)
    with pytest.raises(TypeError):
        TableSet().add(visible, 0.0)


def test_the_flow_of_fail_mode_standalone_is_hidden_but_not_left_out_with_in_band_control() -> None:
    tables = TableSet()
    origin = Origin(Owner.FAIL_MODE, "standalone", "fail mode", overrides_ports=False)
    standalone = Flow(ANY, HiddenPriority(100_000), to(NORMAL), origin=origin)
    tables.install_hidden(standalone)
    tables.install_hidden(hidden("k"))

    assert tables.select() == []
    assert tables[0].lookup(WEB.value, in_band=False)[0] is standalone


# --- time and counters --------------------------------------------------------------------------------------------


def test_a_flow_expires_when_it_was_not_used_for_its_idle_timeout() -> None:
    tables = TableSet()
    idle = flow(idle=10)
    tables.add(idle, 0.0)
    idle.credit(1, 60, 8.0)

    assert tables.next_deadline() == 10.0
    assert tables.expire(10.0) == []
    assert tables.next_deadline() == 18.0
    assert tables.expire(18.0) == [(idle, FlowRemovedReason.IDLE_TIMEOUT)]
    assert (tables.select(), tables.next_deadline()) == ([], None)


def test_a_flow_expires_at_its_hard_timeout_however_much_it_is_used() -> None:
    tables = TableSet()
    hard = flow(idle=5, hard=8)
    tables.add(hard, 0.0)
    for second in range(1, 8):
        hard.credit(1, 60, second)
        assert tables.expire(second) == []

    assert tables.expire(8.0) == [(hard, FlowRemovedReason.HARD_TIMEOUT)]


def test_a_deleted_flow_does_not_expire() -> None:
    tables = TableSet()
    tables.add(flow(hard=5), 0.0)
    tables.delete(0)

    assert tables.next_deadline() is None
    assert tables.expire(9.0) == []


def test_many_flows_that_come_and_go_leave_no_deadlines_behind() -> None:
    tables = TableSet()
    for _ in range(1000):
        tables.add(flow(hard=5), 0.0)
    last = flow(hard=5)
    tables.add(last, 1.0)

    assert tables.expire(100.0) == [(last, FlowRemovedReason.HARD_TIMEOUT)]


def test_counters_follow_the_lookups_and_leave_hidden_flows_out() -> None:
    tables = TableSet()
    seen, secret = flow(), hidden()

    tables.credit(((0, seen), (1, None), (0, secret)), 3, 180, 5.0)

    assert (tables[0].lookups, tables[0].matched) == (3, 3)
    assert (tables[1].lookups, tables[1].matched) == (3, 0)
    assert (seen.packets, seen.bytes, seen.used) == (3, 180, 5.0)
    assert secret.packets == 3


def test_a_key_is_looked_up_with_what_in_band_control_and_others_depend_on() -> None:
    tables = TableSet()
    tables.install_hidden(hidden(match=WEB))
    tables.add(flow(1, Match.of(in_port=1)), 0.0)

    _, mask = tables[0].lookup(make_key(in_port=2, eth_type=0x0806))

    assert mask == Match.of(in_port=1, eth_type=0).mask
