"""The library: what is said where it is missing, and its values without it."""

from __future__ import annotations

import sys
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from inband.errors import HostError, UsageError
from inband.ovsdb.replica import Replica, connect, load_library, plain

KEY = uuid.UUID(int=7)


def test_without_the_library_people_are_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ovs.db.idl", None)

    with pytest.raises(UsageError, match=r"pip install 'inband\[ovsdb\]'"):
        load_library()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        (True, True),
        ([1, 2], (1, 2)),
        (KEY, str(KEY)),
        (SimpleNamespace(uuid=KEY), str(KEY)),
        ([SimpleNamespace(uuid=KEY)], (str(KEY),)),
        ({0: SimpleNamespace(uuid=KEY)}, {"0": str(KEY)}),
        ({"a": "b"}, {"a": "b"}),
        ([], ()),
    ],
)
def test_values_become_plain(value: Any, expected: object) -> None:
    assert plain(value) == expected


def test_all_servers_that_cannot_be_reached_are_named() -> None:
    with pytest.raises(HostError, match=r"unix:/nowhere/a: .*, unix:/nowhere/b: "):
        connect("unix:/nowhere/a,unix:/nowhere/b")


@pytest.mark.parametrize("schema", [{}, {"tables": {"Bridge": {"columns": {}}}}])
def test_a_schema_without_what_is_needed_is_not_followed(schema: dict[str, Any]) -> None:
    with pytest.raises(HostError, match="its schema lacks"):
        Replica("unix:/nowhere", schema)
