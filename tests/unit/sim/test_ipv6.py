"""IPv6 of hosts and routers without any switch: neighbour discovery, scopes, duplicates, forwarding, TCP."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address, ip_interface
from random import Random

import pytest

from inband.flow.fields import key_fields
from inband.host.events import AddressChanged, HostEvent, NeighbourChanged, NextHopFound
from inband.packet import encode
from inband.packet.frame import Frame
from inband.packet.nd import ALL_NODES, build_router_advertisement
from inband.packet.parse import parse
from inband.sim.advertisements import Autoconfiguration
from inband.sim.host import Host
from inband.sim.interface import made_of_mac
from inband.sim.network import Network
from inband.switch.transport import Transport
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION

ONE, TWO = IPv6Address("fd00:a::1"), IPv6Address("fd00:a::2")


class Caller:
    """Says something at first, and keeps what comes."""

    def __init__(self, first: bytes) -> None:
        self.data = b""
        self._first = first

    def opened(self, transport: Transport) -> None:
        transport.write(self._first)

    def received(self, data: bytes) -> None:
        self.data += data

    def set_writable(self, is_writable: bool) -> None:
        raise AssertionError("there are no windows")

    def closed(self, reason: str) -> None:
        raise AssertionError(reason)


def two_hosts(net: Network) -> tuple[Host, Host]:
    one, two = net.host("one", f"{ONE}/64"), net.host("two", f"{TWO}/64")
    net.link(one, two)
    return one, two


def with_router(net: Network, gateway: str = "fd00:a::254") -> tuple[Host, Host, Host]:
    one, two = net.host("one", f"{ONE}/64", gateway), net.host("two", "fd00:9::1/64", "fd00:9::254")
    router = net.router("router")
    net.link(one, router.interface("fe80::254/64,fd00:a::254/64").nic)
    net.link(two, router.interface("fd00:9::254/64").nic)
    return one, router, two


def watched(net: Network, kind: int) -> list[dict[str, int]]:
    """The fields of each ICMPv6 message of this type that is put on the first link from now on."""
    seen: list[dict[str, int]] = []

    def tap(_: object, frame: Frame) -> None:
        fields = key_fields(parse(frame.data, 0))
        if fields.get("icmpv6_type") == kind:
            seen.append(fields)

    net.links[0].taps.append(tap)
    return seen


def heard(host: Host) -> list[HostEvent | NextHopFound]:
    """What the host's kernel says from now on."""
    events: list[HostEvent | NextHopFound] = []
    host.kernel.deliver = events.append
    return events


def test_a_neighbour_is_asked_for_in_its_own_group_from_the_address_of_the_packet_that_waits() -> None:
    net = Network()
    one, _ = two_hosts(net)
    questions = watched(net, NEIGHBOUR_SOLICITATION)

    one.pinging(str(TWO)).stop()
    net.run(0.1)

    first = questions[0]
    assert first["eth_dst"] == 0x3333FF000002
    assert IPv6Address(first["ipv6_dst"]) == IPv6Address("ff02::1:ff00:2")
    assert IPv6Address(first["ipv6_src"]) == ONE


def test_a_router_asks_for_who_it_forwards_to_from_its_link_local_address() -> None:
    net = Network()
    one, _, two = with_router(net)
    questions = watched(net, NEIGHBOUR_SOLICITATION)

    two.pinging(str(ONE)).stop()
    net.run(0.1)

    assert IPv6Address(questions[0]["ipv6_src"]) == IPv6Address("fe80::254")
    assert one.eth0.neighbours.table()  # which it learned by being asked


def test_a_question_of_a_process_comes_from_the_link_local_address_and_its_failure_is_told() -> None:
    net = Network()
    one, _ = two_hosts(net)
    questions, events = watched(net, NEIGHBOUR_SOLICITATION), heard(one)

    one.kernel.solicit(1, IPv6Address("fd00:a::77"))
    net.run(10.0)

    assert [IPv6Address(fields["ipv6_src"]) for fields in questions] == [made_of_mac(one.eth0.mac).ip] * 3
    assert NeighbourChanged(1, IPv6Address("fd00:a::77"), None) in events


def test_a_solicitation_on_another_link_than_the_address_has_is_not_answered() -> None:
    net = Network()
    one, router, _ = with_router(net)
    answers = watched(net, NEIGHBOUR_ADVERTISEMENT)

    one.kernel.solicit(1, IPv6Address("fd00:9::254"))
    net.run(5.0)

    assert router.kernel.interfaces[1].addresses.keys() >= {IPv6Address("fd00:9::254")}
    assert answers == []


@pytest.mark.parametrize("gateway", ["fd00:a::254", "fe80::254"])
def test_a_router_forwards_and_spends_the_hop_limit(gateway: str) -> None:
    net = Network()
    one, _, two = with_router(net, gateway)
    limits: list[int] = []
    two.eth0.taps.append(lambda data: limits.append(data[21]) if data[20] == 58 and data[54] == 128 else None)

    pings = one.pinging("fd00:9::1")
    net.run(0.05)

    assert pings.answered == 1
    assert limits == [63]


def test_link_local_addresses_are_reached_with_their_interface_and_not_forwarded() -> None:
    net = Network()
    one, router, two = with_router(net)

    near = one.pinging("fe80::254%one-eth0")
    wrong_link = router.pinging(f"{made_of_mac(one.eth0.mac).ip}%router-eth1")
    right_link = router.pinging(f"{made_of_mac(one.eth0.mac).ip}%router-eth0")
    net.run(1.05)

    assert (near.answered, wrong_link.answered, right_link.answered) == (11, 0, 11)
    assert two.eth0.neighbours.table().keys() <= {IPv6Address("fd00:9::254")}


def test_the_next_hop_has_no_scope_and_the_source_is_of_the_destinations_scope() -> None:
    net = Network()
    one, _, _ = with_router(net, "fe80::254")
    events = heard(one)

    one.kernel.look_up_next_hop(ip_address("fd00:9::1"))
    one.kernel.look_up_next_hop(ip_address("fe80::7%one-eth0"))
    one.kernel.look_up_next_hop(ip_address("fe80::7%elsewhere"))
    net.run(0.1)

    hops = [event.next_hop for event in events if isinstance(event, NextHopFound)]
    assert [hop and (hop.address, hop.source) for hop in hops] == [
        (IPv6Address("fe80::254"), ONE),
        (IPv6Address("fe80::7"), made_of_mac(one.eth0.mac).ip),
        None,
    ]


def test_an_address_is_used_when_duplicate_address_detection_is_over() -> None:
    net = Network()
    one = Host(net.clock, "one", lambda: Mac(0x020000000042))
    events = heard(one)
    interface = one.interface(detects_duplicates=True)
    net.link(one, net.host("two", f"{TWO}/64"))
    asked = watched(net, NEIGHBOUR_SOLICITATION)

    one.kernel.add_address(interface, ip_interface(f"{ONE}/64"))
    net.run(0.1)
    early = interface.source_for(TWO)
    net.run(2.0)

    about = [event for event in events if isinstance(event, AddressChanged) and event.address == ONE]
    assert early is None
    assert interface.source_for(TWO) == ONE
    assert [(event.tentative, event.duplicate) for event in about] == [(True, False), (False, False)]
    assert {fields.get("ipv6_src", 0) for fields in asked} == {0}
    assert all("ipv6_nd_sll" not in fields for fields in asked)


def test_an_address_that_another_host_has_is_not_used() -> None:
    net = Network()
    one = Host(net.clock, "one", lambda: Mac(0x020000000042))
    events = heard(one)
    interface = one.interface(f"{TWO}/64", detects_duplicates=True)
    two = net.host("two", f"{TWO}/64")
    net.link(one, two)

    net.run(5.0)

    assert interface.source_for(ONE) == made_of_mac(interface.mac).ip
    assert AddressChanged(1, TWO, 64, present=True, tentative=True, duplicate=True) in events
    assert two.eth0.source_for(ONE) == TWO


def test_tcp_carries_data_to_a_link_local_address_and_back() -> None:
    net = Network()
    one, router, _ = with_router(net)
    server = Caller(b"hello from the router")
    router.tcp.listeners[80] = lambda: server
    caller = Caller(bytes(range(256)) * 40)

    connection = one.tcp.connect(ip_address("fe80::254%one-eth0"), 80, caller)
    net.run(1.0)

    assert connection.peer == "[fe80::254%one-eth0]:80"
    assert caller.data == b"hello from the router"
    assert server.data == bytes(range(256)) * 40


def test_a_host_takes_an_address_and_a_gateway_from_a_router_and_nothing_from_rubbish() -> None:
    net, random = Network(), Random(4)
    host = net.host("host", "fe80::1/64")
    Autoconfiguration(host.kernel, host.eth0)
    source, prefix = IPv6Address("fe80::254"), IPv6Network("fd00:a::/64")
    good = build_router_advertisement(source, Mac(0x020000000042), prefix, 1800)
    message = bytearray(good[54:])

    for _ in range(500):
        spoilt = bytearray(message)
        spoilt[16 + random.randrange(4, 12)] ^= 1 << random.randrange(8)  # options other than ours
        spoilt[random.randrange(24, 27)] = random.randrange(256)
        del spoilt[random.randrange(8, len(spoilt)) :]
        icmp = encode.icmpv6(source, ALL_NODES, 134, 0, bytes(spoilt[4:]))
        packet = encode.ip(source, ALL_NODES, 58, icmp, ttl=255)
        host.eth0.nic.receive(Frame(encode.ethernet(0x333300000001, 2, 0x86DD, packet)))
    before = list(host.eth0.addresses)
    host.eth0.nic.receive(Frame(good))

    assert before == [IPv6Address("fe80::1")]
    assert list(host.eth0.addresses) == [IPv6Address("fe80::1"), made_of_mac(host.eth0.mac, prefix).ip]
    route = host.kernel.route_to(IPv6Address("2001:db8::1"))
    assert route is not None
    assert route.gateway == source
