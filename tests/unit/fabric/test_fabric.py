"""Neighbours find each other, lose each other, and tell others of it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from inband.fabric import events as ev
from inband.fabric.changes import IN_ALL, PER_PORT
from inband.fabric.events import LinkState
from inband.fabric.fabric import TOGETHER, Fabric
from inband.fabric.hello import Change, Hello, body_of, decode, encode, frame
from inband.fabric.link import ALERT_S, FAST_MS, IDLE_MS, MAX_BACK_OFF, MISSED, QUIET_MS
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac
from tests.unit.fabric.pair import P1, P2, Row

SOURCE = Mac(0x0200000000AA)


def fast_pair() -> Row:
    """Two switches with control traffic on the link between them."""
    row = Row(2)
    row.carry_control((1, P1))
    row.run(2.0)
    return row


def hello_to(row: Row, at: int, **changes: object) -> Hello:
    """A hello as the real neighbour of a switch would say it next, with something else in it."""
    peer = row.link(at).peer
    assert peer is not None
    return replace(peer, sequence=peer.sequence + 1, **changes)  # type: ignore[arg-type]


def receive(row: Row, at: int, hello: Hello) -> None:
    row.tell(at, ev.FrameReceived(P1, frame(encode(hello), SOURCE)))


def test_two_switches_know_each_other_a_moment_after_the_link_is_up() -> None:
    row = Row(2)

    row.run(0.05)

    assert (row.state(0, P2), row.state(1)) == (LinkState.TWO_WAY, LinkState.TWO_WAY)
    assert (row.link(0, P2).peer.switch, row.link(1).peer.switch) == (2, 1)  # type: ignore[union-attr]
    assert row.state(1, P2) is LinkState.UNKNOWN, "no one is there"


def test_a_host_hears_one_frame_a_second_and_soon_less() -> None:
    row = Row(1)

    row.run(10.0)
    first = row.link(0).counters.sent
    row.run(50.0)

    assert first <= 11
    assert row.link(0).counters.sent - first <= 11


def test_a_thousand_ports_say_hello_in_several_turns_the_most_overdue_first() -> None:
    fabric, ports = Fabric(1, Random(1)), [PortNo(number) for number in range(1, 1001)]
    for at, port in enumerate(ports):
        fabric.handle(ev.PortChanged(port, True, Mac(2 + port)), -1e-6 * (at % 7))
    turns: list[list[PortNo]] = []
    while (due := fabric.next_deadline()) is not None and due <= 0.5:
        sent = [each.port for each in fabric.handle(ev.TimePassed(), 0.5) if isinstance(each, ev.Send)]
        turns.append(sent)

    assert max(map(len, turns)) <= TOGETHER
    assert sorted(port for turn in turns for port in turn) == ports
    assert {(port - 1) % 7 for port in turns[0]} == {6}


def test_hellos_are_frequent_where_control_passes_and_rare_elsewhere() -> None:
    row = fast_pair()
    before = row.link(0, P2).counters.received

    row.run(1.0)
    fast = row.link(0, P2).counters.received - before
    row.carry_control()
    row.run(15.0)
    before = row.link(0, P2).counters.received
    row.run(10.0)

    assert 1000 / FAST_MS - 1 <= fast <= 1000 / FAST_MS * 1.2
    assert 9 <= row.link(0, P2).counters.received - before <= 12
    assert row.state(0, P2) is row.state(1) is LinkState.TWO_WAY, "it became slower, and was not lost"
    assert row.link(0, P2).counters.alarms == row.link(1).counters.alarms == 0


def quiet_pair() -> Row:
    """As ``fast_pair``, but little control traffic passes."""
    row = fast_pair()
    row.tell(1, ev.ControlPortsChanged(frozenset((P1,)), quiet=frozenset((P1,))))
    row.run(ALERT_S + 1.0)
    return row


def hellos_in(row: Row, seconds: float) -> int:
    """How many of each end come in a time."""
    before = row.link(1).counters.received
    row.run(seconds)
    return row.link(1).counters.received - before


def test_hellos_are_half_as_frequent_where_little_control_passes() -> None:
    row = quiet_pair()

    assert hellos_in(row, 10.0) == pytest.approx(10_000 / QUIET_MS, rel=0.05)

    row.tell(1, ev.ControlPortsChanged(frozenset((P1,))))
    row.run(0.1)
    assert hellos_in(row, 10.0) == pytest.approx(10_000 / FAST_MS, rel=0.05), "much passes now"


def test_hellos_are_frequent_everywhere_for_a_while_after_a_change() -> None:
    row = quiet_pair()

    receive(row, 1, hello_to(row, 1, changes=(Change(99, 1, 1, 8),)))
    row.run(0.1)

    assert hellos_in(row, ALERT_S - 1.0) == pytest.approx(1000 * (ALERT_S - 1.0) / FAST_MS, rel=0.05)
    row.run(2.0)
    assert hellos_in(row, 10.0) == pytest.approx(10_000 / QUIET_MS, rel=0.05), "nothing else has changed"


def test_a_quiet_link_is_lost_after_three_of_its_hellos() -> None:
    row = quiet_pair()
    row.dead = {(0, 1), (1, 0)}

    row.run(MISSED * QUIET_MS / 1000 - QUIET_MS / 1000)
    assert row.state(1) is LinkState.TWO_WAY
    row.run(QUIET_MS / 1000 + 0.01)

    assert (row.state(0, P2), row.state(1)) == (LinkState.LOST, LinkState.LOST)


def test_a_neighbour_that_falls_silent_is_lost_after_three_hellos() -> None:
    row = fast_pair()
    row.dead = {(0, 1), (1, 0)}

    row.run((MISSED - 1) * FAST_MS / 1000)
    before = row.state(1)
    row.run(0.03)

    assert before is LinkState.TWO_WAY
    assert row.state(0, P2) is row.state(1) is LinkState.LOST
    assert row.commands(1, ev.ForgetPlaces) == 1
    assert row.commands(1, ev.AskNextHops) >= 1


def test_a_link_that_works_in_one_direction_is_lost_on_both_ends() -> None:
    row = fast_pair()
    row.dead = {(0, 1)}

    row.run(0.1)

    assert row.state(1) is LinkState.LOST
    assert row.state(0, P2) is not LinkState.TWO_WAY


@pytest.mark.parametrize("delay_s", [0.005, 0.015, 0.02, 0.05, 0.1])
def test_one_loss_is_not_taken_for_others_again_and_again_where_frames_are_slow(delay_s: float) -> None:
    row = fast_pair()
    row.delay_s = delay_s
    row.run(0.5)
    row.dead = {(0, 1)}

    row.run(0.08)
    row.dead.clear()
    row.run(1.0)

    assert row.link(1).counters.alarms in (1, 2), "it was silent, or so it seemed"
    assert row.link(0, P2).counters.alarms <= 2
    assert row.state(0, P2) is row.state(1) is LinkState.TWO_WAY


def test_an_idle_link_is_lost_after_three_seconds() -> None:
    row = Row(2)
    row.run(2.0)
    row.dead = {(0, 1), (1, 0)}

    row.run(MISSED * IDLE_MS / 1000 - 1.1)
    before = row.state(1)
    row.run(1.2)

    assert (before, row.state(1)) == (LinkState.TWO_WAY, LinkState.LOST)


def test_a_link_that_goes_down_is_lost_at_once_and_back_when_it_is_up() -> None:
    row = fast_pair()

    row.tell(1, ev.PortChanged(P1, False, SOURCE))
    lost = row.state(1)
    row.tell(1, ev.PortChanged(P1, True, SOURCE))
    row.run(0.1)

    assert lost is LinkState.LOST
    assert row.state(1) is LinkState.TWO_WAY


def test_who_stalls_itself_takes_no_one_for_lost() -> None:
    row = fast_pair()

    row.run(0.3, stalled=frozenset({1}))
    row.run(0.001)

    assert row.state(1) is LinkState.TWO_WAY
    assert row.link(1).counters.alarms == 0


def test_a_stalled_neighbour_is_lost_and_back_with_its_first_word_and_then_is_borne_longer() -> None:
    row = fast_pair()
    alarms = []

    for _ in range(4):
        row.run(0.15, stalled=frozenset({0}))
        alarms.append(row.link(1).counters.alarms)
        row.run(0.05)
        back = row.state(1)
        row.run(1.5)

        assert back is LinkState.TWO_WAY

    assert alarms == [1, 2, 2, 2], "after two false alarms it may be silent for four times as long"


def test_patience_is_bounded_and_peace_takes_it_back() -> None:
    row = fast_pair()
    for _ in range(12):
        row.run(1.5, stalled=frozenset({0}))
        row.run(1.0)
    patient = row.link(1).wanted_ms(row.now)

    row.run(600.0)

    assert FAST_MS < patient <= FAST_MS * MAX_BACK_OFF
    assert row.link(1).wanted_ms(row.now) == FAST_MS


def test_who_is_joined_hears_of_a_loss_and_asks_a_moment_later() -> None:
    row = Row(6)
    row.run(2.0)

    row.tell(3, ev.PortChanged(P2, False, SOURCE))
    row.run(0.002)
    asked_at_once = [row.commands(at, ev.AskNextHops) for at in range(6)]
    row.run(0.008)

    assert [row.commands(at, ev.DoubtPlaces) for at in range(6)] == [1, 1, 1, 1, 0, 0]
    assert asked_at_once == [0] * 6
    assert [row.commands(at, ev.AskNextHops) for at in range(6)] == [1, 1, 1, 1, 0, 0]


def test_a_change_is_passed_on_once_and_to_everyone() -> None:
    row = Row(6)
    row.run(2.0)
    before = row.sent

    receive(row, 1, hello_to(row, 1, changes=(Change(77, 1, 1, 64),)))
    row.run(0.01)
    asked = [row.commands(at, ev.AskNextHops) for at in range(1, 6)]
    receive(row, 1, hello_to(row, 1, changes=(Change(77, 1, 1, 64),)))
    row.run(0.03)

    assert [row.commands(at, ev.DoubtPlaces) for at in range(1, 6)] == [1] * 5
    assert asked == [1] * 5
    assert row.sent - before <= 20


def test_a_change_goes_no_further_than_it_says() -> None:
    row = Row(6)
    row.run(2.0)

    receive(row, 1, hello_to(row, 1, changes=(Change(77, 1, 1, 2),)))
    row.run(0.02)

    assert [row.commands(at, ev.DoubtPlaces) for at in range(6)] == [0, 1, 1, 0, 0, 0]


def test_a_liar_has_few_questions_asked() -> None:
    row = Row(2)
    row.run(2.0)

    for number in range(100):
        receive(row, 1, hello_to(row, 1, changes=(Change(1000 + number, 1, 1, 64),)))
        row.run(0.01)

    assert row.commands(1, ev.DoubtPlaces) <= 2 * PER_PORT
    assert row.fabrics[1].changes.refused > 80
    assert PER_PORT < IN_ALL


def test_a_flood_is_cut_off_and_named() -> None:
    row = fast_pair()

    for _ in range(1000):
        receive(row, 1, hello_to(row, 1))

    assert row.link(1).counters.flooded > 900
    assert row.link(1).remark == "a neighbour floods"


def test_an_old_message_that_comes_again_counts_for_nothing() -> None:
    row = fast_pair()
    old = row.link(1).peer
    assert old is not None
    row.run(0.1)
    received = row.link(1).counters.received

    receive(row, 1, old)

    assert row.link(1).counters.received == received
    assert row.link(1).counters.ignored == 1


def test_a_second_neighbour_on_a_port_does_not_push_the_first_one_out() -> None:
    row = fast_pair()

    receive(row, 1, hello_to(row, 1, switch=99, boot=5))

    assert row.link(1).peer.switch == 1  # type: ignore[union-attr]
    assert row.link(1).remark == "a second neighbour is on this port: 0000000000000063"


def test_two_switches_with_one_id_are_named_on_both() -> None:
    row = Row(2, ids=(7, 7))
    row.run(2.0)

    assert row.state(1) is LinkState.UNKNOWN
    for remark in (row.link(0, P2).remark, row.link(1).remark):
        assert remark == "another switch has the datapath id of this one: 0000000000000007"


def test_garbage_is_counted_and_named_and_harms_nothing() -> None:
    row = fast_pair()

    for data in (b"", bytes(14), bytes(14) + b"inbN", bytes(14) + b"inbN\x09" + bytes(40)):
        row.tell(1, ev.FrameReceived(P1, data))

    assert row.link(1).counters.malformed == 2
    assert row.fabrics[1].foreign == 2
    assert "version 9" in str(row.link(1).remark)
    assert row.state(1) is LinkState.TWO_WAY


def test_a_restarted_neighbour_is_known_again_and_nothing_is_forgotten() -> None:
    row = fast_pair()

    receive(row, 1, hello_to(row, 1, boot=123, heard=None))

    assert row.state(1) is LinkState.HEARD
    assert row.commands(1, ev.ForgetPlaces) == 0


@pytest.mark.parametrize("jump_s", [-5000.0, 5000.0])
def test_a_clock_that_jumps_costs_no_more_than_one_alarm(jump_s: float) -> None:
    row = fast_pair()

    row.now += jump_s
    row.tell(1, ev.TimePassed())
    row.tell(0, ev.TimePassed())
    for _ in range(3):
        row.run(1.0)

    assert row.link(1).counters.alarms <= 1


def test_the_round_trip_and_what_is_missing_are_measured() -> None:
    row = fast_pair()
    row.dead = {(0, 1)}
    row.run(0.03)
    row.dead.clear()
    row.run(0.5)

    assert row.link(1).counters.missing in (1, 2)
    assert row.link(1).round_trip_s == pytest.approx(0.0002, abs=0.00005)


def test_local_is_introduced_to_neighbours() -> None:
    row = Row(2)
    row.tell(0, ev.LocalChanged(SOURCE, ()))
    seen: list[Hello] = []
    for command in row.fabrics[0].handle(ev.PortChanged(P2, True, SOURCE), row.now + 0.02):
        assert isinstance(command, ev.Send)
    for command in row.fabrics[0].handle(ev.TimePassed(), row.now + 0.02):
        assert isinstance(command, ev.Send)
        body = body_of(command.data)
        hello = None if body is None else decode(body)
        assert hello is not None
        seen.append(hello)

    assert [hello.mac for hello in seen] == [SOURCE] * 2
