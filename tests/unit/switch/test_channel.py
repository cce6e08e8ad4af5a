"""A channel reads no more than it can carry out, watches TCP, and cuts a peer that does not listen."""

from __future__ import annotations

import pytest

from inband.openflow.messages import BarrierReply, BarrierRequest, EchoReply, EchoRequest, Envelope, Hello
from inband.openflow.session import Notice, SessionConfig
from inband.switch.channel import ACK_CHECK_S, LAST_WORDS_S, Channel
from inband.switch.transport import TcpProgress
from inband.vocabulary.openflow import OFP13
from tests.unit.switch.fakes import HELLO, Clock, FakeTransport, wire

BARRIER = wire(BarrierRequest())


class User:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def opened(self, channel: Channel) -> None:
        self.log.append("opened")

    def heard(self, channel: Channel) -> None:
        self.log.append("heard")

    def writable(self, channel: Channel) -> None:
        self.log.append("writable")

    def carry_out(self, channel: Channel, until: float) -> bool:
        raise AssertionError("turns are somebody else's test")

    def closed(self, channel: Channel, reason: str) -> None:
        self.log.append(f"closed: {reason}")


class Bench:
    """A channel whose stream is open."""

    def __init__(self, config: SessionConfig | None = None) -> None:
        self.clock, self.user = Clock(), User()
        self.channel = Channel(1, self.user, self.clock, config or SessionConfig(), is_first=True)
        self.transport = FakeTransport(self.channel)
        self.channel.opened(self.transport)

    def pass_time(self, seconds: float) -> list[Notice]:
        self.clock.now += seconds
        return self.channel.run()


def test_a_channel_says_hello_when_its_stream_is_there() -> None:
    bench = Bench()

    assert isinstance(bench.transport.said()[0], Hello)
    assert bench.user.log == ["opened"]


def test_messages_wait_until_they_are_read_and_echoes_among_them_are_answered_then() -> None:
    bench = Bench()
    bench.channel.received(HELLO + BARRIER + wire(EchoRequest(b"x")) + BARRIER)
    bench.transport.said()

    assert bench.channel.has_work
    assert [envelope.message for envelope in bench.channel.read(2)] == [BarrierRequest()]
    assert [envelope.message for envelope in bench.channel.read(9)] == [BarrierRequest()]
    bench.channel.flush()

    assert bench.transport.said() == [EchoReply(b"x")]
    assert not bench.channel.has_work


def test_half_a_message_is_no_work() -> None:
    bench = Bench()

    bench.channel.received(HELLO[:10])

    assert not bench.channel.has_work
    assert bench.channel.read(9) == []


def test_while_a_message_waits_nothing_more_is_read_so_that_the_end_comes_behind_it() -> None:
    bench = Bench()

    bench.channel.received(HELLO + BARRIER * 3)
    while bench.channel.has_work:
        assert not bench.transport.is_reading
        bench.channel.read(1)
        bench.channel.flush()

    assert bench.transport.is_reading


def test_a_peer_that_reads_nothing_is_asked_for_nothing() -> None:
    bench = Bench(SessionConfig(soft_bytes=1000))
    bench.channel.received(HELLO)
    bench.channel.read(9)
    bench.channel.set_writable(False)

    while bench.channel.session.send(Envelope(OFP13, 1, BarrierReply())) and not bench.channel.session.has_backlog:
        pass
    bench.channel.received(BARRIER)
    bench.channel.flush()

    assert not bench.channel.has_work
    assert not bench.transport.is_reading
    bench.channel.set_writable(True)
    assert bench.channel.has_work
    assert bench.user.log[-1] == "writable"
    bench.channel.read(9)
    bench.channel.flush()
    assert bench.transport.is_reading


def test_a_peer_whose_message_waits_is_not_silent_however_long_that_takes() -> None:
    bench = Bench()
    bench.channel.received(HELLO + BARRIER)
    waiting = bench.channel.read(9)
    bench.channel.put_back(waiting)
    bench.channel.flush()
    bench.transport.said()

    for _ in range(60):
        bench.pass_time(1.0)
    assert bench.channel.session.closing is None
    assert bench.channel.read(9) == waiting
    bench.channel.flush()
    assert bench.transport.said() == []

    bench.pass_time(5.0)
    assert bench.transport.said() == [EchoRequest()]
    bench.pass_time(5.0)
    assert bench.channel.session.closing == "no answer to a probe in 5 s"


def test_a_peer_that_reads_nothing_is_silent() -> None:
    bench = Bench(SessionConfig(soft_bytes=100))
    bench.channel.received(HELLO + BARRIER)
    bench.channel.read(9)
    bench.channel.set_writable(False)
    for _ in range(20):
        bench.channel.session.send(Envelope(OFP13, 1, BarrierReply()))
    bench.channel.flush()

    bench.pass_time(5.0)
    bench.pass_time(5.0)

    assert bench.channel.session.closing == "no answer to a probe in 5 s"


def test_what_came_behind_a_header_that_cannot_be_right_is_not_carried_out() -> None:
    bench = Bench()
    bench.channel.received(HELLO + BARRIER + bytes([4, 0, 0, 3, 0, 0, 0, 0]) + BARRIER)

    assert len(bench.channel.read(9)) == 1
    assert bench.channel.read(9) == []
    bench.channel.flush()

    assert bench.transport.is_closed
    assert not bench.channel.has_work


def test_a_peer_that_does_not_read_our_last_words_is_cut() -> None:
    bench = Bench()
    bench.channel.received(b"GET / HTTP/1.1\r\n" + bytes(70000))
    bench.channel.read(9)
    bench.channel.flush()

    assert bench.transport.is_closed
    bench.pass_time(LAST_WORDS_S / 2)
    assert not bench.transport.is_aborted
    assert bench.channel.next_deadline() == LAST_WORDS_S
    bench.pass_time(LAST_WORDS_S / 2)

    assert bench.transport.is_aborted


@pytest.mark.parametrize("progress", [TcpProgress(1, 0), TcpProgress(0, 1), None])
def test_a_connection_that_only_waits_is_not_silent(progress: TcpProgress | None) -> None:
    bench = Bench()
    bench.transport.tcp = progress

    bench.pass_time(ACK_CHECK_S)

    assert not bench.channel.is_silent


def test_what_tcp_has_to_send_again_makes_a_channel_silent_until_it_arrives() -> None:
    bench = Bench()
    bench.transport.tcp = TcpProgress(1, 1)

    bench.pass_time(ACK_CHECK_S)
    assert bench.channel.is_silent
    bench.transport.tcp = TcpProgress(0, 0)
    bench.pass_time(ACK_CHECK_S)

    assert not bench.channel.is_silent
    assert bench.channel.next_deadline() == bench.channel.session.next_deadline()


def test_a_stream_that_ends_is_told_with_the_sessions_reason_if_it_has_one() -> None:
    bench = Bench()
    bench.channel.closed("the peer closed the connection")
    other = Bench()
    other.channel.received(b"\x04\x00\x00\x03" + bytes(4))
    other.channel.read(9)
    other.channel.closed("aborted")

    assert bench.user.log[-1] == "closed: the peer closed the connection"
    assert other.user.log[-1] != "closed: aborted"
    assert bench.channel.next_deadline() is None
