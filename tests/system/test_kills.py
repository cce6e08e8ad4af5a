"""A switch that is killed at random instants: a few of them here, many by `make kills`."""

from __future__ import annotations

import pytest

from lab import kills

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(240)]

SEED = 1


def test_ten_kills_cost_known_flows_nothing_and_leave_nothing() -> None:
    outcome = kills.measure(10, SEED)

    assert outcome.kills == 10
    assert outcome.checks > 1
    assert outcome.faults == []
    assert outcome.left == []
    assert (outcome.data.lost, outcome.to_local.lost) == (0, 0)
    assert outcome.data.expected > 1000
    assert outcome.sessions_lost == 0
