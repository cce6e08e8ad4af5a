"""Transcripts of the reconnect machine: what is reported at which second, and what it answers."""

from __future__ import annotations

import pytest

from inband.openflow.reconnect import MOST_AT_ONCE, Dial, DialAgain, Event, HangUp, InvalidTransition, Reconnect, State


def play(machine: Reconnect, script: str) -> list[str]:
    """Run lines of ``time event`` (``run`` for the clock alone) and write down ``time state commands``."""
    transcript = []
    for line in script.strip().splitlines():
        time, _, word = line.strip().partition(" ")
        now = float(time)
        commands = machine.run(now) if word == "run" else machine.handle(Event(word), now, word)
        said = " ".join("dial" if isinstance(command, Dial) else "hang-up" for command in commands)
        transcript.append(f"{time} {machine.state.value} {said}".strip())
    return transcript


def test_an_enabled_target_is_dialled_at_once_and_becomes_active() -> None:
    machine = Reconnect()

    transcript = play(machine, "0.0 enabled\n0.01 connected\n0.02 negotiated")

    assert transcript == ["0.0 connecting dial", "0.01 negotiating", "0.02 active"]
    assert machine.is_connected
    assert machine.next_deadline() is None


def test_attempts_that_get_no_answer_are_bounded_and_grow() -> None:
    machine = Reconnect()
    machine.handle(Event.ENABLED, 0.0)
    ends: list[float] = []

    while len(ends) < 7:
        now = machine.next_deadline()
        assert now is not None
        started = machine.since
        if HangUp("took too long") in machine.run(now):
            ends.append(round(now - started, 3))

    assert ends == [1.5, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]


def test_an_attempt_without_an_answer_is_tried_once_more_beside_it_before_the_kernel_would() -> None:
    machine = Reconnect()
    machine.handle(Event.ENABLED, 0.0)

    assert machine.next_deadline() == 0.5
    assert machine.run(0.5) == [DialAgain()]
    assert machine.next_deadline() == 1.5


def test_a_peer_that_was_slow_before_gets_the_time_it_took() -> None:
    machine = Reconnect()
    play(machine, "0 enabled\n0.5 run\n1.4 connected\n1.5 negotiated\n9 disconnected\n9.1 run\n9.6 run")

    assert machine.next_deadline() == pytest.approx(9.6 + 2.8)


def test_refused_attempts_back_off_from_a_tenth_of_a_second_to_eight() -> None:
    machine = Reconnect()
    machine.handle(Event.ENABLED, 0.0)
    now, waits = 0.0, []

    for _ in range(9):
        machine.handle(Event.FAILED, now, "connection refused")
        deadline = machine.next_deadline()
        assert deadline is not None
        waits.append(round(deadline - now, 3))
        now = deadline
        machine.run(now)

    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0]
    assert machine.last_error == "connection refused"


def test_a_peer_that_accepts_and_drops_at_once_is_dialled_at_the_pace_of_the_back_off() -> None:
    machine = Reconnect()

    transcript = play(
        machine,
        """0.0 enabled
        0.0 connected
        0.0 disconnected
        0.1 run
        0.1 connected
        0.1 negotiated
        0.2 disconnected
        0.3 run
        0.4 run""",
    )

    assert transcript[2:] == [
        "0.0 backoff",
        "0.1 connecting dial",
        "0.1 negotiating",
        "0.1 active",
        "0.2 backoff",
        "0.3 backoff",
        "0.4 connecting dial",
    ]


def test_a_stable_connection_starts_the_back_off_from_the_bottom() -> None:
    machine = Reconnect()
    play(machine, "0 enabled\n0 failed\n0.1 run\n0.1 failed\n0.31 run\n0.31 failed")
    play(machine, "0.72 run\n0.72 connected\n0.72 negotiated")

    machine.handle(Event.DISCONNECTED, 5.0, "closed by peer")

    assert machine.next_deadline() == pytest.approx(5.1)


def test_news_from_the_network_ends_the_wait_at_once() -> None:
    machine = Reconnect()
    play(machine, "0 enabled\n0 failed\n0.1 run\n0.1 failed\n0.31 run\n0.31 failed")

    commands = machine.handle(Event.NETWORK_CHANGED, 0.45)

    assert commands == [Dial()]
    assert machine.state is State.CONNECTING


def test_news_from_the_network_dials_again_at_once_and_cuts_no_attempt_short() -> None:
    machine = Reconnect()
    machine.handle(Event.ENABLED, 0.0)

    first = machine.handle(Event.NETWORK_CHANGED, 0.3)

    assert first == [DialAgain()]
    assert machine.since == 0.0
    assert machine.next_deadline() == pytest.approx(1.3)


def test_a_stream_of_news_tries_few_connections_side_by_side_and_keeps_none_of_them_for_ever() -> None:
    machine = Reconnect()
    machine.handle(Event.ENABLED, 0.0)

    commands = [command for tick in range(130) for command in machine.handle(Event.NETWORK_CHANGED, tick / 100)]

    assert commands.count(DialAgain()) == MOST_AT_ONCE - 1
    assert commands.count(HangUp("took too long")) == 1


def test_an_attempt_that_has_just_begun_gets_its_least_time_whatever_the_network_says() -> None:
    machine = Reconnect()
    machine.handle(Event.ENABLED, 0.0)

    assert [machine.handle(Event.NETWORK_CHANGED, now / 100) for now in range(10)] == [[]] * 10
    assert machine.next_deadline() == pytest.approx(0.1)
    assert machine.run(0.1) == [DialAgain()]


def test_a_stream_of_news_dials_a_peer_that_refuses_at_most_ten_times_a_second() -> None:
    machine = Reconnect()
    machine.handle(Event.ENABLED, 0.0)

    for millisecond in range(1000):
        machine.handle(Event.NETWORK_CHANGED, millisecond / 1000)
        if machine.state is State.CONNECTING:
            machine.handle(Event.FAILED, millisecond / 1000, "connection refused")

    assert machine.attempts <= 11


def test_news_from_the_network_hurries_one_attempt_only() -> None:
    machine = Reconnect()
    machine.handle(Event.ENABLED, 0.0)
    machine.handle(Event.NETWORK_CHANGED, 0.3)

    machine.handle(Event.FAILED, 0.31, "connection refused")
    machine.run(0.41)
    machine.handle(Event.FAILED, 0.42, "connection refused")

    assert machine.state is State.BACKOFF
    assert machine.next_deadline() == pytest.approx(0.62)


def test_news_from_the_network_leaves_a_connection_alone() -> None:
    machine = Reconnect()
    play(machine, "0 enabled\n0 connected\n0 negotiated")

    assert machine.handle(Event.NETWORK_CHANGED, 1.0) == []
    assert machine.state is State.ACTIVE


def test_a_probed_connection_is_idle_until_it_is_heard_again() -> None:
    machine = Reconnect()
    play(machine, "0 enabled\n0 connected\n0 negotiated")

    transcript = play(machine, "5 went idle\n5 went idle\n6 heard\n11 went idle\n16 disconnected")

    assert transcript == ["5 idle", "5 idle", "6 active", "11 idle", "16 backoff"]


def test_a_disabled_target_hangs_up_and_waits_for_nothing() -> None:
    machine = Reconnect()
    play(machine, "0 enabled\n0 connected\n0 negotiated")

    commands = machine.handle(Event.DISABLED, 1.0, "controller removed")

    assert commands == [HangUp("controller removed")]
    assert machine.state is State.VOID
    assert machine.next_deadline() is None


def test_a_target_disabled_during_back_off_has_nothing_to_hang_up() -> None:
    machine = Reconnect()
    play(machine, "0 enabled\n0 failed")

    assert machine.handle(Event.DISABLED, 0.05) == []
    assert machine.state is State.VOID


@pytest.mark.parametrize(
    ("state_script", "event"),
    [
        ("", Event.CONNECTED),
        ("", Event.DISCONNECTED),
        ("0 enabled", Event.NEGOTIATED),
        ("0 enabled", Event.ENABLED),
        ("0 enabled\n0 failed", Event.CONNECTED),
        ("0 enabled\n0 connected", Event.FAILED),
    ],
)
def test_an_event_that_cannot_happen_is_a_named_error(state_script: str, event: Event) -> None:
    machine = Reconnect()
    play(machine, state_script)

    with pytest.raises(InvalidTransition, match=event.value):
        machine.handle(event, 1.0)
