"""What a process that is dead leaves in the kernel goes on to decide: new flows, new hosts, hosts that move, ARP."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.ebpf.kernel import remove_pins
from inband.flow.ports import PortNo
from inband.packet.vnet import build_vnet
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from lab.journal import until
from lab.silent_host import SilentHost
from tests.packets.columns import PORTS, add_veth, open_host, own_namespace, wait_until_running

pytestmark = pytest.mark.root

P1, P2, P3 = PORTS
FLOWS = 400
# The program takes the switch for dead after two seconds.
NOTICED_S = 10.0

Hosts = dict[PortNo, socket.socket]


def start(pins: Path, interfaces: dict[PortNo, str]) -> tuple[EbpfDatapath, Bridge]:
    """A learning switch that decides in the kernel."""
    datapath = EbpfDatapath(pin_dir=pins)
    bridge = Bridge(BridgeSettings("br0", Identity(1)), datapath, SilentHost(), time.monotonic, lambda: None)
    datapath.client = bridge
    for port, interface in interfaces.items():
        datapath.add_port(port, interface)
        bridge.add_port(port, interface, Mac(port))
    bridge.set_default_flow(active=True)
    assert bridge.megaflows.tables is not None
    bridge.megaflows.tables.finish(time.monotonic)
    assert bridge.megaflows.tables.is_valid
    return datapath, bridge


INTERFACES = {port: f"p{port}" for port in PORTS}


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """Three hosts at a switch whose process has died, as far as the kernel can tell."""
    with own_namespace():
        for number in PORTS:
            add_veth(int(number))
        made = {port: open_host(f"h{port}") for port in PORTS}
        datapath, _ = start(tmp_path / "pins", INTERFACES)
        for host in made.values():
            wait_until_running(host)
        datapath.abandon()
        try:
            yield made
        finally:
            remove_pins(tmp_path / "pins")
            for host in made.values():
                host.close()


def send(host: socket.socket, data: bytes) -> None:
    host.sendmsg([build_vnet(None), data])


def received(host: socket.socket, wait_s: float = 0.2) -> list[bytes]:
    """What came, until nothing more does for so long."""
    host.settimeout(wait_s)
    found = []
    with suppress(TimeoutError):
        while True:
            found.append(host.recv(2048)[10:])
    return found


def station(number: int) -> str:
    return f"02:00:00:01:{number >> 8:02x}:{number & 255:02x}"


def from_new_station(number: int, to: str = packets.MAC_B) -> bytes:
    return packets.udp(packets.IP_A, packets.IP_B, 5000, 6000, src=station(number), dst=to)


def test_no_frame_of_new_flows_and_new_hosts_is_lost(hosts: Hosts) -> None:
    sent = [from_new_station(number) for number in range(FLOWS)]

    for frame in sent:
        send(hosts[P1], frame)

    assert received(hosts[P2]) == sent
    assert received(hosts[P3]) == sent


def test_new_hosts_are_learned(hosts: Hosts) -> None:
    send(hosts[P1], from_new_station(1))
    received(hosts[P2]), received(hosts[P3])

    answer = from_new_station(2, to=station(1))
    send(hosts[P2], answer)

    assert received(hosts[P1]) == [answer]
    assert received(hosts[P3]) == []


def test_control_passes_as_data_once_it_is_known_that_no_one_decides(hosts: Hosts) -> None:
    question = packets.arp_request(packets.IP_A, packets.IP_B)

    def is_answered() -> bool:
        send(hosts[P1], question)
        return question in received(hosts[P2])

    assert until(is_answered, NOTICED_S)


def test_a_host_that_moves_is_believed_then(hosts: Hosts) -> None:
    send(hosts[P1], from_new_station(1))
    received(hosts[P2])

    def has_moved() -> bool:
        send(hosts[P3], from_new_station(1))
        return bool(received(hosts[P2]))

    assert until(has_moved, NOTICED_S)
    received(hosts[P1])
    answer = from_new_station(2, to=station(1))
    send(hosts[P2], answer)
    assert answer in received(hosts[P3])
    assert received(hosts[P1]) == []


def test_the_next_process_knows_hosts_of_ports_that_are_the_same(hosts: Hosts, tmp_path: Path) -> None:
    send(hosts[P1], from_new_station(1))
    send(hosts[P2], from_new_station(2))
    send(hosts[P3], from_new_station(3))
    for host in hosts.values():
        received(host)

    datapath, bridge = start(tmp_path / "pins", {P1: "p1", P2: "p3", P3: "p2"})

    assert [(str(key.mac), port) for key, port, _ in bridge.fdb.entries()] == [(station(1), P1)]
    answer = from_new_station(4, to=station(1))
    send(hosts[P2], answer)
    assert received(hosts[P1]) == [answer]
    assert received(hosts[P3]) == []
    datapath.close()
