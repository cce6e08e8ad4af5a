"""A packet that comes in by a port that is not there is a mistake, not a drop."""

from __future__ import annotations

import pytest

from inband.errors import UsageError
from inband.flow.ports import PortNo
from inband.runtime.tracing import explain
from tests.unit.switch.bench import MAC, Bench


@pytest.mark.parametrize("packet", [["in_port=9,tcp"], ["hex", "00" * 14, "9"]])
def test_a_trace_from_a_port_that_is_not_there_is_refused_and_names_those_that_are(packet: list[str]) -> None:
    bridge = Bench().managed.bridge
    bridge.add_port(PortNo(1), "eth1", MAC)

    with pytest.raises(UsageError, match=r"no port 9 \(ports: .*1 \(eth1\)"):
        explain(bridge, packet, {})
