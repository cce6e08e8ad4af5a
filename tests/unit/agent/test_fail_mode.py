"""Transcripts of the fail mode machine."""

from __future__ import annotations

from inband.agent.fail_mode import FailMode, FailModeCommand, FailModeConfig, Forwarding

STANDALONE = FailModeConfig(is_secure=False, has_controllers=True)
SECURE = FailModeConfig(is_secure=True, has_controllers=True)
UNCONTROLLED = FailModeConfig(is_secure=False, has_controllers=False)

ENTER, LEAVE = FailModeCommand.ENTER_STANDALONE, FailModeCommand.LEAVE_STANDALONE
ADD, REMOVE = FailModeCommand.ADD_DEFAULT_FLOW, FailModeCommand.REMOVE_DEFAULT_FLOW


def test_a_switch_without_controllers_forwards_at_once_by_a_visible_flow() -> None:
    machine = FailMode()

    assert machine.configure(UNCONTROLLED, 0.0) == [ADD]
    assert machine.forwarding is Forwarding.STANDALONE
    assert machine.next_deadline() is None


def test_a_secure_switch_without_controllers_forwards_nothing() -> None:
    machine = FailMode()

    assert machine.configure(FailModeConfig(is_secure=True, has_controllers=False), 0.0) == []
    assert machine.forwarding is Forwarding.SECURE


def test_a_standalone_switch_waits_three_probe_intervals_for_its_controller() -> None:
    machine = FailMode()

    assert machine.configure(STANDALONE, 100.0) == []
    assert machine.next_deadline() == 115.0
    assert machine.run(114.9) == []
    assert machine.run(115.0) == [ENTER]
    assert machine.forwarding is Forwarding.STANDALONE
    assert machine.next_deadline() is None


def test_a_controller_that_comes_back_ends_standing_alone_and_patience_starts_anew_when_it_goes() -> None:
    machine = FailMode()
    machine.configure(STANDALONE, 0.0)
    machine.run(15.0)

    assert machine.set_connected(True, 20.0) == []
    assert machine.set_managed(20.1) == [LEAVE]
    assert machine.forwarding is Forwarding.CONTROLLER
    assert machine.run(1000.0) == []
    assert machine.set_connected(False, 1000.0) == []
    assert machine.next_deadline() == 1015.0


def test_a_controller_that_accepts_and_dies_every_second_does_not_end_standing_alone() -> None:
    machine = FailMode()
    machine.configure(STANDALONE, 0.0)

    commands = []
    for second in range(60):
        commands += machine.set_connected(True, second + 0.1)
        commands += machine.set_connected(False, second + 0.9)

    assert commands == [ENTER]
    assert machine.forwarding is Forwarding.STANDALONE


def test_a_controller_that_stays_and_says_nothing_is_one() -> None:
    machine = FailMode()
    machine.configure(STANDALONE, 0.0)
    machine.run(15.0)
    machine.set_connected(True, 20.0)

    assert machine.next_deadline() == 50.0
    assert machine.run(49.9) == []
    assert machine.run(50.0) == [LEAVE]


def test_a_switch_does_not_begin_to_stand_alone_while_a_controller_is_connected() -> None:
    machine = FailMode()
    machine.configure(STANDALONE, 0.0)
    machine.set_connected(True, 10.0)

    assert machine.next_deadline() is None
    assert machine.run(20.0) == []
    assert machine.forwarding is Forwarding.CONTROLLER
    assert machine.set_connected(False, 20.0) == [ENTER]


def test_a_session_that_managed_restarts_the_patience() -> None:
    machine = FailMode()
    machine.configure(STANDALONE, 0.0)
    machine.set_connected(True, 10.0)
    machine.set_managed(10.5)

    machine.set_connected(False, 20.0)

    assert machine.next_deadline() == 35.0


def test_a_second_report_that_no_controller_is_there_does_not_prolong_the_patience() -> None:
    machine = FailMode()
    machine.configure(STANDALONE, 0.0)

    machine.set_connected(False, 10.0)

    assert machine.next_deadline() == 15.0


def test_a_secure_switch_never_stands_alone() -> None:
    machine = FailMode()
    machine.configure(SECURE, 0.0)

    assert machine.next_deadline() is None
    assert machine.run(1e9) == []
    assert machine.forwarding is Forwarding.SECURE


def test_a_switch_made_secure_while_alone_stops_forwarding() -> None:
    machine = FailMode()
    machine.configure(STANDALONE, 0.0)
    machine.run(15.0)

    assert machine.configure(SECURE, 16.0) == [LEAVE]


def test_the_last_controller_removed_while_alone_leaves_no_moment_without_forwarding() -> None:
    machine = FailMode()
    machine.configure(STANDALONE, 0.0)
    machine.run(15.0)

    assert machine.configure(UNCONTROLLED, 16.0) == [ADD, LEAVE]


def test_the_first_controller_takes_the_default_flow_away_and_gets_the_whole_patience() -> None:
    machine = FailMode()
    machine.configure(UNCONTROLLED, 0.0)

    assert machine.configure(STANDALONE, 50.0) == [REMOVE]
    assert machine.next_deadline() == 65.0


def test_patience_follows_the_probe_interval_and_has_one_even_without_probes() -> None:
    machine = FailMode()

    machine.configure(FailModeConfig(is_secure=False, has_controllers=True, probe_interval_s=1.0), 0.0)
    assert machine.next_deadline() == 3.0

    machine.configure(FailModeConfig(is_secure=False, has_controllers=True, probe_interval_s=0.0), 0.0)
    assert machine.next_deadline() == 15.0
