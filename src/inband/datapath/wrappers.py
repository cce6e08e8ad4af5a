"""Faults and captures, put around a port of a simulated network.

A port's frames go through functions of one frame, so a wrapper is a function around the next one: wrap what a datapath
transmits, or what is delivered to it, or both. Which faults happen is decided by the random generator that is given,
so a run can be repeated; delays go to the owner of virtual time.

Not here: queues, rates and links (the simulator's), nor any clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Protocol

from inband.datapath.base import Counters
from inband.errors import UsageError
from inband.packet.frame import Frame
from inband.vocabulary.instant import Instant

Carry = Callable[[Frame], None]
"""Takes a frame one step further."""

Schedule = Callable[[float, Callable[[], None]], object]
"""Calls a function so many seconds from now."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong with a frame: probabilities from 0 to 1, each on its own, and a delay in seconds.

    ``jitter_s`` is added evenly from 0 up, so frames overtake each other.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= chance <= 1 for chance in (self.loss, self.duplicate, self.corrupt)):
            raise UsageError("a fault's probability must be from 0 to 1")
        if self.delay_s < 0 or self.jitter_s < 0:
            raise UsageError("a delay must not be negative")


@dataclass(slots=True)
class FaultyLink:
    """Carries frames as badly as ``faults`` says; may be changed while it runs. Counts what it does."""

    carry: Carry
    random: Random
    schedule: Schedule
    faults: Faults = Faults()
    counters: Counters = field(default_factory=Counters)

    def __call__(self, frame: Frame) -> None:
        """Take a frame."""
        faults = self.faults
        if faults.loss or faults.corrupt or faults.duplicate:
            self._spoil(frame, faults)
        else:
            self._pass_on(frame)

    def _spoil(self, frame: Frame, faults: Faults) -> None:
        if self._happens("lost", faults.loss):
            return
        if frame.data and self._happens("corrupted", faults.corrupt):
            frame = self._corrupted(frame)
        copies = 2 if self._happens("duplicated", faults.duplicate) else 1
        for _ in range(copies):
            self._pass_on(frame)

    def _happens(self, name: str, chance: float) -> bool:
        happens = bool(chance) and self.random.random() < chance
        if happens:
            self.counters.add(name)
        return happens

    def _corrupted(self, frame: Frame) -> Frame:
        """One bit turned; a pending checksum is as the sender left it, so the error may well pass unnoticed."""
        data = bytearray(frame.data)
        data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        return Frame(bytes(data), frame.offload)

    def _pass_on(self, frame: Frame) -> None:
        delay = self.faults.delay_s + (self.random.random() * self.faults.jitter_s if self.faults.jitter_s else 0.0)
        if delay:
            self.schedule(delay, partial(self.carry, frame))
        else:
            self.carry(frame)


class FrameWriter(Protocol):
    """Keeps frames with their times, in nanoseconds: ``packet.pcap.PcapWriter``."""

    def write(self, data: bytes, time_ns: int) -> None:
        """Write one frame."""


@dataclass(slots=True)
class Capture:
    """Writes every frame to a capture, then passes it on as it is. ``clock`` is in seconds, as everywhere."""

    carry: Carry
    writer: FrameWriter
    clock: Callable[[], Instant]

    def __call__(self, frame: Frame) -> None:
        """Take a frame."""
        self.writer.write(frame.data, round(self.clock() * 1e9))
        self.carry(frame)
