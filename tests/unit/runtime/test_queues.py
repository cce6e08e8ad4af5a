"""Traffic classes of the kernel as queues: what is one, what is none, and what is rubbish."""

from __future__ import annotations

import struct

import pytest

from inband.datapath.base import QueueState
from inband.host.codec import attribute
from inband.host.netlink_socket import Trouble
from inband.runtime.queues import decode_classes


def class_of(
    handle: int = 0x10003, *, kind: bytes = b"htb\0", level: int = 0, rate: int = 125_000, more: bytes = b""
) -> bytes:
    """The body of a class as the kernel reports it; rates are in bytes per second."""
    parms = struct.pack("=8xI8xIIIIII", rate, 2 * rate, 0, 0, 0, level, 0)
    stats = attribute(1, struct.pack("=QI4x", 900, 9)) + attribute(3, struct.pack("=5I", 0, 0, 2, 0, 0))
    body = struct.pack("=BxxxiIII", 0, 5, handle, 0, 0)
    body += attribute(1, kind) + attribute(2, attribute(1, parms) + more) + attribute(7, stats)
    return body


def queues_in(*bodies: bytes) -> tuple[QueueState, ...]:
    return decode_classes(bodies, Trouble(lambda: 0.0))


def test_class_1_3_is_queue_2_with_rates_in_bits() -> None:
    assert queues_in(class_of()) == (QueueState(2, 1_000_000, 2_000_000, 9, 900, 2),)


def test_queues_come_by_number() -> None:
    numbers = [queue.queue_id for queue in queues_in(class_of(0x10009), class_of(0x10001), class_of(0x10002))]

    assert numbers == [0, 1, 8]


def test_rates_above_32_bits_are_read_whole() -> None:
    rates = attribute(6, struct.pack("=Q", 5_000_000_000)) + attribute(7, struct.pack("=Q", 6_000_000_000))

    (queue,) = queues_in(class_of(rate=0xFFFFFFFF >> 1, more=rates))

    assert (queue.min_rate_bps, queue.max_rate_bps) == (40_000_000_000, 48_000_000_000)


_CUTS = (0, 10, 20, 30, 60, 90, 120)


@pytest.mark.parametrize(
    "body",
    [
        class_of(level=1),
        class_of(0x20003),
        class_of(0x10000),
        class_of(kind=b"drr\0"),
        *(class_of()[:length] for length in _CUTS),
    ],
    ids=["inner class", "other handle", "no minor", "other kind", *(f"cut at {length}" for length in _CUTS)],
)
def test_what_is_no_queue_is_left_out(body: bytes) -> None:
    assert queues_in(body, class_of()) == queues_in(class_of())


def test_a_class_that_cannot_be_read_is_counted_and_one_that_is_no_queue_is_not() -> None:
    trouble = Trouble(lambda: 0.0)

    decode_classes([class_of()[:30], class_of(kind=b"drr\0"), class_of(level=1)], trouble)

    assert trouble.counters == {"malformed: RTM_NEWTCLASS": 1}
