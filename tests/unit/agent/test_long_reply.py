"""Statistics replies in parts: bounded, whole, and only as far as the peer reads."""

from __future__ import annotations

import pytest

from inband.agent.connection import Kind
from inband.flow.actions import Output
from inband.flow.groups import Bucket
from inband.openflow.messages import Envelope, GroupMod, Message, MeterMod
from inband.openflow.multipart import (
    GroupDescReply,
    GroupDescRequest,
    GroupStatsReply,
    GroupStatsRequest,
    MeterConfigReply,
    MeterConfigRequest,
    MeterStatsReply,
    MeterStatsRequest,
)
from inband.vocabulary.openflow import OFP13, GroupModCommand, GroupType, MeterFlags, MeterModCommand
from tests.unit.agent.bench_switch import PORT_1, Bench

COUNT = 600
BUCKETS = (Bucket((Output(PORT_1.number),)), Bucket((Output(PORT_1.number),)))
Reply = GroupDescReply | GroupStatsReply | MeterConfigReply | MeterStatsReply


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    for number in range(1, COUNT + 1):
        bench.send(GroupMod(GroupModCommand.ADD, GroupType.ALL, number, BUCKETS))
        bench.send(MeterMod(MeterModCommand.ADD, MeterFlags.KBPS, number, ()))
    bench.agent.connect(2, Kind.CONTROLLER, OFP13, 0.0)
    return bench


def ids(replies: list[Message]) -> list[int]:
    found: list[int] = []
    for reply in replies:
        assert isinstance(reply, Reply)
        if isinstance(reply, GroupDescReply | GroupStatsReply):
            found += [entry.group_id for entry in reply.entries]
        else:
            found += [entry.meter_id for entry in reply.entries]
    return found


@pytest.mark.parametrize(
    "request_",
    [GroupDescRequest(), GroupStatsRequest(), MeterConfigRequest(), MeterStatsRequest()],
    ids=lambda r: type(r).__name__,
)
def test_very_many_are_told_in_parts_of_which_the_last_says_so(bench: Bench, request_: Message) -> None:
    *others, last = bench.send(request_)

    assert ids([*others, last]) == list(range(1, COUNT + 1))
    assert [getattr(reply, "more", None) for reply in (*others, last)] == [True] * len(others) + [False]
    assert len(others) >= 2
    assert len(bench.take()) == 0


def test_buckets_with_many_actions_count_as_much_as_they_say(bench: Bench) -> None:
    many = tuple(Bucket((Output(PORT_1.number),) * 500) for _ in range(2))
    for number in range(1, COUNT + 1):
        bench.send(GroupMod(GroupModCommand.MODIFY, GroupType.ALL, number, many))

    replies = bench.send(GroupDescRequest())

    assert ids(replies) == list(range(1, COUNT + 1))
    assert len(replies) >= COUNT


def test_what_goes_between_two_parts_is_not_told_any_more(bench: Bench) -> None:
    bench.agent.handle(2, Envelope(OFP13, 1, GroupDescRequest()), 0.0)

    bench.send(GroupMod(GroupModCommand.DELETE, GroupType.ALL, COUNT))
    found = ids(bench.take(2))

    assert found == list(range(1, COUNT))


def test_a_peer_that_does_not_read_has_one_part_made(bench: Bench) -> None:
    bench.agent.handle(2, Envelope(OFP13, 1, GroupDescRequest()), 0.0)

    waiting = [envelope.message for envelope in bench.agent.take(2)]

    assert 0 < len(ids(waiting)) < COUNT / 3
    assert bench.agent.is_replying(2)


def test_a_short_reply_keeps_the_next_request_waiting_for_nothing(bench: Bench) -> None:
    bench.agent.handle(2, Envelope(OFP13, 1, GroupStatsRequest(3)), 0.0)
    bench.agent.go_on_with_reply(2)

    assert not bench.agent.is_replying(2)
    assert ids([envelope.message for envelope in bench.agent.take(2)]) == [3]
