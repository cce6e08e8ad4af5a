"""The eBPF datapath outlives its process, is taken over by the next one, and leaves nothing after an orderly end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.bpffs import ensure_bpffs, is_bpffs, unmount
from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.ebpf.kernel import Kernel, remove_pins
from inband.datapath.ebpf.layout import LAYOUT_VERSION
from inband.flow.actions import Output, ToController
from inband.flow.fields import FlowKey
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from lab.journal import until
from lab.net import Lab, Namespace
from lab.process import Process
from tests.packets.columns import PORTS, Ebpf, add_veth, ip, open_host, own_namespace, require_root, wait_until_running

pytestmark = pytest.mark.root

P1, P2, P3 = PORTS
FRAME = Frame(packets.tcp(payload=bytes(100)))
PACKETS, PER_SECOND = 20_000, 5_000
WAIT_S = 15.0

SEND = f"""
import socket, struct, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect(("10.9.0.2", 5000))
start = time.monotonic()
for number in range({PACKETS}):
    sender.send(struct.pack("!I", number))
    ahead = start + (number + 1) / {PER_SECOND} - time.monotonic()
    if ahead > 0.002:
        time.sleep(ahead)
print("sent", flush=True)
"""

RECEIVE = f"""
import socket, struct
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
receiver.bind(("10.9.0.2", 5000))
receiver.settimeout(2)
print("listening", flush=True)
seen = set()
try:
    while len(seen) < {PACKETS}:
        seen.add(receiver.recv(100))
except TimeoutError:
    pass
print("received", len(seen), flush=True)
"""


def test_two_kills_and_two_restarts_lose_no_packet_of_a_known_flow() -> None:
    require_root()
    with Lab("ihj") as lab:
        left, right, switch = (lab.namespace(name) for name in ("left", "right", "switch"))
        lab.link(left, "eth0", switch, "p1")
        lab.link(right, "eth0", switch, "p2")
        left.address("eth0", "10.9.0.1/24")
        right.address("eth0", "10.9.0.2/24")
        pins = lab.folder / "bpf"
        lab.hold(_Pins(pins))
        process = _start(lab, switch, pins)
        receiver = right.start(sys.executable, "-c", RECEIVE)
        assert until(lambda: "listening" in receiver.tail(), WAIT_S)
        assert left.pings("10.9.0.2", count=3) == 3

        sender = left.start(sys.executable, "-c", SEND)
        for _ in range(2):
            _wait_for(lambda: left.counter("eth0", "tx_packets"), 2_000)
            process.kill9()
            _wait_for(lambda: left.counter("eth0", "tx_packets"), 1_000)
            process = _start(lab, switch, pins)
            assert "adopted=0" not in process.tail()

        assert until(lambda: "received" in receiver.tail(), WAIT_S), sender.tail()
        assert f"received {PACKETS}" in receiver.tail()
        assert process.stop() == 0
        assert not pins.exists()


@dataclass
class _Pins:
    """A directory of pins, gone at the end whoever was killed."""

    path: Path

    def close(self) -> None:
        remove_pins(self.path)


def _start(lab: Lab, switch: Namespace, pins: Path) -> Process:
    """Start in the network namespace alone: a mount namespace of its own would take the pins along."""
    enter = ["nsenter", f"--net=/run/netns/{switch.name}", sys.executable, "-m", "tests.system.ebpf_switch"]
    process = lab.start([*enter, str(pins), "p1", "p2"], "switch", {**os.environ, "PYTHONPATH": "src:."})
    assert until(lambda: "ready" in process.tail(), WAIT_S), process.tail()
    return process


def _wait_for(counter: Callable[[], int], more: int) -> None:
    start = counter()
    assert until(lambda: counter() >= start + more, WAIT_S)


# In this process: a datapath that is not closed, and the next one on the same pins


class Client:
    """Counts what comes up."""

    def __init__(self) -> None:
        self.upcalls: list[bytes] = []

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        self.upcalls.append(frame.data)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        pass


@dataclass
class Scene:
    """Three ports, and datapaths that come and go on them."""

    pins: Path
    column: Ebpf
    client: Client

    def restart(self, *ports: PortNo) -> EbpfDatapath:
        """Another datapath with these ports; the one before is gone as if it was killed."""
        self.column.datapath.abandon()
        self.client = Client()
        self.column.datapath = datapath = EbpfDatapath(self.client, pin_dir=self.pins)
        for port in ports or PORTS:
            datapath.add_port(port, f"p{port}")
        return datapath


@pytest.fixture(params=["filters", "links"])
def scene(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Killed early, while ports have filters, or later."""
    with own_namespace():
        for number in PORTS:
            add_veth(int(number))
        hosts = {port: open_host(f"h{port}") for port in PORTS}
        pins = tmp_path / "pins"
        client = Client()
        datapath = EbpfDatapath(client, pin_dir=pins)
        for port in PORTS:
            datapath.add_port(port, f"p{port}")
            wait_until_running(hosts[port])
        if request.param == "links":
            datapath.settle()
        made = Scene(pins, Ebpf(datapath, hosts), client)
        try:
            yield made
        finally:
            if pins.exists():
                made.column.datapath.close()
            for host in hosts.values():
                host.close()


def test_an_adopted_entry_still_decides_and_a_flush_leaves_it(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))

    datapath = scene.restart()
    datapath.flush()
    scene.column.arrive(P1, FRAME)

    assert scene.column.left()[P2] == [FRAME.data]
    assert (scene.client.upcalls, datapath.megaflows()) == ([], [])
    assert datapath.counters()["megaflows_adopted"] == 1


def test_an_entry_adopted_twice_still_decides(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))
    install(scene.restart(), megaflow_of(Match.of(in_port=2, eth_type=0x0800), (Output(P1),)))

    scene.restart()
    scene.column.arrive(P1, FRAME)
    scene.column.arrive(P2, FRAME)

    left = scene.column.left()
    assert (left[P2], left[P1]) == ([FRAME.data], [FRAME.data])


def test_adopted_entries_end_with_their_time(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))
    datapath = scene.restart()

    datapath.end_adoption()
    scene.column.arrive(P1, FRAME)

    assert scene.client.upcalls == [FRAME.data]
    assert "megaflows_adopted" not in datapath.counters()


def test_a_new_decision_takes_the_place_of_an_adopted_one_and_outlives_it(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))
    datapath = scene.restart()

    install(datapath, megaflow_of(Match.of(in_port=1), (Output(P3),)))
    scene.column.arrive(P1, FRAME)
    datapath.end_adoption()
    scene.column.arrive(P1, FRAME)

    left = scene.column.left()
    assert (left[P2], left[P3], scene.client.upcalls) == ([], [FRAME.data] * 2, [])


def test_what_was_flushed_before_the_crash_is_not_adopted(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))
    scene.column.datapath.flush()

    scene.restart()
    scene.column.arrive(P1, FRAME)

    assert scene.client.upcalls == [FRAME.data]


def test_a_port_that_the_next_process_does_not_have_is_let_go(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2), Output(P3))))
    datapath = scene.restart(P1, P3)

    datapath.end_adoption()
    install(datapath, megaflow_of(Match.of(in_port=1), (Output(P2), Output(P3))))
    scene.column.arrive(P1, FRAME)

    datapath.execute(P1, FRAME, [Output(P3)])
    assert scene.column.hosts[P3].recv(2000)[10:] == FRAME.data
    assert datapath.counters()["output_no_port"] == 1
    assert not (scene.pins / f"v{LAYOUT_VERSION}" / "link-2").exists()


def test_ports_stay_until_the_next_process_has_had_time_to_add_them(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))

    datapath = scene.restart(P3)
    scene.column.arrive(P1, FRAME)
    for port in (P1, P2):
        datapath.add_port(port, f"p{port}")

    assert scene.column.left()[P2] == [FRAME.data]


def test_an_interface_with_another_number_than_before_has_one_program(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))
    scene.column.datapath.abandon()
    client = Client()
    scene.column.datapath = datapath = EbpfDatapath(client, pin_dir=scene.pins)

    datapath.add_port(P3, "p1")
    scene.column.arrive(P1, FRAME)

    assert client.upcalls == [FRAME.data]
    assert datapath.port_counters(P3).rx_packets == 1


def test_an_interface_that_came_back_with_another_index_meanwhile_is_attached_again(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))
    ip("link del dev p1")
    scene.column.hosts[P1].close()
    add_veth(1)
    scene.column.hosts[P1] = open_host("h1")

    scene.restart()
    scene.column.arrive(P1, FRAME)

    assert scene.column.left()[P2] == [FRAME.data]


def test_an_orderly_close_leaves_nothing(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))

    scene.column.datapath.close()

    assert not scene.pins.exists()
    assert not is_bpffs(scene.pins.parent)


def test_pins_of_another_layout_are_removed(tmp_path: Path) -> None:
    require_root()
    ensure_bpffs(tmp_path)
    try:
        old = tmp_path / "v0"
        old.mkdir()
        kernel = Kernel()
        libbpf.pin(kernel.map("masks"), old / "masks")
        kernel.close()

        Kernel(tmp_path).close()

        assert not old.exists()
    finally:
        unmount(tmp_path)


def test_pins_that_are_not_complete_are_no_start(scene: Scene) -> None:
    install(scene.column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))
    (scene.pins / f"v{LAYOUT_VERSION}" / "masks").unlink()

    datapath = scene.restart()
    end = time.monotonic() + WAIT_S
    while not scene.client.upcalls and time.monotonic() < end:  # the kernel takes the old links away a moment later
        scene.column.hosts[P1].sendmsg([bytes(10), FRAME.data])
        datapath.poll()

    assert set(scene.client.upcalls) == {FRAME.data}


def test_without_a_place_for_pins_it_works_and_says_so(tmp_path: Path) -> None:
    require_root()
    blocked = tmp_path / "file"
    blocked.write_text("")

    datapath = EbpfDatapath(pin_dir=blocked / "pins")

    assert any("do not outlive the process" in note for note in datapath.notes)
    datapath.close()
