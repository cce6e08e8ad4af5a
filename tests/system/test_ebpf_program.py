"""The program in the kernel against its twins in Python: the parser, and the simulated datapath."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.keys import KeyCompiler
from inband.datapath.ebpf.layout import KEY_SIZE, MAX_PORTS, PORT_IN, Verdict
from inband.datapath.ebpf.ops import SEND_UP, compile_ops
from inband.datapath.ebpf.upcall import Upcall, read_upcall
from inband.datapath.simulated import SimulatedDatapath
from inband.flow.actions import (
    Clone,
    DatapathAction,
    DecNwTtl,
    Output,
    PopQueue,
    PopVlan,
    PushVlan,
    SetField,
    SetNwTtl,
    SetQueue,
    ToController,
)
from inband.flow.fields import ALL_BITS, FIELDS, FlowKey
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.packet.checksum import segment
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from inband.testing.packets import IP6_A, IP6_B
from tests.packets.columns import PORTS, Ebpf, ebpf, ip, open_host, own_namespace
from tests.packets.rows import ROWS

pytestmark = pytest.mark.root

LOOPBACK = 1
SHOT = 2
P1, P2, P3 = PORTS
P9 = PortNo(9)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A program at no interface, for which the loopback interface, by whose name test runs come, is port 1."""
    with own_namespace():
        made = Kernel()
        index = LOOPBACK.to_bytes(4, "little")
        libbpf.update(made.map("ports_in"), index, PORT_IN.pack(LOOPBACK, (1).to_bytes(4, "big"), 1))
        yield made
        made.close()


def sent_up(kernel: Kernel, data: bytes) -> Upcall:
    """What comes up of a frame that no entry matches."""
    verdict, _, _ = libbpf.try_program(kernel.program, data)
    record = kernel.control_ring.read() or kernel.data_ring.read()
    assert record is not None
    assert verdict == SHOT
    return read_upcall(record)


def kernel_key(key: int) -> bytes:
    compiled = KeyCompiler().compile(Match(key, ALL_BITS), key)
    assert compiled is not None
    return compiled.key.to_bytes(KEY_SIZE, "big")


def option_chain(*kinds: int, last: int = 6, payload: bytes = b"") -> bytes:
    """IPv6 with extension headers of these kinds, each of 8 bytes, then ``last``."""
    headers = b"".join(bytes([following, 0]) + bytes(6) for following in (*kinds[1:], last))
    body = headers + payload
    start = b"\x60\0\0\0" + len(body).to_bytes(2, "big") + bytes([kinds[0], 64])
    return packets.ethernet(0x86DD, start + bytes(15) + b"\x01" + bytes(15) + b"\x02" + body)


TCP_HEADER = packets.tcp()[34:54]
# A routing header's fourth byte says how many segments are left.
ROUTED = option_chain(43, payload=TCP_HEADER)
ROUTED = ROUTED[:57] + b"\x01" + ROUTED[58:]
SPECIAL = [
    packets.neighbour_solicitation(),
    packets.neighbour_advertisement(),
    packets.neighbour_advertisement() + bytes(8),
    packets.router_solicitation(),
    packets.icmp_echo(IP6_A, IP6_B),
    packets.dhcp_reply(),
    packets.vlan(packets.vlan(packets.vlan(packets.tcp(), 3), 4), 5, 2, eth_type=0x88A8),
    packets.vlan(packets.tcp(IP6_A, IP6_B), 5, 2),
    packets.ethernet(0x0010, b"\xaa\xaa\x03\0\0\0\x08\x00" + packets.tcp()[14:]),
    packets.ethernet(0x8847, b"\x00\x01\x01\x40" + packets.tcp()[14:]),
    packets.ethernet(0x88E7, b"\xff\x01\x02\x03" + packets.tcp()),
    ROUTED,
    option_chain(0, 43, 60, payload=TCP_HEADER),
    option_chain(60, 43, 60, payload=TCP_HEADER),
    option_chain(60, 60, payload=TCP_HEADER),
    option_chain(44, payload=TCP_HEADER),
    option_chain(51, last=17, payload=TCP_HEADER),
    option_chain(0, 50),
    option_chain(59),
    option_chain(0, 60, 43, 44, 60, payload=TCP_HEADER),
]
# No test run takes a frame that ends before that, and spoiling may make IP of any type.
WITH_IP_HEADER = 14 + 40
GOOD = [*SPECIAL, *(row.frame.data for row in ROWS if len(row.frame.data) < 2000)]


@pytest.mark.parametrize("data", GOOD, ids=range(len(GOOD)))
def test_a_frame_has_the_key_that_the_parser_in_python_gives_it(kernel: Kernel, data: bytes) -> None:
    upcall = sent_up(kernel, data)

    assert upcall.frame.data == data
    assert upcall.key.hex() == kernel_key(parse(data, 1)).hex()


def test_spoilt_frames_have_the_same_key_too(kernel: Kernel) -> None:
    random = Random(21)
    whole = [data for data in GOOD if len(data) >= WITH_IP_HEADER]
    differing = []

    for _ in range(4000):
        data = spoil(random, random.choice(whole))
        if sent_up(kernel, data).key != kernel_key(parse(data, 1)):
            differing.append(data.hex())

    assert differing == []


def spoil(random: Random, data: bytes) -> bytes:
    """Bytes changed, most of them in the headers, and cut, but not within what may be an IP header."""
    spoilt = bytearray(data)
    for _ in range(random.randrange(5)):
        at = min(random.randrange(len(spoilt)), random.randrange(14, 120)) % len(spoilt)
        spoilt[at] = random.choice(
            [0, 1, 4, 6, 17, 43, 44, 58, 60, 0x45, 0x60, 0x81, 0x88, 0xFF, random.randrange(256)]
        )
    return bytes(spoilt[: random.choice([len(spoilt), random.randrange(WITH_IP_HEADER, len(spoilt) + 1)])])


def test_headers_without_end_are_sent_up_as_not_understood(kernel: Kernel) -> None:
    tags = packets.tcp()
    for _ in range(8):
        tags = packets.vlan(tags, 1)
    before = verdicts(kernel)

    for data in (tags, option_chain(*[60] * 9, payload=TCP_HEADER)):
        assert sent_up(kernel, data).frame.data == data

    assert verdicts(kernel) - before == 2


def verdicts(kernel: Kernel) -> int:
    found = libbpf.look_up(kernel.map("verdicts"), Verdict.NOT_UNDERSTOOD.to_bytes(4, "little"), 8 * libbpf.cpu_count())
    assert found is not None
    return sum(int.from_bytes(found[at : at + 8], "little") for at in range(0, len(found), 8))


@pytest.mark.parametrize(
    ("data", "is_control"),
    [
        (packets.arp_request(), True),
        (packets.vlan(packets.arp_request(), 5), True),
        (packets.neighbour_solicitation(), True),
        (packets.router_solicitation(), True),
        (packets.dhcp_request(), True),
        (packets.udp(dst_port=53), True),
        (packets.udp(dst_port=54), False),
        (packets.tcp(dst_port=6653), True),
        (packets.tcp(IP6_A, IP6_B, src_port=6653), True),
        (packets.tcp(dst_port=6652), False),
        (packets.icmp_echo(IP6_A, IP6_B), False),
        (packets.icmp_echo(), False),
    ],
)
def test_control_frames_have_a_ring_of_their_own(kernel: Kernel, data: bytes, is_control: bool) -> None:
    word = (6653 // 64).to_bytes(4, "little")
    libbpf.update(kernel.map("control_ports"), word, (1 << 6653 % 64).to_bytes(8, "little"))

    libbpf.try_program(kernel.program, data)

    assert (kernel.control_ring.read() is not None, kernel.data_ring.read() is not None) == (is_control, not is_control)


def test_a_ring_that_is_full_says_how_many_it_could_not_take(kernel: Kernel) -> None:
    for _ in range(3000):
        libbpf.try_program(kernel.program, packets.icmp_echo())
    libbpf.try_program(kernel.program, packets.arp_request())

    taken = 0
    while kernel.data_ring.read():
        taken += 1
    assert 1000 < taken < 3000
    assert kernel.control_ring.read() is not None


# The whole datapath against the simulated one


@dataclass
class Client:
    """Takes what comes up, and does nothing about it."""

    upcalls: list[bytes] = field(default_factory=list)
    packet_ins: list[bytes] = field(default_factory=list)

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        self.upcalls += [each.data for each in segment(frame)]

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        self.packet_ins += [each.data for each in segment(frame)]


@pytest.fixture(scope="module")
def column() -> Iterator[Ebpf]:
    with ebpf() as made:
        yield made


macs = st.integers(min_value=0, max_value=2**48 - 1)
outputs = st.sampled_from([Output(P1), Output(P2), Output(P3), Output(PortNo(77))])
ipv6_masks = st.sampled_from([None, 0xFFFFFFFF << 32, (1 << 64) - 1, 0xFFFF])
edits: st.SearchStrategy[DatapathAction] = st.one_of(
    st.builds(SetField, st.sampled_from(["eth_dst", "eth_src"]), macs),
    st.builds(SetField, st.sampled_from(["eth_dst", "eth_src"]), macs, macs),
    st.builds(SetField, st.sampled_from(["ipv4_dst", "ipv4_src"]), st.integers(0, 2**32 - 1)),
    st.builds(SetField, st.sampled_from(["tcp_src", "tcp_dst", "udp_src", "udp_dst"]), st.integers(0, 65535)),
    st.builds(SetField, st.sampled_from(["ipv6_src", "ipv6_dst"]), st.integers(0, 2**128 - 1), ipv6_masks),
    st.builds(SetField, st.just("ipv6_flabel"), st.integers(0, 2**20 - 1)),
    st.builds(SetField, st.just("arp_op"), st.integers(0, 65535)),
    st.builds(SetField, st.sampled_from(["arp_spa", "arp_tpa"]), st.integers(0, 2**32 - 1)),
    st.builds(SetField, st.sampled_from(["arp_sha", "arp_tha"]), macs),
    st.builds(SetField, st.just("ip_dscp"), st.integers(0, 63), st.sampled_from([None, 0x0F])),
    st.builds(SetField, st.just("ip_ecn"), st.integers(0, 3)),
    st.builds(SetField, st.just("vlan_vid"), st.integers(0x1000, 0x1FFF), st.sampled_from([None, 0x00F])),
    st.builds(SetField, st.just("vlan_pcp"), st.integers(0, 7)),
    st.builds(SetNwTtl, st.integers(0, 255)),
    st.sampled_from([PushVlan(), PushVlan(0x88A8), PopVlan(), DecNwTtl(), SetQueue(1), PopQueue()]),
)
simple = st.lists(st.one_of(outputs, edits), max_size=8).map(tuple)
programs = st.lists(st.one_of(outputs, edits, st.builds(Clone, simple)), max_size=8).map(tuple)
frames = st.sampled_from([row.frame for row in ROWS] + [Frame(data) for data in SPECIAL])


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=frames, actions=programs)
@example(Frame(packets.ethernet(0x88B5, bytes(1500))), (PushVlan(0x88A8), Clone((PopVlan(),)), Output(P1)))
@example(Frame(packets.ethernet(0x88B5, b"")), (PushVlan(), Clone((PopVlan(),)), Output(P2)))
def test_actions_do_in_the_kernel_what_they_do_here(
    column: Ebpf, frame: Frame, actions: tuple[DatapathAction, ...]
) -> None:
    twin = SimulatedDatapath(Client(), clock=lambda: 1.0)
    column.datapath.client = Client()
    column.datapath.flush()
    for datapath in (twin, column.datapath):
        install(datapath, megaflow_of(Match.of(in_port=1), actions))
    for port in PORTS:
        twin.add_port(port, f"p{port}")

    twin.deliver(P1, frame)
    column.arrive(P1, frame)

    by_socket = compile_ops(actions, int) == SEND_UP
    expected: dict[PortNo, list[bytes]] = {port: [] for port in PORTS}
    for port, sent, _ in twin.take_sent():
        expected[port] += [each.data for each in segment(sent) if not by_socket or passes_a_packet_socket(each.data)]
    assert _hex(column.left()) == _hex(expected)


def passes_a_packet_socket(data: bytes) -> bool:
    """Beside the MTU it takes four bytes for one tag, of 0x8100 only; a veth pair drops a tag with nothing behind it.

    What the program sends has its outer tag beside the frame, where neither is asked.
    """
    is_tagged = data[12:14] in (b"\x81\x00", b"\x88\xa8")
    longest = 14 + 1500 + (4 if data[12:14] == b"\x81\x00" else 0)
    return len(data) <= longest and (not is_tagged or len(data) >= 20)


def _hex(sent: dict[PortNo, list[bytes]]) -> dict[PortNo, list[str]]:
    return {port: [each.hex() for each in frames] for port, frames in sent.items()}


def test_interfaces_whose_indexes_want_the_same_place_are_told_apart(column: Ebpf) -> None:
    datapath, other = column.datapath, socket.if_nametoindex("p1") + MAX_PORTS
    ip(f"link add p9 index {other} type veth peer name h9")
    ip("link set dev p9 addrgenmode none", "link set dev h9 addrgenmode none", "link set dev h9 up")
    datapath.flush()
    datapath.add_port(P9, "p9")
    column.hosts[P9] = open_host("h9")
    install(datapath, megaflow_of(Match.of(in_port=P1), (Output(P2),)))
    install(datapath, megaflow_of(Match.of(in_port=P9), (Output(P3),)))

    column.arrive(P1, Frame(packets.tcp()))
    column.arrive(P9, Frame(packets.udp()))
    datapath.remove_port(P1)
    column.arrive(P9, Frame(packets.udp()))
    datapath.add_port(P1, "p1")
    column.arrive(P1, Frame(packets.tcp()))

    datapath.remove_port(P9)
    column.hosts.pop(P9).close()
    ip("link del dev p9")
    assert column.left() == {P1: [], P2: [packets.tcp()] * 2, P3: [packets.udp()] * 2}


@pytest.mark.parametrize(
    ("field", "first", "second"),
    [
        ("udp_dst", packets.udp(dst_port=1000), packets.udp(dst_port=2000)),
        ("ipv6_dst", packets.udp(IP6_A, IP6_B), packets.udp(IP6_A, IP6_A)),
    ],
    ids=["short", "long"],
)
def test_keys_with_one_hash_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, field: str, first: bytes, second: bytes
) -> None:
    monkeypatch.setattr(os, "urandom", bytes)  # with a secret of zeros these two have one
    mask = sum(FIELDS[name].mask for name in ("in_port", "eth_type", "ip_proto", field))
    with ebpf() as column:
        column.datapath.client = Client()
        for data, out in ((first, P2), (second, P3)):
            install(column.datapath, megaflow_of(Match(parse(data, P1) & mask, mask), (Output(out),)))

        column.arrive(P1, Frame(first))
        column.arrive(P1, Frame(second))

        assert column.left() == {P1: [], P2: [first], P3: [second]}
        counters = column.datapath.counters()
        assert (counters["megaflow_hit"], counters["late_hit"]) == (1, 1)
        assert counters["not_in_kernel_same_hash"] == 1


names = st.sampled_from(sorted(FIELDS))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    masks=st.lists(st.sets(names, max_size=4), min_size=1, max_size=5),
    givers=st.lists(frames, min_size=5, max_size=5),
    arriving=st.lists(frames, min_size=1, max_size=6),
)
def test_a_megaflow_decides_for_the_packets_that_it_decides_for_here(
    column: Ebpf, masks: list[set[str]], givers: list[Frame], arriving: list[Frame]
) -> None:
    pins = sum(FIELDS[name].mask for name in ("eth_type", "ip_proto", "icmpv6_type", "in_port"))
    twin, client = SimulatedDatapath(Client(), clock=lambda: 1.0), Client()
    twin.add_port(P1, "p1")
    column.datapath.client = client
    column.datapath.flush()
    for fields, giver in zip(masks, givers, strict=False):
        mask = pins | sum(FIELDS[name].mask for name in fields)
        match = Match(parse(giver.data, 1) & mask, mask)
        for datapath in (twin, column.datapath):
            install(datapath, megaflow_of(match, ()))

    for frame in arriving:
        twin.deliver(P1, frame)
        column.arrive(P1, frame)

    assert isinstance(twin.client, Client)
    assert client.upcalls == twin.client.upcalls
