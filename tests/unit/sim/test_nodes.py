"""Hosts, routers and links without any switch: ARP, routes, forwarding, ping, TCP, faults."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_interface
from random import Random

import pytest

from inband.datapath.wrappers import Faults
from inband.errors import UsageError
from inband.host.events import HostEvent, NeighbourChanged, NextHopFound
from inband.packet.frame import Frame
from inband.sim.host import Host
from inband.sim.link import Nic
from inband.sim.network import Network
from inband.switch.transport import Transport
from inband.vocabulary.addresses import Mac


class Peer:
    """A user of a connection that says something at first, and sends back what it gets when it is to."""

    def __init__(self, first: bytes = b"", *, echoes: bool = False) -> None:
        self.data, self.told = b"", list[str]()
        self._first, self._echoes = first, echoes
        self._transport: Transport | None = None

    def opened(self, transport: Transport) -> None:
        self.told.append("opened")
        self._transport = transport
        transport.write(self._first)

    def received(self, data: bytes) -> None:
        self.data += data
        if self._echoes and self._transport is not None:
            self._transport.write(data)

    def set_writable(self, is_writable: bool) -> None:
        self.told.append("writable")

    def closed(self, reason: str) -> None:
        self.told.append(reason)


TWO = {4: "10.0.0.2", 6: "fd00:a::2"}
each_version = pytest.mark.parametrize("version", TWO)


def two_hosts(net: Network) -> tuple[Host, Host]:
    """Hosts with addresses of both versions; the second one's are TWO."""
    one, two = net.host("one", "10.0.0.1/24, fd00:a::1/64"), net.host("two", "10.0.0.2/24, fd00:a::2/64")
    net.link(one, two)
    return one, two


def with_router(net: Network) -> tuple[Host, Host, Host]:
    one, two = net.host("one", "10.0.0.1/24", "10.0.0.254"), net.host("two", "10.9.0.1/24", "10.9.0.254")
    router = net.router("router")
    net.link(one, router.interface("10.0.0.254/24").nic)
    net.link(two, router.interface("10.9.0.254/24").nic)
    return one, router, two


@each_version
def test_hosts_on_one_link_ping_each_other(version: int) -> None:
    net = Network()
    one, _ = two_hosts(net)

    pings = one.pinging(TWO[version])
    net.run(1.05)

    assert (pings.sent, pings.answered) == (11, 11)


def test_a_router_forwards_and_spends_ttl() -> None:
    net = Network()
    one, _, _ = with_router(net)
    ttls = list[int]()
    net.links[1].taps.append(lambda _, frame: ttls.append(frame.data[22]) if frame.data[12:14] == b"\x08\0" else None)

    pings = one.pinging("10.9.0.1")
    net.run(0.05)

    assert pings.answered == 1
    assert ttls == [63, 64]


def test_a_stopped_series_sends_no_more() -> None:
    net = Network()
    one, _ = two_hosts(net)
    pings = one.pinging("10.0.0.2")
    net.run(0.25)

    pings.stop()
    net.run(1.0)

    assert pings.sent == 3


def test_a_question_without_an_answer_is_asked_three_times_and_then_fails() -> None:
    net = Network()
    one, _ = two_hosts(net)
    events, questions = list[HostEvent | NextHopFound](), list[float]()
    one.kernel.deliver = events.append
    net.links[0].taps.append(lambda _, frame: questions.append(net.now))

    one.kernel.solicit(1, IPv4Address("10.0.0.77"))
    net.run(10.0)

    assert questions == [0.0, 1.0, 2.0]
    assert NeighbourChanged(1, IPv4Address("10.0.0.77"), None) in events


@each_version
def test_what_a_host_says_unasked_changes_an_entry_that_is_there_and_makes_none(version: int) -> None:
    net = Network()
    one, two = two_hosts(net)
    two.kernel.announce(two.eth0)
    net.run(0.1)
    stranger = one.eth0.neighbours.table()
    one.pinging(TWO[version]).stop()
    net.run(0.1)

    two.kernel.set_mac(two.eth0, Mac(0x020000000099))
    two.kernel.announce(two.eth0)
    net.run(0.1)

    assert stranger == {}
    assert one.eth0.neighbours.table()[ip_address(TWO[version])] == Mac(0x020000000099)


def test_routes_go_with_the_last_address_of_their_network() -> None:
    net = Network()
    one, _, _ = with_router(net)
    far = IPv4Address("10.9.0.1")
    one.kernel.add_address(one.eth0, ip_interface("10.0.0.7/24"))

    one.kernel.remove_address(one.eth0, IPv4Address("10.0.0.1"))
    source = one.kernel.source_for(far)
    one.kernel.remove_address(one.eth0, IPv4Address("10.0.0.7"))

    assert source == IPv4Address("10.0.0.7")
    assert one.kernel.route_to(far) is None


def test_the_longest_prefix_decides_the_next_hop() -> None:
    net = Network()
    one, _, _ = with_router(net)
    answers = list[HostEvent | NextHopFound]()
    one.kernel.deliver = answers.append

    for destination in ("10.0.0.7", "10.9.0.1"):
        one.kernel.look_up_next_hop(IPv4Address(destination))
    net.run(0.1)

    hops = [event.next_hop.address for event in answers if isinstance(event, NextHopFound) and event.next_hop]
    assert hops == [IPv4Address("10.0.0.7"), IPv4Address("10.0.0.254")]


def test_without_a_route_there_is_no_next_hop_and_no_connection() -> None:
    net = Network()
    one, _ = two_hosts(net)
    answers = list[HostEvent | NextHopFound]()
    one.kernel.deliver = answers.append

    one.kernel.look_up_next_hop(IPv4Address("10.9.0.1"))
    user = Peer()
    one.tcp.connect(IPv4Address("10.9.0.1"), 80, user)
    net.run(0.1)

    assert NextHopFound(IPv4Address("10.9.0.1"), None) in answers
    assert user.told == ["network is unreachable"]
    assert one.tcp.connections == {}


@pytest.mark.parametrize(
    "faults", [Faults(), Faults(loss=0.2), Faults(corrupt=0.2), Faults(duplicate=0.5, jitter_s=0.01)]
)
def test_tcp_carries_data_over_links_good_and_bad(faults: Faults) -> None:
    net = Network(seed=7)
    one, _, two = with_router(net)
    one.pinging("10.9.0.1").stop()  # ARP has no checksum: spoilt ARP would be believed
    net.run(1.0)
    net.links[0].spoil(faults)
    two.tcp.listeners[80] = lambda: Peer(echoes=True)
    text = bytes(range(256)) * 40
    user = Peer(text)

    one.tcp.connect(IPv4Address("10.9.0.1"), 80, user)
    arrived = net.run_until(lambda: len(user.data) >= len(text), 600)

    assert arrived
    assert user.data == text


def test_a_port_without_a_listener_refuses() -> None:
    net = Network()
    one, _ = two_hosts(net)
    user = Peer()

    one.tcp.connect(IPv4Address("10.0.0.2"), 80, user)
    net.run(0.1)

    assert user.told == ["connection refused"]
    assert one.tcp.connections == {}


def test_a_dead_process_resets_its_connections() -> None:
    net = Network()
    one, two = two_hosts(net)
    user, dead = Peer(), Peer()
    two.tcp.listeners[80] = lambda: dead
    one.tcp.connect(IPv4Address("10.0.0.2"), 80, user)
    net.run(0.1)

    two.tcp.kill()
    net.run(0.1)

    assert user.told == ["opened", "connection reset by peer"]
    assert dead.told == ["opened"]


def test_a_cut_link_carries_nothing_and_loses_what_is_on_its_way() -> None:
    net = Network()
    ends, got, carrier = (Nic("one"), Nic("two")), list[Frame](), list[bool]()
    link = net.link(*ends, latency_s=1.0)
    ends[1].receive = got.append
    ends[1].carrier_changed = carrier.append

    ends[0].transmit(Frame(b"on its way"))
    net.run(0.5)
    link.cut()
    ends[0].transmit(Frame(b"after the cut"))
    net.run(2.0)
    link.mend()
    ends[0].transmit(Frame(b"after the mending"))
    net.run(2.0)

    assert [frame.data for frame in got] == [b"after the mending"]
    assert carrier == [False, True]


def test_an_interface_has_one_link_only() -> None:
    net = Network()
    one, _ = two_hosts(net)

    with pytest.raises(UsageError, match="one-eth0 is linked already"):
        net.link(one, Nic("other"))


@pytest.mark.parametrize("text", ["10.0.0.1/99", "ten", "10.0.0.1/24,"])
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write 10"):
        Network().host("one", text)


def test_a_gateway_out_of_reach_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cannot reach gateway 10\.9\.0\.254"):
        Network().host("one", "10.0.0.1/24", "10.9.0.254")


@each_version
def test_no_frame_makes_a_kernel_fail(version: int) -> None:
    net, random = Network(), Random(3)
    one, two = two_hosts(net)
    captured = list[bytes]()
    net.links[0].taps.append(lambda _, frame: captured.append(frame.data))
    one.pinging(TWO[version]).stop()
    one.tcp.connect(ip_address(TWO[version]), 80, Peer())
    net.run(0.1)

    for data in captured:
        for end in range(len(data)):
            two.eth0.nic.receive(Frame(data[:end]))
        for _ in range(20):
            spoilt = bytearray(data)
            spoilt[random.randrange(14, len(data))] ^= 0xFF
            two.eth0.nic.receive(Frame(bytes(spoilt)))
    net.run(0.1)

    assert len(captured) >= 6
    assert one.eth0.neighbours.table()[ip_address(TWO[version])] == two.eth0.mac
