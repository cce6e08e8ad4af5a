"""The small TCP: two ends joined by hand, so that each segment can be looked at, lost or changed."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from inband.sim.clock import VirtualClock
from inband.sim.tcp import ACK, DATA_TIMEOUT_S, INITIAL_WINDOW, RST, SYN, SYN_TIMEOUT_S, Connection, Segment, State
from inband.switch.transport import Transport


@dataclass
class User:
    """Remembers what it was told."""

    told: list[str] = field(default_factory=list)
    data: bytes = b""

    def opened(self, transport: Transport) -> None:
        self.told.append("opened")

    def received(self, data: bytes) -> None:
        self.data += data

    def set_writable(self, is_writable: bool) -> None:
        self.told.append("writable")

    def closed(self, reason: str) -> None:
        self.told.append(reason)


class Pair:
    """A client and a server; ``wire`` holds what was sent and not yet delivered."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.wire: list[tuple[str, Segment]] = []
        self.client_user, self.server_user = User(), User()
        to_server, to_client = (lambda segment, to=to: self.wire.append((to, segment)) for to in ("server", "client"))
        self.client = Connection(self.clock, (1, 2), to_server, self.client_user)
        self.server = Connection(self.clock, (2, 1), to_client, self.server_user)

    def deliver(self) -> int:
        """Deliver until nothing is on the wire; returns how many segments that were."""
        count = 0
        while self.wire:
            to, segment = self.wire.pop(0)
            (self.client if to == "client" else self.server).take(segment)
            count += 1
        return count

    def lose(self) -> None:
        self.wire.clear()

    def pass_time(self, seconds: float) -> None:
        """Let timers run, and deliver nothing."""
        self.clock.run_until(self.clock.now + seconds)


@pytest.fixture
def open_pair() -> Pair:
    pair = Pair()
    pair.client.open()
    pair.deliver()
    return pair


def test_three_segments_open_a_connection() -> None:
    pair = Pair()

    pair.client.open()

    assert pair.deliver() == 3
    assert (pair.client_user.told, pair.server_user.told) == (["opened"], ["opened"])
    pair.pass_time(1000)
    assert pair.wire == []


def test_a_lost_syn_is_sent_again_after_a_second() -> None:
    pair = Pair()
    pair.client.open()
    pair.lose()

    pair.pass_time(SYN_TIMEOUT_S - 0.01)
    early = pair.deliver()
    pair.pass_time(0.01)
    pair.deliver()

    assert early == 0
    assert pair.client.state is pair.server.state is State.OPEN


def test_a_syn_that_comes_again_is_answered_again_at_once() -> None:
    pair = Pair()
    pair.client.open()
    to, syn = pair.wire.pop()
    pair.server.take(syn)
    pair.lose()

    pair.server.take(syn)

    assert to == "server"
    assert [segment.flags for _, segment in pair.wire] == [SYN | ACK]


def test_data_comes_whole_and_in_order(open_pair: Pair) -> None:
    text = bytes(range(256)) * 20

    open_pair.client.write(text)
    open_pair.server.write(b"and back")
    open_pair.deliver()

    assert (open_pair.server_user.data, open_pair.client_user.data) == (text, b"and back")
    assert not open_pair.client.progress().unacknowledged


def test_lost_data_is_sent_again_with_doubled_waits(open_pair: Pair) -> None:
    open_pair.client.write(b"x")
    open_pair.lose()

    open_pair.pass_time(DATA_TIMEOUT_S)
    open_pair.lose()
    retries = open_pair.client.retries
    open_pair.pass_time(2 * DATA_TIMEOUT_S - 0.01)
    early = len(open_pair.wire)
    open_pair.pass_time(0.01)
    open_pair.deliver()

    assert (retries, early) == (1, 0)
    assert open_pair.server_user.data == b"x"
    assert open_pair.client.retries == 0


def test_data_that_overtakes_other_data_waits_for_it(open_pair: Pair) -> None:
    open_pair.client.write(b"one ")
    open_pair.client.write(b"two")
    open_pair.wire.reverse()
    open_pair.deliver()

    open_pair.pass_time(DATA_TIMEOUT_S)
    open_pair.deliver()

    assert open_pair.server_user.data == b"one two"


def test_what_was_lost_is_sent_again_together_and_what_is_known_of_it_is_skipped(open_pair: Pair) -> None:
    for part in (b"one", b"two", b"three"):
        open_pair.client.write(part)
    open_pair.server.take(open_pair.wire[0][1])
    open_pair.lose()

    open_pair.pass_time(DATA_TIMEOUT_S)

    assert [segment.payload for _, segment in open_pair.wire] == [b"onetwothree"]
    open_pair.deliver()
    assert open_pair.server_user.data == b"onetwothree"


def test_no_more_is_on_its_way_than_ten_segments_and_after_a_timeout_one(open_pair: Pair) -> None:
    for number in range(30):
        open_pair.client.write(bytes([number]))
    first = len(open_pair.wire)
    open_pair.lose()

    open_pair.pass_time(DATA_TIMEOUT_S)
    again = len(open_pair.wire)
    open_pair.client.write(b"x")

    assert (first, again, len(open_pair.wire)) == (INITIAL_WINDOW, 1, 1)
    open_pair.deliver()
    assert open_pair.server_user.data == bytes(range(30)) + b"x"


def test_data_that_comes_twice_is_handed_up_once(open_pair: Pair) -> None:
    open_pair.client.write(b"once")
    open_pair.wire.append(open_pair.wire[0])

    open_pair.deliver()

    assert open_pair.server_user.data == b"once"


def test_an_abort_resets_the_other_end_and_is_reported_to_both_users_once(open_pair: Pair) -> None:
    open_pair.client.abort()
    at_once = list(open_pair.client_user.told)
    open_pair.client.abort()
    open_pair.deliver()
    open_pair.pass_time(0)

    assert at_once == ["opened"]
    assert open_pair.server_user.told == ["opened", "connection reset by peer"]
    assert open_pair.client_user.told == ["opened", "closed here"]
    assert open_pair.client.state is open_pair.server.state is State.CLOSED


def test_who_cancels_is_told_nothing_more(open_pair: Pair) -> None:
    open_pair.client.cancel()
    open_pair.deliver()
    open_pair.pass_time(0)

    assert open_pair.server_user.told == ["opened", "connection reset by peer"]
    assert open_pair.client_user.told == ["opened"]


def test_a_reset_while_opening_is_a_refusal() -> None:
    pair = Pair()
    pair.client.open()
    pair.lose()

    pair.client.take(Segment(2, 1, 0, 1001, RST | ACK))

    assert pair.client_user.told == ["connection refused"]


def test_a_cut_segment_is_none() -> None:
    assert all(Segment.parse(bytes(length)) is None for length in range(20))
