"""QUEUE_GET_CONFIG and QUEUE_STATS where the system has queues; test_statistics has the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inband.datapath.base import QueueState
from inband.flow import ports
from inband.flow.ports import PortNo
from inband.openflow.constants import QueuePropertyType
from inband.openflow.messages import QueueGetConfigReply, QueueGetConfigRequest
from inband.openflow.multipart import QueueStatsReply, QueueStatsRequest
from inband.openflow.parts import QueueDescription, QueueProperty
from inband.vocabulary.link_settings import LinkSettings
from inband.vocabulary.openflow_errors import ErrorType, QueueOpFailed
from tests.unit.agent.bench_switch import PORT_1, PORT_2, Bench

SLOW = QueueState(0, 1_000_000, 5_000_000, 7, 700, 1)
FAST = QueueState(3)


@pytest.fixture
def bench() -> Bench:
    """Port 1 (of 10 Mbit/s) has queues 0 and 3, port 2 has queue 3."""
    bench = Bench()
    bench.ports.put(replace(PORT_1, link=LinkSettings(current_speed_kbps=10_000)))
    bench.statistics.port_queues = {PORT_1.number: (SLOW, FAST), PORT_2.number: (FAST,)}
    return bench


def test_rates_are_given_as_tenths_of_a_percent_of_the_ports_speed(bench: Bench) -> None:
    (reply,) = bench.send(QueueGetConfigRequest(PORT_1.number))

    rates = (QueueProperty(QueuePropertyType.MIN_RATE, 100), QueueProperty(QueuePropertyType.MAX_RATE, 500))
    assert reply == QueueGetConfigReply(
        PORT_1.number, (QueueDescription(0, PORT_1.number, rates), QueueDescription(3, PORT_1.number))
    )


def test_of_a_port_of_unknown_speed_no_rates_are_given(bench: Bench) -> None:
    bench.ports.put(PORT_1)

    (reply,) = bench.send(QueueGetConfigRequest(PORT_1.number))

    assert isinstance(reply, QueueGetConfigReply)
    assert [queue.properties for queue in reply.queues] == [(), ()]


def test_any_port_gives_the_queues_of_all(bench: Bench) -> None:
    (reply,) = bench.send(QueueGetConfigRequest(ports.ANY))

    assert isinstance(reply, QueueGetConfigReply)
    assert [(queue.port, queue.queue_id) for queue in reply.queues] == [(1, 0), (1, 3), (2, 3)]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (QueueStatsRequest(), [(1, 0), (1, 3), (2, 3)]),
        (QueueStatsRequest(PORT_1.number), [(1, 0), (1, 3)]),
        (QueueStatsRequest(ports.ANY, 3), [(1, 3), (2, 3)]),
        (QueueStatsRequest(PORT_1.number, 3), [(1, 3)]),
        (QueueStatsRequest(ports.LOCAL), []),
    ],
)
def test_statistics_are_of_the_queues_that_are_named(
    bench: Bench, request_: QueueStatsRequest, expected: list[tuple[PortNo, int]]
) -> None:
    *others, last = replies = bench.send(request_)

    assert isinstance(last, QueueStatsReply)
    assert not last.more
    assert all(isinstance(reply, QueueStatsReply) and reply.more for reply in others)
    entries = [entry for reply in replies if isinstance(reply, QueueStatsReply) for entry in reply.entries]
    assert [(entry.port, entry.queue_id) for entry in entries] == expected


def test_statistics_have_what_left_by_the_queue(bench: Bench) -> None:
    (reply,) = bench.send(QueueStatsRequest(PORT_1.number, 0))

    assert isinstance(reply, QueueStatsReply)
    (entry,) = reply.entries
    assert (entry.tx_packets, entry.tx_bytes, entry.tx_errors) == (7, 700, 1)


def test_a_queue_that_the_port_does_not_have_is_refused(bench: Bench) -> None:
    assert bench.error(QueueStatsRequest(PORT_2.number, 0)) == (ErrorType.QUEUE_OP_FAILED, QueueOpFailed.BAD_QUEUE)
