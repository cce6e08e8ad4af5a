"""A poll ends in time where each decision takes long, and no port is forgotten meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from inband.flow.actions import ToController
from inband.flow.fields import FlowKey
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.testing import packets
from tests.packets.columns import PATIENCE_S, PORTS, ebpf, userspace

pytestmark = pytest.mark.root

EACH = 10
FRAME = packets.tcp(payload=bytes(100))


@dataclass
class SlowClient:
    """Takes 50 ms for each frame that comes up, by the clock that it is."""

    now: float = 1.0
    ports: list[PortNo] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        if frame.data == FRAME:
            self.now += 0.05
            self.ports.append(in_port)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        pass


@pytest.mark.parametrize("make", [ebpf, userspace])
def test_a_poll_ends_after_a_decision_that_takes_long_and_each_port_has_its_turn(make: object) -> None:
    client = SlowClient()
    with make(client) as column:  # type: ignore[operator]
        column.datapath.client = client
        for _ in range(EACH):
            for port in PORTS:
                column.hosts[port].sendmsg([bytes(10), FRAME])
        most, end = 0, time.monotonic() + PATIENCE_S
        while len(client.ports) < EACH * len(PORTS) and time.monotonic() < end:
            before = len(client.ports)
            column.datapath.poll()
            most = max(most, len(client.ports) - before)

    assert len(client.ports) == EACH * len(PORTS)
    assert most <= 2
    assert set(client.ports[: EACH + len(PORTS)]) == set(PORTS)
