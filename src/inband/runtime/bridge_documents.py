"""Documents about bridges, one for each: as one JSON document, and as lines that fit a terminal."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from inband.bridge.bridge import Bridge
from inband.errors import UsageError

WIDTH = 80

Document = TypeVar("Document", bound=Mapping[str, object])


def render(
    verb: str,
    options: Sequence[str],
    bridges: Iterable[Bridge],
    look: Callable[[Bridge], Document],
    lines: Callable[[Document], Iterable[str]],
) -> str:
    """What a verb answers with its options, none or "json". Raises UsageError for another one."""
    if options not in ([], ["json"]):
        raise UsageError(f"inband/{verb}: {' '.join(options)!r}: allowed are a bridge and json")
    documents = [look(bridge) for bridge in bridges]
    if options:
        return json.dumps({"bridges": documents}) + "\n"
    return "".join(line + "\n" for document in documents for line in lines(document))


def folded(line: str, indent: str) -> list[str]:
    """A line cut between words where it is wider than a terminal, the rest of it with this indent."""
    return textwrap.wrap(
        line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


def key_words(keys: int) -> str:
    """How many network-keys are accepted, in words."""
    return "no network-key" if not keys else "a network-key" if keys == 1 else "two network-keys"


def natural(text: str) -> list[tuple[int, str]]:
    """What has names sorted as people count: s2 before s10."""
    return [(int(each), "") if each.isdecimal() else (0, each) for each in re.split(r"(\d+)", text)]
