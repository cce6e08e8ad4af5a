"""The eBPF datapath against the kernel: what only real interfaces can do to it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from inband.datapath.base import ControlHints
from inband.datapath.ebpf import attach, libbpf
from inband.datapath.ebpf.datapath import DATA_BUDGET, ROUNDS, EbpfDatapath
from inband.datapath.ebpf.layout import MAX_MASKS
from inband.datapath.pace import CONTROL
from inband.errors import HostError
from inband.flow.actions import Output, SetQueue, ToController
from inband.flow.fields import FlowKey
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_IPV4
from tests.packets.columns import (
    PATIENCE_S,
    PORTS,
    SENTINEL,
    Ebpf,
    add_veth,
    count_all,
    ebpf,
    ip,
    open_host,
    own_namespace,
    wait_until_running,
)

pytestmark = pytest.mark.root

P1, P2, P3 = PORTS
FRAME = Frame(packets.tcp(payload=bytes(100)))
FROM_1 = Match.of(in_port=1)


@dataclass
class Client:
    """Notes what comes up, and may do something about it."""

    upcalls: list[bytes] = field(default_factory=list)
    then: Callable[[], None] = lambda: None

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        self.upcalls.append(frame.data)
        self.then()

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        pass


@pytest.fixture
def column() -> Iterator[Ebpf]:
    with ebpf() as standing:
        standing.datapath.client = Client()
        yield standing


def client_of(column: Ebpf) -> Client:
    client = column.datapath.client
    assert isinstance(client, Client)
    return client


def send(column: Ebpf, port: PortNo, data: bytes, count: int = 1) -> None:
    """Frames arrive; nobody waits for what becomes of them."""
    for _ in range(count):
        column.hosts[port].sendmsg([bytes(10), data])


def poll_until(datapath: EbpfDatapath, condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        datapath.poll()
        assert time.monotonic() < end, "it did not happen"


def counter(datapath: EbpfDatapath, name: str) -> int:
    return datapath.counters().get(name, 0)


# Frames and links


def test_a_frame_too_large_for_the_other_port_is_counted_and_the_rest_go_on(column: Ebpf) -> None:
    ip("link set dev h1 mtu 4000", "link set dev p1 mtu 4000")
    install(column.datapath, megaflow_of(FROM_1, (Output(P2), Output(P1))))
    large = Frame(packets.ethernet(0x88B5, bytes(3000)))

    column.arrive(P1, large)
    column.arrive(P1, FRAME)

    assert column.left() == {P1: [large.data, FRAME.data], P2: [FRAME.data], P3: []}
    assert counter(column.datapath, "tx_too_big") == 1
    assert column.datapath.port_counters(P2).tx_dropped == 1


def test_a_frame_of_64_kilobytes_goes_up_whole(column: Ebpf) -> None:
    frame = packets.offloaded(packets.tcp(payload=bytes(range(250)) * 260), gso_size=1000)

    column.arrive(P1, frame)

    assert client_of(column).upcalls == [frame.data]


def test_an_interface_that_vanishes_and_returns_works_again_once_it_is_added(column: Ebpf) -> None:
    install(column.datapath, megaflow_of(FROM_1, (Output(P2),)))
    ip("link del dev p2")
    column.hosts[P2].close()
    column.arrive(P1, FRAME)

    add_veth(2)
    column.hosts[P2] = open_host("h2")
    column.datapath.add_port(P2, "p2")
    column.arrive(P1, FRAME)
    column.arrive(P2, FRAME)

    assert column.left()[P2] == [FRAME.data]
    assert client_of(column).upcalls == [FRAME.data]


def test_adding_an_interface_that_is_not_there_is_refused_and_harmless(column: Ebpf) -> None:
    with pytest.raises(HostError, match="nosuch"):
        column.datapath.add_port(PortNo(9), "nosuch")
    with pytest.raises(HostError, match="nosuch"):
        column.datapath.add_port(P2, "nosuch")

    install(column.datapath, megaflow_of(FROM_1, (Output(P2),)))
    column.arrive(P1, FRAME)
    assert column.left() == {P1: [], P2: [FRAME.data], P3: []}


def test_a_removed_port_is_given_back_and_outputs_to_it_are_counted(column: Ebpf) -> None:
    install(column.datapath, megaflow_of(FROM_1, (Output(P2), Output(P3))))

    column.datapath.remove_port(P2)
    column.datapath.remove_port(P2)
    column.arrive(P1, FRAME)

    column.datapath.execute(P1, Frame(SENTINEL), [Output(P3)])
    assert column.hosts[P3].recv(2000)[10:] == FRAME.data
    assert counter(column.datapath, "output_no_port") == 1


def test_a_port_that_comes_later_is_found_by_entries_that_name_it(column: Ebpf) -> None:
    column.datapath.remove_port(P2)
    install(column.datapath, megaflow_of(FROM_1, (Output(P2),)))
    column.arrive(P1, FRAME)

    column.datapath.add_port(P2, "p2")
    column.arrive(P1, FRAME)

    assert column.left()[P2] == [FRAME.data]


def test_a_port_may_change_its_interface(column: Ebpf) -> None:
    add_veth(4)
    install(column.datapath, megaflow_of(FROM_1, (Output(P2),)))

    with open_host("h4") as host:
        column.datapath.add_port(P2, "p4")
        column.arrive(P1, FRAME)

        assert host.recv(2000)[10:] == FRAME.data
        assert "PROMISC" not in _shown("p2")
        wait_until_running(host)
        host.sendmsg([bytes(10), FRAME.data])
    poll_until(column.datapath, lambda: client_of(column).upcalls)


def test_the_hosts_stack_neither_sees_nor_answers_what_arrives_at_a_port(column: Ebpf) -> None:
    ip("address add 10.0.0.2/24 dev p1")
    install(column.datapath, megaflow_of(Match.of(in_port=1, eth_type=0x0800), ()))

    column.arrive(P1, Frame(packets.arp_request("10.0.0.1", "10.0.0.2")))
    column.arrive(P1, Frame(packets.icmp_echo("10.0.0.1", "10.0.0.2")))

    assert column.left()[P1] == []


def test_closing_leaves_the_interfaces_as_they_were() -> None:
    with own_namespace():
        add_veth(1)
        before = _shown("p1")
        datapath = EbpfDatapath(Client())
        datapath.add_port(P1, "p1")
        during = _shown("p1")

        datapath.close()

        assert "PROMISC" in during
        assert _shown("p1") == before


def _shown(interface: str) -> str:
    """An interface's flags and how often it was made promiscuous."""
    command = ["ip", "-d", "link", "show", interface]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return " ".join(re.findall(r"<.*>|promiscuity \d+", shown))


def test_a_queue_chooses_the_class_of_the_ports_queue_discipline(column: Ebpf) -> None:
    tc = ["tc", "class", "add", "dev", "p2", "parent", "1:"]
    subprocess.run(["tc", "qdisc", "add", "dev", "p2", "root", "handle", "1:", "htb", "default", "1"], check=True)
    for number in ("1:1", "1:4"):
        subprocess.run([*tc, "classid", number, "htb", "rate", "1gbit"], check=True)
    install(column.datapath, megaflow_of(ANY, (SetQueue(3), Output(P2))))

    for _ in range(3):
        column.arrive(P1, FRAME)

    shown = subprocess.run(["tc", "-s", "class", "show", "dev", "p2", "classid", "1:4"], capture_output=True, text=True)
    assert "Sent 462 bytes 3 pkt" in shown.stdout
    assert len(column.left()[P2]) == 3


# The cache


def test_installed_again_a_match_has_its_new_actions_and_the_old_counts_stay(column: Ebpf) -> None:
    old, new = megaflow_of(ANY, (Output(P2),)), megaflow_of(ANY, (Output(P3),))
    install(column.datapath, old)
    column.arrive(P1, FRAME)

    install(column.datapath, new)
    column.arrive(P1, FRAME)

    left = column.left()
    assert (len(left[P2]), len(left[P3])) == (1, 1)
    count_all(column.datapath)
    assert column.datapath.megaflows() == [new]
    assert (old.packets, new.packets) == (1, 1)
    assert counter(column.datapath, "not_in_kernel_same_hash") == 0


def test_a_removed_megaflow_has_its_final_counts_and_decides_nothing(column: Ebpf) -> None:
    megaflow = megaflow_of(FROM_1, (Output(P2),))
    install(column.datapath, megaflow)
    column.arrive(P1, FRAME)
    column.arrive(P1, FRAME)

    column.datapath.remove([megaflow])
    column.datapath.remove([megaflow])
    column.arrive(P1, FRAME)

    assert (megaflow.packets, megaflow.bytes) == (2, 2 * len(FRAME.data))
    assert abs(megaflow.used - time.monotonic()) < PATIENCE_S
    assert client_of(column).upcalls == [FRAME.data]
    assert column.datapath.megaflows() == []


def test_counts_are_as_they_are_now_when_they_are_asked_for(column: Ebpf) -> None:
    megaflow = megaflow_of(FROM_1, (Output(P2),))
    install(column.datapath, megaflow)
    column.arrive(P1, FRAME)

    column.datapath.refresh(megaflow)
    counted = megaflow.packets
    column.arrive(P1, FRAME)
    column.datapath.flush()
    column.datapath.refresh(megaflow)

    assert (counted, megaflow.packets) == (1, 2)
    assert abs(megaflow.used - time.monotonic()) < PATIENCE_S
    count_all(column.datapath)
    assert megaflow.packets == 2


def test_a_flush_forgets_all_and_credits_all(column: Ebpf) -> None:
    megaflows = [
        megaflow_of(Match.of(in_port=1, tcp_dst=port, eth_type=0x0800, ip_proto=6), ()) for port in range(3000)
    ]
    for megaflow in megaflows:
        install(column.datapath, megaflow)
    column.arrive(P1, FRAME)

    column.datapath.flush()
    column.arrive(P1, FRAME)

    count_all(column.datapath)
    assert sum(megaflow.packets for megaflow in megaflows) == 1
    assert client_of(column).upcalls == [FRAME.data]
    install(column.datapath, megaflows[80])
    column.arrive(P1, FRAME)
    for _ in range(10):
        assert column.datapath.megaflows() == [megaflows[80]]
    column.arrive(P1, FRAME)
    assert len(client_of(column).upcalls) == 1


def test_masks_for_which_the_kernel_has_no_place_are_served_here(column: Ebpf) -> None:
    for bits in range(1, MAX_MASKS + 4):
        install(column.datapath, megaflow_of(Match.of(eth_dst=(1 << bits, 1 << bits)), (Output(P2),)))
    late = Frame(packets.ethernet(0x88B5, dst=str(Mac(1 << MAX_MASKS + 2))))

    column.arrive(P1, late)

    assert column.left()[P2] == [late.data]
    assert client_of(column).upcalls == []
    assert counter(column.datapath, "not_in_kernel_masks_full") == 3
    count_all(column.datapath)
    assert [megaflow.packets for megaflow in column.datapath.megaflows()][-2:] == [1, 0]

    column.datapath.flush()
    install(column.datapath, megaflow_of(FROM_1, (Output(P3),)))
    column.arrive(P1, FRAME)
    assert column.left()[P3] == [FRAME.data]


def test_frames_that_came_up_before_their_megaflow_do_not_ask_again(column: Ebpf) -> None:
    client = client_of(column)
    megaflow = megaflow_of(FROM_1, (Output(P2),))
    client.then = lambda: install(column.datapath, megaflow)
    send(column, P1, FRAME.data, 5)

    poll_until(column.datapath, lambda: counter(column.datapath, "late_hit") == 4)

    assert client.upcalls == [FRAME.data]
    assert column.left()[P2] == [FRAME.data] * 4
    count_all(column.datapath)
    assert (megaflow.packets, megaflow.bytes) == (4, 4 * len(FRAME.data))


def test_of_many_masks_each_finds_its_packets(column: Ebpf) -> None:
    frames = {bits: Frame(packets.ethernet(0x8800 + bits, bytes(50))) for bits in range(1, MAX_MASKS + 1)}
    for bits in frames:
        match = Match.of(eth_type=0x8800 + bits, eth_src=(0, 1 << bits & 0xFD << 40 | (1 << bits) - 1))
        install(column.datapath, megaflow_of(match, (Output(P2),)))

    for _ in range(3):
        for frame in frames.values():
            column.arrive(P1, frame)

    left = column.left()[P2]
    missed = client_of(column).upcalls
    assert len(left) + len(missed) == 3 * len(frames)
    count_all(column.datapath)
    assert [each.packets for each in column.datapath.megaflows()].count(3) == len(left) // 3


def test_a_full_cache_takes_no_more_and_says_so() -> None:
    with own_namespace():
        datapath = EbpfDatapath(Client(), max_megaflows=2)
        for port in range(3):
            install(datapath, megaflow_of(Match.of(in_port=port), ()))

        assert len(datapath.megaflows()) == 2
        assert counter(datapath, "cache_full") == 1
        datapath.close()


def test_flows_that_come_and_go_under_traffic_leave_nothing_behind(column: Ebpf) -> None:
    client = client_of(column)
    client.then = lambda: install(column.datapath, megaflow_of(FROM_1, (Output(P2),)))

    for number in range(300):
        match = Match.of(eth_type=0x0800, ip_proto=6, tcp_dst=(number % 7, 0xF), in_port=1)
        megaflow = megaflow_of(match, (Output(P3),))
        install(column.datapath, megaflow)
        send(column, P1, FRAME.data, 3)
        column.datapath.remove([megaflow])
        column.datapath.poll()

    column.datapath.remove(column.datapath.megaflows())
    left = column.left()
    assert len(left[P2]) + len(left[P3]) + len(client.upcalls) == 900
    assert column.datapath.megaflows() == []


# Control and data


def test_control_frames_come_before_data_that_came_earlier(column: Ebpf) -> None:
    arp = packets.arp_request()
    send(column, P1, FRAME.data, 100)
    send(column, P2, arp)

    poll_until(column.datapath, lambda: client_of(column).upcalls)

    assert client_of(column).upcalls[0] == arp


def test_a_control_frame_waits_for_a_handful_of_upcalls_at_most(column: Ebpf) -> None:
    arp, client = packets.arp_request(), client_of(column)
    send(column, P1, FRAME.data, 100)

    def arp_arrives_during_the_first() -> None:
        if len(client.upcalls) == 1:
            send(column, P2, arp)

    client.then = arp_arrives_during_the_first
    poll_until(column.datapath, lambda: arp in client.upcalls)

    assert client.upcalls.index(arp) <= DATA_BUDGET


def take_now(host: socket.socket) -> list[bytes]:
    """What a host has received up to now."""
    host.setblocking(False)
    received = []
    with contextlib.suppress(BlockingIOError):
        while True:
            received.append(host.recv(2000)[10:])
    return received


def test_decided_frames_leave_together_in_their_order_and_one_alone_at_once(column: Ebpf) -> None:
    client, arrived = client_of(column), []
    frames = [packets.ethernet(0x88B5, bytes([number]) * 60) for number in range(DATA_BUDGET + 1)]

    def forward_it() -> None:
        column.datapath.execute(P1, Frame(client.upcalls[-1]), [Output(P2)])
        arrived.append(take_now(column.hosts[P2]))

    client.then = forward_it
    for frame in frames:
        send(column, P1, frame)
    poll_until(column.datapath, lambda: len(client.upcalls) == len(frames))

    assert arrived[:DATA_BUDGET] == [[]] * DATA_BUDGET, "none of a handful leaves by itself"
    assert arrived[DATA_BUDGET] == frames, "they leave before others, and the last one as soon as it is decided"


def test_there_is_a_backlog_from_the_second_full_turn_on_and_never_for_control(column: Ebpf) -> None:
    client, noted = client_of(column), []
    client.then = lambda: noted.append((client.upcalls[-1] == arp, column.datapath.is_behind))
    arp, turn = packets.arp_request(), ROUNDS * DATA_BUDGET
    send(column, P1, FRAME.data, 3 * turn)
    column.datapath.poll()
    send(column, P2, arp)
    poll_until(column.datapath, lambda: len(noted) == 3 * turn + 1)
    send(column, P1, FRAME.data)
    poll_until(column.datapath, lambda: len(noted) == 3 * turn + 2)

    data = [is_behind for is_arp, is_behind in noted if not is_arp]
    assert data[:turn] == [False] * turn
    assert data[turn : 3 * turn - 1] == [True] * (2 * turn - 1)
    assert data[3 * turn :] == [False]
    assert [is_behind for is_arp, is_behind in noted if is_arp] == [False]


def test_a_flood_of_data_loses_data_by_name_and_no_control_frame(column: Ebpf) -> None:
    arp = packets.arp_request()
    send(column, P1, packets.ethernet(0x88B5, bytes(1400)), 2000)
    send(column, P1, arp, 20)

    poll_until(column.datapath, lambda: len(client_of(column).upcalls) >= 20)

    assert client_of(column).upcalls[:20] == [arp] * 20
    assert counter(column.datapath, "rx_queue_full_data") > 0
    assert counter(column.datapath, "rx_queue_full_control") == 0
    assert column.datapath.port_counters(P1).rx_dropped == counter(column.datapath, "rx_queue_full_data")


def test_a_flood_of_control_frames_is_dropped_by_the_program_and_known_ones_go_on(column: Ebpf) -> None:
    column.datapath.set_control_hints(ControlHints(frozenset({6653})))
    known, count = packets.tcp("10.9.0.1", dst_port=6653), 10_000
    install(column.datapath, megaflow_of(Match.of(in_port=1, eth_type=ETH_IPV4, ipv4_src=0x0A090001), (Output(P2),)))
    for number in range(count):
        send(column, P1, packets.tcp(f"10.1.{number >> 8}.{number & 255}", dst_port=6653))
    send(column, P1, known, 20)

    client = client_of(column)
    poll_until(column.datapath, lambda: len(client.upcalls) + counter(column.datapath, "control_flood") == count)

    assert CONTROL.per_s * CONTROL.burst_ms // 1000 <= len(client.upcalls) < count / 2
    assert counter(column.datapath, "rx_queue_full_control") == 0
    assert column.left()[P2] == [known] * 20


def test_the_pace_of_control_frames_can_be_set(column: Ebpf) -> None:
    column.datapath.set_control_hints(ControlHints(frozenset({6653})))
    column.datapath.set_control_pace(100_000)
    for number in range(1000):
        send(column, P1, packets.tcp(f"10.1.{number >> 8}.{number & 255}", dst_port=6653))
    poll_until(column.datapath, lambda: len(client_of(column).upcalls) == 1000)


def test_hints_make_tcp_frames_control(column: Ebpf) -> None:
    to_controller = packets.tcp(dst_port=6653)
    for hints in ({80, 6653, 6654}, {6653}):
        column.datapath.set_control_hints(ControlHints(frozenset(hints)))
    for data in (FRAME.data, to_controller, packets.vlan(to_controller, 5)):
        send(column, P1, data)

    poll_until(column.datapath, lambda: len(client_of(column).upcalls) == 3)

    assert client_of(column).upcalls == [to_controller, packets.vlan(to_controller, 5), FRAME.data]


def test_an_event_loop_takes_what_comes_up_and_switches(column: Ebpf) -> None:
    client, ended = client_of(column), list[int]()
    client.then = lambda: column.datapath.execute(P1, FRAME, [Output(P2)])

    async def switch_one() -> bytes:
        loop = asyncio.get_running_loop()
        column.datapath.attach(loop, lambda: ended.append(len(client.upcalls)))
        column.hosts[P2].setblocking(False)
        send(column, P1, FRAME.data)
        try:
            return await asyncio.wait_for(loop.sock_recv(column.hosts[P2], 2000), PATIENCE_S)
        finally:
            column.datapath.detach()

    assert (asyncio.run(switch_one())[10:], ended[0]) == (FRAME.data, 1), "the turn ends after what it took"


def test_a_client_may_remove_the_port_whose_frame_it_is_given(column: Ebpf) -> None:
    client = client_of(column)
    client.then = lambda: column.datapath.remove_port(P1)
    send(column, P1, FRAME.data, 3)

    poll_until(column.datapath, lambda: len(client.upcalls) == 3)


# Older kernels, neighbours, and what is given back


def test_where_there_is_no_tcx_clsact_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_tcx(program: int, index: int) -> int:
        raise HostError("attach", "an older kernel", errno=errno.EINVAL)

    monkeypatch.setattr(libbpf, "link_tcx", no_tcx)
    with ebpf() as column:
        column.datapath.client = Client()
        column.datapath.settle()
        install(column.datapath, megaflow_of(FROM_1, (Output(P2),)))
        column.arrive(P1, FRAME)
        column.arrive(P3, FRAME)

        assert column.left()[P2] == [FRAME.data]
        assert client_of(column).upcalls == [FRAME.data]
        assert any("clsact" in note for note in column.datapath.notes)
        column.datapath.remove_port(P1)
        assert "inband" not in _filters("p1")


def _filters(interface: str) -> str:
    command = ["tc", "filter", "show", "dev", interface, "ingress"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_two_datapaths_share_nothing() -> None:
    with own_namespace():
        for number in PORTS:
            add_veth(int(number))
        first, second = EbpfDatapath(Client()), EbpfDatapath(Client())
        first.add_port(P1, "p1")
        first.add_port(P2, "p2")
        second.add_port(P1, "p3")
        install(first, megaflow_of(FROM_1, (Output(P2),)))

        with open_host("h1") as one, open_host("h2") as two, open_host("h3") as three:
            wait_until_running(one)
            wait_until_running(three)
            one.sendmsg([bytes(10), FRAME.data])
            three.sendmsg([bytes(10), FRAME.data])
            assert two.recv(2000)[10:] == FRAME.data
            poll_until(second, lambda: counter(second, "miss"))

        assert (counter(first, "miss"), counter(second, "megaflow_hit")) == (0, 0)
        first.close()
        second.close()


def test_descriptors_are_all_given_back() -> None:
    with own_namespace():
        add_veth(1)
        EbpfDatapath().close()
        before = set(os.listdir("/proc/self/fd"))

        datapath = EbpfDatapath()
        datapath.add_port(P1, "p1")
        datapath.close()

        assert set(os.listdir("/proc/self/fd")) == before


def test_removing_a_filter_that_is_not_there_is_no_error() -> None:
    with own_namespace():
        add_veth(1)
        attach.detach_filter(socket.if_nametoindex("p1"))
        attach.detach_filter(9999)
