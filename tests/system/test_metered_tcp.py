"""TCP through a meter gets what the meter lets pass, within two percent, whoever moves the packets.

The rate is one that a machine with other work to do has in any case; `bench/kernel_situations.py` has a high one.
"""

from __future__ import annotations

import pytest

from lab import topology
from lab.inband import OnDatapath
from lab.journal import until
from lab.measure import up
from lab.metered import passed
from lab.net import Lab

pytestmark = pytest.mark.root

RATE_KBPS, STREAMS, SECONDS = 200_000, 4, 5.0
SERVER_S = 5.0


def two_hosts(lab: Lab) -> topology.Topology:
    return topology.with_hosts(topology.same_subnet(lab), 2)


@pytest.mark.parametrize("datapath", ["ebpf", "userspace"])
def test_tcp_gets_the_rate_of_a_meter(datapath: str) -> None:
    with up(OnDatapath(datapath), two_hosts) as stage:
        assert stage is not None
        (host, _), (other, target) = stage.topology.hosts["h1"], stage.topology.hosts["h2"]
        stage.switch.ofctl("add-meter", f"meter=1,kbps,band=type=drop,rate={RATE_KBPS}")
        stage.switch.ofctl("add-flow", "actions=meter:1,NORMAL")
        server = other.start("iperf3", "-s", "--forceflush", "-B", target, label="iperf3")
        assert until(lambda: "listening" in server.tail(), SERVER_S)
        assert host.pings(target) == 3

        measured = passed(host, other, target, RATE_KBPS * 1e3, STREAMS, SECONDS)

        assert measured == pytest.approx(RATE_KBPS * 1e3, rel=0.02)
