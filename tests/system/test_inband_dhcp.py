"""DHCP for the local port, whatever the flow table says, and for nobody else."""

from __future__ import annotations

import pytest

from lab import measure
from lab.switch import SwitchMaker

pytestmark = pytest.mark.root


@pytest.mark.parametrize("policy", ["drop", "controller"])
def test_the_local_port_gets_a_lease_whatever_the_flow_table_says(make: SwitchMaker, policy: str) -> None:
    assert measure.lease(make, policy) is not None


def test_replies_for_another_hardware_address_do_not_reach_the_local_port(make: SwitchMaker) -> None:
    assert measure.other_chaddr(make) == 0
