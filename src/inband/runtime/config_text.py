"""A configuration document as the TOML that a person would write: ``config_load`` reads it again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from inband.runtime.config_keys import KEYS
from inband.runtime.state_dir import Document

_TRUTH = {"on": "true", "off": "false"}


def toml_of(document: Document) -> str:
    """The text of a configuration file. Values are texts and lists of them, as ``document_of`` has them."""
    top = {key: value for key, value in document.items() if key != "bridge" and value not in ([], None)}
    lines = [f"{key} = {_value(value)}" for key, value in top.items()]
    bridges = document.get("bridge", [])
    assert isinstance(bridges, list)
    for bridge in bridges:
        lines += ["", "[[bridge]]", *_lines_of(bridge)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _lines_of(bridge: Mapping[str, object]) -> Iterator[str]:
    for key, value in bridge.items():
        known = KEYS.get(key)
        if known is not None and bool in known.toml and isinstance(value, str):
            yield f"{key} = {_TRUTH[value]}"
        elif known is not None and int in known.toml and isinstance(value, str) and value.isdigit():
            yield f"{key} = {value}"
        else:
            yield f"{key} = {_value(value)}"


def _value(value: object) -> str:
    """A basic string (TOML 1.0), which JSON's strings are but for one character, or a list of such."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
