"""Rows of QoS and Queue become what shapes a port; what is wrong with a value is said, and the default is taken."""

from __future__ import annotations

from typing import Any

import pytest

from inband.ovsdb.translate import translate
from inband.vocabulary.queueing import PortQos, QosKind, QueueConfig
from tests.unit.ovsdb.database import Database


@pytest.fixture
def database() -> Database:
    """A bridge with one port, whose QoS is the row "q"."""
    database = Database()
    database.bridge("br0", "eth1")
    database.port("eth1", qos=("q",))
    return database


def qos_of(database: Database) -> PortQos | None:
    (bridge,) = translate(database.snapshot()).bridges
    return dict(bridge.port_qos).get("eth1")


def problems(database: Database) -> dict[str, str]:
    """What is wrong, by UUID."""
    return {uuid: words for (_, uuid), words in translate(database.snapshot()).problems.items()}


def test_rates_and_queues_are_those_of_the_rows(database: Database) -> None:
    database.row("QoS", "q", type="linux-htb", other_config={"max-rate": "100000000"}, queues={"7": "b", "1": "a"})
    database.row("Queue", "a", other_config={"max-rate": "10000000"})
    database.row(
        *("Queue", "b"),
        other_config={"min-rate": "20000000", "max-rate": "40000000", "burst": "100000", "priority": "3"},
    )

    assert qos_of(database) == PortQos(
        QosKind.HTB,
        100_000_000,
        ((1, QueueConfig(max_rate_bps=10_000_000)), (7, QueueConfig(20_000_000, 40_000_000, 100_000, 3))),
    )
    assert problems(database) == {}


def test_without_a_rate_and_queues_there_are_the_defaults(database: Database) -> None:
    database.row("QoS", "q", type="linux-htb")

    assert qos_of(database) == PortQos(QosKind.HTB)


@pytest.mark.parametrize("kind", ["linux-noop", "linux-sfq", "linux-codel", "linux-fq_codel"])
def test_disciplines_without_queues_are_had_by_name(database: Database, kind: str) -> None:
    database.row("QoS", "q", type=kind, queues={"1": "a"})

    assert qos_of(database) == PortQos(QosKind(kind))
    assert problems(database) == {}


@pytest.mark.parametrize(
    ("columns", "words", "meant"),
    [
        ({"type": "linux-hfsc"}, "type linux-hfsc is not supported", None),
        ({"type": "rubbish"}, "type rubbish is not supported", None),
        ({}, "type  is not supported", None),
        ({"type": "linux-sfq", "other_config": {"perturb": "5"}}, "other_config of linux-sfq", PortQos(QosKind.SFQ)),
        ({"type": "linux-htb", "other_config": {"max-rate": "abc"}}, "max-rate 'abc' is no", PortQos(QosKind.HTB)),
        ({"type": "linux-htb", "other_config": {"max-rate": "-1"}}, "max-rate '-1' is not", PortQos(QosKind.HTB)),
        ({"type": "linux-htb", "other_config": {"max-rate": "9" * 30}}, "is not a number", PortQos(QosKind.HTB)),
        ({"type": "linux-htb", "queues": {"61440": "a"}}, "numbers are 0 to 61439", PortQos(QosKind.HTB)),
    ],
)
def test_what_a_row_cannot_have_is_said_and_the_rest_takes_effect(
    database: Database, columns: dict[str, Any], words: str, meant: PortQos | None
) -> None:
    database.row("QoS", "q", **columns)

    assert qos_of(database) == meant
    assert words in problems(database)["port-eth1"]


def test_what_is_wrong_with_one_queue_costs_the_others_nothing(database: Database) -> None:
    database.row("QoS", "q", type="linux-htb", queues={"1": "a", "2": "b", "3": "away"})
    database.row("Queue", "a", other_config={"min-rate": "x", "priority": "2"}, dscp=(10,))
    database.row("Queue", "b", other_config={"min-rate": "5000"})

    queues = ((1, QueueConfig(priority=2)), (2, QueueConfig(5000)), (3, QueueConfig()))
    assert qos_of(database) == PortQos(QosKind.HTB, None, queues)
    assert "queue 1: min-rate 'x' is not a number" in problems(database)["port-eth1"]
    assert "queue 1: dscp is without effect" in problems(database)["port-eth1"]


def test_a_port_whose_qos_is_away_is_a_port_without_queues(database: Database) -> None:
    assert qos_of(database) is None
    assert problems(database) == {}


def test_the_bridges_own_interface_has_no_queues(database: Database) -> None:
    database.row("QoS", "q", type="linux-htb")
    database.row("Port", "port-br0", qos=("q",))

    (bridge,) = translate(database.snapshot()).bridges
    assert set(dict(bridge.port_qos)) == {"eth1"}
    assert "a bridge's own interface has no queues" in problems(database)["port-br0"]
