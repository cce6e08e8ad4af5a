"""The command ``inband capture``: reads packets, asks the switch about them, and writes both.

Of a packet that came in the switch is asked what it decides; of one that left it is said by which port it had come in,
if it is the same packet and was seen there. Questions are bounded: an answer that holds for many packets is believed
for BELIEVED_S, and no more than QUESTIONS_PER_S are asked. A packet beyond that is written without a remark, and
counted.

Invariant: memory is bounded, by the socket's buffer, MAX_KNOWN answers and MAX_RECENT packets.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from inband.errors import UsageError
from inband.flow.fields import FlowKey
from inband.flow.ports import PortNo
from inband.flow.text import format_match
from inband.packet.parse import parse
from inband.packet.pcapng import Direction, PcapngWriter
from inband.runtime.capture.source import PacketSource, Seen, enter_network_of
from inband.runtime.tracing import as_match

Ask = Callable[[str, Sequence[str]], str]
"""Runs a command of the switch's control socket; raises InbandError."""

BELIEVED_S = 1.0
QUESTIONS_PER_S = 500
# The packets that are read, asked about and written together; as many as the switch answers at a time.
BATCH = 64
PATIENCE_S = 0.1
RENEW_S = 1.0
MAX_KNOWN = 4096
MAX_RECENT = 1024
# Headers are what decides; what configures or names hosts (DHCP, DNS) is shorter than this as well.
ASKED_BYTES = 1600


class Source(Protocol):
    """Where packets come from: ``source.PacketSource``."""

    received: int
    dropped: int

    def follow(self, interfaces: Iterable[str]) -> None:
        """From now on packets of these interfaces."""

    def read(self, limit: int, patience_s: float) -> Iterator[Seen]:
        """Packets that wait."""

    def count(self) -> None:
        """Make ``received`` and ``dropped`` what they are."""


class Sink(Protocol):
    """Where packets go."""

    def packet(self, seen: Seen, port: str, comment: str) -> None:
        """Take one; ``port`` is its name."""

    def end(self, received: int, dropped: int) -> None:
        """No more come."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a capture ends by itself: after so many packets, or so many seconds, or when ``look`` raises OSError."""

    count: int | None = None
    seconds: float | None = None
    look: Callable[[], None] | None = None


class _Port(NamedTuple):
    number: PortNo
    name: str
    wanted: bool


class Capture:
    """One run. ``unexplained`` counts packets that came in and have no remark."""

    def __init__(
        self,
        bridge: str,
        wanted: Sequence[str],
        ask: Ask,
        source: Source,
        sink: Sink,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``wanted``: ports by name or number, none for all; ``clock`` gives seconds and only goes forward."""
        self.written = self.unexplained = 0
        self._clock = clock
        self._bridge = bridge
        self._wanted = wanted
        self._ask = ask
        self._source = source
        self._sink = sink
        self._answers = Answers()
        self._recent: OrderedDict[int, str] = OrderedDict()
        self._ports: dict[str, _Port] = {}
        self._limit: int | None = None

    def run(self, limits: Limits) -> None:
        """Capture until a limit is reached. Raises InbandError when the switch ends."""
        self._limit = limits.count
        end = None if limits.seconds is None else self._clock() + limits.seconds
        renewed = 0.0
        while not self._is_full and (end is None or self._clock() < end):
            if self._clock() - renewed > RENEW_S:
                renewed = self._clock()
                self._follow_ports()
            self._write(list(self._source.read(BATCH, PATIENCE_S)))
            if limits.look is not None:
                limits.look()

    @property
    def _is_full(self) -> bool:
        return self._limit is not None and self.written >= self._limit

    def end(self) -> None:
        """Say what was lost."""
        self._source.count()
        self._sink.end(self._source.received, self._source.dropped)

    def _follow_ports(self) -> None:
        found = json.loads(self._ask("inband/capture", [self._bridge, *self._wanted]))["ports"]
        ports = {each["interface"]: _Port(PortNo(each["number"]), each["name"], each["wanted"]) for each in found}
        if ports != self._ports:
            self._ports = ports
            self._source.follow(ports)

    def _write(self, batch: Sequence[Seen]) -> None:
        known = [(seen, self._ports[seen.interface]) for seen in batch if seen.interface in self._ports]
        keys = [parse(seen.data, port.number) for seen, port in known]
        pairs = list(zip(known, keys, strict=True))
        now = self._clock()  # one for all: an answer that is believed when it is looked for is believed when used
        self._learn([(key, seen.data) for (seen, _), key in pairs if seen.direction is Direction.RECEIVED], now)
        for (seen, port), key in pairs:
            comment = self._comment(seen, port, key, now)
            if port.wanted and not self._is_full:
                self._sink.packet(seen, port.name, comment)
                self.written += 1

    def _learn(self, packets: Sequence[tuple[FlowKey, bytes]], now: float) -> None:
        """Ask about what is not known."""
        unknown = {key: data for key, data in packets if self._answers.find(key, now) is None}
        asked = list(unknown)[: self._answers.room(len(unknown), now)]
        if asked:
            words = [f"{key & 0xFFFFFFFF}:{unknown[key][:ASKED_BYTES].hex()}" for key in asked]
            for key, answer in zip(asked, json.loads(self._ask("capture/decide", [self._bridge, *words])), strict=True):
                self._answers.add(key, answer["comment"], answer["value"], answer["mask"], now)

    def _comment(self, seen: Seen, port: _Port, key: FlowKey, now: float) -> str:
        where = f"port {port.number} ({port.name})"
        identity = hash(seen.data)
        if seen.direction is Direction.SENT:
            came = self._recent.get(identity)
            return f"out by {where}" + (f"; {came}" if came else "")
        decision = self._answers.take(key, now)
        if decision is None:
            self.unexplained += 1
        self._recent[identity] = f"came in by {where}" + (f"; {decision}" if decision else "")
        if len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)
        return f"in by {where}" + (f"; {decision}" if decision else "; not asked about: too many at a time")


class Answers:
    """What the switch said lately: by mask for decisions that hold for many packets, else for one packet."""

    def __init__(self) -> None:
        self._by_mask: dict[int, dict[int, tuple[str, float]]] = {}
        self._single: dict[FlowKey, str] = {}
        self._window = 0.0
        self._asked = 0

    def find(self, key: FlowKey, now: float) -> str | None:
        """The remark on a packet, if one is known that is young enough."""
        for mask, by_value in self._by_mask.items():
            found = by_value.get(key & mask)
            if found is not None and now - found[1] < BELIEVED_S:
                return found[0]
        return None

    def take(self, key: FlowKey, now: float) -> str | None:
        """The same for a packet that was asked about a moment ago, also if the answer holds for that one alone."""
        single = self._single.pop(key, None)
        return single if single is not None else self.find(key, now)

    def add(self, key: FlowKey, comment: str, value: str | None, mask: str | None, now: float) -> None:
        """Take an answer."""
        if sum(map(len, self._by_mask.values())) >= MAX_KNOWN:
            self._by_mask.clear()
        if value is None or mask is None:
            self._single[key] = comment
        else:
            self._by_mask.setdefault(int(mask, 16), {})[int(value, 16)] = (comment, now)

    def room(self, wanted: int, now: float) -> int:
        """How many questions of those that are wanted may be asked now, and at a time; they count as asked."""
        if now - self._window >= 1.0:
            self._window, self._asked = now, 0
        self._single.clear()
        room = min(wanted, BATCH, QUESTIONS_PER_S - self._asked)
        self._asked += room
        return room


class FileSink:
    """Into a pcapng file."""

    def __init__(self, writer: PcapngWriter) -> None:
        self._writer = writer
        self._interface = ""

    def packet(self, seen: Seen, port: str, comment: str) -> None:
        """As ``Sink.packet``."""
        self._interface = port
        self._writer.write(port, seen.direction, seen.time_ns, seen.data, comment)
        self._writer.flush()

    def end(self, received: int, dropped: int) -> None:
        """As ``Sink.end``: one socket serves all interfaces, so the last one has the figures of all."""
        if self._interface:
            self._writer.lost(self._interface, time.time_ns(), received, dropped)
            self._writer.flush()


class TextSink:
    """As lines for people: time, port, direction, the packet as a flow, and the remark below it."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def packet(self, seen: Seen, port: str, comment: str) -> None:
        """As ``Sink.packet``."""
        seconds, rest = divmod(seen.time_ns, 1_000_000_000)
        clock = f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest // 1000:06d}"
        arrow = "<" if seen.direction is Direction.RECEIVED else ">"
        packet = format_match(as_match(parse(seen.data, PortNo(0))))
        self._write(f"{clock} {port} {arrow} {len(seen.data)} bytes {packet}")
        self._write(f"    {comment}")

    def end(self, received: int, dropped: int) -> None:
        """As ``Sink.end``: the command says it."""


def capture(
    bridge: str, wanted: Sequence[str], ask: Ask, limits: Limits, write: Callable[[str], None], file: str | None = None
) -> str:
    """Capture until a limit is reached or the user has had enough (KeyboardInterrupt); returns a summary.

    Packets go to ``file`` ("-": standard output), or as lines to ``write``. Raises InbandError.
    """
    document = json.loads(ask("inband/capture", [bridge, *wanted]))
    enter_network_of(document["pid"])
    with ExitStack() as opened:
        if file is None:
            sink: Sink = TextSink(write)
        else:
            sink = FileSink(PcapngWriter(opened.enter_context(_open(file))))
        source = PacketSource(each["interface"] for each in document["ports"])
        opened.callback(source.close)
        run = Capture(bridge, wanted, ask, source, sink)
        with suppress(KeyboardInterrupt, BrokenPipeError):
            run.run(limits)
        with suppress(BrokenPipeError):
            run.end()
    return f"{run.written} packets, {run.unexplained} without a remark, {source.dropped} lost"


def _open(file: str) -> BinaryIO:
    try:
        if file == "-":
            return os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        return Path(file).open("wb")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
