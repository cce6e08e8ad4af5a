"""What rows of Bridge and Port say of the spanning tree."""

from __future__ import annotations

import pytest

from inband.ovsdb.translate import translate
from inband.stp.settings import PortTreeSettings
from inband.switch.config import BridgeConfig
from tests.unit.ovsdb.database import Database


@pytest.fixture
def database() -> Database:
    return Database()


def only_bridge(database: Database) -> BridgeConfig:
    """The one bridge that the rows ask for."""
    (bridge,) = translate(database.snapshot()).bridges
    return bridge


def problems(database: Database) -> dict[str, str]:
    """What is wrong, by UUID."""
    return {uuid: words for (_, uuid), words in translate(database.snapshot()).problems.items()}


def test_a_bridge_and_its_ports_are_told_of_the_spanning_tree(database: Database) -> None:
    database.bridge("br0", "eth1", "eth2", rstp_enable=True, other_config={"rstp-priority": "4096"})
    database.row("Port", "port-eth1", other_config={"rstp-path-cost": "5", "rstp-port-admin-edge": "true"})
    database.row("Port", "port-eth2", other_config={"rstp-port-priority": "500", "rstp-path-cost": "7"})

    bridge = only_bridge(database)

    assert (bridge.rstp, bridge.rstp_priority) == (True, 4096)
    assert bridge.port_trees == (
        ("eth1", PortTreeSettings(5, is_edge=True)),
        ("eth2", PortTreeSettings(7)),
    )
    assert "rstp-port-priority: priority '496' is not allowed: multiples of 16" in problems(database)["port-eth2"]


def test_priorities_of_the_tree_are_rounded_down_as_the_columns_mean_them(database: Database) -> None:
    database.bridge("br0", "eth1", rstp_enable=True, other_config={"rstp-priority": "5000"})
    database.row("Port", "port-eth1", other_config={"rstp-port-priority": "101"})

    bridge = only_bridge(database)

    assert bridge.rstp_priority == 4096
    assert bridge.port_trees == (("eth1", PortTreeSettings(priority=96)),)
    assert problems(database) == {}


def test_a_bridge_that_is_to_speak_stp_speaks_rstp(database: Database) -> None:
    database.bridge("br0", "eth1", stp_enable=True, other_config={"stp-priority": "10000"})

    bridge = only_bridge(database)

    assert (bridge.rstp, bridge.rstp_priority) == (True, 8192)
    assert problems(database) == {}


def test_what_the_tree_has_not_is_said_of_a_port(database: Database) -> None:
    database.bridge("br0", "eth1", rstp_enable=True)
    database.row("Port", "port-eth1", other_config={"rstp-port-mcheck": "true"})

    assert only_bridge(database).port_trees == ()
    assert "rstp-port-mcheck: not supported, and without effect" in problems(database)["port-eth1"]


def test_times_of_the_tree_and_ports_without_it(database: Database) -> None:
    times = {"rstp-max-age": "10", "rstp-forward-delay": "6"}
    database.bridge("br0", "eth1", "eth2", rstp_enable=True, other_config=times)
    database.row("Port", "port-eth1", other_config={"rstp-enable": "false", "rstp-path-cost": "5"})
    database.row("Port", "port-eth2", other_config={"rstp-enable": "true"})

    assert only_bridge(database).rstp_times_s == (10, 6)
    assert only_bridge(database).port_trees == (("eth1", PortTreeSettings(5, is_in_tree=False)),)
    assert problems(database) == {}
