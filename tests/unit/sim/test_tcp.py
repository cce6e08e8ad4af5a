"""The small TCP: two ends joined by hand, so that each segment can be looked at, lost or changed."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from inband.sim.tcp import ACK, DATA_TIMEOUT_S, RST, SYN, SYN_TIMEOUT_S, Connection, Segment, State


@dataclass
class User:
    """Remembers what it was told."""

    told: list[str] = field(default_factory=list)
    data: bytes = b""

    def opened(self) -> None:
        self.told.append("opened")

    def received(self, data: bytes) -> None:
        self.data += data

    def closed(self, reason: str) -> None:
        self.told.append(reason)


class Pair:
    """A client and a server; ``wire`` holds what was sent and not yet delivered."""

    def __init__(self) -> None:
        self.wire: list[tuple[str, Segment]] = []
        self.client_user, self.server_user = User(), User()
        self.client = Connection(1, 2, lambda segment: self.wire.append(("server", segment)), self.client_user)
        self.server = Connection(2, 1, lambda segment: self.wire.append(("client", segment)), self.server_user)

    def deliver(self, now: float = 0.0) -> int:
        """Deliver until nothing is on the wire; returns how many segments that were."""
        count = 0
        while self.wire:
            to, segment = self.wire.pop(0)
            (self.client if to == "client" else self.server).take(segment, now)
            count += 1
        return count

    def lose(self) -> None:
        self.wire.clear()


@pytest.fixture
def open_pair() -> Pair:
    pair = Pair()
    pair.client.open(0.0)
    pair.deliver()
    return pair


def test_three_segments_open_a_connection() -> None:
    pair = Pair()

    pair.client.open(0.0)

    assert pair.deliver() == 3
    assert (pair.client_user.told, pair.server_user.told) == (["opened"], ["opened"])
    assert pair.client.retry_at is pair.server.retry_at is None


def test_a_lost_syn_is_sent_again_after_a_second() -> None:
    pair = Pair()
    pair.client.open(0.0)
    pair.lose()

    pair.client.tick(SYN_TIMEOUT_S - 0.01)
    early = pair.deliver()
    pair.client.tick(SYN_TIMEOUT_S)
    pair.deliver(SYN_TIMEOUT_S)

    assert early == 0
    assert pair.client.state is pair.server.state is State.OPEN


def test_a_syn_that_comes_again_is_answered_again_at_once() -> None:
    pair = Pair()
    pair.client.open(0.0)
    to, syn = pair.wire.pop()
    pair.server.take(syn, 0.0)
    pair.lose()

    pair.server.take(syn, 0.5)

    assert to == "server"
    assert [segment.flags for _, segment in pair.wire] == [SYN | ACK]


def test_data_comes_whole_and_in_order(open_pair: Pair) -> None:
    text = bytes(range(256)) * 20

    open_pair.client.send(text, 0.0)
    open_pair.server.send(b"and back", 0.0)
    open_pair.deliver()

    assert (open_pair.server_user.data, open_pair.client_user.data) == (text, b"and back")
    assert not open_pair.client.has_unacknowledged


def test_lost_data_is_sent_again_with_doubled_waits(open_pair: Pair) -> None:
    open_pair.client.send(b"x", 0.0)
    open_pair.lose()

    open_pair.client.tick(DATA_TIMEOUT_S)
    open_pair.lose()

    assert open_pair.client.retries == 1
    assert open_pair.client.retry_at == pytest.approx(3 * DATA_TIMEOUT_S)
    open_pair.client.tick(3 * DATA_TIMEOUT_S)
    open_pair.deliver(0.7)
    assert open_pair.server_user.data == b"x"
    assert (open_pair.client.retries, open_pair.client.retry_at) == (0, None)


def test_data_that_overtakes_other_data_waits_for_it(open_pair: Pair) -> None:
    open_pair.client.send(b"one ", 0.0)
    open_pair.client.send(b"two", 0.0)
    open_pair.wire.reverse()
    open_pair.deliver()

    open_pair.client.tick(DATA_TIMEOUT_S)
    open_pair.deliver(DATA_TIMEOUT_S)

    assert open_pair.server_user.data == b"one two"


def test_data_that_comes_twice_is_handed_up_once(open_pair: Pair) -> None:
    open_pair.client.send(b"once", 0.0)
    open_pair.wire.append(open_pair.wire[0])

    open_pair.deliver()

    assert open_pair.server_user.data == b"once"


def test_an_abort_resets_the_other_end_and_tells_its_user_only(open_pair: Pair) -> None:
    open_pair.client.abort()
    open_pair.deliver()

    assert open_pair.server_user.told == ["opened", "connection reset by peer"]
    assert open_pair.client_user.told == ["opened"]
    assert open_pair.client.state is open_pair.server.state is State.CLOSED


def test_a_reset_while_opening_is_a_refusal() -> None:
    pair = Pair()
    pair.client.open(0.0)
    pair.lose()

    pair.client.take(Segment(2, 1, 0, 1001, RST | ACK), 0.0)

    assert pair.client_user.told == ["connection refused"]


def test_a_cut_segment_is_none() -> None:
    assert all(Segment.parse(bytes(length)) is None for length in range(20))
