"""TCP frames of more than 64 kB (BIG TCP): two kernels' connection arrives whole through each datapath."""

from __future__ import annotations

import hashlib
import sys

import pytest

from lab.journal import until
from lab.net import Lab

pytestmark = pytest.mark.root

SIZE = 20_000_000

RECEIVE = """
import hashlib, socket, sys
listener = socket.create_server((sys.argv[1], 5000), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("listening", flush=True)
connection, _ = listener.accept()
digest = hashlib.sha256()
while data := connection.recv(1 << 20):
    digest.update(data)
print(digest.hexdigest(), flush=True)
"""

# Prints the length of the longest frame that went out.
SEND = f"""
import socket, sys
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
tap.setsockopt(socket.SOL_SOCKET, 33, 1 << 28)  # SO_RCVBUFFORCE
tap.bind(("eth0", 3))
tap.setblocking(False)
connection = socket.create_connection((sys.argv[1], 5000), timeout=5)
connection.sendall(bytes(range(250)) * ({SIZE} // 250))
longest = 0
try:
    while True:
        longest = max(longest, tap.recv_into(bytearray(1), 1, socket.MSG_TRUNC))
except BlockingIOError:
    print(longest)
"""


@pytest.mark.parametrize("target", ["10.9.0.2", "fd09::2"])
@pytest.mark.parametrize("options", [(), ("--ebpf",)], ids=["userspace", "ebpf"])
def test_a_connection_with_frames_of_more_than_64_kb_arrives_whole(options: tuple[str, ...], target: str) -> None:
    with Lab("ihe") as lab:
        left, right, switch = (lab.namespace(name) for name in ("left", "right", "switch"))
        lab.link(left, "eth0", switch, "p1")
        lab.link(right, "eth0", switch, "p2")
        left.address("eth0", "10.9.0.1/24", "fd09::1/64 nodad")
        right.address("eth0", "10.9.0.2/24", "fd09::2/64 nodad")
        for namespace, interfaces in ((left, ("eth0",)), (right, ("eth0",)), (switch, ("p1", "p2"))):
            namespace.run(sys.executable, "-m", "lab.big_tcp", *interfaces)
        learning = switch.start(
            sys.executable, "-m", "lab.learning_switch", "p1", "p2", *options, env={"PYTHONPATH": "src"}
        )
        receiver = right.start(sys.executable, "-c", RECEIVE, target)
        assert until(lambda: "listening" in receiver.tail(), 10)
        assert until(lambda: left.pings(target, count=1) == 1, 10)

        longest = int(left.run(sys.executable, "-c", SEND, target))

        receiver.wait(10)
        assert hashlib.sha256(bytes(range(250)) * (SIZE // 250)).hexdigest() in receiver.tail()
        assert longest > 65_535 + 14
        learning.stop()
        assert "too_big" not in learning.tail()
