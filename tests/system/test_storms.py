"""A host that asks for the controller without end, from ever other senders: no switch of a row loses its channel."""

from __future__ import annotations

import pytest

from lab import management
from lab.addressing import IPV4, IPV6, Addressing
from lab.inband import OnDatapath

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
@pytest.mark.parametrize("on", [IPV4, IPV6], ids=["ARP", "ND"])
def test_a_storm_at_the_end_of_a_row_costs_no_channel(datapath: str, on: Addressing) -> None:
    silence = management.storm(OnDatapath(datapath), 20_000, 5.0, on)

    assert silence is not None
    assert silence < 1.0


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
@pytest.mark.parametrize("on", [IPV4, IPV6], ids=["ARP", "ND"])
def test_a_storm_for_a_switch_itself_leaves_room_for_its_next_hop(datapath: str, on: Addressing) -> None:
    silence = management.storm(OnDatapath(datapath), 20_000, 5.0, on, for_itself=True)

    assert silence is not None
    assert silence < 1.0
