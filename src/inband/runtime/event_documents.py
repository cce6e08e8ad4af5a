"""What happened to a switch, as ``inband events`` prints it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import NotRequired, TypedDict

from inband.runtime.name_documents import wall
from inband.switch.history import Happened, History
from inband.switch.reports import Connected, ConnectionLost
from inband.vocabulary.instant import Instant


class EventDocument(TypedDict):
    """One event; ``time`` in seconds since 1970, ``kind`` a word such as ``connected``, ``text`` for people.

    ``number`` counts the events of the process, from 1. ``outage_s``: for how long the controller that is connected
    again had been lost; ``text`` says it too.
    """

    number: int
    time: float
    kind: str
    bridge: str | None
    target: str | None
    text: str
    outage_s: NotRequired[float]


class EventsDocument(TypedDict):
    """The events that are kept. ``forgotten`` made room for them; ``last`` is the number of the latest one of all."""

    events: list[EventDocument]
    last: int
    forgotten: int


def events_text(history: History, now: Instant) -> str:
    """A line each, oldest first, with the local time."""
    lines = [f"{history.forgotten} earlier events are forgotten"] if history.forgotten else []
    lines += [f"{clock_of(each['time'])}  {each['text']}" for each in _documents(history, now)]
    return "".join(f"{line}\n" for line in lines) or "nothing happened yet\n"


def events_json(history: History, now: Instant, since: int = 0) -> str:
    """One document, with the events behind number ``since``."""
    document: EventsDocument = {
        "events": [document for document in _documents(history, now) if document["number"] > since],
        "last": history.count,
        "forgotten": history.forgotten,
    }
    return json.dumps(document) + "\n"


def _documents(history: History, now: Instant) -> Iterator[EventDocument]:
    lost: dict[tuple[str | None, str | None], Instant] = {}
    for happened in history:
        document = _document(happened, now)
        about = (happened.bridge, happened.target)
        if isinstance(happened.report, ConnectionLost):
            lost[about] = happened.at
        elif isinstance(happened.report, Connected) and about in lost:
            document["outage_s"] = round(happened.at - lost.pop(about), 3)
            document["text"] += f", after {document['outage_s']:.3f} s without"
        yield document


def _document(happened: Happened, now: Instant) -> EventDocument:
    return {
        "number": happened.number,
        "time": wall(happened.at, now) or 0.0,
        "kind": happened.kind,
        "bridge": happened.bridge,
        "target": happened.target,
        "text": str(happened.report),
    }


def clock_of(seconds: float) -> str:
    """The local time, with milliseconds, of seconds since 1970."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{int(seconds % 1 * 1000):03d}"
