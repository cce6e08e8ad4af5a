"""200,000 packets are decided by the kernel as by the pipeline: random tables, and changes while packets come.

The number is ``INBAND_PACKETS``; ``make equality`` plays millions. Other tests here draw fewer packets and more kinds
of flows and frames (``test_kernel_tables``, ``test_kernel_groups``); flows that look up a table again, which take the
pipeline long, are left to them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inband.flow.flow import Flow
from tests.packets.compared import Said, Standing, both, flow_mod
from tests.packets.lockstep import Many, compare_many
from tests.packets.test_kernel_tables import (
    DECIDED,
    buckets_on_the_way,
    flows_on_the_way,
    flows_that_move,
    pass_on,
    plain_flows,
    said_of_ports,
)
from tests.property.test_pipeline_cache import Chained

pytestmark = pytest.mark.root

PACKETS = int(os.environ.get("INBAND_PACKETS", "200000"))
AT_ONCE, BETWEEN_CHANGES = 100, 8
# Less than half of what is seen; the rest is control, or for the switch, and of what may repeat most does.
DECIDED_PER_PACKET, HITS_PER_PACKET = 0.12, 0.12

changed_flows = st.one_of(*[flows_on_the_way()] * 6, *[flows_that_move()] * 2, plain_flows)
changes = st.one_of(
    *[
        st.builds(
            Said, st.builds(lambda flow, on: flow_mod(flow, is_added=on), changed_flows, st.booleans()), st.just(True)
        )
    ]
    * 4,
    st.builds(Said, st.builds(flow_mod, changed_flows), st.just(False)),
    said_of_ports,
)
some_packets = st.builds(Many, st.integers(0, 1 << 32), st.just(AT_ONCE), st.booleans(), st.booleans())
scripts = st.lists(st.tuples(some_packets, changes), min_size=BETWEEN_CHANGES, max_size=BETWEEN_CHANGES)


@pytest.fixture(scope="module")
def columns() -> Iterator[dict[str, Standing]]:
    with both() as made:
        yield made


@pytest.mark.timeout(240 + PACKETS // 500)
def test_very_many_packets_are_decided_as_the_pipeline_does(columns: dict[str, Standing]) -> None:
    played = 0

    @settings(max_examples=-(-PACKETS // (AT_ONCE * BETWEEN_CHANGES)), deadline=None)
    @given(
        visible=st.lists(changed_flows, min_size=3, max_size=8),
        passing=st.sampled_from(((0, 1, 2), (0, 1, 2), (0, 1), (0,), ())),
        groups=buckets_on_the_way,
        script=scripts,
    )
    def play(
        visible: list[Flow],
        passing: tuple[int, ...],
        groups: tuple[list[Chained], ...],
        script: list[tuple[Many, Said]],
    ) -> None:
        nonlocal played
        steps = [step for pair in script for step in pair]
        played += compare_many(columns, [*map(pass_on, passing), *visible], groups, steps)

    play()

    assert played >= PACKETS
    counters = columns["ebpf"][0].datapath.counters()
    assert sum(counters.get(name, 0) for name in DECIDED) >= DECIDED_PER_PACKET * played, dict(counters)
    assert counters["megaflow_hit"] >= HITS_PER_PACKET * played, dict(counters)
