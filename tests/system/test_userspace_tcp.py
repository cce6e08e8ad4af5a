"""Two kernels' TCP through the userspace datapath: what offload leaves undone is finished by somebody."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from lab.journal import until
from lab.net import Lab

pytestmark = pytest.mark.root

SIZE = 20_000_000

RECEIVE = """
import hashlib, socket
listener = socket.create_server(("10.9.0.2", 5000))
print("listening", flush=True)
connection, _ = listener.accept()
digest = hashlib.sha256()
while data := connection.recv(1 << 20):
    digest.update(data)
print(digest.hexdigest(), flush=True)
"""

SEND = f"""
import socket
connection = socket.create_connection(("10.9.0.2", 5000), timeout=5)
connection.sendall(bytes(range(250)) * ({SIZE} // 250))
"""


@pytest.mark.parametrize("offload", ["on", "off"])
def test_a_tcp_connection_arrives_whole(offload: str) -> None:
    with Lab("ihe", offloads=offload == "on") as lab:
        left, right, switch = (lab.namespace(name) for name in ("left", "right", "switch"))
        lab.link(left, "eth0", switch, "p1")
        lab.link(right, "eth0", switch, "p2")
        left.address("eth0", "10.9.0.1/24")
        right.address("eth0", "10.9.0.2/24")
        switch.start(sys.executable, "-m", "lab.learning_switch", "p1", "p2", env={"PYTHONPATH": "src"})
        receiver = right.start(sys.executable, "-c", RECEIVE)
        assert until(lambda: "listening" in receiver.tail(), 10)
        assert until(lambda: left.pings("10.9.0.2", count=1) == 1, 10)

        left.run(sys.executable, "-c", SEND)

        receiver.wait(10)
        assert hashlib.sha256(bytes(range(250)) * (SIZE // 250)).hexdigest() in receiver.tail()


def test_the_harness_says_what_it_counted() -> None:
    with Lab("ihe") as lab:
        switch, host = lab.namespace("switch"), lab.namespace("host")
        lab.link(switch, "p1", host, "eth0")
        process = switch.start(sys.executable, "-m", "lab.learning_switch", "p1", env={"PYTHONPATH": "src"})
        assert until(lambda: "ready" in process.tail(), 10)

        assert process.stop() == 0

        assert "rx_queue_full_control" in process.tail()
        assert Path(process.log).exists()
