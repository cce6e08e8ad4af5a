"""What becomes of netlink messages that cannot be read, and of a listener that hears."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inband.errors import HostError, WireError
from inband.host import codec, netlink_socket, rtnetlink
from inband.host.codec import Message
from inband.host.listener import Listener
from inband.host.netlink_socket import Trouble
from inband.host.notifications import decode

BAD_BODY = bytes.fromhex("02000000 07000000 0200 00 00 c800 0100 c0000201")  # an attribute of 200 bytes
BAD = codec.message(rtnetlink.RTM_NEWNEIGH, 0, 0, BAD_BODY)
GOOD = codec.message(rtnetlink.RTM_NEWRULE, 0, 0, bytes(12))


@dataclass
class Clock:
    """Seconds as the test wants them."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass
class Ears:
    """A listener on no socket, and what it was told."""

    clock: Clock
    trouble: Trouble
    heard: list[object] = field(default_factory=list)
    missed: list[object] = field(default_factory=list)
    turns: int = 0
    listener: Listener = field(init=False)

    def take_message(self, message: Message) -> None:
        """Keep the event in it."""
        self.heard.append(decode(message))

    def end_turn(self) -> None:
        """Count."""
        self.turns += 1


@pytest.fixture
def ears() -> Iterator[Ears]:
    clock = Clock()
    made = Ears(clock, Trouble(clock))
    loop = asyncio.new_event_loop()
    made.listener = Listener(loop, made.trouble, made.take_message, made.missed.append, made.end_turn)
    yield made
    made.listener.close()
    loop.close()


def test_a_message_that_cannot_be_read_is_counted_by_its_type_and_the_next_one_is_heard(ears: Ears) -> None:
    ears.listener.take(BAD + GOOD)

    assert len(ears.heard) == 1
    assert ears.trouble.counters == {"malformed: RTM_NEWNEIGH": 1}
    assert [type(each) for each in ears.missed] == [WireError]


def test_the_log_says_which_message_what_was_wrong_where_and_how_it_begins(
    ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    ears.listener.take(BAD)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "a netlink message from the kernel is skipped: RTM_NEWNEIGH with 20 bytes "
        "(02 00 00 00 07 00 00 00 02 00 00 00 c8 00 01 00 c0 00 02 01) cannot be read: "
        "the attribute at byte 12 of 20 says that it has 200"
    )


def test_a_datagram_that_cannot_be_cut_is_counted_after_what_is_before_the_fault(
    ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    ears.listener.take(GOOD + GOOD[:-1])

    assert len(ears.heard) == 1
    assert ears.trouble.counters == {"malformed: datagram": 1}
    assert "datagram with 55 bytes (1c 00 00 00 20 00" in caplog.text
    assert "the message at byte 28 of 55 says that it has 28" in caplog.text
    assert " ...) cannot be read" in caplog.text


def test_each_type_is_logged_once_a_minute_and_counted_always(ears: Ears, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(1000):
        ears.listener.take(BAD)
    ears.listener.take(codec.message(rtnetlink.RTM_NEWADDR, 0, 0, b""))
    assert len(caplog.records) == 2

    ears.clock.now = 60.0
    ears.listener.take(BAD)

    assert len(caplog.records) == 3
    assert ears.trouble.counters == {"malformed: RTM_NEWNEIGH": 1001, "malformed: RTM_NEWADDR": 1}


@given(datagram=st.binary(max_size=200))
def test_any_datagram_raises_nothing(datagram: bytes) -> None:
    clock = Clock()
    heard = Ears(clock, Trouble(clock))
    loop = asyncio.new_event_loop()

    Listener(loop, heard.trouble, heard.take_message, heard.missed.append, heard.end_turn).take(datagram)

    loop.close()
    assert len(heard.missed) == sum(heard.trouble.counters.values())


def test_the_causes_that_are_remembered_are_as_many_as_types_that_are_read(ears: Ears) -> None:
    for kind in range(0x400):
        ears.listener.take(codec.message(kind, 0, 0, b"\2"))

    assert len(ears.trouble.counters) == 8  # RTM_NEW... and RTM_DEL... of four


def test_a_refusal_is_logged_with_the_kernels_reason_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    trouble = Trouble(clock)

    for clock.now in (0.0, 59.0, 60.0):
        trouble.refused("dump", errno.EBUSY)

    assert trouble.counters == {"refused: dump": 3}
    expected = f"the kernel refused to dump: {os.strerror(errno.EBUSY)}; it is tried again at the next event"
    assert [record.getMessage() for record in caplog.records] == [expected, expected]


def test_a_listener_hears_the_kernels_answer_and_nothing_after_it_is_closed(ears: Ears) -> None:
    ears.listener.open((), 1 << 16)
    question = rtnetlink.link_question(0, codec.text(rtnetlink.IFLA_IFNAME, "lo"))
    ears.listener.send(codec.message(rtnetlink.RTM_GETLINK, codec.NLM_F_REQUEST, 1, question))

    ears.listener.wait(1.0)

    assert [getattr(event, "name", "") for event in ears.heard] == ["lo"]
    assert ears.turns == 1
    ears.listener.close()
    ears.listener.close()
    assert not ears.listener.is_open
    ears.listener.send(b"")
    ears.listener.wait(0.0)
    assert ears.turns == 1


def test_a_turn_takes_a_bounded_number_of_datagrams(ears: Ears) -> None:
    ears.listener.reads_per_turn = 2
    ears.listener.open((), 1 << 20)
    question = rtnetlink.link_question(0, codec.text(rtnetlink.IFLA_IFNAME, "lo"))
    for sequence in range(5):
        ears.listener.send(codec.message(rtnetlink.RTM_GETLINK, codec.NLM_F_REQUEST, sequence, question))

    ears.listener.wait(1.0)

    assert len(ears.heard) == 2


def test_a_closed_listener_can_be_opened_again(ears: Ears) -> None:
    ears.listener.open((), 1 << 16)
    ears.listener.close()

    ears.listener.open((), 1 << 16)

    assert ears.listener.is_open


def test_what_another_process_sends_is_not_heard() -> None:
    class Forged:
        """A socket whose datagram came from process 77."""

        def recvfrom(self, _: int) -> tuple[bytes, tuple[int, int]]:
            """Return it."""
            return GOOD, (77, 0)

    assert netlink_socket.receive(Forged()) == b""  # type: ignore[arg-type]


def test_a_socket_that_cannot_be_had_is_a_host_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(socket, "socket", refuse)

    with pytest.raises(HostError, match="open rtnetlink: Operation not permitted: this needs CAP_NET_ADMIN"):
        netlink_socket.open_socket()
