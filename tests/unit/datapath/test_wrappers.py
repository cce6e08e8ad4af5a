"""Faults happen as often as they are told to, repeatably; captures change nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from random import Random

import pytest

from inband.datapath.wrappers import Capture, Faults, FaultyLink
from inband.errors import UsageError
from inband.packet.frame import Frame
from inband.packet.pcap import PcapWriter
from inband.testing import packets

FRAME = Frame(packets.tcp())


class Later:
    """A schedule that only notes."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, delay_s: float, call: Callable[[], None]) -> None:
        self.calls.append((delay_s, call))


def link(faults: Faults) -> tuple[FaultyLink, list[Frame], Later]:
    arrived: list[Frame] = []
    later = Later()
    return FaultyLink(arrived.append, Random(7), later, faults), arrived, later


def test_without_faults_every_frame_passes_at_once_and_unchanged() -> None:
    faulty, arrived, later = link(Faults())

    faulty(FRAME)

    assert (arrived, later.calls, faulty.counters.values) == ([FRAME], [], {})


def test_losses_are_as_many_as_counted_and_about_as_many_as_told() -> None:
    faulty, arrived, _ = link(Faults(loss=0.3))

    for _ in range(1000):
        faulty(FRAME)

    assert len(arrived) + faulty.counters.values["lost"] == 1000
    assert 600 < len(arrived) < 800


def test_a_duplicate_arrives_twice() -> None:
    faulty, arrived, _ = link(Faults(duplicate=1.0))

    faulty(FRAME)

    assert arrived == [FRAME, FRAME]


def test_a_corrupted_frame_has_one_wrong_bit_and_its_offload() -> None:
    faulty, arrived, _ = link(Faults(corrupt=1.0))
    frame = packets.offloaded(packets.tcp())

    faulty(frame)
    faulty(Frame(b""))

    wrong = int.from_bytes(arrived[0].data, "big") ^ int.from_bytes(frame.data, "big")
    assert wrong.bit_count() == 1
    assert arrived[0].offload == frame.offload
    assert arrived[1] == Frame(b"")


def test_a_delayed_frame_waits_for_the_schedule() -> None:
    faulty, arrived, later = link(Faults(delay_s=0.5))
    faulty(FRAME)
    before = list(arrived)

    delay_s, call = later.calls[0]
    call()

    assert (before, delay_s, arrived) == ([], 0.5, [FRAME])


def test_jitter_stays_within_its_bound() -> None:
    faulty, _, later = link(Faults(delay_s=1.0, jitter_s=0.2))

    for _ in range(100):
        faulty(FRAME)

    delays = [delay for delay, _ in later.calls]
    assert 1.0 <= min(delays) < max(delays) <= 1.2


def test_the_same_seed_gives_the_same_faults() -> None:
    def run() -> list[Frame]:
        faulty, arrived, _ = link(Faults(loss=0.2, duplicate=0.2, corrupt=0.2))
        for number in range(100):
            faulty(Frame(packets.tcp(src_port=number)))
        return arrived

    assert run() == run()


@pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"duplicate": -0.1}, {"delay_s": -1.0}])
def test_impossible_faults_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Faults(**wrong)


def test_a_capture_writes_and_passes_on() -> None:
    file, arrived = io.BytesIO(), list[Frame]()

    Capture(arrived.append, PcapWriter(file), lambda: 1.5)(FRAME)

    assert arrived == [FRAME]
    assert FRAME.data in file.getvalue()
    assert file.getvalue()[24:32] == (1).to_bytes(4, "little") + (500_000_000).to_bytes(4, "little")
