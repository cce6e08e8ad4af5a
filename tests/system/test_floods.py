"""A host in a ring that sends as fast as it can: no channel falls silent, and it is over when the host stops."""

from __future__ import annotations

import pytest

from lab.floods import flood

pytestmark = [pytest.mark.root, pytest.mark.slow]

SILENCE_S = 0.4
SECONDS = 3.0
QUIET_PER_S = 1500.0
"""What three switches with neighbours and channels receive together, and as much again: a storm is ten times that."""


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
@pytest.mark.parametrize(
    ("what", "per_second"), [("ask", 8000.0), ("syn", 20_000.0), ("syn-lost", 20_000.0), ("sources", 10_000.0)]
)
def test_a_flood_in_a_ring_costs_no_channel_and_is_over_at_once(what: str, per_second: float, datapath: str) -> None:
    found = flood(what, 3, per_second, SECONDS, datapath)

    assert found is not None
    assert max(found.silence, found.after) < SILENCE_S, found
    assert found.still < QUIET_PER_S, found


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_ever_other_source_addresses_cost_a_switch_no_channel(datapath: str) -> None:
    found = flood("arp-sources", 1, 10_000.0, SECONDS, datapath)

    assert found is not None
    assert max(found.silence, found.after) < SILENCE_S, found
