"""Random flow tables and random packets do the same on all three datapaths, decided anew and out of the cache.

Whole bridges, each on a datapath of another kind, are given the same tables and groups; then the same frames arrive at
the same ports, all of them twice. What leaves which port, frame by frame, must be the same, and what flows, buckets,
meters and bands count.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroute2 import netns

from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.control import events as ev
from inband.flow.fields import FIELDS
from inband.flow.flow import Flow
from inband.flow.ports import PortNo
from inband.table.steps import in_one_go
from inband.vocabulary.addresses import Mac
from lab.silent_host import SilentHost
from tests.packets.columns import PORTS, Column, ebpf, simulated, userspace
from tests.property.test_pipeline_cache import MAC_LOCAL, POOL, Chained, fill, flows, group_buckets

HITS_PER_MISS = 0.25  # of the least that is seen, half: each frame arrives twice, and most decisions can be cached

# Until then meters get no tokens: for others the clock stands still, and the kernel's cannot.
FAR_FUTURE = 1e9

pytestmark = pytest.mark.root

KINDS: dict[str, Callable[[], AbstractContextManager[Column]]] = {
    "simulated": simulated,
    "userspace": userspace,
    "ebpf": lambda: ebpf(lambda: FAR_FUTURE),
}
# A column, and the network namespace that it stands in: some sockets are opened when they are needed.
Standing = tuple[Column, int]


@pytest.fixture(scope="module")
def columns() -> Iterator[dict[str, Standing]]:
    """One of each kind, for all examples."""
    with ExitStack() as stack:
        made = {}
        for name, make in KINDS.items():
            column = stack.enter_context(make())
            namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            stack.callback(os.close, namespace)
            made[name] = (column, namespace)
        yield made
        netns.setns(made["ebpf"][1])  # that of the innermost, which is closed first
        # How many frames there were is chance, and differs when this file runs alone.
        enough = HITS_PER_MISS * made["simulated"][0].datapath.counters()["miss"]
        for name, (column, _) in made.items():
            assert column.datapath.counters().get("megaflow_hit", 0) > enough, f"{name} hardly ever used its cache"


Counts = list[tuple[int, int]]
"""Packets and bytes."""


def put_a_bridge_on(column: Column, visible: list[Flow], groups: tuple[list[Chained], ...]) -> Bridge:
    """A bridge with in-band control and these tables; what the one before cached is gone."""
    bridge = Bridge(BridgeSettings("br0", Identity(1)), column.datapath, SilentHost(), lambda: 1.0, lambda: None)
    column.datapath.flush()
    column.datapath.client = bridge
    for number in PORTS:
        bridge.add_port(number, f"p{number}", Mac(number & 0xFF))
    bridge.set_local(7, Mac.parse(MAC_LOCAL))
    bridge.control(ev.InBandEnabled(True))
    fill(bridge.tables, visible, groups)
    column.datapath.set_meter(1, bridge.tables.meters.get(1))
    return bridge


def counted(bridge: Bridge) -> Counts:
    """What every flow, group, bucket and band has counted, and the meter."""
    in_one_go(bridge.counting())
    flows_ = [(flow.packets, flow.bytes) for table_id in range(3) for flow in bridge.tables[table_id]]
    groups = list(bridge.tables.groups)
    buckets = [each for group in groups for each in (group.counter, *(bucket.counter for bucket in group.buckets))]
    meters = [each for meter in bridge.tables.meters for each in (meter.counter, *(b.counter for b in meter.bands))]
    return flows_ + [(each.packets, each.bytes) for each in (*buckets, *meters)]


@settings(max_examples=60, deadline=None)
@given(
    visible=st.lists(flows(), min_size=1, max_size=8),
    groups=group_buckets,
    chosen=st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=8),
)
def test_all_datapaths_do_the_same(
    columns: dict[str, Standing], visible: list[Flow], groups: tuple[list[Chained], ...], chosen: list[int]
) -> None:
    left: dict[str, list[dict[PortNo, list[bytes]]]] = {}
    counts: dict[str, Counts] = {}
    for name, (column, namespace) in columns.items():
        netns.setns(namespace)
        # Flows count themselves, so each bridge has its own.
        bridge = put_a_bridge_on(column, deepcopy(visible), groups)
        column.left()
        left[name] = []
        for index in chosen * 2:
            key, frame = POOL[index]
            column.arrive(PortNo(FIELDS["in_port"].get(key)), frame)
            left[name].append(column.left())
        counts[name] = counted(bridge)

    assert left["userspace"] == left["simulated"]
    assert left["ebpf"] == left["simulated"]
    assert counts["userspace"] == counts["simulated"]
    assert counts["ebpf"] == counts["simulated"]
