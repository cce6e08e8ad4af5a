"""``inband events``: what happened, since when it is known, and how long a controller was lost."""

from __future__ import annotations

import json
import re

from inband.runtime.event_documents import events_json, events_text
from inband.switch.history import History
from inband.switch.reports import Connected, ConnectionLost, StandaloneEntered
from inband.switch.targets import parse_target

TARGET = parse_target("tcp:192.0.2.1")


def test_a_controller_that_is_back_says_for_how_long_it_was_lost() -> None:
    history = History()
    history.note(ConnectionLost("br0", TARGET, "Connection reset by peer"), 10.0)
    history.note(ConnectionLost("br1", TARGET, "no answer"), 11.0)
    history.note(Connected("br0", TARGET, None), 12.25)

    lines = events_text(history, 20.0).splitlines()

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  bridge br0: lost controller .*", lines[0])
    assert lines[2].endswith("bridge br0: connected to tcp:192.0.2.1:6653, after 2.250 s without")


def test_events_behind_a_number_are_given_alone_and_know_what_was_before() -> None:
    history = History()
    history.note(ConnectionLost("br0", TARGET, "no answer"), 10.0)
    history.note(Connected("br0", TARGET, None), 11.0)

    document = json.loads(events_json(history, 20.0, since=1))

    assert document["last"] == 2
    assert document["forgotten"] == 0
    (event,) = document["events"]
    assert (event["number"], event["kind"], event["outage_s"]) == (2, "connected", 1.0)
    assert json.loads(events_json(history, 20.0, since=2))["events"] == []


def test_a_history_that_has_forgotten_says_so() -> None:
    history = History(limit=1)
    history.note(StandaloneEntered("br0"), 1.0)
    history.note(StandaloneEntered("br1"), 2.0)

    assert events_text(history, 3.0).startswith("1 earlier events are forgotten\n")
    assert events_text(History(), 3.0) == "nothing happened yet\n"
