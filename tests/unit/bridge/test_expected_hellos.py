"""Hellos that are taken below: the states of links are those that they would have without, and little comes up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inband.bridge.expected_hellos import ExpectedHellos
from inband.datapath.base import HelloTaken
from inband.fabric import events as ev
from inband.fabric.events import LinkState
from inband.fabric.hello import Hello, body_of, decode, encode, frame, usual_sequence
from inband.fabric.link import WINDOW
from inband.flow.ports import PortNo
from tests.unit.fabric.pair import P1, P2, Row


class Watch:
    """What ``bpf/hello.h`` does, by decoding."""

    def __init__(self) -> None:
        self._expected: dict[PortNo, Hello] = {}
        self._own: dict[PortNo, int] = {}
        self._last: dict[PortNo, HelloTaken] = {}

    def expect(self, port: PortNo, frame: bytes, sequence: int, own_sequence: int) -> None:
        hello = read(frame)
        assert hello.sequence == sequence
        self._expected[port], self._own[port] = hello, own_sequence

    def ignore(self, port: PortNo) -> None:
        self._expected.pop(port, None)

    def said(self, port: PortNo, own_sequence: int) -> None:
        self._own[port] = own_sequence

    def last(self, port: PortNo) -> HelloTaken:
        return self._last.get(port, HelloTaken(0, 0, 0, 0, 0.0))

    def takes(self, port: PortNo, data: bytes, now: float) -> bool:
        """Whether a frame that arrives does not come up."""
        expected = self._expected.get(port)
        if expected is None or usual_sequence(data) is None:
            return False
        hello = read(data)
        heard, named = hello.heard, expected.heard
        assert heard is not None
        assert named is not None
        same = replace(hello, sequence=expected.sequence, heard=named) == expected
        if not same or (heard.boot, heard.port) != (named.boot, named.port) or hello.sequence <= expected.sequence:
            return False
        if not 0 <= self._own[port] - heard.sequence < WINDOW:
            return False
        taken = self.last(port).taken + 1
        self._last[port] = HelloTaken(hello.sequence, heard.sequence, heard.hold, taken, now)
        self._expected[port] = hello
        return True


class Watched(Row):
    """Switches whose datapaths take what is expected; ``up`` is what comes up all the same."""

    def __init__(self, count: int) -> None:
        self.watches = [Watch() for _ in range(count)]
        self.expected = [ExpectedHellos(watch) for watch in self.watches]
        self.up: list[bytes] = []
        super().__init__(count)

    def tell(self, at: int, event: ev.Event) -> None:
        expected, fabric = self.expected[at], self.fabrics[at]
        if isinstance(event, ev.FrameReceived):
            if self.watches[at].takes(event.port, event.data, self.now):
                return
            self.up.append(event.data)
            for taken in expected.news(event.port):
                super().tell(at, taken)
        elif isinstance(event, ev.TimePassed):
            for taken in expected.news():
                super().tell(at, taken)
        super().tell(at, event)
        if isinstance(event, ev.FrameReceived):
            expected.heard(fabric.links[event.port], event.data)
        expected.follow(fabric)

    def _send(self, at: int, command: ev.Send) -> None:
        self.expected[at].said(self.fabrics[at].links[command.port])
        super()._send(at, command)


def read(data: bytes) -> Hello:
    hello = decode(body_of(data) or b"")
    assert hello is not None
    return hello


def fast(kind: type[Row]) -> Row:
    """Two switches with control traffic between them."""
    row = kind(2)
    row.carry_control((1, P1))
    row.run(2.0)
    return row


def test_a_switch_hears_of_its_neighbour_once_a_second_and_knows_it_to_be_there() -> None:
    row = fast(Watched)
    assert isinstance(row, Watched)
    row.tell(0, ev.LocalChanged(row.link(0, P2).mac, ()))
    row.run(1.0)
    row.up.clear()
    sent = row.sent

    row.run(10.0)

    assert row.sent - sent > 950
    assert 9 <= len(row.up) <= 11, "who LOCAL is comes up"
    assert (row.state(0, P2), row.state(1)) == (LinkState.TWO_WAY, LinkState.TWO_WAY)
    assert row.commands(0, ev.ForgetPlaces) == row.commands(1, ev.ForgetPlaces) == 0


def test_counters_and_round_trips_are_those_of_a_switch_that_looks_at_each() -> None:
    watched, plain = fast(Watched), fast(Row)

    for row in (watched, plain):
        row.run(10.0)

    mine, theirs = watched.link(1).counters, plain.link(1).counters
    assert mine.received == pytest.approx(theirs.received, abs=30)
    assert (mine.missing, mine.ignored) == (theirs.missing, theirs.ignored)
    assert watched.link(1).round_trip_s == pytest.approx(2 * watched.delay_s, abs=3e-5)


@pytest.mark.parametrize("dead", [frozenset({(0, 1)}), frozenset({(1, 0)}), frozenset({(0, 1), (1, 0)})])
def test_a_link_that_dies_is_lost_as_soon_on_both_ends(dead: frozenset[tuple[int, int]]) -> None:
    watched, plain = fast(Watched), fast(Row)

    for row in (watched, plain):
        row.dead |= dead
        row.run(0.1)

    for row in (watched, plain):
        assert row.commands(0, ev.ForgetPlaces) == row.commands(1, ev.ForgetPlaces) == 1
        assert row.link(0, P2).counters.alarms == row.link(1).counters.alarms == 1
    assert (watched.state(0, P2), watched.state(1)) == (plain.state(0, P2), plain.state(1))


def test_a_neighbour_that_starts_anew_is_met_anew() -> None:
    row = fast(Watched)

    row.restart(0)
    row.run(0.2)

    assert (row.state(0, P2), row.state(1)) == (LinkState.TWO_WAY, LinkState.TWO_WAY)
    peer = row.link(1).peer
    assert peer is not None
    assert peer.boot == row.fabrics[0].boot


def test_a_slower_pace_is_heard_of() -> None:
    row = fast(Watched)

    row.carry_control()
    row.run(15.0)

    peer = row.link(1).peer
    assert peer is not None
    assert peer.interval_ms == 1000
    assert row.state(1) is LinkState.TWO_WAY


def test_what_is_lost_on_the_way_is_counted_as_missing_and_little_of_it_is_an_alarm() -> None:
    watched, plain = fast(Watched), fast(Row)

    for row in (watched, plain):
        row.loss = 0.05
        row.run(20.0)

    assert watched.link(1).counters.missing == pytest.approx(plain.link(1).counters.missing, rel=0.4)
    assert watched.link(1).counters.alarms <= plain.link(1).counters.alarms + 2


def test_other_hellos_are_none_of_the_usual_ones() -> None:
    row = fast(Row)
    peer = row.link(1).peer
    assert peer is not None
    usual = Hello(1, 2, 3, 4, 20, 20, heard=peer.heard)
    source = row.link(0, P2).mac

    assert usual_sequence(frame(encode(usual), source)) == 4
    for other in (replace(usual, heard=None), replace(usual, mac=source), replace(usual, addresses=())):
        found = usual_sequence(frame(encode(other), source))
        assert found == (4 if other == usual else None)
    assert usual_sequence(frame(encode(usual), source) + b"\0") is None
    assert usual_sequence(frame(b"inbX" + encode(usual)[4:], source)) is None
