"""Rows are read as what columns should be, and survive the state directory."""

from __future__ import annotations

import json

import pytest

from inband.ovsdb.rows import COUNTED, READ, WRITTEN, Row, Snapshot, document_of, snapshot_of
from tests.unit.ovsdb.database import Database


def test_values_are_read_by_their_type() -> None:
    row = Row(
        "u",
        {"text": "a", "set": ("b",), "many": ("c", "d"), "number": (7,), "zero": 0, "flag": True, "map": {"k": "v"}},
    )

    assert (row.text("text"), row.text("set"), row.text("absent")) == ("a", "b", "")
    assert row.texts("many") == ("c", "d")
    assert (row.number("number"), row.number("zero"), row.number("absent")) == (7, 0, None)
    assert (row.flag("flag"), row.flag("absent")) == (True, False)
    assert row.map("map") == {"k": "v"}


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "x", (), (1, "x"), {"k": 1}, {1: "v"}, [[]]])
def test_a_value_of_another_type_reads_as_not_set(value: object) -> None:
    row = Row("u", {"c": value})

    assert isinstance(row.text("c"), str)
    assert row.number("c") in (None, 7)
    assert row.flag("c") is (value is True)
    assert set(row.texts("c")) <= {"x"}
    assert row.map("c") == {}


def test_a_snapshot_survives_the_state_directory() -> None:
    database = Database()
    database.bridge("br0", "eth1", other_config={"hwaddr": "02:00:00:00:00:01"})

    back = snapshot_of(json.loads(json.dumps(document_of(database.snapshot()))))

    assert back.version == "8.3.1"
    assert back.root is not None
    assert back.root.texts("bridges") == ("bridge-br0",)
    assert back.row("Bridge", "bridge-br0").map("other_config") == {"hwaddr": "02:00:00:00:00:01"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "document", [None, [], {}, {"tables": 1}, {"tables": {"Bridge": 1}}, {"tables": {"Bridge": {"u": 1}}}]
)
def test_a_document_that_is_none_is_an_empty_snapshot(document: object) -> None:
    assert not any(snapshot_of(document).tables.values())
    assert Snapshot().root is None


def test_counters_are_not_followed_so_that_none_is_sent_back() -> None:
    for table, column in COUNTED.items():
        assert column not in (*READ.get(table, ()), *WRITTEN.get(table, ()))
