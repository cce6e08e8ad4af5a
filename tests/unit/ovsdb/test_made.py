"""Rows of the types internal and patch become ports that the switch makes; what is wrong with one is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from inband.ovsdb.translate import translate
from inband.stp.settings import PortTreeSettings
from inband.switch.config import BridgeConfig, InternalPort, PatchPort
from inband.vocabulary.addresses import Mac
from tests.unit.ovsdb.database import Database


@pytest.fixture
def database() -> Database:
    """Two bridges, each with a port of the system."""
    database = Database()
    database.bridge("br0", "eth1", "a")
    database.bridge("br1", "eth2", "b")
    return database


def bridge(database: Database, name: str = "br0") -> BridgeConfig:
    return next(each for each in translate(database.snapshot()).bridges if each.name == name)


def problems(database: Database) -> dict[str, str]:
    """What is wrong, by UUID."""
    return {uuid: words for (_, uuid), words in translate(database.snapshot()).problems.items()}


def test_an_internal_port_has_what_its_row_says(database: Database) -> None:
    mac = "02:00:00:00:00:07"
    database.row("Interface", "interface-a", type="internal", mac=(mac,), mtu_request=(1400,))

    assert bridge(database).made_ports == (("a", InternalPort(Mac.parse(mac), 1400)),)
    assert bridge(database).outside_ports == ("eth1",)
    assert [port.mtu for port in translate(database.snapshot()).ports if port.name == "a"] == [None]
    assert problems(database) == {}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"mac": ("rubbish",)}, "mac: "),
        ({"mac": ("01:00:00:00:00:01",)}, "is not the address of one host"),
        ({"mac": ("00:00:00:00:00:00",)}, "is not the address of one host"),
        ({"mtu_request": (67,)}, "mtu_request 67"),
        ({"mtu_request": (65536,)}, "mtu_request 65536"),
    ],
)
def test_what_an_internal_port_cannot_have_is_said_and_it_is_one(
    database: Database, columns: dict[str, Any], words: str
) -> None:
    database.row("Interface", "interface-a", type="internal", **columns)

    assert bridge(database).made_ports == (("a", InternalPort()),)
    assert words in problems(database)["interface-a"]


def test_an_internal_port_is_an_edge_of_the_spanning_tree_unless_its_row_says_something(database: Database) -> None:
    database.row("Interface", "interface-a", type="internal")
    assert bridge(database).port_trees == (("a", PortTreeSettings(is_edge=True)),)

    database.row("Port", "port-a", other_config={"rstp-path-cost": "7"})
    assert bridge(database).port_trees == (("a", PortTreeSettings(path_cost=7)),)


def test_an_internal_port_has_no_queues_and_says_so(database: Database) -> None:
    database.row("Interface", "interface-a", type="internal")
    database.row("Port", "port-a", qos=("q",))
    database.row("QoS", "q", type="linux-htb")

    assert bridge(database).port_qos == ()
    assert "has no queues here" in problems(database)["port-a"]


def test_two_patches_that_name_each_other_are_a_pair(database: Database) -> None:
    database.row("Interface", "interface-a", type="patch", options={"peer": "b"})
    database.row("Interface", "interface-b", type="patch", options={"peer": "a"})

    assert bridge(database).made_ports == (("a", PatchPort("b")),)
    assert bridge(database, "br1").made_ports == (("b", PatchPort("a")),)
    assert problems(database) == {}


@pytest.mark.parametrize(
    ("peer", "other"),
    [
        ("away", {}),
        ("b", {}),
        ("b", {"type": "patch", "options": {"peer": "eth2"}}),
        ("b", {"type": "internal", "options": {"peer": "a"}}),
        ("a", {}),
    ],
)
def test_a_patch_whose_peer_does_not_name_it_waits(database: Database, peer: str, other: dict[str, Any]) -> None:
    database.row("Interface", "interface-a", type="patch", options={"peer": peer})
    database.row("Interface", "interface-b", **other)

    assert bridge(database).made_ports == (("a", PatchPort(None)),)
    assert problems(database)["interface-a"] == f"No usable peer '{peer}' exists in 'system' datapath."


@pytest.mark.parametrize("options", [{}, {"peer": ""}, {"remote_ip": "192.0.2.1"}])
def test_a_patch_without_a_peer_is_no_port(database: Database, options: dict[str, str]) -> None:
    database.row("Interface", "interface-a", type="patch", options=options)

    assert bridge(database).ports == ("eth1",)
    assert problems(database)["interface-a"] == "a: patch type requires valid 'peer' argument"
