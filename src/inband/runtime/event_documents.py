"""What happened to a switch, as ``inband events`` prints it."""

from __future__ import annotations

import json
import time
from typing import TypedDict

from inband.runtime.name_documents import wall
from inband.switch.history import Happened, History
from inband.vocabulary.instant import Instant


class EventDocument(TypedDict):
    """One event; ``time`` in seconds since 1970, ``kind`` a word such as ``connected``, ``text`` for people."""

    time: float
    kind: str
    bridge: str | None
    target: str | None
    text: str


def events_text(history: History, now: Instant) -> str:
    """A line each, oldest first, with the local time."""
    return "".join(f"{_clock(happened, now)}  {happened.report}\n" for happened in history) or "nothing happened yet\n"


def events_json(history: History, now: Instant) -> str:
    """One document."""
    return json.dumps({"events": [_document(happened, now) for happened in history]}) + "\n"


def _document(happened: Happened, now: Instant) -> EventDocument:
    return {
        "time": wall(happened.at, now) or 0.0,
        "kind": happened.kind,
        "bridge": happened.bridge,
        "target": happened.target,
        "text": str(happened.report),
    }


def _clock(happened: Happened, now: Instant) -> str:
    seconds = wall(happened.at, now) or 0.0
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{int(seconds % 1 * 1000):03d}"
