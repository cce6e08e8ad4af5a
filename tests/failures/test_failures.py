"""Random failures and repairs in random networks: who has a path is connected, and nothing goes round.

`make failures` plays a thousand networks of two hundred switches and a hundred failures each; `ARGS="--seeds 10"` for
fewer.
"""

from __future__ import annotations

from functools import cache

import pytest

from inband.packet.frame import Frame
from inband.pipeline.storm import WINDOW_S
from inband.sim.graphs import Graph, GraphNetwork, build
from tests.failures.play import Outcome, Watch, play

SWITCHES, FAILURES = 10, 20
SEEDS = range(20)


@cache
def _outcome(seed: int) -> Outcome:
    return play(seed, SWITCHES, FAILURES)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_switch_with_a_path_is_connected_in_the_end_and_no_broadcast_comes_again(seed: int) -> None:
    outcome = _outcome(seed)

    assert outcome.lost == []
    assert outcome.repeats == []


def test_no_frame_goes_round() -> None:
    assert [seed for seed in SEEDS if _outcome(seed).loops] == []


def _triangle() -> tuple[GraphNetwork, Watch]:
    """Three switches in a ring, which do not run: frames go where the test sends them."""
    made = build(Graph((("s1", "s2"), ("s2", "s3"), ("s3", "s1"), ("s1", "h1"))))
    return made, Watch(made)


def _send(made: GraphNetwork, link: int, data: bytes) -> None:
    made.links[link].one.transmit(Frame(data))
    made.net.run(0.001)


def test_a_frame_that_goes_round_is_noticed() -> None:
    made, watch = _triangle()
    data = bytes(60)

    for link in (0, 1, 2):
        _send(made, link, data)
    assert watch.outcome.loops == []
    _send(made, 0, data)

    assert len(watch.outcome.loops) == 1


def test_another_frame_of_the_same_bytes_and_a_second_copy_by_another_way_are_no_loop() -> None:
    made, watch = _triangle()

    for link in (0, 1, 2, 0):
        _send(made, link, bytes(bytearray(60)))
    data = bytes(bytearray(60))
    _send(made, 0, data)
    _send(made, 1, data)
    _send(made, 1, data)

    assert watch.outcome.loops == []


def test_a_broadcast_that_comes_again_while_guards_remember_it_is_noticed() -> None:
    made, watch = _triangle()
    first, second, third = (b"\xff" * 6 + bytes(bytearray(54)) for _ in range(3))

    _send(made, 0, first)
    made.net.run(WINDOW_S)
    _send(made, 0, second)
    assert watch.outcome.repeats == []
    _send(made, 0, third)

    assert len(watch.outcome.repeats) == 1
