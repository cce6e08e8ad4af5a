"""The userspace datapath against the kernel: what only real interfaces can do to it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from inband.datapath.base import ControlHints
from inband.datapath.pace import CONTROL, DISCOVERY
from inband.datapath.userspace import BACKLOG_TURNS, UPCALL_BUDGET, UserspaceDatapath
from inband.datapath.userspace_port import MAX_QUEUES
from inband.errors import HostError
from inband.flow.actions import Output, SetQueue, ToController
from inband.flow.fields import FlowKey
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from inband.vocabulary.numbers import ETH_IPV4
from lab.process import limited
from tests.packets.columns import (
    PATIENCE_S,
    PORTS,
    SENTINEL,
    Userspace,
    add_veth,
    ip,
    open_host,
    own_namespace,
    require_root,
    userspace,
)

pytestmark = pytest.mark.root

P1, P2, P3 = PORTS
FRAME = Frame(packets.tcp(payload=bytes(100)))


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
def column() -> Iterator[Userspace]:
    with userspace() as standing:
        standing.datapath.client = Client()
        yield standing


def client_of(column: Userspace) -> Client:
    client = column.datapath.client
    assert isinstance(client, Client)
    return client


def poll_until(datapath: UserspaceDatapath, condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        datapath.poll()
        assert time.monotonic() < end, "it did not happen"


def counter(datapath: UserspaceDatapath, name: str) -> int:
    return datapath.counters().get(name, 0)


def test_a_frame_too_large_for_the_other_port_is_counted_and_the_rest_go_on(column: Userspace) -> None:
    ip("link set dev h1 mtu 4000", "link set dev p1 mtu 4000")
    install(column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2), Output(P1))))
    large = Frame(packets.ethernet(0x88B5, bytes(3000)))

    column.arrive(P1, large)
    column.arrive(P1, FRAME)

    assert column.left() == {P1: [large.data, FRAME.data], P2: [FRAME.data], P3: []}
    assert counter(column.datapath, "tx_too_big") == 1
    assert column.datapath.port_counters(P2).tx_dropped == 1


def test_a_link_that_goes_down_and_up_is_counted_and_carries_on(column: Userspace) -> None:
    install(column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))
    ip("link set dev p2 down")
    column.arrive(P1, FRAME)
    poll_until(column.datapath, lambda: counter(column.datapath, "rx_link_down"))
    lost = counter(column.datapath, "tx_link_down")

    ip("link set dev p2 up")
    column.arrive(P1, FRAME)

    assert lost == 1
    assert column.left()[P2] == [FRAME.data]


def test_an_interface_that_vanishes_and_returns_works_again_once_it_is_added(column: Userspace) -> None:
    install(column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))
    column.arrive(P1, FRAME)
    ip("link del dev p2")
    column.hosts[P2].close()
    column.arrive(P1, FRAME)
    column.datapath.poll()
    lost = counter(column.datapath, "tx_no_interface") + counter(column.datapath, "tx_link_down")

    add_veth(2)
    column.hosts[P2] = open_host("h2")
    column.datapath.add_port(P2, "p2")
    column.arrive(P1, FRAME)

    assert lost == 1
    assert column.left()[P2] == [FRAME.data]
    assert column.datapath.port_counters(P2).tx_packets == 3  # with the sentinel: counters outlive the interface


def test_adding_an_interface_that_is_not_there_is_refused_and_harmless(column: Userspace) -> None:
    with pytest.raises(HostError, match="nosuch"):
        column.datapath.add_port(PortNo(9), "nosuch")

    assert column.left() == {P1: [], P2: [], P3: []}


def test_a_removed_port_is_given_back_and_outputs_to_it_are_counted(column: Userspace) -> None:
    install(column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2), Output(P3))))
    column.arrive(P1, FRAME)
    column.left()

    column.datapath.remove_port(P2)
    column.datapath.remove_port(P2)
    column.arrive(P1, FRAME)

    column.datapath.execute(P1, Frame(SENTINEL), [Output(P3)])
    assert column.hosts[P3].recv(2000)[10:] == FRAME.data
    assert counter(column.datapath, "output_no_port") == 1


def test_a_client_may_remove_the_port_whose_frame_it_is_given(column: Userspace) -> None:
    client = client_of(column)
    client.then = lambda: column.datapath.remove_port(P1)
    for _ in range(3):
        column.hosts[P1].sendmsg([bytes(10), FRAME.data])

    poll_until(column.datapath, lambda: client.upcalls)
    column.datapath.poll()

    assert client.upcalls == [FRAME.data]


def test_removing_a_megaflow_ends_its_short_cut(column: Userspace) -> None:
    megaflow = megaflow_of(ANY, (Output(P2),))
    install(column.datapath, megaflow)
    for _ in range(3):
        column.arrive(P1, FRAME)

    column.datapath.remove([megaflow])
    column.arrive(P1, FRAME)

    assert client_of(column).upcalls == [FRAME.data]
    assert megaflow.packets == 3


def test_a_megaflow_that_replaces_another_takes_effect_at_once(column: Userspace) -> None:
    install(column.datapath, megaflow_of(ANY, (Output(P2),)))
    column.arrive(P1, FRAME)
    column.arrive(P1, FRAME)

    install(column.datapath, megaflow_of(ANY, (Output(P3),)))
    column.arrive(P1, FRAME)

    left = column.left()
    assert (len(left[P2]), len(left[P3])) == (2, 1)


def test_a_megaflow_that_depends_on_tcp_flags_is_not_taken_for_other_flags(column: Userspace) -> None:
    syn, ack = packets.tcp(flags=0x02), packets.tcp(flags=0x10)
    install(column.datapath, megaflow_of(Match.of(tcp_flags=0x02), (Output(P2),)))
    install(column.datapath, megaflow_of(Match.of(tcp_flags=0x10), (Output(P3),)))

    for data in (syn, ack, syn, ack):
        column.arrive(P1, Frame(data))

    assert column.left() == {P1: [], P2: [syn, syn], P3: [ack, ack]}


def test_a_queue_chooses_the_class_of_the_ports_queue_discipline(column: Userspace) -> None:
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


def test_queues_that_cannot_be_are_none_and_sockets_are_bounded(column: Userspace) -> None:
    for queue in (0xFFFFFFFF, *range(MAX_QUEUES + 5)):
        column.datapath.execute(P1, FRAME, [SetQueue(queue), Output(P2)])

    assert column.left()[P2] == [FRAME.data] * (MAX_QUEUES + 6)
    assert counter(column.datapath, "queue_refused") == 6


def test_a_port_that_cannot_be_opened_again_keeps_what_it_has(column: Userspace) -> None:
    install(column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))

    with pytest.raises(HostError):
        column.datapath.add_port(P2, "nosuch")

    column.arrive(P1, FRAME)
    assert column.left()[P2] == [FRAME.data]


def test_control_frames_come_before_data_that_came_earlier(column: Userspace) -> None:
    arp = packets.arp_request()
    with open_host("p2") as witness:
        for _ in range(100):
            column.hosts[P1].sendmsg([bytes(10), FRAME.data])
        column.hosts[P2].sendmsg([bytes(10), arp])
        witness.recv(2000)  # the kernel may be late in delivering, when it is busy

    column.datapath.poll()

    assert client_of(column).upcalls[0] == arp


def test_a_control_frame_waits_for_a_handful_of_upcalls_at_most(column: Userspace) -> None:
    arp, client = packets.arp_request(), client_of(column)
    for _ in range(100):
        column.hosts[P1].sendmsg([bytes(10), FRAME.data])

    def arp_arrives_during_the_first() -> None:
        if len(client.upcalls) == 1:
            column.hosts[P2].sendmsg([bytes(10), arp])
            witness.recv(2000)

    client.then = arp_arrives_during_the_first
    with open_host("p2") as witness:
        column.datapath.poll()

    assert client.upcalls.index(arp) <= UPCALL_BUDGET


def test_a_flood_of_data_loses_data_by_name_and_no_control_frame(column: Userspace) -> None:
    big = packets.offloaded(packets.tcp(payload=bytes(60_000)), gso_size=1400)
    header = b"\x01\x01" + (54).to_bytes(2, "little") + (1400).to_bytes(2, "little") + b"\x22\x00\x10\x00"
    for _ in range(2000):
        column.hosts[P1].send(header + big.data)
    arp = packets.arp_request()
    for _ in range(20):
        column.hosts[P1].sendmsg([bytes(10), arp])

    poll_until(column.datapath, lambda: len(client_of(column).upcalls) >= 20)

    assert client_of(column).upcalls[:20] == [arp] * 20
    assert counter(column.datapath, "rx_queue_full_data") > 0
    assert counter(column.datapath, "rx_queue_full_control") == 0
    assert column.datapath.port_counters(P1).rx_dropped > 0


def test_a_storm_of_discovery_is_dropped_by_the_kernel_and_costs_no_control_frame() -> None:
    to_controller, count = packets.tcp(dst_port=6653), 20_000
    with userspace(time.monotonic) as column:
        column.datapath.client = Client()
        column.datapath.set_control_hints(ControlHints(frozenset({6653})))
        ask(column, count)
        column.hosts[P1].sendmsg([bytes(10), to_controller])

        def dropped() -> int:
            return counter(column.datapath, "discovery_flood")

        poll_until(column.datapath, lambda: to_controller in client_of(column).upcalls)
        poll_until(column.datapath, lambda: len(client_of(column).upcalls) - 1 + dropped() == count)

        assert counter(column.datapath, "rx_queue_full_control") == 0
        assert column.datapath.port_counters(P1).rx_dropped == dropped() > count / 2


def test_discovery_over_the_pace_is_left_to_the_kernel_for_a_moment() -> None:
    now = 1.0
    with userspace(lambda: now) as column:
        column.datapath.client = Client()
        for _ in range(100):
            ask(column, 100)
            column.datapath.poll()
        before = len(client_of(column).upcalls)
        now += 1.0
        ask(column, 1)
        column.datapath.poll()

        burst = DISCOVERY.per_s * DISCOVERY.burst_ms // 1000
        assert burst <= before <= burst + 1
        assert column.datapath.port_counters(P1).rx_packets < 1000
        assert len(client_of(column).upcalls) > before


def ask(column: Userspace, count: int) -> None:
    """Send so many ARP requests, each from another sender."""
    for number in range(count):
        column.hosts[P1].sendmsg([bytes(10), packets.arp_request(f"10.1.{number >> 8 & 255}.{number & 255}")])


def dialled(number: int) -> bytes:
    """A segment to a controller's port, from another sender for each number."""
    return packets.tcp(f"10.1.{number >> 8 & 255}.{number & 255}", dst_port=6653)


def test_control_frames_over_the_pace_are_lost_by_name_but_for_those_lately_decided(column: Userspace) -> None:
    column.datapath.set_control_hints(ControlHints(frozenset({6653})))
    known = packets.tcp("10.9.0.1", dst_port=6653)
    install(column.datapath, megaflow_of(Match.of(in_port=1, eth_type=ETH_IPV4, ipv4_src=0x0A090001), (Output(P2),)))
    column.arrive(P1, Frame(known))
    for number in range(3000):
        column.hosts[P1].sendmsg([bytes(10), dialled(number)])
    for _ in range(20):
        column.hosts[P1].sendmsg([bytes(10), known])

    client = client_of(column)
    poll_until(column.datapath, lambda: len(client.upcalls) + counter(column.datapath, "control_flood") == 3000)

    assert CONTROL.per_s * CONTROL.burst_ms // 1000 <= len(client.upcalls) < 2000
    assert len(column.left()[P2]) == 21


def test_the_pace_of_control_frames_can_be_set(column: Userspace) -> None:
    column.datapath.set_control_hints(ControlHints(frozenset({6653})))
    column.datapath.set_control_pace(100_000)
    for number in range(3000):
        column.hosts[P1].sendmsg([bytes(10), dialled(number)])
    poll_until(column.datapath, lambda: len(client_of(column).upcalls) == 3000)


def test_hints_make_tcp_frames_control(column: Userspace) -> None:
    to_controller = packets.tcp(dst_port=6653)
    column.datapath.set_control_hints(ControlHints(frozenset({6653})))
    for data in (FRAME.data, to_controller, packets.vlan(to_controller, 5)):
        column.hosts[P1].sendmsg([bytes(10), data])

    poll_until(column.datapath, lambda: len(client_of(column).upcalls) == 3)

    assert client_of(column).upcalls == [to_controller, packets.vlan(to_controller, 5), FRAME.data]


def test_no_frame_is_lost_while_hints_change(column: Userspace) -> None:
    hints = [ControlHints(frozenset({6653})), ControlHints(frozenset({80})), ControlHints()]

    for number in range(30):
        column.datapath.set_control_hints(hints[number % 3])
        column.arrive(P1, FRAME)
        column.arrive(P1, Frame(packets.tcp(dst_port=6653)))

    assert len(client_of(column).upcalls) == 60


def test_an_event_loop_switches_frames(column: Userspace) -> None:
    install(column.datapath, megaflow_of(Match.of(in_port=1), (Output(P2),)))

    ended: list[bool] = []

    async def switch_one() -> bytes:
        loop = asyncio.get_running_loop()
        column.datapath.attach(loop, lambda: ended.append(True))
        column.hosts[P2].setblocking(False)
        column.hosts[P1].sendmsg([bytes(10), FRAME.data])
        try:
            return await asyncio.wait_for(loop.sock_recv(column.hosts[P2], 2000), PATIENCE_S)
        finally:
            column.datapath.detach()

    assert asyncio.run(switch_one())[10:] == FRAME.data
    assert ended


def test_the_hosts_stack_neither_sees_nor_answers_what_arrives_at_a_port(column: Userspace) -> None:
    ip("address add 10.0.0.2/24 dev p1")
    install(column.datapath, megaflow_of(ANY, ()))

    column.arrive(P1, Frame(packets.arp_request("10.0.0.1", "10.0.0.2")))

    assert column.left()[P1] == []


def test_closing_leaves_the_interfaces_as_they_were() -> None:
    with own_namespace():
        add_veth(1)
        datapath = UserspaceDatapath(Client())
        datapath.add_port(P1, "p1")

        datapath.close()

        shown = subprocess.run(["ip", "-d", "link", "show", "p1"], capture_output=True, text=True, check=True).stdout
        assert "promiscuity 0" in shown


UNPRIVILEGED = """
import subprocess
from tests.packets import columns
columns.require_root = lambda: None
from inband.flow.actions import Output
from inband.flow.match import ANY
from inband.packet.frame import Frame
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
with columns.userspace() as column:
    frame = packets.offloaded(packets.tcp(payload=bytes(5000)), gso_size=1000)
    install(column.datapath, megaflow_of(ANY, (Output(columns.PORTS[1]),)))
    column.arrive(columns.PORTS[0], frame)
    print(len(column.left()[columns.PORTS[1]]))
"""


def test_it_works_in_a_user_namespace_without_root() -> None:
    require_root()
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", UNPRIVILEGED]
    allowed = subprocess.run([*command[:4], "true"], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip("this system forbids unprivileged user namespaces")

    done = run_python(*command)

    assert (done.stdout.strip(), done.stderr) == ("5", "")


def test_without_privileges_a_port_is_refused_with_the_reason() -> None:
    require_root()
    code = "from inband.datapath.userspace_port import open_port\nopen_port(1, 'lo', bytearray(70000), frozenset())"

    done = run_python(*limited(), sys.executable, "-c", code)

    assert "HostError" in done.stderr
    assert "CAP_NET_RAW" in done.stderr


def run_python(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": "src:."})


def test_there_is_a_backlog_after_turns_that_left_frames_undecided(column: Userspace) -> None:
    client, noted = client_of(column), []
    client.then = lambda: noted.append((client.upcalls[-1] == arp, column.datapath.is_behind))
    arp, before = packets.arp_request(), BACKLOG_TURNS * UPCALL_BUDGET
    for _ in range(3 * before):
        column.hosts[P1].sendmsg([bytes(10), FRAME.data])
    poll_until(column.datapath, lambda: len(noted) >= before)
    column.hosts[P2].sendmsg([bytes(10), arp])
    poll_until(column.datapath, lambda: len(noted) == 3 * before + 1)
    column.datapath.poll()
    column.hosts[P1].sendmsg([bytes(10), FRAME.data])
    poll_until(column.datapath, lambda: len(noted) == 3 * before + 2)

    data = [is_behind for is_arp, is_behind in noted if not is_arp]
    assert data == [False] * before + [True] * (2 * before) + [False]
    assert [is_behind for is_arp, is_behind in noted if is_arp] == [False]
