"""Rings of our switch, Open vSwitch and bridges of Linux: one link is closed to data, another takes its place."""

from __future__ import annotations

import pytest

from lab.ring import Ring, laid

pytestmark = pytest.mark.root

OUTAGE_S = 1.0
# With STP a port listens, then learns, for the root's forward delay each (15), after what it knew was too old (20).
STP_S = 70.0
# A broadcast that goes round would be heard thousands of times a second.
IDLE_PACKETS = 50


def check_no_storm(ring: Ring) -> None:
    """Broadcasts reach each host once, and then it is quiet."""
    ring.hosts[0].run("ping", "-b", "-n", "-c", "5", "-i", "0.05", "-W", "0.2", "10.77.0.255", check=False)
    before = ring.received()
    ring.hosts[0].run("sleep", "1")
    after = ring.received()
    assert all(now - then < IDLE_PACKETS for now, then in zip(after, before, strict=True)), (before, after)


@pytest.mark.parametrize(
    ("makes", "root"),
    [
        (["userspace", "ebpf", "Open vSwitch"], 0),
        (["ebpf", "userspace", "Open vSwitch"], 2),
        (["ebpf", "userspace", "ebpf"], 1),
    ],
    ids=["root of ours", "root of Open vSwitch", "all of ours"],
)
def test_where_all_speak_rstp_a_cut_is_healed_in_less_than_a_second(makes: list[str], root: int) -> None:
    with laid(makes, {root: 4096}) as ring:
        ring.wait(len(makes) - 1, 15.0)
        assert ring.hosts[0].pings(ring.address(2)) == 3
        check_no_storm(ring)

        outages = []
        for index in range(len(makes)):
            outages.append(ring.outage(index))
            ring.wait(len(makes) - 1, 5.0)
            ring.mend(index)
            ring.wait(len(makes) - 1, 15.0)

        assert max(outages) < OUTAGE_S, outages
        check_no_storm(ring)


@pytest.mark.parametrize(
    ("makes", "root"),
    [
        (["userspace", "Linux", "Open vSwitch", "Linux"], 0),
        (["ebpf", "Linux", "Open vSwitch", "Linux"], 2),
        (["ebpf", "Linux", "userspace", "Linux"], 1),
    ],
    ids=["root of ours", "root of Open vSwitch", "root of Linux"],
)
def test_a_ring_with_two_linux_bridges_that_speak_stp_becomes_a_tree(makes: list[str], root: int) -> None:
    with laid(makes, {root: 4096}) as ring:
        ring.wait(len(makes) - 1, STP_S)

        assert ring.hosts[0].pings(ring.address(2)) == 3
        check_no_storm(ring)
