"""Documents about bridges, as the control socket answers with them."""

from __future__ import annotations

import json

import pytest

from inband.bridge.bridge import Bridge
from inband.errors import UsageError
from inband.runtime.bridge_documents import folded, render
from inband.sim import topologies


def bridges() -> list[Bridge]:
    made = topologies.row(2)
    made.net.start()
    return [switch.only.bridge for switch in made.switches]


def look(bridge: Bridge) -> dict[str, object]:
    return {"name": bridge.name, "ports": len(bridge.ports)}


def lines(document: dict[str, object]) -> list[str]:
    return [f"{document['name']}:", f"  {document['ports']}"]


def test_each_bridge_is_one_of_the_json_document_or_has_its_lines() -> None:
    asked = bridges()

    text, document = (render("paths", options, asked, look, lines) for options in ([], ["json"]))

    assert text == "br0:\n  3\nbr0:\n  2\n"
    assert json.loads(document) == {"bridges": [{"name": "br0", "ports": 3}, {"name": "br0", "ports": 2}]}


def test_another_option_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(UsageError, match="inband/paths: 'json json': allowed are a bridge and json"):
        render("paths", ["json", "json"], bridges(), look, lines)


def test_a_line_that_is_wider_than_a_terminal_is_cut_between_words() -> None:
    words = " ".join(["0123456789"] * 12)

    parts = folded(words, "  ")

    assert [len(part) for part in parts] == [76, 56]
    assert parts[1].startswith("  0")
    assert folded("x" * 100, "") == ["x" * 100]
