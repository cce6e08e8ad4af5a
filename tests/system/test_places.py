"""Where next hops are, with real kernels: a gateway that answers from one MAC address and says to have another."""

from __future__ import annotations

import pytest

from lab import management
from lab.inband import OnDatapath

pytestmark = pytest.mark.root


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_behind_a_gateway_with_a_virtual_mac_no_host_sees_the_channel(datapath: str) -> None:
    found = management.virtual_gateway(OnDatapath(datapath), 10.0, 2.0)

    assert found is not None
    silence, seen = found
    assert silence < 1.0
    assert seen == 0
