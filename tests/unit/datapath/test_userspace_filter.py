"""The programs that sort frames into sockets, run by the kernel: a unix socket filters as packet sockets do."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from random import Random

import pytest

from inband.datapath.userspace_filter import MAX_RANGES, Queue, build_filter
from inband.datapath.userspace_port import attach_filter
from inband.testing import packets

CONTROLLER = frozenset({6653})
IP6_A, IP6_B = packets.IP6_A, packets.IP6_B

DISCOVERY_FRAMES = {
    "arp request": packets.arp_request(),
    "arp reply": packets.arp_reply(),
    "neighbour solicitation": packets.neighbour_solicitation(),
    "neighbour advertisement": packets.neighbour_advertisement(),
    "router solicitation": packets.router_solicitation(),
}

CONTROL_FRAMES = {
    "dhcp request": packets.dhcp_request(),
    "dhcp reply": packets.dhcp_reply(),
    "dns question": packets.udp(dst_port=53),
    "dns answer": packets.udp(src_port=53, dst_port=4000),
    "udp to a hinted port": packets.udp(dst_port=6653),
    "dhcpv6": packets.udp(IP6_A, IP6_B, 546, 547),
    "to the controller": packets.tcp(dst_port=6653),
    "from the controller": packets.tcp(src_port=6653, dst_port=40000),
    "to the controller over IPv6": packets.tcp(IP6_A, IP6_B, dst_port=6653),
    "from the controller over IPv6": packets.tcp(IP6_A, IP6_B, src_port=6653, dst_port=40000),
}

LINK_LOCAL_FRAMES = {
    name: bytes.fromhex(f"0180c20000{last:02x}") + packets.ethernet(0x88B5, bytes(46))[6:]
    for name, last in (("spanning tree", 0), ("a neighbour's hello", 0x0E), ("the last group", 0x0F))
}

DATA_FRAMES = {
    "the first group that bridges forward": bytes.fromhex("0180c2000010") + packets.ethernet(0x88B5, bytes(46))[6:],
    "tcp": packets.tcp(),
    "tcp over IPv6": packets.tcp(IP6_A, IP6_B),
    "udp": packets.udp(dst_port=5000),
    "udp over IPv6": packets.udp(IP6_A, IP6_B, dst_port=5000),
    "tcp to port 53": packets.tcp(dst_port=53),
    "ping": packets.icmp_echo(),
    "ping over IPv6": packets.icmp_echo(IP6_A, IP6_B),
    "sctp": packets.sctp(dst_port=6653),
    "unknown type": packets.ethernet(0x88B5, bytes(46)),
    "a later fragment that looks like dns": bytes(
        byte if at != 21 else 1 for at, byte in enumerate(packets.udp(dst_port=53))
    ),
    "nothing but addresses": bytes(14),
    "half a header": packets.tcp(dst_port=6653)[:20],
    "half an IPv6 header": packets.tcp(IP6_A, IP6_B, dst_port=6653)[:50],
    "cut before the ports": packets.tcp(dst_port=6653)[:37],
    "an IPv4 header that claims to be longer than the frame": b"".join(
        (packets.udp(dst_port=53)[:14], b"\x4d", packets.udp(dst_port=53)[15:])
    ),
    "a runt": bytes(5),
}


FRAMES = DISCOVERY_FRAMES | CONTROL_FRAMES | LINK_LOCAL_FRAMES | DATA_FRAMES


@contextlib.contextmanager
def filtered(queue: Queue, ports: frozenset[int]) -> Iterator[tuple[socket.socket, socket.socket]]:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        receiver.setblocking(False)
        attach_filter(receiver, build_filter(queue, ports))
        yield sender, receiver


def accepts(queue: Queue, frame: bytes, ports: frozenset[int] = CONTROLLER) -> bool:
    with filtered(queue, ports) as (sender, receiver):
        sender.send(frame)
        try:
            return receiver.recv(1 << 16) == frame
        except BlockingIOError:
            return False


def takers(frame: bytes) -> list[Queue]:
    """Who takes a frame that has no tag beside it."""
    return [queue for queue in Queue if accepts(queue, frame)]


@pytest.mark.parametrize(
    ("queue", "frames"),
    [
        (Queue.DISCOVERY, DISCOVERY_FRAMES),
        (Queue.CONTROL, CONTROL_FRAMES),
        (Queue.LINK_LOCAL, LINK_LOCAL_FRAMES),
        (Queue.DATA, DATA_FRAMES),
    ],
)
def test_each_frame_goes_to_the_socket_of_its_kind_only(queue: Queue, frames: dict[str, bytes]) -> None:
    for name, frame in frames.items():
        assert takers(frame) == [queue], name


@pytest.mark.parametrize("name", [*DISCOVERY_FRAMES, *CONTROL_FRAMES, *LINK_LOCAL_FRAMES])
def test_a_frame_cut_anywhere_goes_to_exactly_one_socket(name: str) -> None:
    for length in range(1, len(FRAMES[name])):
        assert len(takers(FRAMES[name][:length])) == 1, f"cut after {length} bytes"


def test_garbage_goes_to_exactly_one_socket() -> None:
    random = Random(1)
    frames = list(FRAMES.values())

    for _ in range(300):
        frame = bytearray(random.choice(frames))
        for _ in range(random.randrange(1, 6)):
            frame[random.randrange(len(frame))] = random.randrange(256)

        assert len(takers(bytes(frame))) == 1, frame.hex()


def test_without_hints_no_tcp_is_control() -> None:
    assert accepts(Queue.DATA, packets.tcp(dst_port=6653), frozenset())


def test_neighbouring_ports_are_one_range() -> None:
    ports = frozenset(range(6600, 6700))

    assert len(build_filter(Queue.CONTROL, ports)) < 120
    assert [accepts(Queue.CONTROL, packets.tcp(dst_port=port), ports) for port in (6599, 6600, 6699, 6700)] == [
        False,
        True,
        True,
        False,
    ]


def test_as_many_ports_as_can_be_named_are_told_apart() -> None:
    ports = frozenset(range(1000, 1000 + 2 * MAX_RANGES, 2))

    assert accepts(Queue.CONTROL, packets.tcp(dst_port=max(ports)), ports)
    assert accepts(Queue.DATA, packets.tcp(dst_port=min(ports) + 1), ports)


def test_more_ports_than_can_be_named_become_a_range_that_covers_them() -> None:
    ports = frozenset(range(1000, 60000, 2))

    assert accepts(Queue.CONTROL, packets.tcp(dst_port=30000), ports)
    assert accepts(Queue.DATA, packets.tcp(src_port=500, dst_port=80), ports)
