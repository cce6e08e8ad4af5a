"""The host watcher on a real kernel: every change comes as an event, also after lost messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network

import pytest

from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    NeighbourChanged,
    NextHopFound,
    Resynchronised,
    RoutesChanged,
)
from inband.host.netlink import KernelHost
from inband.vocabulary.addresses import Mac
from tests.system.host_namespace import Namespace, namespace, two_hosts, until

pytestmark = pytest.mark.root

Events = list[HostEvent | NextHopFound]
MAC = Mac.parse("02:00:00:00:00:01")
NEAR, FAR = ip_address("10.0.0.1"), ip_address("10.0.0.2")


@pytest.fixture
def net() -> Iterator[Namespace]:
    with namespace() as made:
        yield made


@pytest.fixture
def hosts() -> Iterator[tuple[Namespace, Namespace]]:
    with two_hosts() as (near, far):
        far.sh(f"ip link set ihdb address {MAC}; ip address add {FAR}/24 dev ihdb")
        near.sh(f"ip address add {NEAR}/24 dev ihda")
        yield near, far


@asynccontextmanager
async def watching(*, receive_buffer: int = 1 << 20) -> AsyncIterator[tuple[KernelHost, Events]]:
    """A started watcher and the list its events go to."""
    events: Events = []
    host = KernelHost(events.append, receive_buffer=receive_buffer)
    host.start(asyncio.get_running_loop())
    try:
        yield host, events
    finally:
        host.close()


async def seen(events: Events, event: HostEvent) -> None:
    await until(lambda: event in events, str(event))


def index_of(events: Events, name: str) -> int:
    """The index of the interface of that name that was heard of last."""
    return next(e.index for e in reversed(events) if isinstance(e, LinkChanged) and e.name == name)


def neighbours(events: Events) -> list[NeighbourChanged]:
    return [event for event in events if isinstance(event, NeighbourChanged) and event.address == FAR]


def test_what_is_there_at_the_start_is_delivered_before_start_returns(net: Namespace) -> None:
    net.sh(f"ip link add ihda address {MAC} mtu 1400 type veth peer name ihdb")
    net.sh("ip link set ihda up; ip address add 10.0.0.1/24 dev ihda")
    net.sh(f"ip neighbour add {FAR} lladdr {MAC} dev ihda nud permanent")

    async def main() -> Events:
        async with watching() as (_, events):
            return list(events)

    events = net.run_async(main)

    index = index_of(events, "ihda")
    assert LinkChanged(index, "ihda", MAC, up=True, running=False, mtu=1400) in events
    assert AddressChanged(index, NEAR, 24, present=True) in events
    assert NeighbourChanged(index, FAR, MAC, confirmed=True) in events
    assert Resynchronised() not in events


def test_links_come_change_and_go(net: Namespace) -> None:
    async def main() -> None:
        async with watching() as (_, events):
            net.sh("ip link add ihda type veth peer name ihdb; ip link set ihdb up")
            await until(lambda: any(isinstance(e, LinkChanged) and e.name == "ihda" for e in events), "the new link")
            index = index_of(events, "ihda")
            net.sh(f"ip link set ihda address {MAC} up")
            await seen(events, LinkChanged(index, "ihda", MAC, up=True, running=True, mtu=1500))
            net.sh("ip link set ihdb down")
            await seen(events, LinkChanged(index, "ihda", MAC, up=True, running=False, mtu=1500))
            net.sh("ip link set ihda down; ip link set ihda name ihdc")
            await seen(events, LinkChanged(index, "ihdc", MAC, up=False, running=False, mtu=1500))
            net.sh("ip link del ihdc")
            await seen(events, LinkRemoved(index, "ihdc"))

    net.run_async(main)


def test_an_interface_that_comes_back_has_another_index(net: Namespace) -> None:
    async def main() -> tuple[int, int]:
        async with watching() as (_, events):
            net.sh("ip link add ihda type veth peer name ihdb")
            await until(lambda: any(isinstance(e, LinkChanged) and e.name == "ihda" for e in events), "the new link")
            first = index_of(events, "ihda")
            net.sh("ip link del ihda; ip link add ihda type veth peer name ihdb")
            await seen(events, LinkRemoved(first, "ihda"))
            await until(lambda: index_of(events, "ihda") != first, "the link to come back")
            return first, index_of(events, "ihda")

    first, second = net.run_async(main)

    assert first != second


def test_leaving_a_bridge_is_not_leaving_the_world(net: Namespace) -> None:
    net.sh("ip link add ihda type veth peer name ihdb; ip link add ihdbr type bridge; ip link set ihda master ihdbr")

    async def main() -> Events:
        async with watching() as (_, events):
            net.sh("ip link set ihda nomaster; ip link set ihda mtu 1400")
            await until(lambda: any(isinstance(e, LinkChanged) and e.mtu == 1400 for e in events), "the last change")
            return events

    events = net.run_async(main)

    assert not [event for event in events if isinstance(event, LinkRemoved)]


def test_addresses_come_and_go_and_ipv6_ones_are_tentative_at_first(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts
    v6 = ip_address("fd00::1")

    async def main() -> None:
        async with watching() as (_, events):
            index = index_of(events, "ihda")
            near.sh("ip address add fd00::1/64 dev ihda")
            await seen(events, AddressChanged(index, v6, 64, present=True, tentative=True))
            await seen(events, AddressChanged(index, v6, 64, present=True))
            near.sh("ip address del fd00::1/64 dev ihda; ip address del 10.0.0.1/24 dev ihda")
            await seen(events, AddressChanged(index, v6, 64, present=False))
            await seen(events, AddressChanged(index, NEAR, 24, present=False))

    near.run_async(main)


def test_routes_and_rules_of_any_table_are_told(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts

    async def main() -> None:
        async with watching() as (_, events):
            for command, event in (
                ("ip route add 198.51.100.0/24 via 10.0.0.2", RoutesChanged(ip_network("198.51.100.0/24"))),
                ("ip route add default via 10.0.0.2 table 77", RoutesChanged(ip_network("0.0.0.0/0"))),
                ("ip -6 route add 2001:db8::/32 dev ihda", RoutesChanged(ip_network("2001:db8::/32"))),
                ("ip rule add to 10.9.9.9 lookup 77", RoutesChanged(None)),
                ("ip -6 rule add to fd99::/16 lookup 77", RoutesChanged(None)),
                ("ip route del 198.51.100.0/24", RoutesChanged(ip_network("198.51.100.0/24"))),
            ):
                events.clear()
                near.sh(command)
                await seen(events, event)

    near.run_async(main)


@pytest.mark.parametrize("command", ["ip link set ihda down", "ip address del 10.0.0.1/24 dev ihda"])
def test_routes_that_die_in_silence_are_told_as_uncertain(hosts: tuple[Namespace, Namespace], command: str) -> None:
    near, _ = hosts
    near.sh("ip address add 10.5.0.1/24 dev ihda; ip route add 198.51.100.0/24 via 10.5.0.2 src 10.0.0.1")

    async def main() -> None:
        async with watching() as (_, events):
            near.sh(command)
            await seen(events, RoutesChanged(None))

    near.run_async(main)


def test_a_neighbour_is_resolved_when_asked_for(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts

    async def main() -> None:
        async with watching() as (host, events):
            index = index_of(events, "ihda")
            host.solicit(index, FAR)
            await seen(events, NeighbourChanged(index, FAR, MAC, confirmed=True))

    near.run_async(main)


def test_an_ipv6_neighbour_is_resolved_when_asked_for(hosts: tuple[Namespace, Namespace]) -> None:
    near, far = hosts
    near.sh("ip address add fd00::1/64 dev ihda nodad")
    far.sh("ip address add fd00::2/64 dev ihdb nodad")
    address = ip_address("fd00::2")

    async def main() -> None:
        async with watching() as (host, events):
            index = index_of(events, "ihda")
            host.solicit(index, address)
            await seen(events, NeighbourChanged(index, address, MAC, confirmed=True))

    near.run_async(main)


def test_a_neighbour_that_is_not_there_stays_without_a_mac(hosts: tuple[Namespace, Namespace]) -> None:
    near, far = hosts
    far.sh("ip link set ihdb arp off")
    near.sh("echo 20 > /proc/sys/net/ipv4/neigh/ihda/retrans_time_ms")

    async def main() -> Events:
        async with watching() as (host, events):
            index = index_of(events, "ihda")
            host.solicit(index, FAR)
            await seen(events, NeighbourChanged(index, FAR, None, confirmed=False))
            return events

    events = near.run_async(main)

    assert {event.mac for event in neighbours(events)} == {None}


def test_a_stale_neighbour_is_asked_at_once(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts
    near.sh(f"ip neighbour add {FAR} lladdr {MAC} dev ihda nud stale")

    async def main() -> tuple[float, Events]:
        loop = asyncio.get_running_loop()
        async with watching() as (host, events):
            index = index_of(events, "ihda")
            assert NeighbourChanged(index, FAR, MAC, confirmed=False) in events
            asked = loop.time()
            host.solicit(index, FAR)
            await seen(events, NeighbourChanged(index, FAR, MAC, confirmed=True))
            return loop.time() - asked, events

    took, events = near.run_async(main)

    assert took < 1.0  # the kernel by itself waits 5 s
    assert None not in {event.mac for event in neighbours(events)}


def test_a_neighbour_with_another_mac_is_found_when_asked_for_twice(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts
    other = Mac.parse("02:00:00:00:00:99")
    near.sh(f"ip neighbour add {FAR} lladdr {other} dev ihda nud reachable")

    async def main() -> None:
        async with watching() as (host, events):
            index = index_of(events, "ihda")
            host.solicit(index, FAR)  # by unicast, to a MAC that nobody has
            await seen(events, NeighbourChanged(index, FAR, other, confirmed=False))
            host.solicit(index, FAR)  # too early to give up
            await asyncio.sleep(0.25)
            assert neighbours(events)[-1].mac == other
            host.solicit(index, FAR)  # by broadcast
            await seen(events, NeighbourChanged(index, FAR, MAC, confirmed=True))

    near.run_async(main)


def test_a_permanent_neighbour_is_left_alone(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts
    near.sh(f"ip neighbour add {FAR} lladdr 02:00:00:00:00:99 dev ihda nud permanent")

    async def main() -> None:
        async with watching() as (host, events):
            host.solicit(index_of(events, "ihda"), FAR)
            host.look_up_next_hop(FAR)
            await until(lambda: isinstance(events[-1], NextHopFound), "a later answer on the same socket")

    near.run_async(main)

    assert "PERMANENT" in near.sh(f"ip neighbour show {FAR}")


def test_a_removed_neighbour_loses_its_mac(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts
    near.sh(f"ip neighbour add {FAR} lladdr {MAC} dev ihda nud permanent")

    async def main() -> None:
        async with watching() as (_, events):
            near.sh(f"ip neighbour del {FAR} dev ihda")
            await seen(events, NeighbourChanged(index_of(events, "ihda"), FAR, None, confirmed=False))

    near.run_async(main)


def test_asking_for_a_neighbour_on_an_interface_that_is_gone_is_counted_and_logged_once(
    net: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> int:
        async with watching() as (host, _):
            for _ in range(5):
                host.solicit(4711, FAR)
            await until(lambda: host.counters.get("refused: ask for a neighbour", 0) == 5, "the refusals")
            return len(caplog.records)

    assert net.run_async(main) == 1


def batch(verb: str, count: int) -> str:
    rows = (f"neighbour {verb} 10.1.{i // 250}.{i % 250 + 1} dev ihda" for i in range(count))
    return "".join(f"{row} lladdr 02:00:00:00:00:01 nud permanent\n" for row in rows)


def test_after_an_overrun_everything_is_known_again_and_what_is_gone_is_removed(net: Namespace) -> None:
    net.sh("ip link add ihda type veth peer name ihdb; ip link set ihda up; ip link set ihdb up")
    net.sh("ip link add ihdc type veth peer name ihdd; ip address add 10.7.7.7/24 dev ihdc")
    net.sh("ip -batch -", text=batch("add", 500))

    async def main() -> tuple[Events, int]:
        async with watching(receive_buffer=4096) as (host, events):
            gone = index_of(events, "ihdc")
            assert len({e for e in events if isinstance(e, NeighbourChanged) and e.mac}) >= 500
            events.clear()
            net.sh("ip -batch -", text=batch("replace", 3000))  # the loop does not read meanwhile
            net.sh("ip -batch -", text=batch("del", 400))
            net.sh("ip link del ihdc")
            await seen(events, Resynchronised())
            assert host.counters["overruns"] >= 1
            return events, gone

    events, gone = net.run_async(main)

    alive: dict[object, bool] = {}
    for event in events:
        if isinstance(event, NeighbourChanged) and event.address.version == 4:
            alive[event.address] = event.mac is not None
    assert sum(alive.values()) == 2600
    assert [alive[ip_address(f"10.1.0.{i + 1}")] for i in (0, 200)] == [False, False]
    assert LinkRemoved(gone, "ihdc") in events
    assert AddressChanged(gone, ip_address("10.7.7.7"), 24, present=False) in events
    assert events.index(Resynchronised()) > events.index(LinkRemoved(gone, "ihdc"))


def test_a_closed_watcher_says_nothing_more(net: Namespace) -> None:
    async def main() -> Events:
        async with watching() as (host, events):
            host.close()
            events.clear()
            net.sh("ip link add ihda type veth peer name ihdb")
            host.look_up_next_hop(FAR)
            host.solicit(1, FAR)
            await asyncio.sleep(0.05)
            return events

    assert net.run_async(main) == []
