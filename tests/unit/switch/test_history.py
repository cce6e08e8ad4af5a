"""The history keeps the latest reports, and names them as scripts do."""

from __future__ import annotations

from inband.switch.history import History
from inband.switch.reports import Connected, ConnectionLost, ServersChosen, StandaloneEntered
from inband.switch.targets import parse_target


def test_the_oldest_events_make_room() -> None:
    history = History(limit=3)

    for second in range(5):
        history.note(StandaloneEntered(f"br{second}"), float(second))

    assert [happened.at for happened in history] == [2.0, 3.0, 4.0]
    assert [happened.number for happened in history] == [3, 4, 5]
    assert (history.count, history.forgotten) == (5, 2)


def test_kinds_are_words_with_hyphens() -> None:
    history = History()
    history.note(ConnectionLost("br0", parse_target("tcp:192.0.2.1"), "Connection reset by peer"), 1.0)

    assert [happened.kind for happened in history] == ["connection-lost"]


def test_an_event_says_which_bridge_and_controller_it_is_about_if_any() -> None:
    history = History()
    history.note(Connected("br0", parse_target("tcp:192.0.2.1"), None), 1.0)
    history.note(StandaloneEntered("br0"), 2.0)
    history.note(ServersChosen((), "nowhere"), 3.0)

    about = [(happened.bridge, happened.target) for happened in history]

    assert about == [("br0", "tcp:192.0.2.1:6653"), ("br0", None), (None, None)]
