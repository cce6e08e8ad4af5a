"""Next hops as the kernel sees them: policy rules, tables, metrics, both families, and a thousand at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from inband.host.events import HostEvent, NextHop, NextHopFound
from inband.host.netlink import KernelHost
from tests.system.host_namespace import Namespace, namespace, until

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def net() -> Iterator[Namespace]:
    """Two interfaces with gateways on both, and a route of every kind."""
    with namespace() as made:
        made.sh("ip link add ihda type veth peer name ihda-p; ip link add ihdb type veth peer name ihdb-p")
        for interface in ("ihda", "ihdb"):
            made.sh(f"ip link set {interface} up; ip link set {interface}-p up")
        made.sh("ip address add 10.1.0.1/24 dev ihda; ip address add 10.2.0.1/24 dev ihdb")
        made.sh("ip address add fd01::1/64 dev ihda nodad; ip address add fd02::1/64 dev ihdb nodad")
        for route in (
            "default via 10.1.0.254 metric 100",
            "default via 10.2.0.254 metric 50",
            "198.51.100.0/24 via 10.1.0.253",
            "default via 10.1.0.252 table 77",
            "203.0.113.0/24 via inet6 fe80::9 dev ihdb",
            "unreachable 192.0.2.0/28",
            "blackhole 192.0.2.16/28",
            "prohibit 192.0.2.32/28",
            "throw 192.0.2.48/28 table 77",
        ):
            made.sh(f"ip route add {route}")
        made.sh("ip -6 route add default via fe80::1 dev ihda; ip -6 route add 2001:db8::/32 via fd02::99")
        made.sh("ip -6 route add unreachable 2001:db8:dead::/48")
        for rule in (
            "to 192.0.2.48/28 lookup 77",
            "to 100.64.0.1 lookup 77",
            "to 100.64.0.2 ipproto tcp lookup 77",
            "to 100.64.0.3 ipproto udp lookup 77",
            "to 100.64.0.4 prohibit",
        ):
            made.sh(f"ip rule add {rule}")
        yield made


def found(net: Namespace, *destinations: str) -> list[NextHop | None]:
    """What the kernel answers for each destination, in that order."""

    async def main() -> list[NextHop | None]:
        answers: dict[object, NextHop | None] = {}

        def deliver(event: HostEvent | NextHopFound) -> None:
            if isinstance(event, NextHopFound):
                answers[event.destination] = event.next_hop

        host = KernelHost(deliver)
        host.start(asyncio.get_running_loop())
        try:
            for destination in destinations:
                host.look_up_next_hop(ip_address(destination))
            await until(lambda: len(answers) == len(destinations), "every answer")
        finally:
            host.close()
        return [answers[ip_address(destination)] for destination in destinations]

    return net.run_async(main)


@pytest.mark.parametrize(
    ("destination", "interface", "address", "source"),
    [
        pytest.param("10.1.0.9", "ihda", "10.1.0.9", "10.1.0.1", id="on-link"),
        pytest.param("198.51.100.1", "ihda", "10.1.0.253", "10.1.0.1", id="through a gateway"),
        pytest.param("8.8.8.8", "ihdb", "10.2.0.254", "10.2.0.1", id="the lower metric wins"),
        pytest.param("100.64.0.1", "ihda", "10.1.0.252", "10.1.0.1", id="a rule names another table"),
        pytest.param("100.64.0.2", "ihda", "10.1.0.252", "10.1.0.1", id="a rule for TCP counts"),
        pytest.param("100.64.0.3", "ihdb", "10.2.0.254", "10.2.0.1", id="a rule for UDP does not"),
        pytest.param("192.0.2.49", "ihdb", "10.2.0.254", "10.2.0.1", id="throw goes on"),
        pytest.param("203.0.113.1", "ihdb", "fe80::9", "10.2.0.1", id="IPv4 through an IPv6 gateway"),
        pytest.param("fd01::7", "ihda", "fd01::7", "fd01::1", id="IPv6 on-link"),
        pytest.param("2001:db8::1", "ihdb", "fd02::99", "fd02::1", id="IPv6 through a gateway"),
        pytest.param("2620:fe::fe", "ihda", "fe80::1", "fd01::1", id="IPv6 through a link-local gateway"),
    ],
)
def test_the_next_hop_is_the_kernels(
    net: Namespace, destination: str, interface: str, address: str, source: str
) -> None:
    (hop,) = found(net, destination)

    assert hop is not None
    assert (hop.interface, str(hop.address), str(hop.source)) == (interface, address, source)
    assert hop.index == int(net.sh(f"cat /sys/class/net/{interface}/ifindex"))


@pytest.mark.parametrize(
    "destination",
    [
        "192.0.2.1",
        "192.0.2.17",
        "192.0.2.33",
        "2001:db8:dead::1",
        "100.64.0.4",
        "127.0.0.1",
        "::1",
        "10.1.0.1",
        "fd01::1",
    ],
)
def test_what_does_not_leave_has_no_next_hop(net: Namespace, destination: str) -> None:
    assert found(net, destination) == [None]


def test_a_link_local_destination_leaves_through_the_interface_it_names(net: Namespace) -> None:
    hops = found(net, "fe80::5%ihda", "fe80::5%ihdb", "fe80::5%ihdnothere")

    assert [hop.interface if hop else None for hop in hops] == ["ihda", "ihdb", None]


def test_without_any_route_there_is_no_next_hop_not_even_for_loopback() -> None:
    with namespace() as empty:
        empty.sh("ip link set lo down")

        assert found(empty, "8.8.8.8", "2001:db8::1", "127.0.0.1") == [None, None, None]


def test_a_thousand_lookups_all_get_their_own_answer(net: Namespace) -> None:
    destinations = [f"198.51.{100 + i // 250}.{i % 250 + 1}" for i in range(1000)]

    hops = found(net, *destinations)

    assert [str(hop.address) if hop else None for hop in hops] == ["10.1.0.253"] * 250 + ["10.2.0.254"] * 750
