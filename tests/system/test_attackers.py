"""Hosts that lie about the controller, with real kernels: no channel falls silent, and no other host hears the lie."""

from __future__ import annotations

import pytest

from lab import liars

pytestmark = [pytest.mark.root, pytest.mark.slow]

SILENCE_S = 0.4


@pytest.mark.parametrize(("switches", "per_second"), [(1, 0.3), (3, 10.0)], ids=["a switch", "a ring of three"])
@pytest.mark.parametrize("lie", liars.LIES, ids=lambda lie: lie.name)
def test_a_lie_about_the_controller_costs_no_channel(lie: liars.Lie, switches: int, per_second: float) -> None:
    found = liars.cost_of(lie, switches, per_second, 4.0)

    assert found is not None
    silence, heard = found
    assert silence < SILENCE_S
    assert heard == 0


def test_nor_on_the_ebpf_datapath() -> None:
    found = liars.cost_of(liars.LIES[0], 3, 10.0, 4.0, "ebpf")

    assert found is not None
    assert found[0] < SILENCE_S
    assert found[1] == 0


@pytest.mark.parametrize(("hop_limit", "preference"), [(1, "medium"), (64, "high")])
def test_a_host_that_says_to_be_the_router_costs_no_channel(hop_limit: int, preference: str) -> None:
    silence = liars.rogue_router(hop_limit, preference)

    assert silence is not None
    assert silence < SILENCE_S
