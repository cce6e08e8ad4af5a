"""Which decisions are cached while frames wait: those that are asked for a second time."""

from __future__ import annotations

import pytest

from inband.bridge.admission import Admission
from inband.flow.actions import ApplyActions, Output
from inband.flow.match import Match
from inband.flow.ports import NORMAL
from inband.packet.frame import Frame
from inband.testing import packets
from inband.vocabulary.instant import Instant
from tests.unit.bridge.test_groups import Stage

T0 = Instant(0.0)


def test_a_match_is_known_from_its_second_time_on() -> None:
    admission = Admission()

    known = [admission.is_known(Match.of(in_port=port), T0) for port in (1, 2, 1, 1, 2)]

    assert known == [False, False, True, True, True]
    assert not admission.is_known(Match.of(in_port=(1, 3)), T0)


def test_the_latest_are_remembered_and_older_ones_forgotten() -> None:
    admission = Admission(generation=10)
    for port in range(25):
        admission.is_known(Match.of(in_port=port), T0)

    assert admission.is_known(Match.of(in_port=24), T0)
    assert admission.is_known(Match.of(in_port=10), T0)
    assert not admission.is_known(Match.of(in_port=9), T0)


def test_what_was_asked_two_generations_ago_is_forgotten_however_few_came_since() -> None:
    admission = Admission(generation_s=10.0)
    for port, at in ((1, 0.0), (2, 9.0), (3, 10.0), (1, 19.0)):
        admission.is_known(Match.of(in_port=port), Instant(at))

    assert admission.is_known(Match.of(in_port=1), Instant(29.0))
    assert not admission.is_known(Match.of(in_port=2), Instant(29.0))


def frame_from(number: int) -> Frame:
    """NORMAL makes a decision for each source address."""
    return Frame(packets.ethernet(0x88B5, bytes(46), src=f"02:00:00:00:01:{number:02x}"))


def normal_stage() -> Stage:
    stage = Stage()
    stage.flow(ApplyActions((Output(NORMAL),)))
    return stage


def test_without_a_backlog_each_decision_is_cached_at_once() -> None:
    stage = normal_stage()
    for number in range(10):
        stage.sent(frame_from(number))

    assert len(stage.bridge.megaflows) == 10


def test_with_a_backlog_a_decision_is_cached_when_it_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = normal_stage()
    monkeypatch.setattr(stage.datapath, "is_behind", True)
    first = [stage.sent(frame_from(number)) for number in range(10)]
    cached_at_first = len(stage.bridge.megaflows)
    again = [stage.sent(frame_from(number)) for number in range(5)]

    assert cached_at_first == 0
    assert len(stage.bridge.megaflows) == 5
    assert again == first[:5]
    assert all(first), "what is not cached is sent all the same"
    assert stage.bridge.counters.values["not cached: first of its kind while frames wait"] == 10


def test_what_was_cached_before_a_flush_is_cached_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = normal_stage()
    for number in range(10):
        stage.sent(frame_from(number))
    stage.flow(ApplyActions((Output(NORMAL),)))  # touches each decision
    forgotten = len(stage.bridge.megaflows)
    monkeypatch.setattr(stage.datapath, "is_behind", True)
    for number in range(10):
        stage.sent(frame_from(number))

    assert forgotten == 0
    assert len(stage.bridge.megaflows) == 10
