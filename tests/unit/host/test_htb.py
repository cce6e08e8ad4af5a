"""HTB's classes both ways, beside pyroute2, and which classes a port's QoS asks for."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from inband.errors import WireError
from inband.host import codec, htb, tc
from inband.host.htb import HtbClass
from inband.host.shaping import class_changes, wanted_classes
from inband.vocabulary.queueing import PortQos, QosKind, QueueConfig
from tests.unit.host import netlink_oracle

MTU = 1500
GIGABIT = 1_000_000_000
U32 = st.integers(0, 0xFFFFFFFF)
CLASSES = st.builds(
    HtbClass, st.integers(0x10001, 0x1FFFF), U32, st.integers(1, 1 << 62), st.integers(1, 1 << 62), U32, U32, U32,
    st.integers(0, 7),
)  # fmt: skip


def body_of(one: HtbClass) -> bytes:
    return tc.body(7, one.handle, one.parent, 0, "htb", one.body)


def queues(*queues: tuple[int, QueueConfig], max_rate_bps: int | None = None) -> dict[int, HtbClass]:
    """The classes without that above them, by the number of their queue."""
    found = wanted_classes(PortQos(QosKind.HTB, max_rate_bps, queues), MTU, GIGABIT)
    return {handle - 0x10001: each for handle, each in found.items() if handle != htb.LIMIT}


@given(CLASSES)
def test_a_class_is_read_as_it_was_written(one: HtbClass) -> None:
    read = htb.read(body_of(one))

    assert read is not None
    assert read[0] == one


@given(CLASSES, st.integers(0))
def test_a_class_cut_anywhere_is_refused_or_no_class(one: HtbClass, size: int) -> None:
    with suppress(WireError):
        assert htb.read(body_of(one)[: size % len(body_of(one))]) is None


def test_a_class_is_what_pyroute2_reads() -> None:
    one = HtbClass(0x10003, htb.LIMIT, 2_500_000, 6 << 32, 625_000, 400_000, 200_000, 3)

    message = netlink_oracle.read(tcmsg, codec.message(htb.RTM_NEWTCLASS, 0, 0, body_of(one)))

    options = message.get_attr("TCA_OPTIONS")
    parms = options.get_attr("TCA_HTB_PARMS")
    assert (message["handle"], message["parent"]) == (0x10003, 0x1FFFE)
    assert (parms["rate"], parms["ceil"], parms["prio"]) == (2_500_000, 0xFFFFFFFF, 3)
    assert (parms["buffer"], parms["cbuffer"], parms["quantum"]) == (625_000, 400_000, 200_000)


def test_a_new_discipline_is_known_as_ours_and_sends_to_queue_0_what_has_none() -> None:
    made = tc.read(tc.body(7, htb.HANDLE, tc.ROOT, 0, "htb", htb.discipline_options()))
    message = netlink_oracle.read(tcmsg, codec.message(36, 0, 0, tc.body(7, 0, 0, 0, "htb", htb.discipline_options())))

    assert htb.is_ours(made.options)
    assert not htb.is_ours({})
    assert message.get_attr("TCA_OPTIONS").get_attr("TCA_HTB_INIT")["defcls"] == 1


def test_there_is_always_a_queue_0_with_all_that_there_is() -> None:
    top, default = wanted_classes(PortQos(QosKind.HTB), MTU, GIGABIT).values()

    assert (top.handle, top.parent, top.rate, top.ceil) == (htb.LIMIT, tc.ROOT, GIGABIT // 8, GIGABIT // 8)
    assert (default.handle, default.parent, default.rate, default.ceil) == (0x10001, htb.LIMIT, MTU, GIGABIT // 8)


@pytest.mark.parametrize(
    ("speed_bps", "max_rate_bps", "limit_bps"),
    [(GIGABIT, None, GIGABIT), (GIGABIT, 5_000_000, 5_000_000), (0, None, 100_000_000), (GIGABIT, 1, MTU * 8)],
)
def test_all_together_have_the_rate_that_is_said_else_the_links(
    speed_bps: int, max_rate_bps: int | None, limit_bps: int
) -> None:
    assert wanted_classes(PortQos(QosKind.HTB, max_rate_bps), MTU, speed_bps)[htb.LIMIT].ceil == limit_bps // 8


def test_a_queue_has_its_rates_in_bytes_and_a_frames_burst_at_least() -> None:
    found = queues((1, QueueConfig(max_rate_bps=10_000_000)), (2, QueueConfig(20_000_000, 40_000_000, 100_000, 3)))
    slow, fast = found[1], found[2]

    assert (slow.rate, slow.ceil, htb.size_of(slow.burst, slow.rate), slow.quantum) == (MTU, 1_250_000, MTU + 64, MTU)
    assert (fast.rate, fast.ceil, htb.size_of(fast.burst, fast.rate)) == (2_500_000, 5_000_000, 12_500)
    assert (fast.priority, fast.quantum) == (3, 200_000)


@pytest.mark.parametrize(
    ("queue", "rates_bps"),
    [
        (QueueConfig(min_rate_bps=5_000_000, max_rate_bps=1_000_000), (5_000_000, 5_000_000)),
        (QueueConfig(min_rate_bps=50_000_000), (20_000_000, 20_000_000)),
        (QueueConfig(max_rate_bps=50_000_000), (MTU * 8, 20_000_000)),
        (QueueConfig(max_rate_bps=1), (MTU * 8, MTU * 8)),
    ],
)
def test_rates_that_do_not_fit_together_are_made_to(queue: QueueConfig, rates_bps: tuple[int, int]) -> None:
    one = queues((1, queue), max_rate_bps=20_000_000)[1]

    assert (one.rate * 8, one.ceil * 8) == rates_bps


def test_a_priority_above_the_kernels_is_its_lowest() -> None:
    assert queues((1, QueueConfig(priority=1 << 31)))[1].priority == 7


def test_only_what_differs_is_changed() -> None:
    before = wanted_classes(
        PortQos(QosKind.HTB, GIGABIT, ((1, QueueConfig(1000)), (2, QueueConfig()), (3, QueueConfig()))), MTU, 0
    )
    after = wanted_classes(
        PortQos(QosKind.HTB, GIGABIT, ((1, QueueConfig(1000)), (2, QueueConfig(max_rate_bps=5_000_000)))), MTU, 0
    )

    changes = class_changes(7, before, after)

    assert [(kind, codec.fields(tc.TCMSG, body)[2]) for kind, _, body in changes] == [
        (htb.RTM_NEWTCLASS, 0x10003),
        (htb.RTM_DELTCLASS, 0x10004),
    ]
    assert class_changes(7, after, after) == []
