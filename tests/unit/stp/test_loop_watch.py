"""Loops where no spanning tree runs: when probes are sent, and what of them that come back is believed."""

from __future__ import annotations

from itertools import count

from inband.flow.ports import PortNo
from inband.stp.loop_watch import GONE_S, MOVES, PROBE_S, Loop, LoopWatch, probe_frame, probe_number
from inband.vocabulary.addresses import Mac

ONE, TWO = PortNo(1), PortNo(2)


def watch() -> LoopWatch:
    numbers = count(1)
    return LoopWatch(lambda size: next(numbers).to_bytes(size, "big"))


def suspicious() -> LoopWatch:
    """A watch that has seen hosts move."""
    made = watch()
    for _ in range(MOVES):
        made.host_moved(10.0)
    return made


def test_a_probe_is_told_from_other_frames() -> None:
    frame = probe_frame(b"12345678", Mac(1))

    assert probe_number(frame) == b"12345678"
    assert probe_number(frame[:12] + b"\x08\x00" + frame[14:]) is None
    assert probe_number(b"") is None


def test_an_idle_switch_sends_nothing_and_a_host_that_moves_is_no_sign() -> None:
    made = watch()

    for second in range(100):
        made.host_moved(float(second))

    assert made.next_deadline() is None


def test_hosts_that_move_all_the_time_are_the_sign() -> None:
    assert suspicious().next_deadline() == 10.0


def test_signs_alone_cause_no_more_than_a_round_a_second() -> None:
    made = suspicious()
    made.send((ONE, TWO), 10.0)

    for _ in range(100):
        made.host_moved(10.1)

    assert made.next_deadline() == 10.0 + PROBE_S


def test_a_probe_that_comes_back_names_both_ports() -> None:
    made = suspicious()
    (_, number), _ = made.send((ONE, TWO), 10.0)

    assert made.receive(TWO, number, 10.1)

    assert made.loops == {Loop(ONE, TWO)}


def test_a_number_that_was_not_sent_is_someone_elses() -> None:
    made = suspicious()
    made.send((ONE, TWO), 10.0)

    assert not made.receive(TWO, b"guessed!", 10.1)
    assert made.loops == frozenset()


def test_a_loop_is_probed_on_and_gone_when_nothing_comes_back() -> None:
    made = suspicious()
    (_, number), _ = made.send((ONE, TWO), 10.0)
    made.receive(TWO, number, 10.1)

    assert made.next_deadline() == 10.1 + PROBE_S
    made.send((ONE, TWO), 11.1)
    made.expire(10.1 + GONE_S)
    made.send((ONE, TWO), 14.0)

    assert made.loops == frozenset()
    assert made.next_deadline() is None


def test_an_old_number_is_worth_nothing() -> None:
    made = suspicious()
    (_, number), _ = made.send((ONE, TWO), 10.0)

    made.send((ONE, TWO), 10.0 + GONE_S)

    assert not made.receive(TWO, number, 20.0)
