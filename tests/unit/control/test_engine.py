"""The in-band engine, by short stories: an event, and what the engine says is to be done."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from inband.control import events as ev
from inband.control.next_hop import HOLD_S, PLACES_S, URGENT_FIRST_S
from inband.control.rules import InBandRule
from inband.flow.actions import ApplyActions, Output, SetQueue
from inband.flow.ports import NORMAL
from inband.host.events import NeighbourChanged, NextHop, NextHopFound, RoutesChanged
from inband.vocabulary.addresses import Mac
from tests.unit.control.played import Played

LOCAL_MAC = Mac.parse("02:00:00:00:00:01")
GATEWAY_MAC = Mac.parse("02:00:00:00:00:fe")
OTHER_MAC = Mac.parse("02:00:00:00:00:fd")
REMOTE = ip_address("192.0.2.9")
GATEWAY = ip_address("10.0.0.254")
OTHER_GATEWAY = ip_address("10.0.0.253")
CONTROLLER = ev.Remote(REMOTE, 6653, ev.RemoteKind.CONTROLLER)
MANAGER = ev.Remote(REMOTE, 6640, ev.RemoteKind.MANAGER)


def hop(address: object = GATEWAY, index: int = 7) -> NextHop:
    return NextHop(index, "br0", ip_address(str(address)))


def letters(rules: object) -> str:
    assert isinstance(rules, frozenset | tuple)
    return "".join(sorted(rule.letter for rule in rules))


def installed(commands: list[ev.Command]) -> str:
    return "".join(letters(c.rules) for c in commands if isinstance(c, ev.InstallRules))


def removed(commands: list[ev.Command]) -> str:
    return "".join(letters(c.rules) for c in commands if isinstance(c, ev.RemoveRules))


@pytest.fixture
def engine() -> Played:
    """Enabled, with its local MAC, one controller behind a resolved gateway."""
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)
    engine.handle(ev.LocalMacChanged(LOCAL_MAC), 0.0)
    engine.handle(ev.RemotesChanged(added=[CONTROLLER]), 0.0)
    engine.handle(NextHopFound(REMOTE, hop()), 0.0)
    engine.handle(NeighbourChanged(7, GATEWAY, GATEWAY_MAC), 0.1)
    return engine


def test_a_remote_gets_its_address_and_tcp_rules_before_anything_is_known_of_its_path() -> None:
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)

    commands = engine.handle(ev.RemotesChanged(added=[CONTROLLER]), 0.0)

    assert installed(commands) == "fghijk"
    assert ev.LookUpNextHop(REMOTE) in commands
    assert isinstance(commands[0], ev.InstallRules), "rules come before anything else happens"


def test_a_resolved_gateway_has_rules_for_its_address_and_its_mac(engine: Played) -> None:
    assert letters(engine.rules) == "abcdeffgghijjkk"


def test_a_remote_that_is_on_link_is_its_own_next_hop_and_shares_its_rules() -> None:
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)
    engine.handle(ev.RemotesChanged(added=[CONTROLLER]), 0.0)

    commands = engine.handle(NextHopFound(REMOTE, hop(REMOTE)), 0.0)

    assert installed(commands) == ""
    assert letters(engine.rules) == "fghijk"


@pytest.mark.parametrize("mac", [None, Mac(0)])
def test_an_unknown_local_mac_takes_a_b_c_away(engine: Played, mac: Mac | None) -> None:
    commands = engine.handle(ev.LocalMacChanged(mac), 1.0)

    assert removed(commands) == "abc"
    assert installed(commands) == ""


def test_a_new_local_mac_installs_before_it_removes_and_leaves_d_and_e_alone(engine: Played) -> None:
    commands = engine.handle(ev.LocalMacChanged(OTHER_MAC), 1.0)

    assert [type(c) for c in commands] == [ev.InstallRules, ev.RemoveRules]
    assert installed(commands) == removed(commands) == "abc"


def test_a_gateway_with_a_new_mac_moves_d_and_e_and_nothing_else(engine: Played) -> None:
    commands = engine.handle(NeighbourChanged(7, GATEWAY, OTHER_MAC), 1.0)

    assert [type(c) for c in commands] == [ev.InstallRules, ev.RemoveRules]
    assert installed(commands) == removed(commands) == "de"


def test_a_gateway_the_kernel_forgets_keeps_its_rules_for_the_hold_time_and_is_asked_for(engine: Played) -> None:
    commands = engine.handle(NeighbourChanged(7, GATEWAY, None), 1.0)

    assert removed(commands) == ""
    assert ev.SolicitNeighbour(7, GATEWAY) in commands
    assert removed(engine.handle(ev.TimePassed(), 1.0 + HOLD_S - 0.01)) == ""
    assert removed(engine.handle(ev.TimePassed(), 1.0 + HOLD_S)) == "de"


def test_a_gateway_that_comes_back_in_time_is_as_if_it_had_never_gone(engine: Played) -> None:
    engine.handle(NeighbourChanged(7, GATEWAY, None), 1.0)

    commands = engine.handle(NeighbourChanged(7, GATEWAY, GATEWAY_MAC), 2.0)

    assert commands == []
    assert removed(engine.handle(ev.TimePassed(), 1.0 + HOLD_S)) == ""


def test_a_route_to_another_gateway_keeps_the_old_ones_rules_until_the_new_mac_is_known(engine: Played) -> None:
    first = engine.handle(NextHopFound(REMOTE, hop(OTHER_GATEWAY)), 1.0)
    second = engine.handle(NeighbourChanged(7, OTHER_GATEWAY, OTHER_MAC), 1.1)

    assert installed(first) == "fgjk"
    assert removed(first) == ""
    assert ev.SolicitNeighbour(7, OTHER_GATEWAY) in first
    assert installed(second) == "de"
    assert removed(second) == "defgjk"
    assert isinstance(second[0], ev.InstallRules)


def test_a_route_that_goes_away_keeps_the_rules_for_the_hold_time(engine: Played) -> None:
    commands = engine.handle(NextHopFound(REMOTE, None), 1.0)

    assert removed(commands) == ""
    assert removed(engine.handle(ev.TimePassed(), 1.0 + HOLD_S - 0.01)) == ""
    assert removed(engine.handle(ev.TimePassed(), 1.0 + HOLD_S)) == "defgjk"


def test_a_gateway_known_before_the_remote_needs_no_question() -> None:
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)
    engine.handle(NeighbourChanged(7, GATEWAY, GATEWAY_MAC), 0.0)
    engine.handle(ev.RemotesChanged(added=[CONTROLLER]), 0.0)

    commands = engine.handle(NextHopFound(REMOTE, hop()), 0.0)

    assert installed(commands) == "defgjk"
    assert engine.next_deadline() == PLACES_S


def test_an_unresolved_next_hop_of_a_controller_is_asked_for_with_back_off_up_to_half_a_second() -> None:
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)
    engine.handle(ev.RemotesChanged(added=[CONTROLLER]), 0.0)
    engine.handle(NextHopFound(REMOTE, hop()), 0.0)

    gaps = []
    now = 0.0
    for _ in range(6):
        due = engine.next_deadline()
        assert due is not None
        commands = engine.handle(ev.TimePassed(), due)
        assert ev.ProbeNeighbour(7, GATEWAY) in commands
        gaps.append(round(due - now, 3))
        now = due

    assert gaps == [0.1, 0.2, 0.4, 0.5, 0.5, 0.5]


def test_many_managers_on_link_are_asked_for_at_a_bounded_pace() -> None:
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)
    managers = [
        ev.Remote(ip_address(f"10.0.{i // 250}.{i % 250 + 1}"), 6640, ev.RemoteKind.MANAGER) for i in range(1000)
    ]
    engine.handle(ev.RemotesChanged(added=managers), 0.0)
    questions = 0
    for manager in managers:
        engine.handle(NextHopFound(manager.address, hop(manager.address)), 0.0)

    while (due := engine.next_deadline()) is not None and due < 1.0:
        questions += sum(isinstance(c, ev.SolicitNeighbour) for c in engine.handle(ev.TimePassed(), due))

    assert 100 < questions <= 201


def test_a_silent_channel_makes_the_next_hop_be_probed_at_once_although_the_kernel_trusts_it(engine: Played) -> None:
    commands = engine.handle(ev.ChannelSilent(REMOTE), 5.0)

    assert ev.ProbeNeighbour(7, GATEWAY) in commands
    assert ev.LookUpNextHop(REMOTE) in commands
    assert engine.next_deadline() == pytest.approx(5.1)


def test_a_channel_that_is_alive_again_ends_the_questions(engine: Played) -> None:
    engine.handle(ev.ChannelSilent(REMOTE), 5.0)

    engine.handle(ev.ChannelAlive(REMOTE), 5.05)

    assert engine.next_deadline() == 0.1 + PLACES_S


def test_a_changed_route_asks_only_for_remotes_that_it_covers(engine: Played) -> None:
    elsewhere = engine.handle(RoutesChanged(ip_network("198.51.100.0/24")), 1.0)
    covering = engine.handle(RoutesChanged(ip_network("192.0.2.0/24")), 1.0)
    anything = engine.handle(RoutesChanged(None), 1.0)

    assert elsewhere == []
    assert covering == anything == [ev.LookUpNextHop(REMOTE)]


def test_a_second_remote_at_the_same_address_adds_only_its_tcp_rules_and_takes_only_them(engine: Played) -> None:
    engine.handle(ev.NetworksChanged(frozenset({ip_network("10.0.0.0/24")})), 0.5)
    came = engine.handle(ev.RemotesChanged(added=[MANAGER]), 1.0)
    gone = engine.handle(ev.RemotesChanged(removed=[MANAGER]), 2.0)

    assert installed(came) == "op"
    assert removed(gone) == "op"


def test_an_address_of_two_kinds_stays_until_both_are_gone(engine: Played) -> None:
    engine.handle(ev.NetworksChanged(frozenset({ip_network("10.0.0.0/24")})), 0.5)
    twice = ev.Remote(REMOTE, 6653, ev.RemoteKind.MANAGER)
    engine.handle(ev.RemotesChanged(added=[twice]), 1.0)

    first = engine.handle(ev.RemotesChanged(removed=[CONTROLLER]), 2.0)
    second = engine.handle(ev.RemotesChanged(removed=[twice]), 3.0)

    assert removed(first) == "hi"
    assert removed(second) == "deffggjjkkopu"
    assert letters(engine.rules) == "abc"


def test_the_queue_changes_in_place_and_touches_no_rule(engine: Played) -> None:
    before = engine.rules

    (command,) = engine.handle(ev.QueueChanged(3), 1.0)

    assert isinstance(command, ev.InstallRules)
    assert frozenset(command.rules) == before == engine.rules
    assert command.instructions == (ApplyActions((SetQueue(3), Output(NORMAL))),)


def test_turning_off_removes_exactly_its_rules(engine: Played) -> None:
    before = engine.rules

    (command,) = engine.handle(ev.InBandEnabled(False), 1.0)

    assert isinstance(command, ev.RemoveRules)
    assert frozenset(command.rules) == before
    assert engine.rules == frozenset()
    assert engine.handle(ev.TimePassed(), 1.0) == []


def test_turning_on_again_installs_them_again(engine: Played) -> None:
    before = engine.rules
    engine.handle(ev.InBandEnabled(False), 1.0)

    commands = engine.handle(ev.InBandEnabled(True), 1.1)

    assert frozenset(r for c in commands if isinstance(c, ev.InstallRules) for r in c.rules) == before
    assert engine.rules == before


def test_rules_that_a_table_did_not_give_up_are_removed_after_the_next_event(engine: Played) -> None:
    before = engine.rules
    engine.refuses = True
    engine.handle(ev.InBandEnabled(False), 1.0)
    engine.refuses = False

    (command,) = engine.handle(ev.TimePassed(), 1.1)

    assert isinstance(command, ev.RemoveRules)
    assert frozenset(command.rules) == before
    assert engine.handle(ev.TimePassed(), 1.2) == []


def test_rules_that_a_table_did_not_give_up_are_there_when_they_are_wanted_again(engine: Played) -> None:
    before = engine.rules
    engine.refuses = True
    engine.handle(ev.InBandEnabled(False), 1.0)
    engine.refuses = False

    assert engine.handle(ev.InBandEnabled(True), 1.1) == []
    assert engine.rules == before == engine.installed


def test_what_is_asked_comes_before_removals_which_may_fail(engine: Played) -> None:
    engine.handle(NeighbourChanged(7, GATEWAY, None), 1.0)

    commands = engine.handle(ev.TimePassed(), 1.0 + HOLD_S)

    kinds = [type(command) for command in commands]
    assert kinds == [ev.SolicitNeighbour, ev.ProbeNeighbour, ev.RemoveRules]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "224.0.0.1", "0.0.0.0"])
def test_there_are_never_rules_for_addresses_that_no_wire_carries(address: str) -> None:
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)

    commands = engine.handle(
        ev.RemotesChanged(added=[ev.Remote(ip_address(address), 6653, ev.RemoteKind.CONTROLLER)]), 0.0
    )

    assert commands == []


def test_priorities_follow_the_letters() -> None:
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)
    engine.handle(ev.LocalMacChanged(LOCAL_MAC), 0.0)

    priorities: dict[str, int] = {rule.letter: rule.priority for rule in engine.rules}

    assert priorities == {"a": 180000, "b": 180001, "c": 180002}
    assert all(isinstance(rule, InBandRule) for rule in engine.rules)


def test_a_next_hop_that_a_controller_needs_is_looked_after_before_switches_forget_its_place(engine: Played) -> None:
    looked = engine.handle(ev.TimePassed(), 0.1 + PLACES_S)

    assert looked == [ev.ConfirmPlace(7, GATEWAY, GATEWAY_MAC)]
    assert engine.next_deadline() == 0.1 + 2 * PLACES_S


def test_a_next_hop_that_only_managers_need_is_not() -> None:
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)
    engine.handle(ev.RemotesChanged(added=[MANAGER]), 0.0)
    engine.handle(NextHopFound(REMOTE, hop()), 0.0)
    engine.handle(NeighbourChanged(7, GATEWAY, GATEWAY_MAC), 0.1)

    assert engine.next_deadline() is None


def test_a_next_hop_to_which_a_packet_was_flooded_is_asked_for_at_once_and_not_by_every_packet(engine: Played) -> None:
    first = engine.handle(ev.PlaceLost(GATEWAY_MAC), 5.0)
    soon = engine.handle(ev.PlaceLost(GATEWAY_MAC), 5.0 + URGENT_FIRST_S / 2)
    later = engine.handle(ev.PlaceLost(GATEWAY_MAC), 5.01 + URGENT_FIRST_S)
    other = engine.handle(ev.PlaceLost(OTHER_MAC), 5.0)

    assert first == later == [ev.ProbeNeighbour(7, GATEWAY)]
    assert soon == other == []


def test_another_vlan_makes_other_rules_of_all_before_the_old_ones_go(engine: Played) -> None:
    before = engine.rules

    commands = engine.handle(ev.ControlVlanChanged(10), 1.0)
    back = engine.handle(ev.ControlVlanChanged(None), 2.0)

    assert [type(command) for command in commands] == [ev.InstallRules, ev.RemoveRules]
    assert installed(commands) == removed(commands) == letters(before)
    assert engine.rules == before
    assert removed(back) == letters(before)
    assert engine.handle(ev.ControlVlanChanged(None), 3.0) == []
