"""A channel gives each peer its turn, reads no more than it can carry out, and cuts one that does not listen."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Any, cast

from inband.openflow.codec import encode
from inband.openflow.messages import BarrierRequest, Envelope, Hello
from inband.openflow.session import Notice, SessionConfig
from inband.runtime.channel import LAST_WORDS_S, MESSAGES_AT_ONCE, TURN_S, Channel
from inband.vocabulary.openflow import OFP13

HELLO = encode(Envelope(OFP13, 1, Hello(frozenset({OFP13}))))
BARRIER = encode(Envelope(OFP13, 2, BarrierRequest()))


class ManualLoop:
    """The part of an event loop that a channel uses, by a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> asyncio.TimerHandle:
        return self.call_at(self.now, callback, *arguments)

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: Any) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *arguments)

    def call_at(self, when: float, callback: Callable[..., object], *arguments: Any) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, arguments, cast(asyncio.AbstractEventLoop, self))
        heapq.heappush(self._waiting, (when, next(self._numbers), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """What a handle tells its loop."""

    def run_one(self) -> None:
        """Do the next thing that is due, moving the clock to it."""
        when, _, handle = heapq.heappop(self._waiting)
        self.now = max(self.now, when)
        if not handle.cancelled():
            handle._run()

    def run_until(self, end: float) -> None:
        """Do everything that is due until then."""
        while self._waiting and self._waiting[0][0] <= end:
            self.run_one()
        self.now = end


class Wire(asyncio.Transport):
    """A transport that notes what was done with it; ``close`` waits for a peer that never reads."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.closing = False
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = True


class User:
    """Notes what it hears; each message takes it a millisecond."""

    def __init__(self, loop: ManualLoop) -> None:
        self.batches: list[int] = []
        self.is_negotiated = False
        self._loop = loop

    def negotiated(self, channel: Channel) -> None:
        self.is_negotiated = True

    def heard(self, channel: Channel) -> None:
        """Nothing to note."""

    def received(self, channel: Channel, envelopes: list[Envelope]) -> None:
        self.batches.append(len(envelopes))
        self._loop.now += 0.001 * len(envelopes)

    def writable(self, channel: Channel) -> None:
        """Nothing to note."""

    def noticed(self, channel: Channel, notice: Notice) -> None:
        """Nothing to note."""

    def silent(self, channel: Channel, *, is_silent: bool) -> None:
        """Nothing to note."""

    def closed(self, channel: Channel, reason: str) -> None:
        """Nothing to note."""


def connected() -> tuple[ManualLoop, Wire, User, Channel]:
    loop, wire = ManualLoop(), Wire()
    user = User(loop)
    channel = Channel(user, SessionConfig(), cast(asyncio.AbstractEventLoop, loop))
    channel.connection_made(wire)
    return loop, wire, user, channel


def test_much_at_once_is_carried_out_in_turns_and_nothing_more_is_read_meanwhile() -> None:
    loop, wire, user, channel = connected()

    channel.data_received(HELLO + BARRIER * 100)

    taken = sum(user.batches)
    assert MESSAGES_AT_ONCE <= taken < 100
    assert taken * 0.001 < TURN_S + MESSAGES_AT_ONCE * 0.001
    assert not wire.reading
    while sum(user.batches) < 100:
        loop.run_one()
    assert wire.reading


def test_a_greeting_with_rubbish_behind_it_is_nobody_we_know() -> None:
    _, wire, user, channel = connected()

    channel.data_received(HELLO + BARRIER + bytes([4, 0, 0, 3, 0, 0, 0, 0]))

    assert not user.is_negotiated
    assert user.batches == []
    assert wire.closing


def test_a_peer_that_does_not_read_our_last_words_is_cut() -> None:
    loop, wire, _, channel = connected()

    channel.data_received(b"GET / HTTP/1.1\r\n" + bytes(70000))
    assert wire.closing
    assert not wire.aborted
    loop.run_until(loop.now + LAST_WORDS_S)

    assert wire.aborted
