"""Rows of Mirror become mirrors of a bridge; what cannot be had is said of the bridge."""

from __future__ import annotations

from typing import Any

import pytest

from inband.ovsdb.columns import mirror_statistics
from inband.ovsdb.translate import translate
from inband.ovsdb.wanted import Wanted
from inband.vocabulary.mirroring import MirrorConfig
from tests.unit.ovsdb.database import Database


def wanted(**columns: Any) -> Wanted:
    """What a bridge with ports p1, p2 and p3 and this one mirror asks for."""
    database = Database()
    database.bridge("br0", "p1", "p2", "p3", mirrors=("m",))
    database.row("Mirror", "m", **{"name": "m0", "output_port": ("port-p3",), **columns})
    return translate(database.snapshot())


@pytest.mark.parametrize(
    ("columns", "mirror"),
    [
        ({"select_all": True}, MirrorConfig("m0", "p3", None, None)),
        ({"select_src_port": ("port-p1", "port-br0")}, MirrorConfig("m0", "p3", frozenset({"p1", "br0"}))),
        ({"select_dst_port": ("port-p2",)}, MirrorConfig("m0", "p3", frozenset(), frozenset({"p2"}))),
        (
            {"select_all": True, "select_vlan": (10, 20)},
            MirrorConfig("m0", "p3", None, None, frozenset({10, 20})),
        ),
        ({"select_src_port": ("port-elsewhere",)}, MirrorConfig("m0", "p3")),
        ({}, MirrorConfig("m0", "p3")),
    ],
)
def test_columns_say_what_is_copied(columns: dict[str, Any], mirror: MirrorConfig) -> None:
    found = wanted(**columns)

    assert found.bridges[0].mirrors == (mirror,)
    assert found.mirrors == {("br0", "m0"): "m"}
    assert found.problems == {}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"output_port": ()}, "mirror m0: it needs an output_port"),
        ({"output_port": ("port-gone",)}, "mirror m0: it needs an output_port"),
        ({"output_port": ("port-br0",)}, "mirror m0: it needs an output_port"),
        ({"output_port": (), "output_vlan": (30,)}, "mirror m0: output_vlan is not supported"),
    ],
)
def test_a_mirror_that_cannot_be_had_is_said_of_its_bridge_and_costs_nothing_else(
    columns: dict[str, Any], words: str
) -> None:
    found = wanted(select_all=True, **columns)

    assert words in found.problems["Bridge", "bridge-br0"]
    assert found.bridges[0].mirrors == ()
    assert found.bridges[0].ports == ("p1", "p2", "p3")


def test_a_part_of_each_packet_is_not_to_be_had() -> None:
    found = wanted(select_all=True, snaplen=(64,))

    assert "snaplen is without effect" in found.problems["Bridge", "bridge-br0"]
    assert found.bridges[0].mirrors != ()


def test_its_copies_are_its_statistics() -> None:
    assert mirror_statistics(3, 180) == {"statistics": {"tx_packets": 3, "tx_bytes": 180}}
