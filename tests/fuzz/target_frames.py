"""Frames and offloads through everything in inband.packet, by coverage: see ``fuzz_frames`` for what is checked."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from inband.flow.actions import HeaderAction
from inband.packet.frame import Frame
from inband.packet.vnet import VNET_SIZE, parse_vnet
from tests.fuzz import fuzz_frames
from tests.fuzz.fuzzing import Script, Target, sized

_ACTIONS = 6


def check(data: bytes) -> None:
    """A frame, perhaps an offload, and header actions."""
    script = Script(data)
    frame = script.sized()
    offload = parse_vnet(script.take(VNET_SIZE).ljust(VNET_SIZE, b"\0")) if script.number() & 1 else None
    fuzz_frames.check(Frame(frame, offload), [_action(script) for _ in range(script.number() % _ACTIONS)])


def _action(script: Script) -> HeaderAction:
    """An action that the frames' fuzzer would choose: the bytes are its dice."""
    return fuzz_frames.random_action(Random(script.number(2)))


def seeds() -> Iterable[bytes]:
    """The frames of the other fuzzer, each with a few actions."""
    for number, frame in enumerate(fuzz_frames.SEEDS):
        yield sized(frame) + bytes((0, 5, 0, number, 1, number, 2, number, 3, number, 4, number))


TARGET = Target(check, seeds, tuple(bytes((byte,)) for byte in fuzz_frames.INTERESTING), max_bytes=600)
